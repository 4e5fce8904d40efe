"""Measure: two loss curves as a handful of scale-free numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.signals import median

if TYPE_CHECKING:
    from fitdiag.signals import Signal
    from fitdiag.verdict.config import VerdictConfig

__all__ = ["Loss", "Pair", "compare", "summarise"]

#: share of the run that is its beginning
_BEGINNING = 0.15
#: share of its rise within which a curve has not taken off yet
_TAKEOFF = 0.05
#: a first training loss this many times the first validation loss is on another scale (a sum)
_OTHER_SCALE = 5.0


@dataclass(frozen=True, kw_only=True)
class Loss:
    """One loss curve in numbers, in the loss's own unit.

    Parameters
    ----------
    signal : Signal
        The curve.
    start, end, lowest : float
        First value, median of the end, minimum of the denoised curve.
    lowest_step : float
        Where the minimum lies.
    error : float
        Standard error of the difference between end and minimum.
    noise : float
        Standard deviation of single values around the denoised curve.
    middle : float
        Median of the raw values in the second half.
    early : float
        Share of the fall that happened in the beginning of the run.
    half_epoch : float
        What the loss fell in the half epoch before its first value, which is a mean over an epoch,
        going by the fall from the first value to the second.
    """

    signal: Signal
    start: float
    end: float
    lowest: float
    lowest_step: float
    error: float
    noise: float
    middle: float
    early: float
    half_epoch: float

    @property
    def fall(self) -> float:
        """How far the denoised curve came down."""
        return self.start - self.lowest

    @property
    def rise(self) -> float:
        """How far it ends above its minimum."""
        return self.end - self.lowest

    @property
    def takeoff(self) -> float:
        """Return the last step at which it was still within a twentieth of its rise."""
        low = self.signal.smooth <= self.lowest + _TAKEOFF * max(self.rise, 0.0)
        return float(self.signal.steps[np.flatnonzero(low)[-1]])


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Training and validation loss compared; shares are scale-free.

    Parameters
    ----------
    train, val : Loss
        The two curves.
    train_fall : float
        Fall of training loss; the model's improvement on the training data.
    val_fall : float
        Fall of validation loss from where the run began: the first validation comes after a whole
        epoch of learning, so a higher first training loss, as far as training fell, is its
        beginning.
    train_fall_share, val_fall_share : float
        The same over the level at the beginning; infinite for a loss that falls below zero.
    rise_share : float
        Rise of validation loss over the mean of both falls.
    rise_z : float
        The same rise in standard errors.
    kept_falling : float
        Fall of training loss since the minimum of validation loss.
    gap_share : float
        Final gap over the fall of training loss, the half epoch before its first value included.
    gap_limit : float
        That fall, in the loss's own unit: what ``gap_share`` is a share of.
    rise_limit : float
        The mean of both falls, in the loss's own unit: what ``rise_share`` is a share of.
    gap_growth : float
        Share of the final gap that opened in the second half of the run.
    """

    train: Loss
    val: Loss
    train_fall: float
    val_fall: float
    train_fall_share: float
    val_fall_share: float
    rise_share: float
    rise_z: float
    kept_falling: float
    gap_share: float
    gap_limit: float
    rise_limit: float
    gap_growth: float

    def numbers(self) -> tuple[tuple[str, float], ...]:
        """Return the scale-free numbers by name."""
        names = ("train_fall_share", "val_fall_share", "rise_share", "rise_z", "gap_share")
        return tuple((name, float(getattr(self, name))) for name in names)


def summarise(signal: Signal, config: VerdictConfig) -> Loss:
    """Return one loss curve in numbers."""
    smooth = signal.smooth
    tail = max(1, math.ceil(config.end_share * smooth.size))
    lowest = int(np.argmin(smooth))
    start, least = float(signal.values[0]), float(smooth[lowest])
    first, last = float(signal.steps[0]), float(signal.steps[-1])
    early = start - signal.at(first + _BEGINNING * (last - first))
    return Loss(
        signal=signal,
        start=start,
        end=median(smooth[-tail:]),
        lowest=least,
        lowest_step=float(signal.steps[lowest]),
        error=math.hypot(float(signal.error[lowest]), median(signal.error[-tail:])),
        noise=median(signal.noise),
        middle=median(signal.values[smooth.size // 2 :]),
        early=early / (start - least) if start > least else 0.0,
        half_epoch=max(0.0, start - float(smooth[min(1, smooth.size - 1)])) / 2,
    )


def relative(change: float, level: float, lowest: float) -> float:
    """Return a change over a level; infinite where a loss below zero has no level."""
    if lowest <= 0:
        return math.inf if change > 0 else -math.inf if change < 0 else 0.0
    return change / abs(level) if level else 0.0


def compare(train: Loss, val: Loss) -> Pair:
    """Return two losses compared."""
    same_scale = 0 < train.start <= _OTHER_SCALE * val.start or val.start <= 0
    before = min(max(train.start - val.start, 0.0), max(train.fall, 0.0)) if same_scale else 0.0
    begin = val.start + before
    val_fall = begin - val.lowest
    reference = (max(val_fall, 0.0) + max(train.fall, 0.0)) / 2
    improvement = max(train.start + train.half_epoch, val.start) - train.end
    return Pair(
        train=train,
        val=val,
        train_fall=train.fall,
        val_fall=val_fall,
        train_fall_share=relative(train.fall, train.start, train.lowest),
        val_fall_share=relative(val_fall, begin, val.lowest),
        rise_share=val.rise / reference if reference > 0 else 0.0,
        rise_z=_over(val.rise, val.error),
        kept_falling=train.signal.at(val.lowest_step) - train.end,
        gap_share=(val.end - train.end) / improvement if improvement > 0 else 0.0,
        gap_limit=max(improvement, 0.0),
        rise_limit=reference,
        gap_growth=_gap_growth(train, val),
    )


def _gap_growth(train: Loss, val: Loss) -> float:
    middle = float(val.signal.steps[len(val.signal) // 2])
    gap = val.end - train.end
    before = val.signal.at(middle) - train.signal.at(middle)
    return (gap - before) / gap if gap > 0 else 0.0


def _over(change: float, error: float) -> float:
    if error > 0:
        return change / error
    return math.inf if change > 0 else 0.0
