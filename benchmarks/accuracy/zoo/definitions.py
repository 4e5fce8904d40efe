"""What each verdict means, in terms of what a user never sees.

The hidden curves are the training loss in evaluation mode and the loss on a large test set that
follows the distribution of the validation set, after every epoch. ``README.md`` says the same in
words. Every number is a field of :class:`Bands`; between two bounds two answers are acceptable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["BANDS", "Bands", "Evidence", "denoise", "end_of", "judge", "turning_point"]


@dataclass(frozen=True, kw_only=True)
class Bands:
    """Every number of the definitions; losses are measured from the best constant predictor."""

    learned: tuple[float, float] = (0.03, 0.10)
    """gain over the constant, as a share of the attainable gain: below, nothing was learned"""
    least_scale: float = 0.2
    """the attainable gain counts as at least this share of the constant's whole loss"""
    lost: tuple[float, float] = (0.30, 0.50)
    """share of its best gain that the training loss gave back: above, diverged"""
    above: tuple[float, float] = (0.10, 0.50)
    """for a run without gain: rise over constant and start, as a share of the whole range"""
    rise: tuple[float, float] = (0.03, 0.10)
    """rise of the test loss from its minimum, as a share of its best gain: above, overfitting"""
    rise_of_least: float = 0.15
    """a rise by this share of the minimum itself may be called overfitting too ..."""
    least_rise: float = 0.01
    """... where it is at least this share of the gain"""
    kept_falling: float = 0.02
    """fall of the training loss after the test minimum, as a share of the whole range ..."""
    kept_shrinking: float = 0.2
    """... or of what was left of it then: more, and training went on fitting"""
    memorised: tuple[float, float] = (0.03, 0.25)
    """fall of the training loss, as a share of its range, where the test loss gains nothing"""
    gap: tuple[float, float] = (0.10, 0.20)
    """(test - train) / (constant - train) at the end: below ideal, above a controlled gap"""
    fallen: tuple[float, float] = (0.03, 0.10)
    """visible fall down to the constant, as a share of the attainable gain: above, it cannot be
    told from learning; between, `inconclusive` is acceptable too"""
    few: int = 5
    """with fewer validation points `inconclusive` is acceptable too"""
    too_few: int = 4
    """with fewer validation points `inconclusive` is the right answer"""
    modest_val: int = 100
    """with no more validation examples what the visible curves look like is acceptable too"""
    small_val: int = 30
    """with no more validation examples `inconclusive` is acceptable too"""


