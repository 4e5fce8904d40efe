"""What earlier scans found, in a small database: a log that did not change is not read again."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fitdiag import __version__
from fitdiag.fleet.examination import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fitdiag.diagnosis import Config
    from fitdiag.fleet.finding import Candidate

__all__ = ["Cache", "cache_folder", "fingerprint"]

#: changes whenever rows are made in another way
SCHEME = 1

#: outcomes that are written together
PACK = 500

#: seconds that one scan waits for another to finish writing
PATIENCE = 10.0

_TABLE = """
CREATE TABLE IF NOT EXISTS logs (
    path BLOB NOT NULL, maker TEXT NOT NULL, mark TEXT NOT NULL, rows TEXT NOT NULL,
    PRIMARY KEY (path, maker)
) WITHOUT ROWID
"""


def cache_folder() -> Path:
    """Return where a user's caches are kept, as the system's conventions have it."""
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "fitdiag"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "fitdiag" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fitdiag"
    return Path.home() / ".cache" / "fitdiag"


def fingerprint(config: Config) -> str:
    """Return what changes with the version of fitdiag, its limits and rules."""
    limits = sorted((room, sorted(told.items())) for room, told in config.limits.items())
    codes = [rule.code for rule in config.rules]
    text = f"{SCHEME} {__version__} {config.metric} {codes} {limits}"
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


class Cache:
    """Outcomes by log; two scans may use it at once, and a damaged one is begun anew.

    Parameters
    ----------
    path : path
        The database; its folder is made where it is missing.
    maker : str
        What :func:`fingerprint` returned.

    Attributes
    ----------
    trouble : str
        Why nothing is kept; empty while all is well. A cache never ends a scan.
    """

    def __init__(self, path: str | os.PathLike[str], maker: str) -> None:
        self._path, self._maker = Path(path), maker
        self._pending: dict[bytes, tuple[str, str]] = {}
        self._database: sqlite3.Connection | None = None
        self.trouble = ""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._database = self._open()
        except (OSError, sqlite3.OperationalError) as error:  # locked for long, or out of reach
            self._give_up(error)
        except sqlite3.DatabaseError:
            self._begin_anew()

    def get(self, candidate: Candidate) -> Outcome | None:
        """Return what is known of a candidate, unless it changed since."""
        if self._database is None:
            return None
        query = "SELECT mark, rows FROM logs WHERE path = ? AND maker = ?"
        try:
            key = (_key(candidate), self._maker)
            found = self._database.execute(query, key).fetchone()
        except sqlite3.OperationalError:  # another scan is busy with it: read the log instead
            return None
        except sqlite3.DatabaseError:
            self._begin_anew()
            return None
        if found is None or found[0] != candidate.mark:
            return None
        return Outcome(found[1], lasting=True)

    def put(self, candidate: Candidate, outcome: Outcome) -> None:
        """Keep an outcome that lasts; it is written with the next pack."""
        if self._database is None or not outcome.lasting:
            return
        self._pending[_key(candidate)] = (candidate.mark, outcome.rows)
        if len(self._pending) >= PACK:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self._database is None or not self._pending:
            return
        values = [(key, self._maker, *value) for key, value in self._pending.items()]
        self._pending.clear()
        try:
            self._write(values)
        except sqlite3.OperationalError as error:  # locked for long, or a full disk
            self.trouble = f"what was found is not kept for the next scan: {error}"
        except sqlite3.DatabaseError:
            self._begin_anew()

    def close(self) -> None:
        """Write what is waiting, and close the database."""
        self.flush()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _write(self, values: Iterable[tuple[bytes, str, str, str]]) -> None:
        if self._database is not None:
            with self._database:
                self._database.executemany(
                    "INSERT OR REPLACE INTO logs VALUES (?, ?, ?, ?)", values
                )

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=PATIENCE, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(_TABLE)
            database.commit()
        except sqlite3.DatabaseError:
            database.close()
            raise
        return database

    def _begin_anew(self) -> None:
        """Throw a damaged database away."""
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None
        try:
            for ending in ("", "-wal", "-shm"):
                Path(f"{self._path}{ending}").unlink(missing_ok=True)
            self._database = self._open()
        except (OSError, sqlite3.DatabaseError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.trouble = f"the cache {self._path} cannot be used: {error}"


def _key(candidate: Candidate) -> bytes:
    return os.fsencode(os.path.abspath(candidate.path))
