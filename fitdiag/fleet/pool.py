"""Worker processes of one machine: bounded, timed, and none of them can end a scan.

Each worker holds one batch. What it is at stands in shared memory, so that when it is killed, or
is at one log for too long, that log is known and the rest of its batch goes to another worker.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from fitdiag.fleet.examination import Examiner, Outcome, encode_rows, show_path
from fitdiag.fleet.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from fitdiag.fleet.finding import Candidate

__all__ = ["Pool", "count_cores"]

#: logs in a batch, and bytes in it, at the most
BATCH = 32
BATCH_BYTES = 8_000_000

#: a log from this size on is large: only one of them is read at a time
LARGE = 256_000_000

#: seconds between two looks at the clock
TICK = 0.5

#: seconds that a process may take until it begins, on a machine with much else to do
START = 60.0

#: bytes a second that the slowest reader reads on a slow disk
SLOWEST = 2_000_000

#: how often a log is tried that a worker died with
TRIES = 2


def count_cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Task(NamedTuple):
    """A batch, and how often a worker has died with it."""

    batch: list[Candidate]
    deaths: int = 0

    @property
    def is_large(self) -> bool:
        return self.batch[0].size >= LARGE


@dataclass(kw_only=True, eq=False)
class _Worker:
    """One process, what it is doing, and the shared memory that tells.

    Parameters
    ----------
    process : SpawnProcess
    link : Connection
    state : shared array of two floats
        Which log of its batch it is at, and since when.
    task : _Task or None
        What it was given.
    """

    process: SpawnProcess
    link: Connection
    state: Any
    task: _Task | None = None

    @property
    def place(self) -> int:
        return int(self.state[0])

    def is_late(self, now: float, seconds: float) -> bool:
        if self.task is None or self.place >= len(self.task.batch):
            return False
        size = self.task.batch[self.place].size
        return now - float(self.state[1]) > seconds + size / SLOWEST

    def take(self, task: _Task) -> None:
        self.task = task
        self.state[0], self.state[1] = 0, time.monotonic() + START
        with suppress(OSError):  # it died just now, which the next look tells
            self.link.send(task.batch)

    def stop(self) -> None:
        self.link.close()
        self.process.kill()
        self.process.join()


@dataclass(kw_only=True, eq=False)
class Pool:
    """Examines candidates in processes.

    Parameters
    ----------
    examiner : Examiner
        What is done with each of them.
    jobs : int
        How many processes.
    seconds : float
        How long one small log may take; a large one may take longer.
    """

    examiner: Examiner
    jobs: int
    seconds: float = 60.0
    _workers: list[_Worker] = field(default_factory=list)
    _waiting: deque[_Task] = field(default_factory=deque)
    _later: bool = False

    def examine(
        self, candidates: Iterable[Candidate | None]
    ) -> Iterator[list[tuple[Candidate, Outcome]]]:
        """Yield candidates with their outcomes, as they come; every now and then none.

        Parameters
        ----------
        candidates : iterable of Candidate or None
            Taken a few batches ahead of the workers, and no further; None is asked again later.
        """
        batches = _cut(candidates)
        try:
            while self._hand_out(batches):
                yield list(self._collect())
            yield []
        finally:
            for worker in self._workers:
                worker.stop()
            self._workers.clear()
            self._waiting.clear()

    def _hand_out(self, batches: Iterator[list[Candidate]]) -> bool:
        """Give every idle worker a task; tell whether anything is still to be done."""
        more = True
        while more and len(self._waiting) < 2 * self.jobs:
            batch = next(batches, None)
            more = bool(batch)
            if batch:
                self._waiting.append(_Task(batch))
            self._later = batch == []
        idle = [worker for worker in self._workers if worker.task is None]
        while self._waiting and (idle or len(self._workers) < self.jobs):
            task = self._next_task()
            if task is None:
                break
            worker = idle.pop() if idle else self._start()
            worker.take(task)
        return self._later or bool(self._waiting) or any(one.task for one in self._workers)

    def _next_task(self) -> _Task | None:
        """Return a task; a large one only while no other large one is being read."""
        busy = any(worker.task is not None and worker.task.is_large for worker in self._workers)
        for at, task in enumerate(self._waiting):
            if not (busy and task.is_large):
                del self._waiting[at]
                return task
        return None

    def _collect(self) -> Iterator[tuple[Candidate, Outcome]]:
        links = {worker.link: worker for worker in self._workers if worker.task is not None}
        for link in wait(list(links), 0 if self._later else TICK) if links else ():
            worker = links[link]  # type: ignore[index]  # wait gives back what it was given
            task = worker.task
            try:
                outcomes = worker.link.recv()
            except (EOFError, OSError):
                yield from self._bury(worker)
                continue
            worker.task = None
            yield from zip(task.batch if task else (), outcomes, strict=True)
        now = time.monotonic()
        for worker in [each for each in self._workers if each.is_late(now, self.seconds)]:
            yield from self._end(worker)

    def _bury(self, worker: _Worker) -> Iterator[tuple[Candidate, Outcome]]:
        """Give the rest of a dead worker's batch to others; say what it died with."""
        task, place = self._drop(worker)
        culprit = task.batch[min(place, len(task.batch) - 1)]
        if task.deaths + 1 < TRIES:
            self._waiting.appendleft(_Task([culprit], task.deaths + 1))
            return
        code = worker.process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        reason = (
            f"the process that read it was ended by the system ({how}), most often for want of "
            "memory"
        )
        yield culprit, _refuse(culprit, reason)

    def _end(self, worker: _Worker) -> Iterator[tuple[Candidate, Outcome]]:
        task, place = self._drop(worker)
        culprit = task.batch[place]
        reason = (
            f"took longer than {time.monotonic() - worker.state[1]:.0f} s to read; see --timeout"
        )
        yield culprit, _refuse(culprit, reason)

    def _drop(self, worker: _Worker) -> tuple[_Task, int]:
        """Take a worker out, and keep the rest of its batch for others."""
        task, place = worker.task or _Task([]), worker.place
        worker.stop()
        self._workers.remove(worker)
        rest = [one for at, one in enumerate(task.batch) if at != place]
        if rest:
            self._waiting.appendleft(_Task(rest))
        return task, place

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        state = context.RawArray("d", 2)
        process = context.Process(target=_work, args=(theirs, state, self.examiner), daemon=True)
        with _no_script():
            process.start()
        theirs.close()
        worker = _Worker(process=process, link=ours, state=state)
        self._workers.append(worker)
        return worker


