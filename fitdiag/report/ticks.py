"""Round numbers along an axis."""

from __future__ import annotations

import math

__all__ = ["linear_ticks", "log_ticks", "place_ticks"]


def linear_ticks(low: float, high: float, most: int = 6, *, whole: bool = False) -> list[float]:
    """Return at most about ``most`` multiples of 1, 2 or 5 times a power of ten in an interval.

    Parameters
    ----------
    low, high : float
        The interval, ``low < high``.
    most : int
        How many are wanted at the most.
    whole : bool
        Only whole numbers.
    """
    rough = high / most - low / most
    if not rough > 0 or math.isinf(rough):
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((f * power for f in (1, 2, 5, 10) if f * power >= rough), 10 * power)
    step = max(step, 1.0) if whole else step
    first, last = math.ceil(low / step), math.floor(high / step)
    if last - first > 2 * most:
        return [low]
    return [index * step for index in range(first, last + 1)]


def place_ticks(start: float, end: float) -> list[float]:
    """Return ticks for epochs, steps or rows: whole ones, unless all shown lies within one.

    Parameters
    ----------
    start, end : float
        First and last place of the axis.
    """
    return linear_ticks(start, end, 8, whole=end - start >= 1)


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return powers of ten in an interval, and where they are few, twice and five times them.

    Parameters
    ----------
    low, high : float
        The interval, both positive.
    most : int
        How many are wanted at the most.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = [f * 10.0**power for power in range(first, last + 1) for f in factors]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= most:
            return inside if len(inside) > 1 else linear_ticks(low, high, most)
    stride = math.ceil(len(inside) / most)
    return inside[::stride]
