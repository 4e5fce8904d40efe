"""What the columns of a log mean, as docs/recording.md says it."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

import fitdiag

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("one_thread")


class Loop:
    """Four steps an epoch over a growing loss, evaluated wherever a test says."""

    def __init__(self, clip: float | None = None) -> None:
        self.model = nn.Linear(1, 1, bias=False)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.0)
        self.criterion = nn.L1Loss()
        self.clip = clip
        self.losses: list[float] = []

    def step(self, scale: float) -> None:
        """Train on a loss and a gradient of this size."""
        with torch.no_grad():
            self.model.weight.fill_(1.0)
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(torch.full((1, 1), scale)), torch.zeros(1, 1))
        loss.backward()
        gradient = self.model.weight.grad
        if self.clip is not None and gradient is not None:
            gradient.clamp_(-self.clip, self.clip)
        self.optimizer.step()

    def evaluate(self, scale: float) -> None:
        """Compute a loss of this size without gradients."""
        with torch.no_grad():
            self.criterion(self.model(torch.full((1, 1), scale)), torch.zeros(1, 1))


def rows(log: Path) -> list[dict[str, str]]:
    """Return the rows of a log."""
    with log.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("clip", [None, 2.0])
def test_grad_norm_is_the_mean_of_what_the_optimizer_receives(
    log: Path, clip: float | None
) -> None:
    """It is the mean since the row before; what a loop does to the gradients itself is in it."""
    loop = Loop(clip)
    with fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log, every=0):
        for scale in (1.0, 2.0, 3.0, 6.0):
            loop.step(scale)
        loop.evaluate(1.0)
    (row,) = rows(log)
    expected = 3.0 if clip is None else (1 + 2 + 2 + 2) / 4
    assert float(row["grad_norm"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("counted", [False, True])
def test_an_evaluation_within_an_epoch_parts_the_training_loss(log: Path, *, counted: bool) -> None:
    """There train_loss is the mean since the evaluation before; only run.epochs counts epochs."""
    loop = Loop()
    with fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log, every=0) as run:
        for _ in run.epochs(2) if counted else range(2):
            for scale in (1.0, 3.0, 5.0, 7.0):
                loop.step(scale)
                if scale in {3.0, 7.0}:
                    loop.evaluate(1.0)
    assert [float(row["train_loss"]) for row in rows(log)] == pytest.approx([2, 6, 2, 6])
    expected = ["0", "1", "1", "2"] if counted else ["1", "2", "3", "4"]
    assert [row["epoch"] for row in rows(log)] == expected


@pytest.mark.parametrize("counted", [False, True])
def test_evaluations_every_few_epochs_count_as_epochs_unless_counted(
    log: Path, *, counted: bool
) -> None:
    """Without run.epochs the second evaluation, after four epochs, ends "epoch 2"."""
    loop = Loop()
    with fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log, every=0) as run:
        for epoch in run.epochs(4) if counted else range(4):
            loop.step(1.0)
            if epoch % 2:
                loop.evaluate(1.0)
    evaluated = [row["epoch"] for row in rows(log) if row["val_loss"]]
    assert evaluated == (["2", "4"] if counted else ["1", "2"])


@pytest.mark.parametrize("declared", [False, True])
def test_training_data_evaluated_without_gradients_mixes_into_validation(
    log: Path, *, declared: bool
) -> None:
    """Its losses are averaged into val_loss, unless run.phase("train") says what they are."""
    loop = Loop()
    with fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log, every=0) as run:
        loop.step(5.0)
        if declared:
            with run.phase("train"):
                loop.evaluate(1.0)
        else:
            loop.evaluate(1.0)
        loop.evaluate(3.0)
    (row,) = rows(log)
    expected = (1.0, 3.0) if declared else (5.0, 2.0)
    assert (float(row["train_loss"]), float(row["val_loss"])) == pytest.approx(expected)
