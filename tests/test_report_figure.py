"""What a figure shows, tested as data, without pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import fitdiag
from fitdiag.report.axis import choose_axis, place
from fitdiag.report.decimation import decimate, find_gaps
from fitdiag.report.figure import BAND, draw_up
from fitdiag.report.plotting import figure_data, script_json
from fitdiag.report.ticks import linear_ticks, log_ticks, place_ticks
from fitdiag.run import Curve, Run, StepUnit


def overfitting(n: int = 120) -> Run:
    """Return a run that overfits, with everything that a figure can show."""
    epoch = np.arange(n, dtype=float)
    return Run.from_arrays(
        steps=(epoch + 1) * 30,
        epochs=epoch + 1,
        train_loss=2.3 * np.exp(-epoch / 20) + 0.02,
        val_loss=2.3 * np.exp(-epoch / 15) + 0.4 + np.maximum(epoch - 40, 0) * 0.01,
        val_accuracy=0.9 - 0.8 * np.exp(-epoch / 15),
        grad_norm=1 + 3 * np.exp(-(((epoch - 8) / 5) ** 2)) + np.exp(-epoch / 20),
        lr=np.where(epoch < 60, 0.1, 0.01),
    )


values = arrays(
    np.float64,
    st.integers(1, 400),
    elements=st.one_of(st.floats(-1e6, 1e6), st.sampled_from([np.nan, np.inf, -np.inf])),
)


@given(values, st.integers(4, 40))
@settings(max_examples=150, deadline=None)
def test_decimation_keeps_extremes_and_every_nonfinite_point(y: np.ndarray, most: int) -> None:
    """Thinning keeps ends and extremes in a bounded number, and covers every gap."""
    x = np.arange(y.size, dtype=float)
    kept_x, kept_y = decimate(x, y, most)
    finite = np.isfinite(y)
    assert (np.diff(kept_x) > 0).all()
    assert np.isfinite(kept_y).sum() <= most + 4
    if finite.any():
        assert np.nanmin(kept_y) == y[finite].min()
        assert np.nanmax(kept_y) == y[finite].max()
        assert {x[finite][0], x[finite][-1]} <= set(kept_x)
    gaps = find_gaps(x, y, most)
    assert sum(gap.count for gap in gaps) == (~finite).sum()
    for bad in x[~finite]:
        assert any(gap.start <= bad <= gap.end for gap in gaps)


def test_each_bucket_keeps_its_lowest_and_highest_point() -> None:
    """Of ten buckets of a hundred points, each keeps its own minimum and maximum in place."""
    y = np.random.default_rng(0).normal(size=1000)
    kept = dict(zip(*decimate(np.arange(1000.0), y, 20), strict=True))
    for bucket in range(10):
        part = slice(bucket * 100, bucket * 100 + 100)
        assert kept[bucket * 100.0 + int(np.argmin(y[part]))] == y[part].min()
        assert kept[bucket * 100.0 + int(np.argmax(y[part]))] == y[part].max()


def test_the_line_breaks_where_values_are_not_finite() -> None:
    """One NaN stands where a gap begins, so that no line is drawn across it."""
    x, y = decimate(np.arange(6.0), np.array([1, 2, np.nan, np.inf, 5, 6]))
    assert x.tolist() == [0, 1, 2, 4, 5]
    assert np.isnan(y).tolist() == [False, False, True, False, False]


def test_figure_has_a_panel_for_each_kind_of_curve() -> None:
    """Losses, a metric, gradient norm and learning rate come in this order, on one epoch axis."""
    figure = draw_up(fitdiag.diagnose(overfitting()))
    assert [panel.key for panel in figure.panels] == ["loss", "metric", "norm", "lr"]
    assert [panel.log for panel in figure.panels] == [False, False, True, False]
    assert (figure.axis.label, figure.start, figure.end) == ("Epoch", 1.0, 120.0)
    assert [series.role for series in figure.panels[0].series] == ["train", "val"]


def test_marks_are_the_diagnosis_own_moments() -> None:
    """Onset, pick, alternatives, peak and settled region stand where the diagnosis put them."""
    run = overfitting()
    diagnosis = fitdiag.diagnose(run)
    figure = draw_up(diagnosis)
    marks = {mark.kind: mark.x for mark in figure.marks}
    assert diagnosis.checkpoint is not None
    assert diagnosis.phases is not None
    assert diagnosis.judgement.onset is not None
    assert marks["pick"] == diagnosis.checkpoint.epoch
    assert marks["onset"] == run.epoch_at(diagnosis.judgement.onset)
    loss, norm = figure.panels[0], figure.panels[2]
    assert {point.kind for point in loss.points} >= {"pick", "last"}
    peak = next(point for point in norm.points if point.kind == "peak")
    assert diagnosis.phases.peak is not None
    assert (peak.x, peak.y) == (run.epoch_at(diagnosis.phases.peak), diagnosis.phases.peak_value)
    settled = next(span for span in norm.spans if span.kind == "settled")
    assert diagnosis.phases.settled is not None
    assert settled.start == run.epoch_at(diagnosis.phases.settled)


def test_evidence_stands_in_the_panel_of_its_curve() -> None:
    """Each piece of evidence of a drawn curve becomes a span that carries the finding's code."""
    diagnosis = fitdiag.diagnose(overfitting())
    figure = draw_up(diagnosis)
    drawn = {
        (span.code, series.name)
        for panel in figure.panels
        for span in panel.spans
        for series in panel.series
        if span.kind == "evidence"
    }
    wanted = {(f.code, item.curve) for f in diagnosis.findings for item in f.evidence}
    assert wanted
    assert wanted <= drawn


