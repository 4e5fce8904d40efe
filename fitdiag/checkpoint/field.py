"""The points that a checkpoint is chosen among, and what other rules would take of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.findings import Alternative
from fitdiag.signals import LARGEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fitdiag.findings import GradientPhases
    from fitdiag.run import Run
    from fitdiag.signals import Signal

__all__ = ["Field", "list_alternatives"]


@dataclass(frozen=True, kw_only=True)
class Field:
    """All finite points of the curve that is chosen by; the least is the best.

    Parameters
    ----------
    steps, values : ndarray of float, shape (n,)
        The points, the values turned round where the largest is the best.
    sign : float
        1, or -1 where they are turned round.
    """

    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    sign: float

    @classmethod
    def of(cls, run: Run, signal: Signal, sign: float) -> Field:
        """Return the points of a signal's curve, before they were thinned."""
        curve = run.curves[signal.name]
        steps, values = curve.steps, curve.values
        finite = np.isfinite(values)
        if not finite.all():
            steps, values = steps[finite], values[finite]
        values = sign * np.minimum(np.maximum(values, -LARGEST), LARGEST)
        return cls(steps=steps, values=values, sign=sign)

    @property
    def fall(self) -> float:
        """How far the values fell from the first to the least."""
        return float(self.values[0]) - float(self.values.min())

    def after(self, step: float) -> NDArray[np.intp]:
        """Return the indices of the points from a step on."""
        return np.flatnonzero(self.steps >= step)


def list_alternatives(
    run: Run, field: Field, phases: GradientPhases | None
) -> tuple[Alternative, ...]:
    """Return what the lowest raw value, the last and the first settled point are."""
    indices = {"argmin": int(np.argmin(field.values)), "last": field.steps.size - 1}
    if phases is not None and phases.settled is not None:
        after = field.after(phases.settled)
        if after.size:
            indices["first settled"] = int(after[0])
    return tuple(
        Alternative(
            rule=rule,
            step=float(field.steps[index]),
            epoch=run.epoch_at(float(field.steps[index])),
            value=field.sign * float(field.values[index]),
        )
        for rule, index in indices.items()
    )
