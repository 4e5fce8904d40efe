"""Fewer points that look the same: every extreme and every non-finite point survives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["MOST_POINTS", "Gap", "decimate", "find_gaps"]

#: points of a curve that are drawn at the most, the ends of gaps not counted
MOST_POINTS = 1500


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Neighbouring points of a curve that are NaN or infinite.

    Parameters
    ----------
    start, end : float
        The first and the last of them, in the unit of the axis.
    count : int
        How many they are.
    """

    start: float
    end: float
    count: int


def find_gaps(x: Array, y: Array, most: int = MOST_POINTS) -> tuple[Gap, ...]:
    """Return the stretches of non-finite points.

    Parameters
    ----------
    x, y : ndarray of float, shape (n,)
        The curve.
    most : int
        Stretches at the most; where there are more, those too close to be told apart in a
        picture are joined, so that each non-finite point still lies in one of them.
    """
    bad = ~np.isfinite(y)
    if not bad.any():
        return ()
    edges = np.diff(np.concatenate([[0], bad.astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    totals = np.concatenate([[0], np.cumsum(bad)])
    if starts.size > most:
        width = (x[-1] - x[0]) / most
        apart = np.flatnonzero(x[starts[1:]] - x[ends[:-1]] > width)
        starts = starts[np.concatenate([[0], apart + 1])]
        ends = ends[np.concatenate([apart, [ends.size - 1]])]
    return tuple(
        Gap(start=float(x[i]), end=float(x[j]), count=int(totals[j + 1] - totals[i]))
        for i, j in zip(starts, ends, strict=True)
    )


def decimate(x: Array, y: Array, most: int = MOST_POINTS) -> tuple[Array, Array]:
    """Return at most about ``most`` finite points, and one NaN where each gap begins.

    The curve is cut into buckets of equally many finite points; the lowest and the highest of each
    stay, at their own place, and so do the first and the last point of the curve.

    Parameters
    ----------
    x, y : ndarray of float, shape (n,)
        The curve.
    most : int
        Finite points that are kept at the most, the two ends not counted.

    Returns
    -------
    x, y : ndarray of float, shape (m,)
    """
    known = np.isfinite(y)
    finite = np.flatnonzero(known)
    kept = finite
    if finite.size > most:
        kept = _extremes(finite, y[finite], most // 2)
    if finite.size == y.size:
        return x[kept], y[kept]
    breaks = _gap_starts(known)
    if breaks.size > most:
        breaks = breaks[:: -(-breaks.size // most)]
    index = np.union1d(kept, breaks)
    values = y[index]
    return x[index], np.where(np.isfinite(values), values, np.nan)


def _extremes(index: NDArray[np.intp], values: Array, buckets: int) -> NDArray[np.intp]:
    """Return the places of the lowest and the highest value of each bucket, and the two ends."""
    size = -(-values.size // buckets)
    filled = -(-values.size // size) * size
    padded = np.concatenate([values, np.full(filled - values.size, values[-1])])
    table = padded.reshape(-1, size)
    offset = np.arange(table.shape[0]) * size
    low, high = table.argmin(axis=1) + offset, table.argmax(axis=1) + offset
    last = values.size - 1
    places = np.minimum(np.concatenate([[0], low, high, [last]]), last)
    places.sort()
    kept: NDArray[np.intp] = index[places[np.append(np.diff(places) > 0, np.True_)]]
    return kept


def _gap_starts(finite: NDArray[np.bool_]) -> NDArray[np.intp]:
    before = np.concatenate([[True], finite[:-1]])
    starts: NDArray[np.intp] = np.flatnonzero(~finite & before)
    return starts
