"""Which rows of a log belong to one run, and at which step each row stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.run import StepUnit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

__all__ = ["Rows", "cut", "lay_out"]

#: a run that starts again does so within this share of a logging interval of its first step
NEAR_START = 0.5

#: more than this share of steps that go back is two writers, not restarts
MIXED = 0.05

#: a loss with more rows than this in each epoch is logged within epochs
PER_EPOCH = 1.5

TWO_WRITERS = (
    "Steps go back and forth all the time, as where two processes write one log: of the values "
    "at one step the later was taken."
)


@dataclass(kw_only=True, eq=False)
class Rows:
    """What is known of a log's rows.

    Parameters
    ----------
    main : ndarray of bool, shape (n,)
        The rows with a training loss.
    steps, epochs : ndarray of float, shape (n,)
        NaN where a row has none.
    counted : bool
        Whether the log's steps count calls of the logger, not optimizer steps.
    """

    main: Flags
    steps: Floats
    epochs: Floats
    counted: bool = False

    def select(self, part: slice) -> Rows:
        """Return some of the rows."""
        return Rows(
            main=self.main[part],
            steps=self.steps[part],
            epochs=self.epochs[part],
            counted=self.counted,
        )


def cut(rows: Rows, notes: list[str]) -> list[slice]:
    """Return the rows of each run in a log, in order; a resumed run is one."""
    size = rows.main.size
    clock = rows.epochs if _is_inner(rows) or not _knows(rows.steps, rows.main) else rows.steps
    known = np.flatnonzero(rows.main & np.isfinite(clock))
    values = clock[known]
    drops = np.flatnonzero(values[1:] < values[:-1]) + 1
    if not drops.size:
        return [slice(0, size)]
    rises = np.diff(values)
    interval = float(np.median(rises[rises > 0])) if (rises > 0).any() else 0.0
    fall = float(np.median(values[drops - 1] - values[drops]))
    if drops.size > max(MIXED * values.size, 2) and fall <= 5 * max(interval, 1.0):
        notes.append(TWO_WRITERS)
        return [slice(0, size)]
    starts = [0]
    origin = values[0]
    for drop in drops:
        if values[drop] <= origin + NEAR_START * interval:
            starts.append(int(known[drop]))
            origin = values[drop]
    return [slice(at, end) for at, end in zip(starts, [*starts[1:], size], strict=True)]


def lay_out(rows: Rows, notes: list[str]) -> tuple[Floats, StepUnit, Floats | None]:
    """Return the step of every row of one run, their unit, and the epoch of every row.

    A row that has no step of its own stands where the training row before it does; NaN where it
    has an epoch instead, and the epoch is to tell.
    """
    main = rows.main
    if _knows(rows.steps, main):
        if _is_inner(rows):
            return _count_through(rows, notes)
        steps = rows.steps.copy()
        _mend_validation(rows, steps)
        unknown = ~np.isfinite(steps) & ~np.isfinite(rows.epochs)
        steps[unknown] = _fill(np.where(main, steps, np.nan))[unknown]
        return steps, StepUnit.ROW if rows.counted else StepUnit.STEP, rows.epochs
    if _knows(rows.epochs, main):
        known = rows.epochs[main & np.isfinite(rows.epochs)]
        if known.size <= PER_EPOCH * np.unique(known).size:
            return _fill(rows.epochs), StepUnit.EPOCH, None
        notes.append("Epochs go over several rows each: rows are counted.")
    count = np.cumsum(main).astype(float)
    return count, StepUnit.ROW, None


def _knows(values: Floats, main: Flags) -> bool:
    """Tell whether at least half of the training rows have a value."""
    here = np.isfinite(values[main])
    return bool(here.size and 2 * np.count_nonzero(here) >= here.size)


def _is_inner(rows: Rows) -> bool:
    """Tell whether the steps start anew in each epoch."""
    both = rows.main & np.isfinite(rows.steps) & np.isfinite(rows.epochs)
    back = np.diff(rows.steps[both]) < 0
    rises = np.diff(rows.epochs[both])[back] > 0
    return bool(back.any() and 2 * np.count_nonzero(rises) > rises.size)


def _count_through(rows: Rows, notes: list[str]) -> tuple[Floats, StepUnit, Floats | None]:
    """Count steps that start anew in each epoch through the whole run."""
    main, epochs = rows.main, _fill(np.where(np.isfinite(rows.epochs), rows.epochs, np.nan))
    counted = rows.steps[main & np.isfinite(rows.steps)]
    longest = float(counted.max(initial=0.0)) + float(counted.min(initial=1.0) == 0)  # from zero
    first = float(np.nanmin(epochs[main]))
    notes.append(
        f"The steps start again in every epoch and were counted through, with {longest:.0f} in "
        "each, the most that were logged."
    )
    solid = np.where(np.isfinite(rows.steps), rows.steps, np.nan)
    within = np.where(main, solid, longest)  # validation stands at the end of its epoch
    return (epochs - first) * longest + within, StepUnit.STEP, epochs


def _mend_validation(rows: Rows, steps: Floats) -> None:
    """Bring validation rows to the steps of the others where their own are of another kind.

    These are the number of the epoch, or the number of validation batches, always the same.
    """
    other = ~rows.main & np.isfinite(rows.steps)
    if not other.any():
        return
    at = _fill(np.where(rows.main, rows.steps, np.nan))
    epochs = _fill(np.where(rows.main, rows.epochs, np.nan))
    own, last = rows.steps[other], at[other]
    is_epoch = (np.abs(own - epochs[other]) <= 1) & (own < last)
    is_constant = np.ptp(own) == 0 and np.unique(last).size > 1
    if is_constant or 2 * np.count_nonzero(is_epoch) > own.size:
        steps[other] = last


def _fill(values: Floats) -> Floats:
    """Fill gaps with the value before."""
    known = np.isfinite(values)
    if known.all() or not known.any():
        return values
    at = np.maximum.accumulate(np.where(known, np.arange(values.size), 0))
    return values[at]
