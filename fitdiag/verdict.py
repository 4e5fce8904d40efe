"""The one place where the verdict is computed.

Every number that the verdict is made from is scale-free: differences of denoised losses over the
run's own improvement, or over the curve's own noise. The order of the questions matters: a run
that broke is asked nothing else; one that never learned has no rebound; one that memorised from
the start never had a falling validation loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.findings import Evidence, Judgement, Verdict

if TYPE_CHECKING:
    from fitdiag.signals import Facts, Signal

__all__ = ["VerdictConfig", "judge"]


@dataclass(frozen=True, kw_only=True)
class VerdictConfig:
    """The limits of the verdict; each travels with the result.

    Parameters
    ----------
    min_points : int
        Finite points that the training and the validation loss each need to be judged.
    end_share : float
        Share of the run, at its end, that is averaged as "the end".
    noise_z : float
        Standard errors by which a change must exceed the noise to count.
    lost_share : float
        Diverged: share of what the training loss had gained that it lost again by the end.
    fall_share : float
        No learning: relative fall of a positive loss below which it did not fall.
    constant_band : float
        No learning: relative distance to ln C within which both losses end at a constant predictor.
    rise_share : float
        Overfitting: rise of validation loss above its minimum, over its fall before that.
    memorised_share : float
        Overfitting: share of its level that the training loss lost while validation never fell.
    follow_share : float
        Overfitting: fall of validation loss over that of training below which it did not follow.
    gap_share : float
        Controlled gap: final gap over the improvement of the training loss.
    """

    min_points: int = 4
    end_share: float = 0.05
    noise_z: float = 3.0
    lost_share: float = 0.5
    fall_share: float = 0.02
    constant_band: float = 0.01
    rise_share: float = 0.06
    memorised_share: float = 0.1
    follow_share: float = 0.2
    gap_share: float = 0.15


@dataclass(frozen=True, kw_only=True)
class _Loss:
    """What the questions ask of one loss curve."""

    signal: Signal
    start: float
    end: float
    lowest: float
    lowest_step: float
    error: float
    """standard error of a difference between two denoised values"""

    @property
    def fall(self) -> float:
        return self.start - self.lowest

    @property
    def net_fall(self) -> float:
        return self.start - self.end

    @property
    def rise(self) -> float:
        return self.end - self.lowest


def _summarise(signal: Signal, config: VerdictConfig) -> _Loss:
    smooth = signal.smooth
    tail = max(1, math.ceil(config.end_share * smooth.size))
    lowest = int(np.argmin(smooth))
    averaged = max(2.0, tail)
    noise = float(np.median(signal.noise))
    return _Loss(
        signal=signal,
        start=float(signal.values[0]),
        end=float(np.median(smooth[-tail:])),
        lowest=float(smooth[lowest]),
        lowest_step=float(signal.steps[lowest]),
        error=noise * math.sqrt(2.0 / averaged),
    )


def judge(facts: Facts, config: VerdictConfig | None = None) -> Judgement:
    """Return the verdict of a run with its confidence, its reason and its evidence.

    Parameters
    ----------
    facts : Facts
        The run's signals.
    config : VerdictConfig, optional
        The limits.
    """
    config = config or VerdictConfig()
    train = facts.train
    if train is None:
        return _inconclusive("The log has no training loss.")
    if train.ends_nonfinite or not len(train):
        return _diverged_nonfinite(facts, train)
    loss = _summarise(train, config)
    diverged = _diverged(facts, loss, config) if len(train) >= config.min_points else None
    if diverged:
        return diverged
    if len(train) < config.min_points:
        return _inconclusive(
            f"The training loss has {len(train)} points; a verdict needs {config.min_points}."
        )
    if facts.val is None:
        return _inconclusive("The log has no validation loss, so nothing can be said of fit.")
    if len(facts.val) < config.min_points:
        return _inconclusive(
            f"The validation loss has {len(facts.val)} usable points; "
            f"a verdict needs {config.min_points}."
        )
    return _fit(facts, loss, _summarise(facts.val, config), config)


def _inconclusive(reason: str) -> Judgement:
    return Judgement(verdict=Verdict.INCONCLUSIVE, confidence=None, reason=reason)


def _diverged_nonfinite(facts: Facts, train: Signal) -> Judgement:
    first = train.first_nonfinite
    since = train.steps[-1] if len(train) else first
    step = float(since if since is not None else 0.0)
    last = facts.run.span[1]
    return Judgement(
        verdict=Verdict.DIVERGED,
        confidence=0.99,
        reason=(
            f"Training loss ended non-finite: {train.nonfinite} of {train.count} values are NaN or "
            f"infinite, the first at {facts.run.moment(first or 0.0)}."
        ),
        onset=first,
        evidence=(Evidence(curve=train.name, start=step, end=last, label="non-finite"),),
    )


def _diverged(facts: Facts, train: _Loss, config: VerdictConfig) -> Judgement | None:
    """Diverged: the end lost most of what had been gained, or lies far above the start."""
    gained, lost = train.fall, train.rise
    if lost <= config.noise_z * train.error or lost <= 0:
        return None
    share = lost / gained if gained > 0 else math.inf
    if share < config.lost_share:
        return None
    wandering = float(np.median(train.signal.noise))
    if lost < config.noise_z * wandering and train.end < train.start:
        return None
    level = max(abs(train.start), abs(train.lowest))
    if gained <= config.noise_z * train.error and lost < config.memorised_share * level:
        return None
    onset = train.lowest_step
    if gained > 0:
        reason = (
            f"Training loss rose from {train.lowest:.4g} at {facts.run.moment(onset)} to "
            f"{train.end:.4g} at the end: it lost {min(share, 99):.0%} of what it had gained."
        )
    else:
        reason = (
            f"Training loss only rose, from {train.start:.4g} at the start to {train.end:.4g} "
            "at the end."
        )
    return Judgement(
        verdict=Verdict.DIVERGED,
        confidence=_squash(math.log(share / config.lost_share) if share < math.inf else 3.0),
        reason=reason,
        onset=onset,
        evidence=(
            Evidence(
                curve=train.signal.name,
                start=onset,
                end=float(train.signal.steps[-1]),
                value=train.end,
                limit=train.lowest + config.lost_share * max(gained, 0.0),
                label="rise of training loss",
            ),
        ),
        features=(("lost_share", min(share, 1e6)),),
    )


def _squash(margin: float, steepness: float = 2.0) -> float:
    """Turn a signed log-margin into a confidence between 0.5 and 0.99."""
    return min(0.99, 1.0 / (1.0 + math.exp(-steepness * max(margin, 0.0))))


def _at_constant(train: _Loss, val: _Loss, config: VerdictConfig) -> int | None:
    """Return the number of classes whose constant predictor both losses end at, if any."""
    classes = round(math.exp(min(val.end, 12.0))) if val.end > 0 else 0
    if not 2 <= classes <= 100_000:
        return None
    target = math.log(classes)
    spacing = math.log1p(1.0 / classes)
    band = min(config.constant_band * target, 0.2 * spacing)
    if abs(val.end - target) > band or abs(train.end - target) > band:
        return None
    for loss in (train, val):
        late = slice(-(-3 * len(loss.signal) // 4) - 1, None)
        smooth = loss.signal.smooth[late]
        if float(smooth.max() - smooth.min()) > 2 * band:
            return None
        if float(np.median(loss.signal.noise[late])) > band:
            return None
    return classes


def _fit(facts: Facts, train: _Loss, val: _Loss, config: VerdictConfig) -> Judgement:
    """Judge a run that did not diverge and has both curves."""
    fell_train = _fell(train, config)
    fell_val = _fell(val, config)
    rise_share = _rise_share(train, val)
    features = (
        ("train_fall", _relative(train.fall, train.start)),
        ("val_fall", _relative(val.fall, val.start)),
        ("rise_share", rise_share),
        ("rise_z", val.rise / val.error if val.error > 0 else math.inf if val.rise > 0 else 0.0),
        ("gap_share", _gap_share(train, val)),
    )
    classes = _at_constant(train, val, config)
    if classes is not None or not (fell_train or fell_val):
        return _no_learning(facts, train, val, classes, features)
    rising = val.rise > config.noise_z * val.error and rise_share > config.rise_share
    after = train.signal.at(val.lowest_step) - train.end
    memorised = _relative(train.fall, train.start) > config.memorised_share
    if fell_train and memorised and val.fall < config.follow_share * train.fall and not fell_val:
        return _overfitting(facts, train, val, features, memorised=True, config=config)
    if rising and after > -config.noise_z * train.error:
        return _overfitting(facts, train, val, features, memorised=False, config=config)
    if not fell_val and not fell_train:
        return _no_learning(facts, train, val, None, features)
    return _follows(facts, train, val, features, config)


def _relative(change: float, level: float) -> float:
    return change / abs(level) if level else 0.0


def _fell(loss: _Loss, config: VerdictConfig) -> bool:
    if loss.fall <= config.noise_z * loss.error:
        return False
    if loss.lowest > 0:
        return loss.fall > config.fall_share * loss.start
    return loss.fall > 0


def _rise_share(train: _Loss, val: _Loss) -> float:
    """Rise of validation loss over the larger of its own fall and a tenth of training's."""
    reference = max(val.fall, 0.1 * train.fall)
    return val.rise / reference if reference > 0 else 0.0


