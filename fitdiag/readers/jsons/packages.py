"""Folders and ZIP archives that a tracker left offline: the lines of a file inside, bounded."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from fitdiag.errors import ReadError
from fitdiag.readers.jsons.parsing import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

__all__ = ["ZIP", "find_member", "iterate_member", "list_members"]

#: the first bytes of a ZIP archive
ZIP = b"PK\x03\x04"

#: an archive with more entries than this is no tracker's
MEMBERS = 100_000

#: a line of more bytes than this is left out
LINE_LIMIT = 16 << 20

#: an entry that unpacks to more than this many times its size, and to more than so many bytes
RATIO, FLOOR = 200, 64 << 20

#: characters of a cause that a message quotes
CAUSE = 120


def list_members(path: Path) -> list[str]:
    """Return the names in a ZIP archive; nothing for a file that is none.

    Raises
    ------
    ReadError
        If the archive is damaged.
    """
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()[:MEMBERS]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OverflowError):
        raise ReadError(f"{path} is a damaged ZIP archive: copy or export it again.") from None


def find_member(names: list[str], wanted: str) -> str | None:
    """Return the entry of an archive with a file name, the one least deep."""
    found = [name for name in names if PurePosixPath(name).name == wanted]
    return min(found, key=lambda name: name.count("/"), default=None)


def iterate_member(path: Path, wanted: str) -> Iterator[object]:
    """Yield what each line of a file in a folder or a ZIP archive holds; no JSON is passed over.

    Raises
    ------
    ReadError
        If there is no such file, or the archive is damaged or unpacks to far too much.
    """
    import lzma
    import zipfile
    import zlib

    if path.is_dir():
        with (path / wanted).open("rb") as file:
            yield from _iterate(file)
        return
    name = find_member(list_members(path), wanted)
    if name is None:
        raise ReadError(f"{path} holds no {wanted}.")
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo(name).file_size
            if size > max(FLOOR, RATIO * path.stat().st_size):
                raise ValueError(f"it unpacks to {size >> 20} MiB, too much for a log")  # noqa: TRY301
            with archive.open(name) as file:
                yield from _iterate(file, size)
    except (
        zipfile.BadZipFile,
        ValueError,
        RuntimeError,
        EOFError,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        cause = str(error)[:CAUSE].encode("ascii", "replace").decode()
        raise ReadError(f"{path} is a ZIP archive that cannot be read: {cause}.") from None


def _iterate(file: IO[bytes], limit: int | None = None) -> Iterator[object]:
    read = 0
    while line := file.readline(LINE_LIMIT):
        read += len(line)
        if limit is not None and read > limit:
            return
        try:
            yield parse(line.decode("utf-8", "replace").strip("\0 \t\r\n\ufeff"))
        except ValueError:
            continue
