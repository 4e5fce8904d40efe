"""Pure array functions: what can be measured of a curve. No thresholds on runs, no judging.

Everything here is equivariant: a curve multiplied by a constant, or shifted by one, gives signals
multiplied or shifted alike, and thinning the time axis changes them only within their noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from fitdiag.run import Curve, Run

    Array = NDArray[np.float64]

__all__ = [
    "Facts",
    "Signal",
    "bursts",
    "denoise",
    "measure",
    "noise_level",
    "prepare",
    "prominences",
    "rank_correlation",
    "thin",
]

#: values beyond this are taken for it: differences of such numbers would overflow
LARGEST = 1e150
#: a positive curve whose maximum is so many times its median is denoised by its logarithm
EXPLODED = 1000.0
#: points that a curve is thinned to before it is measured
MAX_POINTS = 1000
#: a median absolute deviation times this is the standard deviation of a normal distribution
MAD_TO_SIGMA = 1.4826
#: half-widths of the local linear fits, in points, from fine to coarse
HALF_WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128)
#: standard errors by which a coarser fit may differ from a finer one and still be taken for it
#: (Lepski, Mammen & Spokoiny 1997, doi:10.1214/aos/1069362731)
AGREEMENT = 2.2
#: noise levels above the running median from which a single point is an outlier (Hampel 1974)
OUTLIER = 6.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Signal:
    """A curve prepared for judging: finite points only, thinned to a bounded number, denoised.

    Parameters
    ----------
    name : str
        Canonical curve name.
    steps : ndarray of float, shape (m,)
        Steps of the thinned points, m at most 1,000.
    values : ndarray of float, shape (m,)
        Their raw values: means over what was thinned.
    high : ndarray of float, shape (m,)
        The largest raw value in what was thinned.
    smooth : ndarray of float, shape (m,)
        The denoised curve.
    noise : ndarray of float, shape (m,)
        Local robust standard deviation of ``values`` around ``smooth``, in the curve's own unit.
    error : ndarray of float, shape (m,)
        Standard error of ``smooth``: the noise, less what was averaged out.
    count : int
        How many points the curve has, non-finite ones included.
    nonfinite : int
        How many of them are NaN or infinite.
    first_nonfinite : float or None
        Step of the first of those.
    ends_nonfinite : bool
        Whether the last point is one of those.
    """

    name: str
    steps: Array
    values: Array
    high: Array
    smooth: Array
    noise: Array
    error: Array
    count: int
    nonfinite: int
    first_nonfinite: float | None
    ends_nonfinite: bool

    def __len__(self) -> int:
        return int(self.steps.size)

    def at(self, step: float) -> float:
        """Return the denoised value at a step, interpolated between points, held at the ends."""
        return float(np.interp(step, self.steps, self.smooth))


def prepare(curve: Curve, *, noisy: bool = True) -> Signal:
    """Return the signal of a curve; one that is not noisy, like a schedule, is left as it is."""
    finite = np.isfinite(curve.values)
    bad = np.flatnonzero(~finite)
    everything = not bad.size
    steps = curve.steps if everything else curve.steps[finite]
    values = np.clip(curve.values if everything else curve.values[finite], -LARGEST, LARGEST)
    steps, values, high = thin(steps, values)
    smooth, noise, error = _denoised(values) if noisy else (values, *np.zeros((2, values.size)))
    return Signal(
        name=curve.name,
        steps=steps,
        values=values,
        high=high,
        smooth=smooth,
        noise=noise,
        error=error,
        count=len(curve),
        nonfinite=int(bad.size),
        first_nonfinite=float(curve.steps[bad[0]]) if bad.size else None,
        ends_nonfinite=bool(len(curve)) and not bool(finite[-1]),
    )


def _denoised(values: Array) -> tuple[Array, Array, Array]:
    """Denoise a curve, on a logarithmic scale where it explodes or collapses by orders."""
    if values.size and values.min() > 0 and values.max() > EXPLODED * np.median(values):
        smooth, noise, error = denoise(np.log(values))
        smooth = np.exp(np.clip(smooth, np.log(values.min()), np.log(values.max())))
        width, doubt = (np.expm1(np.minimum(part, 20.0)) for part in (noise, error))
        return smooth, smooth * width, smooth * doubt
    return denoise(values)


def thin(steps: Array, values: Array, most: int = MAX_POINTS) -> tuple[Array, Array, Array]:
    """Return steps, means and maxima over equal runs of neighbouring points, at most ``most``."""
    if values.size <= most:
        return steps, values, values
    size = -(-values.size // most)
    starts = np.arange(0, values.size, size)
    counts = np.diff(np.append(starts, values.size))
    scale = float(np.max(np.abs(values))) or 1.0
    means = np.add.reduceat(values / scale, starts) / counts * scale
    return (
        steps[np.minimum(starts + counts - 1, values.size - 1)],
        means,
        np.maximum.reduceat(values, starts),
    )


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
    values : ndarray of float, shape (n,)
        Finite values at equal distances.

    Returns
    -------
    ndarray of float, shape (n,)
    """
    n = values.size
    if n < 4:
        return np.zeros(n)
    second = np.abs(np.diff(values, 2)) / np.sqrt(6.0)
    third = np.abs(np.diff(values, 3)) / np.sqrt(20.0)
    return np.minimum(_by_stretches(second, n), _by_stretches(third, n))


