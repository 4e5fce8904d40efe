"""Early stopping in a loop: best weights back, and the recorder's own should_stop."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import fitdiag
from fitdiag import EarlyStopping
from fitdiag.errors import UsageError
from fitdiag.stopping import StopReason

if TYPE_CHECKING:
    from pathlib import Path

TURN = [2.0, 1.5, 1.0, *(1.0 + 0.1 * number for number in range(1, 30))]


def test_the_best_weights_come_back() -> None:
    """When it stops, the model holds the weights and buffers of the best evaluation."""
    linear, norm = nn.Linear(2, 2), nn.BatchNorm1d(2)
    stopping = EarlyStopping(patience=3, restore_best=nn.Sequential(linear, norm))
    mean = norm.running_mean
    assert mean is not None
    for number, value in enumerate(TURN):
        with torch.no_grad():
            linear.weight.fill_(number)
            mean.fill_(number)
        if stopping.update(value):
            break
    assert number == 5
    assert float(linear.weight.detach().mean()) == 2
    assert float(mean.mean()) == 2
    assert stopping.reason is StopReason.PATIENCE
    assert stopping.best == 1.0
    assert "No improvement in 3 evaluations" in stopping.message


def test_restoring_without_a_stop() -> None:
    """The best weights may be put back at any time; without any there is nothing to do."""
    model = nn.Linear(1, 1)
    stopping = EarlyStopping(restore_best=model)
    assert not stopping.restore()
    with torch.no_grad():
        model.weight.fill_(1.0)
    stopping.update(1.0)
    with torch.no_grad():
        model.weight.fill_(2.0)
    stopping.update(2.0)
    assert stopping.restore()
    assert float(model.weight.detach()) == 1
    assert not EarlyStopping().restore()


def test_weights_are_held_in_the_same_memory() -> None:
    """An improvement copies into what is held already, and never shares memory with the model."""
    model = nn.Linear(3, 3)
    stopping = EarlyStopping(restore_best=model)
    stopping.update(2.0)
    held = stopping._weights
    assert held is not None
    where = held["weight"].data_ptr()
    stopping.update(1.0)
    assert stopping._weights is not None
    assert stopping._weights["weight"].data_ptr() == where != model.weight.data_ptr()


def test_a_tensor_is_an_evaluation() -> None:
    """A tensor with one element is taken, and calling the object is the same as update."""
    stopping = EarlyStopping(patience=1)
    assert not stopping(torch.tensor(1.0))
    assert stopping(torch.tensor([2.0]))
    assert stopping.should_stop


def test_going_on_after_an_interruption() -> None:
    """The state goes through torch.save with weights_only, and the count goes on."""
    first, second = EarlyStopping(patience=3), EarlyStopping(patience=3)
    for value in TURN[:5]:
        first.update(value)
    second.load_state_dict(first.state_dict())
    assert not second.should_stop
    assert second.update(TURN[5])


def test_a_model_is_wanted() -> None:
    """Something else than a model to restore is an error that says so."""
    with pytest.raises(UsageError, match="restore_best must be the model"):
        EarlyStopping(restore_best=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["low", None, torch.ones(2)])
def test_an_evaluation_is_a_number(value: Any) -> None:
    """What is no single number is refused by its value."""
    with pytest.raises(UsageError, match="pass one number"):
        EarlyStopping().update(value)


def train(folder: Path, *, validate: bool, epochs: int = 60, **options: Any) -> tuple[int, Any]:
    """Train a small model that overfits; return the epochs that were run and the recorder."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    inputs, unseen = torch.randn(32, 20), torch.randn(200, 20)
    targets, wanted = (inputs[:, 0] > 0).long(), (unseen[:, 0] > 0).long()
    model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 2))
    count = 0
    optimizer, loss_fn = torch.optim.Adam(model.parameters(), lr=0.01), nn.CrossEntropyLoss()
    with fitdiag.record(
        model, optimizer, loss_fn, log=folder / "logs.csv", progress=False, **options
    ) as run:
        for _ in run.epochs(epochs):
            for part in range(0, 32, 8):
                optimizer.zero_grad()
                loss_fn(model(inputs[part : part + 8]), targets[part : part + 8]).backward()
                optimizer.step()
            if validate:
                with torch.no_grad():
                    loss_fn(model(unseen), wanted)
            count += 1
            if run.should_stop:
                break
    return count, run


def test_the_recorder_says_when_to_stop(tmp_path: Path) -> None:
    """In a loop that overfits should_stop ends the training soon after its best evaluation."""
    epochs, run = train(tmp_path, validate=True)
    assert epochs < 60
    decision = run.stopping
    assert decision.stop
    assert decision.reason is StopReason.TURNED_UP
    picked = fitdiag.diagnose(tmp_path / "logs.csv").checkpoint
    assert picked is not None
    assert {other.rule: other.step for other in picked.alternatives}["argmin"] == decision.best_step


def test_a_resumed_run_remembers_its_best(tmp_path: Path) -> None:
    """A recording that goes on with a log knows the evaluations from before."""
    model = nn.Linear(1, 1)
    log = tmp_path / "logs.csv"
    for first, values in ((0, TURN[:8]), (8, TURN[8:])):
        with fitdiag.record(model, log=log, progress=False, resume=first > 0) as run:
            for number, value in enumerate(values, start=first + 1):
                run.log(val_loss=value, train_loss=1 / number, step=number)
                if run.should_stop:
                    break
    assert run.stopping.stop
    assert (run.stopping.best, run.stopping.best_step) == (1.0, 3)
    assert number < 20


def test_the_recorder_stops_blind_too(tmp_path: Path) -> None:
    """Without validation should_stop goes by training loss and gradient norm, and says so."""
    _, run = train(tmp_path, validate=False, epochs=25)
    assert run.stopping.blind
    assert "Without validation" in run.stopping.message


def test_should_stop_never_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever goes wrong inside, the answer is no, and the recorder says so once."""
    model = nn.Linear(1, 1)
    with fitdiag.record(model, log=tmp_path / "logs.csv", progress=False) as run:
        assert run.should_stop is False
        run.log(val_loss=1.0, step=1)

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("broken")

        monkeypatch.setattr(run._session.flow, "flush", broken)
        run._session.intake.evaluated = True
        assert run.should_stop is False
        assert run.stopping.reason is StopReason.GOING_ON
    assert run.should_stop is False
    assert capsys.readouterr().err.count("The reason: broken") == 1


def test_asking_costs_little(tmp_path: Path) -> None:
    """Between two evaluations should_stop costs microseconds."""
    _, run = train(tmp_path, validate=True, epochs=3)
    begin = time.perf_counter()
    for _ in range(1000):
        assert run.should_stop is False
    assert time.perf_counter() - begin < 0.5


def test_judging_needs_no_torch() -> None:
    """The judging part is plain Python: it imports neither torch nor numpy."""
    code = (
        "import sys; from fitdiag.stopping import Stopper; Stopper().update(1.0);"
        "print([name for name in ('torch', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
