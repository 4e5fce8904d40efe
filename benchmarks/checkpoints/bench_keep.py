"""Whether the file that the pick chooses at the end is still there, and how many files that takes.

Recorded runs are replayed, evaluation by evaluation, through the retention of
``record(checkpoints=...)``. At the end the pick is asked as after any training. Without
validation, with ``--blind``, the epochs stand for evaluations.

Run: ``python benchmarks/checkpoints/bench_keep.py [--corpus FOLDER] [--blind] [--every N]``
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "accuracy"))

from sets import algoperf, zoo

from fitdiag import Run, diagnose
from fitdiag.checkpoint_index import Entry
from fitdiag.monitor import Monitor
from fitdiag.recording.checkpoints.retention import choose

if TYPE_CHECKING:
    from collections.abc import Iterable


def replay(run: Run, by: str, keep: int) -> tuple[set[float], int]:
    """Return the steps whose files are there at the end, and the most that there ever were."""
    cells: dict[float, dict[str, float]] = {}
    for curve in run.curves.values():
        for step, value in zip(curve.steps.tolist(), curve.values.tolist(), strict=True):
            cells.setdefault(step, {})[curve.name] = value
    monitor, files, most = Monitor(), list[Entry](), 0
    for step in sorted(cells):
        if by in cells[step]:
            value = cells[step].get("val_loss")
            finite = bool(np.isfinite(cells[step][by]))
            files.append(Entry(name=str(step), step=int(step), value=value, finite=finite))
            kept = choose(files, monitor.run(), keep)
            files = [entry for entry in files if entry.name in kept]
            most = max(most, len(files))
        monitor.add(step, cells[step])
    return {float(entry.name) for entry in files}, most


def score(runs: Iterable[Run], by: str, keep: int) -> None:
    """Print how often the picked file is there, and what is lost where it is not."""
    there, counts, lost, away = 0, [], [], []
    for run in runs:
        if by not in run.curves or len(run.curves[by]) < 3:
            continue
        pick = diagnose(run).checkpoint
        if pick is None:
            continue
        kept, most = replay(run, by, keep)
        counts.append(most)
        there += pick.step in kept
        if pick.step not in kept:
            curve = run.curves[pick.curve]
            values = dict(zip(curve.steps.tolist(), curve.values.tolist(), strict=True))
            best = min(values[s] for s in kept if np.isfinite(values.get(s, np.nan)))
            fall = float(np.nanmax(curve.values[np.isfinite(curve.values)]) - min(values.values()))
            lost.append((best - values[pick.step]) / fall if fall else 0.0)
            away.append(min(abs(s - pick.step) for s in kept) / max(1.0, run.span[1]))
    print(f"{len(counts)} runs; the picked file is there in {there / len(counts):.1%}")
    print(f"files at a time: {np.mean(counts):.1f} in the mean, {max(counts)} at the most")
    if lost:
        worst = f"{max(lost):+.2%} of the curve's range at the worst"
        print(f"where it is not, the best of those there is {worst} above it by {by};")
        print(f"the nearest is {np.median(away):.1%} of the run away (median)")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--keep", type=int, default=3)
    parser.add_argument("--every", type=int, default=1, help="take each so-manieth run")
    options = parser.parse_args()
    sets = {"zoo": [*zoo("tune"), *zoo("test")]}
    if options.corpus:
        sets["algoperf"] = algoperf(options.corpus)
    by = "train_loss" if options.blind else "val_loss"
    for name, labelled in sets.items():
        runs = [one.run for one in labelled[:: options.every]]
        if options.blind:
            curves = [{k: v for k, v in run.curves.items() if "val" not in k} for run in runs]
            runs = [
                Run(curves=c, epochs=run.epochs, unit=run.unit)
                for c, run in zip(curves, runs, strict=True)
            ]
        print(f"\n{name}, keep={options.keep}, by {by}")
        score(runs, by, options.keep)


if __name__ == "__main__":
    main()
