"""A callback for the Hugging Face ``Trainer``."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fitdiag.integrations.callback import TrainerCallback, find_package

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FitdiagCallback"]

#: what the Trainer measures of an evaluation besides its data
_COSTS = ("runtime", "per_second", "preparation_time", "mem_", "memory")


class FitdiagCallback(TrainerCallback):
    """Records what a ``Trainer`` trains: raw losses, gradient norms, evaluations, epochs.

    The loss of a step is the sum of what the Trainer goes backward through in it, so the mean
    over all that is accumulated. It is taken where it is computed: a NaN that
    ``logging_nan_inf_filter`` keeps out of the Trainer's own log is in this one. The gradient norm
    is the global one before clipping. ``eval_loss`` becomes ``val_loss``, ``eval_accuracy``
    ``val_accuracy``; of several evaluation sets the first one gives the validation loss. A
    training with ``resume_from_checkpoint`` continues the log; a further training from the
    beginning gets a log of its own, ``logs-2.csv``.

    Parameters
    ----------
    log : str or path, optional
        The file to write. Default: ``logs.csv``.
    **options
        Further keywords of :func:`fitdiag.record`, such as ``every`` and ``overwrite``.

    Raises
    ------
    ExtraError
        If transformers is not installed.

    Examples
    --------
    >>> from fitdiag.integrations.transformers import FitdiagCallback  # doctest: +SKIP
    >>> trainer = Trainer(model, args, callbacks=[FitdiagCallback()])  # doctest: +SKIP
    """

    @staticmethod
    def _find_bases() -> tuple[type, ...]:
        """Return the callback class of transformers."""
        return (import_module(find_package(("transformers",), "transformers")).TrainerCallback,)

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **given: Any) -> None:
        """Begin, and listen to the losses of the trainer that trains."""
        self._micro: list[Any] = []
        self._column: str | None = None  # of the evaluations' losses, the one that is val_loss
        step, epoch = int(state.global_step), int(state.epoch or 0)
        self._begin(given["model"], given["optimizer"], step=step, epoch=epoch)
        trainer = _find_trainer()
        if self._run is None:
            return
        if trainer is None:
            self._run.recorder._session.intake.told = False  # noqa: SLF001 the model's own losses, then
            return
        self._release()
        step_before: Callable[..., Any] = trainer.training_step

        def training_step(*args: Any, **kwargs: Any) -> Any:
            try:
                loss = step_before(*args, **kwargs)
            except BaseException:
                self._release()
                self._end(failed=True)
                raise
            self._micro.append(loss)
            return loss

        trainer.training_step = training_step
        self._listened = trainer

    def on_pre_optimizer_step(self, *_given: Any, **_named: Any) -> None:
        """Take the loss of the step that is about to be made."""
        if self._run is not None and self._micro:
            self._run.note_loss(sum(self._micro[1:], self._micro[0]))
        self._micro = []

    def on_evaluate(
        self, _args: Any, _state: Any, _control: Any, metrics: Mapping[str, Any], **_named: Any
    ) -> None:
        """Take what an evaluation measured."""
        if self._run is None:
            return
        values = {}
        for name, value in metrics.items():
            told = name.removeprefix("eval_")
            if told == name or any(cost in told for cost in _COSTS):
                continue
            if told.endswith("loss") and self._column in (None, name):
                self._column, told = name, "loss"
            values[f"val_{told}"] = value
        self._run.note_values({n: v for n, v in values.items() if isinstance(v, (int, float))})

    def on_epoch_end(self, _args: Any, state: Any, _control: Any, **_named: Any) -> None:
        """Note that the epoch is complete, unless the training was stopped within it."""
        done = state.epoch or 0.0
        if self._run is not None and abs(done - round(done)) < 1e-6:  # it is a sum of shares
            self._run.note_epoch(round(done))

    def on_train_end(self, *_given: Any, **_named: Any) -> None:
        """End the recording."""
        self._release()
        self._end(failed=False)

    def _release(self) -> None:
        """Listen to no trainer any more."""
        trainer = self.__dict__.pop("_listened", None)
        if trainer is not None:
            trainer.__dict__.pop("training_step", None)


def _find_trainer() -> Any:
    """Return the Trainer that called: it hands a callback everything but itself and its losses."""
    kind = import_module("transformers").Trainer
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, kind):
            return owner
        frame = frame.f_back
    return None
