"""What the tests with real libraries share: a training to log, and what was logged to compare."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import fitdiag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fitdiag import Run

HERE = Path(__file__).parent

#: curves that decide a verdict: a run may have none of them that was not logged
JUDGED = ("train_loss", "val_loss", "batch_loss", "grad_norm", "grad_norm_max", "lr")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the libraries warn; fitdiag itself still may not."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error:::fitdiag"))
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@dataclass
class Truth:
    """What a library was given to log: values by step, by canonical curve name."""

    curves: dict[str, dict[float, float]] = field(default_factory=dict)
    epochs: dict[float, float] = field(default_factory=dict)

    def add(self, step: float, epoch: float | None = None, **values: float | None) -> None:
        """Remember values that were logged at a step."""
        for name, value in values.items():
            if value is not None:
                self.curves.setdefault(name, {})[step] = float(value)
        if epoch is not None:
            self.epochs[step] = epoch

    def keep_until(self, last: float) -> None:
        """Forget what was logged after a step."""
        self.curves = {
            name: {step: value for step, value in points.items() if step <= last}
            for name, points in self.curves.items()
        }
        self.epochs = {step: epoch for step, epoch in self.epochs.items() if step <= last}

    def check(self, run: Run, unit: str = "step") -> None:
        """Hold a run that was read to what was logged: steps and values to 1e-6."""
        assert run.unit == unit
        assert set(JUDGED) & set(run.curves) == set(JUDGED) & set(self.curves)
        for name, points in self.curves.items():
            curve = run.curves[name]
            np.testing.assert_allclose(curve.steps, list(points), rtol=1e-9, err_msg=name)
            np.testing.assert_allclose(
                curve.values, list(points.values()), rtol=1e-6, err_msg=name, equal_nan=True
            )
        for step, epoch in self.epochs.items():
            assert run.epoch_at(step) == pytest.approx(epoch, abs=1e-6), step

    def check_values(self, path: Path) -> None:
        """Read a log that does not count its rows: values only, in order."""
        run = fitdiag.read(path)
        steps = {name: list(curve.steps) for name, curve in run.curves.items()}
        first = min(steps["train_loss"])
        shifted = Truth()
        for name, points in self.curves.items():
            for at, value in enumerate(points.values()):
                shifted.add(first + at, **{name: value})
        shifted.check(run, run.unit)

    def check_log(self, path: Path, unit: str = "step") -> None:
        """Read a log without any option, and hold it to what was logged."""
        self.check(fitdiag.read(path), unit)


@dataclass(frozen=True)
class Row:
    """What one optimizer step has to log; a validation loss only at the end of an epoch."""

    step: int
    epoch: int
    train_loss: float
    grad_norm: float
    lr: float
    val_loss: float | None


@dataclass
class Training:
    """A training of six epochs of eight steps, logged at every other step."""

    diverges: bool
    truth: Truth = field(default_factory=Truth)

    def rows(self) -> Iterator[Row]:
        """Yield what there is to log, in order; the truth then knows it."""
        wave = np.random.default_rng(7).normal(size=49)
        for step in range(2, 49, 2):
            loss = 2.3 * 0.95**step + 0.1 + 0.003 * wave[step]
            if self.diverges and step > 40:
                loss = float("inf") if step == 42 else float("nan")
            row = Row(
                step=step,
                epoch=(step - 1) // 8,
                train_loss=float(loss),
                grad_norm=float(1.5 * 0.97**step + 0.01 * abs(wave[step])),
                lr=1e-3 * (1 - step / 50),
                val_loss=2.2 * 0.94**step + 0.2 + 0.01 * step if step % 8 == 0 else None,
            )
            self.truth.add(
                step,
                train_loss=row.train_loss,
                grad_norm=row.grad_norm,
                lr=row.lr,
                val_loss=row.val_loss,
            )
            yield row


@pytest.fixture
def truth() -> Truth:
    """Return an empty record of what is logged."""
    return Truth()


@pytest.fixture(params=["falling", "diverging"])
def training(request: pytest.FixtureRequest) -> Training:
    """Return a training that goes well, and one whose loss becomes infinite and then NaN."""
    return Training(diverges=request.param == "diverging")
