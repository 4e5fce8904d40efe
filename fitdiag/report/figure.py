"""What a figure shows, as plain data: panels, series, marks and spans; nothing is drawn here.

The picture, the page and the terminal draw the same :class:`Figure`, so that they cannot tell
different stories, and what they show can be tested without looking at pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.findings import Verdict
from fitdiag.report.axis import choose_axis
from fitdiag.report.decimation import decimate, find_gaps
from fitdiag.report.depth import draw_depth
from fitdiag.report.view import choose_view
from fitdiag.report.words import ALTERNATIVES, VERDICTS, curve_name
from fitdiag.run import TASK_NORM

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from fitdiag.diagnosis import Diagnosis
    from fitdiag.findings import Evidence
    from fitdiag.report.axis import Axis
    from fitdiag.report.decimation import Gap
    from fitdiag.report.depth import Depth
    from fitdiag.run import Curve
    from fitdiag.signals import Signal

    Array = NDArray[np.float64]

__all__ = ["BAND", "Figure", "Mark", "Panel", "Point", "Series", "Span", "draw_up"]

#: standard deviations of the noise to each side of the denoised curve that its band covers
BAND = 2.0
#: a panel whose positive values reach this many times their median gets a logarithmic axis
LOG_REACH = 30.0
#: how the lines of the first five tasks are drawn; more could not be told apart
TASK_ROLES = ("train", "val", "norm", "peaks", "lr")
#: size beyond which a value is drawn at this size, so that differences of two do not overflow
LARGEST = 1e300


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """One curve as it is drawn.

    Parameters
    ----------
    name : str
        Canonical curve name.
    label : str
        What a person calls it.
    role : str
        ``"train"``, ``"val"``, ``"norm"``, ``"peaks"`` or ``"lr"``; decides colour and line style.
    x, y : ndarray of float, shape (n,)
        The raw points, decimated; NaN where a gap begins.
    gaps : tuple of Gap
        Where the raw points are not finite.
    smooth_x, smooth_y, noise : ndarray of float, shape (m,)
        The denoised curve and the standard deviation of the noise around it; empty without one.
    """

    name: str
    label: str
    role: str
    x: Array
    y: Array
    gaps: tuple[Gap, ...]
    smooth_x: Array
    smooth_y: Array
    noise: Array

    @property
    def band(self) -> tuple[Array, Array]:
        """Lower and upper edge of the noise band."""
        return self.smooth_y - BAND * self.noise, self.smooth_y + BAND * self.noise

    def at(self, x: float) -> float | None:
        """Return the value of the strongest drawn line at a place, None without one."""
        if self.smooth_x.size:
            return float(np.interp(x, self.smooth_x, self.smooth_y))
        finite = np.isfinite(self.y)
        return float(np.interp(x, self.x[finite], self.y[finite])) if finite.any() else None


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A moment that goes through all panels: ``"onset"``, ``"pick"`` or ``"late rise"``."""

    kind: str
    x: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Point:
    """A point on a curve: ``"pick"``, ``"peak"`` or the name of an alternative rule."""

    kind: str
    x: float
    y: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of a panel: ``"settled"``, or ``"evidence"`` with the code that it stands for."""

    kind: str
    start: float
    end: float
    label: str
    code: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """Series that share one vertical axis.

    Parameters
    ----------
    key : str
        ``"loss"``, ``"metric"``, ``"norm"``, ``"tasks"`` or ``"lr"``.
    title : str
        What the vertical axis shows.
    log : bool
        Whether that axis is logarithmic.
    view : (float, float)
        Lowest and highest value that the vertical axis shows.
    series, points, spans : tuple
        What is drawn.
    """

    key: str
    title: str
    log: bool
    view: tuple[float, float]
    series: tuple[Series, ...]
    points: tuple[Point, ...] = ()
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Figure:
    """Everything that a picture of a diagnosis shows.

    Parameters
    ----------
    title : str
        The verdict.
    axis : Axis
        The time axis.
    start, end : float
        First and last place on it.
    panels : tuple of Panel
        From top to bottom; only those that have something to draw.
    marks : tuple of Mark
        Moments that go through all of them.
    depth : Depth or None
        The norms of single layers, where the run has them.
    """

    title: str
    axis: Axis
    start: float
    end: float
    panels: tuple[Panel, ...]
    marks: tuple[Mark, ...]
    depth: Depth | None = None


def draw_up(diagnosis: Diagnosis) -> Figure:
    """Return the figure of a diagnosis.

    Parameters
    ----------
    diagnosis : Diagnosis
        What is to be shown.
    """
    groups = _group(diagnosis)
    axis = choose_axis(diagnosis.run)
    panels = tuple(
        panel for key, roles in groups if (panel := _panel(diagnosis, axis, key, roles)) is not None
    )
    places = [place for panel in panels for series in panel.series for place in _ends(series)]
    start, end = min(places, default=0.0), max(places, default=1.0)
    return Figure(
        title=VERDICTS[diagnosis.verdict].sign.title,
        axis=axis,
        start=start,
        end=end,
        depth=draw_depth(diagnosis.run, axis, start, end),
        panels=panels,
        marks=_marks(diagnosis, axis),
    )


def _ends(series: Series) -> Iterable[float]:
    yield from (float(place) for place in series.x[[0, -1][: series.x.size]])
    yield from (gap.end for gap in series.gaps)


_Roles = list[tuple["Curve", str]]


def _group(diagnosis: Diagnosis) -> list[tuple[str, _Roles]]:
    """Return the curves of each panel with the role that each plays."""
    run = diagnosis.run
    norm, lr = run.get("grad_norm", "grad_norm_max"), run.get("lr")
    highest = run.get("grad_norm_max")
    if highest is not None and (norm is highest or _alike(norm, highest)):
        highest = None
    groups: list[tuple[str, list[tuple[Curve | None, str]]]] = [
        ("loss", [(run.train_loss, "train"), (run.val_loss, "val")]),
        ("metric", _metric(diagnosis)),
        ("norm", [(norm, "norm"), (highest, "peaks")]),
        ("tasks", list(zip(run.tasks().values(), TASK_ROLES, strict=False))),
        ("lr", [(lr, "lr")]),
    ]
    return [
        (key, [(curve, role) for curve, role in roles if curve is not None])
        for key, roles in groups
    ]


def _alike(one: Curve | None, other: Curve) -> bool:
    """Tell whether two curves hold the same, as where each step has its own row."""
    return one is not None and np.array_equal(one.values, other.values, equal_nan=True)


def _metric(diagnosis: Diagnosis) -> list[tuple[Curve | None, str]]:
    """Return one metric with its two sides: the accuracy if there is one, else the first."""
    names = [curve.name for curve in diagnosis.run.metrics()]
    bases = [
        name[len(prefix) :]
        for name in names
        for prefix in ("val_", "train_")
        if name.startswith(prefix)
    ]
    if not bases:
        return []
    base = "accuracy" if "accuracy" in bases else bases[0]
    get = diagnosis.run.get
    return [(get(f"train_{base}"), "train"), (get(f"val_{base}"), "val")]


def _panel(diagnosis: Diagnosis, axis: Axis, key: str, roles: _Roles) -> Panel | None:
    series = tuple(_series(diagnosis, axis, curve, role) for curve, role in roles)
    if not any(np.isfinite(item.y).any() for item in series):
        return None
    names = {item.name for item in series}
    makers = {"loss": _loss_points, "norm": _norm_points}
    points = makers[key](diagnosis, axis, series) if key in makers else ()
    spans = _settled(diagnosis, axis) if key == "norm" else ()
    log = _is_log(key, series)
    titles = {
        "loss": "Loss",
        "norm": "Gradient norm",
        "tasks": "Norm of each task",
        "lr": "Learning rate",
    }
    return Panel(
        key=key,
        title=titles.get(key) or _metric_title(series),
        log=log,
        view=choose_view(series, points, log=log),
        series=series,
        points=points,
        spans=spans + _evidence(diagnosis, axis, names),
    )


def _metric_title(series: tuple[Series, ...]) -> str:
    label = series[0].label
    for prefix in ("training ", "validation "):
        label = label.removeprefix(prefix)
    return label[:1].upper() + label[1:]


def _is_log(key: str, series: tuple[Series, ...]) -> bool:
    """Tell whether a panel needs a logarithmic axis to be legible, and can have one."""
    values = np.concatenate([item.y[np.isfinite(item.y)] for item in series])
    lowest = float(values.min())
    if key in {"norm", "tasks"}:
        return bool((values > 0).any())
    if key != "loss" or lowest <= 0:
        return False
    strong = np.concatenate([item.smooth_y if item.smooth_y.size else item.y for item in series])
    strong = strong[np.isfinite(strong)]
    return bool(float(np.max(strong)) > LOG_REACH * float(np.median(strong)))


def _series(diagnosis: Diagnosis, axis: Axis, curve: Curve, role: str) -> Series:
    steps, y = decimate(curve.steps, curve.values)
    y = np.where(np.isfinite(y), np.clip(y, -LARGEST, LARGEST), y)
    signal: Signal | None = diagnosis.signals.get(curve.name)
    drawn = signal is not None and len(signal) >= 3 and role in {"train", "val", "norm"}
    empty = np.empty(0)
    return Series(
        name=curve.name,
        label=curve_name(curve.name.removeprefix(TASK_NORM)),
        role=role,
        x=axis.map(steps),
        y=y,
        gaps=_gaps(axis, curve),
        smooth_x=axis.map(signal.steps) if signal is not None and drawn else empty,
        smooth_y=signal.smooth if signal is not None and drawn else empty,
        noise=signal.noise if signal is not None and drawn else empty,
    )


def _gaps(axis: Axis, curve: Curve) -> tuple[Gap, ...]:
    found = find_gaps(curve.steps, curve.values)
    return tuple(replace(gap, start=axis.at(gap.start), end=axis.at(gap.end)) for gap in found)


def _loss_points(diagnosis: Diagnosis, axis: Axis, series: tuple[Series, ...]) -> tuple[Point, ...]:
    pick = diagnosis.checkpoint
    chosen = None if pick is None else next((s for s in series if s.name == pick.curve), None)
    if pick is None or chosen is None:
        return ()
    x = axis.at(pick.step)
    y = chosen.at(x)
    kept = () if y is None else (Point(kind="pick", x=x, y=y, label="Keep"),)
    others = tuple(
        Point(kind=other.rule, x=axis.at(other.step), y=other.value, label=_rule(other.rule))
        for other in pick.alternatives
        if other.value is not None and np.isfinite(other.value) and other.step != pick.step
    )
    return kept + others


def _rule(rule: str) -> str:
    return ALTERNATIVES.get(rule, rule)


def _norm_points(diagnosis: Diagnosis, axis: Axis, _: tuple[Series, ...]) -> tuple[Point, ...]:
    phases = diagnosis.phases
    if phases is None or phases.peak is None or phases.peak_value is None:
        return ()
    return (Point(kind="peak", x=axis.at(phases.peak), y=phases.peak_value, label="Peak"),)


def _settled(diagnosis: Diagnosis, axis: Axis) -> tuple[Span, ...]:
    phases = diagnosis.phases
    if phases is None or phases.settled is None:
        return ()
    end = diagnosis.run.span[1] if phases.late_rise is None else phases.late_rise
    start, end = axis.at(phases.settled), axis.at(end)
    return (Span(kind="settled", start=start, end=end, label="Settled"),) if end > start else ()


def _marks(diagnosis: Diagnosis, axis: Axis) -> tuple[Mark, ...]:
    marks = []
    onset, pick = diagnosis.judgement.onset, diagnosis.checkpoint
    if onset is not None:
        words = {Verdict.OVERFITTING: "Turns up", Verdict.DIVERGED: "Breaks down"}
        label = f"{words.get(diagnosis.verdict, 'Onset')}: {axis.moment(onset)}"
        marks.append(Mark(kind="onset", x=axis.at(onset), label=label))
    if pick is not None:
        label = f"Keep: {axis.moment(pick.step)}"
        marks.append(Mark(kind="pick", x=axis.at(pick.step), label=label))
    phases = diagnosis.phases
    if phases is not None and phases.late_rise is not None:
        label = f"Norm rises again: {axis.moment(phases.late_rise)}"
        marks.append(Mark(kind="late rise", x=axis.at(phases.late_rise), label=label))
    return tuple(marks)


def _evidence(diagnosis: Diagnosis, axis: Axis, names: set[str]) -> tuple[Span, ...]:
    """Return the spans that findings point at in a panel, each once for each code."""

    def span(code: str, item: Evidence) -> Span:
        start, end = axis.at(item.start), axis.at(item.end)
        return Span(kind="evidence", start=start, end=end, label=item.label, code=code)

    spans = [
        span(finding.code, item)
        for finding in diagnosis.findings
        for item in finding.evidence
        if item.curve in names
    ]
    return tuple(dict.fromkeys(spans))
