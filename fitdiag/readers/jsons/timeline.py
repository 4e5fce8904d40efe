"""Lists of numbers become series: which list holds the steps of which, and what if none does."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.readers.jsons.assembly import find_main, find_measured
from fitdiag.readers.names import classify, find_split
from fitdiag.readers.series import Series
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from fitdiag.readers.jsons.tracks import Track

    Floats = NDArray[np.float64]

__all__ = ["place_tracks"]

#: a list that is shorter by this many values at most was cut off, not measured less often
TORN = 2


def place_tracks(
    tracks: Mapping[str, Track], columns: Mapping[str, str], notes: list[str]
) -> tuple[list[Series], Series | None]:
    """Return the series in lists of numbers, and the epoch at each step if that is known.

    Parameters
    ----------
    tracks : mapping of str to Track
        By name; those that hold steps or epochs serve as axes.
    columns : mapping of str to str
        What the user said.
    notes : list of str
        Is added to.
    """
    axes = [track for track in tracks.values() if track.axis]
    axes = [track for track in axes if _is_increasing(track.values)]
    curves = {name: track for name, track in tracks.items() if track.axis is None}
    main = columns.get("train_loss") or find_main({name: classify(name) for name in curves})
    first = curves.get(main or "") or next(iter(curves.values()), None)
    if first is None:
        return [], None
    guess = _guess_unit(curves)
    frame, unit = _find_steps(first, axes, guess) or (_count(first), guess)
    series = [_place(name, track, axes, (frame, unit), notes) for name, track in curves.items()]
    return series, _find_clock(first, axes, unit)


def _place(
    name: str,
    track: Track,
    axes: Sequence[Track],
    frame: tuple[Floats, StepUnit],
    notes: list[str],
) -> Series:
    if track.averaged:
        notes.append(f'"{name}" is a list of lists: the mean of each was taken.')
    cells = np.array([np.nan if cell is None else cell for cell in track.values])
    keep = np.array([cell is not None for cell in track.values], dtype=bool)
    found = _find_steps(track, axes, frame[1])
    if found is None:
        found = _spread(name, cells.size, frame[0], notes), frame[1]
    keep[keep] = find_measured(cells[keep])
    return Series(name=name, steps=found[0][keep], values=cells[keep], unit=found[1])


def _find_steps(
    track: Track, axes: Sequence[Track], guess: StepUnit
) -> tuple[Floats, StepUnit] | None:
    """Return a track's own steps, or those of the axis that stands nearest to it."""
    if track.steps is not None:
        return np.array(track.steps), track.unit or guess
    fitting = [axis for axis in axes if _fits(axis, track)]
    if not fitting:
        return None
    best = max(
        fitting,
        key=lambda axis: (len(axis.path), find_split(axis.leaf) != "", axis.axis is StepUnit.STEP),
    )
    return np.array(best.values, dtype=float), best.axis or StepUnit.ROW


def _fits(axis: Track, track: Track) -> bool:
    parent = axis.path[:-1]
    if len(axis.values) != len(track.values) or track.path[: len(parent)] != parent:
        return False
    split = find_split(axis.leaf)
    return split in {"", track.split or "train"}


def _find_clock(first: Track, axes: Sequence[Track], unit: StepUnit) -> Series | None:
    """Return the epoch at each step, where both stand beside the training loss."""
    if unit is not StepUnit.STEP or first.steps is not None:
        return None
    fitting = [axis for axis in axes if _fits(axis, first)]
    steps = next((axis for axis in fitting if axis.axis is StepUnit.STEP), None)
    epochs = next((axis for axis in fitting if axis.axis is StepUnit.EPOCH), None)
    if steps is None or epochs is None:
        return None
    return Series(
        name="epoch",
        steps=np.array(steps.values, dtype=float),
        values=np.array(epochs.values, dtype=float),
    )


def _count(track: Track) -> Floats:
    return np.arange(1.0, len(track.values) + 1)


def _guess_unit(curves: Mapping[str, Track]) -> StepUnit:
    """Tell whether this is what Keras calls a history: one value an epoch of everything."""
    sizes = {len(track.values) for track in curves.values()}
    is_keras = "loss" in curves and any(
        name.startswith("val_") or classify(name).kind == "metric" for name in curves
    )
    return StepUnit.EPOCH if is_keras and len(sizes) == 1 else StepUnit.ROW


def _spread(name: str, size: int, frame: Floats, notes: list[str]) -> Floats:
    """Return the steps of a list that has more or fewer values than the training loss."""
    length = frame.size
    if size == length:
        return frame
    ahead = frame[0] - (frame[1] - frame[0] if length > 1 else 1.0)
    if size == length + 1:
        notes.append(f'"{name}" has one value more: its first was taken to precede the training.')
        return np.append(ahead, frame)
    if length - TORN <= size < length and size > TORN:
        notes.append(f'"{name}" has {length - size} of {length} values less, taken as the last.')
        return frame[:size]
    notes.append(
        f'"{name}" has {size} values and the training loss {length}; nothing says at which steps, '
        "so they are spread evenly to the same end."
    )
    at = np.arange(1, size + 1) * (length / size)
    spread: Floats = np.interp(at, np.arange(length + 1), np.append(ahead, frame))
    return spread


def _is_increasing(values: Sequence[float | None]) -> bool:
    known = [value for value in values if value is not None]
    return len(known) == len(values) and all(before < after for before, after in pairwise(known))
