"""The page: one HTML file that works offline, with charts that answer to the pointer.

Nothing is requested from anywhere, and the page's own policy forbids it: style and script are
allowed by their hashes only, so that nothing in a log can become either.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from fitdiag.errors import UsageError
from fitdiag.report.axis import place
from fitdiag.report.depth import draw_grid
from fitdiag.report.destination import GENERATOR
from fitdiag.report.drawing import draw_panel
from fitdiag.report.figure import draw_up
from fitdiag.report.plotting import figure_data, script_json
from fitdiag.report.sentences import (
    describe_evidence,
    describe_gradients,
    describe_length,
    describe_regret,
    name_alternative,
    name_run,
    say_advice,
    say_copy,
    say_files,
    say_pick,
    say_reason,
)
from fitdiag.report.sheets import load_templates, read_assets, write_policy
from fitdiag.report.words import (
    SEVERITIES,
    TEXT_LENGTH,
    VERDICTS,
    clean,
    curve_name,
    group_skips,
    number,
    percent,
)
from fitdiag.rules import find_rule

if TYPE_CHECKING:
    from fitdiag.diagnosis import Diagnosis
    from fitdiag.findings import Finding
    from fitdiag.report.figure import Figure
    from fitdiag.run import Run

__all__ = ["render_notebook", "render_page"]

#: columns of a log that are listed; one with more says how many more
_COLUMNS = 40


def render_page(diagnosis: Diagnosis, *, refresh: int = 0) -> str:
    """Return the report of a diagnosis as one self-contained HTML page.

    Parameters
    ----------
    diagnosis : Diagnosis
        What is told.
    refresh : int
        Seconds after which the page loads itself anew; 0 for never.
    """
    figure = draw_up(diagnosis)
    style = read_assets("uPlot.min.css", "drawing.css", "page.css")
    script = read_assets("uPlot.iife.min.js", "numbers.js", "page.js")
    policy = write_policy(style, script)
    data = Markup(script_json(figure_data(figure)))  # noqa: S704  # escaped for a script element
    return (
        load_templates()
        .get_template("page.html.j2")
        .render(
            generator=GENERATOR,
            refresh=refresh,
            policy=policy,
            style=style,
            script=script,
            data=data,
            panels=_panels(figure),
            shapes=_shapes(figure),
            depth=None if figure.depth is None else draw_grid(figure, figure.depth),
            facts=_facts(diagnosis),
            findings=[_finding(finding, diagnosis.run) for finding in diagnosis.findings],
            passed=[(clean(code), _rule_words(code)) for code in diagnosis.passed],
            skipped=group_skips(diagnosis.skipped),
            limits=_limits(diagnosis),
            **_summary(diagnosis),
        )
    )


def render_notebook(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as a small piece of HTML with an inline picture, for a notebook cell."""
    return (
        load_templates()
        .get_template("notebook.html.j2")
        .render(
            style=read_assets("notebook.css", "drawing.css"),
            panels=_panels(draw_up(diagnosis)),
            **_summary(diagnosis),
        )
    )


def _panels(figure: Figure) -> list[dict[str, Any]]:
    last = len(figure.panels) - 1
    return [
        {
            **draw_panel(figure, panel, first=index == 0, last=index == last),
            "alt": _describe(figure, index),
            "legend": [(series.role, clean(series.label)) for series in panel.series],
        }
        for index, panel in enumerate(figure.panels)
    ]


def _shapes(figure: Figure) -> set[str]:
    """Return the kinds of things that the charts show beside curves, for the legend."""
    kinds = {point.kind for panel in figure.panels for point in panel.points}
    kinds |= {mark.kind for mark in figure.marks}
    kinds |= {span.kind for panel in figure.panels for span in panel.spans}
    broken = any(series.gaps for panel in figure.panels for series in panel.series)
    return kinds | ({"gap"} if broken else set())


def _describe(figure: Figure, index: int) -> str:
    """Return in words what a chart shows, for those who do not see it."""
    panel = figure.panels[index]
    ends = [
        f"{clean(series.label)} goes from {number(series.at(series.x[0]))} "
        f"to {number(series.at(series.x[-1]))}"
        for series in panel.series
        if series.at(figure.start) is not None
    ]
    marks = [clean(mark.label) for mark in figure.marks]
    return f"{clean(panel.title)} by {figure.axis.word}: " + "; ".join([*ends, *marks]) + "."


def _summary(diagnosis: Diagnosis) -> dict[str, Any]:
    words = VERDICTS[diagnosis.verdict]
    pick = diagnosis.checkpoint
    return {
        "name": name_run(diagnosis),
        "sign": words.sign,
        "meaning": words.meaning,
        "reason": say_reason(diagnosis),
        "confidence": "" if diagnosis.confidence is None else percent(diagnosis.confidence),
        "share": diagnosis.confidence,
        "gradients": describe_gradients(diagnosis),
        "advice": say_advice(diagnosis),
        "pick": None
        if pick is None
        else {
            "where": say_pick(diagnosis),
            "why": clean(pick.reason, TEXT_LENGTH),
            "regret": describe_regret(diagnosis),
            "files": say_files(diagnosis),
            "command": say_copy(diagnosis),
            "filed": any(other.path for other in pick.alternatives),
            "curve": curve_name(pick.curve),
            "value": number(pick.value),
            "alternatives": [
                {
                    "rule": clean(name_alternative(other.rule, pick.direction)),
                    "where": place(diagnosis.run, other.step),
                    "value": number(other.value),
                    "file": clean(PurePath(other.path).name) if other.path else "",
                }
                for other in pick.alternatives
            ],
        },
    }


def _finding(finding: Finding, run: Run) -> dict[str, Any]:
    return {
        "code": clean(finding.code),
        "name": clean(finding.name),
        "sign": SEVERITIES[finding.severity],
        "message": clean(finding.message, TEXT_LENGTH),
        "advice": [clean(advice, TEXT_LENGTH) for advice in finding.advice],
        "evidence": [describe_evidence(item, run) for item in finding.evidence],
    }


def _rule_words(code: str) -> str:
    """Return a rule's name, or nothing for a rule that came from elsewhere."""
    try:
        return find_rule(code).name.replace("-", " ")
    except UsageError:
        return ""


def _facts(diagnosis: Diagnosis) -> dict[str, Any]:
    run = diagnosis.run
    curves = list(run.curves.values())
    return {
        "path": clean(run.source.path, 300) or "made in Python",
        "format": clean(run.source.format),
        "length": describe_length(diagnosis),
        "unit": str(run.unit),
        "curves": [
            (clean(curve.name), clean(curve.label), f"{len(curve):,}")
            for curve in curves[:_COLUMNS]
        ],
        "more": max(len(curves) - _COLUMNS, 0),
        "notes": [clean(note, TEXT_LENGTH) for note in run.source.notes],
    }


def _limits(diagnosis: Diagnosis) -> list[tuple[str, list[tuple[str, str]]]]:
    return [
        (
            clean(room),
            [(clean(name).replace("_", " "), number(value)) for name, value in limits.items()],
        )
        for room, limits in diagnosis.limits.items()
    ]
