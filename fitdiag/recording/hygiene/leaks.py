"""Steps on losses of evaluation: training on validation data, or in a mode that was left off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.recording.hygiene.places import find_place
from fitdiag.recording.hygiene.watcher import Watcher, is_held_out

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from fitdiag.recording.events import Loss
    from fitdiag.recording.hygiene.watcher import Scene

__all__ = ["LeakWatcher"]

#: losses of one step that are looked at
MOST = 256
#: steps in a row without training mode after which it is left off on purpose
ON_PURPOSE = 1024


class LeakWatcher(Watcher):
    """Watches which losses an optimizer steps on.

    A loss of a declared phase of validation is enough. Elsewhere it takes an optimizer that steps
    now on losses of training mode and now on those of evaluation mode: where an evaluation came
    in between, the mode was not switched back; where none did, this is the evaluation.
    """

    codes = ("LOP001", "LOP005")

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._window: list[Loss] = []
        self._eager: set[int] = set()  # optimizers that have stepped in training mode
        self._evaluated = -1  # steps before the last evaluation
        self._begin = -1  # steps before those in a row that were made in evaluation mode
        self._last = -1  # the last of these
        self._rows = 0  # how many such rows there were

    def note_loss(self, event: Loss, loss: Tensor) -> None:
        """Remember it until the next step tells what it was."""
        del loss
        if event.grad:
            self._window.append(event)
            del self._window[:-MOST]
        elif not event.training:
            self._evaluated = self.scene.intake.steps

    def note_step(self, index: int, optimizer: Optimizer) -> None:
        """Tell on which losses it is made."""
        del optimizer
        window, self._window = self._window, []
        steps = self.scene.intake.steps
        used = [event for event in window if event.backward is not None]
        if any(not event.training for event in window if event.backward is None):
            self._evaluated = steps - 1
        if not used:
            return
        self.informed.add("LOP001")
        if _is_leak(used):
            self._tell_leak()
        elif any(event.training for event in used):
            self._eager.add(index)
            self.informed.add("LOP005")
        elif index in self._eager:
            self._take_odd_step(steps)

    def _take_odd_step(self, steps: int) -> None:
        if steps != self._last + 1:
            self._begin = steps - 1
            self._rows += 1
        self._last = steps
        row = steps - self._begin
        if self._evaluated == self._begin:
            moody = self.scene.moody
            if row == 2 and moody and not any(module.training for module in moody):
                self.tell(
                    "LOP005",
                    "After an evaluation the training went on in evaluation mode, so that dropout "
                    "and batch-norm do nothing for it.",
                    find_place(),
                )
        elif self._rows > 1:
            self._tell_leak()
        self.done = row > ON_PURPOSE

    def _tell_leak(self) -> None:
        self.tell(
            "LOP001",
            "An optimizer step used the gradient of a validation loss: the model is trained on "
            "the data that should judge it.",
            find_place(),
        )


def _is_leak(used: list[Loss]) -> bool:
    """Tell whether losses that led to a step are of a declared phase of validation."""
    held = [event for event in used if is_held_out(event.phase)]
    if not held or len(held) == len(used):
        return bool(held)
    trained = {event.backward for event in used if not is_held_out(event.phase)}
    return any(event.backward in trained for event in held)
