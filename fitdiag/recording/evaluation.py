"""The losses of one evaluation, however many batches it has."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from fitdiag.recording.averages import Mean, average_evaluation

if TYPE_CHECKING:
    from fitdiag.recording.averages import Recipe
    from fitdiag.recording.events import Loss

__all__ = ["Evaluation"]

#: losses that are kept one by one; beyond twice as many, the first of them become a mean
CROWD = 8192


class Evaluation:
    """Collects the losses of one evaluation; of a very long one mostly their mean."""

    __slots__ = ("_folded", "_losses", "_mean")

    def __init__(self) -> None:
        self._losses: list[Loss] = []
        self._mean: Mean | None = None
        self._folded = 0  # losses that are in the mean

    def __len__(self) -> int:
        return self._folded + len(self._losses)

    def add(self, loss: Loss, recipe: Recipe | None, *, each: bool) -> None:
        """Take the next loss; the rest as for :meth:`average`."""
        self._losses.append(loss)
        if len(self._losses) < 2 * CROWD:
            return
        end = self._find_end(len(recipe.parts) if recipe else 1)
        self._mean = self._mean or Mean()
        average_evaluation(self._losses[:end], recipe, each=each, into=self._mean)
        self._folded += end
        del self._losses[:end]

    def _find_end(self, size: int) -> int:
        """Return where to cut so that the losses of one batch stay together."""
        whole = CROWD - CROWD % max(size, 1)
        for end in range(whole, whole // 2, -1):
            if self._losses[end - 1].forward != self._losses[end].forward:
                return end
        return whole

    def average(self, recipe: Recipe | None, *, each: bool) -> float:
        """Return the mean over its batches; see :func:`average_evaluation`."""
        mean = copy.deepcopy(self._mean)
        if mean is not None and not self._losses:
            return mean.value
        return average_evaluation(self._losses, recipe, each=each, into=mean)

    def cut(self, size: int) -> None:
        """Forget what came after so many losses, as far as they are kept one by one."""
        del self._losses[max(0, size - self._folded) :]
