"""The live verdict: the same engine, bounded memory, and no flicker."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import fitdiag
from fitdiag import Run, diagnose
from fitdiag.monitor import POINTS, Monitor
from fitdiag.recording import RecordingWarning

if TYPE_CHECKING:
    from pathlib import Path

N = 200
FALL = np.exp(-0.05 * np.arange(N))
RNG = np.random.default_rng(0)
TRAIN = 0.05 + 2 * FALL + RNG.normal(0, 0.01, N)
VAL = 0.4 + 2 * FALL + 0.01 * np.maximum(np.arange(N) - 60, 0) + RNG.normal(0, 0.02, N)


def feed(monitor: Monitor, train: np.ndarray, val: np.ndarray) -> list[str]:
    said = []
    for step, (left, right) in enumerate(zip(train, val, strict=True), start=1):
        monitor.add(step, train_loss=left, val_loss=right)
        said.append(str(monitor.diagnosis().verdict))
    return said


def test_it_ends_where_the_log_ends() -> None:
    """After the last point the live verdict is the one of the finished log."""
    monitor = Monitor()
    said = feed(monitor, TRAIN, VAL)
    assert said[-1] == diagnose(Run.from_arrays(train_loss=TRAIN, val_loss=VAL)).verdict


def test_it_does_not_flicker() -> None:
    """A run that first fits and then overfits changes its verdict a few times at the most."""
    said = feed(Monitor(), TRAIN, VAL)
    changes = sum(a != b for a, b in pairwise(said))
    assert changes <= 3
    assert said[60] in {"ideal", "controlled_gap"}
    assert said[-1] == "overfitting"


def test_memory_is_bounded() -> None:
    """However many points come in, at most twice the limit is kept, over the whole run."""
    monitor = Monitor()
    for step in range(1, 20_001):
        monitor.add(step, batch_loss=1 / step, grad_norm_max=float(step))
    curves = monitor.run().curves
    assert all(POINTS / 2 <= len(curve) < 2 * POINTS for curve in curves.values())
    assert curves["batch_loss"].steps[0] < 200
    assert curves["batch_loss"].steps[-1] > 19_800
    assert curves["grad_norm_max"].values[-1] == curves["grad_norm_max"].steps[-1]


def test_non_finite_values_survive_the_thinning() -> None:
    """A single NaN among thousands of points is still known at the end."""
    monitor = Monitor()
    for step in range(1, 5001):
        monitor.add(step, train_loss=float("nan") if step == 1234 else 1 / step)
    signal = monitor.diagnosis().signals["train_loss"]
    assert signal.nonfinite == 1


def test_it_is_judged_anew_only_when_there_is_news() -> None:
    """Between two evaluations, and within one hundredth more points, the answer is the same."""
    monitor = Monitor()
    for step in range(1, 1001):
        monitor.add(step, batch_loss=1 / step)
    first = monitor.diagnosis()
    monitor.add(1001, batch_loss=0.001)
    assert monitor.diagnosis() is first
    monitor.add(1002, val_loss=0.5)
    assert monitor.diagnosis() is not first


def test_epochs_are_known() -> None:
    """The epoch that came with a step names moments in the diagnosis."""
    monitor = Monitor()
    for epoch in range(1, 21):
        monitor.add(100 * epoch, epoch=epoch, train_loss=1 / epoch, val_loss=1 / epoch)
    assert monitor.run().moment(1500) == "epoch 15"


def test_steps_that_go_back_are_left_out() -> None:
    """A step that is not later than the last one changes nothing."""
    monitor = Monitor()
    monitor.add(5, train_loss=1.0)
    monitor.add(5, train_loss=9.0)
    monitor.add(3, train_loss=9.0)
    assert monitor.run().curves["train_loss"].values.tolist() == [1.0]


def test_the_recorder_judges_while_training(tmp_path: Path) -> None:
    """A loop can ask for the verdict so far; after the last epoch it is that of the log."""
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    y = x @ torch.randn(4, 1)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    loss_fn = torch.nn.MSELoss()
    said = []
    with fitdiag.record(model, optimizer, loss_fn, log=tmp_path / "logs.csv") as run:
        for _ in run.epochs(40):
            optimizer.zero_grad()
            loss_fn(model(x[:48]), y[:48]).backward()
            optimizer.step()
            with torch.no_grad():
                loss_fn(model(x[48:]), y[48:])
            live = run.diagnosis()
            assert live is not None
            said.append(str(live.verdict))
    final = run.diagnosis()
    assert final is not None
    assert said[0] == "inconclusive"
    assert final.verdict == said[-1] == diagnose(tmp_path / "logs.csv").verdict == "ideal"


def test_a_fault_while_judging_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the engine fails, the training goes on, and a warning says so once."""
    model = torch.nn.Linear(1, 1)

    def fail(*_: object) -> None:
        raise ZeroDivisionError("broken on purpose")

    monkeypatch.setattr("fitdiag.monitor.diagnose", fail)
    with fitdiag.record(model, log=tmp_path / "logs.csv") as run:
        run.log(train_loss=1.0)
        with pytest.warns(RecordingWarning, match="broken on purpose"):
            assert run.diagnosis() is None
        assert run.diagnosis() is None
