"""The recorder: what a user holds while a run is recorded."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from torch import nn

from fitdiag.errors import UsageError
from fitdiag.recording.arguments import read_count, read_values
from fitdiag.recording.events import Logged
from fitdiag.recording.hooks import WatchedLoss
from fitdiag.recording.progress import Epochs, Progress
from fitdiag.recording.session import Session
from fitdiag.recording.writer import check_name

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from torch import Tensor
    from torch.optim import Optimizer

    from fitdiag.diagnosis import Diagnosis
    from fitdiag.recording.options import Options
    from fitdiag.stopping import Decision

__all__ = ["Recorder"]

_Function = TypeVar("_Function", bound="Callable[..., Any]")


class Recorder:
    """Records a training loop into a log; made by :func:`fitdiag.record`.

    Nothing that happens inside the ``with`` raises into the training: should the recorder fail,
    it says so once, as a :class:`~fitdiag.recording.RecordingWarning`, and gives up.

    * :meth:`log` writes numbers of your own, which win over captured ones of the same name;
    * :meth:`tasks` tells what each of several tasks asks of the parameters that they share;
    * :meth:`loss` watches a loss function that is not a module, such as ``F.cross_entropy``;
    * :meth:`epochs` counts epochs exactly, and shows a progress bar in a terminal;
    * :meth:`phase` says that what follows is, for example, validation, where that cannot be told;
    * :meth:`save` keeps a checkpoint now, besides those of ``record(checkpoints=...)``;
    * :meth:`diagnosis` judges the run so far, while it runs;
    * :attr:`should_stop` tells when to stop early, and :attr:`stopping` why;
    * :meth:`close` ends the recording early; the end of the ``with`` does it otherwise.

    Attributes
    ----------
    path : Path
        The log.

    Examples
    --------
    >>> import tempfile, torch, fitdiag
    >>> folder = tempfile.TemporaryDirectory()
    >>> model = torch.nn.Linear(3, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> x, y = torch.ones(8, 3), torch.ones(8, 1)
    >>> with fitdiag.record(model, optimizer, log=f"{folder.name}/logs.csv") as run:
    ...     loss_fn = run.loss(torch.nn.functional.mse_loss)
    ...     for epoch in run.epochs(3):
    ...         optimizer.zero_grad()
    ...         loss_fn(model(x), y).backward()
    ...         optimizer.step()
    >>> print(run.path.read_text().splitlines()[0])
    step,epoch,train_loss,val_loss,batch_loss,grad_norm,grad_norm_max,lr,grad_norm_kind
    >>> len(run.path.read_text().splitlines())
    4
    >>> folder.cleanup()
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        optimizers: Sequence[Optimizer],
        criteria: Sequence[nn.Module],
        options: Options,
    ) -> None:
        self._session = Session(models, optimizers, criteria, options)

    @property
    def path(self) -> Path:
        """The log, as an absolute path."""
        return self._session.path

    def __repr__(self) -> str:
        state = "recording" if self._session.intake.live else "closed"
        step = self._session.timeline.step
        return f"<fitdiag.Recorder {str(self.path)!r}, {state}, step {step}>"

    def __enter__(self) -> Recorder:  # noqa: PYI034 typing.Self begins with Python 3.11
        if self._session.entered:
            state = "is recording already" if self._session.is_live() else "has recorded its run"
            raise UsageError(f"this recorder {state}: call record() again for another run")
        self._session.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.finish(failed=kind is not None)

    def close(self) -> None:
        """Write what is left and take all hooks away. Closing twice does nothing."""
        self._session.finish(failed=False)

    def __deepcopy__(self, _memo: object) -> Recorder:
        return self  # there is one log

    # ------------------------------------------------------------------ what the user calls

    def log(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        step: int | Tensor | None = None,
        epoch: float | Tensor | None = None,
        **named: Any,  # noqa: ANN401 numbers and tensors of any kind
    ) -> None:
        """Log numbers by name at the present step.

        Values logged at one step share one row, the later of two with the same name wins, and a
        name that was ever logged is no longer captured. A ``val_…`` name counts as an
        evaluation: an epoch ends when training goes on after it.

        Parameters
        ----------
        values : mapping of str to number or Tensor, optional
            The numbers, as a mapping.
        step : int or Tensor, optional
            Step of the row, where the recorder sees no optimizer step; ignored otherwise.
        epoch : float or Tensor, optional
            Complete epochs, if you know better than the recorder.
        **named : number or Tensor
            The numbers: ``train_loss`` (or ``loss``), ``val_loss``, ``val_accuracy`` and so on;
            ``grad_norm/<layer>`` for single layers; ``loss_<task>`` and ``val_loss_<task>`` for
            the losses of several tasks, which stand in ``train_loss/<task>`` and
            ``val_loss/<task>``. Of a tensor with several elements the mean is taken; nothing is
            fetched from a device here.
        """
        session = self._session
        try:
            if not session.is_live():
                return
            checked, where = read_values({**(values or {}), **named}, step=step, epoch=epoch)
            for name in checked:
                check_name(name)
            session.intake.note_values(Logged(checked, step=where["step"], epoch=where["epoch"]))
            if session.watch is not None:
                session.watch.note_values(checked)
            session.flush_if_due()
        except (UsageError, TypeError, ValueError) as problem:
            session.notices.say(f"run.log() was passed over: {problem}")
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            session.give_up(problem)

    def tasks(
        self,
        losses: Mapping[str, Tensor],
        *,
        shared: object = None,
        weights: Mapping[str, Any] | None = None,
        every: int | None = None,
    ) -> None:
        """Tell the losses of several tasks, before the backward pass of their sum.

        Their losses, relative inverse training rates (Chen et al. 2018, arXiv:1711.02257) and the
        norms of their gradients on the shared parameters go into ``train_loss/<task>``,
        ``task_rate/<task>`` and ``task_norm/<task>``. The norms take one more backward pass for
        each task, now and then; the graph, ``.grad`` and random numbers stay as they are.

        Parameters
        ----------
        losses : mapping of str to Tensor
            The loss of each task, of shape (), with its graph; without any weight.
        shared : Module, or iterable of parameters, optional
            What the tasks share; its last layer is the cheap choice. Default: those of the
            model's parameters that every task's loss reaches.
        weights : mapping of str to number or Tensor, optional
            By which each loss is multiplied in the sum: the norms are those of the weighted
            losses, and ``task_weight/<task>`` is written. Default: 1 each.
        every : int, optional
            Calls from one measurement to the next. Default: a fifth of the calls so far, at most
            50, and from 5,000 calls on a hundredth of them.
        """
        if self._session.is_live():
            self._session.tasks.note(losses, shared, weights=weights, every=every)

    def loss(self, function: _Function) -> _Function:
        """Watch a loss function: what is returned computes the same, and its calls are noted.

        Parameters
        ----------
        function : callable
            For example ``F.cross_entropy``, or a function of your own that returns a tensor.
            A module is watched too, and returned as it is.

        Returns
        -------
        callable
            To be called in place of the function.
        """
        session = self._session
        if isinstance(function, nn.Module):
            if session.intake.live and not any(function is known for known in session.criteria):
                session.criteria.append(function)
                session.hooks.attach_criterion(function)
            return function
        return WatchedLoss(function, session.intake)  # type: ignore[return-value]

    def epochs(self, count: int) -> Epochs:
        """Iterate over epochs ``0 … count - 1``, one row for each, with a bar in a terminal.

        Parameters
        ----------
        count : int
            How many; a second loop in the same run counts on. In a run that is resumed, the first
            loop begins at the first epoch that is not complete.

        Raises
        ------
        UsageError
            If it is no whole number.
        """
        session = self._session
        count, first = read_count(count), 0
        try:
            first = session.take_first_epoch(count)
            session.progress = Progress(count - first, show=session.options.progress)
        except Exception as problem:  # noqa: BLE001 a bar is not worth a training
            session.notices.say(f"there is no progress bar: {problem}")
        remaining = iter(range(first, count + 1))

        def tell() -> None:
            passed = next(remaining)
            session.note_epoch(first=passed == first, last=passed == count)

        return Epochs(count, tell, first=first)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Say what the losses inside are, where grad mode and backward passes do not tell.

        Parameters
        ----------
        name : str
            ``"val"``, ``"train"`` or another word, such as ``"test"``, whose losses then stand
            in ``test_loss``. Losses of training data that are evaluated without gradients in
            ``phase("train")`` take the place of the running mean in ``train_loss``.
        """
        session = self._session
        before = session.intake.phase
        try:
            check_name(f"{name}_loss")
            session.intake.phase = str(name)
            if session.watch is not None:
                session.watch.note_phase(str(name))
        except UsageError as problem:
            session.notices.say(f"run.phase() was passed over: {problem}")
        try:
            yield
        finally:
            session.intake.phase = before

    def save(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        what: str | None = None,
        scheduler: object = None,
        scaler: object = None,
    ) -> Path | None:
        """Keep a checkpoint now; it is copied here, and written while the training goes on.

        Parameters
        ----------
        path : str or path, optional
            A file such as ``last.pt``, which then stays. Default: one among the others in the
            folder that ``record(checkpoints=...)`` named.
        what : {"state", "weights", "model"}, optional
            What it holds. Default: as for :func:`fitdiag.record`.
        scheduler, scaler : object, optional
            Whose state belongs to this checkpoint and to those that follow.

        Returns
        -------
        Path or None
            The file, which is there at the end of the ``with`` at the latest. None where nothing
            could be kept, for which a warning gives the reason, and where another process writes.
        """
        keeper = self._session.keeper
        if keeper is None or not self._session.is_live():
            return None
        return keeper.save(path, what=what, scheduler=scheduler, scaler=scaler)

    @property
    def should_stop(self) -> bool:
        """Whether validation has worsened for long enough; never raises, costs next to nothing.

        Asked after each evaluation, as ``if run.should_stop: break``. In distributed training ask
        it in one process and send the answer to the others.
        """
        return self._session.judge_stop().stop

    @property
    def stopping(self) -> Decision:
        """What :attr:`should_stop` goes by: reason, sentence, best step, advice."""
        return self._session.judge_stop()

    def diagnosis(self) -> Diagnosis | None:
        """Judge the run so far: the verdict of the finished log, live and without flicker.

        What is pending is written first. The cost of a call does not grow with the run: about a
        millisecond after an evaluation, nothing between two.

        Returns
        -------
        Diagnosis or None
            None if nothing can be judged, as after a fault of the recorder.

        Examples
        --------
        In the loop::

            live = run.diagnosis()
            if live and live.verdict == "diverged":
                break
        """
        session = self._session
        try:
            if session.is_live() and session.intake.events:
                session.flow.flush()
            delivery = session.delivery
            if delivery.monitor is None:
                # judging lies above recording; only the user's wish reaches up to it
                delivery.monitor = import_module("fitdiag.monitor").Monitor.follow(self.path)
            return delivery.monitor.diagnosis() if delivery.monitor else None
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            session.notices.say(f"run.diagnosis() cannot judge: {problem}")
            return None
