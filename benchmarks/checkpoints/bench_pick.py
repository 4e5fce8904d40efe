"""How good the picked checkpoint is, by a test loss that the pick never saw.

    python benchmarks/checkpoints/bench_pick.py [--corpus FOLDER] [--test]

Without ``--test`` only the tune part of the zoo is looked at. Without ``--corpus`` only the zoo.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from histories import History, algoperf_histories, blinded, zoo_histories

from fitdiag import diagnose
from fitdiag.signals import prepare

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from fitdiag import Curve

    Array = NDArray[np.float64]

PATIENCES = (5, 10, 20)
#: a model that is worse than the constant predictor is worth no less than it
WORTHLESS = 1.0
CLOSE = 0.01


def keep_with_patience(values: Array, patience: int) -> int:
    """Return the index of the best value that was seen before patience ran out."""
    best = 0
    for index, value in enumerate(values):
        if value < values[best]:
            best = index
        elif index - best >= patience:
            break
    return best


def rules(curve: Curve) -> dict[str, float]:
    """Return the steps that simple rules keep."""
    raw = np.where(np.isfinite(curve.values), curve.values, np.inf)
    signal = prepare(curve)
    kept = {
        "lowest raw value": float(curve.steps[int(np.argmin(raw))]),
        "lowest denoised value": float(signal.steps[int(np.argmin(signal.smooth))]),
        "last": float(curve.steps[-1]),
    }
    for patience in PATIENCES:
        where = curve.steps[keep_with_patience(raw, patience)]
        kept[f"lowest before patience {patience}"] = float(where)
    return kept


def collect(histories: Iterable[History]) -> dict[str, Array]:
    """Return the regrets of each rule over the runs."""
    found: dict[str, list[float]] = {}
    for item in histories:
        curve, pick = item.run.val_loss, diagnose(item.run).checkpoint
        if curve is None or pick is None:
            continue
        steps = {"fitdiag's pick": pick.step, **rules(curve)}
        settled = [other.step for other in pick.alternatives if other.rule == "first settled"]
        steps["first after settling"] = settled[0] if settled else pick.step
        for rule, step in steps.items():
            found.setdefault(rule, []).append(item.regret(step))
    return {rule: np.array(values) for rule, values in found.items()}


def show(title: str, found: dict[str, Array]) -> None:
    """Print a table of regrets; the ratio is that of the means to the lowest raw value's."""
    base = capped_mean(found["lowest raw value"])
    print(f"\n## {title}: {len(next(iter(found.values())))} runs\n")
    print("| rule | mean | ratio | median | 90th percentile | largest | within 1 % |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    for rule, values in found.items():
        capped = np.minimum(values, WORTHLESS)
        print(
            f"| {rule} | {capped.mean():.6f} | {capped.mean() / base:.3f} | "
            f"{np.median(capped):.6f} | {np.percentile(capped, 90):.4f} | {capped.max():.3f} | "
            f"{np.mean(values <= CLOSE):.1%} |"
        )
    ours, raw = found["fitdiag's pick"], found["lowest raw value"]
    print(
        f"\nAgainst the lowest raw value: better in {np.sum(ours < raw)}, worse in "
        f"{np.sum(ours > raw)}, the same in {np.sum(ours == raw)} runs."
    )


def capped_mean(values: Array) -> float:
    return float(np.minimum(values, WORTHLESS).mean())


def show_blind(split: str) -> None:
    """Print what is lost without validation, whose curves are taken away from the pick."""
    items = [*zoo_histories(split), *zoo_histories(split, validated=False)]
    found: dict[str, list[float]] = {"blind pick": [], "lowest training loss": [], "last": []}
    for item in items:
        run = blinded(item.run)
        pick, train = diagnose(run).checkpoint, run.train_loss
        if pick is None or train is None:
            continue
        signal = prepare(train)
        found["blind pick"].append(item.regret(pick.step))
        found["lowest training loss"].append(
            item.regret(float(signal.steps[int(np.argmin(signal.smooth))]))
        )
        found["last"].append(item.regret(float(item.steps[-1])))
    print(f"\n## Blind, zoo, {split} part: {len(found['last'])} runs\n")
    print("| rule | mean of finite | broken | mean, at most 1 | ratio to last | median |")
    print("| --- | --: | --: | --: | --: | --: |")
    last = capped_mean(np.array(found["last"]))
    for rule, regrets in found.items():
        values = np.array(regrets)
        finite = values[np.isfinite(values)]
        print(
            f"| {rule} | {finite.mean():.3f} | {np.sum(~np.isfinite(values))} | "
            f"{capped_mean(values):.4f} | {capped_mean(values) / last:.3f} | "
            f"{np.median(values):.4f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, help="folder with the public sets")
    parser.add_argument("--test", action="store_true", help="look at the zoo's test part")
    options = parser.parse_args()
    split = "test" if options.test else "tune"
    show(f"Zoo, {split} part, share of the gain", collect(zoo_histories(split)))
    show_blind(split)
    if options.corpus:
        show("AlgoPerf, relative test loss", collect(algoperf_histories(options.corpus)))


if __name__ == "__main__":
    main()
