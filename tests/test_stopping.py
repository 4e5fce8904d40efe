"""Stopping: soon after a turn, not on a plateau, and never because of the scale."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from fitdiag import Run
from fitdiag.errors import UsageError
from fitdiag.stopping import BlindStopper, StopConfig, Stopper, StopReason, judge_stop

if TYPE_CHECKING:
    from collections.abc import Iterable


def stop_at(stopper: Stopper, values: Iterable[float]) -> int | None:
    """Return the number of the evaluation at which a stopper stops, from 1."""
    for number, value in enumerate(values, start=1):
        if stopper.update(float(value)).stop:
            return number
    return None


def noisy(values: np.ndarray, level: float, seed: int = 0) -> np.ndarray:
    """Return a curve with noise on it."""
    return values + np.random.default_rng(seed).normal(0, level, values.size)


N = np.arange(300)
#: falls to its minimum at the fortieth evaluation, then rises
TURN = 1 + np.exp(-N / 10) + 0.01 * np.maximum(N - 40, 0)


@pytest.mark.parametrize("seed", range(5))
def test_it_stops_soon_after_the_turn(seed: int) -> None:
    """A curve that turns up is stopped within 30 evaluations, its best one seen."""
    values = noisy(TURN, 0.01, seed)
    at = stop_at(Stopper(), values)
    assert at is not None
    assert int(np.argmin(values)) < at <= 40 + 30


@pytest.mark.parametrize("seed", range(5))
def test_it_does_not_stop_on_a_plateau_before_the_rate_drops(seed: int) -> None:
    """Sixty noisy evaluations at the same height are waited out, and the next fall is seen."""
    steps = np.where(N < 80, 1 + np.exp(-N / 6), 0.6 + 0.4 * np.exp(-(N - 80) / 6.0))
    at = stop_at(Stopper(), noisy(steps[:160], 0.02, seed))
    assert at is None or at > 100


def test_single_spikes_do_not_stop_it() -> None:
    """A curve that falls slowly under high spikes is not stopped."""
    values = 1 / (1 + N / 50)
    values[::7] += 2
    assert stop_at(Stopper(), values) is None


@pytest.mark.parametrize(("factor", "shift"), [(1e-9, 0), (1e9, 0), (3, -100)])
def test_scale_changes_nothing(factor: float, shift: float) -> None:
    """A loss times a constant, or shifted below zero, is stopped at the same evaluation."""
    values = noisy(TURN, 0.01)
    assert stop_at(Stopper(), factor * (values + shift)) == stop_at(Stopper(), values)


def test_large_values_may_be_good() -> None:
    """With mode max a metric is stopped where its mirror image is."""
    values = noisy(TURN, 0.01)
    assert stop_at(Stopper(mode="max"), -values) == stop_at(Stopper(), values)


def test_patience_counts_evaluations() -> None:
    """A number is the evaluations without improvement after which it stops."""
    stopper = Stopper(patience=3)
    assert stop_at(stopper, [3, 2, 1, 1.5, 0.9, 1, 1, 1, 0]) == 8
    decision = stopper.decision
    assert decision.reason is StopReason.PATIENCE
    assert (decision.best, decision.best_step, decision.waited) == (0.9, 5, 3)


@pytest.mark.parametrize(
    ("options", "values", "stops"),
    [
        ({"min_delta": 0.1}, [1, 0.95, 0.94], 3),
        ({"min_delta": 0.1}, [1, 0.95, 0.85], None),
        ({"relative": 0.1}, [1, 0.95, 0.92], 3),
        ({"relative": 0.1}, [1, 0.95, 0.85], None),
        ({"relative": 0.1, "mode": "max"}, [-10, -9.5, -9.2], 3),
        ({"relative": 0.1, "mode": "max"}, [-10, -9.5, -8.9], None),
    ],
)
def test_what_counts_as_an_improvement(
    options: dict[str, float | str], values: list[float], stops: int | None
) -> None:
    """Less than min_delta, absolute or relative to the best value's size, is no improvement."""
    assert stop_at(Stopper(2, **options), values) == stops  # type: ignore[arg-type]


def test_a_decision_says_why() -> None:
    """Reason, sentence and numbers stand in the decision, by evaluation or by given step."""
    stopper = Stopper()
    for number, value in enumerate([2, 1, *np.linspace(1.1, 3, 12)], start=1):
        stopper.update(value, step=100 * number)
    decision = stopper.decision
    assert decision.stop
    assert decision.reason is StopReason.TURNED_UP
    assert str(decision.reason) == "turned_up"
    assert "steadily worse for 12 evaluations: the best was 1 at step 200" in decision.message
    assert decision.pressure == 1
    assert decision.best_step == 200


def test_a_stop_holds_until_there_is_an_improvement() -> None:
    """Asked again it still says stop; a new best value takes it back."""
    stopper = Stopper(patience=1)
    assert stop_at(stopper, [1, 2]) == 2
    assert stopper.update(1.5).stop
    assert not stopper.update(0.5).stop
    assert stopper.decision.improved


