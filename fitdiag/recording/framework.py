"""A recording that a training framework drives: it tells losses and epochs, hooks see the rest.

The framework knows which loss it trains on, when an epoch ends and at which step a training is
continued, so nothing of that is guessed. Optimizer steps, gradient norms, clipping and learning
rates come from the hooks as in any loop.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from fitdiag.recording.entrance import record
from fitdiag.recording.events import EpochMark

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from torch import nn
    from torch.optim import Optimizer

    from fitdiag.recording.recorder import Recorder

__all__ = ["FrameworkRun", "LossTap", "measure_batch", "name_log"]

#: how deep a batch is searched for its first tensor
DEPTH = 4


def measure_batch(batch: object, depth: int = DEPTH) -> int | None:
    """Return the first dimension of the first tensor in a batch of any structure, or None."""
    if isinstance(batch, Tensor):
        return int(batch.size(0)) if batch.ndim else None
    if depth and isinstance(batch, (list, tuple, dict)):
        parts = batch.values() if isinstance(batch, dict) else batch
        sizes = (measure_batch(part, depth - 1) for part in parts)
        return next((size for size in sizes if size is not None), None)
    return None


def name_log(log: str | os.PathLike[str], number: int) -> Path:
    """Return the log of the so-manieth training of one callback.

    >>> name_log("logs.csv", 1).name, name_log("logs.csv", 3).name
    ('logs.csv', 'logs-3.csv')
    """
    path = Path(log)
    return path if number < 2 else path.with_name(f"{path.stem}-{number}{path.suffix}")


class LossTap:
    """Takes losses on their way into a backward pass, unless the recorder has seen them already.

    Parameters
    ----------
    recorder : Recorder
        Whose log they are for.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._session = recorder._session  # noqa: SLF001 the other half of the recorder

    def note_loss(self, loss: object) -> None:
        """Take the loss that is about to be trained on."""
        session = self._session
        try:
            unseen = session.is_live() and not session.intake.awaits_backward()
            if unseen and isinstance(loss, Tensor):
                session.intake.note_told(loss, None, training=True)
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            session.give_up(problem)


class FrameworkRun:
    """One training of a framework, from its first step to its end.

    Parameters
    ----------
    model : Module
        The trained model.
    optimizers : Optimizer, or iterable of Optimizer
        Those that step, wrapped or not.
    log : str or path
        The file to write.
    step : int
        Optimizer steps that the training has behind it; from 1 on, an existing log is continued.
    epoch : int
        Epochs that are complete.
    options : mapping
        Further keywords of :func:`fitdiag.record`.

    Raises
    ------
    WriteError
        If a training from step 0 would replace a log, or the log cannot be written.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Optimizer | Iterable[Optimizer],
        *,
        log: str | os.PathLike[str],
        step: int = 0,
        epoch: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        keywords = {"progress": False, **(options or {})}
        if step:
            keywords.pop("overwrite", None)
            keywords["resume"] = step
        self.recorder: Recorder = record(model, optimizers, log=log, **keywords)
        self.recorder.__enter__()
        self._session = self.recorder._session  # noqa: SLF001 the other half of the recorder
        self._session.intake.told = True
        self._session.timeline.epoch = epoch
        self.note_epoch(epoch)

    def note_loss(self, loss: object, weight: int | None = None, *, training: bool = True) -> None:
        """Take the loss of one batch, before the optimizer steps with it.

        Parameters
        ----------
        loss : Tensor
            As it would be with this batch alone; anything else is passed over.
        weight : int, optional
            Batch size.
        training : bool, optional
            False for one of validation.
        """
        session = self._session
        if not session.is_live() or not isinstance(loss, Tensor):
            return
        try:
            session.intake.note_told(loss, weight, training=training)
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            session.give_up(problem)

    def note_epoch(self, done: int) -> None:
        """Note that so many epochs are complete."""
        session = self._session
        if not session.is_live():
            return
        try:
            session.intake.events.append(EpochMark(done))
            session.intake.evaluated = True
            session.flush_if_due()
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            session.give_up(problem)

    def note_values(self, values: Mapping[str, Any]) -> None:
        """Take further numbers by column, such as ``val_loss``."""
        if values:
            self.recorder.log(values)

    def finish(self, *, failed: bool = False) -> None:
        """Write what is left, and take all hooks away; a second time does nothing."""
        self._session.finish(failed=failed)
