"""How checkpoints hang on a recording: where it is, what the run looks like, what is noted."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from fitdiag.recording.checkpoints.keeper import Keeper, Moment
from fitdiag.recording.checkpoints.resuming import find_resumed, forget_resumed

if TYPE_CHECKING:
    from pathlib import Path

    from fitdiag.recording.session import Session
    from fitdiag.run import Run

__all__ = ["begin_keeper", "make_keeper"]


def make_keeper(session: Session) -> Keeper | None:
    """Return what keeps a recording's checkpoints; None in a process that does not write."""
    if not session.writes:
        return None

    def look(evaluated: bool) -> Moment | None:
        return _look(session, evaluated=evaluated) if session.is_live() else None

    return Keeper(
        session.options.plan,
        session.models,
        session.optimizers,
        look=look,
        judge=lambda: _judge(session),
        say=session.notices.say,
    )


def begin_keeper(session: Session) -> None:
    """Claim the folder, and note it beside the log.

    Raises
    ------
    WriteError
        If the folder cannot be written to, or its checkpoints may not be replaced.
    UsageError
        If the model is spread over processes.
    """
    keeper, folder = session.keeper, session.options.plan.folder
    if keeper is None or folder is None:
        return
    log, resumed = _relate(session.path, folder), find_resumed(folder)
    place = resumed or session.resumed  # a log that goes on has checkpoints that do
    step = None if place is None else place.step
    import_module("fitdiag.monitor")  # now, and not when the training would have to wait for it
    keeper.begin(log, overwrite=session.options.overwrite, resumed=step)
    if resumed is not None and session.timeline.step < resumed.step:
        # a new log counts from 0, the training does not
        keeper.offset = resumed.step - session.timeline.step, resumed.epoch - session.timeline.epoch
    forget_resumed(folder)
    session.intake.on_evaluation = keeper.watch.note_evaluation
    session.sidecar.set("checkpoints", _relate(folder, session.path.parent))


def _relate(path: Path, start: Path) -> str:
    try:
        near = os.path.relpath(path, start)
    except ValueError:  # another drive
        near = str(path)
    return near.replace(os.sep, "/")


def _look(session: Session, *, evaluated: bool) -> Moment:
    """Return where the training is, as the row says that is being written."""
    row, timeline = session.flow.peek(), session.timeline
    if row is not None and row.step == timeline.step:
        return Moment(step=row.step, epoch=row.epoch, value=row.cells.get("val_loss"))
    value = timeline.latest.get("val_loss") if evaluated else None
    return Moment(step=timeline.step, epoch=timeline.epoch or None, value=value)


def _judge(session: Session) -> Run | None:
    """Return the run so far, as the live diagnosis sees it."""
    delivery = session.delivery
    if delivery.monitor is None:
        # judging lies above recording; only the pick reaches up to it
        delivery.monitor = import_module("fitdiag.monitor").Monitor.follow(session.path)
    return None if delivery.monitor is None else delivery.monitor.run()
