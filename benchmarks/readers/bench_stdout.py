"""How long reading the printed output of a training takes, next to only reading its lines.

Run it with ``python benchmarks/readers/bench_stdout.py``; see ``--help``.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import fitdiag

if TYPE_CHECKING:
    from collections.abc import Callable


def write_plain(path: Path, lines: int) -> None:
    """Write one line a step, with a logging prefix, and a validation line every hundred."""
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        for step in range(1, lines + 1):
            loss = 2 * np.exp(-3 * step / lines) + rng.normal(0, 0.05)
            stamp = f"2024-05-01 12:{step // 60 % 60:02d}:{step % 60:02d},{step % 1000:03d}"
            if step % 100:
                file.write(
                    f"{stamp} - train - INFO - step {step} | loss: {loss:.5f} | "
                    f"grad_norm: {rng.lognormal():.4f} | lr: {1e-3 * (1 - step / lines):.3e} | "
                    f"{rng.uniform(300, 310):.1f} ms\n"
                )
            else:
                file.write(f"{stamp} - train - INFO - step {step} | val loss: {loss + 0.1:.5f}\n")


def write_bars(path: Path, lines: int) -> None:
    r"""Write progress bars whose frames end in ``\r``, 500 a epoch, and a line for each epoch."""
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        for epoch in range(1, lines // 500 + 1):
            file.write(f"Epoch {epoch}/{lines // 500}\n")
            for step in range(1, 499):
                bar = "#" * (step // 25)
                file.write(
                    f"\r{step / 5:3.0f}%|{bar:20s}| {step}/498 [00:{step % 60:02d}<00:10, "
                    f"{rng.uniform(9, 11):.2f}it/s, loss={rng.uniform(1, 2):.4f}]"
                )
            loss = 2 / epoch
            file.write(f"\ntrain_loss: {loss:.5f} - val_loss: {loss + 0.1:.5f}\n")


def measure(action: Callable[[Path], object], path: Path, rounds: int) -> float:
    """Return the median seconds of some rounds."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        action(path)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def read_lines(path: Path) -> int:
    """Read the lines and do nothing with them."""
    with path.open(encoding="utf-8") as file:
        return sum(1 for _ in file)


def main() -> None:
    """Write logs, time both, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("log     lines      seconds  s per 1,000,000  ratio to reading the lines")
    with tempfile.TemporaryDirectory() as folder:
        for name, write in (("plain", write_plain), ("bars", write_bars)):
            path = Path(folder) / f"{name}.log"
            write(path, options.lines)
            lines = read_lines(path)
            bare = measure(read_lines, path, options.rounds)
            full = measure(fitdiag.read, path, options.rounds)
            print(
                f"{name:6s} {lines:>9,} {full:10.2f} {full / lines * 1e6:14.2f} {full / bare:14.1f}"
            )


if __name__ == "__main__":
    main()