def test_broken_evaluations_stop_it() -> None:
    """Three evaluations in a row that are NaN or infinite stop it; fewer do not."""
    stopper = Stopper()
    assert stop_at(stopper, [1, math.nan, math.inf, 0.9, math.nan, math.nan]) is None
    assert stopper.update(math.inf).reason is StopReason.NON_FINITE
    assert "3 evaluations were NaN or infinite" in stopper.decision.message
    assert stop_at(Stopper(mode="max"), [math.nan] * 5) == 3


def test_all_equal_ends_at_some_time() -> None:
    """A metric that never changes is a plateau, which ends, after very long."""
    stopper = Stopper()
    at = stop_at(stopper, [1.0] * 2000)
    assert at is not None
    assert at > 200
    assert stopper.decision.reason is StopReason.PLATEAU


def test_a_plateau_gets_advice_before_it_is_stopped() -> None:
    """On a plateau a lower learning rate is advised, with a patience that fits what was seen."""
    stopper = Stopper()
    values = np.concatenate([np.linspace(2, 1, 20), 1.05 + 0.02 * (np.arange(30) % 3)])
    assert stop_at(stopper, values) is None
    assert "ReduceLROnPlateau(optimizer, patience=10)" in stopper.decision.advice
    assert stopper.update(0.5).advice == ""


def test_less_straight_means_longer() -> None:
    """A setting says how many evaluations a straight rise takes."""
    rise = [1, *np.linspace(1.1, 9, 50)]
    for straight in (4, 10, 20):
        at = stop_at(Stopper(config=StopConfig(straight=straight)), rise)
        assert at is not None
        assert straight + 1 <= at <= straight + 4


def test_going_on_after_an_interruption() -> None:
    """What is saved and loaded in between stops at the same evaluation as what went through."""
    values = noisy(TURN, 0.01).tolist()
    whole = stop_at(Stopper(), values)
    assert whole is not None
    for cut in (0, 1, 30, whole - 1, whole + 1):
        first, second = Stopper(), Stopper()
        for value in values[:cut]:
            first.update(value)
        second.load_state_dict(first.state_dict())
        assert second.decision.stop is first.decision.stop
        if cut < whole:
            at = stop_at(second, values[cut:])
            assert at is not None
            assert cut + at == whole


def test_a_state_of_something_else() -> None:
    """A state that lacks something is refused."""
    with pytest.raises(UsageError, match="no state of early stopping"):
        Stopper().load_state_dict({"epoch": 3})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": 0}, "at least 1, not 0"),
        ({"patience": "soon"}, "'auto' or a number"),
        ({"patience": True}, "'auto' or a number"),
        ({"min_delta": -1}, "min_delta must be a finite number"),
        ({"relative": math.nan}, "relative must be a finite number"),
        ({"min_delta": "x"}, "min_delta must be a number"),
        ({"mode": "up"}, "mode must be 'min' or 'max'"),
    ],
)
def test_arguments_that_make_no_sense(options: dict[str, object], message: str) -> None:
    """A wrong argument is named with its value and the choices."""
    with pytest.raises(UsageError, match=message):
        Stopper(**options)  # type: ignore[arg-type]


def test_it_costs_next_to_nothing() -> None:
    """An evaluation costs microseconds, in a long training as in a short one."""
    stopper = Stopper()
    begin = time.perf_counter()
    for number in range(20_000):
        stopper.update(1 / (1 + number))
    assert time.perf_counter() - begin < 5


def test_blind_it_stops_where_norm_and_loss_collapse() -> None:
    """Without validation it stops when norm and loss have both collapsed, and says it is blind."""
    stopper = BlindStopper()
    at = None
    for number in range(100):
        scale = math.exp(-0.05 * number)
        if stopper.update(2 * scale, 3 * scale if number > 5 else 1.0, number).stop:
            at = number
            break
    assert at is not None
    assert 45 <= at <= 60
    assert stopper.decision.blind
    assert stopper.decision.reason is StopReason.MEMORISING
    assert "Without validation" in stopper.decision.message


def test_blind_it_stops_where_the_loss_rises() -> None:
    """A training loss that rises for good is a break-down; one that falls is none."""
    stopper = BlindStopper()
    decisions = [stopper.update(value, 1.0) for value in [*np.linspace(2, 1, 20), *range(2, 20)]]
    assert not decisions[19].stop
    assert decisions[-1].reason is StopReason.BROKE_DOWN


def test_a_finished_run_is_judged_too() -> None:
    """A run says where it would have been stopped, by any curve, or blind."""
    run = Run.from_arrays(train_loss=np.exp(-N / 20), val_loss=TURN, val_accuracy=-TURN)
    decision, step = judge_stop(run)
    assert decision.reason is StopReason.TURNED_UP
    assert step is not None
    assert 40 < step < 60
    assert judge_stop(run, "val_accuracy", mode="max")[1] == step
    assert judge_stop(run, patience=5)[0].reason is StopReason.PATIENCE
    blind, _ = judge_stop(Run.from_arrays(train_loss=np.exp(-N / 200)))
    assert blind.blind
    assert not blind.stop
    assert judge_stop(Run(curves={}))[1] is None
    with pytest.raises(UsageError, match="it has train_loss, val_accuracy, val_loss"):
        judge_stop(run, "val_f1")
