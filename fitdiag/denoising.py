"""Denoising curves of one length together: what a run costs is calls of numpy, not numbers.

Every function works along the last axis, and gives each row the same numbers as alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fitdiag.medians import median, medians, running_median

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["denoise", "denoise_all", "noise_level"]

#: a median absolute deviation times this is the standard deviation of a normal distribution
MAD_TO_SIGMA = 1.4826
#: half-widths of the local linear fits, in points, from fine to coarse
HALF_WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128)
#: standard errors by which a coarser fit may differ from a finer one and still be taken for it
#: (Lepski, Mammen & Spokoiny 1997, doi:10.1214/aos/1069362731)
AGREEMENT = 2.2
#: noise levels above the running median from which a single point is an outlier (Hampel 1974)
OUTLIER = 6.0
#: a positive curve whose maximum is so many times its median is denoised by its logarithm
EXPLODED = 1000.0


def denoise_all(curves: Sequence[Array]) -> list[tuple[Array, Array, Array]]:
    """Denoise curves, on a logarithmic scale where one explodes or collapses by orders.

    Parameters
    ----------
    curves : sequence of ndarray of float, shape (n,)
        Finite values at equal distances; those of one length are denoised together.

    Returns
    -------
    list of (smooth, noise, error)
        As :func:`denoise` returns them, for each curve.
    """
    exploded = [bool(values.size) and _explodes(values) for values in curves]
    plain = [
        np.log(values) if is_log else values
        for values, is_log in zip(curves, exploded, strict=True)
    ]
    found: list[tuple[Array, Array, Array]] = [(values, values, values) for values in plain]
    for size in {values.size for values in plain}:
        rows = [at for at, values in enumerate(plain) if values.size == size]
        for at, *parts in zip(rows, *denoise(np.array([plain[at] for at in rows])), strict=True):
            found[at] = _level(curves[at], *parts) if exploded[at] else (*parts,)
    return found


def _explodes(values: Array) -> bool:
    return bool(values.min() > 0 and values.max() > EXPLODED * median(values))


def _level(values: Array, smooth: Array, noise: Array, error: Array) -> tuple[Array, Array, Array]:
    """Return what was found on a logarithmic scale in the curve's own unit."""
    smooth = np.exp(np.clip(smooth, np.log(values.min()), np.log(values.max())))
    width, doubt = (np.expm1(np.minimum(part, 20.0)) for part in (noise, error))
    return smooth, smooth * width, smooth * doubt


def noise_level(values: Array) -> Array:
    """Return the local standard deviation of the noise, from differences of neighbours.

    A straight trend cancels in ``y[i-1] - 2 y[i] + y[i+1]``, whose variance is six times the
    noise's (Gasser, Sroka & Jennen-Steinmetz 1986, doi:10.1093/biomet/73.3.625), a bend in the
    third differences, whose variance is twenty times the noise's (Hall, Kay & Titterington 1990,
    doi:10.1093/biomet/77.3.521). The trend can only add to either, so the smaller one is taken.
    Medians over up to eight stretches of the curve keep outliers out and follow a noise that
    changes.

    Parameters
    ----------
    values : ndarray of float, shape (n,) or (k, n)
        Finite values at equal distances.

    Returns
    -------
    ndarray of float, of the same shape
    """
    n = values.shape[-1]
    if n < 4:
        return np.zeros(values.shape)
    rows = values.reshape(-1, n)
    first = rows[:, 1:] - rows[:, :-1]
    second = first[:, 1:] - first[:, :-1]
    third = second[:, 1:] - second[:, :-1]
    second, third = np.abs(second) / np.sqrt(6.0), np.abs(third) / np.sqrt(20.0)
    return np.minimum(_by_stretches(second, n), _by_stretches(third, n)).reshape(values.shape)