def _by_stretches(differences: Array, n: int) -> Array:
    """Turn absolute differences into a level at each of n points, by medians over stretches."""
    count = int(np.clip(differences.size // 24, 1, 8))
    size = differences.size // count
    parts = differences[: count * size].reshape(count, size)
    levels = MAD_TO_SIGMA * np.median(parts, axis=1)
    # rounded logs have stretches whose differences are mostly exact zeros
    means = np.minimum(parts, 3 * float(np.median(differences))).mean(axis=1)
    centres = (np.arange(count) + 0.5) * size + (n - differences.size - 1) / 2
    level: Array = np.interp(np.arange(n), centres, np.maximum(levels, means))
    return level


def _without_outliers(values: Array, noise: Array) -> Array:
    """Replace single points far from both the running median and its noise by that median."""
    if values.size < 5:
        return values
    padded = np.concatenate([values[2:0:-1], values, values[-2:-4:-1]])
    median = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    away = np.abs(values - median)
    floor = MAD_TO_SIGMA * np.median(away)
    outlier = away > OUTLIER * np.maximum(noise, floor)
    outlier[0] = False  # a loss may well begin far above the rest
    return np.where(outlier, median, values)


class _Window(NamedTuple):
    """Where the windows of ``half`` points to each side lie, and what a line in them weighs."""

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    size: Array
    centre: Array
    lever: Array
    leverage: Array


@lru_cache(maxsize=64)
def _window(n: int, half: int) -> _Window:
    """Return the windows over n points; they are the same for every curve of that length."""
    index = np.arange(n)
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, n)
    size = (high - low).astype(float)
    centre = (low + high - 1) / 2.0
    spread = size * (size * size - 1.0) / 12.0
    lever = np.divide(index - centre, spread, out=np.zeros(n), where=spread > 0)
    return _Window(low, high, size, centre, lever, 1.0 / size + lever * (index - centre))


def _local_lines(sums: Array, products: Array, window: _Window) -> Array:
    """Return the fitted line at the middle of each window.

    Parameters
    ----------
    sums, products : ndarray of float, shape (n + 1,)
        Cumulative sums of the values, and of the values times their index, from 0.
    """
    total = sums[window.high] - sums[window.low]
    covariance = (products[window.high] - products[window.low]) - window.centre * total
    fit: Array = total / window.size + covariance * window.lever
    return fit


def _cumulate(values: Array) -> tuple[Array, Array]:
    sums, products = np.zeros((2, values.size + 1))
    np.cumsum(values, out=sums[1:])
    np.cumsum(values * np.arange(values.size), out=products[1:])
    return sums, products


def denoise(values: Array) -> tuple[Array, Array, Array]:
    """Return the denoised curve, its local noise level and its standard error.

    Lines are fitted in windows of growing width around each point; the widest one that still
    agrees with all narrower ones is taken (Lepski's rule, :data:`AGREEMENT`), so that a steep
    beginning stays steep while a flat noisy stretch is averaged over hundreds of points.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Finite values at equal distances.

    Returns
    -------
    smooth, noise, error : ndarray of float, shape (n,)
    """
    noise = noise_level(values)
    if values.size < 3:
        return values.copy(), noise, noise
    level = float(np.median(values))
    scale = float(np.max(np.abs(values - level))) or 1.0
    clean = (_without_outliers(values, noise) - level) / scale
    sigma = noise / scale
    best, error = clean, noise
    low, high = clean - AGREEMENT * sigma, clean + AGREEMENT * sigma
    agrees = np.ones(values.size, dtype=bool)
    cumulated = _cumulate(clean)
    for half in HALF_WIDTHS:
        if half > 1 and 2 * half > values.size:
            break
        window = _window(values.size, half)
        fit = _local_lines(*cumulated, window)
        spread = np.sqrt(window.leverage)
        reach = AGREEMENT * sigma * spread
        low, high = np.maximum(low, fit - reach), np.minimum(high, fit + reach)
        agrees &= low <= high
        best = np.where(agrees, fit, best)
        error = np.where(agrees, noise * spread, error)
    if values.size >= 16:
        best = _local_lines(*_cumulate(best), _window(values.size, 1))
    best = np.clip(best, clean.min(), clean.max())  # no better and no worse than anything seen
    return best * scale + level, noise, error


def prominences(values: Array, peaks: NDArray[np.intp]) -> Array:
    """Return how far each peak stands above the higher of the valleys that separate it.

    The same definition as :func:`scipy.signal.peak_prominences` without a window; scipy itself is
    not imported, since that alone takes longer than a whole text report.
    """
    result = np.empty(peaks.size)
    for k, peak in enumerate(peaks):
        higher = np.flatnonzero(values > values[peak])
        before = higher[higher < peak]
        after = higher[higher > peak]
        left = values[(before[-1] if before.size else 0) : peak + 1].min()
        right = values[peak : (after[0] + 1 if after.size else values.size)].min()
        result[k] = values[peak] - max(left, right)
    return result


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """The signals of one run, by the part they play; None where the run has no such curve.

    Parameters
    ----------
    run : Run
        What they were measured on.
    train, val, grad, grad_max, lr, accuracy : Signal or None
        Training loss, validation loss, gradient norm, the largest norm between two records,
        learning rate, validation accuracy.
    layers : mapping of str to Signal
        Gradient norms of single layers, in the order of the log.
    """

    run: Run
    train: Signal | None
    val: Signal | None
    grad: Signal | None
    grad_max: Signal | None
    lr: Signal | None
    accuracy: Signal | None
    layers: Mapping[str, Signal]

    def signals(self) -> dict[str, Signal]:
        """Return the signals that exist, by curve name."""
        found = (self.train, self.val, self.grad, self.grad_max, self.lr, self.accuracy)
        return {signal.name: signal for signal in found if signal is not None}


def measure(run: Run) -> Facts:
    """Return the signals of a run."""

    def part(*names: str) -> Signal | None:
        curve = run.get(*names)
        return None if curve is None else prepare(curve, noisy=names != ("lr",))

    return Facts(
        run=run,
        train=None if run.train_loss is None else prepare(run.train_loss),
        val=part("val_loss"),
        grad=part("grad_norm", "grad_norm_max"),
        grad_max=part("grad_norm_max"),
        lr=_with_points(part("lr")),
        accuracy=_with_points(part("val_accuracy")),
        layers={name: prepare(curve) for name, curve in run.layers().items()},
    )


def _with_points(signal: Signal | None) -> Signal | None:
    return signal if signal is not None and len(signal) else None


def rank_correlation(left: Array, right: Array) -> float:
    """Return Spearman's rank correlation of two series; 0 when one of them is constant."""
    if left.size < 2 or not np.ptp(left) or not np.ptp(right):
        return 0.0
    ranks = [np.argsort(np.argsort(values, kind="stable")) for values in (left, right)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def bursts(values: Array, *, transient: int = 3, window: int = 15) -> Array:
    """Return each value over the running median of those before it; 1 at the beginning.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Non-negative values such as gradient norms.
    transient : int
        The largest of so many first values stands for those before the beginning, such that an
        early transient is no burst; with 1 it is.
    window : int
        How many earlier values the median is taken over, at the most.
    """
    n = values.size
    if n < 4:
        return np.ones(n)
    start = float(np.max(values[:transient]))
    padded = np.concatenate([np.full(window, start), values[:-1]])
    median = np.median(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1)
    ratio: Array = np.divide(values, median, out=np.ones(n), where=median > 1 / LARGEST)
    return ratio
