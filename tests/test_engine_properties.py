"""What must hold of the engine for every curve, tried with generated ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fitdiag
from fitdiag import Curve, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

NAMES = ("train_loss", "val_loss", "batch_loss", "grad_norm", "grad_norm_max", "lr", "val_accuracy")
anything = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True)
quick = settings(deadline=None, max_examples=100)


@st.composite
def trainings(draw: Callable[..., float]) -> dict[str, Array]:
    """Draw two losses that look like a training: a fall, perhaps a turn, noise."""
    length = int(draw(st.integers(12, 150)))
    seed = int(draw(st.integers(0, 10_000)))
    rate, noise = draw(st.floats(0.01, 0.3)), draw(st.sampled_from([0.0, 0.003, 0.02, 0.1]))
    fall, floor = draw(st.floats(0.0, 3.0)), draw(st.floats(0.01, 2.0))
    gap, turn = draw(st.floats(0.0, 1.0)), draw(st.sampled_from([0.0, 0.0, 0.003, 0.02]))
    time = np.arange(length)
    random = np.random.default_rng(seed)
    train = floor + fall * np.exp(-rate * time) + noise * random.normal(size=length)
    val = floor + gap + fall * np.exp(-rate * time) + turn * np.maximum(time - length / 3, 0)
    return {"train_loss": train, "val_loss": val + noise * random.normal(size=length)}


@st.composite
def wild_runs(draw: Callable[..., object]) -> Run:
    """Draw a run of any curves with any values, NaN and infinity among them."""
    curves = []
    for name in NAMES:
        values = draw(st.none() | st.lists(anything, max_size=40))
        if isinstance(values, list):
            start, gap = draw(st.integers(0, 5)), draw(st.integers(1, 3))
            assert isinstance(start, int)
            assert isinstance(gap, int)
            steps = start + gap * np.arange(len(values), dtype=float)
            curves.append(Curve(name=name, steps=steps, values=np.array(values, dtype=float)))
    return Run(curves={curve.name: curve for curve in curves})


def training(curves: dict[str, Array], unit: int = 1) -> Run:
    """Return a run of two losses, with steps that are so far apart."""
    steps = unit * np.arange(1, curves["train_loss"].size + 1)
    return Run.from_arrays(
        steps=steps, train_loss=curves["train_loss"], val_loss=curves["val_loss"]
    )


def verdict(curves: dict[str, Array]) -> str:
    """Return the verdict on arrays, passing over those that end at ln C, which has a scale."""
    judgement = fitdiag.diagnose(training(curves)).judgement
    assume("which is ln" not in judgement.reason)
    return judgement.verdict.value


@quick
@given(trainings(), st.floats(-6, 6))
def test_verdict_ignores_the_scale_of_the_loss(curves: dict[str, Array], power: float) -> None:
    """A loss in another unit, from a millionth to a million times, gets the same verdict."""
    scaled = {name: values * 10.0**power for name, values in curves.items()}
    assert verdict(scaled) == verdict(curves)


@quick
@given(trainings(), st.sets(st.integers(1, 11), min_size=1, max_size=6))
def test_verdict_ignores_nan_rows(curves: dict[str, Array], where: set[int]) -> None:
    """Measurements of NaN between the others, before the last of them, change no verdict."""
    plain = training(curves)
    between = np.array(sorted(where)) + 0.5
    holed = []
    for curve in plain.curves.values():
        places = np.searchsorted(curve.steps, between)
        steps = np.insert(curve.steps, places, between)
        values = np.insert(curve.values, places, np.nan)
        holed.append(Curve(name=curve.name, steps=steps, values=values))
    judgement = fitdiag.diagnose(Run(curves={curve.name: curve for curve in holed})).judgement
    assert judgement.verdict is fitdiag.diagnose(plain).verdict


@quick
@given(trainings(), st.integers(2, 1000))
def test_verdict_ignores_the_unit_of_time(curves: dict[str, Array], factor: int) -> None:
    """Steps counted in another unit give the same verdict, and the same checkpoint."""
    plain = fitdiag.diagnose(training(curves))
    other = fitdiag.diagnose(training(curves, unit=factor))
    assert other.verdict is plain.verdict
    assert plain.checkpoint is not None
    assert other.checkpoint is not None
    assert other.checkpoint.step == pytest.approx(plain.checkpoint.step * factor)


@settings(deadline=None, max_examples=300)
@given(wild_runs())
def test_any_run_gives_a_diagnosis_in_strict_json(run: Run) -> None:
    """No curves of any length or values break the engine, and its answer is strict JSON."""
    diagnosis = fitdiag.diagnose(run)
    document = json.loads(json.dumps(diagnosis.to_dict(), allow_nan=False))
    assert document["format"] == 1
    assert document["verdict"] in {verdict.value for verdict in fitdiag.Verdict}
    assert diagnosis.confidence is None or 0.0 <= diagnosis.confidence <= 1.0
    assert (diagnosis.confidence is None) == (diagnosis.verdict is fitdiag.Verdict.INCONCLUSIVE)
    told = len(diagnosis.findings) + len(diagnosis.skipped) + len(diagnosis.passed)
    assert told == len(fitdiag.Config().rules)


@settings(deadline=None, max_examples=100)
@given(wild_runs())
def test_the_pick_is_a_point_of_the_curve_it_names(run: Run) -> None:
    """The checkpoint to keep lies on a finite point of the curve that it was chosen by."""
    checkpoint = fitdiag.diagnose(run).checkpoint
    if checkpoint is None:
        return
    curve = run.curves[checkpoint.curve]
    assert checkpoint.step in curve.steps[np.isfinite(curve.values)]
    assert checkpoint.blind == (checkpoint.curve != "val_loss")
