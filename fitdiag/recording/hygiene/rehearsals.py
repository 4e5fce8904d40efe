"""Test data that is evaluated again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.mistakes import FEW_TESTS
from fitdiag.recording.hygiene.places import find_place
from fitdiag.recording.hygiene.watcher import Watcher

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from fitdiag.recording.hygiene.watcher import Scene

__all__ = ["RehearsalWatcher"]


class RehearsalWatcher(Watcher):
    """Counts the evaluations in ``run.phase("test")`` that training came in between."""

    codes = ("LOP012",)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._steps = -1
        self._count = 0

    def note_step(self, index: int, optimizer: Optimizer) -> None:
        """See that there is a training at all; that is enough."""
        del index, optimizer
        self.informed.add("LOP012")

    def note_phase(self, name: str) -> None:
        """Count it, unless it is part of the same evaluation as the last."""
        steps = self.scene.intake.steps
        if name != "test" or steps == self._steps:
            return
        self._steps = steps
        self._count += 1
        if self._count > FEW_TESTS:
            self.tell(
                "LOP012",
                f"The test set was evaluated {self._count} times while the model was trained: "
                "what is chosen by it is no longer judged by it.",
                find_place(),
            )
            self.done = True
