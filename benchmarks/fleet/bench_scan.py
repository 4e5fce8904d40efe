"""How fast many runs are scanned, beside only parsing the same files with pandas.

Run from anywhere: ``python benchmarks/fleet/bench_scan.py`` (``--runs 10000 --epochs 200 --rounds
3``; ``--sections scan,floor,again,linear,dask,tensorboard``). Rounds are interleaved, such that a
busy machine is busy for all; figures are medians. On a machine that others use too, seconds of
wall time say little: processor seconds, of the command and all its processes, stand beside them,
and a rate on idle cores is made from those.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: runs a second on two cores, speed-up over one core, share of the floor, seconds, bytes
TARGETS = {"rate": 300, "speed-up": 1.8, "floor": 3.0, "again": 5.0, "memory": 1e9, "dask": 1.3}

FLOOR = """
import sys, multiprocessing
from pathlib import Path
import pandas as pd

def parse(path):
    return len(pd.read_csv(path))

if __name__ == "__main__":
    paths = sorted(map(str, Path(sys.argv[1]).glob("*/*/logs.csv")))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert sum(pool.imap_unordered(parse, paths, chunksize=32)) > 0
"""

DASK = """
import sys, tempfile, time
from distributed import LocalCluster
from fitdiag.fleet.cluster import ClusterScan

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        for _ in range(int(sys.argv[2])):
            with tempfile.TemporaryDirectory() as out:
                start = time.perf_counter()
                ClusterScan(paths=[sys.argv[1]], out=out, scheduler=cluster.scheduler_address).run()
                print(time.perf_counter() - start)
"""

EVENTS = """
import sys
from pathlib import Path
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

for path in sorted(Path(sys.argv[1]).glob("run*")):
    events = EventAccumulator(str(path), size_guidance={"scalars": 0})
    events.Reload()
    for tag in events.Tags()["scalars"]:
        assert events.Scalars(tag)
"""


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds of wall time and of processors, and bytes at the peak."""

    wall: float
    work: float
    peak: float


def write_runs(folder: Path, runs: int, epochs: int) -> None:
    """Write logs of runs that overfit, go well or break, a folder each."""
    rng = np.random.default_rng(0)
    k = np.arange(epochs)
    for number in range(runs):
        place = folder / f"group{number // 100:05}" / f"run{number:07}"
        place.mkdir(parents=True)
        pace, noise = rng.uniform(0.01, 0.06), rng.uniform(0.002, 0.02)
        turn, slope = rng.uniform(0.2, 1.0) * epochs, rng.choice([0.0, 0.002, 0.01])
        train = 2.2 * np.exp(-pace * k) + 0.1 + rng.normal(0, noise, epochs)
        val = train + rng.uniform(0, 0.3) + slope * np.maximum(k - turn, 0)
        columns = {
            "step": (k + 1) * 50,
            "epoch": k + 1,
            "train_loss": train,
            "val_loss": val + rng.normal(0, 2 * noise, epochs),
            "grad_norm": 1 + 3 * np.exp(-pace * k) + rng.uniform(0, 0.1, epochs),
            "lr": np.full(epochs, 0.001),
        }
        np.savetxt(
            place / "logs.csv", np.column_stack(list(columns.values())), delimiter=",",
            fmt="%.7g", header=",".join(columns), comments="",
        )  # fmt: skip


def write_events(folder: Path, runs: int, epochs: int) -> None:
    """Write a TensorBoard tree of so many runs."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    for number in range(runs):
        writer = EventFileWriter(str(folder / f"run{number:05}"))
        for step in range(epochs):
            for tag, value in (("loss/train", 2 / (step + 1)), ("loss/val", 2.1 / (step + 1))):
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
                writer.add_event(Event(wall_time=1e9 + step, step=step, summary=summary))
        writer.close()


def measure(command: list[str], **environment: str) -> Cost:
    """Run a command and return what it took, its processes included."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **environment})
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process, peak), daemon=True)
    watcher.start()
    code = process.wait()
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    watcher.join()
    assert code == 0, command
    work = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall=wall, work=work, peak=peak[0])


def _watch(process: subprocess.Popen[bytes], peak: list[float]) -> None:
    import psutil

    while process.poll() is None:
        try:
            root = psutil.Process(process.pid)
            whole = [root, *root.children(recursive=True)]
            peak[0] = max(peak[0], sum(one.memory_info().rss for one in whole))
        except psutil.Error:
            pass
        time.sleep(0.2)


def scan_command(folder: Path, jobs: int, *more: str) -> list[str]:
    """Return the command that scans a folder."""
    out = str(folder.parent / "fleet.csv")
    name = [sys.executable, "-m", "fitdiag", "scan", str(folder), "-q", "-o", out, "--force"]
    return [*name, "--jobs", str(jobs), *more]


