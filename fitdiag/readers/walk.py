"""All runs below a folder, one after the other."""

from __future__ import annotations

import os
import re
import warnings
from typing import TYPE_CHECKING

from fitdiag.errors import ExtraError, ReadError
from fitdiag.source import is_sibling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from fitdiag.run import Run

    #: reads all runs of a file or a folder; none where no reader recognises it
    Attempt = Callable[[Path], Sequence[Run]]

__all__ = ["walk_runs"]

#: dot folders that trackers keep their runs in
DOT_FOLDERS = frozenset({".guild", ".neptune", ".aim"})

#: folders that hold no logs, however many files
SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})

#: endings of files that are no logs
NO_LOGS = frozenset(
    {
        *(".pt", ".pth", ".ckpt", ".safetensors", ".bin", ".onnx", ".keras", ".npz", ".h5"),
        *(".py", ".pyc", ".ipynb", ".so", ".sh", ".c", ".cu", ".js", ".html", ".css", ".md"),
        *(".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".pdf", ".mp4", ".wav", ".tar", ".gz"),
        *(".yaml", ".yml", ".toml", ".lock", ".cfg", ".ini"),
    }
)

_DIGITS = re.compile(r"([0-9]+)")


def walk_runs(folder: Path, attempt: Attempt) -> Iterator[tuple[Path, Run]]:
    """Yield path and run of every log below a folder, in the order of names.

    Parameters
    ----------
    folder : Path
        Where to begin. Loops of symbolic links end; a folder that may not be listed, and a file
        that may not be read, is named in a warning and skipped.
    attempt : callable
        Reads a file or a folder.

    Yields
    ------
    tuple of Path and Run
        A log that holds several runs comes several times. A folder that is one log, as a tracker
        writes it, is not searched further.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        entries = _scan(place, seen)
        runs = _try(place, attempt) if entries else []
        for run in runs:
            yield place, run
        if runs:
            continue
        for file in _list_files(place, entries):
            for run in _try(file, attempt):
                yield file, run
        waiting.extend(reversed([place / entry.name for entry in entries if _may_enter(entry)]))


def _try(place: Path, attempt: Attempt) -> Sequence[Run]:
    try:
        return attempt(place)
    except ReadError as error:
        if not os.access(place, os.R_OK):
            warnings.warn(f"Skipped: {error}", UserWarning, stacklevel=3)
        return []
    except ExtraError as error:
        warnings.warn(f"Skipped: {error}.", UserWarning, stacklevel=3)
        return []


def _scan(place: Path, seen: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """Return what a folder holds; nothing if it was seen already or may not be listed."""
    try:
        status = place.stat()
        if (status.st_dev, status.st_ino) in seen:
            return []
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(place) as scan:
            return sorted(scan, key=lambda entry: _count_naturally(entry.name))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        warnings.warn(f"Skipped: {place} cannot be listed: {reason}.", UserWarning, stacklevel=3)
        return []


def _list_files(place: Path, entries: Sequence[os.DirEntry[str]]) -> Iterator[Path]:
    for entry in entries:
        if entry.name[:1] == "." or is_sibling(entry.name):
            continue
        if (place / entry.name).suffix.lower() in NO_LOGS:
            continue
        try:
            if entry.is_file():
                yield place / entry.name
        except OSError:
            continue


def _may_enter(entry: os.DirEntry[str]) -> bool:
    if entry.name in SKIPPED or (entry.name[:1] == "." and entry.name not in DOT_FOLDERS):
        return False
    try:
        return entry.is_dir()
    except OSError:
        return False


def _count_naturally(name: str) -> list[tuple[int, str]]:
    """Sort version_10 behind version_9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(name)]
