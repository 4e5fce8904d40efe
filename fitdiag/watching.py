"""A log that grows, looked at again and again: what is new, what has to be said, and when to stop.

Looking is separate from showing: :class:`Watch` holds no clock and prints nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fitdiag.errors import ReadError
from fitdiag.findings import Severity, Verdict
from fitdiag.monitor import Monitor
from fitdiag.readers import read
from fitdiag.stopping import judge_stop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fitdiag.diagnosis import Config, Diagnosis
    from fitdiag.findings import Finding
    from fitdiag.run import Run

__all__ = ["Alert", "News", "Watch"]

#: verdicts that are worth an alert while a training runs
BAD = frozenset({Verdict.OVERFITTING, Verdict.DIVERGED, Verdict.NO_LEARNING})

#: confidence below which a verdict is no alert
SURE = 0.7

#: families of findings about the log itself, which are no news of the training
QUIET = "LOG"

#: files below a folder whose change is noticed, at most
FILES = 2000


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Something that has to be said once.

    Parameters
    ----------
    key : str
        A verdict, the code of a finding, ``"stop"`` or ``"restart"``.
    message : str
        One sentence.
    """

    key: str
    message: str


@dataclass(frozen=True, kw_only=True)
class News:
    """What one look has shown.

    Parameters
    ----------
    diagnosis : Diagnosis or None
        Of the run as far as it has got; None while there is nothing to judge.
    reason : str
        Why there is none.
    alerts : tuple of Alert
        What has not been said before.
    """

    diagnosis: Diagnosis | None
    reason: str = ""
    alerts: tuple[Alert, ...] = ()


class Watch:
    """Looks at a log that grows.

    Parameters
    ----------
    logs : sequence of path
        What :func:`fitdiag.read` takes: a file, a folder, or several tables of one run.
    config : Config, optional
        Other limits or rules than the defaults.
    format : str, optional
        The reader, where the format is not to be recognised.
    columns : mapping of str to str, optional
        Canonical curve name to the log's column.

    Examples
    --------
    >>> from fitdiag.watching import Watch
    >>> Watch(["no-such-log.csv"]).look().reason
    'no-such-log.csv is not there yet.'
    """

    def __init__(
        self,
        logs: Sequence[str | os.PathLike[str]],
        config: Config | None = None,
        *,
        format: str | None = None,  # noqa: A002  # what the option is called everywhere
        columns: Mapping[str, str] | None = None,
    ) -> None:
        self._logs = [Path(log) for log in logs]
        self._config = config
        self._format = format
        self._columns = dict(columns or {})
        self._seen: tuple[tuple[str, int, int], ...] | None = None
        self._monitor = Monitor(config)
        self._length = -1.0
        self._said: set[str] = set()

    def look(self) -> News | None:
        """Look once.

        Returns
        -------
        News or None
            None if nothing has changed since the last look.
        """
        signature = self._sign()
        if signature == self._seen:
            return None
        self._seen = signature
        missing = [log for log in self._logs if not log.exists()]
        if missing:
            return News(diagnosis=None, reason=f"{missing[0]} is not there yet.")
        try:
            run = self._read()
        except ReadError as error:  # half a line, a header alone: more will come
            return News(diagnosis=None, reason=str(error))
        restarted = self._take(run)
        diagnosis = self._monitor.diagnosis()
        alerts = _list_alerts(diagnosis) + _judge_stop(run, diagnosis)
        if restarted:
            alerts.insert(0, Alert(key="restart", message="The training began again."))
        fresh = tuple(alert for alert in alerts if alert.key not in self._said)
        self._said |= {alert.key for alert in fresh if alert.key != "restart"}
        return News(diagnosis=diagnosis, alerts=fresh)

    def _read(self) -> Run:
        one = self._logs[0] if len(self._logs) == 1 else self._logs
        return read(one, format=self._format, columns=self._columns)

    def _take(self, run: Run) -> bool:
        """Take what is new; tell whether the run is another one than before."""
        length = max((float(curve.steps[-1]) for curve in run.curves.values()), default=-1.0)
        restarted = length < self._length
        if restarted:
            self._monitor = Monitor(self._config)
            self._said.clear()
        self._length = length
        self._monitor.take(run)
        return restarted

    def _sign(self) -> tuple[tuple[str, int, int], ...]:
        """Return what tells that a log has changed: names, sizes and times of its files."""
        found: list[tuple[str, int, int]] = []
        for log in self._logs:
            places = _list_files(log) if log.is_dir() else [log]
            for place in places:
                try:
                    status = place.stat()
                except OSError:
                    continue
                found.append((str(place), status.st_size, status.st_mtime_ns))
        return tuple(found)


def _list_alerts(diagnosis: Diagnosis) -> list[Alert]:
    verdict, confidence = diagnosis.verdict, diagnosis.confidence or 0.0
    alerts = []
    if verdict in BAD and confidence >= SURE:
        alerts.append(Alert(key=str(verdict), message=diagnosis.reason))
    alerts += [
        Alert(key=finding.code, message=finding.message)
        for finding in diagnosis.findings
        if _is_alarming(finding)
    ]
    return alerts


def _judge_stop(run: Run, diagnosis: Diagnosis) -> list[Alert]:
    """Return that the training can be stopped, where its evaluations say so."""
    pick = diagnosis.checkpoint
    if run.val_loss is None or pick is None:
        return []
    decision, _ = judge_stop(run)
    if not decision.stop:
        return []
    where = run.moment(pick.step)
    message = f"Stop now: the best checkpoint was at {where}. {decision.message}"
    return [Alert(key="stop", message=message)]


def _is_alarming(finding: Finding) -> bool:
    return finding.severity is Severity.ERROR and not finding.code.startswith((QUIET, "FIT"))


def _list_files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders.sort()
        found += [Path(place) / name for name in sorted(names)]
        if len(found) >= FILES:
            break
    return found[:FILES]
