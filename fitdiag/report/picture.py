"""The picture that one would put into a paper: PNG, SVG or PDF by matplotlib."""

from __future__ import annotations

import io
import textwrap
import warnings
from typing import TYPE_CHECKING, overload

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from fitdiag.errors import UsageError
from fitdiag.report.depth_picture import draw_layers, measure_depth
from fitdiag.report.destination import GENERATOR
from fitdiag.report.figure import draw_up
from fitdiag.report.lettering import LEVEL, add_legend, arrange_marks, label_marks
from fitdiag.report.looks import LETTERS, LOOKS, Look, choose_look, settings
from fitdiag.report.palette import PAPER, TONES
from fitdiag.report.panel_picture import draw_panel, pad
from fitdiag.report.rendering import hold_diagnosis
from fitdiag.report.sentences import name_run, say_confidence, say_reason
from fitdiag.report.words import VERDICTS, clean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fitdiag.diagnosis import Diagnosis
    from fitdiag.report.figure import Figure, Panel

__all__ = ["draw_picture", "plot", "render_picture"]

#: where the middle of a vertical axis' name stands, from the left edge
_NAME = 0.14
#: heights: of the title, of a line of the reason, of what stands above the first panel; the margin
_TITLE, _LINE, _LABELS, _EDGE = 0.42, 0.17, 0.52, 0.14
#: characters in an inch of the reason, and in one of the title with what stands beside it
_CHARACTERS, _BOLD = 15.0, 8.0
#: lines that the reason has at the most, where it is broad and where it is narrow
_LINES, _NARROW = 3, 5


def render_picture(
    diagnosis: Diagnosis, form: str, *, style: str = "report", title: bool | None = None
) -> str | bytes:
    """Return the picture of a diagnosis.

    Parameters
    ----------
    diagnosis : Diagnosis
        What is drawn.
    form : {"png", "svg", "pdf"}
        SVG comes as text, the others as bytes.
    style : {"report", "paper", "slide"}
        How large, and for what; see :func:`plot`.
    title : bool, optional
        Whether verdict and reason stand above the panels; see :func:`plot`.
    """
    name = f"{VERDICTS[diagnosis.verdict].sign.title}: {name_run(diagnosis)}"
    metadata: dict[str, dict[str, str | None]] = {
        "png": {
            "Software": GENERATOR,
            "Title": name.encode("latin-1", "replace").decode("latin-1"),
        },
        "svg": {"Creator": GENERATOR, "Title": name, "Date": None},
        "pdf": {"Creator": GENERATOR, "Title": name, "CreationDate": None},
    }
    look = choose_look(style)
    file = io.BytesIO()
    with mpl.rc_context(settings(look.scale)), warnings.catch_warnings():
        # a name in a script that the font lacks is drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas = _draw(diagnosis, look, look.panels, Canvas, title=title)
        canvas.savefig(file, format=form, dpi=look.dots, metadata=metadata[form])
    data = file.getvalue()
    return data.decode() if form == "svg" else data


def draw_picture(
    diagnosis: Diagnosis, *, style: str = "report", title: bool | None = None
) -> Canvas:
    """Return the picture as a figure that pyplot does not know, so that nothing has to be closed.

    Parameters
    ----------
    diagnosis : Diagnosis
        What is drawn.
    style, title
        As of :func:`plot`.
    """
    look = choose_look(style)
    with mpl.rc_context(settings(look.scale)):
        return _draw(diagnosis, look, look.panels, Canvas, title=title)


@overload
def plot(
    diagnosis: Diagnosis,
    ax: None = None,
    *,
    panels: str | Sequence[str] | None = ...,
    style: str = ...,
    title: bool | None = ...,
) -> tuple[Axes, ...]: ...


@overload
def plot(
    diagnosis: Diagnosis,
    ax: Axes,
    *,
    panels: str | Sequence[str] | None = ...,
    style: str = ...,
    title: bool | None = ...,
) -> Axes: ...


