"""Judge: the questions, in the order that matters, each compared with its limit.

A run that broke is asked nothing else; one that never learned has no rebound; one that memorised
from the start never had a falling validation loss.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.findings import Verdict
from fitdiag.signals import median
from fitdiag.verdict.features import Loss, Pair, compare, summarise

if TYPE_CHECKING:
    from fitdiag.signals import Facts
    from fitdiag.verdict.config import VerdictConfig

__all__ = ["Branch", "Decision", "decide"]


class Branch(enum.Enum):
    """Which question decided."""

    NO_TRAINING = enum.auto()
    FEW_TRAINING = enum.auto()
    NO_VALIDATION = enum.auto()
    FEW_VALIDATION = enum.auto()
    NON_FINITE = enum.auto()
    LOST = enum.auto()
    ONLY_ROSE = enum.auto()
    CONSTANT = enum.auto()
    FLAT = enum.auto()
    MEMORISED = enum.auto()
    TURNED = enum.auto()
    FAINT = enum.auto()
    DOUBTFUL = enum.auto()
    FOLLOWS = enum.auto()


VERDICTS = {
    Branch.NO_TRAINING: Verdict.INCONCLUSIVE,
    Branch.FEW_TRAINING: Verdict.INCONCLUSIVE,
    Branch.NO_VALIDATION: Verdict.INCONCLUSIVE,
    Branch.FEW_VALIDATION: Verdict.INCONCLUSIVE,
    Branch.NON_FINITE: Verdict.DIVERGED,
    Branch.LOST: Verdict.DIVERGED,
    Branch.ONLY_ROSE: Verdict.DIVERGED,
    Branch.CONSTANT: Verdict.NO_LEARNING,
    Branch.FLAT: Verdict.NO_LEARNING,
    Branch.MEMORISED: Verdict.OVERFITTING,
    Branch.TURNED: Verdict.OVERFITTING,
    Branch.FAINT: Verdict.INCONCLUSIVE,
    Branch.DOUBTFUL: Verdict.INCONCLUSIVE,
}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided and on what.

    Parameters
    ----------
    branch : Branch
        Which question decided.
    verdict : Verdict
        What it means.
    confidence : float or None
        0 to 1; None if inconclusive.
    train : Loss or None
        Training loss in numbers, where there were points enough.
    pair : Pair or None
        Both losses compared, where there were points enough of both.
    classes : int
        For ``CONSTANT``: the number of classes.
    config : VerdictConfig
        The limits that decided.
    """

    branch: Branch
    verdict: Verdict
    confidence: float | None
    config: VerdictConfig
    train: Loss | None = None
    pair: Pair | None = None
    classes: int = 0


def decide(facts: Facts, config: VerdictConfig) -> Decision:
    """Ask the questions in order and return the first answer."""
    train, val = facts.train, facts.val
    if train is None:
        return _unknown(Branch.NO_TRAINING, config)
    if train.ends_nonfinite or not len(train):
        return Decision(
            branch=Branch.NON_FINITE, verdict=Verdict.DIVERGED, confidence=MOST, config=config
        )
    if len(train) < config.min_points:
        return _unknown(Branch.FEW_TRAINING, config)
    loss = summarise(train, config)
    branch = _broke(loss, config)
    if branch:
        return Decision(
            branch=branch,
            verdict=VERDICTS[branch],
            confidence=_lost_confidence(loss, config),
            config=config,
            train=loss,
        )
    if val is None:
        return _unknown(Branch.NO_VALIDATION, config)
    if len(val) < config.min_points:
        return _unknown(Branch.FEW_VALIDATION, config)
    pair = compare(loss, summarise(val, config))
    classes = _constant_classes(pair, config)
    branch = Branch.CONSTANT if classes else _fit(pair, config)
    if branch is Branch.FOLLOWS and _follow_confidence(pair, config) < config.min_confidence:
        branch = Branch.DOUBTFUL
    return Decision(
        branch=branch,
        verdict=_fit_verdict(branch, pair, config),
        confidence=_fit_confidence(branch, pair, config),
        config=config,
        train=loss,
        pair=pair,
        classes=classes,
    )


def _unknown(branch: Branch, config: VerdictConfig) -> Decision:
    return Decision(
        branch=branch,
        verdict=Verdict.INCONCLUSIVE,
        confidence=None,
        config=config,
    )


def _broke(train: Loss, config: VerdictConfig) -> Branch | None:
    """Tell whether training ended having lost what it had gained, or far above its start."""
    gained = train.fall > config.noise_z * train.noise
    if gained:
        lost = train.rise >= config.lost_share * train.fall
        return Branch.LOST if lost and train.rise > config.noise_z * train.error else None
    limit = config.risen_share * max(abs(train.start), abs(train.lowest))
    rose = min(train.end, train.middle) - train.start
    return Branch.ONLY_ROSE if rose > 0 and rose >= limit else None


