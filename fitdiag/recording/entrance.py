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
from fitdiag.recording.checkpoints.plan import read_plan
from fitdiag.recording.hygiene import check_checks
from fitdiag.recording.options import Options
from fitdiag.recording.recorder import Recorder
from fitdiag.recording.resumption import check_resume
from fitdiag.recording.settings import read_settings

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
    config: object = None,
    resume: bool | int = False,
    checks: bool | str = True,
    layers: bool | str | Iterable[str] = True,
    checkpoints: str | os.PathLike[str] | None = None,
    keep: int = 3,
    what: str = "state",
    scheduler: object = None,
    scaler: object = None,
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
    gradients that the optimizer is given, without a loss scale, over all processes. Where a
    function of ``torch.nn.utils`` has clipped them it is their norm before, and ``clip_coef``
    beside it says how much was left; clipping by hand is not seen. ``grad_norm_kind`` says which.

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
        With 2 or more, gradients are measured at these steps only, which costs less; otherwise at
        each step.
    overwrite : bool, optional
        Whether a log that is there may be replaced, with what lies beside it. Default: no.
    flush_seconds : float, optional
        The log is written after each evaluation (at most ten times a second), and at the first
        step after this many seconds. Default: 5.
    progress : bool, optional
        False for no progress bar with :meth:`Recorder.epochs`. Default: where stderr is a terminal.
    config : mapping, namespace or dataclass, optional
        The settings of the training, such as ``vars(args)``: they are kept beside the log, with
        names of nested ones joined by dots, and tell runs apart later.
    resume : bool or int, optional
        True to go on with the log that is there, if there is one: steps and epochs count on. The
        step of the checkpoint that the training goes on from, if that is not its last row: what
        stands behind it is moved to a file beside the log. After :func:`fitdiag.resume` from the
        folder in ``checkpoints``, True is enough. Default: a log that is there is refused.
    checks : bool or str, optional
        Whether mistakes of the loop are looked for, and told once, with the line. ``"data"`` also
        compares the samples of training and validation, which reads the first epochs' inputs;
        False looks for nothing. Default: all that costs nothing.
    layers : bool, str or iterable of str, optional
        Whose gradient norms are kept one by one, in ``logs.layers.csv`` beside ``logs.csv``, a
        file of bounded size. True for each parameter, or each module where there are more than 256
        of them; False for none; patterns such as ``"encoder.layers.*"`` for the parameters or
        modules of that name, ``*`` standing for anything between two dots. Default: True.
    checkpoints : str or path, optional
        A folder in which a checkpoint is kept after each evaluation. :func:`fitdiag.resume` goes
        on from there. Default: none is kept.
    keep : int, optional
        How many of the newest checkpoints stay, besides those that may yet be the one to keep:
        the best, what comes next to it, and the first once the run has settled. Default: 3.
    what : {"state", "weights", "model"}, optional
        What a checkpoint holds: the whole state of the training, the weights alone, or the whole
        module, which only ``torch.load(weights_only=False)`` loads. Default: the state.
    scheduler, scaler : object, or iterable of these, optional
        Learning-rate schedulers and gradient scalers, whose state belongs to that of the
        training. Default: those in memory that hold the optimizer.

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
    check_resume(resume, overwrite=overwrite)
    check_checks(checks)
    plan = read_plan(checkpoints, keep=keep, what=what, scheduler=scheduler, scaler=scaler)
    return Recorder(
        list_models(model),
        list_optimizers(optimizer),
        list_criteria(loss_fn),
        Options(
            log=log,
            every=every,
            overwrite=overwrite,
            flush_seconds=flush_seconds,
            progress=progress,
            config=read_settings(config),
            resume=resume,
            checks=checks,
            layers=layers,
            plan=plan,
        ),
    )
