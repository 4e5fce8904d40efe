"""One panel of the picture: curves with their noise, moments, points, and names beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter

from fitdiag.report.lettering import MARK_LINES, label_phases, label_series
from fitdiag.report.palette import MARKERS, PAPER, STYLES
from fitdiag.report.ticks import linear_ticks, log_ticks, place_ticks
from fitdiag.report.words import clean, count, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fitdiag.report.figure import Figure, Panel, Series

__all__ = ["draw_panel", "pad"]


def pad(start: float, end: float) -> tuple[float, float]:
    """Return where a time axis begins and ends: a little outside of what it shows."""
    margin = 0.01 * (end - start) or 0.5
    return start - margin, end + margin


def draw_panel(
    axes: Axes, figure: Figure, panel: Panel, height: float, scale: float, *, few: int = 6
) -> None:
    """Draw a panel into axes.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where.
    figure : Figure
        What the panel belongs to.
    panel : Panel
        What.
    height : float
        The height of the axes, in inches at a scale of 1.
    scale : float
        Size of letters, lines and marks.
    few : int
        How many ticks the vertical axis has at the most.
    """
    if panel.log:
        axes.set_yscale("log")
    axes.set_ylim(*panel.view)
    axes.set_xlim(*pad(figure.start, figure.end))
    axes.grid(visible=True)
    axes.set_axisbelow(True)
    axes.set_ylabel(panel.title, va="center")
    _format_ticks(axes, panel, 3 if panel.key == "lr" else few)
    for span in panel.spans:
        if span.kind == "settled":
            axes.axvspan(span.start, span.end, color=PAPER["settled"], lw=0, zorder=0.5)
    if panel.key == "norm":
        label_phases(axes, figure, panel, height, scale)
    for series in panel.series:
        _draw_series(axes, series, scale)
    _draw_marks(axes, figure, scale)
    for point in panel.points:
        marker, _ = MARKERS.get(point.kind, ("o", point.kind))
        chosen = point.kind == "pick"
        axes.plot(
            point.x,
            point.y,
            marker,
            ms=(7 if chosen else 6) * scale,
            mew=1.1 * scale,
            mec=PAPER["ink"],
            mfc="#f0e442" if chosen else "white",
            zorder=6 if chosen else 5,
            clip_on=False,
        )
    label_series(axes, panel, height, scale)


def _format_ticks(axes: Axes, panel: Panel, few: int) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    low, high = axes.get_xlim()
    axes.set_xticks(place_ticks(low, high))
    make = log_ticks if panel.log else linear_ticks
    axes.set_yticks(make(*panel.view, few))
    axes.set_yticks([], minor=True)


def _draw_series(axes: Axes, series: Series, scale: float) -> None:
    style = STYLES[series.role]
    strong = series.smooth_x.size > 0
    dashes = (0, style.dashes) if style.dashes else "solid"
    single = "." if np.isfinite(series.y).sum() < 3 else ""
    label = clean(series.label)
    axes.plot(
        series.x,
        series.y,
        color=style.light,
        lw=(0.7 if strong else 1.3) * scale,
        alpha=0.38 if strong else 1.0,
        ls="solid" if strong else dashes,
        marker=single,
        zorder=2,
        label=f"_raw {label}" if strong else label,
    )
    if strong:
        low, high = series.band
        axes.fill_between(
            series.smooth_x, low, high, color=style.light, alpha=0.13, lw=0, zorder=1.5
        )
        axes.plot(
            series.smooth_x,
            series.smooth_y,
            color=style.light,
            lw=1.7 * scale,
            ls=dashes,
            zorder=3,
            label=label,
        )
    _draw_gaps(axes, series, scale)


def _draw_gaps(axes: Axes, series: Series, scale: float) -> None:
    for gap in series.gaps:
        axes.axvspan(gap.start, gap.end, color=PAPER["ink"], alpha=0.08, lw=0, zorder=0.6)
    if series.gaps:
        starts = [gap.start for gap in series.gaps]
        axes.plot(
            starts,
            np.full(len(starts), 0.97),
            "x",
            transform=axes.get_xaxis_transform(),
            color=PAPER["ink"],
            ms=4.5 * scale,
            mew=1.1 * scale,
            zorder=4,
        )


def _draw_marks(axes: Axes, figure: Figure, scale: float) -> None:
    for mark in figure.marks:
        axes.axvline(
            mark.x,
            color=PAPER["ink"],
            lw=0.9 * scale,
            ls=MARK_LINES[mark.kind],
            alpha=0.8,
            zorder=2.5,
        )
