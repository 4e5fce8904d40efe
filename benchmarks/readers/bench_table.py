"""How long reading a log of many rows takes, and how much memory, next to plain pandas.read_csv.

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
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

#: what is compared: name and the code that does it, with the path in PATH
WAYS = {
    "pandas.read_csv": "import pandas; frame = pandas.read_csv(PATH)",
    "fitdiag.read, native": "import fitdiag; run = fitdiag.read(PATH, format='native')",
    "fitdiag.read, csv": "import fitdiag; run = fitdiag.read(PATH, format='csv')",
}

#: the most memory that a process has held, in MiB; unlike getrusage not inherited from its parent
PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
"""


def write_log(path: Path, rows: int) -> None:
    """Write a native log: dense losses and norms, a validation loss every hundred steps."""
    rng = np.random.default_rng(0)
    step = np.arange(1, rows + 1)
    train = 2 * np.exp(-3 * step / rows) + rng.normal(0, 0.05, rows)
    norm = rng.lognormal(0, 0.3, rows)
    rate = 1e-3 * (1 - step / rows)
    with path.open("w", encoding="utf-8") as file:
        file.write("step,epoch,train_loss,val_loss,batch_loss,grad_norm,lr\n")
        for at in range(rows):
            val = f"{train[at] + 0.1:.6g}" if step[at] % 100 == 0 else ""
            file.write(
                f"{step[at]},{step[at] / 1000:.6g},{train[at]:.6g},{val},"
                f"{1.1 * train[at]:.6g},{norm[at]:.6g},{rate[at]:.6g}\n"
            )


def time_interleaved(path: Path, rounds: int) -> dict[str, float]:
    """Return the median seconds of each way, run in turn in this process, imports excluded."""
    actions: dict[str, Callable[[], None]] = {}
    for name, code in WAYS.items():
        compiled = compile(code.replace("PATH", repr(str(path))), name, "exec")
        actions[name] = lambda compiled=compiled: exec(compiled, {})  # type: ignore[misc]  # noqa: S102  # the code stands above
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(rounds + 1):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure_peak(path: Path, code: str) -> float:
    """Return by how many MiB a fresh process grows while it reads the log."""
    warm = "import pandas, io, fitdiag; pandas.read_csv(io.StringIO('a\\n1\\n')); fitdiag.read"
    script = f"{PEAK}\n{warm}\nbefore = peak()\n{code.replace('PATH', repr(str(path)))}\n"
    done = subprocess.run(
        [sys.executable, "-c", script + "print(peak() - before)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def main() -> None:
    """Print one line a way: seconds, ratio to pandas, MiB, ratio to the frame's size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "logs.csv"
        write_log(path, options.rows)
        seconds = time_interleaved(path, options.rounds)
        base = seconds["pandas.read_csv"]
        frame = options.rows * 7 * 8 / 2**20
        print(
            f"{options.rows:,} rows, {path.stat().st_size / 2**20:.0f} MiB; frame {frame:.0f} MiB"
        )
        for name, code in WAYS.items():
            peak = measure_peak(path, code)
            print(
                f"{name:22} {seconds[name]:6.3f} s  {seconds[name] / base:5.2f} x pandas  "
                f"{peak:5.0f} MiB  {peak / frame:5.2f} x frame"
            )


if __name__ == "__main__":
    main()
