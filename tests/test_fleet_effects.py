"""What makes it so: the statistics are right, and only what is there is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from fitdiag.fleet.association import (
    adjust,
    chi_squared_tail,
    cliff_delta,
    compare_ranks,
    compare_rates,
    compare_within,
    difference_interval,
    fisher_exact,
    median_interval,
    rank,
    wilson_interval,
)
from fitdiag.fleet.effects import FALSE_SHARE, Effect, find_effects
from fitdiag.fleet.panels import describe_effects
from fitdiag.fleet.rows import Row, to_frame

RNG = np.random.default_rng(8)


def make_rows(ends: list[str], **settings: list[Any]) -> list[Row]:
    """Return a run for each end, with its settings."""
    return [
        Row(
            path=f"{at}.csv",
            verdict=end,
            config={
                name: values[at] for name, values in settings.items() if values[at] is not None
            },
        )
        for at, end in enumerate(ends)
    ]


def simulate(seed: int, *, planted: bool, runs: int = 60) -> list[Row]:
    """Return a sweep in which weight decay, rate and width matter, or nothing does."""
    rng = np.random.default_rng(seed)
    rows = []
    for at in range(runs):
        config: dict[str, Any] = {
            "weight_decay": float(rng.choice([0.0, 0.1])),
            "lr": float(10 ** rng.uniform(-4, -1)),
            "width": int(rng.choice([32, 64, 128])),
            "optimizer": str(rng.choice(["adam", "sgd", "lion"])),
            "dropout": float(rng.choice([0.0, 0.1, 0.3])),
            "amp": bool(rng.integers(2)),
            "seed": at,
        }
        overfits, diverges, loss = 0.3, 0.15, float(rng.lognormal())
        if planted:
            overfits = 0.9 if config["weight_decay"] == 0 else 0.15
            diverges = 0.9 if config["lr"] > 0.02 else 0.02
            loss *= 64.0 / config["width"]
        end = "overfitting" if rng.random() < overfits else "ideal"
        end = "diverged" if rng.random() < diverges else end
        rows.append(Row(path=f"{at}.csv", verdict=end, val_best=loss, config=config))
    return rows


def only(rows: list[Row]) -> Effect:
    """Return the one effect that is found."""
    (effect,) = find_effects(rows)
    return effect


@pytest.mark.parametrize("freedom", range(1, 9))
def test_chi_squared_tail_is_scipys(freedom: int) -> None:
    """The closed forms agree with scipy's from the middle to the far tail."""
    for value in (0.0, 0.1, 1.0, 3.3, 20.0, 300.0):
        assert chi_squared_tail(value, freedom) == pytest.approx(stats.chi2.sf(value, freedom))


def test_exact_tests_and_intervals_are_scipys() -> None:
    """Fisher's test, Wilson's interval, Kruskal's test, ranks and corrections agree with scipy."""
    for _ in range(60):
        sizes = RNG.integers(1, 40, 2).tolist()
        hits = [int(RNG.integers(0, size + 1)) for size in sizes]
        table = [[hits[0], sizes[0] - hits[0]], [hits[1], sizes[1] - hits[1]]]
        assert fisher_exact(hits, sizes) == pytest.approx(stats.fisher_exact(table)[1])
        interval = stats.binomtest(hits[0], sizes[0]).proportion_ci(method="wilson")
        assert wilson_interval(hits[0], sizes[0]) == pytest.approx((interval.low, interval.high))
        groups = [np.round(RNG.normal(size=RNG.integers(12, 30)), 1) for _ in range(3)]
        assert compare_ranks(groups) == pytest.approx(stats.kruskal(*groups)[1])
        assert rank(groups[0]) == pytest.approx(stats.rankdata(groups[0]))
        chances = RNG.random(9)
        assert adjust(chances.tolist()) == pytest.approx(stats.false_discovery_control(chances))


def test_permutations_agree_with_exact_probabilities() -> None:
    """Small groups are permuted: the chance is that of the exact distribution."""
    table = [[2, 8, 4], [8, 2, 6]]
    exact = stats.fisher_exact(np.array(table).T, method=stats.MonteCarloMethod(rng=1)).pvalue
    assert compare_rates(table[0], [10, 10, 10]) == pytest.approx(exact, abs=0.025)
    first, second = np.arange(6.0), np.arange(6.0) + 2.5
    exact = stats.mannwhitneyu(first, second, method="exact").pvalue
    assert compare_ranks([first, second]) == pytest.approx(exact, abs=0.025)
    assert compare_ranks([np.ones(6), np.ones(7)]) == compare_rates([0, 0], [5, 5]) == 1.0


