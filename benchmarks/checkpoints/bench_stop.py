"""How soon a training is stopped after its best evaluation, and how often before it.

    python benchmarks/checkpoints/bench_stop.py [--corpus FOLDER] [--test]

A run succeeds when its best evaluation was seen before the stop; the delay is counted from there.
Each patience is set against ``"auto"`` with the smallest ``straight`` that succeeds as often.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from histories import blinded, stopped_runs, zoo_histories

from fitdiag import diagnose
from fitdiag.run import Curve, Run
from fitdiag.stopping import StopConfig, Stopper, judge_stop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PATIENCES = (1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 100)
#: settings of ``straight`` that are tried
STRAIGHTS = tuple(np.unique(np.round(np.geomspace(0.5, 200, 70), 1)))
CLOSE = 0.01


class Outcome(NamedTuple):
    """Share of runs whose best was seen, and median and mean delay of those."""

    rate: float
    median: float
    mean: float


def stop_at(stopper: Stopper, values: Array) -> int:
    """Return the index at which a stopper stops, or the last."""
    for index, value in enumerate(values.tolist()):
        if stopper.update(value).stop:
            return index
    return int(values.size) - 1


def best_of(values: Array) -> int:
    return int(np.argmin(np.where(np.isfinite(values), values, np.inf)))


def score(curves: Sequence[Array], stops: Sequence[int]) -> Outcome:
    delays = np.array([stop - best_of(c) for stop, c in zip(stops, curves, strict=True)])
    seen = delays >= 0
    if not seen.any():
        return Outcome(0.0, float("nan"), float("nan"))
    return Outcome(float(seen.mean()), float(np.median(delays[seen])), float(delays[seen].mean()))


def auto(curves: Sequence[Array], straight: float) -> Outcome:
    config = StopConfig(straight=straight)
    return score(curves, [stop_at(Stopper(config=config), curve) for curve in curves])


def show_overfit(name: str, curves: Sequence[Array]) -> None:
    """Print each patience beside the setting of ``"auto"`` that succeeds as often."""
    settings = [(straight, auto(curves, straight)) for straight in STRAIGHTS]
    print(f"\n## {name}: {len(curves)} runs\n")
    print("| patience | rate | delay, median (mean) | auto, straight | rate | delay | ratio |")
    print("| --: | --: | --: | --: | --: | --: | --: |")
    for patience in PATIENCES:
        ours = score(curves, [stop_at(Stopper(patience), curve) for curve in curves])
        equal = [item for item in settings if item[1].rate >= ours.rate]
        if not equal:
            print(f"| {patience} | {ours.rate:.3f} | {ours.median:.1f} ({ours.mean:.1f}) | - |")
            continue
        straight, them = min(equal, key=lambda item: item[1].median)
        print(
            f"| {patience} | {ours.rate:.3f} | {ours.median:.1f} ({ours.mean:.1f}) | "
            f"{straight:g} | {them.rate:.3f} | {them.median:.1f} ({them.mean:.1f}) | "
            f"{them.median / ours.median:.2f} |"
        )
    default = auto(curves, StopConfig().straight)
    print(
        f'\npatience="auto" as it is: rate {default.rate:.3f}, median delay {default.median:.1f}, '
        f"mean {default.mean:.1f}"
    )


def show_others(name: str, curves: Sequence[Array]) -> None:
    """Print what a stop costs where nothing overfits: what was missed, and how much was run."""
    print(f"\n## {name}: {len(curves)} runs\n")
    print("| patience | best within 1 % of the fall | mean missed, share of the fall | share run |")
    print("| --- | --: | --: | --: |")
    waits: tuple[int | str, ...] = (5, 10, 20, 50, 100, "auto")
    for patience in waits:
        missed, used = [], []
        for curve in curves:
            finite = curve[np.isfinite(curve)]
            if finite.size < 2:
                continue
            stop = stop_at(Stopper(patience), curve)
            seen = curve[: stop + 1]
            seen = seen[np.isfinite(seen)]
            fall = float(finite[0] - finite.min())
            missed.append(float(seen.min() - finite.min()) / fall if fall > 0 else 0.0)
            used.append((stop + 1) / curve.size)
        shares = np.array(missed)
        print(
            f"| {patience} | {np.mean(shares <= CLOSE):.1%} | {np.minimum(shares, 1).mean():.4f} | "
            f"{np.mean(used):.2f} |"
        )


def show_blind(split: str) -> None:
    """Print the blind pick's regret with and without a blind stop before it."""
    items = [*zoo_histories(split), *zoo_histories(split, validated=False)]
    whole, stopped, last, used = [], [], [], []
    for item in items:
        run = blinded(item.run)
        _, step = judge_stop(run)
        end = float(item.steps[-1]) if step is None else step
        picks = [diagnose(one).checkpoint for one in (run, cut(run, end))]
        if picks[0] is None or picks[1] is None:
            continue
        whole.append(min(item.regret(picks[0].step), 1.0))
        stopped.append(min(item.regret(picks[1].step), 1.0))
        last.append(min(item.regret(end), 1.0))
        used.append(end / float(item.steps[-1]))
    print(f"\n## Blind stop, zoo, {split} part: {len(whole)} runs\n")
    print(
        f"blind pick of the whole run {np.mean(whole):.4f}, of the stopped one "
        f"{np.mean(stopped):.4f}, its last checkpoint {np.mean(last):.4f}; "
        f"share run {np.mean(used):.2f}"
    )


def cut(run: Run, end: float) -> Run:
    """Return what of a run had been seen by a step."""
    kept = {
        name: Curve(
            name=name,
            steps=curve.steps[curve.steps <= end],
            values=curve.values[curve.steps <= end],
        )
        for name, curve in run.curves.items()
    }
    return Run(curves=kept, unit=run.unit, epochs=run.epochs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, help="folder with the public sets")
    parser.add_argument("--test", action="store_true", help="look at the zoo's test part")
    options = parser.parse_args()
    split = "test" if options.test else "tune"
    for name, curves, overfits in stopped_runs(split, options.corpus):
        (show_overfit if overfits else show_others)(name, curves)
    show_blind(split)


if __name__ == "__main__":
    main()