def test_the_band_is_the_noise_around_the_denoised_curve() -> None:
    """The noise band lies two standard deviations to both sides of the signal of the diagnosis."""
    diagnosis = fitdiag.diagnose(overfitting())
    val = draw_up(diagnosis).panels[0].series[1]
    signal = diagnosis.signals["val_loss"]
    assert np.array_equal(val.smooth_y, signal.smooth)
    assert np.array_equal(val.band[0], signal.smooth - BAND * signal.noise)
    assert np.array_equal(val.band[1], signal.smooth + BAND * signal.noise)


def test_epochs_that_do_not_tell_points_apart_are_no_axis() -> None:
    """A log with one epoch number for many steps is drawn over its steps."""
    steps = np.arange(1.0, 101)
    run = Run.from_arrays(steps=steps, epochs=np.ceil(steps / 50), batch_loss=1 / steps)
    assert choose_axis(run).label == "Step"


def test_a_place_names_epoch_and_step() -> None:
    """A step is named by its epoch where that is known, with the step beside it."""
    run = overfitting()
    assert place(run, 1230.0) == "epoch 41 (step 1,230)"
    rows = Run.from_arrays(train_loss=[1.0, 2.0], unit=StepUnit.ROW)
    assert place(rows, 2.0) == "row 2"
    assert choose_axis(rows).label == "Row"


def test_panels_without_a_finite_value_are_left_out() -> None:
    """A curve that is NaN throughout makes no panel, and an empty one neither."""
    run = Run.from_arrays(train_loss=[3.0, 2.0, 1.0], grad_norm=[np.nan] * 3)
    empty = Curve(name="lr", steps=np.empty(0), values=np.empty(0))
    run = Run(curves={**run.curves, "lr": empty})
    assert [panel.key for panel in draw_up(fitdiag.diagnose(run)).panels] == ["loss"]


def test_one_spike_does_not_flatten_the_rest() -> None:
    """A single huge value stays out of view, unless the losses themselves span so much."""
    loss = np.linspace(2, 1, 200)
    loss[50] = 1e6
    panel = draw_up(fitdiag.diagnose(Run.from_arrays(train_loss=loss, val_loss=loss[::-1]))).panels[
        0
    ]
    assert panel.view[1] < 10


