"""The pick: which checkpoint to keep, and why.

After the gradient norm's early peak, once the run has settled, the evaluated checkpoint with the
lowest denoised validation loss. The norm usually peaks early, while parameters move fast; the
region after it, where norm and loss fall together, generalises better (see docs/checkpoint.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.findings import Alternative, Checkpoint, GradientPhases
from fitdiag.signals import LARGEST, prominences

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fitdiag.signals import Facts, Signal

__all__ = ["PickConfig", "find_phases", "pick"]


@dataclass(frozen=True, kw_only=True)
class PickConfig:
    """The limits of the pick; each travels with the result.

    Parameters
    ----------
    peak_factor : float
        Factor by which the smoothed norm must stand above the valleys on both its sides.
    peak_errors : float
        Standard errors by which it must do so.
    transient_share : float
        Share of the run within which the peak of the transient is looked for.
    settled_checks : int
        Checks in a row over which the norm must fall for the run to have settled.
    fluctuation : float
        Relative rise from one such check to the next that still counts as falling.
    baseline_share : float
        Share of its starting baseline that the training loss must be under to have settled.
    late_rise_factor : float
        Factor over its later minimum by which the smoothed norm must end to "rise late".
    late_share : float
        Share of its whole fall that the training loss must have made by then: a norm that rises
        while learning is only starting does not rise late.
    own_share : float
        Share of a point's own deviation from the denoised curve that is taken for a better or
        worse model, the rest for the chance of its evaluation. On AlgoPerf's runs all of it is
        real, with a validation set of a few samples none; a half costs little on either.
    early_errors : float
        Standard errors by which an evaluation from before the norm settled must be better than
        all that follow for the settling to limit nothing.
    tie_noise : float
        Share of the noise within which two points tie, and the earlier wins.
    """

    peak_factor: float = 1.25
    peak_errors: float = 3.0
    transient_share: float = 0.5
    settled_checks: int = 3
    fluctuation: float = 0.03
    baseline_share: float = 0.95
    late_rise_factor: float = 1.5
    late_share: float = 0.5
    own_share: float = 0.5
    early_errors: float = 3.0
    tie_noise: float = 0.05


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
    checks = np.unique(np.linspace(start, norm.size - 1, _CHECKS).astype(int))
    falling = norm[checks[1:]] <= norm[checks[:-1]] * (1 + config.fluctuation)
    wanted = min(config.settled_checks, falling.size)
    below = norm <= (1 - config.fluctuation) * np.maximum.accumulate(norm)
    for k in range(falling.size - wanted + 1):
        last = checks[k + wanted]
        step = float(grad.steps[last])
        settles = falling[k : k + wanted].all() and below[last]
        if settles and _under_baseline(facts.train, step, config):
            return step
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


def pick(
    facts: Facts, phases: GradientPhases | None, config: PickConfig | None = None
) -> Checkpoint | None:
    """Return the checkpoint to keep.

    Parameters
    ----------
    facts : Facts
        The run's signals.
    phases : GradientPhases or None
        What :func:`find_phases` found.
    config : PickConfig, optional
        The limits.

    Returns
    -------
    Checkpoint or None
        None when there is no finite point to choose.
    """
    config = config or PickConfig()
    chosen_by = facts.val if facts.val is not None and len(facts.val) else None
    if chosen_by is not None:
        return _pick_by_validation(facts, chosen_by, phases, config)
    if facts.train is None or not len(facts.train):
        return None
    return _pick_blind(facts, facts.train, phases)


@dataclass(frozen=True, kw_only=True)
class _Field:
    """All finite points of the curve that is chosen by, with their scores; the lowest is best."""

    name: str
    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    score: NDArray[np.float64]
    error: float

    def after(self, step: float) -> NDArray[np.intp]:
        return np.flatnonzero(self.steps >= step)


def _field(facts: Facts, signal: Signal, own_share: float) -> _Field:
    curve = facts.run.curves[signal.name]
    finite = np.isfinite(curve.values)
    steps = curve.steps[finite]
    values = np.clip(curve.values[finite], -LARGEST, LARGEST)
    smooth = np.interp(steps, signal.steps, signal.smooth)
    return _Field(
        name=signal.name,
        steps=steps,
        values=values,
        score=smooth + own_share * (values - smooth),
        error=float(np.median(signal.error)),
    )


def _candidates(
    field: _Field,
    phases: GradientPhases | None,
    config: PickConfig,
    moment: Callable[[float], str],
) -> tuple[NDArray[np.intp], str]:
    """Return the candidates, and the sentence that says what limits them."""
    everything = np.arange(field.steps.size)
    if phases is None:
        return everything, "No gradient norm was recorded, so every evaluation is a candidate."
    if phases.settled is None:
        return everything, "The gradient norm never settles, so every evaluation is a candidate."
    after = field.after(phases.settled)
    if not after.size:
        return everything, "No evaluation follows the settling of the gradient norm."
    lost = float(field.score[after].min() - field.score.min())
    if lost > config.early_errors * field.error:
        return everything, (
            "Validation was clearly better before the gradient norm settled; it limits nothing."
        )
    where = "after its peak" if phases.peak is not None else "with no peak to wait for"
    return after, f"The gradient norm has settled by {moment(phases.settled)}, {where}."


def _pick_by_validation(
    facts: Facts, val: Signal, phases: GradientPhases | None, config: PickConfig
) -> Checkpoint:
    field = _field(facts, val, config.own_share)
    candidates, limits = _candidates(field, phases, config, facts.run.moment)
    tie = config.tie_noise * float(np.median(val.noise))
    close = field.score[candidates] <= field.score[candidates].min() + tie
    index = int(candidates[np.flatnonzero(close)[0]])
    lowest = float(field.values.min())
    spread = float(field.values[0]) - lowest
    regret = (float(field.values[index]) - lowest) / spread if spread > 0 else 0.0
    return Checkpoint(
        step=float(field.steps[index]),
        epoch=facts.run.epoch_at(float(field.steps[index])),
        path=None,
        curve=val.name,
        value=float(field.score[index]),
        reason=(
            f"{limits} Of the candidates this one has the lowest denoised validation loss, "
            f"{field.score[index]:.4g}."
        ),
        regret=regret,
        blind=False,
        alternatives=_alternatives(facts, field, phases),
    )


def _pick_blind(facts: Facts, train: Signal, phases: GradientPhases | None) -> Checkpoint:
    field = _field(facts, train, 0.0)
    candidates = np.arange(field.steps.size)
    if phases is not None and phases.settled is not None and field.after(phases.settled).size:
        candidates = field.after(phases.settled)
    reason = "Chosen blind: there is no validation loss. "
    if phases is not None and phases.late_rise is not None:
        before = candidates[field.steps[candidates] <= phases.late_rise]
        candidates = before if before.size else candidates
        turn = facts.run.moment(phases.late_rise)
        reason += f"Lowest training loss before the gradient norm rises at {turn}."
    else:
        reason += "Lowest denoised training loss; no late rise of the gradient norm stops it."
    index = int(candidates[np.argmin(field.score[candidates])])
    step = float(field.steps[index])
    return Checkpoint(
        step=step,
        epoch=facts.run.epoch_at(step),
        path=None,
        curve=train.name,
        value=float(field.score[index]),
        reason=reason,
        regret=None,
        blind=True,
        alternatives=_alternatives(facts, field, phases),
    )


def _alternatives(
    facts: Facts, field: _Field, phases: GradientPhases | None
) -> tuple[Alternative, ...]:
    indices = {"argmin": int(np.argmin(field.values)), "last": field.steps.size - 1}
    if phases is not None and phases.settled is not None:
        after = field.after(phases.settled)
        if after.size:
            indices["first settled"] = int(after[0])
    return tuple(
        Alternative(
            rule=rule,
            step=float(field.steps[index]),
            epoch=facts.run.epoch_at(float(field.steps[index])),
            value=float(field.values[index]),
        )
        for rule, index in indices.items()
    )