def plot(
    diagnosis: Diagnosis,
    ax: Axes | None = None,
    *,
    panels: str | Sequence[str] | None = None,
    style: str = "report",
    title: bool | None = None,
) -> Axes | tuple[Axes, ...]:
    """Draw a diagnosis with matplotlib, and return axes that can be restyled.

    Parameters
    ----------
    diagnosis : Diagnosis
        What is drawn.
    ax : matplotlib.axes.Axes, optional
        Where one panel is drawn, with the settings of matplotlib as they are; letters and lines
        follow its ``font.size``. Default: all panels into a new figure of pyplot.
    panels : str or sequence of str, optional
        Which: ``"loss"``, ``"metric"``, ``"norm"``, ``"tasks"``, ``"lr"``; those that the run has
        no values for are left out. Default: with ``ax`` the losses, else those of the style.
    style : {"report", "paper", "slide"}
        The new figure: ``"report"`` is 6.8 inches wide and shows everything; ``"paper"`` fits a
        column of 3.3 inches; ``"slide"`` is 16 to 9 with large letters, losses and gradient norm.
    title : bool, optional
        Whether verdict and reason stand above the panels; with ``ax``, the verdict alone. Default:
        yes for ``"report"`` and ``"slide"``, no for ``"paper"`` and with ``ax``.

    Returns
    -------
    tuple of matplotlib.axes.Axes, or Axes
        One axes a panel from top to bottom, or ``ax``. The strong lines bear the curves' names as
        labels, so that ``legend()`` knows them.

    Raises
    ------
    UsageError
        If a style, a panel or an argument is none, or the run has nothing for the panel in ``ax``.

    Examples
    --------
    >>> import fitdiag
    >>> diagnosis = fitdiag.diagnose("logs.csv")  # doctest: +SKIP
    >>> axes = fitdiag.plot(diagnosis, style="paper")  # doctest: +SKIP
    >>> axes[0].set_ylabel("cross entropy")  # doctest: +SKIP
    >>> axes[0].figure.savefig("figure3.pdf")  # doctest: +SKIP
    """
    hold_diagnosis(diagnosis)
    look = choose_look(style)
    chosen = _choose(panels, ("loss",) if ax is not None else look.panels)
    if ax is not None:
        if not isinstance(ax, Axes):
            raise UsageError(f"ax is no axes of matplotlib but a {type(ax).__name__}; give one")
        return _draw_into(diagnosis, ax, chosen or (), title=bool(title))
    from matplotlib import pyplot as plt  # only here: it keeps what it makes

    with mpl.rc_context(settings(look.scale)):
        return tuple(_draw(diagnosis, look, chosen, plt.figure, title=title).axes)


