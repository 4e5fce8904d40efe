"""The picture that one would put into a paper: PNG, SVG or PDF by matplotlib."""

from __future__ import annotations

import io
import textwrap
import warnings
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter

from fitdiag.report.destination import GENERATOR
from fitdiag.report.figure import draw_up
from fitdiag.report.lettering import (
    LEVEL,
    MARK_LINES,
    add_legend,
    arrange_marks,
    label_marks,
    label_phases,
    label_series,
)
from fitdiag.report.palette import MARKERS, PAPER, STYLES, TONES
from fitdiag.report.sentences import name_run, say_confidence, say_reason
from fitdiag.report.ticks import linear_ticks, log_ticks, place_ticks
from fitdiag.report.words import VERDICTS, clean, count, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fitdiag.diagnosis import Diagnosis
    from fitdiag.report.figure import Figure, Panel, Series

__all__ = ["plot", "render_picture"]

#: everything that the drawing depends on, so that it looks the same whatever a user has set
_SETTINGS: Any = {
    "font.family": ["sans-serif"],
    "font.size": 9.0,
    "axes.linewidth": 0.7,
    "axes.edgecolor": PAPER["faint"],
    "axes.labelcolor": PAPER["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "white",
    "axes.unicode_minus": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "grid.color": PAPER["rule"],
    "grid.linewidth": 0.5,
    "lines.solid_capstyle": "round",
    "path.simplify": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "fitdiag",
    "text.color": PAPER["ink"],
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.color": PAPER["faint"],
    "xtick.labelcolor": PAPER["ink"],
    "ytick.color": PAPER["faint"],
    "ytick.labelcolor": PAPER["ink"],
}

#: inches
WIDTH = 6.8
_LEFT, _RIGHT, _BOTTOM, _GAP = 0.86, 0.8, 0.5, 0.2
#: where the middle of a vertical axis' name stands, from the left edge
_NAME = 0.14
_TITLE, _LINE, _LABELS = 0.42, 0.17, 0.52
_HEIGHTS = {"loss": 2.3, "metric": 1.3, "norm": 1.5, "lr": 0.75}
#: dots an inch of a PNG: at a column width of 3.5 inches still 390
_DPI = 200


def render_picture(diagnosis: Diagnosis, form: str) -> str | bytes:
    """Return the picture of a diagnosis.

    Parameters
    ----------
    diagnosis : Diagnosis
        What is drawn.
    form : {"png", "svg", "pdf"}
        SVG comes as text, the others as bytes.
    """
    title = f"{VERDICTS[diagnosis.verdict].sign.title}: {name_run(diagnosis)}"
    metadata: dict[str, dict[str, str | None]] = {
        "png": {
            "Software": GENERATOR,
            "Title": title.encode("latin-1", "replace").decode("latin-1"),
        },
        "svg": {"Creator": GENERATOR, "Title": title, "Date": None},
        "pdf": {"Creator": GENERATOR, "Title": title, "CreationDate": None},
    }
    file = io.BytesIO()
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # a name in a script that the font lacks is drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        _draw(diagnosis).savefig(file, format=form, dpi=_DPI, metadata=metadata[form])
    data = file.getvalue()
    return data.decode() if form == "svg" else data


def plot(diagnosis: Diagnosis) -> Canvas:
    """Return the picture as a matplotlib figure that can be restyled and saved.

    Parameters
    ----------
    diagnosis : Diagnosis
        What is drawn.

    Returns
    -------
    matplotlib.figure.Figure
        One axes a panel, from top to bottom; not known to pyplot, so nothing has to be closed.
    """
    with mpl.rc_context(_SETTINGS):
        return _draw(diagnosis)


def _draw(diagnosis: Diagnosis) -> Canvas:
    figure = draw_up(diagnosis)
    lines = textwrap.wrap(say_reason(diagnosis), 98, max_lines=3, placeholder=" …")
    captions = arrange_marks(figure, lambda x: _across(figure, x), WIDTH)
    level = max((caption.level for caption in captions), default=0)
    head = _TITLE + _LINE * len(lines) + (_LABELS + LEVEL * level if figure.panels else 0.0)
    heights = [_HEIGHTS[panel.key] for panel in figure.panels]
    total = head + sum(heights) + _GAP * max(len(heights) - 1, 0) + _BOTTOM
    canvas = Canvas(figsize=(WIDTH, total))
    _write_head(canvas, diagnosis, lines, total)
    top = total - head
    for index, (panel, height) in enumerate(zip(figure.panels, heights, strict=True)):
        box = (_LEFT / WIDTH, (top - height) / total, 1 - (_LEFT + _RIGHT) / WIDTH, height / total)
        axes = canvas.add_axes(box)
        _draw_panel(axes, figure, panel)
        last = index == len(heights) - 1
        axes.tick_params(labelbottom=last)
        if last:
            axes.set_xlabel(figure.axis.label)
        if index == 0:
            label_marks(axes, captions, height)
            add_legend(axes, panel, height, level)
        top -= height + _GAP
    if not figure.panels:
        canvas.text(_LEFT / WIDTH / 2, 0.3 / total, "There is no finite value to draw.")
    return canvas


def _write_head(canvas: Canvas, diagnosis: Diagnosis, lines: list[str], total: float) -> None:
    sign = VERDICTS[diagnosis.verdict].sign
    left = 0.14 / WIDTH
    canvas.text(
        left, 1 - 0.1 / total, sign.title, va="top", size=14, weight="bold", color=TONES[sign.tone]
    )
    beside = ", ".join(filter(None, [clean(name_run(diagnosis), 48), say_confidence(diagnosis)]))
    canvas.text(1 - left, 1 - 0.175 / total, beside, va="top", ha="right", color=PAPER["faint"])
    canvas.text(left, 1 - _TITLE / total, "\n".join(lines), va="top", linespacing=1.25)


def _draw_panel(axes: Axes, figure: Figure, panel: Panel) -> None:
    if panel.log:
        axes.set_yscale("log")
    axes.set_ylim(*panel.view)
    axes.set_xlim(*_padded(figure.start, figure.end))
    axes.grid(visible=True)
    axes.set_axisbelow(True)
    axes.set_ylabel(panel.title, va="center")
    axes.yaxis.set_label_coords((_NAME - _LEFT) / (WIDTH - _LEFT - _RIGHT), 0.5)
    _format_ticks(axes, panel)
    for span in panel.spans:
        if span.kind == "settled":
            axes.axvspan(span.start, span.end, color=PAPER["settled"], lw=0, zorder=0.5)
    if panel.key == "norm":
        label_phases(axes, figure, panel, _HEIGHTS[panel.key])
    for series in panel.series:
        _draw_series(axes, series)
    _draw_marks(axes, figure)
    for point in panel.points:
        marker, _ = MARKERS.get(point.kind, ("o", point.kind))
        chosen = point.kind == "pick"
        axes.plot(
            point.x,
            point.y,
            marker,
            ms=7 if chosen else 6,
            mew=1.1,
            mec=PAPER["ink"],
            mfc="#f0e442" if chosen else "white",
            zorder=6 if chosen else 5,
            clip_on=False,
        )
    label_series(axes, panel, _HEIGHTS[panel.key])


def _across(figure: Figure, x: float) -> float:
    """Return how far from the left edge a place of the axis is drawn, in inches."""
    low, high = _padded(figure.start, figure.end)
    return _LEFT + (x - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)


def _padded(start: float, end: float) -> tuple[float, float]:
    margin = 0.01 * (end - start) or 0.5
    return start - margin, end + margin


def _format_ticks(axes: Axes, panel: Panel) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    low, high = axes.get_xlim()
    axes.set_xticks(place_ticks(low, high))
    make = log_ticks if panel.log else linear_ticks
    axes.set_yticks(make(*panel.view, 3 if panel.key == "lr" else 6))
    axes.set_yticks([], minor=True)


def _draw_series(axes: Axes, series: Series) -> None:
    style = STYLES[series.role]
    strong = series.smooth_x.size > 0
    dashes = (0, style.dashes) if style.dashes else "solid"
    single = "." if np.isfinite(series.y).sum() < 3 else ""
    axes.plot(
        series.x,
        series.y,
        color=style.light,
        lw=0.7 if strong else 1.3,
        alpha=0.38 if strong else 1.0,
        ls="solid" if strong else dashes,
        marker=single,
        zorder=2,
    )
    if strong:
        low, high = series.band
        axes.fill_between(
            series.smooth_x, low, high, color=style.light, alpha=0.13, lw=0, zorder=1.5
        )
        axes.plot(series.smooth_x, series.smooth_y, color=style.light, lw=1.7, ls=dashes, zorder=3)
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
            ms=4.5,
            mew=1.1,
            zorder=4,
        )


def _draw_marks(axes: Axes, figure: Figure) -> None:
    for mark in figure.marks:
        axes.axvline(
            mark.x, color=PAPER["ink"], lw=0.9, ls=MARK_LINES[mark.kind], alpha=0.8, zorder=2.5
        )
