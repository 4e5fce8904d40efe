"""scan(folders) -> rows: find, look up or examine, and yield rows as they come."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fitdiag.diagnosis import Config
from fitdiag.fleet.cache import Cache, cache_folder, fingerprint
from fitdiag.fleet.examination import Examiner, Outcome, decode_rows, show_path
from fitdiag.fleet.finding import Candidate, Tally, expand, find_candidates, look_away
from fitdiag.fleet.links import report_name
from fitdiag.fleet.pool import Pool, count_cores
from fitdiag.fleet.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Scan", "scan"]

#: candidates that are found ahead of the workers, such that the end can be foretold
AHEAD = 50_000

#: candidates that are found between two looks at the workers
STRIDE = 500

#: nanoseconds in a second
NANO = 1e9


def scan(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    jobs: int | None = None,
    config: Config | None = None,
    since: float | None = None,
    cache: bool | str | os.PathLike[str] = True,
    timeout: float = 60.0,
    reports: str | os.PathLike[str] | None = None,
) -> Iterator[Row]:
    """Diagnose every run of every format below some folders, in processes, one row each.

    Parameters
    ----------
    paths : path, or iterable of them
        Folders, logs, or patterns such as ``"runs/*/logs.csv"``.
    jobs : int, optional
        How many processes. Default: one for each processor.
    config : Config, optional
        Other limits or rules than the defaults.
    since : float, optional
        Only logs that were written to since then, in seconds since 1970.
    cache : bool or path
        Whether logs that did not change since an earlier scan are taken from what that one found;
        a path says where that is kept. Default: in the user's cache folder.
    timeout : float
        Seconds after which a log is given up; for a large one more, by its size.
    reports : path, optional
        A folder that each run's report is written into.

    Yields
    ------
    Row
        As they come, in no order. A log that cannot be read gives a row that says why.

    Raises
    ------
    UsageError
        If a path names nothing that is there.

    Examples
    --------
    >>> import fitdiag
    >>> for row in fitdiag.scan("experiments"):  # doctest: +SKIP
    ...     print(row.name, row.verdict, row.pick_epoch)
    """
    yield from Scan(
        paths=expand([paths] if isinstance(paths, (str, os.PathLike)) else paths),
        config=config or Config(),
        jobs=jobs or count_cores(),
        since=since,
        cache=cache,
        timeout=timeout,
        reports="" if reports is None else os.fspath(reports),
    )


@dataclass(kw_only=True)
class Scan:
    """One scan: iterate over it for its rows, look at its tally while it runs.

    Parameters
    ----------
    paths : list of str
        What :func:`~fitdiag.fleet.finding.expand` returned.
    config, jobs, since, cache, timeout, reports
        As for :func:`scan`.
    most_bytes : int
        Logs larger than this are not read.
    look : callable
        Called every now and then, with the tally; for a progress bar.
    tally : Tally
        What was met so far.
    trouble : str
        Why nothing is kept for the next scan; empty while all is well.
    """

    paths: list[str]
    config: Config = field(default_factory=Config)
    jobs: int = 1
    since: float | None = None
    cache: bool | str | os.PathLike[str] = True
    timeout: float = 60.0
    reports: str = ""
    most_bytes: int = Examiner.most_bytes
    look: Callable[[Tally], None] = look_away
    tally: Tally = field(default_factory=Tally)
    trouble: str = ""

    def __iter__(self) -> Iterator[Row]:
        kept = self._open_cache()
        ready: list[Row] = []
        pool = Pool(examiner=self.examiner(), jobs=self.jobs, seconds=self.timeout)
        found = _Lookahead(self._find(kept, ready), self.tally)
        try:
            for finished in pool.examine(found):
                for candidate, outcome in finished:
                    if kept is not None:
                        kept.put(candidate, outcome)
                    ready += self._count(outcome)
                found.go_on()
                self.look(self.tally)
                yield from ready
                ready.clear()
        finally:
            if kept is not None:
                kept.close()
                self.trouble = kept.trouble

    def examiner(self) -> Examiner:
        """Return what is done with each log."""
        if self.reports:
            os.makedirs(self.reports, exist_ok=True)
        return Examiner(
            config=replace(self.config), reports=self.reports, most_bytes=self.most_bytes
        )

    def _open_cache(self) -> Cache | None:
        if self.cache is False:
            return None
        path = cache_folder() / "scans.sqlite" if self.cache is True else self.cache
        return Cache(path, fingerprint(self.config))

    def _find(self, kept: Cache | None, ready: list[Row]) -> Iterator[Candidate | None]:
        """Yield what must be looked at, and None for all else; known rows go to ``ready``."""
        for each in find_candidates(self.paths, self.tally):
            if not isinstance(each, Candidate):
                ready.append(Row.from_error(show_path(each.path), each.reason))
                yield None
                continue
            if self.since is not None and each.modified < self.since * NANO:
                self.tally.skipped += 1
                yield None
                continue
            self.tally.found += 1
            known = None if kept is None else kept.get(each)
            if known is not None and self._has_reports(known):
                self.tally.unchanged += 1
                ready += self._count(known)
                yield None
                continue
            yield each

    def _has_reports(self, known: Outcome) -> bool:
        """Tell whether the reports of known rows are there, as far as they are wanted."""
        if not self.reports:
            return True
        rows = [row for row in decode_rows(known.rows) if row.status != "error"]
        return all(os.path.exists(os.path.join(self.reports, report_name(row))) for row in rows)

    def _count(self, outcome: Outcome) -> list[Row]:
        rows = decode_rows(outcome.rows)
        self.tally.done += 1
        self.tally.others += not rows
        return rows


class _Lookahead:
    """Finds candidates ahead of those who take them, a bounded number at a time.

    Parameters
    ----------
    source : iterator of Candidate or None
        None stands for something that nobody has to look at.
    tally : Tally
        Told when everything has been found.
    """

    def __init__(self, source: Iterator[Candidate | None], tally: Tally) -> None:
        self._source, self._tally = source, tally
        self._found: deque[Candidate] = deque()

    def __iter__(self) -> _Lookahead:
        return self

    def __next__(self) -> Candidate | None:
        """Return the next one, or None to be asked again later."""
        if not self._found:
            self._pull()
        if self._found:
            return self._found.popleft()
        if self._tally.complete:
            raise StopIteration
        return None

    def go_on(self) -> None:
        """Find some more."""
        if len(self._found) < AHEAD:
            self._pull()

    def _pull(self) -> None:
        for _ in range(STRIDE):
            try:
                each = next(self._source)
            except StopIteration:
                self._tally.complete = True
                return
            if each is not None:
                self._found.append(each)
