"""The time axis that all panels share: epochs where the log knows them, else its own steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.report.words import count
from fitdiag.run import Curve, StepUnit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from fitdiag.run import Run

    Array = NDArray[np.float64]

__all__ = ["Axis", "choose_axis", "place"]

_LABELS = {StepUnit.STEP: "Step", StepUnit.EPOCH: "Epoch", StepUnit.ROW: "Row"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Axis:
    """How steps become places on the axis.

    Parameters
    ----------
    label : str
        ``"Epoch"``, ``"Step"`` or ``"Row"``.
    anchors : Curve or None
        Epochs at steps, both increasing, at least two of them; beyond its ends the axis goes on
        as between the nearest two. None when the steps are drawn as they are.
    """

    label: str
    anchors: Curve | None = None

    @property
    def word(self) -> str:
        """The label as it stands within a sentence."""
        return self.label.lower()

    def map(self, steps: Array) -> Array:
        """Return the places of steps, shape (n,)."""
        if self.anchors is None:
            return steps
        at, epochs = self.anchors.steps, self.anchors.values
        inside = np.interp(steps, at, epochs)
        before = epochs[0] + (steps - at[0]) * (epochs[1] - epochs[0]) / (at[1] - at[0])
        after = epochs[-1] + (steps - at[-1]) * (epochs[-1] - epochs[-2]) / (at[-1] - at[-2])
        return np.where(steps < at[0], before, np.where(steps > at[-1], after, inside))

    def at(self, step: float) -> float:
        """Return the place of one step."""
        return float(self.map(np.array([step]))[0])

    def moment(self, step: float) -> str:
        """Name a step by its place, for example "epoch 41"."""
        return f"{self.word} {count(self.at(step))}"


def choose_axis(run: Run) -> Axis:
    """Return the axis for a run.

    Epochs are taken only if they tell points apart. A log that writes "epoch 3" beside each of a
    thousand batches does not, but its evaluations do, and what lies between two of them is spread
    evenly.
    """
    if run.unit is not StepUnit.EPOCH and run.epochs is not None:
        for anchors in _anchors(run, run.epochs):
            if len(anchors) > 1 and (np.diff(anchors.values) > 0).all():
                return Axis(label="Epoch", anchors=anchors)
    return Axis(label=_LABELS[run.unit])


def _anchors(run: Run, epochs: Curve) -> Iterator[Curve]:
    """Yield the epochs at all rows, then at the points of each loss."""
    yield epochs
    for loss in (run.get("train_loss"), run.get("val_loss")):
        if loss is not None and len(epochs):
            at = np.interp(loss.steps, epochs.steps, epochs.values)
            yield Curve(name=epochs.name, steps=loss.steps, values=at)


def place(run: Run, step: float) -> str:
    """Name a step in full, for example "epoch 41 (step 1,230)"."""
    moment = run.moment(step)
    itself = f"{run.unit} {count(step)}"
    return moment if run.epoch_at(step) is None or moment == itself else _both(run, moment, itself)


def _both(run: Run, moment: str, itself: str) -> str:
    return moment if run.unit is StepUnit.EPOCH else f"{moment} ({itself})"
