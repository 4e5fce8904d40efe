"""Losses that could have been trained on and were not: validation, or batches that were skipped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fitdiag.recording.events import Loss, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitdiag.recording.events import Event

__all__ = ["Leftovers", "is_unused"]

#: sizes of batches that are remembered; where there are more, sizes tell nothing
MOST_SIZES = 64


def is_unused(loss: Loss) -> bool:
    """Tell whether a loss could have been trained on, and was not."""
    return loss.grad and loss.backward is None and loss.training


class Leftovers:
    """Tells losses that a loop evaluates in training mode from batches that it skips.

    Both are losses that no backward pass reaches. Validation comes before each step, is several
    in a row, or one now and then whose size is always the same and that of no training batch; a
    loop that has another way of evaluating skips them.

    Attributes
    ----------
    are_validation : bool
        Whether they are.
    lone : bool
        Whether it is one loss at a time that is.
    """

    def __init__(self) -> None:
        self.are_validation = False
        self.lone = False
        self._proper = False  # validation losses that no_grad or eval tells
        self._unused = 0  # since the last step
        self._streak = 0  # steps in a row before which there were such losses
        self._sizes: set[int | None] = {None}  # of what was trained on
        self._last: int | None = None  # size of the last that was not used
        self._lone_size: int | None = None  # of the last that stood alone between two steps
        self._stepped = False

    def look(self, events: Sequence[Event], *, stepped: bool) -> int:
        """Look at settled events.

        Parameters
        ----------
        events : sequence of Event
            Those that follow the ones before.
        stepped : bool
            Whether an optimizer is known to step at all.

        Returns
        -------
        int
            How many evaluations of earlier calls turn out now to have been some.
        """
        earlier = self._lone_size
        self._stepped |= stepped
        since: list[Loss] = []  # backward passes since the last step
        for event in events:
            if isinstance(event, Step):
                self._end_step(since)
                since.clear()
            elif isinstance(event, Loss) and is_unused(event):
                self._unused += math.isfinite(event.value)
                self._last = event.weight
            elif isinstance(event, Loss) and event.phase is None:
                self._proper |= event.backward is None
                if event.backward is not None:
                    since.append(event)
            several = self._unused > 1 and self._stepped
            if (several or self._streak > 1) and not self._proper:
                self.are_validation = True
        return int(self.lone and earlier is not None)

    def _end_step(self, since: Sequence[Loss]) -> None:
        self._stepped = True
        if self._proper and not any(loss.training for loss in since):
            for loss in since:  # there is validation besides: train mode was not switched back on
                loss.stepped = True
        if len(self._sizes) < MOST_SIZES:
            self._sizes.update(loss.weight for loss in since)
        self._streak = self._streak + 1 if self._unused else 0
        if self._unused == 1 and not self.are_validation and not self._proper:
            strange = self._last not in self._sizes and len(self._sizes) < MOST_SIZES
            if strange and self._last == self._lone_size:
                self.are_validation = self.lone = True
            self._lone_size = self._last if strange else None
        self._unused = 0
