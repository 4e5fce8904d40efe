"""Finding the log in a folder that no tracker wrote as a whole."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from fitdiag.errors import ReadError
from fitdiag.readers.files import list_files
from fitdiag.readers.selection import completeness, select_run
from fitdiag.readers.walk import NO_LOGS, walk_runs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fitdiag.readers.walk import Attempt
    from fitdiag.run import Run

__all__ = ["read_folder"]

#: file names that logs usually have, tried before others of the same age
USUAL = ("logs.csv", "metrics.csv", "results.csv", "history.csv", "training.log", "log.csv")

#: how many files are tried
TRIED = 30

#: how many runs below a folder are looked at
WALKED = 500

#: how many files below a folder are opened
OPENED = 5000

#: how many names a message lists
LISTED = 8


def read_folder(folder: Path, attempt: Attempt, number: int | None) -> Run:
    """Read the newest log in a folder that has a training and a validation loss.

    Parameters
    ----------
    folder : Path
        Its own files are tried first, then what lies below it.
    attempt : callable
        Reads all runs of a file or a folder.
    number : int or None
        Which of all runs below the folder, from 1, by name; None for the newest complete one.

    Returns
    -------
    Run
        If no log has a validation loss, the newest with a training loss. Its notes name the other
        logs that were there.

    Raises
    ------
    ReadError
        If nothing in the folder can be read, with the names that were seen.
    UsageError
        If there are fewer runs than that.
    """
    seen = list_files(folder)
    if number is not None:
        found = _walk(folder, attempt)
        if not found:
            raise ReadError(_explain_nothing(folder, seen, []))
        run = select_run([run for _, run in found], number, folder)
        path, _ = found[number - 1 if number > 0 else number]
        return _tell(folder, found, path, run)
    reasons: list[str] = []
    found = _read_directly(seen, attempt, reasons)
    if not found or found[0][1].val_loss is None:
        found = _rank(folder, _walk(folder, attempt)) or found
    if not found:
        raise ReadError(_explain_nothing(folder, seen, reasons))
    others = (
        found if len(found) > 1 else [(each, found[0][1]) for each in seen if _may_be_log(each)]
    )
    return _tell(folder, others, *found[0])


def _rank(folder: Path, found: list[tuple[Path, Run]]) -> list[tuple[Path, Run]]:
    """Sort runs: complete ones, those directly in the folder, newest, last in their log."""
    order = sorted(
        range(len(found)),
        key=lambda at: (
            completeness(found[at][1]),
            found[at][0].parent == folder,
            _age(found[at][0]),
            at,
        ),
    )
    return [found[at] for at in reversed(order)]


def _read_directly(
    seen: Sequence[Path], attempt: Attempt, reasons: list[str]
) -> list[tuple[Path, Run]]:
    """Return the first log with a validation loss, or else all that can be read."""
    newest = sorted(filter(_may_be_log, seen), key=lambda path: path.name not in USUAL)
    found: list[tuple[Path, Run]] = []
    for path in newest[:TRIED]:
        try:
            runs = attempt(path)
        except ReadError as error:
            reasons.append(str(error))
            continue
        if not runs:
            continue
        found.append((path, select_run(runs, None, path)))
        if found[-1][1].val_loss is not None:
            return found[-1:]
    return found


def _walk(folder: Path, attempt: Attempt) -> list[tuple[Path, Run]]:
    """Return the runs below a folder, of which only the first few thousand files are opened."""
    opened = itertools.count()

    def try_some(path: Path) -> Sequence[Run]:
        return attempt(path) if next(opened) < OPENED else ()

    return list(itertools.islice(walk_runs(folder, try_some), WALKED))


def _may_be_log(path: Path) -> bool:
    return path.suffix.lower() not in NO_LOGS


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _tell(folder: Path, found: Sequence[tuple[Path, Run]], chosen: Path, run: Run) -> Run:
    names = dict.fromkeys(_name(folder, path) for path, _ in found if path != chosen)
    note = f"Read {_name(folder, chosen)} from the folder{_list_others(list(names))}."
    return replace(run, source=replace(run.source, notes=(note, *run.source.notes)))


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix() if path != folder else folder.name


def _list_others(others: list[str]) -> str:
    if not others:
        return ""
    more = f" and {len(others) - LISTED} more" if len(others) > LISTED else ""
    return f"; also there: {', '.join(others[:LISTED])}{more}"


def _explain_nothing(folder: Path, seen: list[Path], reasons: list[str]) -> str:
    if len(reasons) == 1:
        return f"{folder} holds no log that can be read: {reasons[0]}"
    names = ", ".join(path.name for path in seen[:LISTED])
    more = f" and {len(seen) - LISTED} more" if len(seen) > LISTED else ""
    what = f"there are {names}{more}" if seen else "there are no files directly inside it"
    return f"{folder} holds no log that can be read: {what}; give the path of the log itself."