def _by_stretches(differences: Array, n: int) -> Array:
    """Turn absolute differences into levels at each of n points, by medians over stretches."""
    rows, given = differences.shape
    count = min(max(given // 24, 1), 8)
    size = given // count
    parts = differences[:, : count * size].reshape(rows, count, size)
    ordered = np.sort(parts, axis=2)
    levels = MAD_TO_SIGMA * (ordered[:, :, (size - 1) // 2] + ordered[:, :, size // 2]) / 2
    # rounded logs have stretches whose differences are mostly exact zeros
    most = 3 * medians(differences)
    means = np.add.reduce(np.minimum(parts, most[:, None, None]), axis=2) / size
    levels = np.maximum(levels, means)
    index, centres = _places(n, given)
    found: Array = np.array([np.interp(index, centres, level) for level in levels])
    return found


@lru_cache(maxsize=64)
def _places(n: int, given: int) -> tuple[Array, Array]:
    """Return n points, and the centres of the stretches of so many differences of them."""
    count = min(max(given // 24, 1), 8)
    centres: Array = (np.arange(float(count)) + 0.5) * (given // count) + (n - given - 1) / 2
    index: Array = np.arange(float(n))
    return index, centres


def _without_outliers(rows: Array, noise: Array) -> Array:
    """Replace single points far from both the running median and its noise by that median."""
    if rows.shape[1] < 5:
        return rows
    padded = np.concatenate([rows[:, 2:0:-1], rows, rows[:, -2:-4:-1]], axis=1)
    middle = running_median(padded, 5)
    away = np.abs(rows - middle)
    floor = MAD_TO_SIGMA * medians(away)
    outlier = away > OUTLIER * np.maximum(noise, floor[:, None])
    outlier[:, 0] = False  # a loss may well begin far above the rest
    return np.where(outlier, middle, rows)


class _Window(NamedTuple):
    """Where the windows of ``half`` points to each side lie, and what a line in them weighs."""

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    size: Array
    centre: Array
    lever: Array
    spread: Array


@lru_cache(maxsize=64)
def _window(n: int, half: int) -> _Window:
    """Return the windows over n points; they are the same for every curve of that length."""
    index = np.arange(n)
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, n)
    size = (high - low).astype(float)
    centre = (low + high - 1) / 2.0
    width = size * (size * size - 1.0) / 12.0
    lever = np.divide(index - centre, width, out=np.zeros(n), where=width > 0)
    leverage = 1.0 / size + lever * (index - centre)
    return _Window(low, high, size, centre, lever, np.sqrt(leverage))


def _local_lines(cumulated: Array, window: _Window) -> Array:
    """Return the fitted lines at the middle of each window.

    Parameters
    ----------
    cumulated : ndarray of float, shape (2, k, n + 1)
        What :func:`_cumulate` returns.
    """
    total, covariance = cumulated.take(window.high, axis=2) - cumulated.take(window.low, axis=2)
    covariance -= window.centre * total
    covariance *= window.lever
    total /= window.size
    fit: Array = np.add(total, covariance, out=total)
    return fit


def _cumulate(rows: Array) -> Array:
    """Return cumulative sums of values, and of values times their index, from 0."""
    n = rows.shape[1]
    sums = np.zeros((2, rows.shape[0], n + 1))
    np.add.accumulate(rows, axis=1, out=sums[0, :, 1:])
    np.add.accumulate(rows * np.arange(n), axis=1, out=sums[1, :, 1:])
    return sums


def denoise(values: Array) -> tuple[Array, Array, Array]:
    """Return the denoised curve, its local noise level and its standard error.

    Lines are fitted in windows of growing width around each point; the widest one that still
    agrees with all narrower ones is taken (Lepski's rule, :data:`AGREEMENT`), so that a steep
    beginning stays steep while a flat noisy stretch is averaged over hundreds of points.

    Parameters
    ----------
    values : ndarray of float, shape (n,) or (k, n)
        Finite values at equal distances: one curve, or several of one length.

    Returns
    -------
    smooth, noise, error : ndarray of float, of the same shape
    """
    noise = noise_level(values)
    n = values.shape[-1]
    if n < 3:
        return values.copy(), noise, noise
    rows = values.reshape(-1, n)
    level = medians(rows)[:, None]
    scale = np.abs(rows - level).max(axis=1)[:, None]
    scale[scale == 0] = 1.0
    clean = (_without_outliers(rows, noise.reshape(rows.shape)) - level) / scale
    best, error = _fit(clean, noise.reshape(rows.shape), scale)
    if n >= 16:
        best = _local_lines(_cumulate(best), _window(n, 1))
    # no better and no worse than anything seen
    least, most = clean.min(axis=1)[:, None], clean.max(axis=1)[:, None]
    best = np.minimum(np.maximum(best, least), most)
    smooth: Array = best * scale + level
    return smooth.reshape(values.shape), noise, error.reshape(values.shape)


def _fit(clean: Array, noise: Array, scale: Array) -> tuple[Array, Array]:
    """Return the widest lines that agree with all narrower ones, and their standard errors."""
    best, error = clean.copy(), noise.copy()
    sigma = AGREEMENT * (noise / scale)
    low, high = clean - sigma, clean + sigma
    agrees = np.ones(clean.shape, dtype=bool)
    cumulated = _cumulate(clean)
    for half in HALF_WIDTHS:
        if half > 1 and 2 * half > clean.shape[1]:
            break
        window = _window(clean.shape[1], half)
        fit = _local_lines(cumulated, window)
        reach = sigma * window.spread
        np.maximum(low, fit - reach, out=low)
        np.minimum(high, fit + reach, out=high)
        agrees &= low <= high
        np.copyto(best, fit, where=agrees)
        np.copyto(error, noise * window.spread, where=agrees)
    return best, error
