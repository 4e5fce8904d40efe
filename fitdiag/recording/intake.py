"""The hot path: what the hooks do while the training runs. They append events, nothing more.

Nothing here waits for a device, touches a file, draws a random number or keeps a graph alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import get_ident
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fitdiag.recording.clipping import ClipBook, list_parameters
from fitdiag.recording.events import Event, Logged, Loss, Step, is_aside, number_backward
from fitdiag.recording.norms import ShardedGradientError
from fitdiag.recording.roster import Roster
from fitdiag.recording.shards import LOCAL, unwrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch.nn import Module
    from torch.optim import Optimizer

    from fitdiag.recording.hygiene import LoopWatch
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


def find_batch_size(args: Sequence[object], kwargs: Mapping[str, object]) -> int | None:
    """Return the first dimension of the first tensor among the arguments, or None."""
    for value in args:
        if isinstance(value, Tensor):
            return int(value.size(0)) if value.ndim else None
    return find_batch_size(tuple(kwargs.values()), {}) if kwargs else None


def is_readable(loss: Tensor) -> bool:
    """Tell whether a loss has a value of its own: not one in a vmap, nested, or on no device."""
    if loss.is_meta or (loss.ndim and (loss.is_nested or not loss.numel())):
        return False
    inner = loss
    while _is_wrapped(inner):  # by torch.func.grad and the like, which change no value
        if _functorch.is_batchedtensor(inner):
            return False
        inner = _functorch.get_unwrapped(inner)
    return True


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
    every : int, optional
        Gradients are measured at each so-manieth step only. Default: at each.
    layers : bool, optional
        Whether the norms of single gradients are wanted where clipping tells the global one.
    """

    #: events after which a batch of numbers is fetched, however recent the last one
    FULL = 1024

    def __init__(
        self,
        models: Sequence[Module],
        *,
        on_step: Callable[[], None],
        on_error: Callable[[Exception], None],
        every: int = 1,
        layers: bool = False,
    ) -> None:
        self.models = models
        self.layers = layers
        self.events: list[Event] = []
        self.phase: str | None = None
        self.live = False
        self.told = False  # a framework tells the losses, those of hooks are passed over
        self.evaluated = False  # something was evaluated since the last flush
        self.has_sharded = False
        self.reach = "global"  # whether a gradient here is the whole one: global, local, unknown
        self.called = False  # a criterion or a watched function was called
        self._depths: dict[int, int] = {}  # criterion calls under way; only the outermost counts
        self.forwards = 0
        self.used_forwards = 0  # of these, the ones before the last training loss or step
        self.watch: LoopWatch | None = None
        self._trained: Loss | None = None  # the last loss that a backward pass may reach
        self._evaluations = 0  # losses without gradients since then
        self._evaluation_size = 0  # how many the last evaluation had
        self.recomputes = False  # a backward pass has computed a loss again
        self.clips = ClipBook()
        self.steps = 0  # noted so far
        self._in_closure = False
        self._tellings = 0
        self._every = every
        self._round: set[int] = set()  # optimizers that are part of the present step
        self.rounds = 0
        self._rosters: dict[int, Roster] = {}  # by optimizer
        self._on_step = on_step
        self._on_error = on_error
        self.on_evaluation: Callable[[], None] = lambda: None  # at each loss of an evaluation

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
        if self.told or not is_readable(loss):
            return
        number = number_backward()
        if number is not None:
            if not is_aside():
                self._note_recomputed(source, number)
            return
        value = loss.detach()
        # A copy: `loss /= 4` and `loss += other` write into the very tensor.
        value = value.float().mean() if value.ndim else value.clone()
        node = loss.grad_fn if torch.is_grad_enabled() else None
        training = self._is_training()
        event = Loss(
            value,
            weight,
            divide=divide,
            phase=self.phase,
            grad=node is not None,
            training=training,
            source=source,
            forward=self.forwards,
            awaited=self.recomputes and node is None and training,
        )
        self.events.append(event)
        if node is None:
            self._count_evaluation()
        else:
            self._trained = event
            self.used_forwards = self.forwards
            event.listen(loss, node)
            if self._evaluations:
                self._end_evaluation(flush=True)
        watch = self.watch
        if watch is not None and (watch.awake or node is None or not training or self.phase):
            watch.note_loss(event, loss)
        self._check_full()

    def _is_training(self) -> bool:
        for model in self.models:  # noqa: SIM110 twice as fast as any()
            if model.training:
                return True
        return False

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
                    self.recomputes = True
                return

    def _count_evaluation(self) -> None:
        """Note a loss without gradients; as many as the last time are a whole evaluation."""
        self.evaluated = True
        if not self.recomputes:
            self.on_evaluation()
        self._evaluations += 1
        waiting = self._trained is not None and self._trained.backward is None
        if self._evaluations == self._evaluation_size and not waiting and not self.recomputes:
            self._evaluations = 0
            self._on_step()

    def _end_evaluation(self, *, flush: bool) -> None:
        """Note that training goes on, so that an evaluation is over."""
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
            event = Step(
                index,
                scale=getattr(optimizer, "grad_scale", None),
                lr=lr.clone() if isinstance(lr, Tensor) else lr,
                closure=closure and not self.told,  # a framework calls its own
                found_inf=getattr(optimizer, "found_inf", None),
                reach=self.reach,
            )
            parameters = list_parameters(optimizer)
            gradients = [parameter.grad for parameter in parameters]
            told = False  # whether clipping tells the global norm
            if self.clips:
                event.clipping = self.clips.match(gradients)
                told = event.clipping is not None and event.clipping.total is not None
            if self._is_due(index) and (self.layers or not told):
                self._measure(event, optimizer, parameters, gradients)
            self.steps += 1
            if self._evaluations:
                self._end_evaluation(flush=False)
            self._trained = None
            self.used_forwards = self.forwards
            if self.watch is not None and self.steps >= self.watch.due:
                self.watch.note_step(index, optimizer)
            self.events.append(event)
            self._on_step()
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self._on_error(error)

    def _is_due(self, index: int) -> bool:
        """Tell whether gradients are measured at this step; a round of optimizers is one step."""
        if not self._round or index in self._round:
            self._round = {index}
            self.rounds += 1
        else:
            self._round.add(index)
        return self._every < 2 or self.rounds % self._every == 0

    def _measure(
        self,
        event: Step,
        optimizer: Optimizer,
        parameters: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
    ) -> None:
        """Add to a step the norms of the gradients that it is about to use."""
        if self.has_sharded:
            found = unwrap(gradients)
            if found is None:
                return
            gradients, event.weights = found
            event.reach = LOCAL
        roster = self._rosters.get(event.optimizer)
        if roster is None or not roster.is_of(optimizer, parameters):
            roster = self._rosters[event.optimizer] = Roster(optimizer, parameters)
        try:
            event.norms, event.roster = roster.measure(gradients), roster
        except ShardedGradientError:
            self.has_sharded = True
            self._measure(event, optimizer, parameters, gradients)

    def fail(self, error: Exception) -> None:
        """Note that something went wrong in a hook."""
        if self.live:
            self._on_error(error)

    # ------------------------------------------------------------------ what the user says

    def awaits_backward(self) -> bool:
        """Tell whether the last loss that was seen may still be trained on."""
        return self._trained is not None and self._trained.backward is None

    def note_told(self, loss: Tensor, weight: int | None, *, training: bool) -> None:
        """Note a loss that a framework hands over; each is of a backward pass of its own."""
        value = loss.detach()
        value = value.float().mean() if value.ndim else value.clone()
        phase = "train" if training else "val"
        event = Loss(value, weight, phase=phase, grad=training, training=training, source="told")
        self._tellings += 1
        self.events.append(event)
        if not training:
            self._count_evaluation()
        else:
            event.backward = -self._tellings
            if self._evaluations:
                self._end_evaluation(flush=True)
        self._check_full()

    def note_values(self, event: Logged) -> None:
        """Note what the user logged."""
        self.events.append(event)
        if any(name.startswith("val_") for name in event.values):
            self.evaluated = True
            self.on_evaluation()
        self._check_full()


def holds(model: Module, criteria: Iterable[Any]) -> bool:
    """Tell whether one of the criteria is a part of the model."""
    wanted = {id(criterion) for criterion in criteria}
    return any(id(module) in wanted for module in model.modules())
