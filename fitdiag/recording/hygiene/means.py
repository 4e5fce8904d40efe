"""Validation losses that the user averages over batches of unequal size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fitdiag.mistakes import MEAN_DIFFERENCE
from fitdiag.recording.averages import read_value
from fitdiag.recording.events import Logged, Loss, Step
from fitdiag.recording.hygiene.places import find_place
from fitdiag.recording.hygiene.watcher import Watcher, is_held_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fitdiag.recording.events import Event
    from fitdiag.recording.hygiene.places import Place
    from fitdiag.recording.hygiene.watcher import Scene

__all__ = ["MeanWatcher"]

#: relative difference of two numbers that are the same but for rounding
ROUNDING = 1e-5


class MeanWatcher(Watcher):
    """Compares the validation loss that the user logs with the mean over all samples.

    It is told only where the logged number is the plain mean of the batches' losses, so that it
    is certain where the difference comes from.
    """

    codes = ("LOP011",)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._place: Place | None = None
        self._losses: list[Loss] = []

    def note_values(self, values: Mapping[str, object]) -> None:
        """Remember the line that logs a validation loss."""
        if "val_loss" in values:
            self._place = find_place()

    def inspect(self, events: Sequence[Event]) -> None:
        """Collect each evaluation, and compare it with what was logged after it."""
        if self._place is None:
            return
        for event in events:
            if isinstance(event, Loss):
                if event.backward is None and _is_validation(event):
                    self._losses.append(event)
            elif isinstance(event, Step):
                self._losses.clear()
            elif isinstance(event, Logged) and "val_loss" in event.values:
                self._compare(float(event.values["val_loss"]))
                self._losses.clear()

    def _compare(self, logged: float) -> None:
        pairs = [(read_value(event), event.weight or 0) for event in self._losses]
        total = sum(weight for _, weight in pairs)
        if len(pairs) < 2 or not all(weight for _, weight in pairs):
            return
        plain = sum(value for value, _ in pairs) / len(pairs)
        weighted = sum(value * weight for value, weight in pairs) / total
        if not (math.isfinite(logged) and math.isfinite(weighted)):
            return
        self.informed.add("LOP011")
        size = max(abs(logged), abs(weighted))
        if abs(logged - plain) > ROUNDING * size:
            return
        if abs(logged - weighted) >= MEAN_DIFFERENCE * size:
            self.tell(
                "LOP011",
                f"The logged val_loss, {logged:.4g}, is the mean over batches of unequal size; "
                f"the mean over samples is {weighted:.4g}.",
                self._place,
                logged=logged,
                weighted=weighted,
            )
            self.done = True


def _is_validation(event: Loss) -> bool:
    if event.phase is not None:
        return is_held_out(event.phase)
    return not event.grad or not event.training
