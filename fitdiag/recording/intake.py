"""The hot path: what the hooks do while the training runs. They append events, nothing more.

Nothing here waits for a device, touches a file, draws a random number or keeps a graph alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import get_ident
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fitdiag.recording.clipping import Clip, list_parameters, sign
from fitdiag.recording.events import Event, Logged, Loss, Step, number_backward
from fitdiag.recording.norms import ShardedGradientError, measure_norms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch.nn import Module
    from torch.optim import Optimizer

__all__ = ["Intake", "find_loss"]

is_compiling: Callable[[], bool] = getattr(torch.compiler, "is_compiling", bool)
_functorch: Any = getattr(torch._C, "_functorch", None)  # noqa: SLF001 no public name
_is_wrapped: Callable[[Tensor], bool]
_is_wrapped = getattr(_functorch, "is_functorch_wrapped_tensor", lambda _: False)


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
            return int(value.size(0)) if value.ndim else None
    return None


def is_readable(loss: Tensor) -> bool:
    """Tell whether a loss has a value of its own: not one in a vmap, nested, or on no device."""
    if loss.is_nested or loss.is_meta or not loss.numel():
        return False
    inner = loss
    while _is_wrapped(inner):  # by torch.func.grad and the like, which change no value
        if _functorch.is_batchedtensor(inner):
            return False
        inner = _functorch.get_unwrapped(inner)
    return True


#: clippings that are remembered until an optimizer steps with their gradients
MOST_CLIPS = 16


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
        self.called = False  # a criterion or a watched function was called
        self._depths: dict[int, int] = {}  # criterion calls under way; only the outermost counts
        self.forwards = 0
        self._trained: Loss | None = None  # the last loss that a backward pass may reach
        self._evaluations = 0  # losses without gradients since then
        self._evaluation_size = 0  # how many the last evaluation had
        self._recomputes = False  # a backward pass has computed a loss again
        self._clips: list[Clip] = []
        self.steps = 0  # noted so far
        self._in_closure = False
        self._on_step = on_step
        self._on_error = on_error

    # ------------------------------------------------------------------ losses

    def enter_criterion(self) -> None:
        """Note that a criterion is being called."""
        self.called = True
        thread = get_ident()
        self._depths[thread] = self._depths.get(thread, 0) + 1

    def leave_criterion(
        self,
        output: object,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        reduction: object = None,
    ) -> None:
        """Note that a criterion has returned, or failed, in which case the output is None."""
        thread = get_ident()
        depth = self._depths.pop(thread, 1) - 1
        if depth > 0:
            self._depths[thread] = depth
        if depth > 0 or not self.live:
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
            self.forwards += number_backward() is None
            if loss is not None:
                if holds_criterion:
                    self._forget_inner_losses(self.forwards - 1)
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
        if not is_readable(loss):
            return
        number = number_backward()
        if number is not None:
            self._note_recomputed(source, number)
            return
        value = loss.detach()
        # A copy: `loss /= 4` and `loss += other` write into the very tensor.
        value = value.float().mean() if value.ndim else value.clone()
        node = loss.grad_fn if torch.is_grad_enabled() else None
        training = any(model.training for model in self.models)
        event = Loss(
            value,
            weight,
            divide=divide,
            phase=self.phase,
            grad=node is not None,
            training=training,
            source=source,
            forward=self.forwards,
            awaited=self._recomputes and node is None and training,
        )
        self.events.append(event)
        if node is None:
            self._count_evaluation()
        else:
            self._trained = event
            event.output_nr = loss.output_nr
            node.register_prehook(event)
            self._end_evaluation(flush=True)
        self._check_full()

    def _note_recomputed(self, source: str, number: int) -> None:
        """Take a loss that a backward pass computes again as what it is: one of training.

        Activation checkpointing computes twice. Where its first time was without gradients, it
        looked like validation; that a backward pass needs it tells otherwise.
        """
        for event in reversed(self.events):
            if not isinstance(event, Loss) or event.source != source or event.recomputed:
                continue
            if event.backward == number or (not event.grad and event.training):
                event.recomputed = True
                if event.backward is None:
                    event.grad, event.backward, event.awaited = True, number, False
                    self._recomputes = True
                return

    def _count_evaluation(self) -> None:
        """Note a loss without gradients; as many as the last time are a whole evaluation."""
        self.evaluated = True
        self._evaluations += 1
        waiting = self._trained is not None and self._trained.backward is None
        if self._evaluations == self._evaluation_size and not waiting and not self._recomputes:
            self._evaluations = 0
            self._on_step()

    def _end_evaluation(self, *, flush: bool) -> None:
        """Note that training goes on, so that an evaluation is over."""
        if self._evaluations:
            self._evaluation_size, self._evaluations = self._evaluations, 0
            if flush:
                self._on_step()

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
            clip = self._take_clip(optimizer)
            event = Step(
                index,
                norms=[clip.norms[0].reshape(1)] if clip else self._measure(optimizer),
                scale=getattr(optimizer, "grad_scale", None),
                lr=lr.clone() if isinstance(lr, Tensor) else lr,
                closure=closure,
                clips=list(zip(clip.limits, clip.norms, strict=True)) if clip else (),
            )
            self.steps += 1
            self._end_evaluation(flush=False)
            self._trained = None
            self.events.append(event)
            self._on_step()
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self._on_error(error)

    def _measure(self, optimizer: Optimizer) -> list[Tensor] | None:
        if self.has_sharded:
            return None
        gradients = [parameter.grad for parameter in list_parameters(optimizer)]
        try:
            return measure_norms(gradients) or None
        except ShardedGradientError:
            self.has_sharded = True
            return None

    def fail(self, error: Exception) -> None:
        """Note that something went wrong in a hook."""
        if self.live:
            self._on_error(error)

    # ------------------------------------------------------------------ clipping

    def note_clip(
        self, before: object, parameters: Sequence[Tensor], limit: float, norm: Tensor
    ) -> None:
        """Note that gradients were clipped.

        Parameters
        ----------
        before : object
            :func:`fitdiag.recording.clipping.sign` of the parameters before the call.
        parameters : sequence of Tensor
            Whose gradients.
        limit : float
            The largest norm that is let through.
        norm : Tensor
            What the call returned: their norm before.
        """
        if not self.live or hasattr(norm, "to_local"):
            return
        again = next((clip for clip in self._clips if clip.signature == before), None)
        clip = again or Clip()
        clip.signature = sign(parameters)
        clip.limits.append(float(limit))
        clip.norms.append(norm.detach().clone())
        if again is None:
            self._clips = [*self._clips[1 - MOST_CLIPS :], clip]

    def _take_clip(self, optimizer: Optimizer) -> Clip | None:
        """Return what clipping did to the very gradients that an optimizer is about to use."""
        if not self._clips:
            return None
        signature = sign(list_parameters(optimizer))
        found = [clip for clip in self._clips if clip.signature == signature]
        self._clips = [clip for clip in self._clips if clip.signature != signature]
        return found[-1] if found else None

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