@contextmanager
def _no_script() -> Iterator[None]:
    """Hide the program's main module: workers need none of it, and must not run it again.

    Ctrl-C is for whoever started the scan: workers are born deaf to it.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main else None
    try:
        yield
    finally:
        sys.modules["__main__"] = script
        if is_main:
            signal.signal(signal.SIGINT, before)


def _work(link: Connection, state: Any, examiner: Examiner) -> None:  # noqa: ANN401  a shared array has no public type
    """Examine batches until nobody asks any more: what a worker process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked decides when to stop
    with suppress(EOFError, OSError):
        while True:
            batch: Sequence[Candidate] = link.recv()
            outcomes = []
            for at, candidate in enumerate(batch):
                state[1] = time.monotonic()
                state[0] = at
                outcomes.append(examiner.examine(candidate))
            state[0] = len(batch)
            link.send(outcomes)


def _cut(candidates: Iterable[Candidate | None]) -> Iterator[list[Candidate]]:
    """Cut candidates into batches, small ones at first; an empty one says to come back later."""
    batch: list[Candidate] = []
    size, most = 0, 4
    for candidate in candidates:
        if candidate is None:
            yield batch
            batch, size = [], 0
            continue
        if batch and size + candidate.size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(candidate)
        size += candidate.size
        if len(batch) >= most:
            yield batch
            batch, size, most = [], 0, min(BATCH, most + 1)
    if batch:
        yield batch


def _refuse(candidate: Candidate, reason: str) -> Outcome:
    row = Row.from_error(
        show_path(candidate.path),
        reason,
        modified=candidate.modified / 1e9,
        size=candidate.size,
    )
    return Outcome(encode_rows([row]), lasting=False)
