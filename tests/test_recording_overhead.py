"""What recording must never cost: numbers fetched step by step, memory, a changed loss."""

from __future__ import annotations

import gc
import io
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import fitdiag
from fitdiag.recording import intake as intake_room

if TYPE_CHECKING:
    from pathlib import Path

torch.set_num_threads(1)

#: what makes a program wait for a device
WAITS = ("item", "tolist", "cpu", "numpy", "__float__", "__bool__", "__int__", "to", "nonzero")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return where to record."""
    return tmp_path / "logs.csv"


class Loop:
    """A training loop that fetches nothing itself."""

    def __init__(self, depth: int = 3) -> None:
        torch.manual_seed(0)
        layers = [nn.Linear(4, 4) for _ in range(depth)]
        self.model = nn.Sequential(*layers)
        self.criterion = nn.MSELoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.x, self.y = torch.randn(8, 4), torch.randn(8, 4)

    def step(self) -> torch.Tensor:
        """Take one step."""
        self.optimizer.zero_grad()
        loss: torch.Tensor = self.criterion(self.model(self.x), self.y)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return loss


def count_calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count the calls that wait for a device from now on."""
    calls = dict.fromkeys(WAITS, 0)
    for name in WAITS:
        original = getattr(torch.Tensor, name)

        def count(self: Any, *args: Any, _name: str = name, _original: Any = original) -> Any:
            calls[_name] += 1
            return _original(self, *args)

        monkeypatch.setattr(torch.Tensor, name, count)
    return calls


@pytest.mark.parametrize("depth", [1, 3, 40])
def test_numbers_are_fetched_in_batches(
    log: Path, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """600 steps with loss, norm and every layer's norm fetch numbers six times at most."""
    loop = Loop(depth)
    calls = count_calls(monkeypatch)
    with fitdiag.record(
        loop.model, loop.optimizer, loop.criterion, log=log, flush_seconds=1000, checks=False
    ):
        for _ in range(600):
            loop.step()
    assert calls.pop("tolist") <= 6
    assert set(calls.values()) == {0}
    run = fitdiag.read(log)
    assert len(run.layers()) == 2 * depth


def test_nothing_is_fetched_or_written_at_a_single_step(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two flushes a step fetches nothing, opens no file and starts no thread."""
    loop = Loop()
    with fitdiag.record(
        loop.model, loop.optimizer, loop.criterion, log=log, flush_seconds=1000, checks=False
    ):
        loop.step()
        calls = count_calls(monkeypatch)
        size = log.stat().st_size
        for _ in range(100):
            loop.step()
        assert set(calls.values()) == {0}
        assert log.stat().st_size == size
    assert log.stat().st_size > size


def test_what_waits_for_a_flush_is_bounded(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long nothing is flushed by the clock, few events wait, and no tensor stays after."""
    full = 128
    assert full < intake_room.Intake.FULL <= 1024
    monkeypatch.setattr(intake_room.Intake, "FULL", full)
    loop = Loop()
    with fitdiag.record(
        loop.model, loop.optimizer, loop.criterion, log=log, flush_seconds=1e9, checks=False
    ) as run:
        counts = []
        for _ in range(3 * full // 2):
            loop.step()
            counts.append(len(run._session.intake.events))
        assert max(counts) <= full
        gc.collect()
        before = sum(type(thing) is torch.Tensor for thing in gc.get_objects())
        for _ in range(full):
            loop.step()
        gc.collect()
        after = sum(type(thing) is torch.Tensor for thing in gc.get_objects())
    assert abs(after - before) <= 50


def test_a_recorded_loss_is_the_user_s_to_change_hook_and_save(log: Path) -> None:
    """A loss may be hooked, divided in place and saved as it could without the recorder."""
    loop = Loop()
    seen: list[float] = []
    with (
        fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log) as run,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")
        for _ in range(3):
            loop.optimizer.zero_grad()
            loss = loop.criterion(loop.model(loop.x), loop.y)
            value = loss.item()
            loss.register_hook(lambda gradient: seen.append(gradient.item()))
            loss /= 4
            loss.retain_grad()
            torch.save({"loss": loss}, io.BytesIO())
            torch.autograd.backward(loss)
            assert loss.grad.item() == 1.0
            loop.optimizer.step()
            run.log(value=value)
    assert seen == [0.25] * 3
    run_read = fitdiag.read(log)
    assert run_read.curves["batch_loss"].values == pytest.approx(run_read.curves["value"].values)


def test_every_saves_measuring(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every=10 gradients are measured at each tenth step, and at no other."""
    loop = Loop()
    counted = []
    original = torch._foreach_norm

    def count(gradients: Any) -> Any:
        counted.append(len(gradients))
        return original(gradients)

    monkeypatch.setattr(torch, "_foreach_norm", count)
    with fitdiag.record(
        loop.model, loop.optimizer, loop.criterion, log=log, every=10, checks=False
    ):
        for _ in range(100):
            loop.step()
    assert counted == [6] * 10
