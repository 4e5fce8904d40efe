"""Rows on their way to the log: kept until the disk has taken them, and shown to a monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fitdiag.recording.stop_watch import StopWatch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fitdiag.monitor import Monitor
    from fitdiag.recording.notices import Notices
    from fitdiag.recording.rows import Row
    from fitdiag.recording.writer import LogWriter

__all__ = ["Beside", "Delivery"]

#: rows that wait for a disk that does not take them, at most
BACKLOG = 10_000


class Beside(Protocol):
    """A file that belongs to the log and is written when it is."""

    path: Path

    def write_if_changed(self) -> None:
        """Write it, if there is anything new."""


class Delivery:
    """Hands rows to a writer, again and again where that fails.

    Parameters
    ----------
    writer : LogWriter or None
        None where another process writes.
    notices : Notices
        Where a failure is said, once.
    beside : sequence of Beside, optional
        What is written beside the log, after it.
    """

    def __init__(
        self, writer: LogWriter | None, notices: Notices, *, beside: Sequence[Beside] = ()
    ) -> None:
        self.count = 0
        self.monitor: Monitor | None = None
        self.stopping = StopWatch()
        self._writer = writer
        self._notices = notices
        self._beside = beside
        self._pending: list[Row] = []
        self._problem: OSError | None = None

    def take(self, rows: Sequence[Row], draft: Sequence[Row] = ()) -> None:
        """Write rows, and those that wait; a draft stands after them until the next time.

        Raises
        ------
        OSError
            If the disk takes nothing, and too many rows wait already.
        """
        self.count += len(rows)
        self.stopping.take(rows, draft)
        self._pending += rows
        try:
            if self._writer is not None:
                self._writer.write(self._pending, draft)
        except OSError as problem:
            if len(self._pending) >= BACKLOG:
                raise
            self._problem = problem
            self._say_why(problem)
            return
        if self._writer is not None and self._writer.vanished:
            self.say(f"{self._writer.path} was removed while it was being recorded to: begun anew")
        written, self._pending, self._problem = self._pending, [], None
        self._write_beside()
        if self.monitor is not None:
            for row in written:
                self.monitor.add(row.step, row.cells, epoch=row.epoch)

    def _write_beside(self) -> None:
        for file in self._beside if self._writer is not None else ():
            try:
                file.write_if_changed()
            except OSError as problem:  # noqa: PERF203 one that fails leaves the others
                self._say_why(problem)

    def _say_why(self, problem: OSError) -> None:
        """Say it in the same words for all the files, so that it is said once."""
        if self._writer is not None:
            self.say(
                f"{self._writer.path}, or what lies beside it, cannot be written now: "
                f"{problem.strerror or type(problem).__name__}. The rows are kept, and written as "
                "soon as it can"
            )

    def say(self, sentence: str) -> None:
        """Say what is amiss, once and in the process that writes."""
        if self._writer is not None:
            self._notices.say(sentence)

    def finish(self) -> None:
        """Raise what keeps rows from being written, if they wait still."""
        if self._problem is not None and self._pending:
            raise self._problem
