"""Logs that PyTorch Lightning writes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.external.conftest import Truth

BATCHES = 4
EPOCHS = 5


def fit(logger: Any, truth: Truth) -> None:
    """Train a line for some epochs, validate after each, and remember what was logged."""
    import pytorch_lightning as lightning
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    class Line(lightning.LightningModule):  # type: ignore[misc]  # untyped where it is absent
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(1, 1)
            self.seen: list[float] = []

        def loss(self, batch: Any) -> Any:
            return ((self.line(batch[0]) - 2 * batch[0]) ** 2).mean()

        def training_step(self, batch: Any, _: int) -> Any:
            loss = self.loss(batch)
            self.seen.append(loss.item())
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            truth.add(self.global_step, self.current_epoch, batch_loss=loss.item())
            return loss

        def validation_step(self, batch: Any, _: int) -> None:
            self.log("val_loss", self.loss(batch))

        def on_validation_epoch_end(self) -> None:
            value = self.trainer.callback_metrics["val_loss"].item()
            truth.add(self.global_step - 1, val_loss=value)

        def on_train_epoch_end(self) -> None:
            value = sum(self.seen) / len(self.seen)
            truth.add(self.global_step - 1, train_loss=value)
            self.seen.clear()

        def on_before_optimizer_step(self, _: Any) -> None:
            norm = torch.cat([p.grad.flatten() for p in self.parameters() if p.grad is not None])
            self.log("grad_norm", norm.norm())
            truth.add(self.global_step, grad_norm=norm.norm().item())

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=0.05)
            rate = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
            return [optimizer], [{"scheduler": rate, "interval": "step"}]

        def on_train_batch_start(self, *_: Any) -> None:
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            truth.add(self.global_step, lr=rate)

    torch.manual_seed(0)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    data = DataLoader(TensorDataset(torch.randn(3 * BATCHES, 1)), batch_size=3)
    lightning.Trainer(
        max_epochs=EPOCHS,
        logger=logger,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        callbacks=[lightning.callbacks.LearningRateMonitor("step")],
    ).fit(Line(), data, data)


def test_csv_logger(tmp_path: Path, truth: Truth) -> None:
    """A CSVLogger log reads back by its file, its version's folder and the folders above."""
    from pytorch_lightning.loggers import CSVLogger

    fit(CSVLogger(str(tmp_path)), truth)
    version = tmp_path / "lightning_logs" / "version_0"
    for path in (version / "metrics.csv", version, version.parent, tmp_path):
        truth.check_log(path)


def test_tensorboard_logger(tmp_path: Path, truth: Truth) -> None:
    """A TensorBoardLogger log reads back by its version's folder and the folders above."""
    from pytorch_lightning.loggers import TensorBoardLogger

    fit(TensorBoardLogger(str(tmp_path)), truth)
    version = tmp_path / "lightning_logs" / "version_0"
    for path in (version, version.parent, tmp_path):
        truth.check_log(path)
