"""The recorder: what a user holds while a run is recorded."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from torch import nn

from fitdiag.errors import UsageError, WriteError
from fitdiag.recording.arguments import read_values
from fitdiag.recording.attendance import Attendance
from fitdiag.recording.delivery import Delivery
from fitdiag.recording.events import EpochMark, Logged
from fitdiag.recording.flow import Flow
from fitdiag.recording.hooks import Hooks, WatchedLoss
from fitdiag.recording.intake import Intake
from fitdiag.recording.notices import Notices
from fitdiag.recording.progress import Epochs, Progress
from fitdiag.recording.ranks import is_writing_rank
from fitdiag.recording.timeline import Timeline
from fitdiag.recording.writer import LogWriter, check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from torch import Tensor
    from torch.optim import Optimizer

    from fitdiag.diagnosis import Diagnosis

__all__ = ["Recorder"]

_Function = TypeVar("_Function", bound="Callable[..., Any]")

_writing: set[Path] = set()


class Recorder:
    """Records a training loop into a log; made by :func:`fitdiag.record`.

    Nothing that happens inside the ``with`` raises into the training: should the recorder fail,
    it says so once, as a :class:`~fitdiag.recording.RecordingWarning`, and gives up.

    * :meth:`log` writes numbers of your own, which win over captured ones of the same name;
    * :meth:`loss` watches a loss function that is not a module, such as ``F.cross_entropy``;
    * :meth:`epochs` counts epochs exactly, and shows a progress bar in a terminal;
    * :meth:`phase` says that what follows is, for example, validation, where that cannot be told;
    * :meth:`diagnosis` judges the run so far, while it runs;
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
    step,epoch,train_loss,val_loss,batch_loss,grad_norm,grad_norm_max,lr
    >>> len(run.path.read_text().splitlines())
    4
    >>> folder.cleanup()
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        optimizers: Sequence[Optimizer],
        criteria: Sequence[nn.Module],
        *,
        log: str | os.PathLike[str],
        every: int | None,
        overwrite: bool,
        flush_seconds: float,
        progress: bool | None,
    ) -> None:
        self._models = models
        self._optimizers = optimizers
        self._criteria = list(criteria)
        self._writes = is_writing_rank()
        self._writer = LogWriter(log, overwrite=overwrite or not self._writes)
        self._timeline = Timeline(every)
        self._intake = Intake(models, on_step=self._flush_if_due, on_error=self._give_up)
        self._hooks = Hooks(self._intake)
        self._notices = Notices()
        self._delivery = Delivery(self._writer if self._writes else None, self._notices)
        self._flow = Flow(
            self._intake,
            self._timeline,
            self._delivery,
            Attendance(self._criteria),
            seconds=flush_seconds,
        )
        self._claimed = False  # the log is ours to write
        self._entered = False
        self._process = 0
        self._progress_wanted = progress
        self._progress: Progress | None = None
        self._done_epochs = 0

    @property
    def path(self) -> Path:
        """The log, as an absolute path."""
        return self._writer.path

    def __repr__(self) -> str:
        state = "recording" if self._intake.live else "closed"
        return f"<fitdiag.Recorder {str(self.path)!r}, {state}, step {self._timeline.step}>"

    # ------------------------------------------------------------------ begin and end

    def __enter__(self) -> Recorder:  # noqa: PYI034 typing.Self begins with Python 3.11
        if self._entered:
            state = "is recording already" if self._is_live() else "has recorded its run"
            raise UsageError(f"this recorder {state}: call record() again for another run")
        if self._writes:
            if self.path in _writing:
                raise WriteError(
                    f"{self.path} is being recorded to already: give log= another name"
                )
            self._writer.begin()
            _writing.add(self.path)
            self._claimed = True
        self._process = os.getpid()
        self._flow.begin()
        try:
            self._attach()
        except BaseException:
            self._finish(failed=True)
            raise
        self._intake.live = self._entered = True
        return self

    def _attach(self) -> None:
        for criterion in self._criteria:
            self._hooks.attach_criterion(criterion)
        for model in self._models:
            self._hooks.attach_model(model, self._criteria)
        for index, optimizer in enumerate(self._optimizers):
            self._hooks.attach_optimizer(optimizer, index)
        self._hooks.attach_any_optimizer(self._models, self._optimizers, self._notices.say)
        self._hooks.attach_clipping()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish(failed=kind is not None)

    def close(self) -> None:
        """Write what is left and take all hooks away. Closing twice does nothing."""
        self._finish(failed=False)

    def _finish(self, *, failed: bool) -> None:
        self._hooks.detach()
        if self._claimed:
            _writing.discard(self.path)
            self._claimed = False
        live = self._is_live()
        if self._progress is not None and os.getpid() == self._process:
            self._progress.close()
        if not live:
            return
        try:
            self._flow.flush(final=True, failed=failed)
            if self._delivery.count and self._writes and self._progress_wanted is not False:
                self._notices.tell_log(self.path, failed=failed)
            elif not self._delivery.count and not failed and self._writes:
                self._notices.say(
                    "nothing was recorded: the recorder saw no loss and no optimizer step. Pass "
                    "the model, optimizer and criterion that the loop uses, or call run.log()"
                )
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            self._give_up(problem)
        self._intake.live = False

    def _is_live(self) -> bool:
        """Tell whether this records, and in the process in which it began: a fork only trains."""
        if self._intake.live and os.getpid() != self._process:
            self._intake.live = False
            self._intake.events.clear()
        return self._intake.live

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
            ``grad_norm/<layer>`` for single layers. Of a tensor with several elements the mean
            is taken; nothing is fetched from a device here.
        """
        if not self._is_live():
            return
        try:
            checked, where = read_values({**(values or {}), **named}, step=step, epoch=epoch)
            for name in checked:
                check_name(name)
            self._intake.note_values(Logged(checked, **where))
            self._flush_if_due()
        except (UsageError, TypeError, ValueError) as problem:
            self._notices.say(f"run.log() was passed over: {problem}")
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            self._give_up(problem)

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
        if isinstance(function, nn.Module):
            if self._intake.live and not any(function is known for known in self._criteria):
                self._criteria.append(function)
                self._hooks.attach_criterion(function)
            return function
        return WatchedLoss(function, self._intake)  # type: ignore[return-value]

    def epochs(self, count: int) -> Epochs:
        """Iterate over epochs ``0 … count - 1``, one row for each, with a bar in a terminal.

        Parameters
        ----------
        count : int
            How many; a second loop in the same run counts on.
        """
        try:
            progress = Progress(count, show=self._progress_wanted)
        except Exception as problem:  # noqa: BLE001 a bar is not worth a training
            self._notices.say(f"there is no progress bar: {problem}")
            progress = Progress(0)
        self._progress = progress
        remaining = iter(range(count + 1))

        def tell() -> None:
            passed = next(remaining)
            self._note_epoch(progress, first=passed == 0)
            if passed == count:
                progress.close()

        return Epochs(count, tell)

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
        before = self._intake.phase
        try:
            check_name(f"{name}_loss")
            self._intake.phase = str(name)
        except UsageError as problem:
            self._notices.say(f"run.phase() was passed over: {problem}")
        try:
            yield
        finally:
            self._intake.phase = before

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
        try:
            if self._is_live() and self._intake.events:
                self._flow.flush()
            delivery = self._delivery
            if delivery.monitor is None:
                # judging lies above recording; only the user's wish reaches up to it
                delivery.monitor = import_module("fitdiag.monitor").Monitor.follow(self.path)
            return delivery.monitor.diagnosis() if delivery.monitor else None
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            self._notices.say(f"run.diagnosis() cannot judge: {problem}")
            return None

    # ------------------------------------------------------------------ flushing

    def _note_epoch(self, progress: Progress, *, first: bool) -> None:
        """Note that an epoch of :meth:`epochs` is complete, or that the first begins."""
        if not self._is_live():
            return
        try:
            self._done_epochs += 0 if first else 1
            self._intake.events.append(EpochMark(self._done_epochs))
            self._intake.evaluated = True
            if not first:
                self._flush_if_due()
                progress.advance(self._timeline.latest)
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            self._give_up(problem)

    def _flush_if_due(self) -> None:
        if self._is_live():
            self._flow.flush_if_due()

    def _give_up(self, problem: Exception) -> None:
        self._intake.live = False
        self._intake.events = []
        reason = str(problem) or type(problem).__name__
        self._notices.say(
            f"recording to {self.path} stopped, the training goes on. The log is complete up to "
            f"the last flush. The reason: {reason}"
        )
