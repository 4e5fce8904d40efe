"""Telling: a diagnosis as text, page, picture, Markdown or JSON.

Every output is drawn from :mod:`fitdiag.report.figure` and worded by :mod:`fitdiag.report.words`;
nothing here compares with a threshold. What an output needs is imported when it is asked for, so
that the text report loads neither matplotlib nor Jinja2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.report.destination import FORMATS, SUFFIXES, choose_format, write
from fitdiag.report.rendering import render

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from fitdiag.diagnosis import Diagnosis

__all__ = ["FORMATS", "SUFFIXES", "notebook_html", "render", "write_report"]


def write_report(
    diagnosis: Diagnosis,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002  # what the option is called everywhere
    force: bool = False,
    refresh: int = 0,
    style: str = "report",
    title: bool | None = None,
) -> Path:
    """Write the report of a diagnosis to a file, in the format that its suffix names.

    The file appears whole or not at all.

    Parameters
    ----------
    diagnosis : Diagnosis
        What :func:`fitdiag.diagnose` returned.
    path : str or path
        ``.html``, ``.png``, ``.svg``, ``.pdf``, ``.json``, ``.md`` or ``.txt``.
    format : str, optional
        One of :data:`FORMATS`, for a file whose suffix does not tell.
    force : bool
        Overwrite a file that is there although fitdiag did not write it.
    refresh : int, optional
        HTML only: seconds after which the page loads itself anew, for a run that still goes on.
        Default: never.
    style : {"report", "paper", "slide"}
        Pictures only: how large they are, and for what; see :func:`fitdiag.plot`.
    title : bool, optional
        Pictures only: whether verdict and reason stand above the panels. Default: yes, but not for
        ``"paper"``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UsageError
        If the suffix names no format, the style is none, or ``diagnosis`` is none.
    WriteError
        If the folder is missing or not writable, or the file is there and not fitdiag's own.

    Examples
    --------
    >>> import fitdiag
    >>> run = fitdiag.Run.from_arrays(train_loss=[3.0, 2.0, 1.5], val_loss=[3.1, 2.2, 1.8])
    >>> path = fitdiag.write_report(fitdiag.diagnose(run), "report.html")  # doctest: +SKIP
    """
    chosen = choose_format(path, format)

    def draw() -> str | bytes:
        return render(
            diagnosis, chosen, width=80, unicode=True, refresh=refresh, style=style, title=title
        )

    return write(path, chosen, draw, force=force)


def notebook_html(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as a small piece of HTML for a notebook cell, everything escaped."""
    from fitdiag.report.page import render_notebook  # imports Jinja2

    return render_notebook(diagnosis)
