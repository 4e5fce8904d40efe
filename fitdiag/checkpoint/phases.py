"""The gradient norm's early peak, the settled region after it, and its late rise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fitdiag.checkpoint.config import PickConfig
from fitdiag.findings import GradientPhases
from fitdiag.signals import prominences

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fitdiag.signals import Facts, Signal

__all__ = ["find_phases"]

#: norms are compared at no more checks than this, however long the run
_CHECKS = 50


def find_phases(facts: Facts, config: PickConfig | None = None) -> GradientPhases | None:
    """Return the peak, the settled region and the late rise of the gradient norm.

    Parameters
    ----------
    facts : Facts
        The run's signals.
    config : PickConfig, optional
        The limits.

    Returns
    -------
    GradientPhases or None
        None when the run has no gradient norm, or fewer than five finite values of it.
    """
    config = config or PickConfig()
    grad = facts.grad
    if grad is None or len(grad) < 5:
        return None
    norm = np.maximum(grad.smooth, np.finfo(float).tiny)
    limit = _peak_limit(facts, grad, config)
    index = _prominent_peak(norm, grad, limit, config)
    peak = None if index is None else float(grad.steps[index])
    settled = _settled(facts, grad, norm, index or 0, config)
    rise = _late_rise(facts, norm, settled, config)
    if peak is None:
        reason = "The gradient norm has no prominent peak in the transient; it constrains nothing."
    else:
        reason = f"The gradient norm peaks at {facts.run.moment(peak)} ({norm[index]:.3g})."
    if settled is None:
        reason += (
            " The run never settles: the norm does not keep falling, or the loss hardly falls."
        )
    return GradientPhases(
        peak=peak,
        peak_value=None if index is None else float(norm[index]),
        settled=settled,
        late_rise=rise,
        reason=reason,
    )


def _peak_limit(facts: Facts, grad: Signal, config: PickConfig) -> float:
    """Return the step up to which a peak belongs to the transient, and not to overfitting."""
    first, last = float(grad.steps[0]), float(grad.steps[-1])
    limit = first + config.transient_share * (last - first)
    if facts.val is not None and len(facts.val) >= 2:
        limit = min(limit, float(facts.val.steps[int(np.argmin(facts.val.smooth))]))
    return limit


def _prominent_peak(
    norm: NDArray[np.float64], grad: Signal, limit: float, config: PickConfig
) -> int | None:
    """Return the index of the most prominent local maximum up to a step, or None."""
    inner = np.flatnonzero((norm[1:-1] > norm[:-2]) & (norm[1:-1] >= norm[2:])) + 1
    inner = inner[grad.steps[inner] < limit]
    if not inner.size:
        return None
    heights = prominences(norm, inner)
    beyond = config.peak_errors * grad.error[inner]
    valleys = np.maximum(norm[inner] - heights, np.finfo(float).tiny)
    factors = np.where(heights > beyond, np.log(norm[inner]) - np.log(valleys), -1.0)
    best = int(np.argmax(factors))
    return int(inner[best]) if factors[best] >= np.log(config.peak_factor) else None


def _settled(
    facts: Facts, grad: Signal, norm: NDArray[np.float64], start: int, config: PickConfig
) -> float | None:
    """Return the first step after the peak where the norm keeps falling and the loss has fallen."""
    checks = np.linspace(start, norm.size - 1, _CHECKS).astype(int)
    checks = checks[np.append(np.diff(checks) > 0, np.True_)]
    falling = (norm[checks[1:]] <= norm[checks[:-1]] * (1 + config.fluctuation)).tolist()
    wanted = min(config.settled_checks, len(falling))
    below = norm <= (1 - config.fluctuation) * np.maximum.accumulate(norm)
    for k in range(len(falling) - wanted + 1):
        last = checks[k + wanted]
        settles = all(falling[k : k + wanted]) and below[last]
        if settles and _under_baseline(facts.train, float(grad.steps[last]), config):
            return float(grad.steps[last])
    return None


def _under_baseline(train: Signal | None, step: float, config: PickConfig) -> bool:
    if train is None or not len(train):
        return True
    baseline, lowest = float(train.values[0]), float(train.smooth.min())
    # a loss that reaches zero or less has no baseline to take a share of: take it of the fall
    reach = baseline if lowest > 0 else baseline - lowest
    return baseline - train.at(step) > (1 - config.baseline_share) * reach


def _late_rise(
    facts: Facts, norm: NDArray[np.float64], settled: float | None, config: PickConfig
) -> float | None:
    grad, train = facts.grad, facts.train
    if settled is None or grad is None:
        return None
    later = np.flatnonzero(grad.steps >= settled)
    lowest = int(later[np.argmin(norm[later])])
    step = float(grad.steps[lowest])
    if norm[-1] <= config.late_rise_factor * norm[lowest]:
        return None
    if train is not None and len(train):
        start, least = float(train.values[0]), float(train.smooth.min())
        if start - train.at(step) < config.late_share * (start - least):
            return None
    return step
