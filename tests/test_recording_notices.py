"""What the recorder says: losses that never come, and where the log is at the end."""

from __future__ import annotations

import io
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 its usual name
from torch import nn

import fitdiag
from fitdiag.recording import RecordingWarning
from fitdiag.recording.attendance import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fitdiag.recording import Recorder


pytestmark = pytest.mark.usefixtures("one_thread")


class Pairs(nn.Module):
    """A criterion that returns what no recorder can take for a loss."""

    def forward(self, out: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor]:
        """Return a loss in wraps."""
        return (F.mse_loss(out, y),)


class Loop:
    """Recorded steps whose loss is computed by whatever is given."""

    def __init__(self, log: Path, loss_fn: nn.Module | None = None, **options: Any) -> None:
        self.model = nn.Linear(2, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        options = {"flush_seconds": 0, "log": log, **options}
        self.recorder = fitdiag.record(self.model, self.optimizer, loss_fn, **options)

    def step(self, compute: Callable[..., Any] = F.mse_loss, count: int = 1) -> None:
        """Train."""
        for _ in range(count):
            self.optimizer.zero_grad()
            loss = compute(self.model(torch.ones(4, 2)), torch.ones(4, 1))
            torch.autograd.backward(loss)
            self.optimizer.step()


def hear(loop: Loop, train: Callable[[Recorder], Any]) -> list[str]:
    """Return what is said during a recording."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with loop.recorder as run:
            train(run)
    assert all(issubclass(one.category, RecordingWarning) for one in heard)
    return [str(one.message) for one in heard]


@pytest.mark.parametrize(
    ("given", "called", "cause"),
    [
        (None, F.mse_loss, "no loss_fn was given"),
        (nn.MSELoss(), F.mse_loss, r"no call of the given loss_fn (MSELoss) was seen"),
        (nn.L1Loss(), nn.L1Loss(), r"no call of the given loss_fn (L1Loss) was seen"),
    ],
)
def test_losses_that_never_come_are_missed_once(
    log: Path, given: nn.Module | None, called: Callable[..., Any], cause: str
) -> None:
    """Steps without any loss give one warning, with the cause and all remedies."""
    loop = Loop(log, given)
    (said,) = hear(loop, lambda _: loop.step(called, 2 * PATIENCE))
    assert cause in said
    for remedy in ("loss_fn=", "run.loss(F.cross_entropy)", "run.log(train_loss=..."):
        assert remedy in said


def test_a_criterion_that_returns_no_tensor_is_named_as_the_cause(log: Path) -> None:
    """A called criterion whose result holds no loss is not called uncalled."""
    pairs = Pairs()
    loop = Loop(log, pairs)
    (said,) = hear(loop, lambda _: loop.step(lambda *a: pairs(*a)[0], 3))
    assert "3 optimizer steps" in said
    assert "returned no tensor" in said


def test_missing_losses_are_said_while_it_is_not_too_late(log: Path) -> None:
    """The warning comes during the training, after a number of steps, and no sooner."""
    loop = Loop(log)
    with loop.recorder, warnings.catch_warnings():
        warnings.simplefilter("error")
        loop.step(count=PATIENCE - 1)
        with pytest.warns(RecordingWarning, match="no loss was recorded so far"):
            loop.step()
        loop.step(count=PATIENCE)


@pytest.mark.parametrize("way", ["logged", "tasks", "watched", "criterion"])
def test_losses_that_come_are_not_missed(log: Path, way: str) -> None:
    """Whoever logs, watches or hooks a loss hears nothing."""
    criterion = nn.MSELoss()
    loop = Loop(log, criterion if way == "criterion" else None)

    def train(run: Recorder) -> None:
        if way == "logged":
            loop.step(count=3)
            run.log(train_loss=0.5)
        if way == "tasks":
            weight = loop.model.weight
            run.tasks({"one": weight.sum(), "two": weight.square().sum()}, shared=loop.model)
        loop.step(run.loss(F.mse_loss) if way == "watched" else criterion)

    assert hear(loop, train) == []


def test_a_criterion_that_is_never_called_is_named_beside_logged_losses(log: Path) -> None:
    """A criterion that was given in vain is told at the end, though the log has a loss."""
    loop = Loop(log, nn.MSELoss())

    def train(run: Recorder) -> None:
        loop.step()
        run.log(train_loss=0.5)

    (said,) = hear(loop, train)
    assert "no call of the given loss_fn (MSELoss) was seen" in said
    assert "run.log() gave" in said


def test_missing_losses_are_not_told_by_other_processes(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several processes, only the one that writes speaks."""
    for name, value in (("RANK", "1"), ("LOCAL_RANK", "1"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    loop = Loop(log)
    assert hear(loop, lambda _: loop.step(count=PATIENCE)) == []


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_the_end_tells_where_the_log_is(
    log: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a terminal the last line names the log and the command that reads it."""
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.chdir(tmp_path)
    criterion = nn.MSELoss()
    loop = Loop(log, criterion)
    with loop.recorder as run:
        loop.step(criterion, 3)
        run.close()
    said = "fitdiag: the log is logs.csv; read it by: fitdiag report logs.csv\n"
    assert screen.getvalue() == said


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_early_end_tells_that_the_log_is_complete(
    log: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """After an exception or Ctrl-C the line says that the log is complete up to there."""
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    criterion = nn.MSELoss()
    loop = Loop(log, criterion)

    def fail() -> None:
        with loop.recorder:
            loop.step(criterion, 3)
            raise error("stop")

    with pytest.raises(error, match="stop"):
        fail()
    said = screen.getvalue()
    assert said.count("\n") == 1
    assert f"the log is complete up to here: {log}; read it by: fitdiag report {log}" in said


@pytest.mark.parametrize(("screen", "progress"), [(Screen(), False), (io.StringIO(), None)])
def test_the_end_is_silent_where_nobody_reads(
    log: Path, monkeypatch: pytest.MonkeyPatch, screen: io.StringIO, progress: bool | None
) -> None:
    """Without a terminal, or with progress=False, nothing is printed."""
    monkeypatch.setattr(sys, "stderr", screen)
    criterion = nn.MSELoss()
    loop = Loop(log, criterion, progress=progress)
    with loop.recorder:
        loop.step(criterion, 3)
    assert screen.getvalue() == ""
