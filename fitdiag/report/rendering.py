"""render(diagnosis, format): one door to every output."""

from __future__ import annotations

from fitdiag.diagnosis import Diagnosis
from fitdiag.errors import UsageError
from fitdiag.report.destination import FORMATS
from fitdiag.report.looks import choose_look

__all__ = ["hold_diagnosis", "render"]


def render(
    diagnosis: Diagnosis,
    format: str,  # noqa: A002  # what the option is called everywhere
    *,
    verbose: bool = False,
    color: bool = False,
    width: int | None = None,
    unicode: bool | None = None,
    refresh: int = 0,
    style: str = "report",
    title: bool | None = None,
) -> str | bytes:
    """Return a diagnosis in one of the formats.

    Parameters
    ----------
    diagnosis : Diagnosis
        What :func:`fitdiag.diagnose` returned.
    format : {"text", "html", "png", "svg", "pdf", "json", "md"}
        What to make of it.
    verbose : bool
        Text only: say everything instead of one screen.
    color : bool
        Text only: with ANSI colours.
    width : int, optional
        Text only: columns. Default: those of the terminal, at most 100.
    unicode : bool, optional
        Text only: whether other characters than ASCII may be used. Default: where standard output
        can show them.
    refresh : int, optional
        HTML only: seconds after which the page loads itself anew. Default: never.
    style : {"report", "paper", "slide"}
        Pictures only: how large they are, and for what; see :func:`fitdiag.plot`.
    title : bool, optional
        Pictures only: whether verdict and reason stand above the panels. Default: yes, but not for
        ``"paper"``.

    Returns
    -------
    str or bytes
        Bytes for ``"png"`` and ``"pdf"``, else text.

    Raises
    ------
    UsageError
        If the format or the style is none of these, or ``diagnosis`` is not a Diagnosis.
    """
    hold_diagnosis(diagnosis)
    choose_look(style)
    # each output imports what it needs, and only that
    if format == "text":
        from fitdiag.report.terminal import render_text

        return render_text(diagnosis, verbose=verbose, color=color, width=width, unicode=unicode)
    if format == "json":
        from fitdiag.report.document import render_json

        return render_json(diagnosis)
    if format == "md":
        from fitdiag.report.markdown import render_markdown

        return render_markdown(diagnosis)
    if format == "html":
        from fitdiag.report.page import render_page

        return render_page(diagnosis, refresh=refresh)
    if format in {"png", "svg", "pdf"}:
        from fitdiag.report.picture import render_picture

        return render_picture(diagnosis, format, style=style, title=title)
    raise UsageError(f"there is no format {format!r}; the formats are {', '.join(FORMATS)}")


def hold_diagnosis(diagnosis: object) -> None:
    """Refuse what is no diagnosis.

    Raises
    ------
    UsageError
        Saying what it is instead, and how to come by one.
    """
    if not isinstance(diagnosis, Diagnosis):
        raise UsageError(
            f"a report is made of a Diagnosis, not of a {type(diagnosis).__name__}; "
            "call fitdiag.diagnose first"
        )
