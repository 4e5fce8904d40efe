"""GradNorm: weights of several losses, such that all tasks train at a similar rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed, nn

from fitdiag.errors import UsageError
from fitdiag.recording.tasks import list_shared, measure_rates, measure_task_norms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["GradNorm"]

#: decay of the two running means of Adam, and what it adds to the root of the second
#: (Kingma & Ba 2015, arXiv:1412.6980)
BETAS = (0.9, 0.999)
NUDGE = 1e-8


class GradNorm(nn.Module):
    r"""Weighs the losses of several tasks such that their gradients balance, while they train.

    After Chen et al. (2018), GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep
    Multitask Networks, arXiv:1711.02257. On the shared parameters each weighted loss has a
    gradient of norm :math:`G_i`. The weights move so that :math:`G_i` comes to
    :math:`\bar G \, r_i^\alpha`, where :math:`r_i` is the task's relative inverse training rate:
    a task that has kept more of its first loss than the others pulls harder. They are brought
    back to a sum of the number of tasks at each call.

    As in the paper, the objective is the sum of :math:`|G_i - \bar G r_i^\alpha|` with the target
    held constant, minimised by Adam. Two things differ. Since :math:`G_i` is the weight times the
    norm of the unweighted loss, its slope is known without a second derivative. And it is the
    logarithm of a weight that is moved, so that a weight stays positive, and losses that differ by
    orders of magnitude are balanced by ratios instead of by differences.

    Parameters
    ----------
    tasks : iterable of str
        Names of the tasks, two or more.
    shared : Module, or iterable of parameters
        What all tasks share. Each call takes one more backward pass for each task down to there,
        so the last shared layer is the cheap choice, and the paper's.
    alpha : float, optional
        How hard a task that trains slowly is pulled up; 0 keeps all norms equal. The paper has
        1.5 for tasks of different kinds, and .12 for a toy of alike ones. Default: 1.5.
    lr : float, optional
        Step of a weight, as a share of it. Default: .025, the paper's.
    initial : mapping of str to float, optional
        Losses that the rates are relative to, such as the logarithm of the number of classes.
        Default: those of the first call.

    Raises
    ------
    UsageError
        If there are fewer than two tasks, nothing is shared, or a number makes no sense.

    Notes
    -----
    Losses have to be positive for their rates; while one is not, all rates count as 1. A batch
    whose norms are not finite moves no weight. Nothing waits for the device. In a distributed
    training the processes average losses and norms, and so keep the same weights.
    ``state_dict()`` holds weights, first losses and Adam's means, for a resumed training. In
    :meth:`eval` mode, or without gradients, the weights stay as they are.

    Examples
    --------
    >>> import torch, fitdiag
    >>> trunk, click, buy = (torch.nn.Linear(3, size) for size in (3, 1, 1))
    >>> balance = fitdiag.GradNorm(["ctr", "cvr"], shared=trunk)
    >>> hidden = trunk(torch.ones(8, 3))
    >>> losses = {"ctr": (click(hidden) - 1).square().mean(),
    ...           "cvr": 100 * (buy(hidden) - 1).square().mean()}
    >>> balance(losses).backward()
    >>> round(float(sum(balance.weights.values())), 4)
    2.0
    """

    log_weights: Tensor
    initial_losses: Tensor
    moment: Tensor
    spread: Tensor
    count: Tensor

    def __init__(
        self,
        tasks: Iterable[str],
        shared: nn.Module | Tensor | Iterable[Tensor],
        *,
        alpha: float = 1.5,
        lr: float = 0.025,
        initial: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        if len(self.tasks) < 2 or len(set(self.tasks)) < len(self.tasks):
            raise UsageError(f"tasks is {list(self.tasks)}: pass two or more different names")
        if not (math.isfinite(alpha) and alpha >= 0 and math.isfinite(lr) and lr > 0):
            raise UsageError(f"alpha is {alpha!r} and lr {lr!r}: pass 0 or more, and more than 0")
        unknown = sorted(set(initial or ()) - set(self.tasks))
        if unknown:
            raise UsageError(f"initial names {unknown[0]!r}: the tasks are {list(self.tasks)}")
        self.alpha = alpha
        self.lr = lr
        self._modules_seen = (shared,) if isinstance(shared, nn.Module) else ()
        self._parameters_seen = tuple(list_shared(shared))
        first = [float((initial or {}).get(name, math.nan)) for name in self.tasks]
        self.register_buffer("log_weights", torch.zeros(len(self.tasks)))
        self.register_buffer("initial_losses", torch.tensor(first))
        self.register_buffer("moment", torch.zeros(len(self.tasks)))
        self.register_buffer("spread", torch.zeros(len(self.tasks)))
        self.register_buffer("count", torch.zeros(()))

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weight of each task, detached, each of shape (); their sum is the number of tasks."""
        return dict(zip(self.tasks, self.log_weights.exp().unbind(), strict=True))

    def extra_repr(self) -> str:
        """Return what a module prints of itself."""
        return f"tasks={list(self.tasks)}, alpha={self.alpha}, lr={self.lr}"

    def forward(self, losses: Mapping[str, Tensor] | Sequence[Tensor]) -> Tensor:
        """Return the weighted sum of the losses, to call ``backward()`` on, and move the weights.

        Parameters
        ----------
        losses : mapping of str to Tensor, or sequence of Tensor, each of shape ()
            By task, or in the order of the tasks; unscaled by any gradient scaler.

        Returns
        -------
        Tensor of shape ()
            Weighted by the weights from before this call, as in the paper.

        Raises
        ------
        UsageError
            If the losses are not those of the tasks.
        """
        parts = self._order(losses)
        if self.log_weights.device != parts[0].device:
            self.to(parts[0].device)
        weights = self.log_weights.exp().unbind()
        total = torch.stack([w * part for w, part in zip(weights, parts, strict=True)]).sum()
        if self.training and total.requires_grad and torch.is_grad_enabled():
            self._move(parts)
        return total

    def _order(self, losses: Mapping[str, Tensor] | Sequence[Tensor]) -> list[Tensor]:
        if isinstance(losses, Mapping):
            if set(losses) != set(self.tasks):
                raise UsageError(
                    f"losses are of {sorted(losses)}: the tasks are {list(self.tasks)}"
                )
            parts = [losses[name] for name in self.tasks]
        else:
            parts = list(losses)
        if len(parts) != len(self.tasks) or any(part.ndim for part in parts):
            raise UsageError(f"pass one loss of shape () for each of the tasks {list(self.tasks)}")
        return parts

    def _move(self, parts: Sequence[Tensor]) -> None:
        """Move the weights by one step."""
        norms = measure_task_norms(parts, self._parameters_seen, self._modules_seen)
        with torch.no_grad():
            device = self.log_weights.device
            losses = torch.stack([part.detach().float() for part in parts])
            losses, sizes = _average(
                losses, torch.stack([norm.float().to(device) for norm in norms])
            )
            self.initial_losses.copy_(
                torch.where(self.initial_losses.isnan(), losses, self.initial_losses)
            )
            slope = self._slope(losses, sizes)
            self.count += 1
            self.moment.lerp_(slope, 1 - BETAS[0])
            self.spread.lerp_(slope.square(), 1 - BETAS[1])
            mean = self.moment / (1 - BETAS[0] ** self.count)
            root = (self.spread / (1 - BETAS[1] ** self.count)).sqrt()
            self.log_weights -= self.lr * mean / (root + NUDGE)
            self.log_weights -= self.log_weights.exp().mean().log()

    def _slope(self, losses: Tensor, norms: Tensor) -> Tensor:
        """Return the slope of the objective along each logarithm, over the mean norm."""
        rates = measure_rates(losses, self.initial_losses)
        rates = torch.where(rates.isfinite().all(), rates, torch.ones_like(rates))
        weighted = self.log_weights.exp() * norms
        weighted = weighted / weighted.mean()  # Adam makes nothing of the scale
        slope = weighted * torch.sign(weighted - rates**self.alpha)
        return torch.where(slope.isfinite().all(), slope, torch.zeros_like(slope))


def _average(losses: Tensor, norms: Tensor) -> tuple[Tensor, Tensor]:
    """Average over the processes of a training, where there are several."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return losses, norms
    both = torch.stack([losses, norms])
    distributed.all_reduce(both)
    both /= distributed.get_world_size()
    return both[0], both[1]
