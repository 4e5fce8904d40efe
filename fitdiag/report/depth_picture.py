"""The grid of layers in the picture: shades, names of layers, and what the shades stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FuncFormatter

from fitdiag.report.depth import TITLE, name_rows
from fitdiag.report.palette import PAPER
from fitdiag.report.shades import BROKEN, LEVELS, MISSING, ZERO, list_colours
from fitdiag.report.ticks import log_ticks, place_ticks
from fitdiag.report.words import count, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from fitdiag.report.depth import Depth

__all__ = ["draw_layers", "measure_depth"]

#: inches: of a layer, of all of them, and of a name
_ROW, _LEAST, _MOST, _NAME = 0.105, 0.7, 2.0, 0.105
#: size of the names, and characters of them that have room
_SIZE, _CHARACTERS = 6.0, 17


def measure_depth(depth: Depth) -> float:
    """Return the height of the grid in inches."""
    return min(max(_ROW * len(depth.layers), _LEAST), _MOST)


def draw_layers(axes: Axes, depth: Depth, ends: tuple[float, float], height: float) -> None:
    """Draw the grid.

    Parameters
    ----------
    axes : Axes
        Where; its horizontal limits stay as they are.
    depth : Depth
        What.
    ends : (float, float)
        First and last place of the time axis.
    height : float
        Height of the axes in inches.
    """
    total = len(depth.layers)
    limits = axes.get_xlim()
    axes.imshow(
        _colour(depth.cells),
        extent=(*ends, total - 0.5, -0.5),
        aspect="auto",
        interpolation="none",
    )
    axes.set_xlim(*limits)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axes.set_xticks(place_ticks(*limits))
    axes.set_yticks([])  # plain texts are drawn in half the time
    for at, name in name_rows(depth, max(int(height / _NAME), 2), _CHARACTERS):
        axes.text(
            -0.005,
            at,
            name,
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center_baseline",
            fontsize=_SIZE,
        )
    axes.set_title(TITLE, loc="left", fontsize=8.0, pad=2.5, color=PAPER["ink"])
    _draw_scale(axes, depth, height)


def _colour(cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    colours = np.array([(*colour, 255) for colour in list_colours()], dtype=np.uint8)
    colours[MISSING, 3] = 0
    picture: NDArray[np.uint8] = colours[cells]
    return picture


def _draw_scale(axes: Axes, depth: Depth, height: float) -> None:
    """Draw beside the grid which norm each shade stands for."""
    tall = min(height, 1.4) / height
    scale = axes.inset_axes((1.02, 1 - tall, 0.02, tall))
    ends = np.log10(depth.low), np.log10(depth.high)
    if not ends[1] > ends[0]:
        ends = ends[0] - 0.5, ends[1] + 0.5
    shades = np.arange(LEVELS, dtype=np.uint8)[::-1, None]
    scale.imshow(_colour(shades), extent=(0, 1, *ends), aspect="auto", interpolation="none")
    for tick in log_ticks(depth.low, depth.high, 5):
        if depth.low <= tick <= depth.high:
            scale.text(1.25, np.log10(tick), f"- {number(tick)}", va="center", fontsize=_SIZE + 0.5)
    scale.set_yticks([])
    scale.set_xticks([])
    scale.spines[["top", "right", "bottom", "left"]].set_visible(False)
    kinds = set(np.unique(depth.cells).tolist())
    right = 1.0
    for kind, word in ((BROKEN, "NaN, inf"), (ZERO, "zero")):
        if kind in kinds:
            colour = [part / 255 for part in list_colours()[kind]]
            place: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": _SIZE + 0.5}
            where = axes.transAxes
            axes.text(right, 1 + 0.04 / height, f"■ {word}", transform=where, color=colour, **place)
            right -= 0.13