def _gap_share(train: _Loss, val: _Loss) -> float:
    improvement = max(train.start, val.start) - train.end
    return (val.end - train.end) / improvement if improvement > 0 else 0.0


def _no_learning(
    facts: Facts,
    train: _Loss,
    val: _Loss,
    classes: int | None,
    features: tuple[tuple[str, float], ...],
) -> Judgement:
    if classes is not None:
        reason = (
            f"Both losses end flat at {val.end:.4g}, the natural logarithm of {classes}: "
            f"what a model gets that gives each of {classes} classes the same probability."
        )
        confidence = 0.97
    else:
        reason = (
            f"Neither loss falls beyond its noise: training {train.start:.4g} to {train.end:.4g}, "
            f"validation {val.start:.4g} to {val.end:.4g}."
        )
        confidence = 0.9
    first, last = facts.run.span
    evidence = tuple(
        Evidence(curve=loss.signal.name, start=first, end=last, value=loss.end, label="flat")
        for loss in (train, val)
    )
    return Judgement(
        verdict=Verdict.NO_LEARNING,
        confidence=confidence,
        reason=reason,
        evidence=evidence,
        features=features,
    )


def _overfitting(
    facts: Facts,
    train: _Loss,
    val: _Loss,
    features: tuple[tuple[str, float], ...],
    *,
    memorised: bool,
    config: VerdictConfig,
) -> Judgement:
    onset = val.lowest_step
    if memorised:
        onset = float(val.signal.steps[0])
        reason = (
            f"Training loss fell from {train.start:.4g} to {train.end:.4g} while validation loss "
            f"never improved ({val.start:.4g} to {val.end:.4g}): the model memorises."
        )
        margin = math.log(_relative(train.fall, train.start) / config.memorised_share)
    else:
        share = dict(features)["rise_share"]
        reason = (
            f"Validation loss turned at {facts.run.moment(onset)} and has risen from {val.lowest:.4g} "
            f"to {val.end:.4g} since, {share:.0%} of what it had gained, while training loss fell "
            f"from {train.signal.at(onset):.4g} to {train.end:.4g}."
        )
        margin = math.log(share / config.rise_share)
    return Judgement(
        verdict=Verdict.OVERFITTING,
        confidence=_squash(margin),
        reason=reason,
        onset=onset,
        evidence=(
            Evidence(
                curve=val.signal.name,
                start=onset,
                end=float(val.signal.steps[-1]),
                value=val.end,
                limit=val.lowest,
                label="rise of validation loss",
            ),
        ),
        features=features,
    )


def _follows(
    facts: Facts,
    train: _Loss,
    val: _Loss,
    features: tuple[tuple[str, float], ...],
    config: VerdictConfig,
) -> Judgement:
    """Both fall: ideal with a small gap, controlled gap with a larger stable one."""
    share = dict(features)["gap_share"]
    gap = val.end - train.end
    wide = share > config.gap_share
    verdict = Verdict.CONTROLLED_GAP if wide else Verdict.IDEAL
    how = "follows at a stable distance" if wide else "keeps up"
    distance = abs(math.log(max(share, 1e-3) / config.gap_share))
    where = "above" if gap >= 0 else "below"
    return Judgement(
        verdict=verdict,
        confidence=_squash(distance),
        reason=(
            f"Training loss fell from {train.start:.4g} to {train.end:.4g} and validation loss "
            f"{how}, from {val.start:.4g} to {val.end:.4g}: it ends {abs(gap):.3g} {where} "
            f"training, {abs(share):.0%} of what was gained."
        ),
        evidence=(
            Evidence(
                curve=val.signal.name,
                start=float(val.signal.steps[0]),
                end=float(val.signal.steps[-1]),
                value=val.end,
                limit=train.end,
                label="gap at the end",
            ),
        ),
        features=features,
    )
