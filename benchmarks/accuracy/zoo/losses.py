"""The loss functions of the zoo, what the best constant reaches, and what is attainable."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["accuracy", "attainable_loss", "best_constant", "make_loss", "outputs_of"]

LEAST_NLL = 0.5 * math.log(1e-2) + 0.5
"""likelihood loss of a model that leaves 1 % of the variance: the floor where noise sets none"""


def _hinge(out: Tensor, y: Tensor) -> Tensor:
    return (1 - (2 * y.float() - 1) * out[:, 0]).clamp(min=0).mean()


def _nll(out: Tensor, y: Tensor) -> Tensor:
    log_variance = out[:, 1:]
    return 0.5 * (log_variance + (y - out[:, :1]) ** 2 * torch.exp(-log_variance)).mean()


def make_loss(name: str, smoothing: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Give the mean loss of outputs against targets.

    Parameters
    ----------
    name : str
        ``ce``, ``bce``, ``hinge``, ``margin`` (hinge over classes), ``mse``, ``l1`` or ``nll``
        (Gaussian likelihood with a learned variance, which can fall below zero).
    smoothing : float
        Label smoothing of ``ce``.

    Returns
    -------
    callable
        ``(outputs, targets) -> scalar``.
    """

    def cross_entropy(out: Tensor, y: Tensor) -> Tensor:
        flat = out.reshape(-1, out.shape[-1])
        return functional.cross_entropy(flat, y.reshape(-1), label_smoothing=smoothing)

    losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "ce": cross_entropy,
        "bce": lambda out, y: functional.binary_cross_entropy_with_logits(out[:, 0], y.float()),
        "hinge": _hinge,
        "margin": functional.multi_margin_loss,
        "mse": functional.mse_loss,
        "l1": functional.l1_loss,
        "nll": _nll,
    }
    return losses[name]


def outputs_of(name: str, classes: int) -> int:
    """Give how many outputs a loss needs for a number of classes (1 for real values)."""
    return {"bce": 1, "hinge": 1, "nll": 2}.get(name, classes)


def accuracy(name: str, out: Tensor, y: Tensor) -> float:
    """Give the share of right answers; NaN for real-valued targets."""
    if name in ("mse", "l1", "nll"):
        return math.nan
    guess = (out[:, 0] > 0).long() if name in ("bce", "hinge") else out.argmax(-1)
    return float((guess == y).float().mean())


def best_constant(loss: Callable[[Tensor, Tensor], Tensor], y: Tensor, outputs: int) -> float:
    """Find the loss of the best answer that does not look at the input.

    Parameters
    ----------
    loss : callable
        From :func:`make_loss`.
    y : Tensor
        Targets.
    outputs : int
        Outputs of the model.

    Returns
    -------
    float
        Class prior, mean, median or unigram, whatever the loss asks for.
    """
    y = y[:2000]
    constant = torch.zeros(outputs, requires_grad=True)
    optimizer = torch.optim.Adam([constant], lr=0.2)
    best = math.inf
    for step in range(250):
        optimizer.param_groups[0]["lr"] = 0.2 * (1 - step / 250) + 1e-4
        optimizer.zero_grad()
        value = loss(constant.expand(*y.shape[: 1 if y.is_floating_point() else None], outputs), y)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        best = min(best, float(value.detach()))
    return best


def attainable_loss(name: str, constant: float, noise: float, classes: int, rest: float) -> float:
    """Estimate the loss that a good model reaches on targets as noisy as these.

    Parameters
    ----------
    name : str
        The loss function.
    constant : float
        Loss of the best constant.
    noise : float
        Share of targets drawn at random, label smoothing included.
    classes : int
        Number of classes; 1 for real values.
    rest : float
        Share of the constant's loss that stays without noise.

    Returns
    -------
    float
        Nominal: good to tell a run that learned little from one that learned nothing.
    """
    if name == "nll":
        left = max(1 - (1 - noise) ** 2 * (1 - rest), 1e-2)
        return max(0.5 * math.log(left) + 0.5, LEAST_NLL)
    if name == "mse":
        return constant * (1 - (1 - noise) ** 2 * (1 - rest))
    if name in ("l1", "hinge", "margin"):
        return constant * (1 - (1 - noise) * (1 - rest))
    wrong = noise / max(classes, 2)
    right = 1 - wrong * (max(classes, 2) - 1)
    floor = -right * math.log(right)
    if wrong:
        floor -= (1 - right) * math.log(wrong)
    return max(floor, rest * constant)
