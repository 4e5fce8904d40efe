"""SQLite databases of trackers, read without a lock, a write or a file beside them.

A database without unfinished business is opened as immutable, which takes no lock. One whose
write-ahead log or journal still lies beside it is in use, or was left by a crash: it is copied to
a temporary folder first, because SQLite would write beside the original to read it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from fitdiag.errors import FormatError, ReadError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAGIC", "has_tables", "open_store"]

#: the first bytes of every SQLite 3 database
MAGIC = b"SQLite format 3\0"

#: what a damaged database raises: its own messages may hold bytes that are no text
FAILURES = (sqlite3.Error, UnicodeError)

#: files beside a database that hold what is not in it yet
SIDES = ("-wal", "-journal")

#: how much of a write-ahead log is searched for the names of tables
SEARCHED = 1 << 20


def _is_busy(path: Path) -> bool:
    for side in SIDES:
        with contextlib.suppress(OSError):
            if Path(f"{path}{side}").stat().st_size:
                return True
    return False


def has_tables(path: Path, head: bytes, names: frozenset[str]) -> bool:
    """Tell whether a file is an SQLite database with these tables.

    Parameters
    ----------
    path : Path
        The file.
    head : bytes
        Its first bytes.
    names : frozenset of str
        All of them must be there.
    """
    if not head.startswith(MAGIC):
        return False
    if _is_busy(path):
        with contextlib.suppress(OSError), Path(f"{path}-wal").open("rb") as file:
            head += file.read(SEARCHED)
        return all(_mentions(head, name) for name in names)
    try:
        with contextlib.closing(_connect(path)) as store:
            return names <= _list_tables(store)
    except FAILURES:
        return False


def _list_tables(store: sqlite3.Connection) -> set[str]:
    """Return the names of the tables; a view may compute anything, and is none."""
    return {
        str(row[0]) for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }


def _mentions(data: bytes, name: str) -> bool:
    plain = name.encode()
    starts = (b"CREATE TABLE ", b"CREATE TABLE IF NOT EXISTS ")
    return any(start + left + plain in data for start in starts for left in (b"", b'"', b"`", b"["))


def _connect(path: Path) -> sqlite3.Connection:
    store = sqlite3.connect(
        f"file:{quote(os.fsencode(path.resolve()))}?mode=ro&immutable=1",
        uri=True,
        isolation_level=None,
    )
    store.text_factory = lambda data: data.decode("utf-8", "replace")
    return store


@contextlib.contextmanager
def open_store(path: Path, what: str, tables: frozenset[str]) -> Iterator[sqlite3.Connection]:
    """Open a database for reading.

    Parameters
    ----------
    path : Path
        The database, which stays as it is, with all that lies beside it.
    what : str
        What it is, for messages.
    tables : frozenset of str
        Must be there.

    Raises
    ------
    ReadError
        If it is damaged, in what is done with the connection as well, or lacks a table.
    """
    with contextlib.ExitStack() as stack:
        opened = path
        if _is_busy(path):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fitdiag-")))
            opened = folder / "store.db"
            shutil.copyfile(path, opened)
            for side in SIDES:
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(f"{path}{side}", f"{opened}{side}")
        try:
            if opened is path:
                store = stack.enter_context(contextlib.closing(_connect(path)))
            else:
                store = stack.enter_context(contextlib.closing(sqlite3.connect(opened)))
                store.text_factory = lambda data: data.decode("utf-8", "replace")
            store.execute("PRAGMA query_only = 1")
            store.execute("PRAGMA trusted_schema = 0")
            missing = tables - _list_tables(store)
            if missing:
                raise FormatError(f"{path} is not {what}: it has no table {min(missing)!r}.")
            yield store
        except FAILURES as error:
            raise ReadError(
                f"{path} is {what}, but it is damaged or is being written ({_describe(error)}): "
                "copy it when nothing writes to it, and read the copy."
            ) from None


def _describe(error: Exception) -> str:
    return str(error)[:200] if isinstance(error, sqlite3.Error) else "its tables have no names"
