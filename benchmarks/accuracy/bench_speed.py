"""How long a diagnosis takes: a finished run, a long one, and a growing one call by call.

python benchmarks/accuracy/bench_speed.py
"""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fitdiag import Run, diagnose
from fitdiag.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATS = 50


def noisy_run(points: int) -> Run:
    """Return a run with five curves of so many points."""
    rng = np.random.default_rng(0)
    fall = np.exp(-10 * np.arange(points) / points)
    return Run.from_arrays(
        train_loss=0.3 + 2 * fall + rng.normal(0, 0.01, points),
        val_loss=0.4 + 2 * fall + rng.normal(0, 0.02, points),
        grad_norm=0.5 + fall + rng.normal(0, 0.01, points) ** 2,
        lr=np.full(points, 0.1),
        val_accuracy=0.9 - 0.8 * fall + rng.normal(0, 0.01, points),
    )


def milliseconds(call: Callable[[], object]) -> float:
    """Return the median wall time of a call."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times)


def live(points: int) -> list[float]:
    """Return the time of each call of a live diagnosis, one every ten steps."""
    monitor, times = Monitor(), []
    for step in range(1, points + 1):
        monitor.add(step, batch_loss=1 / step, grad_norm=1 + 1 / step, lr=0.1)
        if step % 100 == 0:
            monitor.add(step, train_loss=1 / step, val_loss=0.1 + 1 / step)
        if step % 10 == 0:
            begin = time.perf_counter()
            monitor.diagnosis()
            times.append(1000 * (time.perf_counter() - begin))
    return times


def main() -> None:
    for points in (200, 1_000, 10_000, 100_000, 1_000_000):
        run = noisy_run(points)
        print(f"diagnose, {points:>9,} points: {milliseconds(partial(diagnose, run)):7.2f} ms")
    times = live(10_000)
    print(
        f"live, {len(times):,} calls over 10,000 steps: median {statistics.median(times):.3f} ms, "
        f"mean {statistics.mean(times):.3f} ms, worst {max(times):.2f} ms"
    )


if __name__ == "__main__":
    main()
