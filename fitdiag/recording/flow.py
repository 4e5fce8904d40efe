"""The cold path: when what the hooks saw becomes rows of the log, and in which order."""

from __future__ import annotations

import time
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

from fitdiag.recording.events import Loss
from fitdiag.recording.shards import Exchange
from fitdiag.recording.transfer import count_settled, fetch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitdiag.recording.attendance import Attendance
    from fitdiag.recording.delivery import Delivery
    from fitdiag.recording.events import Event
    from fitdiag.recording.intake import Intake
    from fitdiag.recording.layer_file import LayerFile
    from fitdiag.recording.rows import Row
    from fitdiag.recording.timeline import Timeline

__all__ = ["Flow"]

#: evaluations are flushed at most so often a second
BREATHS = 10
#: how long the last flush waits for one that another thread is at, in seconds
PATIENCE = 10
#: events after which even unsettled ones are taken as they are
OVERFULL = 8192


class Flow:
    """Takes events from the intake through the timeline to the delivery.

    Parameters
    ----------
    intake, timeline, delivery, attendance
        Where events come from, become rows, go to the log, and are missed.
    seconds : float
        From one flush to the next where nothing is evaluated.
    name : str, optional
        What the recording is called in all processes of a training.
    layers : LayerFile, optional
        Where the norms of single layers go.
    """

    def __init__(
        self,
        intake: Intake,
        timeline: Timeline,
        delivery: Delivery,
        attendance: Attendance,
        *,
        seconds: float,
        name: str = "",
        layers: LayerFile | None = None,
    ) -> None:
        self._intake = intake
        self._timeline = timeline
        self._delivery = delivery
        self._attendance = attendance
        self._layers = layers
        self._seconds = seconds
        self._exchange = Exchange(name, delivery.say)
        self._lock = Lock()
        self._missed = False  # missing losses have been spoken of
        self._flushes: deque[float] = deque(maxlen=BREATHS)  # when the last ones were
        self.begin()

    def begin(self) -> None:
        """Count time from now on."""
        self._flushes.append(time.monotonic())

    def is_due(self) -> bool:
        """Tell whether to flush: after an evaluation, some seconds, or when events pile up."""
        now = time.monotonic()
        if now - self._flushes[-1] >= self._seconds:
            return True
        intake = self._intake
        if intake.evaluated and (len(self._flushes) < BREATHS or now - self._flushes[0] >= 1):
            return True
        return len(intake.events) >= intake.FULL

    def peek(self) -> Row | None:
        """Return the newest row, flushed, as it stands once an evaluation under way is over."""
        self.flush()
        rows = self._timeline.draft(ended=True)
        return rows[-1] if rows else None

    def flush(self, *, final: bool = False, failed: bool = False) -> None:
        """Write what is settled, or everything at the end, even of a run that failed.

        Raises
        ------
        OSError
            If the disk does not take it, at the end or for too long.
        """
        if not self._lock.acquire(timeout=PATIENCE if final else 0):
            return  # another thread is at it
        try:
            self._pass_on(final=final, failed=failed)
        finally:
            self._lock.release()
        self._miss_losses(closing=final and not failed)

    def _pass_on(self, *, final: bool, failed: bool) -> None:
        """Take events to the log; an interrupt at any point leaves the rest for the next time."""
        events = self._intake.events
        count = len(events) if final or len(events) >= OVERFULL else count_settled(events)
        settled = events[:count]
        fetch(settled)
        del events[:count]
        settled = self._exchange.pass_on(settled, final=final, failed=failed)
        self._attendance.note(settled)
        self._timeline.feed(settled)
        if self._intake.watch is not None:
            self._intake.watch.inspect(settled, final=final)
        self._keep_layers(settled)
        if final:
            self._delivery.take(self._timeline.close(failed=failed))
            self._delivery.finish()
            return
        rows = self._timeline.drain()
        draft = self._timeline.draft(ended=bool(events))
        self._delivery.take(rows, draft)
        told = any("val_loss" in row.cells for row in draft)
        waiting = any(isinstance(event, Loss) and not event.grad for event in events)
        self._intake.evaluated = waiting or (self._timeline.is_evaluating() and not told)
        self._flushes.append(time.monotonic())

    def _keep_layers(self, events: Sequence[Event]) -> None:
        """Take the norms of single layers; the log itself matters more than they do."""
        if self._layers is None:
            return
        try:
            self._layers.book.take(events)
        except Exception as problem:  # noqa: BLE001 whatever it is, the log goes on
            self._layers = None
            self._delivery.say(f"the norms of single layers are no longer recorded: {problem!r}")

    def _miss_losses(self, *, closing: bool) -> None:
        """Say once that losses do not come, before a training was in vain."""
        complaint = self._attendance.complain(called=self._intake.called, closing=closing)
        if complaint and not self._missed:
            self._missed = True
            self._delivery.say(complaint)
