"""Opening files and folders for reading: what is wrong with a path, said in one sentence."""

from __future__ import annotations

import difflib
import os
import stat
from typing import TYPE_CHECKING

from fitdiag.errors import FormatError, ReadError
from fitdiag.source import is_sibling

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "HEAD_BYTES",
    "TAIL_BYTES",
    "check_text",
    "describe_os_error",
    "keep_whole",
    "list_files",
    "read_head",
    "read_tail",
]

#: how much of a file is looked at to tell its format, encoding and columns; files no larger are
#: read with the standard library alone
HEAD_BYTES = 1 << 20

#: how much of a file's end is looked at for a torn last line
TAIL_BYTES = 1 << 16

#: bytes that no text holds; tabs, line ends and the escapes of colours are none of them
CONTROL = bytes((*range(1, 9), *range(14, 27), *range(28, 32)))

PICKLE = "a Python pickle, and fitdiag never unpickles: save the history as CSV"

#: first bytes of files that hold no text, and what they are
SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the log itself: run `git lfs pull`"),
    *((start, PICKLE) for start in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"(dp0")),
    (b"\x93NUMPY", "a NumPy array file: save the curves as CSV"),
    (b"PK\x03\x04", "a ZIP archive, a spreadsheet or a checkpoint: save the log as CSV"),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"BZh", "compressed with bzip2: unpack it first"),
    (b"\xfd7zXZ", "compressed with xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it first"),
    (b"\x89PNG", "a PNG picture: give the log that it was drawn from"),
    (b"%PDF", "a PDF document: give the log that it was made from"),
    (b"\xd0\xcf\x11\xe0", "an old Office document: save the sheet as CSV"),
    (b"\x89HDF", "an HDF5 file: save the curves as CSV"),
    (b"PAR1", "a Parquet file: save it as CSV"),
    (b"SQLite format 3", "an SQLite database: export the curves as CSV"),
)


def read_head(path: Path, size: int = HEAD_BYTES) -> bytes:
    """Return the first bytes of a file.

    Raises
    ------
    ReadError
        If the file is missing, a folder, empty, not a regular file, or may not be read.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ReadError(f"{path} is a folder, and a file is needed here.")
        if not stat.S_ISREG(status.st_mode):
            raise ReadError(f"{path} is no regular file: save the log to a file first.")
        with path.open("rb") as file:
            head = file.read(size)
    except (OSError, ValueError) as error:
        raise ReadError(describe_os_error(path, error)) from None
    if not head:
        raise ReadError(f"{path} is empty: nothing has been written to it yet.")
    return head


def keep_whole(head: bytes) -> bytes | None:
    """Return what :func:`read_head` returned if that is the whole file, else None."""
    return head if len(head) < HEAD_BYTES else None


def read_tail(path: Path, size: int = TAIL_BYTES) -> bytes:
    """Return the last bytes of a file that :func:`read_head` accepted."""
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - size))
        return file.read()


def describe_os_error(path: Path, error: Exception) -> str:
    """Say in one sentence why a path cannot be opened, and what to do."""
    if isinstance(error, FileNotFoundError):
        return f"{path} does not exist{_name_neighbours(path)}"
    if isinstance(error, PermissionError):
        return f"{path} may not be read by this user: change its permissions."
    if isinstance(error, NotADirectoryError):
        return f"{path} lies below a file, not below a folder."
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{path} cannot be read: {reason}."


def check_text(path: Path, head: bytes) -> None:
    """Refuse a file that holds no text.

    Raises
    ------
    FormatError
        Naming what the file is, where its first bytes tell.
    """
    for signature, what in SIGNATURES:
        if head.startswith(signature):
            raise FormatError(f"{path} is {what}.")
    sample = head[:65536]
    if not sample.strip(b"\0"):
        raise FormatError(
            f"{path} holds nothing but zero bytes: its writer or the disk failed, and nothing is "
            "left to read."
        )
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return
    zeros = sample.count(0)
    halves = max(sample[0::2].count(0), sample[1::2].count(0))
    is_wide = halves == zeros and 4 * zeros >= len(sample)
    control = len(sample) - len(sample.translate(None, CONTROL))
    inner = sample.rstrip(b"\0").count(0)  # a power failure leaves zeros at the end
    if (20 * inner > len(sample) and not is_wide) or 20 * control > len(sample):
        raise FormatError(f"{path} is a binary file, and fitdiag reads logs that are text.")


def list_files(folder: Path) -> list[Path]:
    """Return the regular files directly inside a folder, newest first.

    Raises
    ------
    ReadError
        If the folder may not be listed.
    """
    try:
        with os.scandir(folder) as entries:
            found = [
                (-entry.stat().st_mtime, entry.name)
                for entry in entries
                if not (entry.name.startswith(".") or is_sibling(entry.name)) and entry.is_file()
            ]
    except OSError as error:
        raise ReadError(describe_os_error(folder, error)) from None
    return [folder / name for _, name in sorted(found)]


def _name_neighbours(path: Path) -> str:
    try:
        names = [entry.name for entry in os.scandir(path.parent)][:10_000]
    except OSError:
        return f", and neither does the folder {path.parent}."
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if close:
        return "; did you mean " + " or ".join(str(path.parent / name) for name in close) + "?"
    return ": check the path."
