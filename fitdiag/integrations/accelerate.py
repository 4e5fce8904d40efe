"""Recording a loop with Hugging Face Accelerate."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fitdiag.integrations.callback import find_package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fitdiag.recording import Recorder

__all__ = ["record"]


@contextmanager
def record(
    accelerator: Any, model: Any = None, optimizer: Any = None, loss_fn: Any = None, **options: Any
) -> Iterator[Recorder]:
    """Record a loop that uses an ``Accelerator``; it stays as it is.

    As :func:`fitdiag.record`, and besides: model and optimizer may be those that
    ``accelerator.prepare`` returned, and are found if not given. A loss that no criterion and no
    model output told is taken from ``accelerator.backward(loss)``, undivided. Steps that mixed
    precision skips are counted. The norm before ``accelerator.clip_grad_norm_`` is recorded, the
    log is written by the main process only.

    Parameters
    ----------
    accelerator : accelerate.Accelerator
        Whose ``prepare`` has been called.
    model, optimizer, loss_fn : optional
        As for :func:`fitdiag.record`. Default: all that were prepared.
    **options
        Further keywords of :func:`fitdiag.record`, such as ``log``.

    Yields
    ------
    Recorder

    Raises
    ------
    ExtraError
        If accelerate is not installed.
    UsageError
        If nothing was prepared, or an argument makes no sense.
    WriteError
        If the log exists already, or cannot be written.

    Examples
    --------
    >>> from fitdiag.integrations.accelerate import record  # doctest: +SKIP
    >>> with record(accelerator, log="logs.csv"):  # doctest: +SKIP
    ...     train(model, optimizer, loader)
    """
    find_package(("accelerate",), "accelerate")
    recording = import_module("fitdiag.recording")
    models = accelerator._models if model is None else model  # noqa: SLF001 no public name
    optimizers = accelerator._optimizers if optimizer is None else optimizer  # noqa: SLF001 no public name
    with recording.record(models, optimizers, loss_fn, **options) as run:
        inside = import_module("fitdiag.recording.framework").LossTap(run)
        backward = accelerator.backward

        def watched_backward(loss: Any, *args: Any, **kwargs: Any) -> Any:
            inside.note_loss(loss)
            return backward(loss, *args, **kwargs)

        accelerator.backward = watched_backward
        try:
            yield run
        finally:
            del accelerator.backward
