"""What is measured of a curve: noise, the denoised curve, peaks, bursts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal as scipy_signal
from scipy import stats

from fitdiag.run import Curve, Run
from fitdiag.signals import (
    bursts,
    denoise,
    measure,
    noise_level,
    prepare,
    prominences,
    rank_correlation,
    thin,
)


def fall(n: int) -> np.ndarray:
    return 0.3 + 2 * np.exp(-np.arange(n) / (n / 12))


@pytest.mark.parametrize("sigma", [0.003, 0.03, 0.3])
def test_noise_level_finds_the_noise_under_a_trend(sigma: float) -> None:
    """The noise is found within a quarter, although the trend is far larger."""
    noise = np.random.default_rng(1).normal(0, sigma, 400)
    assert np.median(noise_level(fall(400) + noise)) == pytest.approx(sigma, rel=0.25)


def test_noise_level_follows_a_noise_that_changes() -> None:
    """Noise that shrinks tenfold in the second half is seen to do so."""
    sigma = np.where(np.arange(400) < 200, 0.1, 0.01)
    level = noise_level(np.random.default_rng(2).normal(0, sigma))
    assert level[100] > 5 * level[300]


def test_denoise_removes_most_of_the_noise() -> None:
    """The denoised curve is at least three times nearer to the truth than the raw one."""
    truth = fall(400)
    raw = truth + np.random.default_rng(3).normal(0, 0.05, 400)
    smooth, _, _ = denoise(raw)
    assert np.sqrt(np.mean((smooth - truth) ** 2)) < np.sqrt(np.mean((raw - truth) ** 2)) / 3


def test_denoise_keeps_a_steep_beginning() -> None:
    """A curve without noise is left as it is, however steep."""
    truth = fall(60)
    smooth, _, _ = denoise(truth)
    assert np.abs(smooth - truth).max() < 0.02 * np.ptp(truth)


def test_denoise_ignores_a_single_outlier() -> None:
    """One wild point moves the denoised curve by less than the noise."""
    raw = fall(100) + np.random.default_rng(4).normal(0, 0.02, 100)
    wild = raw.copy()
    wild[50] = 40.0
    assert np.abs(denoise(wild)[0] - denoise(raw)[0]).max() < 0.05


@given(
    factor=st.floats(1e-6, 1e6),
    shift=st.floats(-100, 100),
    seed=st.integers(0, 1000),
    n=st.integers(3, 200),
)
@settings(max_examples=60, deadline=None)
def test_denoise_is_equivariant(factor: float, shift: float, seed: int, n: int) -> None:
    """A curve times a constant, or plus one, is denoised to the same curve, scaled and shifted."""
    raw = fall(n) + np.random.default_rng(seed).normal(0, 0.05, n)
    smooth, noise, error = denoise(raw)
    again, louder, wider = denoise((raw + shift) * factor)
    scale = (np.abs(raw).max() + abs(shift)) * factor
    assert np.abs(again - (smooth + shift) * factor).max() < 1e-6 * scale
    assert np.abs(louder - noise * factor).max() < 1e-6 * scale
    assert np.abs(wider - error * factor).max() < 1e-6 * scale


def test_thin_keeps_means_and_maxima() -> None:
    """Thinning averages neighbours, keeps the last step of each group and its maximum."""
    steps, means, high = thin(np.arange(1.0, 7.0), np.array([1.0, 3, 5, 7, 9, 11]), most=3)
    assert steps.tolist() == [2, 4, 6]
    assert means.tolist() == [2, 6, 10]
    assert high.tolist() == [3, 7, 11]


def test_prepare_counts_what_is_not_finite() -> None:
    """NaN and infinity are counted, dated, and left out of the arrays."""
    values = np.array([3.0, np.inf, 2.0, 1.0, np.nan])
    ready = prepare(Curve(name="train_loss", steps=np.arange(1.0, 6.0), values=values))
    assert (ready.count, ready.nonfinite, ready.first_nonfinite) == (5, 2, 2.0)
    assert ready.ends_nonfinite
    assert ready.values.tolist() == [3, 2, 1]


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=60))
def test_prominences_agree_with_scipy(values: list[float]) -> None:
    """Every local maximum has the prominence that scipy gives it."""
    array = np.array(values)
    peaks, _ = scipy_signal.find_peaks(array)
    peaks = peaks[(array[peaks] > array[peaks - 1]) & (array[peaks] > array[peaks + 1])]
    expected = scipy_signal.peak_prominences(array, peaks)[0]
    assert prominences(array, peaks) == pytest.approx(expected)


def test_rank_correlation_agrees_with_scipy() -> None:
    """Without ties it is Spearman's; of a constant it is nought."""
    rng = np.random.default_rng(5)
    left = rng.normal(size=50)
    right = left + rng.normal(size=50)
    assert rank_correlation(left, right) == pytest.approx(stats.spearmanr(left, right).statistic)
    assert rank_correlation(left, np.ones(50)) == 0.0


