"""The files of a folder of checkpoints, and at which step of the run each was saved."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.checkpoint.names import Name, read_name
from fitdiag.checkpoint_index import read_index
from fitdiag.errors import UsageError
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from fitdiag.run import Run

    Array = NDArray[np.float64]

__all__ = ["File", "find_folder", "list_files", "place_files"]

#: entries of a folder that are looked at
MOST = 100_000
#: folders beside a log that may hold its checkpoints
FOLDERS = ("checkpoints", "checkpoint", "ckpts", "ckpt", "weights", "models", "snapshots")
#: nanoseconds after which the time stamp of a folder tells whether it changed
SETTLED = 2_000_000_000
#: distance to an evaluation, in steps, within which a file is that evaluation's: some tools count
#: steps from 0 in the log and from 1 in the name
NEAR = 1.0
#: the same as a share of the way to the next evaluation
SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class File:
    """A file, or a folder, that holds a checkpoint.

    Parameters
    ----------
    path : Path
        Where it is.
    name : Name
        What its name says.
    step : float or None
        At which step of the run it was saved, where that can be told.
    log : Path or None
        The log of the run that saved it, where the recorder's own list says so.
    """

    path: Path
    name: Name
    step: float | None = None
    log: Path | None = None

    def find_other_log(self, run: Run) -> Path | None:
        """Return the log that this belongs to where it is not this run's; else None."""
        try:
            if self.log is None or not run.source.path or not self.log.is_file():
                return None
            here, there = Path(run.source.path).resolve(), self.log.resolve()
        except (OSError, ValueError):
            return None
        return None if here == there or here in there.parents else self.log


def find_folder(run: Run) -> Path | None:
    """Return the folder that holds a run's checkpoints, or None.

    It is the one that the recorder noted, or a folder beside the log, or in the log's folder,
    with a name such as ``checkpoints``, or that folder itself, where it holds files with names of
    checkpoints that no other log claims.
    """
    source = run.source
    try:
        if not source.path:
            return None
        log = Path(source.path)
        here = log if log.is_dir() else log.parent
        own = read_name(here.name, folder=True)
        if own is not None and own.step is not None:
            here = here.parent  # the log of a trainer lies within each of its checkpoints
        noted = str(getattr(source, "checkpoints", "") or "")
        places = [here / noted] if noted else []
        above = f"{here}{os.sep}"
        places += [here / name for name in FOLDERS if os.path.isdir(above + name)]  # noqa: PTH112  # most are not there, and a Path for each takes longer than the look
        places.append(here)
        return next((place for place in places if place.is_dir() and _list_own(place, run)), None)
    except (OSError, ValueError):
        return None


def _list_own(folder: Path, run: Run) -> list[File]:
    return [file for file in _scan(folder) if file.find_other_log(run) is None]


def list_files(folder: str | os.PathLike[str], run: Run | None = None) -> list[File]:
    """Return the checkpoints of a folder by name.

    Parameters
    ----------
    folder : path
        Where.
    run : Run, optional
        The run whose files are wanted; those that belong to another log are left out. Default:
        all.

    Raises
    ------
    UsageError
        If there is no such folder, it cannot be read, or nothing in it is a checkpoint by name.
    """
    place = Path(folder)
    try:
        if not place.is_dir():
            what = "is a file, not a folder" if place.exists() else "does not exist"
            raise UsageError(
                f"the folder of checkpoints {str(folder)!r} {what}; name the folder that the "
                "training saved its files in"
            )
        found = _scan(place) if run is None else _list_own(place, run)
        empty = not found and not any(place.iterdir())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UsageError(
            f"the folder of checkpoints {str(folder)!r} cannot be read: {reason}"
        ) from error
    if empty:
        raise UsageError(f"the folder of checkpoints {str(folder)!r} is empty")
    if not found:
        raise UsageError(
            f"no name in {str(folder)!r} is a checkpoint's; names such as epoch=12-step=300.ckpt, "
            "checkpoint-500/, epoch_12.pth or best.pt are understood"
        )
    return found


def _scan(folder: Path) -> list[File]:
    """Return the checkpoints of a folder; many logs of one folder look into it but once."""
    changed = folder.stat().st_mtime_ns
    # a folder that changed just now may change again without another time stamp
    return list(_scanned(folder, changed if time.time_ns() - changed > SETTLED else time.time_ns()))


@lru_cache(maxsize=64)
def _scanned(folder: Path, _changed: int) -> tuple[File, ...]:
    own = {entry.name: entry for entry in read_index(folder)}
    found = []
    with os.scandir(folder) as entries:
        for _, entry in zip(range(MOST), entries, strict=False):
            if not (entry.is_dir() or entry.is_file()):
                continue  # a link to nowhere
            if entry.name in own:
                noted = own[entry.name]
                if noted.whole and noted.finite:
                    name = Name(step=float(noted.step), epoch=noted.epoch)
                    log = folder / noted.log if noted.log else None
                    path = folder / entry.name
                    found.append(File(path=path, name=name, step=float(noted.step), log=log))
                continue
            said = read_name(entry.name, folder=entry.is_dir())
            if said is not None:
                found.append(File(path=folder / entry.name, name=said))
    return tuple(sorted(found, key=lambda file: file.path.name))