def test_intervals_hold_what_they_promise() -> None:
    """Newcombe's interval and the median's hold the truth in about 95 of 100 simulated fleets."""
    held = [0, 0]
    for _ in range(400):
        hits = RNG.binomial(25, 0.7), RNG.binomial(20, 0.2)
        size, low, high = difference_interval((int(hits[0]), 25), (int(hits[1]), 20))
        assert low <= size <= high
        held[0] += low <= 0.5 <= high
        _, low, high = median_interval(RNG.normal(size=23))
        held[1] += low <= 0.0 <= high
    assert min(held) > 365
    assert median_interval(np.arange(3.0)) == (1.0, 0.0, 2.0)
    assert median_interval(np.arange(5001.0))[0] == 2500.0


def test_cliffs_delta_is_by_its_definition() -> None:
    """The delta is the share of pairs that are above less the share below."""
    first, second = RNG.integers(0, 5, 12).astype(float), RNG.integers(0, 5, 9).astype(float)
    pairs = np.sign(first[:, None] - second[None, :])
    assert cliff_delta(first, second) == pytest.approx(pairs.mean())


def test_sentence_tells_rates() -> None:
    """What was found is a sentence with the counts, an interval and the corrected chance."""
    ends = ["overfitting"] * 14 + ["ideal"] * 2 + ["overfitting"] * 3 + ["ideal"] * 14
    effect = only(make_rows(ends, weight_decay=[0.0] * 16 + [0.1] * 17))
    assert effect.sentence == "With weight_decay 0, 14 of 16 runs overfit; with 0.1, 3 of 17."
    assert effect.size == pytest.approx(14 / 16 - 3 / 17)
    assert effect.low is not None
    assert effect.high is not None
    assert 0.3 < effect.low < effect.size < effect.high < 0.9
    assert effect.trend is not None
    assert effect.trend < -0.6
    assert [level.hits for level in effect.levels] == [14, 3]
    assert effect.q <= FALSE_SHARE


def test_nothing_is_found_where_nothing_matters() -> None:
    """Of 80 simulated fleets in which no setting matters, at most about one in 20 shows any."""
    found = sum(bool(len(find_effects(simulate(seed, planted=False)))) for seed in range(80))
    assert found <= 80 * FALSE_SHARE + 2 * (80 * FALSE_SHARE * 0.95) ** 0.5


def test_planted_effects_are_found() -> None:
    """Three planted effects of 60 runs are found in nearly all simulated fleets, and few others."""
    planted = {
        ("weight_decay", "overfitting"),
        ("lr", "divergence"),
        ("width", "best loss"),
    }
    hits = wrong = 0
    for seed in range(30):
        found = {
            (effect.setting, effect.outcome)
            for effect in find_effects(simulate(seed, planted=True))
        }
        hits += len(found & planted)
        # a run that diverges cannot overfit as well, so lr does matter there
        wrong += len(found - planted - {("lr", "overfitting")})
    assert hits >= 80
    assert wrong <= 0.1 * hits


def test_frame_and_rows_tell_the_same() -> None:
    """A table that was written and read gives what the rows give."""
    rows = simulate(3, planted=True)
    assert find_effects(to_frame(rows)).tested == find_effects(rows).tested


def test_settings_that_tell_nothing_are_left_out_and_named() -> None:
    """Constants, seeds, names, counters and rare settings are not compared, and it is said."""
    ends = ["overfitting", "ideal"] * 10
    found = find_effects(
        make_rows(
            ends,
            epochs=[200] * 20,
            seed=list(range(20)),
            output_dir=["a", "b"] * 10,
            tag=[f"run {at}" for at in range(20)],
            number=list(range(3, 23)),
            rare=[1.0, 2.0] * 3 + [None] * 14,
        )
    )
    reasons = {left.setting: left.reason for left in found.left_out}
    assert set(reasons) == {"epochs", "seed", "output_dir", "tag", "number", "rare"}
    assert reasons["epochs"] == "it is the same in all runs that have it"
    assert reasons["number"] == "it counts the runs"
    assert found.tested == ()
    assert found.runs == 20


