"""The hot path: what the hooks do while the training runs. They append events, nothing more.

Nothing here waits for a device, touches a file, draws a random number or keeps a graph alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fitdiag.recording.events import Event, Logged, Loss, Step
from fitdiag.recording.norms import ShardedGradientError, measure_norms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch.nn import Module
    from torch.optim import Optimizer

__all__ = ["Intake", "find_loss"]

is_compiling: Callable[[], bool] = getattr(torch.compiler, "is_compiling", bool)


def find_loss(output: object) -> Tensor | None:
    """Return the loss that a model's output carries, as ``.loss`` or under ``"loss"``, or None."""
    if isinstance(output, Tensor):
        return None
    try:
        loss = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    except Exception:  # noqa: BLE001 a property of the user's output that fails is no loss
        return None
    return loss if isinstance(loss, Tensor) else None


def find_batch_size(args: Iterable[object], kwargs: Mapping[str, object]) -> int | None:
    """Return the first dimension of the first tensor among the arguments, or None."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            return int(value.shape[0]) if value.ndim else None
    return None


class Intake:
    """Collects events from the hooks, in order.

    Parameters
    ----------
    models : sequence of Module
        Those whose ``training`` tells training from validation.
    on_step : callable
        Called after each optimizer step was noted, and when many events have piled up.
    on_error : callable
        Called with whatever goes wrong here; the training never sees it.
    """

    #: events after which a batch of numbers is fetched, however recent the last one
    FULL = 512

    def __init__(
        self,
        models: Sequence[Module],
        *,
        on_step: Callable[[], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self.models = models
        self.events: list[Event] = []
        self.phase: str | None = None
        self.live = False
        self.evaluated = False  # something was evaluated since the last flush
        self.has_sharded = False
        self._depth = 0  # criterion calls under way; only the outermost counts
        self._forwards = 0
        self._in_closure = False
        self._on_step = on_step
        self._on_error = on_error

    # ------------------------------------------------------------------ losses

    def enter_criterion(self) -> None:
        """Note that a criterion is being called."""
        self._depth += 1

    def leave_criterion(
        self,
        output: object,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        reduction: object = None,
    ) -> None:
        """Note that a criterion has returned, or failed, in which case the output is None."""
        self._depth -= 1
        if self._depth > 0 or not self.live:
            return
        try:
            loss = output if isinstance(output, Tensor) else find_loss(output)
            if loss is not None:
                summed = reduction == "sum"
                self._take(loss, find_batch_size(args, kwargs), divide=summed, source="criterion")
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self._on_error(error)

    def note_forward(
        self,
        output: object,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        *,
        holds_criterion: bool,
    ) -> None:
        """Note that the model has returned; its output may carry a loss."""
        if not self.live:
            return
        try:
            loss = find_loss(output)
            self._forwards += 1
            if loss is not None:
                if holds_criterion:
                    self._forget_inner_losses(self._forwards - 1)
                self._take(loss, find_batch_size(args, kwargs), divide=False, source="output")
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self._on_error(error)

    def _forget_inner_losses(self, forward: int) -> None:
        """Drop what a criterion inside the model gave: the model's output carries the whole."""
        while self.events and isinstance(self.events[-1], Loss):
            last = self.events[-1]
            if last.forward != forward or last.source != "criterion":
                return
            self.events.pop()

    def _take(self, loss: Tensor, weight: int | None, *, divide: bool, source: str) -> None:
        value = loss.detach()
        # A copy: `loss /= 4` and `loss += other` write into the very tensor.
        value = value.float().mean() if value.ndim else value.clone()
        node = loss.grad_fn if torch.is_grad_enabled() else None
        event = Loss(
            value,
            weight,
            divide=divide,
            phase=self.phase,
            grad=node is not None,
            training=any(model.training for model in self.models),
            source=source,
            forward=self._forwards,
        )
        self.events.append(event)
        if node is None:
            self.evaluated = True
        else:
            event.output_nr = loss.output_nr
            node.register_prehook(event)
        self._check_full()

    def _check_full(self) -> None:
        if len(self.events) >= self.FULL and not len(self.events) % self.FULL:
            self._on_step()

    # ------------------------------------------------------------------ steps

    def begin_step(self, index: int, optimizer: Optimizer, *, closure: bool) -> None:
        """Note that an optimizer is about to step; with a closure the gradients are yet to come."""
        self._in_closure = closure
        if not closure:
            self._note_step(index, optimizer, closure=False)

    def end_step(self, index: int, optimizer: Optimizer) -> None:
        """Note that an optimizer has stepped; with a closure its gradients are here now."""
        if self._in_closure:
            self._in_closure = False
            self._note_step(index, optimizer, closure=True)

    def _note_step(self, index: int, optimizer: Optimizer, *, closure: bool) -> None:
        if not self.live:
            return
        try:
            groups = optimizer.param_groups
            lr = groups[0].get("lr") if groups else None
            event = Step(
                index,
                norms=self._measure(optimizer),
                scale=getattr(optimizer, "grad_scale", None),
                lr=lr.clone() if isinstance(lr, Tensor) else lr,
                closure=closure,
            )
            self.events.append(event)
            self._on_step()
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self._on_error(error)

    def _measure(self, optimizer: Optimizer) -> list[Tensor] | None:
        if self.has_sharded:
            return None
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
        try:
            return measure_norms(gradients) or None
        except ShardedGradientError:
            self.has_sharded = True
            return None

    # ------------------------------------------------------------------ what the user says

    def note_values(self, event: Logged) -> None:
        """Note what the user logged."""
        self.events.append(event)
        self.evaluated = self.evaluated or any(name.startswith("val_") for name in event.values)
        self._check_full()


def holds(model: Module, criteria: Iterable[Any]) -> bool:
    """Tell whether one of the criteria is a part of the model."""
    wanted = {id(criterion) for criterion in criteria}
    return any(id(module) in wanted for module in model.modules())
