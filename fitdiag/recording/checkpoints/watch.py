"""When a checkpoint is due: an evaluation is over, and no parameter has changed since."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import optimizer as torch_optimizer

from fitdiag.recording.checkpoints.parts import unwrap
from fitdiag.recording.checkpoints.state import capture_random
from fitdiag.recording.intake import is_compiling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

__all__ = ["Watch"]


class _Hook:
    """A callable that a deep copy or a pickle replaces by one that does nothing.

    The replacement is a method of the standard library, so that a model saved while recorded
    loads where fitdiag is not installed.
    """

    __slots__ = ("call",)

    def __init__(self, call: Callable[..., None]) -> None:
        self.call = call

    def __call__(self, *args: object) -> None:
        if not is_compiling():
            self.call(*args)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (nullcontext(), "__exit__")


class Watch:
    """Notices the first training after an evaluation, before it changes anything.

    That is where a model that trains is called with gradients, or else where an optimizer begins
    its step. By then a scheduler has stepped, as it does at the end of an epoch, but the next
    epoch's order has been drawn, so that the random numbers are those of the evaluation's end.

    Parameters
    ----------
    models : sequence of Module
        The models.
    due : callable
        Called when a checkpoint is due.
    random : bool
        Whether random numbers are wanted.

    Attributes
    ----------
    pending : bool
        Whether something was evaluated since the last checkpoint.
    replaced : bool
        Whether other parameters were loaded since the last training, so that what the model holds
        is not what was trained.
    """

    def __init__(
        self, models: Sequence[nn.Module], due: Callable[[], None], *, random: bool
    ) -> None:
        self.pending = False
        self.replaced = False
        self._models = models
        self._due = due
        self._wants_random = random
        self._random: dict[str, Any] | None = None
        self._handles: list[Any] = []

    def attach(self) -> None:
        """Hang the hooks; before those that note optimizer steps, which count up."""
        for model in self._models:
            self._handles.append(model.register_forward_pre_hook(_Hook(self._enter_model)))
            inner = unwrap(model)
            self._handles.append(
                inner.register_load_state_dict_post_hook(_Hook(self._note_replaced))  # type: ignore[no-untyped-call]
            )
        enter = torch_optimizer.register_optimizer_step_pre_hook(_Hook(self._enter_step))
        self._handles.append(enter)

    def detach(self) -> None:
        """Take all hooks away."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def note_evaluation(self) -> None:
        """Note that something was evaluated, in whose wake a checkpoint is due."""
        self.pending = True
        if self._wants_random:
            self._random = capture_random()

    def take_random(self, *, now: bool) -> dict[str, Any]:
        """Return the random numbers where the training is to go on: here, or as last noted."""
        noted, self._random = self._random, None
        return capture_random() if now or noted is None else noted

    def _enter_model(self, model: nn.Module, *_: object) -> None:
        if not model.training or not torch.is_grad_enabled():
            return
        if self.pending:
            self._end_evaluation()
        self.replaced = False

    def _enter_step(self, *_: object) -> None:
        if self.pending:
            self._end_evaluation()

    def _end_evaluation(self) -> None:
        if not self.replaced:
            self._due()
        self.pending = False

    def _note_replaced(self, *_: object) -> None:
        self.replaced = True
