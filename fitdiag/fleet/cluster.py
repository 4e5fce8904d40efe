"""The same scan on a Dask cluster: workers write partitions, and a lost scan can be begun again."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from fitdiag import __version__
from fitdiag.diagnosis import Config
from fitdiag.errors import ExtraError, FitdiagError, UsageError, WriteError
from fitdiag.fleet.cache import fingerprint
from fitdiag.fleet.examination import Examiner, decode_rows, show_path
from fitdiag.fleet.finding import Candidate, Problem, Tally, expand, find_candidates, look_away
from fitdiag.fleet.partitions import drop_others, list_parts, prepare, write_part
from fitdiag.fleet.remote import Unit, examine_unit, find_units, is_remote
from fitdiag.fleet.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["ClusterScan", "Work", "cut_work", "do_work"]

#: logs in a piece of work, and bytes in it, at the most
PIECE = 200
PIECE_BYTES = 128_000_000

#: one log in so many ends a piece, by its name: a new log then changes one piece and no other
CUT = 100

#: pieces that are given out for each worker
AHEAD = 4

#: seconds within which a scheduler answers
CONNECT = 10.0

#: seconds between two looks at the connection, and of silence until a scheduler is lost
TICK = 0.5
PATIENCE = 60.0

#: how often a piece is tried again on another worker
RETRIES = 2


@dataclass(frozen=True, kw_only=True)
class Work:
    """One piece of work; it becomes one partition.

    Parameters
    ----------
    key : str
        Made from everything that the outcome depends on.
    candidates : tuple of Candidate or Problem
        Logs on a file system that every worker sees.
    unit : Unit or None
        Or files of a remote file system.
    alone : bool
        Whether it is one log that was taken out of a larger piece.
    """

    key: str
    candidates: tuple[Candidate | Problem, ...] = ()
    unit: Unit | None = None
    alone: bool = False

    def split(self) -> list[Work]:
        """Return the same work in pieces of one log each."""
        if self.unit is not None:
            parts = [replace(self.unit, files=(file,)) for file in self.unit.files]
            return [Work(key=_key(self.key, [repr(part)]), unit=part, alone=True) for part in parts]
        singles = ((one,) for one in self.candidates)
        return [
            Work(key=_key(self.key, [repr(one)]), candidates=one, alone=True) for one in singles
        ]

    def __len__(self) -> int:
        return len(self.candidates) if self.unit is None else len(self.unit.files)

    @property
    def name(self) -> str:
        """What a piece of one log is called."""
        if self.unit is not None:
            return f"{self.unit.root}/{self.unit.files[0].path}"
        return show_path(self.candidates[0].path)


def cut_work(
    paths: Sequence[str], config: Config, *, since: float | None = None, tally: Tally | None = None
) -> Iterator[Work]:
    """Yield everything below some folders and URLs in pieces.

    Parameters
    ----------
    paths : sequence of str
        Paths on a file system that every worker sees, or URLs.
    config : Config
        The limits of the diagnosis: other limits are other work.
    since : float, optional
        Only logs that were written to since then.
    tally : Tally, optional
        Counts what is met.
    """
    tally = tally or Tally()
    maker = fingerprint(config)
    for url in filter(is_remote, paths):
        for unit in find_units(url):
            files = tuple(one for one in unit.files if since is None or one.modified >= since)
            tally.skipped += len(unit.files) - len(files)
            tally.found += len(files)
            if files:
                yield Work(key=_key(maker, map(repr, files)), unit=replace(unit, files=files))
    # workers may have another current folder
    local = [os.path.abspath(path) for path in paths if not is_remote(path)]
    pack: list[Candidate | Problem] = []
    size = 0
    for each in find_candidates(expand(local), tally) if local else ():
        if isinstance(each, Candidate):
            if since is not None and each.modified < since * 1e9:
                tally.skipped += 1
                continue
            tally.found += 1
            size += each.size
        pack.append(each)
        if len(pack) >= PIECE or size >= PIECE_BYTES or _ends_piece(each):
            yield Work(key=_key(maker, map(repr, pack)), candidates=tuple(pack))
            pack, size = [], 0
    if pack:
        yield Work(key=_key(maker, map(repr, pack)), candidates=tuple(pack))


def do_work(work: Work, examiner: Examiner, out: str) -> Counter[str]:
    """Examine a piece, write its partition, and return how many rows it has by verdict."""
    rows: list[Row] = []
    if work.unit is not None:
        rows = examine_unit(work.unit, examiner)
    for each in work.candidates:
        if isinstance(each, Problem):
            rows.append(Row.from_error(show_path(each.path), each.reason))
        else:
            rows += decode_rows(examiner.examine(each).rows)
    write_part(out, work.key, rows)
    return Counter(row.verdict or row.status for row in rows)


@dataclass(kw_only=True)
class ClusterScan:
    """A scan on a cluster.

    Parameters
    ----------
    paths : sequence of str
        Paths that every worker sees, or URLs.
    out : str
        The folder of the partitions, which every worker must reach: a path or a URL.
    scheduler : str
        Its address, ``tcp://host:8786``.
    config, since, most_bytes
        As for :class:`~fitdiag.fleet.scanning.Scan`.
    look : callable
        Called with the tally whenever a piece is done.
    tally : Tally
        What was met so far.
    counts : Counter
        Rows by verdict, of the partitions that this scan wrote.
    keys : set of str
        All partitions of the scan, those included that were there already.
    resumed : int
        How many were there already.
    """

    paths: Sequence[str]
    out: str
    scheduler: str
    config: Config = field(default_factory=Config)
    since: float | None = None
    most_bytes: int = Examiner.most_bytes
    look: Callable[[Tally], None] = look_away
    tally: Tally = field(default_factory=Tally)
    counts: Counter[str] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)
    resumed: int = 0

    def run(self) -> None:
        """Do everything that is not done yet.

        Raises
        ------
        ExtraError
            If dask.distributed or pyarrow is not installed.
        UsageError
            If there is no scheduler at the address, or it or its workers have another fitdiag.
        FitdiagError
            If the scheduler is lost; the same scan, begun again, goes on from there.
        """
        if find_spec("distributed") is None:
            raise ExtraError(
                "--scheduler needs dask.distributed, which is not installed: "
                "pip install 'fitdiag[cluster]'"
            )
        self.out = self.out if is_remote(self.out) else os.path.abspath(self.out)
        prepare(self.out)
        client = self._connect()
        try:
            self._do_all(client)
        except OSError as error:  # also what distributed raises when a connection is lost
            raise FitdiagError(
                f"the scheduler at {self.scheduler} was lost ({error}); what its workers wrote is "
                f"in {self.out}: begin the same scan again, and it goes on from there"
            ) from error
        finally:
            client.close(timeout=2)
        drop_others(self.out, self.keys)

    def _connect(self) -> Any:  # noqa: ANN401  distributed has no types
        from distributed import Client

        try:
            client = Client(self.scheduler, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(f"there is no scheduler at {self.scheduler}: {error}") from None
        try:
            versions = set(client.run(_version).values())
        except ImportError as error:
            client.close(timeout=2)
            raise UsageError(f"workers of {self.scheduler} have no fitdiag: {error}") from None
        if versions - {__version__}:
            client.close(timeout=2)
            others = ", ".join(sorted(versions - {__version__}))
            raise UsageError(
                f"workers of {self.scheduler} have fitdiag {others} and this is {__version__}: "
                "install the same version everywhere"
            )
        return client

    def _do_all(self, client: Any) -> None:  # noqa: ANN401  distributed has no types
        done = list_parts(self.out)
        examiner = Examiner(config=replace(self.config), most_bytes=self.most_bytes)
        todo = self._todo(done)
        threads = max(1, sum(client.nthreads().values()))
        crew = _Crew(client=client, examiner=examiner, out=self.out)
        suspects: list[Work] = []
        for work in itertools.islice(todo, AHEAD * threads):
            crew.give(work)
        while crew.pending:
            future, work = crew.wait()
            suspects += self._take(future, work)
            for more in itertools.islice(todo, 1):
                crew.give(more)
            self.look(self.tally)
        for suspect in suspects:  # one at a time: whoever takes a worker along now did so alone
            if suspect.key not in done:
                crew.give(suspect)
                self._take(*crew.wait())
                self.look(self.tally)
        self.tally.complete = True

    def _todo(self, done: set[str]) -> Iterator[Work]:
        for whole in cut_work(self.paths, self.config, since=self.since, tally=self.tally):
            pieces = [whole]
            if whole.key not in done and done:  # it may have been split when its workers died
                split = whole.split()
                pieces = split if any(piece.key in done for piece in split) else pieces
            for work in pieces:
                self.keys.add(work.key)
                if work.key in done:
                    self.resumed += 1
                    self.tally.done += len(work)
                else:
                    yield work

    def _take(self, future: Any, work: Work) -> list[Work]:  # noqa: ANN401  distributed has no types
        """Count what is done; return, log by log, what may have killed its workers."""
        from distributed.scheduler import KilledWorker

        error = future.exception() if future.status == "error" else None
        if future.status in {"cancelled", "lost"}:
            raise OSError("the work was cancelled")
        if isinstance(error, OSError):
            raise WriteError(
                f"a worker cannot write to {self.out}: {error}; the folder must be one that every "
                "worker reaches"
            )
        if error is None:
            self.counts += future.result()
            self.tally.done += len(work)
            return []
        if isinstance(error, KilledWorker) and not work.alone:
            self.keys.discard(work.key)
            pieces = work.split()
            self.keys.update(piece.key for piece in pieces)
            return pieces
        reason = (
            "every process that read it was ended by the system, most often for want of memory"
            if isinstance(error, KilledWorker)
            else f"cannot be read: {type(error).__name__}: {error}"
        )
        write_part(self.out, work.key, [Row.from_error(work.name, reason)])
        self.counts["error"] += 1
        self.tally.done += len(work)
        return []


@dataclass(kw_only=True, eq=False)
class _Crew:
    """The workers of a cluster, and what they were given.

    Parameters
    ----------
    client : distributed.Client
    examiner : Examiner
    out : str
    pending : dict of Future to Work
        What is not done yet.
    """

    client: Any
    examiner: Examiner
    out: str
    pending: dict[Any, Work] = field(default_factory=dict)
    _finished: SimpleQueue[Any] = field(default_factory=SimpleQueue)

    def give(self, work: Work) -> None:
        future = self.client.submit(
            do_work,
            work,
            self.examiner,
            self.out,
            key=f"fitdiag-{work.key}",
            retries=RETRIES,
        )
        self.pending[future] = work
        future.add_done_callback(self._finished.put)

    def wait(self) -> tuple[Any, Work]:
        """Return one that is done, with its work.

        Raises
        ------
        OSError
            If the scheduler does not answer any more.
        """
        silent = 0.0
        while True:
            try:
                future = self._finished.get(timeout=TICK)
                return future, self.pending.pop(future)
            except Empty:
                silent = 0.0 if self.client.status == "running" else silent + TICK
            if silent > PATIENCE or self.client.status in {"closed", "failed"}:
                raise OSError("it does not answer")


def _version() -> str:
    return __version__


def _ends_piece(each: Candidate | Problem) -> bool:
    digest = hashlib.blake2b(each.path.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "big") % CUT == 0


def _key(maker: str, parts: Iterable[str]) -> str:
    digest = hashlib.blake2b(maker.encode(), digest_size=12)
    for part in parts:
        digest.update(part.encode("utf-8", "backslashreplace"))
    return digest.hexdigest()
