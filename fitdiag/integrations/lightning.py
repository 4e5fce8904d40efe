"""A callback for PyTorch Lightning, by either of its names."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from fitdiag.integrations.callback import TrainerCallback, find_package, name_metrics

__all__ = ["FitdiagCallback"]

#: the packages that Lightning comes in, and where their callbacks are
_PACKAGES = {"lightning": "lightning.pytorch", "pytorch_lightning": "pytorch_lightning"}


class FitdiagCallback(TrainerCallback):
    """Records what a Lightning ``Trainer`` fits: losses, gradient norms, learning rate, epochs.

    The training loss is the one that the trainer goes backward through, before it is divided by
    ``accumulate_grad_batches`` or scaled, weighted by batch size within an epoch. The validation
    loss is what the module logs as such (``val_loss``, ``val/loss``, …), else what
    ``validation_step`` returns; further validation metrics that it logs are recorded too. The
    check of validation before the first step is no validation. A fit with ``ckpt_path`` continues
    the log; a further fit from the beginning gets a log of its own, ``logs-2.csv``.

    Parameters
    ----------
    log : str or path, optional
        The file to write. Default: ``logs.csv``.
    **options
        Further keywords of :func:`fitdiag.record`, such as ``every`` and ``overwrite``.

    Raises
    ------
    ExtraError
        If no Lightning is installed.

    Examples
    --------
    >>> from fitdiag.integrations.lightning import FitdiagCallback  # doctest: +SKIP
    >>> trainer = L.Trainer(max_epochs=5, callbacks=[FitdiagCallback()])  # doctest: +SKIP
    """

    @staticmethod
    def _find_bases() -> tuple[type, ...]:
        """Return the callback class of each Lightning that is loaded, or of the one installed."""
        loaded = [home for home in _PACKAGES.values() if home in sys.modules]
        homes = loaded or [_PACKAGES[find_package(tuple(_PACKAGES), "lightning")]]
        return tuple(import_module(home).Callback for home in homes)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin, once a checkpoint is restored and the sanity check is over."""
        self._taken = False
        self._weight: int | None = None
        epoch = trainer.current_epoch
        self._begin(pl_module, trainer.optimizers, step=_count_steps(trainer), epoch=epoch)

    def on_train_batch_start(self, _trainer: Any, _module: Any, batch: Any, _index: int) -> None:
        """Remember how large the batch is."""
        measure = import_module("fitdiag.recording.framework").measure_batch
        self._weight, self._taken = measure(batch), False

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        """Take the loss; of a closure that is called several times for one batch, the first."""
        if self._run is None:
            return
        if pl_module.automatic_optimization:
            if self._taken:
                return
            self._taken = True
            loss = loss.detach() * trainer.accumulate_grad_batches
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is not None and scaler.is_enabled():
            loss = loss.detach() / _read_scale(scaler)
        self._run.note_loss(loss, self._weight)

    def on_validation_start(self, _trainer: Any, _module: Any) -> None:
        """Forget the losses of the validation before."""
        self._returned: list[tuple[Any, int | None]] = []

    def on_validation_batch_end(
        self, _trainer: Any, _module: Any, outputs: Any, batch: Any, *_place: int
    ) -> None:
        """Keep the loss that a validation step returns, should none be logged."""
        if self._run is None:
            return
        framework = import_module("fitdiag.recording.framework")
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is not None and hasattr(loss, "detach"):
            self._returned.append((loss.detach(), framework.measure_batch(batch)))

    def on_validation_end(self, trainer: Any, _module: Any) -> None:
        """Take the validation loss and the other metrics of validation."""
        if self._run is None or trainer.sanity_checking:
            return
        values = name_metrics(trainer.callback_metrics)
        if "val_loss" not in values:
            for loss, weight in self._returned:
                self._run.note_loss(loss, weight, training=False)
        self._run.note_values(values)

    def on_train_epoch_end(self, trainer: Any, _module: Any) -> None:
        """Note that the epoch is complete, and the metrics of its training data."""
        if self._run is None:
            return
        classify = import_module("fitdiag.readers.names").classify
        names = {name: classify(name) for name in trainer.callback_metrics}
        self._run.note_values(
            {
                f"train_{told.word}": trainer.callback_metrics[name]
                for name, told in names.items()
                if told.kind == "metric" and told.split == "train"
            }
        )
        self._run.note_epoch(trainer.current_epoch + 1)

    def on_train_end(self, _trainer: Any, _module: Any) -> None:
        """End the recording."""
        self._end(failed=False)

    def on_exception(self, _trainer: Any, _module: Any, _exception: BaseException) -> None:
        """End the recording of a training that broke off."""
        self._end(failed=True)


def _count_steps(trainer: Any) -> int:
    """Return the rounds of all optimizers so far, as the recorder counts steps."""
    return int(trainer.global_step) // max(1, len(trainer.optimizers))


def _read_scale(scaler: Any) -> Any:
    """Return what a gradient scaler multiplies by, left on its device where it can be."""
    scale = getattr(scaler, "_scale", None)
    return scaler.get_scale() if scale is None else scale
