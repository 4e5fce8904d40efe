"""Event files that the writers of torch and tensorboardX write."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.external.conftest import Training


def open_writer(library: str, folder: Path) -> Any:
    """Return a writer of either library."""
    module = "torch.utils.tensorboard" if library == "torch" else library
    return importlib.import_module(module).SummaryWriter(str(folder))


@pytest.mark.parametrize("tags", ["{split}/loss", "Loss/{split}", "{split}_loss"])
@pytest.mark.parametrize("library", ["torch", "tensorboardX"])
def test_add_scalar(tmp_path: Path, training: Training, library: str, tags: str) -> None:
    """Tags that name the split before or after the loss read back."""
    with open_writer(library, tmp_path) as writer:
        for row in training.rows():
            writer.add_scalar(tags.format(split="train"), row.train_loss, row.step)
            writer.add_scalar("grad_norm", row.grad_norm, row.step)
            writer.add_scalar("learning_rate", row.lr, row.step)
            if row.val_loss is not None:
                writer.add_scalar(tags.format(split="val"), row.val_loss, row.step)
    training.truth.check_log(tmp_path)


@pytest.mark.parametrize("library", ["torch", "tensorboardX"])
def test_add_scalars(tmp_path: Path, training: Training, library: str) -> None:
    """A split that only the name of a sub-folder tells is found."""
    with open_writer(library, tmp_path) as writer:
        for row in training.rows():
            writer.add_scalars("loss", {"train": row.train_loss}, row.step)
            writer.add_scalar("grad_norm", row.grad_norm, row.step)
            writer.add_scalar("lr", row.lr, row.step)
            if row.val_loss is not None:
                writer.add_scalars("loss", {"val": row.val_loss}, row.step)
    training.truth.check_log(tmp_path)


@pytest.mark.parametrize("validation", ["val", "validation", "test"])
def test_two_writers(tmp_path: Path, training: Training, validation: str) -> None:
    """Two folders, one a split, with the same tag in both, are one run."""
    train, val = (open_writer("torch", tmp_path / name) for name in ("train", validation))
    for row in training.rows():
        train.add_scalar("loss", row.train_loss, row.step)
        train.add_scalar("grad_norm", row.grad_norm, row.step)
        train.add_scalar("lr", row.lr, row.step)
        if row.val_loss is not None:
            val.add_scalar("loss", row.val_loss, row.step)
    train.close()
    val.close()
    training.truth.check_log(tmp_path)


def test_keras_layout(tmp_path: Path, training: Training) -> None:
    """The tags and tensor values of Keras's callback read back, by epoch."""
    train, val = (open_writer("torch", tmp_path / name) for name in ("train", "validation"))
    epochs = [row for row in training.rows() if row.val_loss is not None]
    training.truth.curves.clear()
    for row in epochs:
        train.add_scalar("epoch_loss", row.train_loss, row.epoch, new_style=True)
        train.add_scalar("epoch_learning_rate", row.lr, row.epoch, new_style=True)
        val.add_scalar("epoch_loss", row.val_loss, row.epoch, new_style=True)
        training.truth.add(row.epoch, train_loss=row.train_loss, val_loss=row.val_loss, lr=row.lr)
    train.close()
    val.close()
    training.truth.check_log(tmp_path, "epoch")


def test_resumed(tmp_path: Path, training: Training) -> None:
    """A run resumed from a checkpoint drops the steps that it wrote again."""
    rows = list(training.rows())
    for first, last, offset in [(0, 16, 0.5), (12, 24, 0.0)]:
        writer: Any = open_writer("torch", tmp_path)
        for row in rows[first:last]:
            writer.add_scalar("train/loss", row.train_loss + (row.step > 24) * offset, row.step)
            writer.add_scalar("grad_norm", row.grad_norm, row.step)
            writer.add_scalar("lr", row.lr, row.step)
            if row.val_loss is not None:
                writer.add_scalar("val/loss", row.val_loss, row.step)
        writer.close()
        for path in tmp_path.glob("*tfevents*.0"):  # the next one starts later than this second
            path.rename(path.with_name(path.name.replace("tfevents.1", "tfevents.0")))
    training.truth.check_log(tmp_path)
