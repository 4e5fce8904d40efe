"""What recording costs: time a step, side by side with what people use.

Three networks, the loop of the tutorials, one CPU thread. The ways of recording take turns on the
same training, block by block; each figure is a median over the blocks, and the best block in
brackets, which tells more where other programs run beside. Time is this thread's processor time.

* ``own / norm``: time spent in the recording code itself, flushes to disk included, over the time
  of ``torch.nn.utils.get_total_norm`` at the same place of the bare loop. That is the steadiest
  yardstick on a noisy machine, and about the least that a norm can cost.
* ``step / bare``: a whole step over a step of the bare loop.

Run: ``python benchmarks/overhead/bench_overhead.py`` (half a minute).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

import fitdiag
from fitdiag.recording import events, hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAYS = ("bare", "fitdiag", "fitdiag every=10", "clip_grad_norm_(inf)", "total_norm.item()")
ENTRANCES: tuple[tuple[Any, str], ...] = (
    (hooks._CriterionEntry, "__call__"),  # noqa: SLF001 these are what is timed
    (hooks._CriterionExit, "__call__"),  # noqa: SLF001
    (hooks._ModelExit, "__call__"),  # noqa: SLF001
    (hooks._StepEntry, "__call__"),  # noqa: SLF001
    (hooks._StepExit, "__call__"),  # noqa: SLF001
    (events.Loss, "__call__"),
    (fitdiag.Recorder, "close"),
)


class Stopwatch:
    """Adds up the processor time of this thread spent in some calls, less that of looking at it."""

    #: what it costs to time a call that does nothing, in seconds
    look = 0.0

    def __init__(self) -> None:
        self.seconds = 0.0

    @classmethod
    def calibrate(cls) -> None:
        """Find out what looking costs."""
        watches = [cls() for _ in range(200)]
        for watch in watches:
            nothing = watch.wrap(lambda: None)
            for _ in range(50):
                nothing()
        cls.look = statistics.median(watch.seconds for watch in watches) / 50

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, timed."""

        def timed(*args: object, **kwargs: object) -> Any:  # noqa: ANN401 the function's own
            begin = time.thread_time()
            result = function(*args, **kwargs)
            self.seconds += time.thread_time() - begin - self.look
            return result

        return timed

    @contextmanager
    def around_fitdiag(self) -> Iterator[None]:
        """Time every call by which torch enters fitdiag."""
        originals = [getattr(kind, name) for kind, name in ENTRANCES]
        for (kind, name), original in zip(ENTRANCES, originals, strict=True):
            setattr(kind, name, self.wrap(original))
        yield
        for (kind, name), original in zip(ENTRANCES, originals, strict=True):
            setattr(kind, name, original)


class Training:
    """One network with its data, stepped in one of several ways of recording."""

    def __init__(self, sizes: tuple[int, ...], batch: int, *, classes: bool) -> None:
        torch.manual_seed(0)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.model = nn.Sequential(*layers[:-1])
        self.x = torch.randn(batch, sizes[0])
        shape = (batch,) if classes else (batch, sizes[-1])
        self.y = torch.randint(sizes[-1], shape) if classes else torch.randn(shape)
        self.criterion: Any = nn.CrossEntropyLoss() if classes else nn.MSELoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3)
        self.kept: list[float] = []

    def measure(self) -> torch.Tensor:
        """Compute the global norm as torch does."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        return nn.utils.get_total_norm(gradients)

    def measure_only(self, _loss: torch.Tensor) -> None:
        """Compute the norm and leave it where it is: the yardstick."""
        self.measure()

    def clip(self, loss: torch.Tensor) -> None:
        """Read the norm by clipping to nothing, and the loss at once."""
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), float("inf"))
        self.kept += [loss.item(), norm.item()]

    def fetch(self, loss: torch.Tensor) -> None:
        """Read the norm and the loss at once."""
        self.kept += [loss.item(), self.measure().item()]

    def run_block(self, way: str, steps: int, log: Path, *, inside: bool) -> float:
        """Step; return seconds a step, all of it or those inside what is timed."""
        watch = Stopwatch()
        record = {
            "total_norm": self.measure_only,
            "clip_grad_norm_(inf)": self.clip,
            "total_norm.item()": self.fetch,
        }.get(way)
        timed = watch.wrap(record) if record else None
        run = None
        with ExitStack() as stack:
            if way.startswith("fitdiag"):
                every = 10 if way.endswith("10") else None
                parts: Any = (self.model, self.optimizer, self.criterion)
                if inside:
                    stack.enter_context(watch.around_fitdiag())
                record_it = fitdiag.record(*parts, log=log, overwrite=True, every=every)
                run = stack.enter_context(record_it)
            begin = time.thread_time()
            for _ in range(steps):
                self.optimizer.zero_grad()
                loss = self.criterion(self.model(self.x), self.y)
                loss.backward()
                if timed:
                    timed(loss)
                self.optimizer.step()
            if run:
                run.close()
            whole = time.thread_time() - begin
        return (watch.seconds if inside else whole) / steps


#: each network with the steps of a block
NETWORKS: dict[str, Callable[[], tuple[Training, int]]] = {
    "toy, 4 tensors": lambda: (Training((4, 8, 1), 32, classes=False), 300),
    "784-512-512-10, batch 64": lambda: (Training((784, 512, 512, 10), 64, classes=True), 30),
    "40 layers of 64, 80 tensors": lambda: (Training((64,) * 41, 64, classes=False), 30),
}


def compare(name: str, seconds: float, log: Path) -> None:
    """Let the ways take turns on one network, and print a line for each."""
    training, steps = NETWORKS[name]()
    own: dict[str, list[float]] = {way: [] for way in WAYS}
    ratios: dict[str, list[float]] = {way: [] for way in WAYS}
    whole: dict[str, list[float]] = {way: [] for way in WAYS}
    norms: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        norms.append(training.run_block("total_norm", steps, log, inside=True))
        for way in WAYS:
            own[way].append(training.run_block(way, steps, log, inside=True))
            ratios[way].append(own[way][-1] / norms[-1])
            whole[way].append(training.run_block(way, steps, log, inside=False))
    yardstick = statistics.median(norms) * 1e6
    print(f"\n{name}: norm {yardstick:.1f} us; {len(norms)} blocks of {steps} steps")
    fastest = min(norms)
    for way in WAYS:
        step = [a / b for a, b in zip(whole[way], whole["bare"], strict=True)]
        print(
            f"  {way:21} own {statistics.median(own[way]) * 1e6:7.1f} us"
            f"   own / norm {statistics.median(ratios[way]):5.2f} ({min(own[way]) / fastest:4.2f})"
            f"   step {statistics.median(whole[way]) * 1e6:7.0f} us"
            f"   step / bare {statistics.median(step):5.3f}"
            f" ({min(whole[way]) / min(whole['bare']):5.3f})"
        )


def main() -> None:
    """Compare on every network."""
    parser = argparse.ArgumentParser(description="What recording costs.")
    parser.add_argument("--seconds", type=float, default=12.0, help="for each network")
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    Stopwatch.calibrate()
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            compare(name, seconds, Path(folder) / "logs.csv")


if __name__ == "__main__":
    main()
