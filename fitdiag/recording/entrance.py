"""Where a recording begins: :func:`record`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.recording.arguments import (
    check_log,
    check_pace,
    list_criteria,
    list_models,
    list_optimizers,
)
from fitdiag.recording.recorder import Recorder

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from torch import nn
    from torch.optim import Optimizer

__all__ = ["record"]


def record(
    model: nn.Module | Iterable[nn.Module],
    optimizer: Optimizer | Iterable[Optimizer] | None = None,
    loss_fn: nn.Module | Iterable[nn.Module] | None = None,
    *,
    log: str | os.PathLike[str] = "logs.csv",
    every: int | None = None,
    overwrite: bool = False,
    flush_seconds: float = 5.0,
    progress: bool | None = None,
) -> Recorder:
    """Record a training loop that stays as it is: ``with fitdiag.record(…) as run:`` around it.

    Training and validation loss, the global gradient norm at each optimizer step and the learning
    rate go into one CSV file that any program opens.

    A loss is a *training* loss when a backward pass reaches it, and a *validation* loss
    otherwise: under ``no_grad``, in ``model.eval()``, or simply never used for training. So
    training data evaluated without gradients counts as validation, unless
    ``with run.phase("train"):`` says otherwise. An epoch ends when training goes on after an
    evaluation, or exactly with ``for epoch in run.epochs(20)``.

    Several losses in one backward pass are a sum, and are recorded as one, each with its share;
    several backward passes before one optimizer step are accumulation, and are averaged. Losses
    are averaged by batch size where it is known, and a criterion with ``reduction="sum"`` is
    divided by it, so that batches of unequal size compare. The gradient norm is that of the
    gradients that the optimizer is given. Where they come from a call of
    ``torch.nn.utils.clip_grad_norm_`` by that name, it is their norm before, and ``clip_coef``
    beside it is the factor by which they were scaled; any other clipping is not seen.

    Parameters
    ----------
    model : Module, or iterable of Module
        Whose mode, training or not, and whose outputs with a ``.loss`` are watched.
    optimizer : Optimizer, or iterable of Optimizer, optional
        Whose steps are counted and whose gradients are measured. Default: any optimizer that
        holds a parameter of the model. With several, one round of them is one step.
    loss_fn : Module, or iterable of Module, optional
        The criterion. For a plain function use :meth:`Recorder.loss` inside the ``with``.
    log : str or path, optional
        The file to write; folders on the way are made. Default: ``logs.csv`` here.
    every : int, optional
        Optimizer steps from one row to the next within an epoch; 0 for a row an epoch only.
        Default: each step at first, then ever fewer, one at each hundredth of the steps so far.
    overwrite : bool, optional
        Whether a log that is there may be replaced. Default: no.
    flush_seconds : float, optional
        The log is written after each evaluation (at most ten times a second), and at the first
        step after this many seconds. Default: 5.
    progress : bool, optional
        False for no progress bar with :meth:`Recorder.epochs`. Default: where stderr is a terminal.

    Returns
    -------
    Recorder
        To be entered by ``with``.

    Raises
    ------
    UsageError
        If an argument is not what it should be.
    WriteError
        If the log exists already, or, on entering, cannot be written. This is raised before the
        training begins; nothing is raised into it afterwards.

    Examples
    --------
    >>> import tempfile, torch, fitdiag
    >>> folder = tempfile.TemporaryDirectory()
    >>> model = torch.nn.Linear(3, 1)
    >>> loss_fn = torch.nn.MSELoss()
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> x, y = torch.ones(8, 3), torch.ones(8, 1)
    >>> with fitdiag.record(model, optimizer, loss_fn, log=f"{folder.name}/logs.csv") as run:
    ...     for epoch in range(20):
    ...         loss = loss_fn(model(x), y)
    ...         with torch.no_grad():
    ...             loss_val = loss_fn(model(x[:2]), y[:2])
    ...         optimizer.zero_grad()
    ...         loss.backward()
    ...         optimizer.step()
    >>> lines = run.path.read_text().splitlines()
    >>> len(lines), lines[-1][:6]
    (21, '20,20,')
    >>> folder.cleanup()
    """
    check_pace(every, flush_seconds)
    check_log(log)
    return Recorder(
        list_models(model),
        list_optimizers(optimizer),
        list_criteria(loss_fn),
        log=log,
        every=every,
        overwrite=overwrite,
        flush_seconds=flush_seconds,
        progress=progress,
    )
