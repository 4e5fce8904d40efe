"""Logs that Keras writes, with PyTorch as its engine."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.external.conftest import Truth


@pytest.fixture
def history(tmp_path: Path, truth: Truth, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fit a line, log to ``training.log``, and return Keras's history."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05), "mse", metrics=["mae"])
    x = np.random.default_rng(0).random((40, 2))
    done = model.fit(
        x,
        x.sum(axis=1),
        epochs=12,
        validation_split=0.25,
        verbose=0,
        callbacks=[
            keras.callbacks.LearningRateScheduler(lambda epoch, _: 0.05 * 0.9**epoch),
            keras.callbacks.CSVLogger(str(tmp_path / "training.log")),
        ],
    )
    for epoch in range(12):
        logs = {key: float(values[epoch]) for key, values in done.history.items()}
        truth.add(
            epoch,
            train_loss=logs["loss"],
            val_loss=logs["val_loss"],
            lr=logs["learning_rate"],
            train_mae=logs["mae"],
            val_mae=logs["val_mae"],
        )
    return done.history


@pytest.mark.usefixtures("history")
def test_csv_logger(tmp_path: Path, truth: Truth) -> None:
    """A CSVLogger log reads back, epochs as Keras counts them."""
    truth.check_log(tmp_path / "training.log", "epoch")


@pytest.mark.parametrize("shape", ["lists", "columns", "indented"])
def test_history_json(tmp_path: Path, truth: Truth, history: Any, shape: str) -> None:
    """A history dumped as JSON reads back: of lists, by column and row, indented."""
    plain = {key: [float(value) for value in values] for key, values in history.items()}
    by_row = {key: {str(k): v for k, v in enumerate(vs)} for key, vs in plain.items()}
    path = tmp_path / "history.json"
    path.write_text(
        json.dumps(
            by_row if shape == "columns" else plain, indent=2 if shape == "indented" else None
        ),
        encoding="utf-8",
    )
    truth.check_values(path)


def test_history_csv(tmp_path: Path, truth: Truth, history: Any) -> None:
    """A history dumped as a table with an unnamed index column reads back."""
    path = tmp_path / "history.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", *history])
        for epoch, values in enumerate(zip(*history.values(), strict=True)):
            writer.writerow([epoch, *values])
    truth.check_values(path)
