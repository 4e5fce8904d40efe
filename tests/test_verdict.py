"""The verdict: each class on plain curves, the traps, the edges."""

from __future__ import annotations

import numpy as np
import pytest

from fitdiag import Run, Verdict, diagnose
from fitdiag.rules import find_rule

N = 80
FALL = np.exp(-0.08 * np.arange(N))


def noisy(values: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    result: np.ndarray = values + np.random.default_rng(seed).normal(0, sigma, values.size)
    return result


def verdict(train: np.ndarray, val: np.ndarray | None = None) -> Verdict:
    curves = {"train_loss": train} if val is None else {"train_loss": train, "val_loss": val}
    return diagnose(Run.from_arrays(curves)).verdict


@pytest.mark.parametrize("sigma", [0.0, 0.01, 0.03])
@pytest.mark.parametrize(
    ("expected", "train", "val"),
    [
        ("ideal", 0.3 + 2 * FALL, 0.4 + 2 * FALL),
        ("controlled_gap", 0.2 + 2 * FALL, 0.9 + 1.4 * FALL),
        ("overfitting", 0.05 + 2 * FALL, 0.5 + 1.8 * FALL + 0.012 * np.arange(N)),
        ("no_learning", np.full(N, 1.9), np.full(N, 1.92)),
    ],
)
def test_textbook_patterns(expected: str, train: np.ndarray, val: np.ndarray, sigma: float) -> None:
    """The four patterns of the textbook are told apart, with and without noise."""
    assert verdict(noisy(train, sigma, 1), noisy(val, sigma, 2)) == expected


@pytest.mark.parametrize("end", [np.nan, np.inf])
def test_training_that_ends_non_finite_has_diverged(end: float) -> None:
    """A training loss that ends as NaN or infinity has diverged, whatever came before."""
    train = 0.3 + 2 * FALL
    train[60:] = end
    result = diagnose(Run.from_arrays(train_loss=train, val_loss=0.4 + 2 * FALL))
    assert result.verdict == "diverged"
    assert result.judgement.onset == 61


def test_training_that_lost_its_gain_has_diverged() -> None:
    """A training loss that jumps back above its start has diverged."""
    train = 0.3 + 2 * FALL
    train[50:] = 6.0
    assert verdict(train, train + 0.1) == "diverged"


def test_memorising_from_the_first_epoch_is_overfitting() -> None:
    """Random labels: training falls, validation only rises and never had a minimum."""
    assert verdict(0.02 + 2.3 * FALL, 2.35 + 0.04 * np.arange(N)) == "overfitting"


def test_one_bad_epoch_is_not_overfitting() -> None:
    """A single bad validation value flags nothing, not even the last one."""
    val = noisy(0.4 + 2 * FALL, 0.01)
    for bad in (40, N - 1):
        spoiled = val.copy()
        spoiled[bad] = 2.0
        assert verdict(0.3 + 2 * FALL, spoiled) == "ideal"


def test_a_gap_is_not_overfitting() -> None:
    """Validation far above training, but following it, is a controlled gap."""
    assert verdict(0.1 + 2 * FALL, 1.2 + 1.1 * FALL) == "controlled_gap"


def test_flat_at_the_log_of_the_classes_is_no_learning() -> None:
    """Both losses ending flat at ln 10 are those of a constant prediction, whatever the start."""
    loss = noisy(np.log(10) + 3 * np.exp(-0.5 * np.arange(N)), 0.001)
    assert verdict(loss, loss[::1] + 0.0005) == "no_learning"


@pytest.mark.parametrize(
    ("train", "val", "said"),
    [
        (3, 3, "3 usable points"),
        (40, 0, "no validation loss"),
        (40, 2, "2 usable points"),
        (0, 0, "no training loss"),
    ],
)
def test_too_little_is_inconclusive(train: int, val: int, said: str) -> None:
    """Too few points or a missing curve give no verdict, no confidence, and the reason."""
    curves = {"train_loss": 2 - 0.01 * np.arange(train), "val_loss": 2 - 0.01 * np.arange(val)}
    result = diagnose(Run.from_arrays(curves))
    assert result.verdict == "inconclusive"
    assert result.confidence is None
    assert said in result.reason


@pytest.mark.parametrize("factor", [1e-6, 1e-2, 1e3, 1e6])
@pytest.mark.parametrize("rule", ["firing", "quiet"])
def test_verdict_does_not_depend_on_the_unit(factor: float, rule: str) -> None:
    """Losses times a constant give the same verdict on every rule's example that has no ln C."""
    from fitdiag.rules import RULES

    for known in RULES:
        run = getattr(known, rule)()
        scaled = Run.from_arrays(
            {
                name: curve.values * (factor if name.endswith("loss") else 1)
                for name, curve in run.curves.items()
            }
        )
        assert diagnose(scaled).verdict == diagnose(run).verdict, known.code


def test_negative_losses_are_judged_alike() -> None:
    """A likelihood that goes below zero gets the verdict it has when shifted up."""
    train, val = 0.05 + 2 * FALL, 0.5 + 1.8 * FALL + 0.012 * np.arange(N)
    assert verdict(train - 3, val - 3) == verdict(train, val) == "overfitting"
    assert verdict(0.3 + 2 * FALL - 3, 0.4 + 2 * FALL - 3) == "ideal"


def test_train_and_validation_may_have_their_own_steps() -> None:
    """Validation every fifth step gives the verdict of validation at every step."""
    train, val = 0.05 + 2 * FALL, 0.5 + 1.8 * FALL + 0.012 * np.arange(N)
    sparse = np.where(np.arange(N) % 5 == 4, val, np.nan)
    assert verdict(train, sparse) == "overfitting"


def test_confidence_grows_with_the_evidence() -> None:
    """A strong rebound is told with more confidence than one near the limit."""
    rising = np.maximum(np.arange(N) - 30, 0)
    weak = diagnose(Run.from_arrays(train_loss=2 * FALL, val_loss=0.5 + 2 * FALL + 0.008 * rising))
    strong = diagnose(Run.from_arrays(train_loss=2 * FALL, val_loss=0.5 + 2 * FALL + 0.05 * rising))
    assert weak.verdict == strong.verdict == "overfitting"
    assert weak.confidence is not None
    assert strong.confidence is not None
    assert 0.5 <= weak.confidence < strong.confidence <= 1


@pytest.mark.parametrize("end", np.linspace(0.65, 3.2, 18))
def test_converging_near_the_log_of_a_number_is_learning(end: float) -> None:
    """A run that falls by far and settles anywhere, ln 10 included, has learned."""
    train = noisy(end + 4 * FALL, 0.002)
    assert verdict(train, train + 0.002) == "ideal"


def test_divergence_begins_where_the_loss_takes_off() -> None:
    """The onset is where the loss leaves its floor, not the lowest point long before."""
    train = 0.3 + 2 * FALL
    train[30:60] = train[30:60] + 1e-4
    train[60:] = 0.3 + 0.5 * np.arange(1, N - 59)
    onset = diagnose(Run.from_arrays(train_loss=train, val_loss=train + 0.1)).judgement.onset
    assert onset is not None
    assert 57 <= onset <= 62


def test_batch_losses_tell_a_divergence_within_the_first_epoch() -> None:
    """A run of one epoch, with a single training loss, is judged by its batch losses."""
    batch = np.append(2 * FALL, 10.0 ** np.arange(20))
    train = np.full(batch.size, np.nan)
    train[-1] = 1e9
    result = diagnose(Run.from_arrays(train_loss=train, batch_loss=batch))
    assert result.verdict == "diverged"


def test_a_gap_that_grows_is_said_to_grow() -> None:
    """Validation that levels off while training falls on has a gap that is not called stable."""
    train = 2.3 * np.exp(-0.04 * np.arange(N))
    result = diagnose(Run.from_arrays(train_loss=train, val_loss=np.maximum(train, 1.5)))
    assert result.verdict == "controlled_gap"
    assert "still grows" in result.reason
    assert "stable" not in result.reason


def test_evidence_values_are_what_their_labels_say() -> None:
    """The rise and the gap in the evidence are differences, and the limits are theirs."""
    val = 0.5 + 1.8 * FALL + 0.012 * np.arange(N)
    rise = diagnose(Run.from_arrays(train_loss=0.05 + 2 * FALL, val_loss=val)).judgement.evidence[0]
    assert rise.value == pytest.approx(val[-1] - val.min(), rel=0.1)
    assert rise.limit is not None
    assert 0 < rise.limit < val[-1] - val.min()
    wide = Run.from_arrays(train_loss=0.2 + 2 * FALL, val_loss=0.9 + 1.4 * FALL)
    gap = diagnose(wide).judgement.evidence[0]
    assert gap.value == pytest.approx(0.7, abs=0.02)


def test_advice_on_a_cause_comes_before_that_on_its_symptom() -> None:
    """Where nothing is learned and the gradient died, the first advice is about the gradient."""
    vanishing = diagnose(find_rule("GRD006").firing())
    codes = {finding.code for finding in vanishing.findings}
    assert {"FIT001", "GRD006"} <= codes
    assert vanishing.advice()[0].startswith("Replace sigmoid")
