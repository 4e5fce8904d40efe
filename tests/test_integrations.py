"""What the callbacks for frameworks stand on, without any of the frameworks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

import fitdiag
from fitdiag.errors import ExtraError, WriteError
from fitdiag.integrations import accelerate, lightning, transformers
from fitdiag.integrations.callback import TrainerCallback, name_metrics
from fitdiag.recording.framework import FrameworkRun, measure_batch

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = ("lightning", "transformers", "accelerate")


@pytest.mark.parametrize("name", MODULES)
def test_importing_costs_nothing(name: str) -> None:
    """Importing an integration loads neither torch nor the library nor numpy."""
    code = f"import sys, fitdiag.integrations.{name}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "pytorch_lightning", "lightning", "transformers", "accelerate"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize("name", MODULES)
def test_a_missing_library_is_named_with_its_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the library, an error says which extra to install."""
    monkeypatch.setattr("fitdiag.integrations.callback.find_spec", lambda _: None)
    make: dict[str, Callable[[], object]] = {
        "lightning": lightning.FitdiagCallback,
        "transformers": transformers.FitdiagCallback,
        "accelerate": lambda: accelerate.record(None).__enter__(),
    }
    with pytest.raises(ExtraError, match=rf'pip install "fitdiag\[{name}\]"'):
        make[name]()


def test_extras_are_declared() -> None:
    """Each integration has an extra of its name."""
    text = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text("utf-8")
    assert all(f"\n{name} = [" in text for name in MODULES)


def test_metrics_get_the_names_of_columns() -> None:
    """Of what a framework calls its metrics, those of validation are named as columns."""
    given = {"valid/loss": 1.0, "val_acc": 0.5, "train_loss": 9.0, "lr": 0.1}
    assert name_metrics(given) == {"val_loss": 1.0, "val_accuracy": 0.5}


def test_batches_are_measured_whatever_their_structure() -> None:
    """The first tensor of nested lists and dicts tells the batch size; else it is unknown."""
    x = torch.zeros(7, 2)
    for batch in (x, [x, x], {"a": {"b": (x,)}}, ["name", x]):
        assert measure_batch(batch) == 7
    assert measure_batch({"a": [torch.zeros(()), "text"]}) is None


class Loop:
    """A framework in small: batches, accumulation, validation, epochs."""

    def __init__(self, log: Path, *, step: int = 0, epoch: int = 0, **options: Any) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(2, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.run = FrameworkRun(
            self.model, self.optimizer, log=log, step=step, epoch=epoch, options=options
        )
        self.losses: list[float] = []

    def fit(self, epochs: range) -> None:
        """Train, with two batches a step and the optimizer's step around the backward pass."""
        criterion = nn.MSELoss()
        for epoch in epochs:
            for step in range(3):

                def closure(step: int = step, epoch: int = epoch) -> Any:
                    x = torch.full((4, 2), 1.0 + step + 0.1 * epoch)
                    loss = criterion(self.model(x), x[:, :1])
                    self.losses.append(loss.item())
                    self.run.note_loss(loss, 4)
                    (loss / 2).backward()
                    return loss

                self.optimizer.zero_grad()
                closure()
                self.optimizer.step(closure)
            self.run.note_values({"val_loss": 1.0 / (1 + epoch)})
            self.run.note_epoch(epoch + 1)
        self.run.finish()


def test_told_losses_count_once_and_at_their_step(tmp_path: Path) -> None:
    """What a framework tells is recorded once, though model and criterion are seen as well."""
    log = tmp_path / "logs.csv"
    loop = Loop(log, every=1)
    loop.fit(range(2))
    run = fitdiag.read(log)
    steps = np.array(loop.losses).reshape(-1, 2).mean(1)
    batch = run.curves["batch_loss"]
    np.testing.assert_allclose(batch.values, steps[batch.steps.astype(int) - 1], rtol=1e-6)
    means = steps.reshape(2, 3).mean(1)
    np.testing.assert_allclose(run.curves["train_loss"].values, means, rtol=1e-6)
    assert list(run.curves["val_loss"].steps) == [3, 6]
    assert [run.epoch_at(step) for step in (3, 6)] == [1, 2]


def test_a_training_goes_on_at_its_step(tmp_path: Path) -> None:
    """With steps behind it, a training continues its log there; without, it replaces none."""
    log = tmp_path / "logs.csv"
    Loop(log).fit(range(3))
    with pytest.raises(WriteError, match="exists"):
        Loop(log)
    Loop(log, step=6, epoch=2, overwrite=True).fit(range(2, 4))
    run = fitdiag.read(log)
    assert list(run.curves["val_loss"].steps) == [3, 6, 9, 12]
    assert run.epoch_at(12) == 4
    again = Loop(tmp_path / "new.csv", step=6, epoch=2)
    again.fit(range(2, 3))
    assert list(fitdiag.read(tmp_path / "new.csv").curves["val_loss"].steps) == [9]


def test_each_training_of_a_callback_has_its_log(tmp_path: Path) -> None:
    """A callback numbers the logs of trainings from the beginning, and continues others."""

    class Callback(TrainerCallback):
        @staticmethod
        def _find_bases() -> tuple[type, ...]:
            return (object,)

    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    callback: Any = Callback(tmp_path / "logs.csv")
    assert Callback(tmp_path).recorder is None
    names = []
    for step in (0, 5, 0, 7):
        callback._begin(model, optimizer, step=step, epoch=0)
        names.append(callback.recorder.path.name)
        callback._run.note_values({"train_loss": 1.0})
        callback._end(failed=False)
    assert names == ["logs.csv", "logs.csv", "logs-2.csv", "logs-2.csv"]


def test_nothing_is_raised_into_the_framework(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the recorder, and a loss that is none, leave the training as it is."""
    loop = Loop(tmp_path / "logs.csv")
    loop.run.note_loss("a word")
    monkeypatch.setattr(loop.run._session.intake, "note_told", lambda *_, **__: 1 / 0)
    with pytest.warns(fitdiag.recording.RecordingWarning, match="division by zero"):
        loop.run.note_loss(torch.ones(()))
    loop.run.note_epoch(3)
    loop.run.finish()
