"""What recording costs: time a step, side by side with what people use.

Four networks, the loop of the tutorials, one CPU thread. The ways of recording take turns on the
same training, block by block; each figure is a median over the blocks, with the best block in
brackets, which tells more where other programs run beside. Time is this thread's processor time.

* ``own / norm``: time spent in the recording code itself, writing the log included, over the time
  of ``torch.nn.utils.get_total_norm`` at the same place of the bare loop. That is the steadiest
  yardstick on a noisy machine, and about the least that a norm can cost.
* ``step / bare``: a whole step over a step of the bare loop. This one needs a quiet machine.

Each way records the loss and the norm of every gradient, but for the two that have but the global
one. A recording is a hundred steps old when its time is taken: the first ones are watched more
closely, and a training has many more. Lightning, wandb and TensorBoard take part where they are
installed.

Run: ``python benchmarks/overhead/bench_overhead.py`` (some minutes).
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from networks import NETWORKS, Training
from torch import nn

import fitdiag
from fitdiag.recording import events, hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENTRANCES: tuple[tuple[Any, str], ...] = (
    (hooks._CriterionEntry, "__call__"),  # noqa: SLF001 these are what is timed
    (hooks._CriterionExit, "__call__"),  # noqa: SLF001
    (hooks._ModelExit, "__call__"),  # noqa: SLF001
    (hooks._StepEntry, "__call__"),  # noqa: SLF001
    (hooks._StepExit, "__call__"),  # noqa: SLF001
    (hooks._OptimizerFinder, "enter"),  # noqa: SLF001
    (hooks._OptimizerFinder, "leave"),  # noqa: SLF001
    (events.Loss, "__call__"),
    (fitdiag.Recorder, "close"),
)
FITDIAG: dict[str, dict[str, Any]] = {
    "fitdiag": {},
    "fitdiag every=10": {"every": 10},
}
#: steps of each recording before time is taken: the loop is looked at closely at first
WARM = 130
BARE, YARDSTICK, WATCH = "bare", "get_total_norm", "wandb.watch"


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


class Peers:
    """What people use besides, as far as it is installed here.

    Each of ``ways`` takes a training and its loss, right before the optimizer steps.
    """

    def __init__(self, folder: Path) -> None:
        self.kept: list[float] = []
        self.ways: dict[str, Callable[[Training, torch.Tensor], None]] = {
            "clip_grad_norm_(inf)": self.clip,
            "total_norm.item()": self.fetch,
        }
        self.missing: list[str] = []
        self.wandb: Any = None
        self._grad_norm = self._find("pytorch_lightning.utilities", "Lightning's grad_norm")
        if self._grad_norm is not None:
            self.ways["Lightning grad_norm"] = self.use_lightning
        board = self._find("torch.utils.tensorboard", "TensorBoard")
        if board is not None:
            self._writer = board.SummaryWriter(str(folder / "board"))
            self.ways["TensorBoard, every norm"] = self.write_board
        wandb = self._find("wandb", "wandb")
        if wandb is not None:
            os.environ["WANDB_SILENT"] = "true"
            self.wandb = wandb.init(mode="offline", dir=str(folder), project="overhead")
            self.ways["wandb.log, every norm"] = self.log_wandb

    def _find(self, module: str, name: str) -> Any:  # noqa: ANN401 a module, or None
        try:
            return importlib.import_module(module)
        except ImportError:
            self.missing.append(name)
            return None

    def clip(self, training: Training, loss: torch.Tensor) -> None:
        """Read the norm by clipping to nothing, and the loss at once."""
        norm = nn.utils.clip_grad_norm_(training.model.parameters(), float("inf"))
        self.kept = [loss.item(), norm.item()]

    def fetch(self, training: Training, loss: torch.Tensor) -> None:
        """Read the norm and the loss at once."""
        self.kept = [loss.item(), training.measure().item()]

    def use_lightning(self, training: Training, loss: torch.Tensor) -> None:
        """Compute what ``self.log_dict(grad_norm(self, 2))`` is given, without logging it."""
        self.kept = [loss.detach(), self._grad_norm.grad_norm(training.model, norm_type=2)]  # type: ignore[list-item]

    def write_board(self, training: Training, loss: torch.Tensor) -> None:
        """Write every norm as a scalar."""
        self._writer.add_scalar("loss", loss.item(), training.step)
        for name, parameter in training.model.named_parameters():
            if parameter.grad is not None:
                self._writer.add_scalar(name, parameter.grad.norm().item(), training.step)

    def log_wandb(self, training: Training, loss: torch.Tensor) -> None:
        """Log every norm."""
        norms = {
            name: parameter.grad.norm().item()
            for name, parameter in training.model.named_parameters()
            if parameter.grad is not None
        }
        self.wandb.log({"loss": loss.item(), **norms})


def warm_up(training: Training) -> None:
    """Take so many steps that the recorder has looked at the loop and is done with it."""
    training.criterion(training.model(training.x), training.y).backward()
    pairs = [(parameter, parameter.grad) for parameter in training.model.parameters()]
    for _ in range(WARM):
        training.optimizer.zero_grad()
        for parameter, gradient in pairs:
            parameter.grad = gradient
        training.optimizer.step()


def run_block(
    training: Training, way: str, steps: int, log: Path, peers: Peers
) -> tuple[float, float]:
    """Step in one way of recording; return seconds a step in the recording, and altogether."""
    watch = Stopwatch()
    record: Callable[..., Any] | None = peers.ways.get(way)
    if way == YARDSTICK:
        record = Training.measure_only
    timed = watch.wrap(record) if record else None
    run = None
    with ExitStack() as stack:
        if way in FITDIAG:
            stack.enter_context(watch.around_fitdiag())
            parts: Any = (training.model, training.optimizer, training.criterion)
            recorder = fitdiag.record(*parts, log=log, overwrite=True, **FITDIAG[way])
            run = stack.enter_context(recorder)
            warm_up(training)
            run._session.flow.flush()  # noqa: SLF001 what came before is not counted
            watch.seconds = 0.0
        if way == WATCH:
            peers.wandb.watch(training.model, log="gradients", log_freq=1)
        begin = time.thread_time()
        for _ in range(steps):
            training.optimizer.zero_grad()
            loss = training.criterion(training.model(training.x), training.y)
            loss.backward()
            training.step += 1
            if timed:
                timed(training, loss)
            if way == WATCH:
                peers.wandb.log({"loss": loss.item()})
            training.optimizer.step()
        if run:
            run.close()
        whole = time.thread_time() - begin
        if way == WATCH:
            peers.wandb.unwatch(training.model)
    return watch.seconds / steps, whole / steps


def compare(name: str, seconds: float, share: float, log: Path, peers: Peers) -> None:
    """Let the ways take turns on one network, and print a line for each."""
    training, steps = NETWORKS[name]()
    steps = max(round(share * steps), 5)
    ways = [BARE, YARDSTICK, *FITDIAG, *peers.ways, *([WATCH] if peers.wandb else [])]
    own: dict[str, list[float]] = {way: [] for way in ways}
    whole: dict[str, list[float]] = {way: [] for way in ways}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(own[BARE]) < 3:
        for way in ways:
            some = max(steps // 10, 5) if way == WATCH else steps  # that one takes its time
            inside, altogether = run_block(training, way, some, log, peers)
            own[way].append(inside)
            whole[way].append(altogether)
    norm, best = statistics.median(own[YARDSTICK]), min(own[YARDSTICK])
    tensors = [parameter.numel() for parameter in training.model.parameters()]
    print(
        f"\n{name}: {len(tensors)} tensors, {sum(tensors):,} parameters; norm {norm * 1e6:.0f} us, "
        f"bare step {statistics.median(whole[BARE]) * 1e6:.0f} us; "
        f"{len(own[BARE])} blocks of {steps} steps",
        flush=True,
    )
    for way in ways[2:]:
        ratios = [a / b for a, b in zip(own[way], own[YARDSTICK], strict=True)]
        steps_over = [a / b for a, b in zip(whole[way], whole[BARE], strict=True)]
        figures = f"{statistics.median(ratios):5.2f} ({min(own[way]) / best:5.2f})"
        added = 1 + statistics.median(own[way]) / statistics.median(whole[BARE])
        print(
            f"  {way:24} own / norm {figures if way != WATCH else '     -       '}"
            f"   1 + own / bare {f'{added:5.3f}' if way != WATCH else '    -'}"
            f"   step / bare {statistics.median(steps_over):5.2f}"
            f" ({min(whole[way]) / min(whole[BARE]):5.2f})"
        )


def main() -> None:
    """Compare on every network."""
    parser = argparse.ArgumentParser(description="What recording costs.")
    parser.add_argument("--seconds", type=float, default=40.0, help="for each network")
    parser.add_argument("--share", type=float, default=1.0, help="of the steps of a block")
    parser.add_argument("--network", choices=NETWORKS, action="append", help="only this one")
    given = parser.parse_args()
    torch.set_num_threads(1)
    Stopwatch.calibrate()
    with tempfile.TemporaryDirectory() as folder:
        peers = Peers(Path(folder))
        for name in given.network or NETWORKS:
            compare(name, given.seconds, given.share, Path(folder) / "logs.csv", peers)
        if peers.wandb is not None:
            peers.wandb.finish()
    for name in peers.missing:
        print(f"\nNot compared: {name}, which is not installed here.")


if __name__ == "__main__":
    main()
