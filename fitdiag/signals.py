"""Pure array functions: what can be measured of a curve. No thresholds, no judging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Signal"]


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
    smooth : ndarray of float, shape (m,)
        The denoised curve.
    noise : float
        Robust standard deviation of ``values`` around ``smooth``, in the curve's own unit.
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
    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    smooth: NDArray[np.float64]
    noise: float
    count: int
    nonfinite: int
    first_nonfinite: float | None
    ends_nonfinite: bool
