"""How long a report takes from process start, beside a bare script that only draws the log.

Run from anywhere: ``python benchmarks/report/bench_report.py`` (``--rounds 15 --rows 200``).
Every round runs each command once, in turn, so that a busy machine is busy for all of them; the
figures are medians, and ratios of medians to the bare script's.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

#: what people write themselves: read the log, draw two panels, save one picture
BARE = """
import sys
import pandas as pd
import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot as plt
frame = pd.read_csv(sys.argv[1])
figure, (top, bottom) = plt.subplots(2, 1, figsize=(7, 6))
top.plot(frame.epoch, frame.train_loss, label="train")
top.plot(frame.epoch, frame.val_loss, label="val")
top.legend()
bottom.semilogy(frame.epoch, frame.grad_norm)
figure.savefig(sys.argv[2])
"""

#: reads the log and does nothing else
READ = "import sys, pandas as pd; pd.read_csv(sys.argv[1])"

#: what each command may cost at the most, as a multiple of the bare script
TARGETS = {"text": 0.5, "html": 0.6, "everything": 1.2}


def write_log(path: Path, rows: int) -> None:
    """Write a log of so many rows of a run that overfits."""
    rng = np.random.default_rng(0)
    share = np.arange(rows) / rows
    columns = {
        "step": np.arange(1, rows + 1) * 30,
        "epoch": np.arange(1, rows + 1),
        "train_loss": 2.3 * np.exp(-6 * share) + 0.02 + rng.normal(0, 0.01, rows),
        "val_loss": 2.3 * np.exp(-8 * share) + 0.4 + np.maximum(share - 0.3, 0) * 0.6
        + rng.normal(0, 0.02, rows),
        "grad_norm": 1 + 3 * np.exp(-(((share - 0.04) / 0.02) ** 2)) + rng.uniform(0, 0.05, rows),
        "lr": np.full(rows, 0.1),
    }  # fmt: skip
    np.savetxt(
        path, np.column_stack(list(columns.values())), delimiter=",", fmt="%.6g",
        header=",".join(columns), comments="",
    )  # fmt: skip


def commands(log: Path, folder: Path) -> dict[str, list[str]]:
    """Return what is timed, by name."""
    report = [sys.executable, "-m", "fitdiag", "report", str(log)]
    return {
        "bare": [sys.executable, "-c", BARE, str(log), str(folder / "bare.png")],
        "text": [*report, "--format", "text"],
        "html": [*report, "--format", "html", "-o", str(folder / "page.html")],
        "everything": [*report, "-o", f"{folder}/"],
    }


def measure(todo: dict[str, list[str]], rounds: int, folder: Path) -> dict[str, float]:
    """Return the median seconds of each command, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in todo}
    for _ in range(rounds + 1):
        for name, command in todo.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder,
                           stderr=subprocess.DEVNULL)  # fmt: skip
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def main() -> None:
    """Print a table of medians and ratios for a small log and for a long one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--long-rows", type=int, default=1_000_000)
    parser.add_argument("--long-rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "logs.csv"
        write_log(log, options.rows)
        medians = measure(commands(log, folder), options.rounds, folder)
        print(f"{options.rows:,} rows, medians of {options.rounds}")
        for command, seconds in medians.items():
            ratio, target = seconds / medians["bare"], TARGETS.get(command)
            wanted = "" if target is None else f"  target {target}"
            print(f"  {command:<12}{1000 * seconds:8.0f} ms  ratio {ratio:.2f}{wanted}")
        if not options.long_rounds:
            return
        write_log(log, options.long_rows)
        todo = commands(log, folder) | {"read_csv": [sys.executable, "-c", READ, str(log)]}
        long = measure(todo, options.long_rounds, folder)
        allowed = 2 * long["read_csv"] + medians["everything"]
        print(f"{options.long_rows:,} rows, medians of {options.long_rounds}")
        for command, seconds in long.items():
            print(f"  {command:<12}{1000 * seconds:8.0f} ms  of {1000 * allowed:.0f} ms allowed")
        print(f"  the page has {(folder / 'page.html').stat().st_size / 1e3:,.0f} kB")


if __name__ == "__main__":
    main()
