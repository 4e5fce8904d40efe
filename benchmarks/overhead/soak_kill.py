"""Kills a recorded training 200 times at random moments, and reads its log after each time.

python benchmarks/overhead/soak_kill.py [KILLS] [SEED]

One process imports torch and forks: each child resumes the log, trains, and says over a pipe how
many steps it has flushed for certain. After a random time it gets SIGKILL. Then the log has to
read, to hold every step that was flushed, each once and in order, and to be one run.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

import fitdiag

KILLS = 200
LONGEST = 0.4  # seconds from the first step to the kill
CHANCE = random.Random(0)  # noqa: S311 nothing here is secret


def train(log: Path, pipe: int) -> None:
    """Train until killed: now and then an evaluation, a new column, a forced flush."""
    model, criterion = nn.Linear(16, 1), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.randn(32, 16), torch.randn(32, 1)
    options: Any = {"flush_seconds": 0.005, "every": 1, "resume": True, "layers": True}
    with fitdiag.record(
        model, optimizer, criterion, log=log, config={"lr": 0.01}, **options
    ) as run:
        for step in range(10**9):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step % 50 == 20:
                with torch.no_grad():
                    criterion(model(x), y)
            if step % 37 == 11:
                run.log({f"val_{CHANCE.randrange(12)}": float(step)})
            if step % 10 == 9:
                run._session.flow.flush()  # noqa: SLF001 what is on disk from here on is known
                os.write(pipe, b"%d\n" % (run._session.timeline.step - 1))  # noqa: SLF001


def kill_one(log: Path, seconds: float) -> int:
    """Fork a training, kill it after so many seconds, and return what it had flushed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            train(log, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.readline()
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        rest = pipe.read().splitlines()
    whole = [line for line in (told, *rest) if line.strip()]
    return int(whole[-1]) if whole else 0


def main() -> None:
    """Kill, read, and print what was found."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    CHANCE.seed(seed)
    torch.set_num_threads(1)
    assert callable(fitdiag.record)  # loaded here, once, and not in each child
    lost_most = rows = 0
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "logs.csv"
        for number in range(kills):
            flushed = kill_one(log, CHANCE.uniform(0, LONGEST))
            run = fitdiag.read(log)
            steps = run.curves["grad_norm"].steps.tolist()
            assert steps == list(range(1, len(steps) + 1)), (number, steps[-5:])
            assert len(steps) >= flushed, (number, len(steps), flushed)
            assert not [note for note in run.source.notes if "unfinished" in note], run.source.notes
            assert run.source.config == {"lr": 0.01}
            assert len(list(fitdiag.runs(folder))) == 1
            lost_most = max(lost_most, flushed - len(steps))
            rows = len(steps)
        left = sorted(path.name for path in Path(folder).iterdir())
    print(f"{kills} kills (seed {seed}): the log read each time as one run; {rows:,} steps in the")
    print(f"end, each once; flushed steps lost: {max(0, lost_most)}; curves: {len(run.curves)}")
    print(f"files left: {', '.join(left)}")


if __name__ == "__main__":
    main()
