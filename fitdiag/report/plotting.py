"""The figure as plain data for the page's script: short, strict JSON, no NaN."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from fitdiag.report.words import clean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fitdiag.report.figure import Figure, Panel, Series

    Array = NDArray[np.float64]

__all__ = ["figure_data", "script_json"]


def figure_data(figure: Figure) -> dict[str, Any]:
    """Return the figure as dicts, lists, numbers and words."""
    return {
        "axis": figure.axis.label,
        "start": _short(figure.start, 9),
        "end": _short(figure.end, 9),
        "marks": [
            {"kind": mark.kind, "x": mark.x, "label": clean(mark.label)} for mark in figure.marks
        ],
        "panels": [_panel(panel) for panel in figure.panels],
    }


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "key": panel.key,
        "title": clean(panel.title),
        "log": panel.log,
        "view": list(panel.view),
        "series": [_series(series) for series in panel.series],
        "points": [
            {"kind": point.kind, "x": point.x, "y": point.y, "label": clean(point.label)}
            for point in panel.points
        ],
        "spans": [
            {"kind": span.kind, "start": span.start, "end": span.end, "code": clean(span.code)}
            for span in panel.spans
        ],
    }


def _series(series: Series) -> dict[str, Any]:
    low, high = series.band
    smooth = [(series.smooth_x, 9), (series.smooth_y, 5), (low, 4), (high, 4)]
    return {
        "label": clean(series.label),
        "role": series.role,
        "raw": [_list(series.x, 9), _list(series.y, 5)],
        "smooth": [_list(part, digits) for part, digits in smooth] if len(low) else [],
        "gaps": [[gap.start, gap.end] for gap in series.gaps],
    }


def _short(value: float, digits: int) -> float | int | None:
    """Return a number in so many digits, whole where it is whole, None where it is none."""
    if not np.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e9 else rounded


def _list(values: Array, digits: int) -> list[float | int | None]:
    return [_short(value, digits) for value in values.tolist()]


def script_json(data: object) -> str:
    """Return JSON that can stand within a script element: nothing in it can end the element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
