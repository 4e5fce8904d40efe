"""Finding the log in a folder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fitdiag.errors import ReadError
from fitdiag.readers.files import list_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["read_folder"]

#: file names that logs usually have, tried before others of the same age
USUAL = ("logs.csv", "metrics.csv", "results.csv", "history.csv", "training.log", "log.csv")

#: endings of files that may hold a log
SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".log", ".dat"})

#: how many files are tried
TRIED = 30

#: how many names a message lists
LISTED = 8


def read_folder(folder: Path, read_file: Callable[[Path], Run]) -> Run:
    """Read the newest log directly inside a folder that has a training and a validation loss.

    Parameters
    ----------
    folder : Path
        Sub-folders are not searched.
    read_file : callable
        Reads one file.

    Returns
    -------
    Run
        If no log has a validation loss, the newest with a training loss. Its notes name the other
        logs that were there.

    Raises
    ------
    ReadError
        If nothing in the folder can be read, with the names that were seen.
    """
    seen = list_files(folder)
    newest = [path for path in seen if path.suffix.lower() in SUFFIXES]
    tried = sorted(newest, key=lambda path: path.name not in USUAL)[:TRIED]
    found: list[tuple[Path, Run]] = []
    reasons: list[str] = []
    for path in tried:
        try:
            found.append((path, read_file(path)))
        except ReadError as error:
            reasons.append(str(error))
            continue
        if found[-1][1].val_loss is not None:
            found = found[-1:]
            break
    if not found:
        raise ReadError(_explain_nothing(folder, seen, reasons))
    chosen, run = found[0]
    others = [path.name for path in tried if path != chosen]
    notes = (f"Read {chosen.name} from the folder{_list_others(others)}.", *run.source.notes)
    return replace(run, source=replace(run.source, notes=notes))


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
