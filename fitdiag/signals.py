"""Pure array functions: what can be measured of a curve. No thresholds on runs, no judging.

Everything here is equivariant: a curve multiplied by a constant, or shifted by one, gives signals
multiplied or shifted alike, and thinning the time axis changes them only within their noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.denoising import denoise, denoise_all, noise_level
from fitdiag.medians import median, running_median

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from fitdiag.run import Curve, Run

    Array = NDArray[np.float64]

__all__ = [
    "Facts",
    "Signal",
    "bursts",
    "denoise",
    "measure",
    "median",
    "noise_level",
    "prepare",
    "prominences",
    "rank_correlation",
    "thin",
]

#: values beyond this are taken for it: differences of such numbers would overflow
LARGEST = 1e150
#: points that a curve is thinned to before it is measured
MAX_POINTS = 1000

_NOWHERE = np.zeros(0, dtype=np.intp)


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
    signal = _clean(curve)
    return _denoise([signal])[0] if noisy else signal


def _clean(curve: Curve) -> Signal:
    """Return the finite points of a curve, thinned, and not denoised yet."""
    finite = np.isfinite(curve.values)
    steps, values = curve.steps, curve.values
    bad = _NOWHERE
    if not finite.all():
        bad = np.flatnonzero(~finite)
        steps, values = steps[finite], values[finite]
    values = np.minimum(np.maximum(values, -LARGEST), LARGEST)
    steps, values, high = thin(steps, values)
    return Signal(
        name=curve.name,
        steps=steps,
        values=values,
        high=high,
        smooth=values,
        noise=np.zeros(values.size),
        error=np.zeros(values.size),
        count=len(curve),
        nonfinite=int(bad.size),
        first_nonfinite=float(curve.steps[bad[0]]) if bad.size else None,
        ends_nonfinite=bool(len(curve)) and not bool(finite[-1]),
    )


def _denoise(signals: Sequence[Signal]) -> list[Signal]:
    """Return signals denoised, all at once."""
    found = denoise_all([signal.values for signal in signals])
    return [
        replace(signal, smooth=smooth, noise=noise, error=error)
        for signal, (smooth, noise, error) in zip(signals, found, strict=True)
    ]


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
    lr = run.get("lr")
    chosen = {
        "train": run.train_loss,
        "val": run.get("val_loss"),
        "grad": run.get("grad_norm", "grad_norm_max"),
        "grad_max": run.get("grad_norm_max"),
        "accuracy": run.get("val_accuracy"),
    }
    curves = {part: curve for part, curve in chosen.items() if curve is not None}
    signals = _denoise([_clean(curve) for curve in curves.values()])
    found = dict(zip(curves, signals, strict=True))
    return Facts(
        run=run,
        train=found.get("train"),
        val=found.get("val"),
        grad=found.get("grad"),
        grad_max=found.get("grad_max"),
        lr=_with_points(None if lr is None else _clean(lr)),
        accuracy=_with_points(found.get("accuracy")),
        layers={name: _clean(curve) for name, curve in run.layers().items()},
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
    middle = running_median(padded, window)
    ratio: Array = np.divide(values, middle, out=np.ones(n), where=middle > 1 / LARGEST)
    return ratio
