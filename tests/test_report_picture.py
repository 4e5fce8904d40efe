"""The picture's words: within the picture, beside their lines, and not over each other."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fitdiag
from fitdiag.report.figure import Mark, draw_up
from fitdiag.report.lettering import arrange_marks
from fitdiag.report.picture import plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

LOGS = Path(__file__).resolve().parents[1] / "sample_logs"


def overfitting(turn: int, count: int = 150) -> fitdiag.Run:
    """Return a run whose validation loss turns at an evaluation."""
    at = np.arange(count, dtype=float)
    norm = 0.3 + np.exp(-at / 20) + 0.6 * np.exp(-(((at - 8) / 4) ** 2))
    return fitdiag.Run.from_arrays(
        unit="epoch",
        train_loss=2 * np.exp(-at / 30),
        val_loss=2 * np.exp(-at / max(turn / 4, 1)) + 0.5 + np.maximum(at - turn, 0) * 0.02,
        grad_norm=norm,
        grad_norm_max=norm * (1.3 + 0.2 * np.sin(at * 2.4)),
        lr=np.full(count, 9.5e-06),
    )


def drawn(run: fitdiag.Run | Path) -> Canvas:
    """Return the picture of a run, laid out."""
    canvas = plot(fitdiag.diagnose(run))
    canvas.draw_without_rendering()
    return canvas


def box_of(text: Text) -> Bbox:
    """Return where a text stands, in dots."""
    return text.get_window_extent()


def words(canvas: Canvas, *begins: str) -> list[Text]:
    """Return the texts within the panels that begin with one of these words."""
    return [
        text for axes in canvas.axes for text in axes.texts if text.get_text().startswith(begins)
    ]


@pytest.mark.parametrize(
    "run",
    [
        overfitting(3),
        overfitting(40),
        LOGS / "exploding_digits.csv",
        LOGS / "diverged_diabetes.csv",
    ],
    ids=["early", "late", "exploding", "diverged"],
)
def test_no_words_leave_the_picture_or_cover_each_other(run: fitdiag.Run | Path) -> None:
    """Names of axes, marks and phases are whole, and each can be read beside the others."""
    canvas = drawn(run)
    names = [axes.yaxis.label for axes in canvas.axes]
    ticks = [tick for axes in canvas.axes for tick in axes.get_yticklabels()]
    placed = words(canvas, "Keep", "Turns up", "Breaks down", "settled", "rises again")
    legend = canvas.axes[0].get_legend()
    assert legend is not None
    assert placed
    for text in [*names, *placed]:
        box = box_of(text)
        assert box.x0 >= 0, text
        assert box.x1 <= canvas.bbox.x1, text
    assert not any(box_of(name).overlaps(box_of(tick)) for name in names for tick in ticks)
    boxes = [legend.get_window_extent(), *map(box_of, placed)]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("turn", [3, 20, 40, 90])
def test_marks_stand_beside_their_lines(turn: int) -> None:
    """The words of each mark begin or end at its line, which is drawn up to them."""
    run = overfitting(turn)
    figure = draw_up(fitdiag.diagnose(run))
    canvas = drawn(run)
    top = canvas.axes[0]
    for mark in figure.marks:
        if mark.kind != "late rise":
            (text,) = words(canvas, mark.label)
            box = box_of(text)
            line = float(top.transData.transform((mark.x, top.get_ylim()[0]))[0])
            assert min(abs(box.x0 - line), abs(box.x1 - line)) < 0.08 * canvas.dpi
            reaches = [drawn_line.get_window_extent() for drawn_line in top.lines]
            near = [reach for reach in reaches if abs(reach.x0 - line) < 1 and reach.height > 1]
            assert max(reach.y1 for reach in near) > box.y0 - 0.08 * canvas.dpi


def test_phases_are_named_on_a_light_ground() -> None:
    """The words of a phase stand above the curves in a box of their own."""
    (text,) = words(drawn(overfitting(40)), "settled")
    patch: Any = text.get_bbox_patch()
    assert patch.get_facecolor()[:3] == (1.0, 1.0, 1.0)
    assert text.get_zorder() > 6


def test_two_marks_at_the_left_edge_stand_above_each_other() -> None:
    """Where there is no room to the left of the first, it is written above the second."""
    figure = draw_up(fitdiag.diagnose(overfitting(40)))
    marks = (Mark(kind="onset", x=1, label="Turns up: epoch 1"), Mark(kind="pick", x=2, label="K"))
    both = arrange_marks(type(figure)(**{**vars(figure), "marks": marks}), lambda x: x, 6.8)
    assert [(caption.mark.kind, caption.side, caption.level) for caption in both] == [
        ("onset", "right", 1),
        ("pick", "right", 0),
    ]
