"""How often fitdiag is right, side by side with simpler rules, in one process.

    python benchmarks/accuracy/bench_accuracy.py [--corpus FOLDER] [--test]

Without ``--test`` only the tune part of the zoo is looked at. Without ``--corpus`` only the zoo.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from peer_rules import PEERS
from sets import Labelled, algoperf, deepobs, healthy, overfitguard, zoo

from fitdiag import Diagnosis, Verdict, diagnose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fitdiag import Run

CLASSES = [str(v) for v in Verdict if v is not Verdict.INCONCLUSIVE]


def fitdiag_word(run: Run) -> str:
    return str(diagnose(run).verdict)


JUDGES: dict[str, Callable[[Run], str]] = {"fitdiag": fitdiag_word, **PEERS}


def f1(said: Sequence[str], truth: Sequence[str], word: str) -> float:
    """F1 of one class."""
    hits = sum(a == word == b for a, b in zip(said, truth, strict=True))
    total = said.count(word) + truth.count(word)
    return 2 * hits / total if total else float("nan")


def rate(part: int, whole: int) -> str:
    return f"{part}/{whole} = {part / whole:.3f}" if whole else "none"


def show_zoo(split: str) -> None:
    runs = zoo(split)
    problems = len({run.problem for run in runs})
    print(f"\n## Zoo, {split} part: {len(runs)} runs of {problems} problems")
    print(f"{'':28} accepted  macro-F1  " + "  ".join(f"{word:>14}" for word in CLASSES))
    for name, judge in JUDGES.items():
        said = [judge(item.run) for item in runs]
        accepted = np.mean([word in item.accepted for word, item in zip(said, runs, strict=True)])
        clear = [k for k, item in enumerate(runs) if item.truth]
        words, truths = [said[k] for k in clear], [runs[k].truth for k in clear]
        scores = [f1(words, truths, word) for word in CLASSES]
        cells = "  ".join(f"{score:14.3f}" for score in scores)
        print(f"{name:28} {accepted:8.3f}  {np.nanmean(scores):8.3f}  {cells}")
    show_calibration(runs)
    show_gradients(runs)


def show_calibration(runs: list[Labelled]) -> None:
    """Print the expected calibration error in ten bins of equal width (Guo et al. 2017)."""
    pairs = []
    for item in runs:
        result = diagnose(item.run)
        if result.confidence is not None:
            pairs.append((result.confidence, result.verdict in item.accepted))
    confidence = np.array([c for c, _ in pairs])
    right = np.array([r for _, r in pairs], dtype=float)
    bins = np.minimum((confidence * 10).astype(int), 9)
    error = 0.0
    for k in np.unique(bins):
        inside = bins == k
        error += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
        print(
            f"confidence {k / 10:.1f} to {(k + 1) / 10:.1f}: {inside.sum():3d} verdicts, "
            f"{right[inside].mean():.3f} right, said {confidence[inside].mean():.3f}"
        )
    print(f"expected calibration error {error:.3f}")


def show_gradients(runs: list[Labelled]) -> None:
    alarms: dict[str, list[bool]] = {"explosion": [], "overflow": [], "vanishing": [], "none": []}
    wanted = {
        "explosion": {"GRD001", "GRD005"},
        "overflow": {"GRD001", "GRD003"},
        "vanishing": {"GRD002", "GRD006"},
    }
    either = {"GRD001", "GRD002", "GRD006"}
    for item in runs:
        if item.gradient in alarms:
            codes = {finding.code for finding in diagnose(item.run).findings}
            alarms[item.gradient].append(bool(codes & wanted.get(item.gradient, either)))
    for truth, fired in alarms.items():
        print(f"gradient {truth}: alarm in {rate(sum(fired), len(fired))}")
    show_onsets([item for item in runs if item.gradient in {"explosion", "overflow"}])


def show_onsets(runs: list[Labelled]) -> None:
    """Print how often a caught explosion is named by the record in which it began."""
    near = []
    for item in runs:
        named = [
            finding.evidence[0].start
            for finding in diagnose(item.run).findings
            if finding.code == "GRD001"
        ]
        norm = item.run.get("grad_norm_max", "grad_norm")
        if named and norm is not None:
            here, there = np.searchsorted(norm.steps, [named[0], item.gradient_onset])
            near.append(abs(int(here) - int(there)) <= 1)
    print(f"explosions named within a record of their beginning: {rate(sum(near), len(near))}")


def show_overfitguard(folder: Path) -> None:
    runs = overfitguard(folder)
    print(f"\n## OverfitGuard, simulated: overfit against the rest, {len(runs)} runs")
    truths = [item.truth for item in runs]
    for name, judge in JUDGES.items():
        words = [judge(item.run) for item in runs]
        said = ["overfitting" if word == "overfitting" else "rest" for word in words]
        scores = [f1(said, truths, word) for word in ("overfitting", "rest")]
        caught = sum(a == b == "overfitting" for a, b in zip(said, truths, strict=True))
        false = sum(a == "overfitting" != b for a, b in zip(said, truths, strict=True))
        print(
            f"{name:28} macro-F1 {np.mean(scores):.4f}  "
            f"caught {rate(caught, truths.count('overfitting'))}  "
            f"false alarms {rate(false, truths.count('rest'))}"
        )


def show_deepobs(folder: Path) -> None:
    runs = deepobs(folder)
    print("\n## DeepOBS: learned or not (diverged counts as not learned)")
    lost = {"no_learning", "diverged"}
    for name, judge in JUDGES.items():
        said = {item.name: judge(item.run) in lost for item in runs}
        groups = {
            word: [said[item.name] for item in runs if item.truth == word]
            for word in ("no_learning", "diverged", "collapsed", "learned")
        }
        cells = "  ".join(f"{word} {rate(sum(v), len(v))}" for word, v in groups.items())
        print(f"{name:28} called lost: {cells}")


def show_algoperf(folder: Path) -> None:
    print("\n## AlgoPerf: test loss of the picked checkpoint above the best one, relative")
    regrets: dict[str, list[float]] = {"pick": []}
    for item in algoperf(folder):
        result = diagnose(item.run)
        if result.checkpoint is None or item.table is None:
            continue
        steps, losses = item.table.step.to_numpy(), item.table.test_loss.to_numpy()
        choices = {"pick": result.checkpoint.step}
        choices |= {choice.rule: choice.step for choice in result.checkpoint.alternatives}
        for rule, step in choices.items():
            there = losses[int(np.argmin(np.abs(steps - step)))]
            regrets.setdefault(rule, []).append(float(there / losses.min() - 1))
    for rule, values in regrets.items():
        close = np.mean(np.array(values) < 0.01)
        print(
            f"{rule:14} mean {np.mean(values):.4f}  median {np.median(values):.4f}  "
            f"within 1 %: {close:.3f} of {len(values)}"
        )


def show_healthy(folder: Path) -> None:
    print("\n## Runs that learned: gradient alarms (each is a false one)")
    alarms: dict[str, list[tuple[str, ...]]] = {}
    for item in healthy(folder):
        result = diagnose(item.run)
        alarms.setdefault(item.problem, []).append(_errors(result))
    for kind, fired in alarms.items():
        print(f"{kind:18} {rate(sum(bool(codes) for codes in fired), len(fired))}")


def _errors(result: Diagnosis) -> tuple[str, ...]:
    alarms = {"GRD001", "GRD002", "GRD005", "GRD006"}
    return tuple(finding.code for finding in result.findings if finding.code in alarms)


def show_speed(runs: list[Labelled]) -> None:
    times = []
    for item in runs:
        begin = time.perf_counter()
        diagnose(item.run)
        times.append(1000 * (time.perf_counter() - begin))
    print(f"\ndiagnosing one run: median {statistics.median(times):.2f} ms over {len(times)} runs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, help="folder with the public sets")
    parser.add_argument("--test", action="store_true", help="look at the zoo's test part")
    options = parser.parse_args()
    show_zoo("test" if options.test else "tune")
    if options.corpus:
        show_overfitguard(options.corpus)
        show_deepobs(options.corpus)
        show_algoperf(options.corpus)
        show_healthy(options.corpus)
    show_speed(zoo("tune"))


if __name__ == "__main__":
    main()