def place_files(files: Iterable[File], run: Run, steps: Array) -> list[File]:
    """Return the files with the steps of the run at which they were saved.

    Parameters
    ----------
    files : iterable of File
        What a folder holds.
    run : Run
        The run; its steps may be optimizer steps or epochs.
    steps : ndarray of float, shape (n,)
        Where it was evaluated.

    Returns
    -------
    list of File
        Those that fit an evaluation have its very step. Whether epochs are counted from 0 or from
        1, and whether a bare number is a step or an epoch, is told by what fits more of the
        folder.
    """
    files = list(files)
    counting = _count(files, run, steps)
    return [replace(file, step=_snap(_locate(file, counting), steps)) for file in files]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Counting:
    """How the names of a folder count.

    Parameters
    ----------
    run : Run
        What they are names of.
    steps, epochs : ndarray of float, shape (n,)
        Where it was evaluated.
    offset, shift : float
        What has to be added to epochs, and to bare numbers that are epochs.
    bare_is_epoch : bool
        Whether bare numbers are.
    """

    run: Run
    steps: Array
    epochs: Array
    offset: float
    shift: float
    bare_is_epoch: bool


def _count(files: list[File], run: Run, steps: Array) -> _Counting:
    epochs = np.array([_epoch(run, step) for step in steps])
    named = [file for file in files if file.name.epoch is not None and file.step is None]
    bare = np.array([_bare(file) for file in files if _is_bare(file)])
    shift, hits = _shift(bare, epochs, equals=False)
    offset, _ = _shift(
        np.array([float(file.name.epoch or 0) for file in named]),
        epochs,
        equals=any(file.name.equals for file in named),
    )
    by_epoch = run.unit is StepUnit.EPOCH or hits > _hits(bare, steps, NEAR)
    return _Counting(
        run=run, steps=steps, epochs=epochs, offset=offset, shift=shift, bare_is_epoch=by_epoch
    )


def _locate(file: File, counting: _Counting) -> float | None:
    """Return the step at which a file was saved, as far as it can be told."""
    name, steps = file.name, counting.steps
    if file.step is not None:
        return file.step
    if name.step is not None and counting.run.unit is StepUnit.STEP:
        return name.step
    if name.epoch is not None:
        return _invert(name.epoch + counting.offset, counting)
    if _is_bare(file):
        number = _bare(file)
        return _invert(number + counting.shift, counting) if counting.bare_is_epoch else number
    return float(steps[-1]) if name.word == "last" and steps.size else None


def _is_bare(file: File) -> bool:
    name = file.name
    return (
        file.step is None and name.step is None and name.epoch is None and name.number is not None
    )


def _bare(file: File) -> float:
    return float(file.name.number or 0)


def _epoch(run: Run, step: float) -> float:
    epoch = run.epoch_at(float(step))
    return float("nan") if epoch is None else epoch


def _hits(numbers: Array, points: Array, near: float) -> int:
    """Return how many numbers lie at one of the points."""
    known = points[np.isfinite(points)]
    if not numbers.size or not known.size:
        return 0
    known = np.sort(known)
    after = np.searchsorted(known, numbers).clip(1, max(known.size - 1, 1))
    below, above = known[after - 1], known[np.minimum(after, known.size - 1)]
    return int((np.minimum(np.abs(numbers - below), np.abs(numbers - above)) <= near).sum())


def _shift(values: Array, epochs: Array, *, equals: bool) -> tuple[float, int]:
    """Return what has to be added to epochs in names to make them those of the run.

    Where several shifts fit as many files, ``epoch=12`` is taken to be counted from 0, and any
    other name as the run counts.
    """
    from_zero = equals or (values.size > 0 and values.min() == 0)
    starts = epochs[np.isfinite(epochs)]
    if from_zero and starts.size and starts.min() < SHARE:
        from_zero = False  # so does the log
    order = (1.0, 0.0, -1.0) if from_zero else (0.0, 1.0, -1.0)
    hits = {shift: _hits(values + shift, epochs, SHARE) for shift in order}
    best = max(order, key=lambda shift: hits[shift])
    return best, hits[best]


def _invert(epoch: float, counting: _Counting) -> float | None:
    """Return the step at which an epoch was complete."""
    run, epochs = counting.run, counting.epochs
    if run.unit is StepUnit.EPOCH:
        return epoch
    if not np.isfinite(epochs).any():
        return None
    near = int(np.nanargmin(np.abs(epochs - epoch)))
    if abs(epochs[near] - epoch) <= SHARE:
        return float(counting.steps[near])
    if run.epochs is None or not len(run.epochs):
        return None
    first, last = run.epochs.values[0] - 1, run.epochs.values[-1] + 1
    at = np.interp(epoch, run.epochs.values, run.epochs.steps)
    return float(at) if first <= epoch <= last else None


def _snap(step: float | None, steps: Array) -> float | None:
    """Return the evaluation that a step is, or the step where it is none."""
    if step is None or not steps.size:
        return step
    near = int(np.argmin(np.abs(steps - step)))
    gaps = np.diff(steps)
    width = float(gaps[max(near - 1, 0) : near + 1].min()) if gaps.size else np.inf
    return float(steps[near]) if abs(steps[near] - step) <= min(NEAR, width * SHARE) else step