BANDS = Bands()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The curves that are judged, and what they are measured against.

    Parameters
    ----------
    train, test : ndarray of float, shape (n,)
        Training loss and loss on unseen data, after the same epochs.
    start_train, start_test : float
        Both losses before training.
    constant_train, constant_test : float
        Loss of the best constant predictor on either set.
    attainable, perfect : float
        Loss that a good model reaches on the test set, and a perfect memory on the training set.
    """

    train: Floats
    test: Floats
    start_train: float
    start_test: float
    constant_train: float
    constant_test: float
    attainable: float
    perfect: float

    @property
    def base_train(self) -> float:
        """Training loss from which a gain counts: no credit for a lucky start."""
        return min(self.constant_train, self.start_train)

    @property
    def base_test(self) -> float:
        """Test loss from which a gain counts."""
        return min(self.constant_test, self.start_test)

    @property
    def span(self) -> float:
        """Whole range of the training loss, from the constant to a perfect memory."""
        return self.constant_train - self.perfect

    @property
    def scale(self) -> float:
        """Attainable gain on the test set."""
        return max(self.constant_test - self.attainable, BANDS.least_scale * self.span)

    @property
    def train_gain(self) -> float:
        """Best gain of the denoised training loss, as a share of the attainable one."""
        return (self.base_train - float(denoise(self.train).min())) / self.scale


def denoise(curve: Floats) -> Floats:
    """Take the running median, over 1 point of a short curve to 9 of a long one.

    Parameters
    ----------
    curve : ndarray of float, shape (n,)
        Losses; a value that is not finite counts as infinitely bad.

    Returns
    -------
    ndarray of float, shape (n,)
        Medians over windows that are cut off at the ends.
    """
    solid = np.where(np.isfinite(curve), curve, np.inf)
    half = int(np.searchsorted([8, 20, 200], curve.size, side="right"))
    half = half if half < 3 else 4
    windows = [solid[max(0, k - half) : k + half + 1] for k in range(curve.size)]
    return np.array([np.sort(window)[(window.size - 1) // 2] for window in windows])


def end_of(curve: Floats) -> float:
    """Take the median of the last values: 1 of a short curve, up to 15 of a long one."""
    size = curve.size
    count = 1 if size < 8 else max(3, min(15, size // 10))
    return float(np.median(curve[-count:]))


def turning_point(evidence: Evidence) -> tuple[int, float, float]:
    """Find where the test loss was least, and what going on cost.

    Parameters
    ----------
    evidence : Evidence
        The curves.

    Returns
    -------
    onset : int
        Index of the minimum of the denoised test loss.
    rise : float
        How far the end lies above it, as a share of the best gain over the constant.
    of_least : float
        The same as a share of the minimum itself, measured from a perfect prediction.
    """
    test = denoise(evidence.test)
    onset = int(np.argmin(test))
    least = float(test[onset])
    gain = max(evidence.base_test - least, BANDS.learned[0] * evidence.scale)
    rise = end_of(evidence.test) - least
    return onset, rise / gain, rise / max(least - evidence.perfect, 1e-12 * gain)


def _without_gain(evidence: Evidence) -> set[str]:
    """Judge a run whose training loss never stayed below the constant."""
    worst = max(evidence.constant_train, evidence.start_train)
    above = (end_of(evidence.train) - worst) / evidence.span
    if above > BANDS.above[1]:
        return {"diverged"}
    fleeting = evidence.base_train - float(np.nanmin(evidence.train))
    kept = evidence.base_train - end_of(evidence.train)
    lost_it = kept < (1 - BANDS.lost[1]) * fleeting
    if above > BANDS.above[0] or (lost_it and fleeting > BANDS.learned[1] * evidence.span):
        return {"no_learning", "diverged"}
    return {"no_learning"}


def _gap(evidence: Evidence) -> set[str]:
    end = end_of(evidence.train)
    gap = (end_of(evidence.test) - end) / max(evidence.constant_train - end, 1e-12)
    if gap < BANDS.gap[0]:
        return {"ideal"}
    return {"controlled_gap"} if gap > BANDS.gap[1] else {"ideal", "controlled_gap"}


def _fit(evidence: Evidence) -> set[str]:
    """Judge a run that learned and kept what it had learned."""
    onset, rise, of_least = turning_point(evidence)
    before, end = float(denoise(evidence.train)[onset]), end_of(evidence.train)
    fell = before - end
    left = before - evidence.perfect
    went_on = fell > BANDS.kept_falling * evidence.span or fell > BANDS.kept_shrinking * left
    unstable = fell < -BANDS.kept_falling * evidence.span
    if rise > BANDS.rise[1] and went_on:
        return {"overfitting"}
    if rise > BANDS.rise[1] and unstable:
        return _gap(evidence) | {"inconclusive"}
    visible = rise > BANDS.least_rise and of_least > BANDS.rise_of_least
    if (rise > BANDS.rise[0] or visible) and not unstable:
        return _gap(evidence) | {"overfitting"}
    return _gap(evidence)


def judge(evidence: Evidence) -> set[str]:
    """Say which verdicts a run deserves.

    Parameters
    ----------
    evidence : Evidence
        The hidden curves, or, to see whether they look the same, the visible ones.

    Returns
    -------
    set of str
        One verdict where the case is clear, two or three within a band.
    """
    if not np.isfinite([evidence.train[-1], evidence.test[-1]]).all():
        return {"diverged"}
    train, test = denoise(evidence.train), denoise(evidence.test)
    gained = evidence.base_train - float(train.min())
    train_gain = evidence.train_gain
    test_gain = (evidence.base_test - float(test.min())) / evidence.scale
    if train_gain >= BANDS.learned[1]:
        lost = (end_of(evidence.train) - float(train.min())) / gained
        if lost > BANDS.lost[1]:
            return {"diverged"}
        extra = {"diverged"} if lost > BANDS.lost[0] else set()
    else:
        extra = _without_gain(evidence)
        if max(train_gain, test_gain) < BANDS.learned[0] or extra == {"diverged"}:
            return extra
    if test_gain < BANDS.learned[1]:
        return extra | _memory(evidence, test_gain)
    return extra | _fit(evidence)


def _memory(evidence: Evidence, test_gain: float) -> set[str]:
    """Judge a run whose test loss gained little or nothing, whatever training did."""
    fall = (evidence.base_train - end_of(evidence.train)) / evidence.span
    if test_gain >= BANDS.learned[0]:
        fit = _fit(evidence)
        return fit if fit == {"overfitting"} else fit | {"overfitting", "no_learning"}
    rise = (end_of(evidence.test) - float(denoise(evidence.test).min())) / evidence.span
    if fall > BANDS.memorised[1] or (fall > BANDS.rise[1] and rise > BANDS.rise[1]):
        return {"overfitting"}
    return {"overfitting", "no_learning"} if fall > BANDS.memorised[0] else {"no_learning"}
