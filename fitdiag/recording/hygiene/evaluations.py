"""How validation is done: in which mode, and whether a graph is built for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from fitdiag.recording.events import Loss
from fitdiag.recording.hygiene.places import find_place
from fitdiag.recording.hygiene.watcher import Watcher, is_held_out
from fitdiag.recording.leftovers import Leftovers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.optim import Optimizer

    from fitdiag.recording.events import Event
    from fitdiag.recording.hygiene.places import Place
    from fitdiag.recording.hygiene.watcher import Scene

__all__ = ["EvaluationWatcher"]

#: losses that nothing has used yet that are remembered, and nodes of a graph that are walked
MOST, MOST_NODES = 64, 20_000
#: flushes that are looked through one by one, and then at powers of two only
OFTEN = 32
_MODE = "The validation loss was computed in training mode, with dropout or batch-norm at work"
_GRAPH = "The validation loss was computed with gradients on, which nothing used"


class EvaluationWatcher(Watcher):
    """Watches losses that no backward pass reaches."""

    codes = ("LOP003", "LOP004")

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._seen = 0  # losses without gradients that came from forward passes of their own
        self._lively = 0  # of those that were looked at, the ones with dropout or batch-norm on
        self._last = -1  # forward passes before the last of them
        self._unused: list[tuple[Loss, Place | None]] = []
        self._needs_inputs = False  # gradients of inputs make up the loss
        self._flushes = 0
        self._leftovers = Leftovers()
        self._rows = 0  # times that several in a row in training mode were not used

    # ------------------------------------------------------------------ without gradients

    def note_loss(self, event: Loss, loss: Tensor) -> None:
        """Look at a loss that may be one of validation."""
        if event.phase is not None and not is_held_out(event.phase):
            return
        if event.grad:
            if self.wants_losses or not event.training or event.phase is not None:
                self._note_unused(event, loss)
        elif not torch.is_grad_enabled() and self._is_evaluation(event, loss):
            self.informed.update(self.codes)
            self._seen += 1
            if not self._seen & (self._seen - 1):
                self._look(event)
            self._last = event.forward

    def _is_evaluation(self, event: Loss, loss: Tensor) -> bool:
        """Tell a batch of validation from a number that is read off a batch of training."""
        intake = self.scene.intake
        if loss.ndim or event.awaited or intake.recomputes:
            return False
        return event.forward > max(intake.used_forwards, self._last) and intake.used_forwards > 0

    def _look(self, event: Loss) -> None:
        self._lively += any(module.training for module in self.scene.moody)
        if self._lively < 2:
            return
        before = max(self._last, self.scene.intake.used_forwards)
        several = event.forward - before > len(self.scene.models)
        sampled = several or not event.training
        how = ", averaged over several passes" if several else ""
        self.tell(
            "LOP003",
            f"{_MODE}{how}.",
            find_place(),
            aloud=not sampled,
            sampled=sampled,
        )

    # ------------------------------------------------------------------ with gradients

    def _note_unused(self, event: Loss, loss: Tensor) -> None:
        if self._unused and self._unused[-1][0].forward == event.forward:
            return  # another loss of the same batch
        told = "LOP004" in self.scene.teller.told
        if len(self._unused) == 1 and not told:
            self._needs_inputs = self._depends_on_inputs(loss)
        place = find_place() if self.wants_losses or len(self._unused) == 1 else None
        self._unused.append((event, place))
        del self._unused[:-MOST]

    @staticmethod
    def _depends_on_inputs(loss: Tensor) -> bool:
        """Tell whether a graph reaches leaves that are no parameters, as a physical loss does."""
        stack: list[Any] = [loss.grad_fn]
        visited: set[Any] = set(stack)
        while stack and len(visited) < MOST_NODES:
            node = stack.pop()
            leaf = getattr(node, "variable", None)
            if leaf is not None and not isinstance(leaf, nn.Parameter):
                return True
            fresh = {one for one, _ in node.next_functions if one is not None} - visited
            visited |= fresh
            stack += fresh
        return False

    def note_step(self, index: int, optimizer: Optimizer) -> None:
        """Settle what was not used by then: nothing will use it any more."""
        del index, optimizer
        self._settle()

    def _settle(self) -> None:
        unused, self._unused = self._unused, []
        if any(event.backward is not None and not event.training for event, _ in unused):
            return  # sums over several forward passes, or an attack that needs the gradients
        used = {event.forward for event, _ in unused if event.backward is not None}
        left = [(e, p) for e, p in unused if e.backward is None and e.forward not in used]
        if len(left) < (1 if self._leftovers.lone else 2) or self._needs_inputs:
            return
        self.informed.add("LOP004")
        bare = all(_is_bare(event) for event, _ in left)
        self._rows += bare
        if bare and self._rows < 2:
            return
        place = next((place for _, place in reversed(left) if place is not None), None)
        self.tell("LOP004", f"{_GRAPH}: memory and time were lost.", place)
        self.wants_losses = False
        if left[-1][0].training and any(module.training for module in self.scene.moody):
            self.tell("LOP003", f"{_MODE}.", place, sampled=False)

    def inspect(self, events: Sequence[Event]) -> None:
        """Look for losses that could be trained on and were not, which calls for a closer look."""
        self._flushes += 1
        if not self._leftovers.are_validation:
            self._leftovers.look(events, stepped=True)
        seldom = self._flushes > OFTEN and self._flushes & (self._flushes - 1)
        if seldom or self.wants_losses or "LOP004" in self.scene.teller.told:
            return
        idle: list[Any] = [
            event
            for event in events
            if event.__class__ is Loss and event.backward is None and _is_bare(event)
        ]
        self.wants_losses = len({event.forward for event in idle}) > 1 or self._leftovers.lone

    def close(self) -> None:
        """Settle what came after the last step, and tell what a short run showed too late."""
        self._settle()
        if self._leftovers.are_validation and not self._needs_inputs and self.scene.moody:
            self.tell("LOP003", f"{_MODE}.", None, sampled=False)


def _is_bare(event: Loss) -> bool:
    """Tell whether a loss looks like one of training."""
    return event.grad and event.training and event.phase is None