def test_settings_that_change_together_are_one() -> None:
    """Two settings with one partition are one comparison, which names both."""
    ends = ["overfitting"] * 10 + ["ideal"] * 10
    half = [0] * 10 + [1] * 10
    effect = only(make_rows(ends, zeta=half, weight_decay=[0.1 * at for at in half], alpha=half))
    assert effect.setting == "weight_decay"
    assert effect.others == ("alpha", "zeta")
    assert "Always changes together" in str(
        describe_effects(
            find_effects(make_rows(ends, weight_decay=half, alpha=[-at for at in half]))
        )
    )


def test_settings_that_nearly_change_together_are_named() -> None:
    """Two settings that differ in one run of 40 are both found, and each names the other."""
    ends = ["overfitting"] * 20 + ["ideal"] * 20
    half = [0] * 20 + [1] * 20
    found = find_effects(make_rows(ends, decay=half, warmup=[1, *half[1:]]))
    assert {effect.setting: effect.tangled for effect in found} == {
        "decay": ("warmup",),
        "warmup": ("decay",),
    }


def test_what_another_setting_explains_is_said() -> None:
    """A setting that only follows the one that matters is told from it by comparing like runs."""
    rng = np.random.default_rng(5)
    decay = rng.integers(0, 2, 300)
    follows = np.where(rng.random(300) < 0.8, decay, 1 - decay)
    ends = np.where(rng.random(300) < np.where(decay, 0.2, 0.8), "overfitting", "ideal").tolist()
    rows = make_rows(ends, weight_decay=decay.tolist(), augment=follows.tolist())
    found = {effect.setting: effect.explained for effect in find_effects(rows)}
    assert found == {"weight_decay": (), "augment": ("weight_decay",)}
    assert "Among runs that are alike in weight_decay" in str(describe_effects(find_effects(rows)))


def test_comparison_within_strata_is_the_chi_squared_of_one() -> None:
    """With one stratum the statistic is Pearson's, and Kruskal's for ranks, for nearly n runs."""
    codes = np.repeat([0, 1, 2], 30)
    hits = RNG.random(90) < 0.2 + 0.2 * codes
    table = [np.bincount(codes[hits], minlength=3), np.bincount(codes[~hits], minlength=3)]
    pearson = stats.chi2_contingency(table).statistic * 89 / 90
    one = np.zeros(90, dtype=np.int64)
    assert compare_within(codes, hits.astype(float), one) == pytest.approx(
        stats.chi2.sf(pearson, 2)
    )
    values = RNG.normal(size=90) + 0.3 * codes
    kruskal = stats.kruskal(*(values[codes == code] for code in range(3))).pvalue
    assert compare_within(codes, rank(values), one) == pytest.approx(kruskal)
    assert compare_within(codes, values, np.arange(90)) == 1.0


def test_numbers_with_many_values_are_cut_into_ranges() -> None:
    """A rate that was drawn for each run is compared in four ranges of as many runs."""
    rates = np.linspace(0.001, 0.1, 40).tolist()
    ends = ["ideal"] * 28 + ["diverged"] * 12
    effect = only(make_rows(ends, lr=rates))
    assert [level.runs for level in effect.levels] == [10, 10, 10, 10]
    assert [level.hits for level in effect.levels] == [0, 0, 2, 10]
    assert effect.levels[0].label.startswith("0.001 to ")
    assert effect.sentence.startswith("With lr 0.07715 to 0.1, 10 of 10 runs diverge;")


@pytest.mark.parametrize(
    "values",
    [
        [True, 1, 1.0, "1"] * 10,
        [float("inf"), -1.0] * 20,
        ["<b>", "\u202e", "x" * 9999, "{{ 1 }}"] * 10,
        [10**30, 1e308, -1e308, 5e-324] * 10,
        [float("nan"), 1.0, None, 2.0] * 10,
        [*range(39), 10**12],
    ],
)
def test_any_values_can_be_compared(values: list[Any]) -> None:
    """Values of mixed kinds, huge, infinite or hostile ones are compared without an error."""
    ends = [["overfitting"], ["ideal"], ["diverged"], ["inconclusive"]] * 10
    found = find_effects(make_rows([end for each in ends for end in each], x=values))
    assert found.runs >= 20
    assert all(0 <= effect.p <= effect.q <= 1 for effect in found.tested)
    assert describe_effects(found)["tested"] == len(found.tested)


@pytest.mark.parametrize("rows", [[], make_rows(["ideal"] * 30, lr=[0.1, 0.2] * 15)])
def test_fleets_without_anything_to_compare(rows: list[Row]) -> None:
    """No runs, or runs that all ended alike, give no effects and no error."""
    assert len(find_effects(rows)) == 0
    assert list(find_effects(to_frame(rows))) == []
