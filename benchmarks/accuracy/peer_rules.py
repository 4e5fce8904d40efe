"""Published one-line rules, written from their documentation, to stand beside fitdiag.

Each takes a run and answers with one of fitdiag's verdict words. A rule that speaks of overfitting
alone is completed by the plainest no-learning and divergence tests, so that it can compete at all;
those that cannot be completed to a verdict stand apart, in ``PARTIAL`` and ``GRADIENT_PEERS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fitdiag import Run

    Array = NDArray[np.float64]

__all__ = ["GRADIENT_PEERS", "PARTIAL", "PEERS"]


def _arrays(run: Run) -> tuple[Array, Array]:
    train, val = run.train_loss, run.val_loss
    empty = np.empty(0)
    return (empty if train is None else train.values, empty if val is None else val.values)


def _plain(train: Array, val: Array) -> str | None:
    """Diverged, no learning or inconclusive by the plainest tests; None for all else."""
    if train.size and not np.isfinite(train[-1]):
        return "diverged"
    if train.size < 4 or val.size < 4:
        return "inconclusive"
    if train[-1] > train[0]:
        return "diverged" if train[-1] > 1.5 * abs(train[0]) else "no_learning"
    return "no_learning" if train[0] - train[-1] < 0.02 * abs(train[0]) else None


def _gap_word(train: Array, val: Array) -> str:
    gained = train[0] - train[-1]
    return "controlled_gap" if val[-1] - train[-1] > 0.15 * gained else "ideal"


def rebound(run: Run) -> str:
    """Median of the last 5 % lies 5 % above the minimum of the five-point running mean."""
    train, val = _arrays(run)
    plain = _plain(train, val)
    if plain:
        return plain
    val = val[np.isfinite(val)]
    smooth = np.convolve(val, np.ones(min(5, val.size)) / min(5, val.size), mode="valid")
    end = float(np.median(val[-max(1, val.size // 20) :]))
    return "overfitting" if end > 1.05 * smooth.min() else _gap_word(train, val)


def early_stopping(run: Run) -> str:
    """Keras EarlyStopping with patience 10: overfitting if it would have stopped the run."""
    train, val = _arrays(run)
    plain = _plain(train, val)
    if plain:
        return plain
    best = np.fmin.accumulate(val)
    waited = val.size - 1 - int(np.argmax(best == best[-1]))
    return "overfitting" if waited >= 10 else _gap_word(train, val)


def sagemaker(run: Run) -> str:
    """Amazon SageMaker Debugger: Overfit (ratio 0.1, patience 1) and LossNotDecreasing."""
    train, val = _arrays(run)
    plain = _plain(train, val)
    if plain in {"diverged", "inconclusive"}:
        return plain
    n = min(train.size, val.size)
    ratio = (val[-n:] - train[-n:]) / np.maximum(np.abs(train[-n:]), 1e-12)
    if (ratio > 0.1).sum() > 1:
        return "overfitting"
    return "no_learning" if plain else "ideal"


def umlaut(run: Run) -> str:
    """UMLAUT: training loss fell and validation loss rose in a single epoch (CHI 2021)."""
    train, val = _arrays(run)
    plain = _plain(train, val)
    if plain:
        return plain
    n = min(train.size, val.size)
    bad = (np.diff(train[-n:]) < 0) & (np.diff(val[-n:]) > 0)
    return "overfitting" if bad.any() else _gap_word(train, val)


def spearman(run: Run) -> str:
    """Negative Spearman correlation of training and validation loss (arXiv:2401.10359)."""
    from scipy.stats import rankdata

    return _correlated(run, rankdata)


def pearson(run: Run) -> str:
    """Negative Pearson correlation of training and validation loss (arXiv:2401.10359)."""
    return _correlated(run, np.asarray)


def _correlated(run: Run, scale: Callable[[Array], Array]) -> str:
    train, val = _arrays(run)
    plain = _plain(train, val)
    if plain:
        return plain
    n = min(train.size, val.size)
    both = np.isfinite(train[-n:]) & np.isfinite(val[-n:])
    left, right = scale(train[-n:][both]), scale(val[-n:][both])
    together = float(np.mean((left - left.mean()) * (right - right.mean()))) if both.any() else 0.0
    return "overfitting" if together < 0 else _gap_word(train, val)


def loss_not_decreasing(run: Run) -> str:
    """Amazon SageMaker Debugger, LossNotDecreasing: under 0.1 % in some 10 logged points."""
    train, _ = _arrays(run)
    train = train[np.isfinite(train)]
    if train.size <= 10:
        return "inconclusive"
    fell = (train[:-10] - train[10:]) / np.maximum(np.abs(train[:-10]), 1e-12)
    return "no_learning" if fell.min() < 0.001 else "healthy"


def vanishing_gradient(run: Run) -> frozenset[str]:
    """Amazon SageMaker Debugger, VanishingGradient: below 1e-7, here the global norm."""
    norms = run.get("grad_norm")
    found = norms is not None and (norms.values < 1e-7).any()
    return frozenset({"vanishing"} if found else ())


def exploding_tensor(run: Run) -> frozenset[str]:
    """Amazon SageMaker Debugger, ExplodingTensor: a value that is not finite."""
    norms = run.get("grad_norm")
    found = norms is not None and not np.isfinite(norms.values).all()
    return frozenset({"explosion"} if found else ())


PEERS: dict[str, Callable[[Run], str]] = {
    "one-line rebound rule": rebound,
    "EarlyStopping, patience 10": early_stopping,
    "SageMaker Debugger's rules": sagemaker,
    "UMLAUT's single epoch": umlaut,
    "Spearman correlation": spearman,
    "Pearson correlation": pearson,
}
"""Rules that come to one of fitdiag's verdicts."""

PARTIAL: dict[str, Callable[[Run], str]] = {"SageMaker LossNotDecreasing": loss_not_decreasing}
"""Rules that speak of no learning alone; "healthy" stands for everything else."""

GRADIENT_PEERS: dict[str, Callable[[Run], frozenset[str]]] = {
    "SageMaker VanishingGradient": vanishing_gradient,
    "SageMaker ExplodingTensor": exploding_tensor,
}
"""Rules that raise gradient alarms: "explosion" or "vanishing"."""
