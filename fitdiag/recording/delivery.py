"""Rows on their way to the log: kept until the disk has taken them, and shown to a monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitdiag.monitor import Monitor
    from fitdiag.recording.notices import Notices
    from fitdiag.recording.timeline import Row
    from fitdiag.recording.writer import LogWriter

__all__ = ["Delivery"]

#: rows that wait for a disk that does not take them, at most
BACKLOG = 10_000


class Delivery:
    """Hands rows to a writer, again and again where that fails.

    Parameters
    ----------
    writer : LogWriter or None
        None where another process writes.
    notices : Notices
        Where a failure is said, once.
    """

    def __init__(self, writer: LogWriter | None, notices: Notices) -> None:
        self.count = 0
        self.monitor: Monitor | None = None
        self._writer = writer
        self._notices = notices
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
        self._pending += rows
        try:
            if self._writer is not None:
                self._writer.write(self._pending, draft)
        except OSError as problem:
            if len(self._pending) >= BACKLOG:
                raise
            self._problem = problem
            self.say(
                f"the log cannot be written now: {problem}. Its rows are kept, and written as "
                "soon as it can"
            )
            return
        if self._writer is not None and self._writer.vanished:
            self.say(f"{self._writer.path} was removed while it was being recorded to: begun anew")
        written, self._pending, self._problem = self._pending, [], None
        if self.monitor is not None:
            for row in written:
                self.monitor.add(row.step, row.cells, epoch=row.epoch)

    def say(self, sentence: str) -> None:
        """Say what is amiss, once and in the process that writes."""
        if self._writer is not None:
            self._notices.say(sentence)

    def finish(self) -> None:
        """Raise what keeps rows from being written, if they wait still."""
        if self._problem is not None and self._pending:
            raise self._problem
