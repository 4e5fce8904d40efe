"""What could tell a verdict: criteria of one number each, and features for classifiers.

Each takes a :class:`~fitdiag.verdict.features.Pair` of two losses. Whether it sees raw or denoised
curves is decided where the pair is made (:class:`Case`); the limits are fitted elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from fitdiag.signals import measure
from fitdiag.verdict import VerdictConfig
from fitdiag.verdict.features import Loss, Pair, compare, relative, summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray
    from sets import Labelled

    from fitdiag.signals import Signal

    Array = NDArray[np.float64]

__all__ = ["FEATURES", "NO_LEARNING", "OVERFITTING", "Case", "cases", "curves", "flatter"]

CONFIG = VerdictConfig()
STRIP = 5
"""points in a training strip (Prechelt 1998, doi:10.1007/3-540-49430-8_3)"""
MOST_PAIRED = 250
"""points that a curve is thinned to before all its pairs are compared"""
TINY = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A labelled run with both its losses compared, once denoised and once as logged."""

    item: Labelled
    denoised: Pair
    raw: Pair


def cases(items: Iterable[Labelled]) -> list[Case]:
    """Compare the losses of those runs that have finite points enough of both to be judged."""
    found = []
    for item in items:
        facts = measure(item.run)
        train, val = facts.train, facts.val
        if train is None or val is None or train.ends_nonfinite:
            continue
        if min(len(train), len(val)) >= CONFIG.min_points:
            denoised, raw = _pair(train, val), _pair(_as_logged(train), _as_logged(val))
            found.append(Case(item=item, denoised=denoised, raw=raw))
    return found


def _pair(train: Signal, val: Signal) -> Pair:
    return compare(summarise(train, CONFIG), summarise(val, CONFIG))


def _as_logged(signal: Signal) -> Signal:
    return replace(signal, smooth=signal.values, error=signal.noise)


def _over(change: float, level: float) -> float:
    return float(change / max(abs(level), TINY))


def _together(pair: Pair) -> tuple[Array, Array]:
    """Return both curves at the steps of validation."""
    val, train = pair.val.signal, pair.train.signal
    return np.interp(val.steps, train.steps, train.smooth), val.smooth


def _lost(pair: Pair) -> float:
    """Generalisation loss: the last validation loss over the lowest, less 1 (Prechelt's GL)."""
    curve = pair.val.signal.smooth
    return _over(curve[-1] - curve.min(), curve.min())


def _lost_per_progress(pair: Pair) -> float:
    """Generalisation loss over what training still gains in its last strip (Prechelt's PQ)."""
    strip = pair.train.signal.smooth[-STRIP:]
    return _over(_lost(pair), _over(strip.mean() - strip.min(), strip.min()))


def _rising_strips(pair: Pair) -> list[int]:
    """Lengths of the runs of rising and, as zeros, of other strips of validation, in order."""
    curve = pair.val.signal.smooth
    rises = np.diff(curve[(curve.size - 1) % STRIP :: STRIP]) > 0
    return [len(list(run)) if rising else 0 for rising, run in groupby(rises)]


def _paired(curve: Array) -> tuple[Array, Array]:
    """Return differences in value and in place of all pairs of points, later less earlier."""
    kept = np.unique(np.linspace(0, curve.size - 1, min(curve.size, MOST_PAIRED)).astype(int))
    first, second = np.triu_indices(kept.size, 1)
    places = kept.astype(float)
    return curve[kept][second] - curve[kept][first], places[second] - places[first]


def _after_minimum(pair: Pair) -> Array:
    curve = pair.val.signal.smooth
    return curve[int(np.argmin(curve)) :]


def _mann_kendall(curve: Array) -> float:
    """Mann-Kendall's Z of a series (Mann 1945, doi:10.2307/1907187), ties left in the variance."""
    if curve.size < 3:
        return 0.0
    signs = np.sign(_paired(curve)[0])
    n = min(curve.size, MOST_PAIRED)
    total = float(signs.sum())
    return float((total - np.sign(total)) / np.sqrt(n * (n - 1) * (2 * n + 5) / 18))


def _theil_sen(curve: Array) -> float:
    """Rise of a series along its Theil-Sen line (Sen 1968, doi:10.2307/2285891)."""
    if curve.size < 3:
        return 0.0
    change, distance = _paired(curve)
    return float(np.median(change / distance)) * (curve.size - 1)


def _opposed(left: Array, right: Array) -> float:
    """Pearson correlation, negative."""
    return -float(np.corrcoef(left, right)[0, 1]) if np.ptp(left) and np.ptp(right) else 0.0


