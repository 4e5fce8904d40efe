"""How long reading a log takes from process start, and how much memory, next to what others use.

Each way reads the same file in a process of its own, in turn: the standard library, pandas, polars
and pyarrow (those that are installed), and ``fitdiag.read`` of a native log and of somebody else's.
Run it with ``python benchmarks/readers/bench_table.py``; see ``--help``. Memory is read from
``/proc``, so on Linux only.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

#: what is compared: name, the package it needs, and the code that does it, with the path in PATH
WAYS = {
    "csv.reader": (
        "csv",
        "import csv\nwith open(PATH) as file:\n    rows = csv.reader(file)\n    next(rows)\n"
        "    [[float(cell) if cell else None for cell in column] for column in zip(*rows)]",
    ),
    "pandas": ("pandas", "import pandas; frame = pandas.read_csv(PATH)"),
    "polars": ("polars", "import polars; frame = polars.read_csv(PATH)"),
    "pyarrow": ("pyarrow", "import pyarrow.csv; table = pyarrow.csv.read_csv(PATH)"),
    "fitdiag.read, native": ("fitdiag", "import fitdiag; run = fitdiag.read(PATH)"),
    "fitdiag.read, other": ("fitdiag", "import fitdiag; run = fitdiag.read(OTHER)"),
    "import numpy": ("numpy", "import numpy"),
}

#: ways that are no yardstick: fitdiag itself, and what shows the floor of all that need numpy
NO_PEERS = ("fitdiag.read, native", "fitdiag.read, other", "import numpy")

#: above so many rows the standard library is left out: it takes minutes, and all memory
MOST_ROWS = 1_000_000

#: prints the most memory that a process has held, in MiB
PEAK = """
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024)
"""

#: the native header, and one that is not
HEADERS = (
    "step,epoch,train_loss,val_loss,batch_loss,grad_norm,lr",
    "iteration,epoch,training loss,validation loss,batch loss,gradnorm,learning_rate",
)


def write_logs(path: Path, other: Path, rows: int) -> None:
    """Write a log twice: dense losses and norms, a validation loss every hundred steps."""
    rng = np.random.default_rng(0)
    step = np.arange(1, rows + 1)
    train = 2 * np.exp(-3 * step / rows) + rng.normal(0, 0.05, rows)
    norm = rng.lognormal(0, 0.3, rows)
    rate = 1e-3 * (1 - step / rows)
    with path.open("w", encoding="utf-8") as file, other.open("w", encoding="utf-8") as twin:
        for target, header in zip((file, twin), HEADERS, strict=True):
            target.write(header + "\n")
        for at in range(rows):
            val = f"{train[at] + 0.1:.6g}" if step[at] % 100 == 0 else ""
            line = (
                f"{step[at]},{step[at] / 1000:.6g},{train[at]:.6g},{val},"
                f"{1.1 * train[at]:.6g},{norm[at]:.6g},{rate[at]:.6g}\n"
            )
            file.write(line)
            twin.write(line)


def write_slim(path: Path, rows: int) -> None:
    """Write a log of three columns: step, training loss, and validation loss every hundred."""
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        file.write("step,train_loss,val_loss\n")
        for first in range(1, rows + 1, 100_000):
            step = np.arange(first, min(first + 100_000, rows + 1))
            train = 2 * np.exp(-3 * step / rows) + rng.normal(0, 0.05, step.size)
            file.writelines(
                f"{at},{loss:.6g},{f'{loss + 0.1:.6g}' if at % 100 == 0 else ''}\n"
                for at, loss in zip(step, train, strict=True)
            )


def run_fresh(code: str, path: Path, other: Path) -> tuple[float, float]:
    """Return seconds and MiB of a process that runs some code."""
    script = code.replace("PATH", repr(str(path))).replace("OTHER", repr(str(other)))
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script + PEAK], check=True, capture_output=True, text=True
    )
    return time.perf_counter() - start, float(done.stdout.split()[-1])


def compare(rows: int, rounds: int, folder: Path) -> None:
    """Print one line a way: median seconds, ratio to the best peer, MiB."""
    path, other = folder / f"logs{rows}.csv", folder / f"other{rows}.csv"
    write_logs(path, other, rows)
    ways = {name: code for name, (needed, code) in WAYS.items() if find_spec(needed)}
    if rows > MOST_ROWS:
        ways.pop("csv.reader")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    memory: dict[str, float] = {}
    for _ in range(rounds):
        for name, code in ways.items():
            taken, memory[name] = run_fresh(code, path, other)
            seconds[name].append(taken)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    best = min((name for name in ways if name not in NO_PEERS), key=medians.__getitem__)
    print(f"\n{rows:,} rows, {path.stat().st_size / 2**20:.1f} MiB; the best peer is {best}")
    for name, median in medians.items():
        ratio = statistics.median(
            one / two for one, two in zip(seconds[name], seconds[best], strict=True)
        )
        print(f"{name:22} {median:7.3f} s  {ratio:6.2f} x the best peer  {memory[name]:6.0f} MiB")


def main() -> None:
    """Compare at each size; then the memory of a slim log of ten million rows."""
    parser = argparse.ArgumentParser(description="Reading a log from process start.")
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--slim", type=int, default=10_000_000, help="rows; 0 for none")
    options = parser.parse_args()
    missing = [needed for needed, _ in WAYS.values() if not find_spec(needed)]
    if missing:
        print(f"not installed, so not compared: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder:
        for rows in options.rows:
            compare(rows, options.rounds, Path(folder))
        if options.slim:
            path = Path(folder) / "slim.csv"
            write_slim(path, options.slim)
            taken, peak = run_fresh(WAYS["fitdiag.read, native"][1], path, path)
            print(f"\n{options.slim:,} rows of three columns: {taken:.1f} s, {peak:.0f} MiB")


if __name__ == "__main__":
    main()
