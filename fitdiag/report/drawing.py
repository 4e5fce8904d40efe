"""A panel as the numbers of a small SVG, for pages without JavaScript and for print.

Only geometry is made here; the template turns it into SVG, and the page's style sheet colours it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fitdiag.report.decimation import decimate
from fitdiag.report.ticks import linear_ticks, log_ticks, place_ticks
from fitdiag.report.words import clean, count, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fitdiag.report.figure import Figure, Panel, Series

    Array = NDArray[np.float64]

__all__ = ["HEIGHTS", "Frame", "draw_panel"]

#: units of the drawing; a page in print is about as wide
WIDTH = 720.0
HEIGHTS = {"loss": 270.0, "metric": 170.0, "norm": 180.0, "tasks": 180.0, "lr": 110.0}
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 14.0, 10.0, 26.0
#: room above the first panel for the words of the marks
_WORDS = 22.0
#: width of a letter of those words, and how far they stand from their line
_LETTER, _BESIDE = 6.9, 3.0
#: points of a line; there are fewer columns of pixels
_POINTS = 600


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The rectangle in which a panel's data lie, and what its edges stand for.

    Parameters
    ----------
    left, top, right, bottom : float
        Edges, in units of the drawing.
    start, end, low, high : float
        What they stand for.
    log : bool
        Whether the vertical axis is logarithmic.
    """

    left: float
    top: float
    right: float
    bottom: float
    start: float
    end: float
    low: float
    high: float
    log: bool

    def x(self, values: Array) -> Array:
        """Return horizontal places, shape (n,)."""
        share = (values - self.start) / ((self.end - self.start) or 1.0)
        return self.left + share * (self.right - self.left)

    def y(self, values: Array) -> Array:
        """Return vertical places, shape (n,), held within the frame."""
        if self.log:
            safe = np.log(np.maximum(values, self.low))
            share = (safe - np.log(self.low)) / (np.log(self.high) - np.log(self.low))
        else:
            share = (values - self.low) / (self.high - self.low)
        places: Array = self.bottom - np.clip(share, 0.0, 1.0) * (self.bottom - self.top)
        return places

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of one point."""
        places = self.x(np.array([x]))[0], self.y(np.array([y]))[0]
        return round(float(places[0]), 1), round(float(places[1]), 1)


def draw_panel(figure: Figure, panel: Panel, *, first: bool, last: bool) -> dict[str, Any]:
    """Return everything that the template needs to draw a panel.

    Parameters
    ----------
    figure : Figure
        The figure.
    panel : Panel
        One of its panels.
    first, last : bool
        Whether it is the one that carries the words of the marks, or the labels of the axis.
    """
    top = _TOP + (_WORDS if first else 0.0)
    height = HEIGHTS[panel.key] + (_WORDS if first else 0.0)
    margin = 0.01 * (figure.end - figure.start) or 0.5
    frame = Frame(
        left=_LEFT,
        top=top,
        right=WIDTH - _RIGHT,
        bottom=height - _BOTTOM,
        start=figure.start - margin,
        end=figure.end + margin,
        low=panel.view[0],
        high=panel.view[1],
        log=panel.log,
    )
    return {
        "key": panel.key,
        "title": clean(panel.title),
        "width": WIDTH,
        "height": height,
        "frame": frame,
        "x_ticks": _x_ticks(frame, shown=last),
        "y_ticks": _y_ticks(frame, few=panel.key == "lr"),
        "x_label": figure.axis.label if last else "",
        "series": [_draw_series(frame, series) for series in panel.series],
        "spans": [
            _draw_span(frame, span.start, span.end)
            for span in panel.spans
            if span.kind == "settled"
        ],
        "points": [(point.kind, *frame.at(point.x, point.y)) for point in panel.points],
        "marks": _draw_marks(figure, frame, words=first),
    }


def _x_ticks(frame: Frame, *, shown: bool) -> list[tuple[float, str]]:
    ticks = place_ticks(frame.start, frame.end)
    return [(frame.at(tick, frame.low)[0], count(tick) if shown else "") for tick in ticks]


def _y_ticks(frame: Frame, *, few: bool) -> list[tuple[float, str]]:
    make = log_ticks if frame.log else linear_ticks
    ticks = make(frame.low, frame.high, 3 if few else 6)
    return [(frame.at(frame.start, tick)[1], number(tick + 0.0)) for tick in ticks]


def _draw_span(frame: Frame, start: float, end: float) -> tuple[float, float]:
    left = frame.at(max(start, frame.start), frame.low)[0]
    return left, max(frame.at(min(end, frame.end), frame.low)[0] - left, 1.0)


def _draw_series(frame: Frame, series: Series) -> dict[str, Any]:
    strong = series.smooth_x.size > 0
    low, high = series.band
    return {
        "role": series.role,
        "raw": _path(frame, series.x, series.y),
        "raw_is_faint": strong,
        "smooth": _path(frame, series.smooth_x, series.smooth_y) if strong else "",
        "band": _ribbon(frame, series.smooth_x, low, high) if strong else "",
        "gaps": [_draw_span(frame, gap.start, gap.end) for gap in series.gaps],
        "dots": _dots(frame, series) if np.isfinite(series.y).sum() < 3 else [],
    }


def _dots(frame: Frame, series: Series) -> list[tuple[float, float]]:
    finite = np.isfinite(series.y)
    pairs = zip(series.x[finite], series.y[finite], strict=True)
    return [frame.at(float(x), float(y)) for x, y in pairs]


def _path(frame: Frame, x: Array, y: Array) -> str:
    """Return the path of a line that is broken where the curve is."""
    x, y = decimate(x, y, _POINTS)
    finite = np.isfinite(y)
    places = zip(frame.x(x).tolist(), frame.y(np.where(finite, y, frame.low)).tolist(), strict=True)
    parts, pen = [], "M"
    for (left, top), drawn in zip(places, finite.tolist(), strict=True):
        parts.append(f"{pen}{left:.1f} {top:.1f}" if drawn else "")
        pen = "L" if drawn else "M"
    return "".join(parts)


def _ribbon(frame: Frame, x: Array, low: Array, high: Array) -> str:
    """Return the closed path between two edges."""
    stride = max(1, x.size // (_POINTS // 4))
    index = np.unique(np.append(np.arange(0, x.size, stride), x.size - 1))
    upper = zip(frame.x(x[index]).tolist(), frame.y(high[index]).tolist(), strict=True)
    lower = zip(frame.x(x[index][::-1]).tolist(), frame.y(low[index][::-1]).tolist(), strict=True)
    return "M" + "L".join(f"{left:.1f} {top:.1f}" for left, top in (*upper, *lower)) + "Z"


def _draw_marks(figure: Figure, frame: Frame, *, words: bool) -> list[dict[str, Any]]:
    """Return the lines of the marks, with words that lean away from each other."""
    marks = sorted(figure.marks, key=lambda mark: mark.x)
    named = [mark for mark in marks if words and mark.kind != "late rise"]
    drawn, reach = [], 0.0
    for mark in marks:
        x = frame.at(mark.x, frame.low)[0]
        label = mark.label if mark in named else ""
        long = _LETTER * len(label) + _BESIDE
        leans = mark is not named[-1] if label else False
        ends = (leans and x > long) or x + long > WIDTH
        left = x - long if ends else x + _BESIDE
        level = 1 if label and left < reach else 0
        reach = max(reach, left + long) if label else reach
        drawn.append(
            {
                "kind": mark.kind,
                "x": x,
                "anchor": "end" if ends else "start",
                "word_x": round(x - _BESIDE if ends else x + _BESIDE, 1),
                "label": label,
                "level": level,
            }
        )
    return drawn
