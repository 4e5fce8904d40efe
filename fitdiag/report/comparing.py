"""A comparison as text and as a page: curves over each other, and a table."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from fitdiag.report.axis import Axis, choose_axis, place
from fitdiag.report.decimation import decimate, find_gaps
from fitdiag.report.destination import GENERATOR
from fitdiag.report.drawing import draw_panel
from fitdiag.report.figure import LARGEST, Figure, Panel, Series
from fitdiag.report.plotting import figure_data, script_json
from fitdiag.report.sentences import describe_gradients
from fitdiag.report.sheets import load_templates, read_assets, write_policy
from fitdiag.report.view import choose_view
from fitdiag.report.words import TEXT_LENGTH, VERDICTS, clean, number

if TYPE_CHECKING:
    from fitdiag.comparison import Comparison, Entry
    from fitdiag.run import Curve

__all__ = ["AXES", "render_comparison_page", "render_comparison_text"]

#: what runs can be aligned by
AXES = ("epoch", "step", "share")

#: the panels: key as the drawing knows it, title, and the curves of a run that it may show
PANELS = (
    ("loss", "Validation loss", ("val_loss",)),
    ("metric", "Training loss", ("train_loss", "batch_loss")),
    ("norm", "Gradient norm", ("grad_norm", "grad_norm_max")),
    ("lr", "Learning rate", ("lr",)),
)

#: columns of the text's table
HEADS = ("Run", "Verdict", "Best", "±", "Final", "Gap", "Keep")


def choose_axes(comparison: Comparison, by: str) -> tuple[str, list[Axis | None]]:
    """Return the label of the common axis, and the axis of each run; None for shares of the run.

    Parameters
    ----------
    comparison : Comparison
        The runs.
    by : str
        One of :data:`AXES`, or empty for epochs where all runs have them, else steps.
    """
    runs = [entry.diagnosis.run for entry in comparison.entries]
    epochs = [choose_axis(run) for run in runs]
    have = all(axis.label == "Epoch" for axis in epochs)
    if by == "share":
        return "Share of the run", [None for _ in runs]
    if by == "epoch" or (not by and have):
        return "Epoch", list(epochs)
    return "Step", [Axis(label="Step") for _ in runs]


def draw_comparison(comparison: Comparison, by: str = "") -> Figure:
    """Return the figure of a comparison: one line a run in each panel."""
    label, axes = choose_axes(comparison, by)
    panels = []
    for key, title, names in PANELS:
        series = []
        for at, (entry, axis) in enumerate(zip(comparison.entries, axes, strict=True)):
            curve = entry.diagnosis.run.get(*names)
            if curve is not None and np.isfinite(curve.values).any():
                series.append(_series(entry, curve, axis, f"run{at + 1}"))
        if series:
            log = key == "norm" and any((item.y > 0).any() for item in series)
            view = choose_view(series, (), log=log)
            panels.append(Panel(key=key, title=title, log=log, view=view, series=tuple(series)))
    places = [float(x) for panel in panels for item in panel.series for x in item.x[[0, -1]]]
    return Figure(
        title="Comparison",
        axis=Axis(label=label),
        start=min(places, default=0.0),
        end=max(places, default=1.0),
        panels=tuple(panels),
        marks=(),
    )


def _series(entry: Entry, curve: Curve, axis: Axis | None, role: str) -> Series:
    steps, y = decimate(curve.steps, curve.values)
    y = np.where(np.isfinite(y), np.clip(y, -LARGEST, LARGEST), y)
    signal = entry.diagnosis.signals.get(curve.name)
    drawn = signal is not None and len(signal) >= 3 and curve.name != "lr"
    empty = np.empty(0)

    def put(where: Any) -> Any:  # noqa: ANN401  # an array, or one number
        if axis is not None:
            return axis.map(where)
        first, last = entry.diagnosis.run.span
        return (where - first) / ((last - first) or 1.0)

    return Series(
        name=curve.name,
        label=entry.label,
        role=role,
        x=put(steps),
        y=y,
        gaps=tuple(
            replace(gap, start=float(start), end=float(end))
            for gap in find_gaps(curve.steps, curve.values)
            for start, end in [put(np.array([gap.start, gap.end]))]
        ),
        smooth_x=put(signal.steps) if signal is not None and drawn else empty,
        smooth_y=signal.smooth if signal is not None and drawn else empty,
        noise=signal.noise if signal is not None and drawn else empty,
    )


def _cells(entry: Entry) -> dict[str, str]:
    diagnosis = entry.diagnosis
    run, pick, onset = diagnosis.run, diagnosis.checkpoint, diagnosis.judgement.onset
    sure = "" if diagnosis.confidence is None else f" ({diagnosis.confidence:.0%})"
    return {
        "label": clean(entry.label),
        "verdict": VERDICTS[diagnosis.verdict].sign.title,
        "sure": sure,
        "best": _say(entry.best),
        "error": "" if entry.error is None else f"{entry.error:.1g}",
        "final": _say(entry.final),
        "gap": _say(entry.gap),
        "onset": "" if onset is None else run.moment(onset),
        "pick": "" if pick is None else place(run, pick.step),
        "gradients": clean(describe_gradients(diagnosis), TEXT_LENGTH),
        "codes": " ".join(clean(finding.code) for finding in diagnosis.findings),
    }


def _say(value: float | None) -> str:
    return "" if value is None else number(value)


def render_comparison_text(comparison: Comparison, *, width: int | None = None) -> str:
    """Return a comparison as a table with a sentence beneath.

    Parameters
    ----------
    comparison : Comparison
        The runs.
    width : int, optional
        Columns. Default: those of the terminal.
    """
    wide = shutil.get_terminal_size((80, 24)).columns if width is None else width
    rows = [_cells(entry) for entry in comparison.entries]
    keys = ("label", "verdict", "best", "error", "final", "gap", "pick")
    room = max(12, wide - 62)
    table = [list(HEADS)]
    for at, row in enumerate(rows):
        mark = "*" if comparison.ranking[:1] == (at,) else " "
        cells = [row[key] for key in keys]
        cells[0] = f"{mark} {cells[0][:room]}"
        table.append(cells)
    table[0][0] = "  Run"
    sizes = [max(len(row[at]) for row in table) for at in range(len(keys))]
    lines = [
        "  ".join(
            cell.rjust(size) if 2 <= at <= 5 else cell.ljust(size)
            for at, (cell, size) in enumerate(zip(row, sizes, strict=True))
        ).rstrip()
        for row in table
    ]
    return "\n".join([*lines, "", clean(comparison.sentence, TEXT_LENGTH)]) + "\n"


def render_comparison_page(comparison: Comparison, by: str = "") -> str:
    """Return a comparison as one self-contained HTML page.

    Parameters
    ----------
    comparison : Comparison
        The runs.
    by : str
        One of :data:`AXES`, or empty for epochs where all runs have them, else steps.
    """
    figure = draw_comparison(comparison, by)
    style = read_assets("uPlot.min.css", "drawing.css", "page.css", "comparison.css")
    script = read_assets("uPlot.iife.min.js", "numbers.js", "page.js")
    last = len(figure.panels) - 1
    panels = [
        {
            **draw_panel(figure, panel, first=index == 0, last=index == last),
            "alt": f"{panel.title} of {len(panel.series)} runs by {figure.axis.word}.",
            "legend": [(series.role, clean(series.label)) for series in panel.series],
        }
        for index, panel in enumerate(figure.panels)
    ]
    return (
        load_templates()
        .get_template("comparison.html.j2")
        .render(
            generator=GENERATOR,
            policy=write_policy(style, script),
            style=style,
            script=script,
            data=Markup(script_json(figure_data(figure))),  # noqa: S704  # escaped for a script
            panels=panels,
            rows=[
                {
                    **_cells(entry),
                    "role": f"run{at + 1}",
                    "is_best": comparison.ranking[:1] == (at,),
                }
                for at, entry in enumerate(comparison.entries)
            ],
            sentence=clean(comparison.sentence, TEXT_LENGTH),
        )
    )
