"""The losses as lines of blocks, with the onset and the pick marked beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fitdiag.report.figure import BAND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fitdiag.report.figure import Figure, Series

    Array = NDArray[np.float64]

__all__ = ["Blocks", "draw_losses", "sample"]

#: eight heights, low to high
_UNICODE = "▁▂▃▄▅▆▇█"
_ASCII = "_.,-~=+#"
#: share of the run, at its beginning, that may stand out above the top of the picture
_TRANSIENT = 0.1


class Blocks:
    """The characters that a terminal can show.

    Parameters
    ----------
    unicode : bool
        Whether it can show more than ASCII.
    """

    def __init__(self, *, unicode: bool) -> None:
        self.heights = _UNICODE if unicode else _ASCII
        self.broken = "x"
        self.marks = {"onset": "▲", "pick": "◆"} if unicode else {"onset": "^", "pick": "o"}

    def line(self, values: Array, broken: NDArray[np.bool_], low: float, high: float) -> str:
        """Return one line: a height for each value, a cross where broken, a space for NaN."""
        top = len(self.heights) - 1
        reach = high - low
        share = (values - low) / reach if np.isfinite(reach) and reach > 0 else values * 0.0
        index = np.clip(np.nan_to_num(np.rint(share * top), nan=0.0), 0, top).astype(int)
        known = np.isfinite(values)
        return "".join(
            self.broken if b else self.heights[i] if k else " "
            for i, b, k in zip(index, broken, known, strict=True)
        )


def sample(figure: Figure, series: Series, width: int) -> tuple[Array, NDArray[np.bool_]]:
    """Return a curve's mean in each of ``width`` columns, and where it is not finite.

    Returns
    -------
    values : ndarray of float, shape (width,)
        NaN outside the curve.
    broken : ndarray of bool, shape (width,)
    """
    x, y = (series.smooth_x, series.smooth_y) if series.smooth_x.size else (series.x, series.y)
    finite = np.isfinite(y)
    x, y = x[finite], y[finite]
    places = np.linspace(figure.start, figure.end, width)
    values = np.full(width, np.nan)
    if x.size:
        half = (figure.end - figure.start) / max(2 * width - 2, 1)
        inside = (places >= x[0] - half) & (places <= x[-1] + half)
        values[inside] = np.interp(places[inside], x, y)
    broken = np.zeros(width, dtype=bool)
    for gap in series.gaps:
        first, last = (column(figure, place, width) for place in (gap.start, gap.end))
        broken[first : last + 1] = True
    return values, broken


def column(figure: Figure, place: float, width: int) -> int:
    """Return the column in which a place of the axis lies."""
    reach = figure.end - figure.start
    share = (place - figure.start) / reach if reach > 0 else 0.0
    return int(np.clip(round(share * (width - 1)), 0, width - 1))


def draw_losses(figure: Figure, width: int, blocks: Blocks) -> list[tuple[str, str]]:
    """Return the losses as lines, each with its series' name, both on one scale.

    What happens in the first tenth may stand out above the top, so that what comes later is seen;
    what spans less than the noise band is not blown up to the whole height.

    Returns
    -------
    list of (str, str)
        Role (``"train"`` or ``"val"``) and line; empty when there is no loss to draw.
    """
    panel = next((panel for panel in figure.panels if panel.key == "loss"), None)
    if panel is None:
        return []
    sampled = [(series.role, *sample(figure, series, width)) for series in panel.series]
    table = np.array([values for _, values, _ in sampled])
    if panel.log:
        table = np.log(np.maximum(table, np.finfo(float).tiny))
    later = table[:, int(_TRANSIENT * width) :]
    scale = later if np.isfinite(later).any() else table
    if not np.isfinite(scale).any():
        return []
    low, high = float(np.nanmin(scale)), float(np.nanmax(scale))
    if not panel.log:
        noise = [BAND * float(np.median(item.noise)) for item in panel.series if item.noise.size]
        high = max(high, low + 2 * max(noise, default=0.0))
    return [
        (role, blocks.line(values, broken, low, high))
        for (role, _, broken), values in zip(sampled, table, strict=True)
    ]


def draw_marks(
    figure: Figure, width: int, blocks: Blocks, *, indent: int = 0, room: int | None = None
) -> list[str]:
    """Return the lines beneath the losses: onset and pick at their columns, with their words.

    Parameters
    ----------
    figure : Figure
        Whose marks they are.
    width : int
        Columns of the losses.
    blocks : Blocks
        The characters.
    indent : int
        Columns before the losses begin; words may stand there too.
    room : int, optional
        Columns of a line in all. Default: as far as the losses go.
    """
    room = indent + width if room is None else room
    lines: list[list[str]] = []
    order = ("pick", "onset")
    marks = [mark for mark in figure.marks if mark.kind in order]
    for mark in sorted(marks, key=lambda mark: order.index(mark.kind)):
        at = indent + column(figure, mark.x, width)
        sign, label = blocks.marks[mark.kind], mark.label
        if not any(_put(line, at, sign, label) for line in lines):
            lines.append([" "] * room)
            # where even that is too long, the words alone; the place is told further down
            _put(lines[-1], at, sign, label) or _put(lines[-1], at, sign, label.split(":")[0])
    return ["".join(line).rstrip() for line in lines]


def _put(line: list[str], at: int, sign: str, label: str) -> bool:
    """Set a sign, and its label to the right or the left of it, if there is room for both."""
    for text, start in ((f"{sign} {label}", at), (f"{label} {sign}", at - len(label) - 1)):
        stop = start + len(text)
        if start >= 0 and stop <= len(line) and not "".join(line[start : stop + 1]).strip():
            line[start:stop] = text
            return True
    return False
