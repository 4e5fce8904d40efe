"""Where a report goes: formats by suffix, files that appear whole, and no stranger overwritten."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fitdiag import __version__
from fitdiag.errors import UsageError, WriteError
from fitdiag.report.words import clean

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FORMATS", "GENERATOR", "SUFFIXES", "choose_format", "is_own", "write"]

#: what every file says of who wrote it
GENERATOR = f"fitdiag {__version__}"

#: what a diagnosis can be rendered as
FORMATS = ("text", "html", "png", "svg", "pdf", "json", "md")

SUFFIXES = {
    ".html": "html",
    ".htm": "html",
    ".png": "png",
    ".svg": "svg",
    ".pdf": "pdf",
    ".json": "json",
    ".md": "md",
    ".markdown": "md",
    ".txt": "text",
}

#: what stands in fitdiag's own files of each format, and in no other's
_MARKS = {
    "html": rb'<meta name="generator" content="fitdiag \d',
    "png": rb"Software\0fitdiag \d",
    "svg": rb"<dc:creator>\s*<cc:Agent>\s*<dc:title>fitdiag \d",
    "pdf": rb"/Creator \(fitdiag \d",
    "json": rb'\A\{\s*"generator": "fitdiag \d',
    "md": rb"\A<!-- fitdiag \d",
    "text": rb"\Afitdiag \d",
}
#: bytes at the beginning (and for PDF, which keeps such things there, at the end) that are read
_HEAD = 4096


def choose_format(path: str | os.PathLike[str], form: str | None = None) -> str:
    """Return the format that a path's suffix names, or the given one.

    Raises
    ------
    UsageError
        If the suffix names none, or the given one does not exist; the message lists the choices.
    """
    if form is not None:
        if form not in FORMATS:
            raise UsageError(f"there is no format {form!r}; the formats are {', '.join(FORMATS)}")
        return form
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        what = f"the suffix {clean(suffix)!r}" if suffix else "no suffix"
        raise UsageError(
            f"{clean(path, 200)} has {what}, which names no format; the choices are "
            f"{', '.join(SUFFIXES)}"
        )
    return SUFFIXES[suffix]


def is_own(path: Path, form: str) -> bool:
    """Tell whether a file was written by fitdiag in this format, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if form == "pdf":
            file.seek(max(0, path.stat().st_size - _HEAD))
            head += file.read(_HEAD)
    return re.search(_MARKS[form], head) is not None


def write(
    path: str | os.PathLike[str],
    form: str,
    make: Callable[[], str | bytes],
    *,
    force: bool = False,
) -> Path:
    """Write what ``make`` returns to a file: whole or not at all.

    It is written beside its place and moved there in one step.

    Parameters
    ----------
    path : str or path
        The file.
    form : str
        Its format, by which fitdiag's own files are recognised.
    make : callable
        Called once the place is known to be free; returns text (written as UTF-8) or bytes.
    force : bool
        Overwrite a file that fitdiag did not write.

    Raises
    ------
    WriteError
        If the place is not free, or cannot be written to.
    """
    given = Path(path)
    target = Path(os.path.realpath(given))
    check_place(given, form, force=force)
    content = make()
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    temporary = target.parent / f".fitdiag-{secrets.token_hex(6)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
        temporary.replace(target)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise WriteError(f"cannot write {given}: {_why(error)}") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return given


def check_place(given: Path, form: str, *, force: bool) -> None:
    """Refuse a place where a report cannot be written.

    Raises
    ------
    WriteError
        Naming the place, and what stands in the way.
    """
    target = Path(os.path.realpath(given))
    folder = target.parent
    if folder.exists() and not folder.is_dir():
        raise WriteError(f"cannot write {given}: {folder} is a file, not a folder")
    if not folder.is_dir():
        raise WriteError(f"cannot write {given}: there is no folder {folder}; make it first")
    try:
        if target.is_dir():
            raise WriteError(f"cannot write {given}: it is a folder; name a file in it")
        if target.exists() and not force and not is_own(target, form):
            raise WriteError(
                f"{given} is there already and was not written by fitdiag; choose another name, "
                "or overwrite it with --force (force=True in Python)"
            )
    except OSError as error:
        raise WriteError(f"cannot write {given}: {_why(error)}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WriteError(f"cannot write {given}: the folder {folder} is not writable")


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