def test_a_loss_over_decades_gets_a_logarithmic_axis() -> None:
    """A loss that falls from 1,700 to 3 would be a flat line on a linear axis."""
    loss = 3 + 1700 * 0.8 ** np.arange(100.0)
    assert draw_up(fitdiag.diagnose(Run.from_arrays(train_loss=loss))).panels[0].log
    assert not draw_up(fitdiag.diagnose(Run.from_arrays(train_loss=loss - 10))).panels[0].log


def test_figure_data_is_strict_json_of_the_same_points() -> None:
    """What the page's script gets are the figure's own points, without NaN."""
    loss = np.concatenate([np.linspace(2, 1, 30), [np.nan], np.linspace(1, 0.5, 30)])
    curve = Curve(name="train_loss", steps=np.arange(61.0), values=loss)
    run = Run(curves={curve.name: curve})
    figure = draw_up(fitdiag.diagnose(run))
    data = json.loads(json.dumps(figure_data(figure), allow_nan=False))
    series = data["panels"][0]["series"][0]
    drawn = figure.panels[0].series[0]
    assert series["raw"][0] == drawn.x.tolist()
    assert series["raw"][1][30] is None
    assert series["gaps"] == [[30.0, 30.0]]


def test_script_json_cannot_end_its_element() -> None:
    """No character that HTML gives a meaning survives in the data of the page."""
    hostile = {"a": "</script><!--&", "b": "\u2028"}
    text = script_json(hostile)
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == hostile


@given(st.floats(-1e30, 1e30), st.floats(1e-6, 1e30), st.integers(2, 9))
@settings(max_examples=200, deadline=None)
def test_ticks_are_few_and_inside(low: float, reach: float, most: int) -> None:
    """Ticks lie within the axis, increase, and do not crowd it."""
    high = low + reach
    if not high > low:
        return
    ticks = linear_ticks(low, high, most)
    assert len(ticks) <= 2 * most + 2
    slack = 1e-9 * max(abs(low), abs(high))
    assert all(low - slack <= tick <= high + slack for tick in ticks)


@pytest.mark.parametrize(
    ("end", "ticks"), [(1, [0, 1]), (2.5, [0, 1, 2]), (4, [0, 1, 2, 3, 4]), (50, range(0, 51, 10))]
)
def test_places_have_whole_ticks(end: float, ticks: list[float]) -> None:
    """Epochs and steps are marked at whole numbers, however few they are; parts of one are not."""
    assert place_ticks(0, end) == list(ticks)
    assert len(place_ticks(0, 0.5)) > 2


@pytest.mark.parametrize(("low", "high"), [(0.2, 15), (1.24, 1.9), (1e-30, 1e30), (3, 3.0001)])
def test_logarithmic_ticks_are_few_and_inside(low: float, high: float) -> None:
    """A logarithmic axis has two to seven ticks, however wide or narrow it is."""
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert all(low <= tick <= high for tick in ticks)


@pytest.mark.parametrize("counts_completed", [True, False])
def test_a_log_of_each_step_is_drawn_over_epochs(*, counts_completed: bool) -> None:
    """Where each step's row says only which epoch it lies in, the evaluations fix the axis."""
    steps = np.arange(1.0, 101)
    evaluated = steps % 20 == 0
    epochs = steps // 20 if counts_completed else np.ceil(steps / 20)
    loss = np.where(evaluated, 1 / steps, np.nan)
    run = Run.from_arrays(steps=steps, epochs=epochs, train_loss=loss, batch_loss=1 / steps)
    axis = choose_axis(run)
    assert axis.label == "Epoch"
    assert axis.map(np.array([0.0, 10, 20, 50, 100])).tolist() == [0, 0.5, 1, 2.5, 5]
