"""Looks of the picture: its size and its letters, for a report, a column of a paper, a slide."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fitdiag.errors import UsageError
from fitdiag.report.palette import PAPER
from fitdiag.report.words import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LETTERS", "LOOKS", "Look", "choose_look", "settings"]

#: size in points of the letters by which all lengths of a look are measured
LETTERS = 9.0


@dataclass(frozen=True, kw_only=True)
class Look:
    """Measures of a picture.

    All lengths are inches of a picture with letters of nine points, which is then drawn ``scale``
    times as large; so one look differs from another in how much there is beside the letters.

    Parameters
    ----------
    scale : float
        Size of letters, lines and marks; 1 for letters of nine points.
    width : float
        Of the picture.
    height : float, optional
        Of the picture, shared out among the panels. Default: what the panels ask for.
    left, right, bottom, gap : float
        What stays free beside and between the panels.
    heights : mapping of str to float
        Of the panels, by key; with ``height`` only their ratio counts.
    title : bool
        Whether verdict and reason stand above the panels unless something else is asked for.
    panels : tuple of str, optional
        Keys of the panels that are drawn unless others are asked for. Default: all, and the grid
        of layers.
    dots : int
        Dots an inch of a PNG, as it is drawn.
    """

    scale: float = 1.0
    width: float
    height: float | None = None
    left: float = 0.86
    right: float = 0.8
    bottom: float = 0.5
    gap: float = 0.2
    heights: Mapping[str, float] = field(
        default_factory=lambda: {"loss": 2.3, "metric": 1.3, "norm": 1.5, "tasks": 1.5, "lr": 0.75}
    )
    title: bool = True
    panels: tuple[str, ...] | None = None
    dots: int = 200


_PAPER, _SLIDE = 0.8, 1.8

#: by what ``--style`` calls them
LOOKS = {
    "report": Look(width=6.8),
    # a column of most two-column papers is 3.25 to 3.5 inches wide
    "paper": Look(
        scale=_PAPER,
        width=3.3 / _PAPER,
        right=0.72,
        bottom=0.46,
        gap=0.14,
        heights={"loss": 1.7, "metric": 1.0, "norm": 1.15, "tasks": 1.15, "lr": 0.6},
        title=False,
        panels=("loss", "metric", "norm", "lr"),
        dots=400,
    ),
    # 16 to 9, as PowerPoint and others measure it; as a PNG 1920 by 1080 dots
    "slide": Look(
        scale=_SLIDE,
        width=40 / 3 / _SLIDE,
        height=7.5 / _SLIDE,
        panels=("loss", "norm"),
        dots=144,
    ),
}


def choose_look(style: str) -> Look:
    """Return the look of a style.

    Raises
    ------
    UsageError
        If there is none of that name; the message lists the choices.
    """
    if style not in LOOKS:
        raise UsageError(f"there is no style {clean(style)!r}; the styles are {', '.join(LOOKS)}")
    return LOOKS[style]


def settings(scale: float) -> Any:  # noqa: ANN401  # which keys there are depends on matplotlib
    """Return matplotlib's settings for a look: everything that a drawing depends on.

    They are complete, so that a picture looks the same whatever a user has set.
    """
    return {
        "font.family": ["sans-serif"],
        "font.size": LETTERS * scale,
        "axes.labelpad": 4.0 * scale,
        "axes.linewidth": 0.7 * scale,
        "axes.edgecolor": PAPER["faint"],
        "axes.labelcolor": PAPER["ink"],
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": "white",
        "axes.unicode_minus": True,
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
        "grid.color": PAPER["rule"],
        "grid.linewidth": 0.5 * scale,
        "lines.solid_capstyle": "round",
        "path.simplify": True,
        "pdf.fonttype": 42,  # TrueType: some publishers refuse what matplotlib writes by itself
        "svg.fonttype": "path",
        "svg.hashsalt": "fitdiag",
        "text.color": PAPER["ink"],
        "text.parse_math": False,
        "text.usetex": False,
        "xtick.color": PAPER["faint"],
        "xtick.labelcolor": PAPER["ink"],
        "ytick.color": PAPER["faint"],
        "ytick.labelcolor": PAPER["ink"],
        **{f"{axis}tick.major.{what}": size * scale for axis in "xy" for what, size in _TICKS},
    }


_TICKS = (("size", 3.5), ("width", 0.8), ("pad", 3.5))
