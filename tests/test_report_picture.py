"""The picture's words: within the picture, beside their lines, and not over each other."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

import fitdiag
from fitdiag.cli.destinations import STYLES
from fitdiag.errors import UsageError
from fitdiag.report.figure import Mark, draw_up
from fitdiag.report.lettering import arrange_marks
from fitdiag.report.looks import LOOKS
from fitdiag.report.picture import draw_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.figure import Figure as Canvas
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    from tests.conftest import Outcome

    Command = Callable[..., Outcome]

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


@pytest.fixture(autouse=True)
def backend() -> Iterator[None]:
    """Draw without a screen, and leave no figure behind."""
    plt.switch_backend("agg")
    yield
    plt.close("all")


def drawn(run: fitdiag.Run | Path, style: str = "report", *, title: bool | None = None) -> Canvas:
    """Return the picture of a run, laid out."""
    canvas = draw_picture(fitdiag.diagnose(run), style=style, title=title)
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


@pytest.mark.parametrize("style", list(LOOKS))
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
def test_no_words_leave_the_picture_or_cover_each_other(
    run: fitdiag.Run | Path, style: str
) -> None:
    """Names of axes, marks and phases are whole, and each can be read beside the others."""
    canvas = drawn(run, style, title=True)
    names = [axes.yaxis.label for axes in canvas.axes]
    ticks = [tick for axes in canvas.axes for tick in axes.get_yticklabels()]
    placed = words(canvas, "Keep", "Turns up", "Breaks down", "settled", "rises again")
    legend = canvas.axes[0].get_legend()
    assert legend is not None
    assert placed
    curves = words(canvas, "training", "validation", "norm", "largest")
    for text in [*names, *placed, *curves, *canvas.texts]:
        box = box_of(text)
        assert box.x0 >= 0, text
        assert box.x1 <= canvas.bbox.x1, text
    assert not any(box_of(name).overlaps(box_of(tick)) for name in names for tick in ticks)
    boxes = [legend.get_window_extent(), *map(box_of, [*placed, *canvas.texts])]
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


@pytest.mark.parametrize(
    ("style", "width", "height"),
    [("report", 6.8, None), ("paper", 3.3, None), ("slide", 40 / 3, 7.5)],
)
def test_a_style_has_its_size_and_legible_letters(
    style: str, width: float, height: float | None
) -> None:
    """A paper's picture is a column wide, a slide 16 to 9, and no letter is under six points."""
    canvas = drawn(LOGS / "overfitting_digits.csv", style)
    assert canvas.get_figwidth() == pytest.approx(width)
    assert height is None or canvas.get_figheight() == pytest.approx(height)
    texts = [text for axes in canvas.axes for text in [*axes.texts, *axes.get_xticklabels()]]
    sizes = [float(text.get_fontsize()) for text in texts]
    assert min(sizes) >= (14 if style == "slide" else 6)


def test_the_title_is_optional() -> None:
    """Verdict and reason stand above the picture or not, by default as the style has it."""
    log = LOGS / "overfitting_digits.csv"
    for style, look in LOOKS.items():
        for title in (None, False, True):
            written = [text.get_text() for text in drawn(log, style, title=title).texts]
            assert ("Overfitting" in written) is (look.title if title is None else title)
            assert bool(written) is ("Overfitting" in written)


def test_plot_returns_axes_of_pyplot_that_can_be_restyled() -> None:
    """Without axes there is a new figure with a panel for each curve group, strong lines named."""
    diagnosis = fitdiag.diagnose(LOGS / "overfitting_digits.csv")
    axes = fitdiag.plot(diagnosis)
    names = [one.get_ylabel() or one.get_title(loc="left") for one in axes]
    assert names == ["Loss", "Accuracy", "Gradient norm", "Learning rate", "Gradient norm by layer"]
    assert plt.gcf() is axes[0].figure
    _, names = axes[0].get_legend_handles_labels()
    assert names == ["training loss", "validation loss"]
    axes[0].set_ylabel("cross entropy")
    chosen = fitdiag.plot(diagnosis, panels=["loss", "tasks"], style="paper", title=True)
    assert [one.get_ylabel() for one in chosen] == ["Loss"]


