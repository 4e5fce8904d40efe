"""What is written into the picture beside its curves: moments, names, the legend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from fitdiag.report.palette import MARKERS, PAPER, STYLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fitdiag.report.figure import Figure, Panel, Series

__all__ = ["add_legend", "label_marks", "label_phases", "label_series"]

#: what a curve is called where the panel's title says the rest
_SHORT = {
    "train": "training",
    "val": "validation",
    "norm": "norm",
    "peaks": "largest",
    "lr": "rate",
}
#: inches
_LINE_HEIGHT = 0.16


def label_marks(axes: Axes, figure: Figure) -> None:
    """Write the moments above the first panel, away from each other, and the legend above them."""
    marks = sorted((m for m in figure.marks if m.kind != "late rise"), key=lambda m: m.x)
    low, high = axes.get_xlim()
    for index, mark in enumerate(marks):
        share = (mark.x - low) / (high - low)
        # of two, the first is written to the left of its line and the second to the right
        side = "right" if len(marks) > 1 and index == 0 else "left"
        side = "left" if share < 0.25 else "right" if share > 0.75 else side
        level = 1 if index and _collide(marks[index - 1].x, mark.x, low, high) else 0
        axes.annotate(
            mark.label,
            (mark.x, 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(-3 if side == "right" else 3, 3 + 11 * level),
            textcoords="offset points",
            ha=side,
            va="bottom",
            size=8.5,
            weight="bold" if mark.kind == "pick" else "normal",
            annotation_clip=False,
        )


def _collide(first: float, second: float, low: float, high: float) -> bool:
    """Tell whether two labels would be written over each other."""
    left, right = ((x - low) / (high - low) for x in (first, second))
    sides = "".join(
        "l" if s < 0.25 else "r" if s > 0.75 else d for s, d in ((left, "r"), (right, "l"))
    )
    return sides in {"ll", "rr"} and right - left < 0.3


def label_phases(axes: Axes, figure: Figure, panel: Panel) -> None:
    """Write what the phases of the gradient norm are at their beginnings."""
    words = [(span.start, "settled") for span in panel.spans if span.kind == "settled"]
    words += [(mark.x, "rises again") for mark in figure.marks if mark.kind == "late rise"]
    low, high = axes.get_xlim()
    for x, word in words:
        late = (x - low) / (high - low) > 0.85
        axes.annotate(
            word,
            (x, 0.97),
            xycoords=axes.get_xaxis_transform(),
            xytext=(-3 if late else 3, 0),
            textcoords="offset points",
            ha="right" if late else "left",
            va="top",
            size=8,
            color=STYLES["norm"].light,
        )


def label_series(axes: Axes, panel: Panel, height: float) -> None:
    """Write the name of each curve to the right of its end, where there are several.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The panel's axes.
    panel : Panel
        What they show.
    height : float
        Their height in inches.
    """
    if len(panel.series) < 2 and panel.key != "loss":
        return
    ends = sorted(
        ((share, series) for series in panel.series if (share := _end(panel, series)) is not None),
        key=lambda end: end[0],
    )
    shares = _part([share for share, _ in ends], _LINE_HEIGHT / height)
    for share, (_, series) in zip(shares, ends, strict=True):
        axes.annotate(
            _SHORT[series.role],
            (1.0, share),
            xycoords="axes fraction",
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            size=8.5,
            color=STYLES[series.role].light,
        )


def _end(panel: Panel, series: Series) -> float | None:
    """Return how high a curve ends, as a share of the panel's height; None without a value."""
    low, high = panel.view
    y = series.at(float(series.x[-1])) if series.x.size else None
    if y is None or (panel.log and y <= 0):
        return None
    share = np.log(y / low) / np.log(high / low) if panel.log else (y - low) / (high - low)
    return float(np.clip(share, 0.0, 1.0))


def _part(shares: list[float], apart: float) -> list[float]:
    """Return increasing heights moved so that neighbours are this far apart, all within 0 to 1."""
    placed: list[float] = []
    for share in shares:
        placed.append(max(share, placed[-1] + apart) if placed else share)
    excess = max(placed[-1] - 1.0, 0.0) if placed else 0.0
    return [share - excess for share in placed]


def add_legend(axes: Axes, panel: Panel, height: float) -> None:
    """Say what the markers are, above the panel and above the words of the marks."""
    kinds = dict.fromkeys(point.kind for point in panel.points if point.kind in MARKERS)
    if kinds:
        handles = [_handle(kind) for kind in kinds]
        axes.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0 + 0.27 / height),
            ncols=len(handles),
            frameon=False,
            fontsize=8,
            borderaxespad=0,
            handletextpad=0.1,
            columnspacing=1.2,
        )


def _handle(kind: str) -> Line2D:
    marker, label = MARKERS[kind]
    face = "#f0e442" if kind == "pick" else "white"
    return Line2D([], [], marker=marker, ls="", mec=PAPER["ink"], mfc=face, ms=5.5, label=label)
