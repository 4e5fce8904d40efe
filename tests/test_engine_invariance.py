"""What must not change a verdict that is told with confidence: how a run happened to be logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fitdiag import Curve, Diagnosis, Run, Verdict, diagnose

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import NDArray

    Losses = tuple[NDArray[np.float64], NDArray[np.float64]]

#: confidence from which a verdict must stand whatever is done to the log
SURE = 0.9
quick = settings(deadline=None, max_examples=100)


@st.composite
def patterns(draw: Callable[..., Any]) -> Losses:
    """Draw one of the textbook's patterns, of any length from 60 points, with its own noise."""
    n = int(draw(st.integers(60, 400)))
    rng = np.random.default_rng(int(draw(st.integers(0, 10_000))))
    time = np.arange(n) / n
    fall = draw(st.floats(1.0, 3.0)) * np.exp(-draw(st.floats(5, 15)) * time)
    kind = str(draw(st.sampled_from(["ideal", "gap", "overfitting", "memorised", "flat"])))
    train, val = 0.3 + fall, 0.33 + fall
    if kind == "gap":
        val = 0.3 + 0.6 * fall[0] + 0.4 * fall
    elif kind == "overfitting":
        val = val + draw(st.floats(0.5, 3.0)) * np.maximum(time - 0.4, 0)
    elif kind == "memorised":
        val = train[0] * (1 + 0.3 * time)
    elif kind == "flat":
        train, val = np.full(n, 1.9), np.full(n, 1.95)
    noise = draw(st.sampled_from([0.0, 0.003, 0.01, 0.02]))
    return train + noise * rng.normal(size=n), val + noise * rng.normal(size=n)


def judge(train: NDArray[np.float64], val: NDArray[np.float64]) -> Diagnosis:
    return diagnose(Run.from_arrays(train_loss=train, val_loss=val))


def sure(losses: Losses) -> Diagnosis:
    """Diagnose a pattern, passing over those that are not told with confidence."""
    result = judge(*losses)
    assume((result.confidence or 0.0) >= SURE)
    assume("which is ln" not in result.reason)
    return result


@quick
@given(patterns(), st.integers(2, 5))
def test_thinning_the_time_axis(losses: Losses, every: int) -> None:
    """Every second to fifth point alone gives the same verdict, or cannot tell; never another."""
    train, val = losses
    thinned = judge(train[::every], val[::every]).verdict
    assert thinned in {sure(losses).verdict, Verdict.INCONCLUSIVE}


@quick
@given(patterns(), st.floats(-50, -10))
def test_adding_a_constant_to_a_likelihood(losses: Losses, shift: float) -> None:
    """A loss that lies below zero throughout gets the verdict it has further down or up there."""
    train, val = losses
    result = judge(train + shift, val + shift)
    assert judge(train + 3 * shift, val + 3 * shift).verdict == result.verdict


@quick
@given(patterns(), st.integers(2, 6), st.integers(0, 5))
def test_validation_at_its_own_steps(losses: Losses, every: int, offset: int) -> None:
    """Validation every few epochs, between the training points, never gives another verdict."""
    train, val = losses
    steps = np.arange(1.0, train.size + 1)
    run = Run(
        curves={
            "train_loss": Curve(name="train_loss", steps=steps, values=train),
            "val_loss": Curve(
                name="val_loss", steps=steps[offset::every] + 0.5, values=val[offset::every]
            ),
        }
    )
    assert diagnose(run).verdict in {sure(losses).verdict, Verdict.INCONCLUSIVE}


@quick
@given(patterns())
def test_rounding(losses: Losses) -> None:
    """Single precision and four decimals give the same verdict."""
    verdict = sure(losses).verdict
    single = [values.astype(np.float32).astype(np.float64) for values in losses]
    assert judge(single[0], single[1]).verdict == verdict
    assert judge(np.round(losses[0], 4), np.round(losses[1], 4)).verdict == verdict


@quick
@given(patterns(), st.floats(0.02, 1.0), st.floats(2.0, 50.0), st.booleans())
def test_a_single_outlier(losses: Losses, where: float, factor: float, of_train: bool) -> None:
    """One wild value anywhere, the last point included, does not flip a confident verdict."""
    verdict = sure(losses).verdict
    train, val = losses[0].copy(), losses[1].copy()
    hit = train if of_train else val
    hit[int(where * (hit.size - 1))] = factor * hit.max()
    assert judge(train, val).verdict == verdict
