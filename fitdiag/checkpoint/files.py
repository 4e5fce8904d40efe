"""Which file holds the picked checkpoint, which hold the alternatives, and which is nearest."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.checkpoint.folder import File, find_folder, list_files, place_files
from fitdiag.errors import UsageError
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from fitdiag.findings import Alternative, Checkpoint
    from fitdiag.run import Run

    Array = NDArray[np.float64]

__all__ = ["attach_files", "say_command"]


def attach_files(
    checkpoint: Checkpoint, run: Run, folder: str | os.PathLike[str] | None = None
) -> Checkpoint:
    """Return a pick with the files that hold it and its alternatives.

    Parameters
    ----------
    checkpoint : Checkpoint
        What was picked.
    run : Run
        From which run.
    folder : path, optional
        The folder of checkpoints. Default: the one that the recorder noted, or one beside the
        log, if there is any.

    Returns
    -------
    Checkpoint
        With ``path``, ``folder``, ``nearest``, ``nearest_step``, ``files`` and the alternatives'
        ``path``; the same where no folder is known.

    Raises
    ------
    UsageError
        If the folder that is given is none, or holds no checkpoint by name.
    """
    if folder is not None:
        return _attach(checkpoint, run, folder, list_files(folder))
    found = find_folder(run)
    if found is None:
        return checkpoint
    try:
        attached = _attach(checkpoint, run, found, list_files(found, run))
    except UsageError:  # it has gone in between, and nobody asked for it
        return checkpoint
    fitting = attached.path or any(other.path for other in attached.alternatives)
    near = attached.nearest_step is not None and attached.nearest_step <= run.span[1]
    return attached if fitting or near else checkpoint


def _attach(
    checkpoint: Checkpoint, run: Run, place: str | os.PathLike[str], listed: list[File]
) -> Checkpoint:
    curve = run.curves[checkpoint.curve]
    steps = curve.steps[np.isfinite(curve.values)]
    files = place_files(listed, run, steps)
    others = tuple(
        replace(other, path=_path(_find(files, other.step)) or _best(files, other))
        for other in checkpoint.alternatives
    )
    exact = _find(files, checkpoint.step)
    near = exact or _nearest(files, checkpoint.step)
    return replace(
        checkpoint,
        path=_path(exact),
        folder=str(place),
        nearest=_path(near),
        nearest_step=None if near is None else near.step,
        files=_say(files, checkpoint, exact, near, run),
        alternatives=others,
    )


def say_command(checkpoint: Checkpoint, log: str) -> str:
    """Return the command that copies the picked file into a folder ``best``, or nothing.

    Parameters
    ----------
    checkpoint : Checkpoint
        The pick with its files.
    log : str
        The log that it was made from.
    """
    if not checkpoint.folder or not checkpoint.nearest or not log:
        return ""
    words = ["fitdiag", "pick", log, "--checkpoints", checkpoint.folder, "--copy-to", "best/"]
    if not checkpoint.path:
        words.append("--nearest")
    return shlex.join(words)


def _path(file: File | None) -> str | None:
    return None if file is None else str(file.path)


def _find(files: list[File], step: float) -> File | None:
    """Return the file of a step; one with a number in its name before one that is only ``last``."""
    there = [file for file in files if file.step == step]
    return min(there, key=lambda file: bool(file.name.word), default=None)


def _nearest(files: list[File], step: float) -> File | None:
    placed = [file for file in files if file.step is not None]
    return min(placed, key=lambda file: abs((file.step or 0.0) - step), default=None)


def _best(files: list[File], other: Alternative) -> str | None:
    """Return the file that another tool called its best, for the lowest value; else None."""
    if other.rule != "argmin":
        return None
    named = [file for file in files if file.name.word == "best" and file.step is None]
    return _path(named[0]) if len(named) == 1 else None


def _say(
    files: list[File], pick: Checkpoint, exact: File | None, near: File | None, run: Run
) -> str:
    """Return the sentence about the files."""
    if exact is not None:
        return f"It is in {exact.path}.{_doubt(exact, run)}"
    where = run.moment(pick.step)
    named = _claimed(files, pick)
    claim = f" {named} may: it is what another tool called its best." if named else ""
    if near is None:
        names = ", ".join(file.path.name for file in files[:3])
        told = f"No name in the folder ({names}) says that it holds {where}"
        if run.unit is StepUnit.EPOCH and any(file.name.step is not None for file in files):
            told += ": they count steps, and the log has epochs alone"
        return f"{told}.{claim}"
    said = f"No file holds {where}; the nearest is {near.path}"
    said += (f", {_place(near, run)}." if near.step is not None else ".") + claim
    best = _lowest(files, pick, run)
    if best is not None and best.path != near.path and best.step is not None:
        said += f" The best of the files by {pick.curve} is {best.path}, {_place(best, run)}."
    return said + _doubt(near, run)


def _doubt(file: File, run: Run) -> str:
    """Return the sentence that says that a file is of another run, where that is known."""
    other = file.find_other_log(run)
    return "" if other is None else f" But it was saved by another run, that of {other.name}."


def _place(file: File, run: Run) -> str:
    """Return when a file was saved, and how its name counts where that is another number."""
    step = file.step or 0.0
    told, epoch = file.name.epoch, run.epoch_at(step)
    counted = told is not None and epoch is not None and round(epoch - told) == 1
    return run.moment(step) + (", since its name counts epochs from 0" if counted else "")


def _claimed(files: list[File], pick: Checkpoint) -> str | None:
    """Return the file that another tool called its best, where the pick is the raw best too."""
    lowest = next((other for other in pick.alternatives if other.rule == "argmin"), None)
    return None if lowest is None or lowest.step != pick.step else _best(files, lowest)


def _lowest(files: list[File], pick: Checkpoint, run: Run) -> File | None:
    """Return the file with the best raw value of the curve that was chosen by."""
    curve = run.curves[pick.curve]
    values = dict(zip(curve.steps.tolist(), curve.values.tolist(), strict=True))
    known = [file for file in files if np.isfinite(values.get(file.step, np.nan))]
    sign = -1.0 if pick.direction == "max" else 1.0
    return min(known, key=lambda file: sign * values[file.step or 0.0], default=None)
