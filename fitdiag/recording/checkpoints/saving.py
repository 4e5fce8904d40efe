"""A thread that writes what the loop hands over, so that the loop need not wait for a disk."""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from threading import Condition, Thread, current_thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PLACES", "Background", "Budget"]

#: jobs that are taken at a time: one that is being done, and one that waits for it
PLACES = 2
#: seconds that checkpoints may hold up a training in all ...
ALLOWANCE = 2.0
#: ... besides this share of its time; an evaluation for which they would take more gets none
SHARE = 0.1


class Budget:
    """The time for which a training may be held up."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._spent = 0.0

    def left(self) -> float:
        """Return how much is left, in seconds."""
        return ALLOWANCE + SHARE * (time.monotonic() - self._begun) - self._spent

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Count the time inside."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self._spent += time.monotonic() - begun


class Background:
    """Does jobs one after another in a thread, which lives while there are any.

    The thread is no daemon: a program that ends, however it ends, first lets the job at hand be
    done, so that its file is whole.
    """

    def __init__(self) -> None:
        self._turn = Condition()
        self._jobs: deque[Callable[[], None]] = deque()
        self._thread: Thread | None = None

    def wait(self, places: int = PLACES, seconds: float | None = None) -> bool:
        """Wait until so many places are free.

        Parameters
        ----------
        places : int
            Default: all, when everything is done.
        seconds : float, optional
            How long at most. Default: as long as it takes.

        Returns
        -------
        bool
            Whether they are free.
        """
        if self._thread is current_thread():
            return True
        self._revive()
        with self._turn:
            free = lambda: PLACES - len(self._jobs) >= places  # noqa: E731 said once
            return bool(self._turn.wait_for(free, seconds))

    def submit(self, job: Callable[[], None]) -> None:
        """Hand over a job, which must raise nothing."""
        self.wait(places=1)
        with self._turn:
            self._jobs.append(job)
        self._revive()

    def _revive(self) -> None:
        """Start a thread where there are jobs and none does them, as after an interrupt here."""
        with self._turn:
            if not self._jobs or (self._thread is not None and self._thread.is_alive()):
                return
            thread = Thread(target=self._work, name="fitdiag-checkpoints", daemon=False)
            self._thread = thread
        try:
            thread.start()
        except RuntimeError:  # the interpreter is at its end, and starts no threads any more
            self._work()

    def _work(self) -> None:
        while True:
            with self._turn:
                if not self._jobs:
                    self._thread = None
                    return
                job = self._jobs[0]
            try:
                job()
            finally:
                with self._turn:
                    self._jobs.popleft()
                    self._turn.notify_all()
