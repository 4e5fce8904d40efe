"""The gradient along the depth of the network and over the run, as a grid of shades."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fitdiag.report.shades import BROKEN, LEVELS, MISSING, ZERO, link_png
from fitdiag.report.ticks import log_ticks, place_ticks
from fitdiag.report.words import clean, count, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fitdiag.report.axis import Axis
    from fitdiag.report.figure import Figure
    from fitdiag.run import Curve, Run

    Array = NDArray[np.float64]
    Cells = NDArray[np.uint8]

__all__ = ["TITLE", "Depth", "draw_depth", "draw_grid", "name_rows"]

TITLE = "Gradient norm by layer"
#: cells from left to right
WIDTH = 480
#: factor between the largest and the smallest norm that have a shade of their own
DEEPEST = 1e12
#: height of the grid on a page: of a layer, and of all of them
_ROW, _LEAST, _MOST = 15, 60, 330
#: characters of a layer's name that have room on a narrow page
_CHARACTERS = 15


@dataclass(frozen=True, kw_only=True, eq=False)
class Depth:
    """The norms of single layers over the run.

    Parameters
    ----------
    layers : tuple of str
        From input to output, which is from top to bottom.
    cells : ndarray of uint8, shape (layers, WIDTH)
        Colours; see :mod:`fitdiag.report.shades`.
    low, high : float
        Norms of the darkest and the palest shade.
    words : str
        The same in a sentence.
    """

    layers: tuple[str, ...]
    cells: Cells
    low: float
    high: float
    words: str


def draw_depth(run: Run, axis: Axis, start: float, end: float) -> Depth | None:
    """Return the grid of a run, or None where it has no layers or nothing to show of them.

    Parameters
    ----------
    run : Run
        Whose ``grad_norm/<layer>`` curves.
    axis : Axis
        The time axis of the figure.
    start, end : float
        First and last place on it.
    """
    curves = run.layers()
    if len(curves) < 2 or not end > start:
        return None
    grid = np.array([_spread(curve, axis, start, end) for curve in curves.values()])
    shown = grid[(grid > 0) & np.isfinite(grid)]
    if not shown.size:
        return None
    high = float(shown.max())
    low = max(float(shown.min()), high / DEEPEST)
    names = tuple(curves)
    return Depth(
        layers=names,
        cells=_shade(grid, low, high),
        low=low,
        high=high,
        words=_describe(names, list(curves.values()), axis),
    )


def _spread(curve: Curve, axis: Axis, start: float, end: float) -> Array:
    """Return the largest norm in each of the cells from left to right; -1 where nothing is known.

    A value stands for what lies between the step before and its own.
    """
    ends = axis.map(curve.steps)
    begins = np.append(ends[0] - (ends[1] - ends[0] if ends.size > 1 else end - start), ends[:-1])
    scale = WIDTH / (end - start)
    first = np.clip(np.floor((begins - start) * scale), 0, WIDTH - 1).astype(int)
    last = np.clip(np.ceil((ends - start) * scale) - 1, 0, WIDTH - 1).astype(int)
    last = np.maximum(first, last)
    cells = np.full(WIDTH, -1.0)
    if ends.size > WIDTH:
        starts = np.flatnonzero(np.diff(last, prepend=-1))
        cells[last[starts]] = np.maximum.reduceat(curve.values, starts)
        known = np.maximum.accumulate(np.where(cells == -1, -1, np.arange(WIDTH)))
        return np.where(known >= 0, cells[known], -1.0)
    for left, right, value in zip(first, last, curve.values, strict=True):
        cells[left : right + 1] = value
    return cells


def _shade(grid: Array, low: float, high: float) -> Cells:
    """Return the colour of each cell."""
    reach = math.log(high / low) or 1.0
    held = np.clip(np.nan_to_num(grid, nan=low, posinf=high), low, high)
    share = np.log(held / low) / reach if high > low else np.ones(grid.shape)
    cells = np.rint(share * (LEVELS - 1)).astype(np.uint8)
    cells[grid == 0] = ZERO
    cells[grid < 0] = MISSING
    cells[~np.isfinite(grid)] = BROKEN
    return cells


def _describe(names: tuple[str, ...], curves: list[Curve], axis: Axis) -> str:
    def say(at: int) -> str:
        finite = curves[at].values[np.isfinite(curves[at].values)]
        middle = float(np.median(finite)) if finite.size else math.nan
        return f"{clean(names[at])} has {number(middle)}"

    return (
        f"{TITLE} and {axis.word}, {len(names)} layers from input to output: in the median "
        f"{say(0)} and {say(len(names) - 1)}."
    )


def name_rows(depth: Depth, most: int, room: int) -> list[tuple[int, str]]:
    """Return places and names of the layers that are named, evenly spaced from the first on.

    Parameters
    ----------
    depth : Depth
        The grid.
    most : int
        How many names there is room for.
    room : int
        Characters of a name; what all names have in common, and then the middle, is left out.
    """
    stride = -(-len(depth.layers) // most)
    parts = [clean(name).split(".") for name in depth.layers]
    begin = _count_common(parts)
    end = _count_common([part[begin + 1 :][::-1] for part in parts])
    names = [".".join(part[begin : len(part) - end]) for part in parts]
    return [(at, _cut(name, room)) for at, name in enumerate(names) if at % stride == 0]


def _count_common(parts: list[list[str]]) -> int:
    """Return how many first pieces are the same everywhere; one piece is left to each."""
    common = 0
    while all(len(part) > common + 1 for part in parts):
        if len({part[common] for part in parts}) > 1:
            break
        common += 1
    return common


def _cut(name: str, room: int) -> str:
    if len(name) <= room:
        return name
    head = room // 2
    return f"{name[:head]}…{name[len(name) - (room - 1 - head) :]}"


def draw_grid(figure: Figure, depth: Depth) -> dict[str, Any]:
    """Return everything that the page's template needs; places are percentages, or pixels down."""
    total = len(depth.layers)
    height = min(max(total * _ROW, _LEAST), _MOST)
    span = (figure.end - figure.start) or 1.0
    reach = math.log(depth.high / depth.low) or 1.0
    scale = np.arange(LEVELS, dtype=np.uint8)[None, :]
    kinds = np.unique(depth.cells)
    most = max(height // _ROW, 2)
    return {
        "title": TITLE,
        "alt": depth.words,
        "height": height,
        "image": link_png(depth.cells),
        "rows": [
            (round((at + 0.5) * height / total, 1), name)
            for at, name in name_rows(depth, most, _CHARACTERS)
        ],
        "ticks": [
            (round((tick - figure.start) / span, 4), count(tick))
            for tick in place_ticks(figure.start, figure.end)
        ],
        "axis": figure.axis.label,
        "scale": link_png(scale),
        "values": [
            (round(math.log(value / depth.low) / reach, 4), number(value))
            for value in log_ticks(depth.low, depth.high, 5)
            if depth.low <= value <= depth.high
        ],
        "zero": ZERO in kinds,
        "broken": BROKEN in kinds,
    }
