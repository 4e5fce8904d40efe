"""Runs and curves: immutable facts with checked axes."""

from __future__ import annotations

import numpy as np
import pytest

from fitdiag.errors import UsageError
from fitdiag.run import Curve, Run, StepUnit, measured

NAN = float("nan")


def test_curve_refuses_lengths_that_differ() -> None:
    """A curve with more values than steps is refused with both numbers named."""
    with pytest.raises(UsageError, match="2 steps but 3 values"):
        Curve(name="val_loss", steps=np.array([1.0, 2.0]), values=np.array([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("steps", [[1, 1, 2], [2, 1, 3], [1, NAN, 3]])
def test_curve_refuses_steps_that_do_not_increase(steps: list[float]) -> None:
    """Steps must be finite and strictly increasing, since everything downstream relies on it."""
    with pytest.raises(UsageError, match="finite and increasing"):
        Curve(name="lr", steps=np.array(steps), values=np.zeros(3))


def test_curve_refuses_tables() -> None:
    """A two-dimensional array is no curve."""
    with pytest.raises(UsageError, match="one-dimensional"):
        Curve(name="lr", steps=np.zeros((2, 2)), values=np.zeros((2, 2)))


def test_curve_is_immutable_and_detached() -> None:
    """Changing the array that a curve was made from does not change the curve."""
    values = np.array([1.0, 2.0])
    curve = Curve(name="lr", steps=np.array([1.0, 2.0]), values=values)
    values[0] = 9.0
    assert curve.values.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        curve.values[0] = 3.0


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([1, 2, 3], [True, True, True]),
        ([NAN, 1, NAN, 2, NAN], [False, True, False, True, False]),
        ([1, 2, NAN, NAN, NAN], [True] * 5),
        ([1, 2, NAN, NAN], [True, True, False, False]),
        (
            [NAN, NAN, 1, NAN, NAN, 1, NAN, NAN],
            [False, False, True, False, False, True] + [False] * 2,
        ),
        ([NAN, NAN], [True, True]),
        ([], []),
    ],
)
def test_measured_tells_empty_from_nan(cells: list[float], expected: list[bool]) -> None:
    """NaN between values is an empty cell; a long stretch of it at the end is a lost loss."""
    assert measured(np.array(cells, dtype=float)).tolist() == expected


def test_from_arrays_keeps_each_curves_own_steps() -> None:
    """A validation loss every second row has half the steps of the training loss."""
    run = Run.from_arrays(train_loss=[4, 3, 2, 1], val_loss=[NAN, 3, NAN, 2])
    assert run.curves["train_loss"].steps.tolist() == [1, 2, 3, 4]
    assert run.curves["val_loss"].steps.tolist() == [2, 4]


def test_train_loss_falls_back_to_batch_loss() -> None:
    """A run with batch losses alone is judged by them."""
    run = Run.from_arrays(batch_loss=[3.0, 2.0])
    assert run.train_loss is run.curves["batch_loss"]
    assert run.val_loss is None


def test_moment_prefers_epochs() -> None:
    """A step is named by its epoch where the log tells it, and by its unit otherwise."""
    known = Run.from_arrays(steps=[100, 200], epochs=[1, 2], train_loss=[2.0, 1.0])
    assert known.moment(200) == "epoch 2"
    assert known.moment(150) == "epoch 1.5"
    assert Run.from_arrays(train_loss=[2.0, 1.0]).moment(1200) == "step 1,200"
    assert Run.from_arrays(unit="epoch", train_loss=[2.0]).moment(7) == "epoch 7"
    assert Run.from_arrays(unit=StepUnit.ROW, train_loss=[2.0]).moment(7) == "row 7"


def test_span_covers_all_curves() -> None:
    """The span runs from the first step of any curve to the last of any; an empty run has none."""
    assert Run.from_arrays(train_loss=[1, 2, 3], val_loss=[NAN, 3, NAN]).span == (1.0, 3.0)
    assert Run(curves={}).span == (0.0, 0.0)


def test_metrics_are_what_is_left() -> None:
    """Losses, norms and learning rates are no metrics; everything else is."""
    run = Run.from_arrays(train_loss=[1, 2], lr=[1, 1], val_accuracy=[0.1, 0.2])
    assert [curve.name for curve in run.metrics()] == ["val_accuracy"]
