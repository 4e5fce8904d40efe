"""Going on with a log: steps and epochs count on, and the log stays one readable run."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import fitdiag
from fitdiag.errors import UsageError, WriteError
from fitdiag.recording.evaluation import CROWD, Evaluation
from fitdiag.recording.events import Loss
from fitdiag.run import Observation

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("one_thread")


class Training:
    """Five steps and an evaluation an epoch, without chance, so that it can go on anywhere."""

    def __init__(self) -> None:
        self.model = nn.Linear(3, 1)
        with torch.no_grad():
            self.model.weight.copy_(torch.tensor([[0.3, -0.2, 0.5]]))
            self.model.bias.zero_()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05)
        self.criterion = nn.MSELoss()

    def record(self, log: Path, **options: Any) -> Any:
        """Record it."""
        return fitdiag.record(self.model, self.optimizer, self.criterion, log=log, **options)

    def step(self, number: int) -> None:
        """Train on a batch that depends on its number alone."""
        x = torch.arange(12.0).reshape(4, 3).sin() * (1 + number % 5)
        self.optimizer.zero_grad()
        self.criterion(self.model(x), x.sum(1, keepdim=True)).backward()
        self.optimizer.step()

    def epoch(self, number: int) -> None:
        """Train one epoch, and evaluate."""
        for step in range(5):
            self.step(5 * number + step)
        with torch.no_grad():
            self.criterion(self.model(torch.ones(2, 3)), torch.ones(2, 1))


def read_rows(log: Path) -> list[dict[str, str]]:
    """Return the rows of a log, but for the words of its norm."""
    with log.open(encoding="utf-8") as file:
        return [{k: v for k, v in r.items() if k != "grad_norm_kind"} for r in csv.DictReader(file)]


@pytest.fixture
def whole(tmp_path: Path) -> list[dict[str, str]]:
    """Return the rows of a run that was never interrupted."""
    training, log = Training(), tmp_path / "whole.csv"
    with training.record(log, every=1) as run:
        for epoch in run.epochs(6):
            training.epoch(epoch)
    return read_rows(log)


def test_a_resumed_run_goes_on_where_it_stopped(log: Path, whole: list[dict[str, str]]) -> None:
    """Two halves make the log of the whole; the second begins at the first epoch not done."""
    training = Training()
    seen = []
    for _ in range(2):
        with training.record(log, every=1, resume=True) as run:
            for epoch in run.epochs(6):
                seen.append(epoch)
                training.epoch(epoch)
                if epoch == 2 and len(seen) == 3:
                    break
    assert seen == [0, 1, 2, 3, 4, 5]
    assert read_rows(log) == whole
    assert not fitdiag.read(log).source.notes
    assert fitdiag.read(log).source.provenance["grad_norm"] == "as-stepped, unscaled, global"


def test_a_finished_run_has_no_epoch_left(log: Path) -> None:
    """Resuming a run that is complete leaves nothing to do, and its log as it is."""
    training = Training()
    with training.record(log) as run:
        for epoch in run.epochs(2):
            training.epoch(epoch)
    before = log.read_text()
    with training.record(log, resume=True) as run:
        assert list(run.epochs(2)) == []
        with pytest.warns(RuntimeWarning, match="nothing was recorded"):
            run.close()
    assert log.read_text() == before


def test_rows_behind_the_checkpoint_are_moved_aside(log: Path, whole: list[dict[str, str]]) -> None:
    """A training that goes on from an earlier step does it again: the log holds each step once."""
    training = Training()
    with training.record(log, every=1) as run:
        for epoch in run.epochs(2):
            training.epoch(epoch)
        state = {name: value.clone() for name, value in training.model.state_dict().items()}
        training.step(10)
        training.step(11)
        training.step(12)
    training.model.load_state_dict(state)
    with training.record(log, every=1, resume=10) as run:
        for epoch in run.epochs(6):
            assert epoch > 1
            training.epoch(epoch)
    assert read_rows(log) == whole
    aside = read_rows(log.with_name("logs.superseded.csv"))
    assert [row["step"] for row in aside] == ["11", "12", "13"]
    assert [path.name for path, _ in fitdiag.runs(log.parent) if "whole" not in path.name] == [
        "logs.csv"
    ]
    with training.record(log, overwrite=True):
        training.epoch(0)
    assert not log.with_name("logs.superseded.csv").exists()


@pytest.mark.parametrize("torn", ["16,3,0.1", "\0\0\0", "nonsense"])
def test_a_log_that_was_torn_is_mended(log: Path, torn: str) -> None:
    """What a killed process left half written is cut off, and the run goes on before it."""
    training = Training()
    with training.record(log, every=1) as run:
        for epoch in run.epochs(3):
            training.epoch(epoch)
    with log.open("a") as file:
        file.write(torn)
    with training.record(log, every=1, resume=True) as run:
        for epoch in run.epochs(4):
            training.epoch(epoch)
    run_read = fitdiag.read(log)
    assert run_read.curves["grad_norm"].steps.tolist() == list(range(1, 21))
    assert run_read.curves["val_loss"].steps.tolist() == [5, 10, 15, 20]


def test_columns_may_come_and_be_there_already(log: Path) -> None:
    """A resumed log keeps its metrics, takes new ones, and also one from before the kinds."""
    training = Training()
    with training.record(log) as run:
        training.epoch(0)
        run.log(val_accuracy=0.5)
    rows = [line.split(",") for line in log.read_text().splitlines()]
    at = rows[0].index("grad_norm_kind")
    log.write_text("".join(",".join(row[:at] + row[at + 1 :]) + "\n" for row in rows))
    with training.record(log, resume=True) as run:
        training.epoch(1)
        run.log(val_accuracy=0.6, val_f1=0.7)
    read = fitdiag.read(log)
    assert read.curves["val_accuracy"].values.tolist() == [0.5, 0.6]
    assert read.curves["val_f1"].steps.tolist() == [10]
    assert read.source.provenance


def test_what_was_known_of_the_run_is_kept(log: Path) -> None:
    """Settings, observations and skipped steps of the first part stand with those of the next."""
    training = Training()
    leak = Observation(code="LOP001", message="A leak.", where="a.py:3", step=2)
    for part in range(2):
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        options = {"config": {"lr": 0.05}} if part == 0 else {}
        with training.record(log, resume=True, every=1, **options) as run:
            run._session.sidecar.observe(leak)
            for number in range(4):
                training.optimizer.zero_grad()
                loss = training.model(torch.ones(1, 3)).sum()
                scaler.scale(loss * (float("inf") if number == 1 else 1.0)).backward()
                scaler.step(training.optimizer)
                scaler.update()
            run.log(val_loss=1.0)
    read = fitdiag.read(log)
    assert dict(read.source.config) == {"lr": 0.05}
    assert read.observations[0].count == 2
    assert read.curves["skipped_steps"].values[-1] == 2


def test_a_resumed_run_without_a_log_begins(log: Path) -> None:
    """The same line starts a training and goes on with it; a step given without a log counts."""
    training = Training()
    with training.record(log, resume=True, every=1):
        training.epoch(0)
    assert read_rows(log)[0]["step"] == "1"
    log.unlink()
    with training.record(log, resume=40, every=1):
        training.epoch(0)
    assert read_rows(log)[0]["step"] == "41"
    with training.record(log, resume=0, every=1):
        training.epoch(0)
    assert [row["step"] for row in read_rows(log)] == ["1", "2", "3", "4", "5"]


def test_what_cannot_be_resumed_is_refused(log: Path) -> None:
    """A file that is something else stays as it is, and so does a log that nobody named."""
    training = Training()
    log.write_text("epoch,loss\n1,0.5\n")
    with pytest.raises(WriteError, match="no log of fitdiag"), training.record(log, resume=True):
        pass
    assert log.read_text() == "epoch,loss\n1,0.5\n"
    with pytest.raises(WriteError, match="resume=True"):
        training.record(log)
    with pytest.raises(UsageError, match="exclude each other"):
        training.record(log, resume=True, overwrite=True)
    for wrong in (-1, 2.5, "yes", None):
        with pytest.raises(UsageError, match="resume is"):
            training.record(log, resume=wrong)


def test_a_checkpoint_tells_where_the_log_goes_on(log: Path, tmp_path: Path) -> None:
    """After fitdiag.resume(), resume=True goes on from the step of the checkpoint."""
    folder = tmp_path / "checkpoints"
    training = Training()
    with training.record(log, every=1, checkpoints=folder) as run:
        for epoch in run.epochs(2):
            training.epoch(epoch)
        training.step(10)
    other = Training()
    at = fitdiag.resume(folder / "epoch=2-step=10.pt", other.model, other.optimizer)
    with other.record(log, every=1, checkpoints=folder, resume=True) as run:
        for epoch in run.epochs(3):
            other.epoch(epoch)
    rows = read_rows(log)
    assert at.step == 10
    assert [int(row["step"]) for row in rows] == list(range(1, 16))
    assert rows[-1]["epoch"] == "3"


def test_counts_of_epochs_are_whole_numbers(log: Path) -> None:
    """A whole number of any type is taken; anything else is refused in a clear sentence."""
    training = Training()
    with training.record(log) as run:
        for given in (2.0, torch.tensor(2), True):
            assert list(run.epochs(given)) in ([0, 1], [0])
        for wrong in (2.5, "three", None, float("nan")):
            with pytest.raises(UsageError, match="pass a whole number of epochs"):
                run.epochs(wrong)
        training.epoch(0)


def test_a_very_long_evaluation_is_bounded_in_memory() -> None:
    """Of many losses only so many are kept one by one; their mean is the mean of all."""
    evaluation = Evaluation()
    total = 0.0
    for number in range(5 * CROWD + 3):
        weight = 1 + number % 3
        total += number * weight
        evaluation.add(Loss(float(number), weight, forward=number), None, each=False)
        assert len(evaluation._losses) < 2 * CROWD
    count = sum(1 + number % 3 for number in range(5 * CROWD + 3))
    assert len(evaluation) == 5 * CROWD + 3
    assert evaluation.average(None, each=False) == pytest.approx(total / count, rel=1e-9)
    evaluation.cut(5 * CROWD)
    assert len(evaluation) == 5 * CROWD