def _rebound(pair: Pair) -> float:
    """Median of the last 5 % over the minimum of the five-point running mean, less 1."""
    curve = pair.val.signal.smooth
    width = min(5, curve.size)
    lowest = float(np.convolve(curve, np.ones(width) / width, mode="valid").min())
    return _over(float(np.median(curve[-max(1, curve.size // 20) :])) - lowest, lowest)


def _mean_fall(pair: Pair) -> float:
    return (max(pair.val_fall, 0.0) + max(pair.train_fall, 0.0)) / 2


def _rise(pair: Pair, level: float) -> float:
    return _over(pair.val.rise, max(level, 0.0))


def _sure_rise(pair: Pair, level: float) -> float:
    return _rise(pair, level) if pair.rise_z > CONFIG.rise_z else 0.0


OURS = "fitdiag: rise / mean fall, z-limit"
"""the criterion that the others are compared with"""
OVERFITTING: dict[str, Callable[[Pair], float]] = {
    "Prechelt GL at the end": _lost,
    "Prechelt PQ at the end": _lost_per_progress,
    "Prechelt UP, longest run": lambda pair: max(_rising_strips(pair), default=0),
    "Prechelt UP at the end": lambda pair: (_rising_strips(pair) or [0])[-1],
    "Mann-Kendall Z after minimum": lambda pair: _mann_kendall(_after_minimum(pair)),
    "Theil-Sen after min. / minimum": lambda pair: _over(
        _theil_sen(_after_minimum(pair)), pair.val.lowest
    ),
    "Theil-Sen after min. / mean fall": lambda pair: _over(
        _theil_sen(_after_minimum(pair)), _mean_fall(pair)
    ),
    "Spearman, train and validation": lambda pair: _opposed(*map(rankdata, _together(pair))),
    "Pearson, train and validation": lambda pair: _opposed(*_together(pair)),
    "one-line rebound": _rebound,
    "rise in standard errors": lambda pair: pair.rise_z,
    "rise / minimum": lambda pair: _rise(pair, abs(pair.val.lowest)),
    "rise / minimum, z-limit": lambda pair: _sure_rise(pair, abs(pair.val.lowest)),
    "rise / own fall": lambda pair: _rise(pair, pair.val.fall),
    "rise / own fall, z-limit": lambda pair: _sure_rise(pair, pair.val.fall),
    "rise / train fall": lambda pair: _rise(pair, pair.train.fall),
    "rise / train fall, z-limit": lambda pair: _sure_rise(pair, pair.train.fall),
    "rise / mean fall": lambda pair: _rise(pair, _mean_fall(pair)),
    OURS: lambda pair: _sure_rise(pair, _mean_fall(pair)),
}
"""Overfitting: the larger, the more of it."""


def _fall_share(loss: Loss) -> float:
    return relative(loss.fall, loss.start, loss.lowest)


def _sure_fall_share(loss: Loss) -> float:
    beyond = max(CONFIG.noise_z * loss.error, CONFIG.fall_noise * loss.noise)
    return _fall_share(loss) if loss.fall > beyond else 0.0


def _told_apart(pair: Pair) -> float:
    """Return validation's fall from where the run began, or training's, which counts less."""
    beyond = max(CONFIG.noise_z * pair.val.error, CONFIG.fall_noise * pair.val.noise)
    val = pair.val_fall_share if pair.val_fall > beyond else 0.0
    return max(val, _sure_fall_share(pair.train) * CONFIG.fall_share / CONFIG.memorised_share)


_LEARNED: dict[str, Callable[[Loss], float]] = {
    "relative fall": _fall_share,
    "relative fall beyond the noise": _sure_fall_share,
    "fall in standard errors": lambda loss: _over(loss.fall, loss.error),
    "Mann-Kendall Z, falling": lambda loss: -_mann_kendall(loss.signal.smooth),
    "ratio last / first": lambda loss: -_over(loss.signal.smooth[-1], loss.start),
}


def flatter(criterion: Callable[[Loss], float], *, either: bool) -> Callable[[Pair], float]:
    """Turn a sign of learning in one curve into a sign of no learning in validation, or in both."""
    if either:
        return lambda pair: -max(criterion(pair.val), criterion(pair.train))
    return lambda pair: -criterion(pair.val)


OURS_FLAT = "fitdiag: both falls beyond the noise"
"""the criterion that the others are compared with"""
NO_LEARNING: dict[str, Callable[[Pair], float]] = {
    f"{name}, {where}": flatter(criterion, either=where != "validation")
    for name, criterion in _LEARNED.items()
    for where in ("validation", "both")
} | {OURS_FLAT: lambda pair: -_told_apart(pair)}
"""No learning: the larger, the less was learned."""


def _far_from_constant(pair: Pair) -> float:
    """Distance of the final validation loss from the nearest ln C, relative; 1 where none is."""
    classes = round(np.exp(min(pair.val.end, 12.0))) if pair.val.end > 0 else 0
    target = np.log(max(classes, 2))
    return float(min(abs(pair.val.end - target) / target, 1.0))


FEATURES: dict[str, Callable[[Pair], float]] = {
    "train_fall_share": lambda pair: pair.train_fall_share,
    "val_fall_share": lambda pair: pair.val_fall_share,
    "gap_share": lambda pair: pair.gap_share,
    "rise_share": OVERFITTING["rise / mean fall"],
    "rise_z": lambda pair: pair.rise_z,
    "kept_falling": lambda pair: _over(pair.kept_falling, max(pair.train_fall, 0.0)),
    "val_over_train_fall": lambda pair: _over(pair.val_fall, max(pair.train_fall, 0.0)),
    "train_rise": lambda pair: _over(pair.train.rise, max(pair.train_fall, 0.0)),
    "train_end_over_start": lambda pair: _over(pair.train.end, pair.train.start),
    "train_fall_z": lambda pair: _over(pair.train.fall, pair.train.error),
    "val_fall_z": lambda pair: _over(pair.val.fall, pair.val.error),
    "train_early": lambda pair: pair.train.early,
    "val_early": lambda pair: pair.val.early,
    "far_from_constant": _far_from_constant,
    "spearman": OVERFITTING["Spearman, train and validation"],
    "mann_kendall": OVERFITTING["Mann-Kendall Z after minimum"],
}
"""Scale-free features for trained classifiers."""


def curves(pair: Pair, points: int = 40) -> Array:
    """Return both denoised losses at equal distances in time, over the range of the two."""
    parts = []
    for loss in (pair.train, pair.val):
        steps = loss.signal.steps
        places = np.linspace(steps[0], steps[-1], points)
        parts.append(np.interp(places, steps, loss.signal.smooth))
    both = np.concatenate(parts)
    return np.asarray((both - both.min()) / max(float(np.ptp(both)), TINY))
