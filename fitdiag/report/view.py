"""Which part of the vertical axis a panel shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fitdiag.report.figure import Point, Series

    Array = NDArray[np.float64]

__all__ = ["choose_view"]

#: share of the height that stays free above and beneath
MARGIN = 0.06
#: percentiles of the raw values that are always in view
COMMON = (1.0, 99.0)
#: times the height of the common values up to which rarer ones are brought into view too
REACH = 3.0
#: factor between the highest and the lowest value that a logarithmic axis shows at the most
DEEPEST = 1e12


def choose_view(
    series: Sequence[Series], points: Sequence[Point], *, log: bool
) -> tuple[float, float]:
    """Return the lowest and the highest value that a panel shows.

    The denoised curves, the marked points and all but the rarest raw values are in view; single
    spikes are too, unless the rest would be squeezed flat. A logarithmic axis shows all that is
    positive.

    Parameters
    ----------
    series : sequence of Series
        At least one of them has a finite value.
    points : sequence of Point
        Marked points.
    log : bool
        Whether the axis is logarithmic.
    """
    raw = _finite([item.y for item in series])
    strong = _finite([item.smooth_y for item in series] + [np.array([p.y for p in points])])
    if log:
        return _log_view(raw)
    common = np.concatenate([np.percentile(raw, COMMON), strong])
    low, high = float(common.min()), float(common.max())
    reach = REACH * (high - low)
    near = raw[(raw >= low - reach) & (raw <= high + reach)]
    if near.size:
        low, high = min(low, float(near.min())), max(high, float(near.max()))
    margin = MARGIN * (high - low) or MARGIN * abs(high) or 1.0
    return low - margin, high + margin


def _log_view(raw: Array) -> tuple[float, float]:
    positive = raw[raw > 0]
    high = float(positive.max())
    low = max(float(positive.min()), high / DEEPEST)
    factor = max((high / low) ** MARGIN, 1.0 + MARGIN)
    return low / factor, high * factor


def _finite(parts: list[Array]) -> Array:
    values = np.concatenate(parts)
    return values[np.isfinite(values)]
