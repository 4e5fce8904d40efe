"""One recording from its beginning to its end: what the user's recorder hands its calls to."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from fitdiag.errors import FitdiagError, WriteError
from fitdiag.recording.attendance import Attendance
from fitdiag.recording.checkpoints.attachment import begin_keeper, make_keeper
from fitdiag.recording.checkpoints.resuming import find_resumed
from fitdiag.recording.delivery import Beside, Delivery
from fitdiag.recording.events import EpochMark
from fitdiag.recording.flow import Flow
from fitdiag.recording.hooks import Hooks
from fitdiag.recording.hygiene import watch_loop
from fitdiag.recording.intake import Intake
from fitdiag.recording.layer_file import clear_layers, make_layer_file
from fitdiag.recording.notices import Notices
from fitdiag.recording.ranks import is_writing_rank, read_reach
from fitdiag.recording.resumption import find_place
from fitdiag.recording.sidecar import Sidecar
from fitdiag.recording.tasks import TaskWatch
from fitdiag.recording.timeline import Timeline
from fitdiag.recording.writer import LogWriter
from fitdiag.source import SUPERSEDED, find_sibling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import nn
    from torch.optim import Optimizer

    from fitdiag.recording.options import Options
    from fitdiag.recording.progress import Progress
    from fitdiag.recording.resumption import Place
    from fitdiag.stopping import Decision

__all__ = ["Session"]

_writing: set[Path] = set()


class Session:
    """Holds the rooms of a recording together, begins it, flushes it and ends it.

    Parameters
    ----------
    models, optimizers, criteria
        What is watched.
    options : Options
        What was asked for.

    Attributes
    ----------
    entered : bool
        Whether it was ever begun.
    path : Path
        The log, absolute.
    progress : Progress or None
        The bar that is shown, if any.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        optimizers: Sequence[Optimizer],
        criteria: Sequence[nn.Module],
        options: Options,
    ) -> None:
        self.models = models
        self.optimizers = optimizers
        self.criteria = list(criteria)
        self.options = options
        self.writes = is_writing_rank()
        resume = options.resume is not False
        self.writer = LogWriter(
            options.log, overwrite=options.overwrite or not self.writes, resume=resume
        )
        self.resumed: Place | None = None  # where the log goes on, once that has begun
        self.path = self.writer.path
        self.sidecar = Sidecar(self.path)
        self.timeline = Timeline(options.every)
        self.layers = make_layer_file(self.writer.path, models, options.layers)
        self.intake = Intake(
            models,
            on_step=self.flush_if_due,
            on_error=self.give_up,
            every=options.every or 1,
            layers=self.layers is not None and self.writes,
        )
        self.intake.reach = read_reach(models)
        self.hooks = Hooks(self.intake)
        self.notices = Notices()
        self.tasks = TaskWatch(self.intake, self.notices.say)
        beside: list[Beside] = [self.sidecar]
        beside += [] if self.layers is None else [self.layers]
        self.delivery = Delivery(self.writer if self.writes else None, self.notices, beside=beside)
        self.flow = Flow(
            self.intake,
            self.timeline,
            self.delivery,
            Attendance(self.criteria),
            seconds=options.flush_seconds,
            name=str(self.path),
            layers=self.layers if self.writes else None,
        )
        self.keeper = make_keeper(self)
        self.watch = self.intake.watch = watch_loop(
            models,
            optimizers,
            intake=self.intake,
            notices=self.notices,
            sidecar=self.sidecar,
            speaks=self.writes,
            checks=options.checks,
        )
        self.entered = False
        self.progress: Progress | None = None
        self._claimed = False  # the log is ours to write
        self._process = 0
        self._resumed_epochs = 0
        self.done_epochs = 0  # of those that are counted

    # ------------------------------------------------------------------ begin and end

    def begin(self) -> None:
        """Claim the log and hang the hooks.

        Raises
        ------
        WriteError
            If the log cannot be written, or is being recorded to already.
        UsageError
            If no checkpoint can be kept of such a model.
        """
        if self.writes:
            if self.path in _writing:
                raise WriteError(
                    f"{self.path} is being recorded to already: close() the recorder that does, "
                    "or give log= another name"
                )
            self._resume()
            self.writer.begin(self.resumed)
            self._begin_sidecar()
            _writing.add(self.path)
            self._claimed = True
        elif self.options.resume is not False:
            self._resume()
        self._process = os.getpid()
        self.flow.begin()
        try:
            begin_keeper(self)
            self._attach()
        except BaseException as problem:
            self.finish(failed=True)
            if isinstance(problem, FitdiagError) or not isinstance(problem, Exception):
                raise
            self.entered = True
            self.give_up(problem)  # a fault of ours keeps no training from its beginning
            return
        self.intake.live = self.entered = True

    def _resume(self) -> None:
        """Find where the log goes on, and count on from there."""
        wanted = self.options.resume
        if wanted is False:
            return
        folder = self.options.plan.folder
        at = find_resumed(folder) if wanted is True and folder is not None else None
        step = at.step if at is not None else None if wanted is True else int(wanted)
        place = self.resumed = find_place(self.path, step)
        if place is None:
            return
        epoch = place.epoch if at is None else at.epoch
        self.timeline.go_on(place.step, epoch, place.skipped)
        self.done_epochs = self._resumed_epochs = epoch
        self.delivery.stopping.follow(self.path, place.step)

    def _begin_sidecar(self) -> None:
        if self.options.config:
            self.sidecar.set("config", dict(self.options.config))
        try:
            if self.resumed is not None:
                self.sidecar.load()
            else:
                self.sidecar.clear()
                find_sibling(self.path, SUPERSEDED).unlink(missing_ok=True)
            self.sidecar.write_if_changed()
            if self.resumed is not None and self.layers is not None:
                self.layers.resume(self.resumed.step)
            else:
                clear_layers(self.path)
        except OSError as problem:
            raise WriteError(f"{self.sidecar.path} cannot be replaced: {problem}") from problem

    def _attach(self) -> None:
        for criterion in self.criteria:
            self.hooks.attach_criterion(criterion)
        for model in self.models:
            self.hooks.attach_model(model, self.criteria)
        for index, optimizer in enumerate(self.optimizers):
            self.hooks.attach_optimizer(optimizer, index)
        self.hooks.attach_any_optimizer(self.models, self.optimizers, self.notices.say)
        self.hooks.attach_clipping()
        self.hooks.attach_watch(self.watch)
        self.hooks.attach_scaling(self.models, self.optimizers)

    def finish(self, *, failed: bool) -> None:
        """Write what is left and take all hooks away; a second time does nothing.

        Parameters
        ----------
        failed : bool
            Whether the training was ended by an exception.
        """
        lost = failed or not self.intake.live
        with ExitStack() as last:  # each of these is done, whatever becomes of the others
            last.callback(self._end)
            last.callback(self._guard, self._finish_keeper, failed=lost)
            last.callback(self._guard, self._write_rest, failed=failed)
            last.callback(self._guard, self._close_progress)
            last.callback(self._guard, self.hooks.detach)

    def _guard(self, act: Callable[..., None], **given: bool) -> None:
        """Do something; whatever goes wrong, the training goes on."""
        try:
            act(**given)
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            self.give_up(problem)

    def _end(self) -> None:
        self.intake.live = False
        if self._claimed:
            _writing.discard(self.path)
            self._claimed = False

    def _close_progress(self) -> None:
        if self.progress is not None and os.getpid() == self._process:
            self.progress.close()

    def _write_rest(self, *, failed: bool) -> None:
        if self.is_live():
            self.flow.flush(final=True, failed=failed)
            self._tell(failed=failed)

    def _finish_keeper(self, *, failed: bool) -> None:
        if self.keeper is not None and os.getpid() == self._process:
            self.keeper.finish(failed=failed)

    def _tell(self, *, failed: bool) -> None:
        if self.delivery.count and self.writes and self.options.progress is not False:
            self.notices.tell_log(self.path, failed=failed)
        elif not self.delivery.count and not failed and self.writes:
            self.notices.say(
                "nothing was recorded: the recorder saw no loss and no optimizer step. Pass "
                "the model, optimizer and criterion that the loop uses, or call run.log()"
            )

    def is_live(self) -> bool:
        """Tell whether this records, and in the process in which it began: a fork only trains."""
        if self.intake.live and os.getpid() != self._process:
            self.intake.live = False
            self.intake.events.clear()
        return self.intake.live

    # ------------------------------------------------------------------ flushing

    def flush_if_due(self) -> None:
        """Write what is settled, if it is time."""
        if self.flow.is_due() and self.is_live():
            self.flow.flush()

    def judge_stop(self) -> Decision:
        """Return whether to stop, after an evaluation that is not written yet was written."""
        try:
            if self.is_live() and self.intake.evaluated and self.intake.events:
                self.flow.flush()
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            self.give_up(problem)
        return self.delivery.stopping.decision

    def take_first_epoch(self, count: int) -> int:
        """Return which of so many epochs is the first that a resumed run has not done yet."""
        done, self._resumed_epochs = self._resumed_epochs, 0
        return min(done, max(count, 0))

    def note_epoch(self, *, first: bool, last: bool) -> None:
        """Note that an epoch that is counted is complete, or that the first begins."""
        try:
            if self.is_live():
                self._mark_epoch(first=first)
            if last:
                self._close_progress()
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            self.give_up(problem)

    def _mark_epoch(self, *, first: bool) -> None:
        self.done_epochs += 0 if first else 1
        self.intake.events.append(EpochMark(self.done_epochs))
        self.intake.evaluated = True
        if first:
            return
        self.flush_if_due()
        if self.progress is not None:
            self.progress.advance(self.timeline.latest)
        if self.keeper is not None:
            self.keeper.note_epoch()

    def give_up(self, problem: Exception) -> None:
        """Stop recording, and say once why; the training goes on."""
        self.intake.live = False
        self.intake.events = []
        reason = str(problem) or type(problem).__name__
        self.notices.say(
            f"recording to {self.path} stopped, the training goes on. The log is complete up to "
            f"the last flush. The reason: {reason}"
        )