def test_bursts_compare_with_the_past_only() -> None:
    """A value a hundred times its past is a burst of a hundred; the first values are none."""
    values = np.ones(40)
    values[0] = 50.0
    values[30] = 100.0
    ratio = bursts(values)
    assert ratio[30] == pytest.approx(100.0)
    assert np.delete(ratio, 30).max() <= 1.0


def test_measure_finds_the_parts() -> None:
    """A run's signals are found by the part they play; what is missing is None."""
    facts = measure(Run.from_arrays(train_loss=[3, 2, 1], grad_norm=[1, 2, 1]))
    assert facts.val is None
    assert set(facts.signals()) == {"train_loss", "grad_norm"}


def test_an_exploding_curve_is_denoised_by_its_logarithm() -> None:
    """A loss that grows by many orders keeps its small beginning, and never falls below zero."""
    raw = 10.0 ** np.linspace(0, 30, 31)
    ready = prepare(Curve(name="train_loss", steps=np.arange(31.0), values=raw))
    assert (ready.smooth > 0).all()
    assert ready.smooth[5] == pytest.approx(raw[5], rel=0.2)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80))
@settings(deadline=None)
def test_the_denoised_curve_stays_within_what_was_seen(values: list[float]) -> None:
    """No denoised value is better or worse than every raw one."""
    array = np.array(values)
    smooth, _, _ = denoise(array)
    slack = 1e-9 * (1 + np.abs(array).max())
    assert smooth.min() >= array.min() - slack
    assert smooth.max() <= array.max() + slack


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 16, 25, 200, 400])
def test_curves_denoised_together_are_the_same_as_alone(n: int) -> None:
    """Whatever stands beside a curve, its denoised values are the same to the last digit."""
    rng = np.random.default_rng(n)
    rows = np.stack([fall(n) + rng.normal(0, sigma, n) for sigma in (0.0, 0.01, 0.3)])
    rows[1, n // 2] += 50
    together = denoise(rows)
    for at, row in enumerate(rows):
        for part, alone in zip(together, denoise(row), strict=True):
            assert np.array_equal(part[at], alone)


def test_curves_of_many_lengths_are_measured_as_each_alone() -> None:
    """A run's signals are those of its curves, also where one explodes and lengths differ."""
    rng = np.random.default_rng(3)
    val = np.where(np.arange(200) % 5 == 4, fall(200) + rng.normal(0, 0.1, 200), np.nan)
    norm = np.exp(rng.normal(0, 0.1, 200))
    norm[150:] *= 1e6
    run = Run.from_arrays(train_loss=fall(200), val_loss=val, grad_norm=norm)
    signals = measure(run).signals()
    assert len(signals) == 3
    for name, signal in signals.items():
        assert np.array_equal(signal.smooth, prepare(run.curves[name]).smooth)
