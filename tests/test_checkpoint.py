"""The pick: after the peak, once settled, lowest denoised validation, never a non-finite one."""

from __future__ import annotations

import numpy as np
import pytest

from fitdiag import Run, diagnose
from fitdiag.checkpoint import PickConfig, find_phases
from fitdiag.signals import measure

N = 100
FALL = np.exp(-0.05 * np.arange(N))
BUMP = np.exp(-0.5 * ((np.arange(N) - 12) / 4) ** 2)
TURN = 0.01 * np.maximum(np.arange(N) - 55, 0)


def test_pick_is_the_lowest_denoised_validation() -> None:
    """With noise on the curve the pick lies near the true minimum, not at a lucky dip."""
    val = 0.4 + 2 * FALL + TURN + np.random.default_rng(0).normal(0, 0.01, N)
    val[90] = val.min() - 0.005
    picked = diagnose(Run.from_arrays(train_loss=2 * FALL, val_loss=val)).checkpoint
    assert picked is not None
    assert 45 <= picked.step <= 80
    assert {a.rule: a.step for a in picked.alternatives}["argmin"] == 91
    assert picked.regret is not None
    assert picked.regret > 0


def test_non_finite_never_wins() -> None:
    """A validation loss of NaN or minus infinity is no candidate."""
    val = 0.4 + 2 * FALL
    val[50], val[60] = -np.inf, np.nan
    picked = diagnose(Run.from_arrays(train_loss=2 * FALL, val_loss=val)).checkpoint
    assert picked is not None
    assert picked.step not in {51, 61}
    assert picked.regret is not None
    assert np.isfinite(picked.regret)


def test_peak_is_the_prominent_one_in_the_transient() -> None:
    """The bump of the norm is the peak, and the run settles after it."""
    run = Run.from_arrays(train_loss=2 * FALL, val_loss=0.4 + 2 * FALL, grad_norm=0.5 + 3 * BUMP)
    phases = diagnose(run).phases
    assert phases is not None
    assert phases.peak == pytest.approx(13, abs=1)
    assert phases.settled is not None
    assert phases.settled > 13


def test_no_peak_constrains_nothing() -> None:
    """A norm that only falls has no peak, and the reason says so."""
    run = Run.from_arrays(train_loss=2 * FALL, val_loss=0.4 + 2 * FALL, grad_norm=0.5 + FALL)
    phases = diagnose(run).phases
    assert phases is not None
    assert phases.peak is None
    assert "no prominent peak" in phases.reason


def test_a_late_peak_is_no_transient() -> None:
    """A norm that rises again while validation overfits is no peak to wait for."""
    late = np.exp(-0.5 * ((np.arange(N) - 85) / 5) ** 2)
    run = Run.from_arrays(
        train_loss=2 * FALL, val_loss=0.4 + 2 * FALL + 3 * TURN, grad_norm=0.5 + FALL + 3 * late
    )
    result = diagnose(run)
    assert result.phases is not None
    assert result.phases.peak is None
    assert result.checkpoint is not None
    assert result.checkpoint.step < 70


def test_the_pick_waits_for_the_peak() -> None:
    """A validation dip before the norm's peak is no candidate."""
    val = 0.4 + 2 * FALL
    val[5] = 0.41
    run = Run.from_arrays(train_loss=2 * FALL, val_loss=val, grad_norm=0.5 + 3 * BUMP)
    picked = diagnose(run).checkpoint
    assert picked is not None
    assert picked.step > 13


def test_blind_pick_stops_before_the_norm_rises() -> None:
    """Without validation the pick is marked blind and lies before the late rise of the norm."""
    norm = 0.5 + FALL + 0.05 * np.maximum(np.arange(N) - 60, 0)
    picked = diagnose(Run.from_arrays(train_loss=2 * FALL, grad_norm=norm)).checkpoint
    assert picked is not None
    assert picked.blind
    assert picked.regret is None
    assert picked.step <= 70


def test_ties_go_to_the_earlier() -> None:
    """Of equal validation losses the first is kept."""
    val = np.maximum(0.4 + 2 * FALL, 0.6)
    picked = diagnose(Run.from_arrays(train_loss=2 * FALL, val_loss=val)).checkpoint
    assert picked is not None
    assert picked.step <= 55


def test_nothing_to_pick() -> None:
    """A run without a finite loss has no checkpoint to keep."""
    assert diagnose(Run.from_arrays(train_loss=[np.nan] * 5)).checkpoint is None
    assert diagnose(Run(curves={})).checkpoint is None


def test_negative_losses_settle_too() -> None:
    """A loss below zero has no baseline to take a share of, and settles by its own fall."""
    run = Run.from_arrays(train_loss=2 * FALL - 3, grad_norm=0.5 + 3 * BUMP)
    phases = find_phases(measure(run), PickConfig())
    assert phases is not None
    assert phases.settled is not None


def test_a_norm_at_its_ceiling_has_not_settled() -> None:
    """A norm that clipping holds at its limit is no settled region, however flat it is."""
    ceiling = np.minimum(1.0, 0.2 + 2 * np.exp(-0.03 * np.maximum(np.arange(N) - 40, 0)))
    run = Run.from_arrays(train_loss=2 * FALL, val_loss=0.4 + 2 * FALL, grad_norm=ceiling)
    phases = diagnose(run).phases
    assert phases is not None
    assert phases.settled is None or phases.settled > 40
