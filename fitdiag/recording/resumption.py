"""Going on with a log: where it stopped, and what of it is done again."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fitdiag.errors import UsageError, WriteError
from fitdiag.source import SUPERSEDED, find_sibling

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Place", "check_resume", "cut_log", "find_place"]

#: a header longer than this is none
MOST_HEADER = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a log goes on.

    Parameters
    ----------
    step : int
        Optimizer steps so far.
    epoch : int
        Epochs complete by then.
    skipped : int
        Steps that mixed precision had skipped by then.
    columns : tuple of str
        The log's columns.
    superseded : int
        Rows behind this place.
    is_torn : bool
        Whether the last line is not finished.
    """

    step: int
    epoch: int = 0
    skipped: int = 0
    columns: tuple[str, ...] = ()
    superseded: int = 0
    is_torn: bool = False


def check_resume(resume: object, *, overwrite: bool) -> None:
    """Check what ``resume=`` was given.

    Raises
    ------
    UsageError
        If it is neither a bool nor a step, or the log is to be replaced as well.
    """
    if not isinstance(resume, bool) and (type(resume) is not int or resume < 0):
        raise UsageError(
            f"resume is {resume!r}: pass True to go on after the last row, or the step of the "
            "checkpoint that the training goes on from"
        )
    if resume is not False and overwrite:
        raise UsageError("resume and overwrite exclude each other: pass one of them")


def find_place(log: Path, step: int | None = None) -> Place | None:
    """Find where a log goes on.

    Parameters
    ----------
    log : Path
        A log that fitdiag wrote.
    step : int, optional
        The step that the training goes on from. Default: that of the last row.

    Returns
    -------
    Place or None
        None if there is no log, or no row in it, and no step was given.

    Raises
    ------
    WriteError
        If the file is something else, or cannot be read.
    """
    try:
        if not log.exists() or not log.stat().st_size:
            return None if step is None else Place(step=step)
        return _search(log, step)
    except OSError as error:
        raise WriteError(f"{log} cannot be read: {error.strerror or error}") from error


def _search(log: Path, step: int | None) -> Place | None:
    columns: tuple[str, ...] = ()
    last, superseded, is_torn = (0, 0), 0, False
    skipped = 0
    for line in _read_lines(log):
        if not columns:
            columns = _read_header(log, line)
            continue
        is_torn = not line.endswith(b"\n")
        place = None if is_torn else _read_place(line)
        if place is not None and (step is None or place[0] <= step):
            last = place
            skipped = _read_count(line, columns) or skipped
        superseded += place is not None and step is not None and place[0] > step
    if last == (0, 0) and step is None:
        return None
    return Place(
        step=last[0] if step is None else step,
        epoch=last[1],
        skipped=skipped,
        columns=columns,
        superseded=superseded,
        is_torn=is_torn,
    )


def cut_log(log: Path, place: Place) -> None:
    """Cut a log off at a place; its rows behind it are kept in a file beside it.

    Parameters
    ----------
    log : Path
        The log, which is replaced in one move.
    place : Place
        As :func:`find_place` found it.

    Raises
    ------
    OSError
        If the disk does not take it; the log is then as it was.
    """
    if not (place.superseded or place.is_torn):
        return
    kept, gone = [], []
    for number, line in enumerate(_read_lines(log)):
        found = _read_place(line) if number else None
        if found is not None and found[0] > place.step and line.endswith(b"\n"):
            gone.append(line)
        elif line.endswith(b"\n"):
            kept.append(line)
    if gone:
        with find_sibling(log, SUPERSEDED).open("ab") as file:
            file.writelines([kept[0], *gone])
    handle, beside = tempfile.mkstemp(dir=log.parent, prefix=f".{log.name}.")
    try:
        with open(handle, "wb") as new:  # noqa: PTH123 takes a handle
            new.writelines(kept)
        shutil.copymode(log, beside)
        Path(beside).replace(log)
    except BaseException:
        with suppress(OSError):
            Path(beside).unlink(missing_ok=True)
        raise


def _read_lines(log: Path) -> Iterator[bytes]:
    with log.open("rb") as file:
        while line := file.readline(MOST_HEADER):
            yield line


def _read_header(log: Path, line: bytes) -> tuple[str, ...]:
    names = tuple(line.decode("utf-8", "replace").rstrip("\r\n").split(","))
    alike = len(set(names)) < len(names)
    if names[:2] != ("step", "epoch") or alike or not line.endswith(b"\n"):
        raise WriteError(
            f"{log} is no log of fitdiag.record, which begins by step,epoch, so that it cannot be "
            "resumed: give log= another name"
        )
    return names


def _read_place(line: bytes) -> tuple[int, int] | None:
    """Return step and epoch of a row, None if it is damaged."""
    step, _, rest = line.partition(b",")
    epoch = rest.partition(b",")[0]
    try:
        return int(step), int(float(epoch or b"0"))
    except (ValueError, OverflowError):
        return None


def _read_count(line: bytes, columns: tuple[str, ...]) -> int:
    """Return how many steps had been skipped, 0 if the row does not tell."""
    cells = line.rstrip(b"\n").split(b",")
    if "skipped_steps" not in columns or len(cells) != len(columns):
        return 0
    cell = cells[columns.index("skipped_steps")]
    return int(cell) if cell.isdigit() else 0