def _constant_classes(pair: Pair, config: VerdictConfig) -> int:
    """Return the number of classes whose constant predictor both losses end at, or 0."""
    train, val = pair.train, pair.val
    classes = round(math.exp(min(val.end, 12.0))) if val.end > 0 else 0
    if classes < 2 or not _explained(pair, config):
        return 0
    target = math.log(classes)
    band = config.constant_band * target
    if classes > config.constant_classes:
        band = min(band, config.constant_spacing * math.log1p(1.0 / classes))
    if abs(val.end - target) > band or abs(train.end - target) > band:
        return 0
    for loss in (train, val):
        late = slice(-(-3 * len(loss.signal) // 4) - 1, None)
        if float(np.ptp(loss.signal.smooth[late])) > 2 * band:
            return 0
        if median(loss.signal.noise[late]) > band:
            return 0
    return classes


def _explained(pair: Pair, config: VerdictConfig) -> bool:
    """Tell whether the fall to the end is what a start worse than a constant makes."""
    small = pair.val_fall_share < config.constant_fall
    early = min(pair.val.early, pair.train.early) > config.constant_early
    shot_up = float(pair.train.signal.high.max()) > config.shot_up * pair.train.start > 0
    return small or early or shot_up


def _fit(pair: Pair, config: VerdictConfig) -> Branch:
    """Tell whether validation followed training down, and stayed there."""
    train, val = pair.train, pair.val
    if train.end >= train.start and val.end >= val.start:
        return Branch.FLAT
    beyond = max(config.noise_z * train.error, config.fall_noise * train.noise)
    fell_train = train.fall > beyond
    if not _fell(pair, config):
        memorised = pair.train_fall_share > config.memorised_share
        follows = pair.val_fall > config.follow_share * pair.train_fall
        if fell_train and memorised and not follows:
            return Branch.MEMORISED
        if not (fell_train and memorised):
            return Branch.FLAT
    rising = pair.rise_z > config.rise_z and pair.rise_share > config.rise_share
    kept = pair.kept_falling > config.kept_share * pair.train_fall
    clear = pair.rise_z > config.clear_z and pair.kept_falling >= -config.noise_z * train.error
    if rising and (kept or clear):
        return Branch.TURNED
    faint = max(pair.train_fall_share, pair.val_fall_share) < config.faint_share
    short = len(val.signal) < config.faint_points
    return Branch.FAINT if faint and short else Branch.FOLLOWS


def _fell(pair: Pair, config: VerdictConfig) -> bool:
    """Tell whether validation fell beyond its noise and by more than a bad start explains."""
    val = pair.val
    beyond = max(config.noise_z * val.error, config.fall_noise * val.noise)
    if pair.val_fall <= beyond or pair.val_fall_share < config.fall_share:
        return False
    over_early = min(val.early, pair.train.early) > config.plateau_early
    return not (over_early and pair.val_fall_share < config.plateau_fall_share)


def _fit_verdict(branch: Branch, pair: Pair, config: VerdictConfig) -> Verdict:
    if branch is Branch.FOLLOWS:
        wide = pair.gap_share > config.gap_share
        return Verdict.CONTROLLED_GAP if wide else Verdict.IDEAL
    return VERDICTS[branch]


#: no verdict is told with more confidence: so many of the zoo's clearest runs are told right
MOST = 0.99
#: the same for verdicts that rest on a validation loss that never fell
MOST_UNFALLEN = 0.96


def _squash(margin: float, most: float = MOST) -> float:
    """Turn a log-margin into a confidence of at least one half."""
    return min(most, 1.0 / (1.0 + math.exp(-2.0 * max(margin, 0.0))))


def _lost_confidence(train: Loss, config: VerdictConfig) -> float:
    share = train.rise / train.fall if train.fall > 0 else math.inf
    return _squash(math.log(share / config.lost_share)) if share < math.inf else MOST


def _fit_confidence(branch: Branch, pair: Pair, config: VerdictConfig) -> float | None:
    if VERDICTS.get(branch) is Verdict.INCONCLUSIVE:
        return None
    if branch in {Branch.CONSTANT, Branch.FLAT}:
        return MOST_UNFALLEN
    if branch is Branch.MEMORISED:
        return _squash(math.log(pair.train_fall_share / config.memorised_share), MOST_UNFALLEN)
    if branch is Branch.TURNED:
        return _squash(math.log(pair.rise_share / config.rise_share))
    return _follow_confidence(pair, config)


def _follow_confidence(pair: Pair, config: VerdictConfig) -> float:
    gap = abs(math.log(max(pair.gap_share, 1e-3) / config.gap_share))
    rise = math.log(config.rise_share / max(pair.rise_share, 1e-6))
    fall = math.log(max(min(pair.train_fall_share, pair.val_fall_share), 1e-6) / config.faint_share)
    score = config.trust_base + config.trust_gap * min(gap, 2.0)
    score += config.trust_rise * min(max(rise, 0.0), 3.0)
    score += config.trust_fall * min(max(fall, 0.0), 2.5)
    return min(MOST, 1.0 / (1.0 + math.exp(-score)))
