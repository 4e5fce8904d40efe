"""The pick by any metric, where little or much is at stake, and without validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fitdiag import Config, Run, diagnose
from fitdiag.checkpoint import PickConfig, parse_metric
from fitdiag.errors import UsageError

if TYPE_CHECKING:
    from fitdiag.findings import Checkpoint

N = 100
FALL = np.exp(-0.05 * np.arange(N))
TURN = 0.01 * np.maximum(np.arange(N) - 55, 0)


def pick_of(config: Config | None = None, **curves: Any) -> Checkpoint:
    """Return the pick of a run of these curves."""
    picked = diagnose(Run.from_arrays(train_loss=2 * FALL, **curves), config).checkpoint
    assert picked is not None
    return picked


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("val_accuracy:max", "max"),
        ("val_accuracy : MAX", "max"),
        ("val_loss", "min"),
        ("eval/wer", "min"),
        ("val_f1", "max"),
        ("top1", "max"),
        ("anything:min", "min"),
    ],
)
def test_a_metric_has_a_direction(text: str, direction: str) -> None:
    """The direction stands behind a colon, or shows in the name."""
    assert parse_metric(text).direction == direction


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("val_accuracy:up", "the choices are min and max"),
        ("lr", "write lr:min or lr:max"),
        ("loss_score", "write loss_score:min"),
        (":max", "names no curve"),
        ("", "names no curve"),
    ],
)
def test_a_metric_that_makes_no_sense(text: str, message: str) -> None:
    """What has no name or no direction is an error that says what to write."""
    with pytest.raises(UsageError, match=message):
        parse_metric(text)


def test_the_largest_of_a_metric_is_picked() -> None:
    """With a direction the highest value wins, and the regret is against it."""
    accuracy = 0.9 - 0.5 * FALL - 0.002 * np.maximum(np.arange(N) - 70, 0)
    curves = {"val_loss": 0.4 + 2 * FALL + TURN, "val_accuracy": accuracy}
    by_loss = pick_of(**curves)
    picked = pick_of(Config(metric="val_accuracy:max"), **curves)
    assert picked.curve == "val_accuracy"
    assert picked.direction == "max"
    assert picked.value == pytest.approx(accuracy.max(), abs=0.01)
    assert picked.step > by_loss.step
    assert "highest val accuracy" in picked.reason
    assert {other.rule: other.value for other in picked.alternatives}["argmin"] == accuracy.max()


def test_a_metric_is_found_by_the_log_s_own_name() -> None:
    """A metric may be named without its val_, and one that is not there lists those that are."""
    accuracy = 0.9 - 0.5 * FALL
    assert pick_of(Config(metric="accuracy"), val_accuracy=accuracy).curve == "val_accuracy"
    with pytest.raises(UsageError, match="it has train_loss, val_accuracy"):
        pick_of(Config(metric="val_f1:max"), val_accuracy=accuracy)


def test_nothing_finite_in_the_metric() -> None:
    """A metric that was never finite has no pick."""
    run = Run.from_arrays(train_loss=[2, 1, 0.5], val_accuracy=[np.inf, np.inf, np.inf])
    assert diagnose(run, Config(metric="val_accuracy")).checkpoint is None


def test_where_little_is_at_stake_the_raw_value_counts() -> None:
    """A dip of less than a few hundredths of the fall is taken as it was measured."""
    val = 0.4 + 2 * FALL
    val[80] = val.min() - 0.01
    assert pick_of(val_loss=val).step == 81


def test_an_isolated_dip_is_doubted_where_much_is_at_stake() -> None:
    """A single value far beneath both neighbours does not win over a calm region as good."""
    rng = np.random.default_rng(3)
    val = 0.4 + 2 * FALL
    val[60:] += rng.uniform(0.5, 1.0, 40)
    val[80] = val[:60].min() - 0.02
    picked = pick_of(val_loss=val)
    assert picked.step <= 60
    assert picked.regret is not None
    assert picked.regret > 0
    assert "doubted" in picked.reason
    assert pick_of(Config(pick=PickConfig(own_share=1.0)), val_loss=val).step == 81


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("shift", [0.0, -5.0])
def test_the_pick_does_not_change_with_the_scale(factor: float, shift: float) -> None:
    """A loss that is multiplied by a constant, or negative, is picked at the same step."""
    val = 0.4 + 2 * FALL + TURN + np.random.default_rng(1).normal(0, 0.05, N)
    run = Run.from_arrays(train_loss=2 * FALL, val_loss=val)
    turned = Run.from_arrays(train_loss=2 * FALL, val_loss=factor * (val + shift))
    first, second = diagnose(run).checkpoint, diagnose(turned).checkpoint
    assert first is not None
    assert second is not None
    assert first.step == second.step


def test_memorising_is_picked_earlier_when_blind() -> None:
    """A norm that collapses along with the training loss moves the blind pick to the front."""
    norm = 0.2 + 2 * np.exp(-0.5 * ((np.arange(N) - 10) / 6) ** 2)
    collapsed = pick_of(grad_norm=np.maximum(norm * np.exp(-0.08 * np.arange(N)), 1e-4))
    steady = pick_of(grad_norm=norm + 1)
    assert collapsed.blind
    assert "memorises" in collapsed.reason
    assert collapsed.step < 50
    assert steady.step > 90


def test_blind_without_a_norm_says_so() -> None:
    """With the training loss alone the pick is its denoised minimum, marked as blind."""
    picked = pick_of()
    assert picked.blind
    assert picked.step > 90
    assert "no gradient norm" in picked.reason