def test_plot_draws_into_axes_with_the_settings_that_hold() -> None:
    """With axes, one panel is drawn there, letters follow the user's size, and nothing is set."""
    diagnosis = fitdiag.diagnose(LOGS / "overfitting_digits.csv")
    with mpl.rc_context({"font.size": 18}):
        before = dict(mpl.rcParams)
        canvas, (left, right) = plt.subplots(1, 2, figsize=(16, 6))
        assert fitdiag.plot(diagnosis, left, title=True) is left
        assert fitdiag.plot(diagnosis, ax=right, panels="norm") is right
        assert dict(mpl.rcParams) == before
    canvas.draw_without_rendering()
    assert left.get_title(loc="left") == "Overfitting"
    assert [left.get_ylabel(), right.get_ylabel()] == ["Loss", "Gradient norm"]
    assert [text.get_fontsize() for text in words(canvas, "Keep")] == [17, 17]
    assert len(plt.get_fignums()) == 1


def test_plot_refuses_what_it_cannot_draw() -> None:
    """A wrong style, panel or argument is named with the choices."""
    diagnosis = fitdiag.diagnose(LOGS / "no_validation_waves.csv")
    wrong: Any = "logs.csv"
    _, axes = plt.subplots()
    with pytest.raises(UsageError, match="made of a Diagnosis, not of a str"):
        fitdiag.plot(wrong)
    with pytest.raises(UsageError, match="no style 'poster'; the styles are report, paper, slide"):
        fitdiag.plot(diagnosis, style="poster")
    with pytest.raises(UsageError, match="no panel 'val'; the panels are loss, metric, norm"):
        fitdiag.plot(diagnosis, panels="val")
    with pytest.raises(UsageError, match="no axes of matplotlib but a str"):
        fitdiag.plot(diagnosis, wrong)
    with pytest.raises(UsageError, match="one axes holds one panel, not 2"):
        fitdiag.plot(diagnosis, axes, panels=("loss", "norm"))
    with pytest.raises(UsageError, match="no values for the panel 'metric'; it has loss"):
        fitdiag.plot(diagnosis, axes, panels="metric")
    with pytest.raises(UsageError, match="no style 'poster'"):
        fitdiag.write_report(diagnosis, "never.png", style="poster")


def test_the_command_draws_in_every_style(command: Command, tmp_path: Path) -> None:
    """``--style`` offers the looks, and file and standard output follow it and ``--title``."""
    assert tuple(LOOKS) == STYLES
    log, path = LOGS / "overfitting_digits.csv", tmp_path / "figure.svg"
    sizes = {}
    for word in ("--title", "--no-title"):
        assert command("report", log, "-o", path, "--style", "paper", word).code == 0
        sizes[word] = path.read_text(encoding="utf-8")
        assert 'width="237.6pt"' in sizes[word]  # 3.3 inches
    assert len(sizes["--title"]) > len(sizes["--no-title"])
    assert 'width="960pt"' in command("report", log, "--format", "svg", "--style", "slide").out
    assert command("report", log, "--style", "poster").code == 2


def test_a_million_points_are_drawn_in_two_seconds() -> None:
    """The time of drawing is that of this process, so that a busy machine does not count."""
    at = np.arange(1_000_000)
    noise = np.random.default_rng(0).normal(0, 0.05, at.size)
    diagnosis = fitdiag.diagnose(
        fitdiag.Run.from_arrays(train_loss=3 * np.exp(-at / 2e5) + 0.5 + noise, grad_norm=1 + noise)
    )
    begin = time.process_time()
    drawn_axes = fitdiag.plot(diagnosis)
    drawn_axes[0].figure.canvas.draw()
    assert time.process_time() - begin < 2
