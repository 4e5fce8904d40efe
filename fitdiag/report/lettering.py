"""What is written into the picture beside its curves: moments, names, the legend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.lines import Line2D

from fitdiag.report.palette import MARKERS, PAPER, STYLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from fitdiag.report.figure import Figure, Mark, Panel, Series

__all__ = [
    "LEVEL",
    "MARK_LINES",
    "Caption",
    "add_legend",
    "arrange_marks",
    "label_marks",
    "label_phases",
    "label_series",
]

#: how the line of each kind of mark is drawn
MARK_LINES: dict[str, Any] = {"onset": (0, (4, 2)), "pick": "solid", "late rise": (0, (1, 1.5))}

#: what a curve is called where the panel's title says the rest
_SHORT = {
    "train": "training",
    "val": "validation",
    "norm": "norm",
    "peaks": "largest",
    "lr": "rate",
}
#: letters of a task's name that are written beside its curve
_TASK_LETTERS = 12
#: inches: a line of text, a letter of the words for phases and for marks, from level to level
_LINE_HEIGHT, _LETTER, _MARK_LETTER, LEVEL = 0.16, 0.062, 0.077, 0.15
#: inches that stay free beside the words of a mark
_MARGIN = 0.1


@dataclass(frozen=True, kw_only=True)
class Caption:
    """Where the words of a mark stand above the first panel.

    Parameters
    ----------
    mark : Mark
        What is named.
    side : {"left", "right"}
        On which side of its line.
    level : int
        0 right above the panel, 1 above another caption.
    """

    mark: Mark
    side: str
    level: int = 0


def arrange_marks(figure: Figure, place: Callable[[float], float], width: float) -> list[Caption]:
    """Find places for the words of the marks such that none covers another.

    Parameters
    ----------
    figure : Figure
        Whose marks they are.
    place : callable
        Returns how far from the picture's left edge a place of the axis lies, in inches.
    width : float
        The picture's width in inches.
    """
    marks = sorted((m for m in figure.marks if m.kind != "late rise"), key=lambda m: m.x)
    rooms = {
        (mark.kind, side)
        for mark in marks
        for side, room in (("left", place(mark.x)), ("right", width - place(mark.x)))
        if _MARK_LETTER * len(mark.label) + _MARGIN < room
    }
    if len(marks) == 1:
        (mark,) = marks
        late = place(mark.x) > 0.7 * width or (mark.kind, "right") not in rooms
        return [Caption(mark=mark, side="left" if late else "right")]
    if len(marks) < 2:
        return []
    first, second = marks
    if (first.kind, "left") in rooms and (second.kind, "right") in rooms:
        return [Caption(mark=first, side="left"), Caption(mark=second, side="right")]
    # above each other, so that the line of the upper one, drawn on to its words, crosses no words
    if (first.kind, "left") in rooms:
        return [Caption(mark=first, side="left"), Caption(mark=second, side="left", level=1)]
    return [Caption(mark=first, side="right", level=1), Caption(mark=second, side="right")]


def label_marks(axes: Axes, captions: list[Caption], height: float, scale: float) -> None:
    """Write the moments above the first panel; a line leads to those further up.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The first panel's axes.
    captions : list of Caption
        What is written where.
    height : float
        The height of the axes in inches.
    scale : float
        Size of letters, lines and marks; heights are inches at a scale of 1.
    """
    for caption in captions:
        mark, left = caption.mark, caption.side == "left"
        axes.annotate(
            mark.label,
            (mark.x, 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=((-3 if left else 3) * scale, (3 + 72 * LEVEL * caption.level) * scale),
            textcoords="offset points",
            ha="right" if left else "left",
            va="bottom",
            size=8.5 * scale,
            weight="bold" if mark.kind == "pick" else "normal",
            annotation_clip=False,
        )
        if caption.level:
            axes.plot(
                [mark.x, mark.x],
                [1.0, 1.0 + (LEVEL * caption.level + 0.14) / height],
                transform=axes.get_xaxis_transform(),
                color=PAPER["ink"],
                lw=0.9 * scale,
                alpha=0.8,
                ls=MARK_LINES[mark.kind],
                clip_on=False,
            )


def label_phases(axes: Axes, figure: Figure, panel: Panel, height: float, scale: float) -> None:
    """Write what the phases of the gradient norm are beside their beginnings, where there is room.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The panel's axes.
    figure : Figure
        Whose marks begin a phase.
    panel : Panel
        What the axes show.
    height : float
        The height of the axes in inches.
    scale : float
        Size of letters, lines and marks; heights are inches at a scale of 1.
    """
    words = [(span.start, span.end, "settled") for span in panel.spans if span.kind == "settled"]
    words += [
        (mark.x, figure.end, "rises again") for mark in figure.marks if mark.kind == "late rise"
    ]
    width = axes.bbox.width / axes.figure.dpi / scale
    lines = [_share(axes, mark.x) for mark in figure.marks]
    taken: list[_Box] = []
    for start, stop, word in words:
        begin, end = _share(axes, start), _share(axes, stop)
        long = (_LETTER * len(word) + 0.08) / width
        tall = _LINE_HEIGHT / height
        after = [at + 0.01 for at in lines if begin <= at < begin + 0.2 and at + long < end]
        boxes = [
            _Box(left, low, left + long, low + tall, left < begin)
            for left in (begin + 0.01, *after, begin - 0.01 - long)
            for low in (0.97 - tall, 0.03)
            if left >= 0 and left + long <= 1
        ] or [_Box(max(0.0, 1 - long), 0.97 - tall, 1.0, 0.97)]
        box = min(boxes, key=lambda box: _cover(panel, axes, box, lines, taken))
        taken.append(box)
        axes.text(
            (box.left + box.right) / 2,
            (box.low + box.high) / 2,
            word,
            transform=axes.transAxes,
            ha="center",
            va="center",
            size=8 * scale,
            color=STYLES["norm"].light,
            zorder=7,
            bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85},
        )


class _Box(NamedTuple):
    """A rectangle, in shares of a panel, and whether it lies outside the phase that it names."""

    left: float
    low: float
    right: float
    high: float
    outside: bool = False


def _share(axes: Axes, x: float) -> float:
    low, high = axes.get_xlim()
    return (x - low) / (high - low)


def _cover(
    panel: Panel, axes: Axes, box: _Box, lines: list[float], taken: list[_Box]
) -> tuple[int, float]:
    """Return how much words in a box would cover: other words first, then curves and lines."""
    clashes = sum(
        box.left < other.right
        and other.left < box.right
        and box.low < other.high
        and other.low < box.high
        for other in taken
    )
    covered = sum(0.2 for at in lines if box.left < at < box.right) + 0.6 * box.outside
    low, high = axes.get_xlim()
    places = np.linspace(low + box.left * (high - low), low + box.right * (high - low), 40)
    for series in panel.series:
        for x, y in ((series.x, series.y), (series.smooth_x, series.smooth_y)):
            finite = np.isfinite(y)
            if finite.any():
                within = (x >= places[0]) & (x <= places[-1]) & finite
                drawn = np.interp(places, x[finite], y[finite], left=np.nan, right=np.nan)
                heights = _heights(panel, np.concatenate([y[within], drawn]))
                covered += float(np.mean((heights > box.low) & (heights < box.high)))
    return clashes, covered


def _heights(panel: Panel, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how high values lie in a panel, as shares; NaN stays NaN."""
    low, high = panel.view
    if panel.log:
        values = np.log(np.where(values > 0, values, np.nan))
        low, high = np.log(low), np.log(high)
    shares: NDArray[np.float64] = (values - low) / (high - low)
    return shares


