"""What the steps of a table are: optimizer steps, epochs, or its rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.run import Curve, StepUnit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fitdiag.readers.cells import Cells

__all__ = ["Axis", "choose_axis", "find_starts"]

#: a loss with more values than this in each epoch is logged within epochs, not once in each
PER_EPOCH = 1.5

#: steps are the axis unless epochs change more often than this many times as often
FINER = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Axis:
    """The step of every row.

    Parameters
    ----------
    steps : ndarray of float, shape (n,)
        NaN where a row has none.
    unit : StepUnit
        What they count.
    epochs : ndarray of float, shape (n,), or None
        The epoch of every row, where it is not the step itself.
    reason : str
        A sentence on why rows are counted, where that had to be decided.
    """

    steps: NDArray[np.float64]
    unit: StepUnit
    epochs: NDArray[np.float64] | None = None
    reason: str = ""

    @property
    def clock(self) -> tuple[NDArray[np.float64], str]:
        """What shows that a new run starts, and how it is called."""
        if self.unit is StepUnit.ROW and self.epochs is not None:
            return self.epochs, "epoch"
        return self.steps, str(self.unit)

    @cached_property
    def turns(self) -> int:
        """How often the steps go back."""
        if self.is_sorted:
            return 0
        finite = self.steps[np.isfinite(self.steps)]
        return int(np.count_nonzero(finite[1:] < finite[:-1]))

    @cached_property
    def is_sorted(self) -> bool:
        """Whether every step is larger than the one before."""
        return bool((self.steps[1:] > self.steps[:-1]).all())

    @property
    def notes(self) -> list[str]:
        """What a reader of the run should know of its steps."""
        notes = [self.reason] if self.reason else []
        alive = self.find_alive()
        if alive is not None:
            clock, what = self.clock
            lost = int(alive.size - alive.sum())
            rows = "1 row that was" if lost == 1 else f"{lost} rows that were"
            back = int(np.count_nonzero(np.diff(clock[np.isfinite(clock)]) < 0))
            times = "once" if back == 1 else f"{back} times"
            notes.append(
                f"The {what}s go back {times} (a resumed run): left out {rows} done again after it."
            )
        elif not self.is_sorted and self.turns:
            times = "once" if self.turns == 1 else f"{self.turns} times"
            notes.append(
                f"The {self.unit}s go back {times} (a resumed or appended run): where one occurs "
                "again, the later value was used."
            )
        return notes

    def find_alive(self) -> NDArray[np.bool_] | None:
        """Return the rows that a resumed run did not do again; None if nothing was resumed.

        Steps that go back at more than one row in ten are in no order, rather than resumed.
        """
        clock, _ = self.clock
        known = np.isfinite(clock)
        if not (clock[1:] < clock[:-1]).any() and known.all():
            return None
        filled = np.where(known, clock, np.inf)
        rows = np.flatnonzero(known)
        turns = rows[1:][np.diff(clock[rows]) < 0]
        if not turns.size or turns.size > max(1, clock.size // 10):
            return None
        ahead = np.full(clock.size + 1, np.inf)
        ahead[turns] = clock[turns]
        ahead = np.minimum.accumulate(ahead[::-1])[::-1][1:]
        # of equal steps each curve keeps its last value; counted rows of an epoch go all at once
        again = filled >= ahead if self.unit is StepUnit.ROW else filled > ahead
        alive: NDArray[np.bool_] = ~(known & again)
        return alive

    def select(self, rows: slice | NDArray[np.bool_]) -> Axis:
        """Return the axis of some rows; counted rows are counted anew."""
        steps = self.steps[rows]
        if self.unit is StepUnit.ROW and steps.size:
            if not isinstance(rows, slice):
                steps = self.steps[: steps.size]
            steps = steps - steps[0] + self.steps[0]
        epochs = None if self.epochs is None else self.epochs[rows]
        return replace(self, steps=steps, epochs=epochs)

    def make_epochs(self) -> Curve | None:
        """Return the epoch at each step that has one, as a curve; None if there is none."""
        if self.epochs is None or self.unit is StepUnit.EPOCH:
            return None
        steps, epochs = self.steps, self.epochs
        known = np.isfinite(epochs) & np.isfinite(steps)
        if not known.all():
            steps, epochs = steps[known], epochs[known]
        if not steps.size:
            return None
        if not (steps[1:] > steps[:-1]).all():
            order = np.argsort(steps, kind="stable")
            order = order[np.append(np.diff(steps[order]) > 0, np.True_)]
            steps, epochs = steps[order], epochs[order]
        return Curve(name="epoch", steps=steps, values=epochs)


def choose_axis(
    step: Cells | None,
    epoch: Cells | None,
    index: Cells | None,
    measured: NDArray[np.bool_] | None,
    *,
    native: bool = False,
) -> Axis:
    """Tell what the rows of a table are steps of.

    Parameters
    ----------
    step, epoch, index : Cells or None
        The columns that hold optimizer steps, epochs and a row index.
    measured : ndarray of bool or None
        In which rows the training loss was measured.
    native : bool
        Whether fitdiag wrote the table: then its steps are the axis without further thought.

    Returns
    -------
    Axis
        Optimizer steps where they tell rows apart at least as well as epochs do; else epochs; else
        the row index or the number of the row, from 1.
    """
    steps, epochs, indices = (
        None if cells is None else cells.values for cells in (step, epoch, index)
    )
    steps = steps if steps is not None and np.isfinite(steps).any() else None
    epochs = epochs if epochs is not None and np.isfinite(epochs).any() else None
    if steps is not None and epochs is not None:
        if native:
            return Axis(steps=steps, unit=StepUnit.STEP, epochs=epochs)
        if _restarts_each_epoch(steps, epochs):
            return _count_rows(epochs, "The steps start again in every epoch: rows are counted.")
        if FINER * _count_changes(steps) >= _count_changes(epochs):
            return Axis(steps=steps, unit=StepUnit.STEP, epochs=epochs)
        return Axis(steps=epochs, unit=StepUnit.EPOCH)
    if steps is not None:
        return Axis(steps=steps, unit=StepUnit.STEP)
    if epochs is not None:
        if measured is not None and _is_within(epochs[measured & np.isfinite(epochs)]):
            return _count_rows(epochs, "Epochs go over several rows each: rows are counted.")
        return Axis(steps=epochs, unit=StepUnit.EPOCH)
    if indices is not None and np.isfinite(indices).all() and (indices[1:] > indices[:-1]).all():
        return Axis(steps=indices, unit=StepUnit.ROW)
    size = 0 if measured is None else measured.size
    return Axis(steps=np.arange(1.0, size + 1), unit=StepUnit.ROW)


def find_starts(clock: NDArray[np.float64]) -> list[int]:
    """Return the rows where a run starts: the first, and each that goes back to the start."""
    known = np.isfinite(clock)
    if known.all() and (clock[1:] >= clock[:-1]).all():
        return [0]
    rows = np.flatnonzero(known)
    values = clock[rows]
    starts, origin = [0], values[0] if values.size else 0.0
    for drop in np.flatnonzero(values[1:] < values[:-1]) + 1:
        if values[drop] <= origin:
            starts.append(int(rows[drop]))
            origin = values[drop]
    return starts


def _count_rows(epochs: NDArray[np.float64], reason: str) -> Axis:
    steps = np.arange(1.0, epochs.size + 1)
    return Axis(steps=steps, unit=StepUnit.ROW, epochs=epochs, reason=reason)


def _count_changes(values: NDArray[np.float64]) -> int:
    known = np.isfinite(values)
    finite = values if known.all() else values[known]
    return int(np.count_nonzero(finite[1:] != finite[:-1]))


def _is_within(epochs: NDArray[np.float64]) -> bool:
    return epochs.size > PER_EPOCH * (_count_changes(epochs) + 1)


def _restarts_each_epoch(steps: NDArray[np.float64], epochs: NDArray[np.float64]) -> bool:
    both = np.isfinite(steps) & np.isfinite(epochs)
    back = np.diff(steps[both]) < 0
    return bool(back.any() and (np.diff(epochs[both])[back] > 0).mean() > 0.5)