def interleave(commands: dict[str, list[str]], rounds: int) -> dict[str, Cost]:
    """Run every command in turn, and return medians."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(measure(command))
    return {
        name: Cost(
            wall=statistics.median(cost.wall for cost in each),
            work=statistics.median(cost.work for cost in each),
            peak=max(cost.peak for cost in each),
        )
        for name, each in costs.items()
    }


def bench_scan(folder: Path, runs: int, rounds: int) -> None:
    floor = folder.parent / "floor.py"
    floor.write_text(FLOOR)
    commands = {
        "one process": scan_command(folder, 1, "--no-cache"),
        "two processes": scan_command(folder, 2, "--no-cache"),
        "pandas alone, two": [sys.executable, str(floor), str(folder)],
    }
    told = interleave(commands, rounds)
    for name, cost in told.items():
        print(
            f"{name:<20}{cost.wall:8.1f} s {runs / cost.wall:8.0f} runs/s "
            f"{1000 * cost.work / runs:8.2f} ms of processor a run "
            f"({2 * runs / cost.work:6.0f} runs/s on two idle cores) {cost.peak / 1e6:8.0f} MB"
        )
    one, two, parse = told.values()
    print(f"speed-up {one.wall / two.wall:.2f} (aim {TARGETS['speed-up']})")
    print(
        f"over the floor: {two.wall / parse.wall:.2f} by wall, {two.work / parse.work:.2f} by "
        f"processor (aim {TARGETS['floor']})"
    )


def bench_again(folder: Path, runs: int) -> None:
    cache = str(folder.parent / "cache")
    first = measure(scan_command(folder, 2), XDG_CACHE_HOME=cache)
    again = statistics.median(
        measure(scan_command(folder, 2), XDG_CACHE_HOME=cache).wall for _ in range(3)
    )
    print(
        f"with the cache: first {first.wall:.1f} s, again {again:.2f} s for {runs:,} runs (aim "
        f"{TARGETS['again']} s for 10,000)"
    )


def link_runs(folder: Path, source: Path, times: int) -> None:
    """Make a larger tree of the same logs: folders of its own, with hard links in them."""
    for copy in range(times):
        for group in source.iterdir():
            for run in group.iterdir():
                place = folder / f"{copy:03}-{group.name}" / run.name
                place.mkdir(parents=True)
                os.link(run / "logs.csv", place / "logs.csv")


def bench_linear(folder: Path, runs: int, times: int, rounds: int) -> None:
    small, large = folder.parent / "small", folder.parent / "large"
    small.mkdir()
    for group in sorted(folder.iterdir())[:10]:
        (small / group.name).symlink_to(group)
    few = sum(1 for _ in small.glob("*/*/logs.csv"))
    places = {few: small, runs: folder}
    if times > 1:
        link_runs(large, folder, times)
        places[runs * times] = large
    commands = {str(size): scan_command(at, 2, "--no-cache") for size, at in places.items()}
    told = interleave(commands, rounds)
    for size, cost in zip(places, told.values(), strict=True):
        print(
            f"{size:8,} runs: {size / cost.wall:6.0f} runs/s, {1000 * cost.work / size:5.2f} ms of "
            f"processor a run, {cost.peak / 1e6:5.0f} MB (load {os.getloadavg()[0]:.1f})"
        )


def bench_dask(folder: Path, rounds: int) -> None:
    script = folder.parent / "dask_scan.py"
    script.write_text(DASK)
    local, dask = [], []
    for _ in range(rounds):
        local.append(measure(scan_command(folder, 2, "--no-cache")).wall)
        done = subprocess.run(
            [sys.executable, str(script), str(folder), "1"],
            capture_output=True,
            text=True,
            check=True,
        )
        dask.append(float(done.stdout.split()[-1]))
    ratio = statistics.median(dask) / statistics.median(local)
    print(f"Dask with two workers over the local pool: {ratio:.2f} (aim {TARGETS['dask']})")


def bench_tensorboard(folder: Path, runs: int, epochs: int, python: str) -> None:
    """Compare with a loop of EventAccumulator, run by a Python that has TensorBoard."""
    script = folder.parent / "events.py"
    script.write_text(EVENTS)
    make = [python, __file__, "--make-events", str(folder), "--runs", str(runs)]
    subprocess.run([*make, "--epochs", str(epochs)], check=True)
    told = interleave(
        {
            "fitdiag, two processes": scan_command(folder, 2, "--no-cache"),
            "EventAccumulator": [python, str(script), str(folder)],
        },
        1,
    )
    ours, theirs = told.values()
    print(
        f"{runs:,} TensorBoard runs: {ours.wall:.1f} s and {ours.work:.1f} s of processor; "
        f"EventAccumulator {theirs.wall:.1f} s and {theirs.work:.1f} s: "
        f"{theirs.wall / ours.wall:.1f} and {theirs.work / ours.work:.1f} times as long"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--times", type=int, default=10, help="the largest tree over --runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sections", default="scan,again,linear,dask,tensorboard")
    parser.add_argument("--tensorboard-python", default=sys.executable)
    parser.add_argument("--make-events", help=argparse.SUPPRESS)
    options = parser.parse_args()
    print(f"load at the beginning: {os.getloadavg()[0]:.1f}")
    if options.make_events:
        write_events(Path(options.make_events), options.runs, options.epochs)
        return
    sections = set(options.sections.split(","))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "runs"
        if sections - {"tensorboard"}:
            write_runs(folder, options.runs, options.epochs)
        if "scan" in sections:
            bench_scan(folder, options.runs, options.rounds)
        if "again" in sections:
            bench_again(folder, options.runs)
        if "linear" in sections:
            bench_linear(folder, options.runs, options.times, options.rounds)
        if "dask" in sections:
            bench_dask(folder, options.rounds)
        if "tensorboard" in sections:
            events = Path(temporary) / "events"
            count = min(options.runs, 1000)
            bench_tensorboard(events, count, options.epochs, options.tensorboard_python)


if __name__ == "__main__":
    main()