def label_series(axes: Axes, panel: Panel, height: float, scale: float) -> None:
    """Write the name of each curve to the right of its end, where there are several.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The panel's axes.
    panel : Panel
        What they show.
    height : float
        Their height in inches.
    scale : float
        Size of letters, lines and marks; heights are inches at a scale of 1.
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
            series.label[:_TASK_LETTERS] if panel.key == "tasks" else _SHORT[series.role],
            (1.0, share),
            xycoords="axes fraction",
            xytext=(5 * scale, 0),
            textcoords="offset points",
            va="center",
            size=8.5 * scale,
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


def add_legend(axes: Axes, panel: Panel, height: float, level: int, scale: float) -> None:
    """Say what the markers are, above the panel and above the words of the marks.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The panel's axes.
    panel : Panel
        What they show.
    height : float
        Their height in inches.
    level : int
        The highest level of those words.
    scale : float
        Size of letters, lines and marks; heights are inches at a scale of 1.
    """
    kinds = dict.fromkeys(point.kind for point in panel.points if point.kind in MARKERS)
    if kinds:
        handles = [_handle(kind, scale) for kind in kinds]
        axes.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0 + (0.27 + LEVEL * level) / height),
            ncols=len(handles),
            frameon=False,
            fontsize=8 * scale,
            borderaxespad=0,
            handletextpad=0.1,
            columnspacing=1.2,
        )


def _handle(kind: str, scale: float) -> Line2D:
    marker, label = MARKERS[kind]
    face = "#f0e442" if kind == "pick" else "white"
    return Line2D(
        [], [], marker=marker, ls="", mec=PAPER["ink"], mfc=face, ms=5.5 * scale, label=label
    )