def _choose(
    panels: str | Sequence[str] | None, default: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    """Return the keys of the panels that were asked for; None for all and the layers."""
    if panels is None:
        return default
    asked = (panels,) if isinstance(panels, str) else tuple(panels)
    known = LOOKS["report"].heights
    for key in asked:
        if key not in known:
            raise UsageError(f"there is no panel {key!r}; the panels are {', '.join(known)}")
    return asked


def _draw_into(diagnosis: Diagnosis, axes: Axes, keys: tuple[str, ...], *, title: bool) -> Axes:
    """Draw one panel into axes that are there, with the settings that hold there."""
    figure = draw_up(diagnosis)
    if len(keys) != 1:
        raise UsageError(f"one axes holds one panel, not {len(keys)}; name one of them")
    panel = next((panel for panel in figure.panels if panel.key == keys[0]), None)
    if panel is None:
        there = ", ".join(panel.key for panel in figure.panels) or "none"
        raise UsageError(f"the run has no values for the panel {keys[0]!r}; it has {there}")
    scale = float(mpl.rcParams["font.size"]) / LETTERS
    width, height = (side / axes.figure.dpi / scale for side in axes.bbox.size)
    low, high = pad(figure.start, figure.end)
    captions = arrange_marks(figure, lambda x: (x - low) / (high - low) * width, width)
    level = max((caption.level for caption in captions), default=0)
    draw_panel(axes, figure, panel, height, scale)
    axes.set_xlabel(figure.axis.label)
    label_marks(axes, captions, height, scale)
    add_legend(axes, panel, height, level, scale)
    if title:
        words = VERDICTS[diagnosis.verdict].sign.title
        axes.set_title(words, loc="left", pad=72 * scale * (_LABELS + LEVEL * level))
    return axes


def _draw(
    diagnosis: Diagnosis,
    look: Look,
    chosen: tuple[str, ...] | None,
    make: Callable[..., Canvas],
    *,
    title: bool | None,
) -> Canvas:
    figure = draw_up(diagnosis)
    panels = [panel for panel in figure.panels if chosen is None or panel.key in chosen]
    titled = look.title if title is None else title
    lines = _wrap(diagnosis, look) if titled else []
    captions = arrange_marks(figure, lambda x: _across(figure, look, x), look.width)
    level = max((caption.level for caption in captions), default=0)
    head = _TITLE + _LINE * len(lines) if titled else _EDGE / 2
    head += _LABELS + LEVEL * level if panels else 0.0
    depth = figure.depth if chosen is None and panels else None
    beneath = 0.0 if depth is None else measure_depth(depth) + look.gap
    heights, total = _share_out(look, panels, head + beneath)
    canvas = make(figsize=(look.width * look.scale, total * look.scale))
    if titled:
        _write_head(canvas, diagnosis, lines, look, total)
    top = total - head
    for index, (panel, height) in enumerate(zip(panels, heights, strict=True)):
        axes = canvas.add_axes(_place(look, top, height, total))
        draw_panel(axes, figure, panel, height, look.scale, few=6 if height > 0.9 else 4)
        axes.yaxis.set_label_coords(
            (_NAME - look.left) / (look.width - look.left - look.right), 0.5
        )
        last = index == len(heights) - 1 and depth is None
        axes.tick_params(labelbottom=last)
        if last:
            axes.set_xlabel(figure.axis.label)
        if index == 0:
            label_marks(axes, captions, height, look.scale)
            add_legend(axes, panel, height, level, look.scale)
        top -= height + look.gap
    if depth is not None:
        axes = canvas.add_axes(_place(look, top, beneath - look.gap, total))
        axes.set_xlim(*pad(figure.start, figure.end))
        draw_layers(axes, depth, (figure.start, figure.end), beneath - look.gap)
        axes.set_xlabel(figure.axis.label)
    if not panels:
        canvas.text(look.left / look.width / 2, 0.3 / total, "There is no finite value to draw.")
    return canvas


def _share_out(look: Look, panels: list[Panel], rest: float) -> tuple[list[float], float]:
    """Return the heights of the panels and of the picture, beside whose panels there is a rest."""
    heights = [look.heights[panel.key] for panel in panels]
    rest += look.gap * max(len(heights) - 1, 0) + look.bottom
    if look.height is None:
        return heights, rest + sum(heights)
    share = (look.height - rest) / sum(heights) if heights else 0.0
    return [height * share for height in heights], look.height


def _place(
    look: Look, top: float, height: float, total: float
) -> tuple[float, float, float, float]:
    """Return where axes stand, as shares of the picture."""
    width = 1 - (look.left + look.right) / look.width
    return look.left / look.width, (top - height) / total, width, height / total


def _wrap(diagnosis: Diagnosis, look: Look) -> list[str]:
    wide = round(_CHARACTERS * (look.width - 2 * _EDGE))
    most = _LINES if look.width > 5 else _NARROW
    return textwrap.wrap(say_reason(diagnosis), wide, max_lines=most, placeholder=" …")


def _write_head(
    canvas: Canvas, diagnosis: Diagnosis, lines: list[str], look: Look, total: float
) -> None:
    sign, scale = VERDICTS[diagnosis.verdict].sign, look.scale
    left, tone = _EDGE / look.width, TONES[sign.tone]
    canvas.text(
        left,
        1 - 0.1 / total,
        sign.title,
        va="top",
        size=14 * scale,
        weight="bold",
        color=tone,
    )
    room = _CHARACTERS * (look.width - 2 * _EDGE - len(sign.title) / _BOLD)
    sure = say_confidence(diagnosis)
    name = clean(name_run(diagnosis), max(min(48, int(room) - len(sure) - 4), 8))
    beside = ", ".join(filter(None, [name, sure]))
    canvas.text(1 - left, 1 - 0.175 / total, beside, va="top", ha="right", color=PAPER["faint"])
    canvas.text(left, 1 - _TITLE / total, "\n".join(lines), va="top", linespacing=1.25)


def _across(figure: Figure, look: Look, x: float) -> float:
    """Return how far from the left edge a place of the axis is drawn, in inches."""
    low, high = pad(figure.start, figure.end)
    return look.left + (x - low) / (high - low) * (look.width - look.left - look.right)
