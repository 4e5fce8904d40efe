"""Several tasks that share parameters: what each of them asks of the shared ones.

A measurement is one more backward pass for each task, down to the shared parameters, on the graph
that the caller is about to use. Nothing else sees it: no ``.grad``, no random number, no buffer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fitdiag.errors import UsageError
from fitdiag.recording.events import Logged, set_aside
from fitdiag.recording.norms import measure_norms
from fitdiag.run import TASK_LOSS, TASK_NORM, TASK_RATE, TASK_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fitdiag.recording.intake import Intake

__all__ = ["TaskWatch", "list_shared", "measure_rates", "measure_task_norms"]

#: without ``every=``, a measurement comes after this share of the calls so far …
DENSE = 5
#: … though no more than so many calls after the last one …
APART = 50
#: … or this share of the calls so far, so that a long run does not fill its log
SPACING = 100
_NAME = re.compile(r"[\w.-]+")


def list_shared(shared: object) -> list[Tensor]:
    """Return the trainable parameters of what a user says is shared.

    Parameters
    ----------
    shared : Module, Tensor, or iterable of either
        A part of the model, or its parameters.

    Raises
    ------
    UsageError
        If there is none, or one of which this process holds only a part.
    """
    found = [parameter for parameter in _walk(shared) if parameter.requires_grad]
    if not found:
        raise UsageError("shared has no trainable parameter: pass the part that all tasks use")
    if any(hasattr(parameter, "to_local") for parameter in found):
        raise UsageError("the shared parameters are sharded over processes: no norm is known here")
    return list(dict.fromkeys(found))


def _walk(shared: object) -> Iterator[Tensor]:
    if isinstance(shared, nn.Module):
        yield from shared.parameters()
    elif isinstance(shared, Tensor):
        yield shared
    elif isinstance(shared, Iterable) and not isinstance(shared, (str, bytes)):
        for part in shared:
            yield from _walk(part)
    else:
        raise UsageError(
            f"shared is a {type(shared).__name__}: pass a module, or parameters of the model"
        )


def measure_task_norms(
    losses: Sequence[Tensor],
    parameters: Sequence[Tensor],
    modules: Iterable[nn.Module] = (),
) -> list[Tensor]:
    """Measure the 2-norm of each loss's gradient on some parameters; the graph stays usable.

    Parameters
    ----------
    losses : sequence of Tensor, each of shape ()
        With their graph.
    parameters : sequence of Tensor
        The shared ones. Where a loss does not reach one, its gradient there counts as zero.
    modules : iterable of Module
        Whose buffers are put back, should a backward pass change them, as activation
        checkpointing with batch normalisation does.

    Returns
    -------
    list of Tensor, each of shape ()
        In float32 or float64, on the device of the parameters.

    Raises
    ------
    UsageError
        If none of the losses reaches any of the parameters.
    """
    with set_aside(), _keep_state(parameters, modules):
        norms = [_total(_differentiate(loss, parameters)) for loss in losses]
    if all(norm is None for norm in norms):
        raise UsageError(
            "no loss reaches the shared parameters: pass losses with their graph, and note that "
            "checkpointing with use_reentrant=True hides parameters from it"
        )
    return [torch.zeros(()) if norm is None else norm for norm in norms]


def _differentiate(loss: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    return torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)


def _total(gradients: Sequence[Tensor | None]) -> Tensor | None:
    norms = measure_norms(gradients)
    if norms is None:
        return None
    device = norms.vectors[0].device
    total: Tensor = torch.linalg.vector_norm(torch.cat([v.to(device) for v in norms.vectors]))
    return total


@contextmanager
def _keep_state(parameters: Sequence[Tensor], modules: Iterable[nn.Module]) -> Iterator[None]:
    """Put random state and buffers back, where recomputed activations have changed them."""
    kept = [(buffer, buffer.clone()) for module in modules for buffer in module.buffers()]
    devices = {p.device.index for p in parameters if p.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=sorted(devices)):
            yield
    finally:
        with torch.no_grad():
            for buffer, before in kept:
                buffer.data.copy_(before)  # which autograd does not take for a change


def measure_rates(losses: Tensor, first: Tensor) -> Tensor:
    """Return the relative inverse training rate of each task; 1 where all learn alike.

    Chen et al. (2018), GradNorm, arXiv:1711.02257: the share of its first loss that a task has
    left, over the mean of all tasks' shares. Above 1 a task learns more slowly than the others.

    Parameters
    ----------
    losses, first : Tensor of shape (n,)
        The tasks' losses, now and at the beginning, all positive.

    Returns
    -------
    Tensor of shape (n,)
        NaN where a loss is not positive.
    """
    left = losses / first
    left = torch.where((losses > 0) & (first > 0), left, torch.full_like(left, torch.nan))
    return left / left.mean()


def _check_models(models: Iterable[nn.Module]) -> None:
    if any(getattr(model, "static_graph", False) for model in models):
        raise UsageError("a DistributedDataParallel with static_graph=True forbids it")


def _check_losses(losses: object) -> None:
    if not isinstance(losses, Mapping) or len(losses) < 2:
        raise UsageError('pass the losses of two tasks or more, as {"ctr": loss1, "cvr": loss2}')
    for name, loss in losses.items():
        if not _NAME.fullmatch(str(name)):
            raise UsageError(f"{name!r} cannot name a task: use a word such as ctr")
        if not isinstance(loss, Tensor) or loss.ndim:
            raise UsageError(f"the loss of task {name!r} is no tensor of shape ()")


class TaskWatch:
    """Takes the losses of several tasks, and notes what they are and what each asks.

    Parameters
    ----------
    intake : Intake
        Where the numbers go.
    say : callable
        Takes a sentence on what could not be done.
    """

    def __init__(self, intake: Intake, say: Callable[[str], None]) -> None:
        self._intake = intake
        self._say = say
        self._calls = 0
        self._measured = 0
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._first: dict[str, Tensor] = {}
        self._shared: list[Tensor] = []
        self._blind = False  # the norms cannot be measured, and it has been said

    def note(
        self,
        losses: Mapping[str, Tensor],
        shared: object = None,
        *,
        weights: Mapping[str, Any] | None = None,
        every: int | None = None,
    ) -> None:
        """Take the losses of one batch; whatever is wrong is said, and never raised.

        Parameters
        ----------
        losses, shared, weights, every
            As for :meth:`fitdiag.Recorder.tasks`.
        """
        try:
            _check_losses(losses)
            self._add(losses)
            if self._is_due(every):
                self._measured = self._calls
                self._write(losses, shared, weights or {})
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            reason = str(problem) or type(problem).__name__
            self._say(f"run.tasks() was passed over: {reason.splitlines()[0]}")

    def _add(self, losses: Mapping[str, Tensor]) -> None:
        self._calls += 1
        for name, loss in losses.items():
            value = loss.detach().float()
            self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()
            self._counts[name] = self._counts.get(name, 0) + 1

    def _is_due(self, every: int | None) -> bool:
        since = self._calls - self._measured
        if every is not None:
            if every < 1:
                raise UsageError(f"every is {every!r}: pass calls from one measurement to the next")
            return since >= every or self._calls == 1
        calls = self._calls
        return since >= max(1, min(calls // DENSE, APART), calls // SPACING)

    def _write(
        self, losses: Mapping[str, Tensor], shared: object, weights: Mapping[str, Any]
    ) -> None:
        """Note the mean losses since the last time, their rates, and the norms of this batch."""
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        cells: dict[str, Any] = {f"{TASK_LOSS}{name}": mean for name, mean in means.items()}
        known = [name for name in means if self._first.setdefault(name, means[name]) is not None]
        now, first = (torch.stack([of[name] for name in known]) for of in (means, self._first))
        rates = measure_rates(now, first).unbind()
        cells |= {f"{TASK_RATE}{name}": rate for name, rate in zip(known, rates, strict=True)}
        norms = self._measure(losses, shared)
        for name, norm in norms.items():
            weight: Any = weights.get(name, 1.0)
            weight = weight.detach() if isinstance(weight, Tensor) else float(weight)
            cells[f"{TASK_NORM}{name}"] = (norm * abs(weight)).float()
            if weights:
                cells[f"{TASK_WEIGHT}{name}"] = weight
        self._intake.note_values(Logged(cells, ahead=True))

    def _measure(self, losses: Mapping[str, Tensor], shared: object) -> dict[str, Tensor]:
        trained = {name: loss for name, loss in losses.items() if loss.requires_grad}
        if self._blind or not trained:
            return {}
        try:
            _check_models(self._intake.models)
            parameters = self._find_shared(trained, shared)
            norms = measure_task_norms(list(trained.values()), parameters, self._intake.models)
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            self._blind = True
            reason = str(problem) or type(problem).__name__
            self._say(f"the gradient norms of tasks are not recorded: {reason.splitlines()[0]}")
            return {}
        return dict(zip(trained, norms, strict=True))

    def _find_shared(self, losses: Mapping[str, Tensor], shared: object) -> list[Tensor]:
        """Return the shared parameters: those said, or those of the models that all tasks reach."""
        if shared is not None:
            return list_shared(shared)
        if not self._shared:
            every = list_shared(self._intake.models)
            reached = [True] * len(every)
            with set_aside(), _keep_state(every, self._intake.models):
                for loss in losses.values():
                    found = _differentiate(loss, every)
                    reached = [a and g is not None for a, g in zip(reached, found, strict=True)]
            self._shared = [p for p, is_shared in zip(every, reached, strict=True) if is_shared]
            if not self._shared:
                raise UsageError("the tasks share no parameter of the model")
        return self._shared
