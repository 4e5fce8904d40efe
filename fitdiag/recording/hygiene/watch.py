"""Who watches when: every step at first, then a few at each power of two, evaluations always."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from fitdiag.recording.events import is_aside
from fitdiag.recording.hygiene.watcher import Watcher, is_held_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor
    from torch.optim import Optimizer

    from fitdiag.recording.events import Event, Loss
    from fitdiag.recording.hygiene.watcher import Scene

__all__ = ["LoopWatch"]

#: rounds of optimizer steps that are watched one by one at the beginning, and at a power of two
FIRST_LOOK, LATER_LOOK = 8, 4
#: losses in evaluation mode that gradients were wanted of, after which only looks show them
MANY = 4096
_CALLS = ("note_loss", "note_backward", "note_step", "note_phase", "note_values", "inspect")


class LoopWatch:
    """Hands what happens to the watchers, as seldom as possible, and outlives their faults.

    Parameters
    ----------
    scene : Scene
        What they look at.
    watchers : sequence of Watcher
        All of them.

    Attributes
    ----------
    awake : bool
        Whether losses that are trained on are to be noted.
    due : int
        Optimizer steps from which on steps are to be noted.
    """

    def __init__(self, scene: Scene, watchers: Sequence[Watcher]) -> None:
        self.awake = True
        self.due = 0
        self._scene = scene
        self._all = tuple(watchers)
        self._odd = 0  # losses in evaluation mode with gradients
        self._failed: set[Watcher] = set()
        self._calls: dict[str, list[Watcher]] = {
            name: [w for w in watchers if getattr(type(w), name) is not getattr(Watcher, name)]
            for name in _CALLS
        }
        # from which step to which the losses are watched
        self._look = 0, FIRST_LOOK * max(1, len(scene.optimizers))

    def _ask(self, name: str, *given: Any) -> None:  # noqa: ANN401 handed through
        self._call(tuple(self._calls[name]), name, *given)

    def _call(self, watchers: Sequence[Watcher], name: str, *given: Any) -> None:  # noqa: ANN401
        lost: tuple[str, ...] = ()
        reason: Exception | None = None
        for watcher in watchers:
            try:
                getattr(watcher, name)(*given)
            except Exception as problem:  # noqa: BLE001 whatever it is, training and recording go on
                self._failed.add(watcher)
                lost, reason = (*lost, *watcher.codes), problem
            if watcher.done or watcher in self._failed:
                self._dismiss(watcher)
        if reason is not None:
            self._scene.teller.give_up(lost, reason)

    def _dismiss(self, watcher: Watcher) -> None:
        watcher.wants_losses = watcher.wants_steps = False
        for watchers in self._calls.values():
            if watcher in watchers:
                watchers.remove(watcher)

    def begin(self) -> None:
        """Begin to watch."""
        self._call(self._all, "begin")

    def know(self, optimizer: Optimizer) -> None:
        """Take note of an optimizer that was found to hold parameters of the models."""
        self._scene.optimizers.append(optimizer)
        begin, end = self._look
        self._look = begin, end + (LATER_LOOK if begin else FIRST_LOOK)

    def note_loss(self, event: Loss, loss: Tensor) -> None:
        """Note a loss, and the backward pass that may reach it."""
        node = loss.grad_fn if event.grad else None
        if node is not None:
            self._odd += not event.training
            if self._odd > MANY and not self.awake:
                return
            node.register_prehook(partial(self._note_backward, event))
            if not event.training or is_held_out(event.phase):
                self.awake, self.due = True, 0  # whether the next step uses it is to be seen
        self._ask("note_loss", event, loss)

    def _note_backward(self, event: Loss, _gradients: object) -> None:
        try:
            if self._scene.intake.live and not is_aside():
                self._ask("note_backward", event)
        except Exception as problem:  # noqa: BLE001 autograd calls this: the training goes on
            self._scene.intake.fail(problem)

    def note_step(self, index: int, optimizer: Optimizer) -> None:
        """Note that an optimizer is about to step, or has stepped with a closure."""
        self._ask("note_step", index, optimizer)
        steps = self._scene.intake.steps
        begin, end = self._look
        if steps >= end:
            begin = 1 << steps.bit_length()
            end = begin + LATER_LOOK * max(1, len(self._scene.optimizers))
            self._look = begin, end
        looking = steps >= begin
        self.awake = looking or any(watcher.wants_losses for watcher in self._all)
        restless = looking or any(watcher.wants_steps for watcher in self._all)
        self.due = 0 if restless else begin

    def note_phase(self, name: str) -> None:
        """Note that the user declares a phase."""
        self._ask("note_phase", name)

    def note_values(self, values: Mapping[str, object]) -> None:
        """Note what the user logs."""
        self._ask("note_values", values)

    def inspect(self, events: Sequence[Event], *, final: bool) -> None:
        """Look at settled events, whose numbers have been fetched, and back at the end."""
        self._ask("inspect", events)
        if final:
            self._call([w for w in self._all if w not in self._failed], "close")
            self.remove()
        self.awake = self.awake or any(watcher.wants_losses for watcher in self._all)
        self._publish()

    def remove(self) -> None:
        """Take everything away that hangs on the objects of others."""
        for watcher in self._all:
            with suppress(Exception):
                watcher.remove()

    def _publish(self) -> None:
        watched = [w.informed for w in self._all if w not in self._failed]
        told = self._scene.teller.told
        self._scene.teller.publish(tuple(set().union(told, *watched)))
