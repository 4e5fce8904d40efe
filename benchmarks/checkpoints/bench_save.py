"""What keeping a checkpoint costs the loop, side by side with the copy itself and with torch.save.

A net of 8.7 million weights with Adam: a state of 100 MB. The ways take turns in the same
training: some steps, then the checkpoint, whose time in the loop is taken, then some steps, which
tell what a thread that writes takes from them. Every figure is a median over the rounds.

* ``held up``: how long the loop stands still for one checkpoint, and in brackets how much of that
  its own thread works, which tells more where other programs run beside;
* ``against the copy``: the same over that of copying the state into memory that is there already,
  which is the least that a snapshot can cost (median of the ratios within the rounds);
* ``steps after``: seconds that the steps right after it take, over those of a round without any.

Run: ``python benchmarks/checkpoints/bench_save.py`` (a minute).
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

import fitdiag
from fitdiag.recording.checkpoints.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

#: steps between two checkpoints
STEPS = 3
COPY = "copy into the same memory"


def make(width: int) -> tuple[Any, ...]:
    """Return a net, its optimizer, and a function that makes one step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
    model.append(nn.Linear(width, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    inputs, targets = torch.randn(8, 64), torch.randint(0, 10, (8,))
    loss_fn = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        loss_fn(model(inputs), targets).backward()
        optimizer.step()

    return model, optimizer, loss_fn, step


def save_here(state: object, path: Path, *, sync: bool) -> None:
    """Save a state in the loop, as most people do, or also wait until it is on the disk."""
    with path.open("wb") as file:
        torch.save(state, file)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def measure(rounds: int, width: int, folder: Path) -> dict[str, list[tuple[float, float, float]]]:
    """Return, by way, the time of the checkpoint, its work and the steps after, for each round."""
    model, optimizer, loss_fn, step = make(width)
    snapshot, numbers = Snapshot(), itertools.count()

    def state() -> dict[str, Any]:
        return {"model": model.state_dict(), "optimizer": optimizer.state_dict()}

    with fitdiag.record(
        model,
        optimizer,
        loss_fn,
        log=folder / "logs.csv",
        checkpoints=folder / "ckpt",
        progress=False,
    ) as run:
        ways: dict[str, Callable[[], object]] = {
            "nothing": lambda: None,
            COPY: lambda: snapshot.take(state()),
            "run.save()": run.save,
            "copy into new memory": lambda: [v.clone() for v in _tensors(state())],
            "torch.save": lambda: save_here(
                state(), folder / f"{next(numbers) % 4}.pt", sync=False
            ),
            "torch.save, fsync": lambda: save_here(state(), folder / "synced.pt", sync=True),
        }
        taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
        for turn in range(rounds + 1):
            for name, way in ways.items():
                for _ in range(STEPS):
                    step()
                begun, working = time.perf_counter(), time.thread_time()
                way()
                middle, worked = time.perf_counter(), time.thread_time() - working
                for _ in range(STEPS):
                    step()
                if turn:  # the first is there to warm up
                    taken[name].append((middle - begun, worked, time.perf_counter() - middle))
    return taken


def _tensors(state: object) -> list[torch.Tensor]:
    if isinstance(state, torch.Tensor):
        return [state]
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, list) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--width", type=int, default=2910)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        taken = measure(options.rounds, options.width, Path(folder))
        size = (Path(folder) / "synced.pt").stat().st_size / 1e6
    print(f"a state of {size:.0f} MB, {options.rounds} rounds, medians\n")
    print(f"{'way':28}{'held up':>16}{'against the copy':>20}{'steps after':>14}")
    for name, times in taken.items():
        held, worked, _ = (1000 * statistics.median(column) for column in zip(*times, strict=True))
        ratios = [one[0] / copy[0] for one, copy in zip(times, taken[COPY], strict=True)]
        after = [one[2] / bare[2] for one, bare in zip(times, taken["nothing"], strict=True)]
        print(
            f"{name:28}{f'{held:.0f} ms ({worked:.0f})':>16}{statistics.median(ratios):>20.2f}"
            f"{statistics.median(after):>14.2f}"
        )


if __name__ == "__main__":
    main()
