"""Looking at one candidate: its rows, or why there are none. Nothing is raised."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fitdiag.checkpoint.folder import find_folder
from fitdiag.diagnosis import Config, Diagnosis, diagnose
from fitdiag.errors import ColumnError, FitdiagError, FormatError, ReadError
from fitdiag.fleet.links import report_name
from fitdiag.fleet.rows import Row
from fitdiag.readers.files import read_head
from fitdiag.readers.native import NATIVE, read_native
from fitdiag.readers.registry import READERS, read_all, sniff, sniff_folder
from fitdiag.readers.settings import find_settings
from fitdiag.run import Run, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitdiag.fleet.finding import Candidate
    from fitdiag.readers.reader import Reader

__all__ = ["Examiner", "Outcome", "decode_rows", "encode_rows", "show_path"]

#: bytes in a gigabyte
GIGA = 1e9

#: runs of one log that become rows
MOST_RUNS = 100_000

#: readers that recognise texts and tables of any kind: what they cannot read is often no log
LOOSE = frozenset({"csv", "stdout", "json", "jsonl", "wandb-export", "pairs"})

#: names and endings that only logs have
LOG_ENDINGS = frozenset({".wandb", ".swanlab", ".jsonl", ".log"})
LOG_NAMES = frozenset(
    {"logs", "log", "metrics", "history", "results", "training", "trainer_state", "progress"}
)

#: first bytes of what ``fitdiag scan`` itself writes
OWN = (b"path,run,name,format,status,", b'{"path": "')


class Outcome(NamedTuple):
    """What one candidate came to.

    Parameters
    ----------
    rows : str
        A JSON list, one object for each row; ``"[]"`` for what is no log.
    lasting : bool
        Whether it holds as long as the log does not change.
    """

    rows: str
    lasting: bool


@dataclass(frozen=True, kw_only=True)
class Examiner:
    """What is done with each candidate, wherever that is: plain, and quick to send.

    Parameters
    ----------
    config : Config
        The limits of the diagnosis.
    reports : str
        A folder that each run's report is written into; empty for none.
    most_bytes : int
        Logs larger than this are not read.
    """

    config: Config
    reports: str = ""
    most_bytes: int = 4_000_000_000

    def examine(self, candidate: Candidate, shown: str | None = None) -> Outcome:
        """Return the rows of a candidate.

        Parameters
        ----------
        candidate : Candidate
            A file, or a folder that is one log.
        shown : str, optional
            What rows call it. Default: its path.
        """
        shown = show_path(candidate.path) if shown is None else shown
        modified = candidate.modified / 1e9
        if candidate.size > self.most_bytes:
            reason = (
                f"has {candidate.size / GIGA:,.1f} GB, more than the {self.most_bytes / GIGA:,.1f} "
                "GB that a scan reads: raise --max-size, or look at it by itself"
            )
            row = Row.from_error(shown, reason, modified=modified, size=candidate.size)
            return Outcome(encode_rows([row]), lasting=False)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rows = self._read(candidate, shown)
        except (FitdiagError, OSError) as error:
            rows = [Row.from_error(shown, str(error), modified=modified, size=candidate.size)]
        except Exception as error:  # noqa: BLE001  one bad file never stops a scan
            reason = f"cannot be read: {type(error).__name__}: {error}"
            rows = [Row.from_error(shown, reason, modified=modified, size=candidate.size)]
        if not _has_changed(candidate):
            return Outcome(encode_rows(rows), lasting=all(_may_last(row) for row in rows))
        note = "The log was written to while it was read; the next scan reads it again."
        return Outcome(encode_rows([replace(row, note=note) for row in rows]), lasting=False)

    def _read(self, candidate: Candidate, shown: str) -> list[Row]:
        path = Path(candidate.path)
        try:
            head = b"" if candidate.folder else read_head(path)
        except ReadError:
            if candidate.size or _is_named_as_log(path):
                raise
            return []
        if head.startswith(OWN):
            return []
        reader = _find_reader(candidate, path, head)
        if reader is None:
            return []
        try:
            found = read_native(path, {}, head) if reader is NATIVE else read_all(path, reader)
        except ReadError as error:
            if _is_no_log(path, reader, error):
                return []
            raise
        runs = [found] if isinstance(found, Run) else found
        return [
            self._judge(run, number, candidate, shown)
            for number, run in enumerate(runs[:MOST_RUNS], start=1)
        ]

    def _judge(self, run: Run, number: int, candidate: Candidate, shown: str) -> Row:
        diagnosis = _diagnose(run, self.config)
        row = Row.from_diagnosis(
            diagnosis,
            path=shown,
            run=number,
            modified=candidate.modified / 1e9,
            size=candidate.size,
            config=find_settings(run),
        )
        if self.reports:
            from fitdiag.report import write_report

            write_report(diagnosis, os.path.join(self.reports, report_name(row)), force=True)
        return row


def _diagnose(run: Run, config: Config) -> Diagnosis:
    """Diagnose a run; that a folder has no checkpoints is asked once for all logs in it."""
    log = Path(run.source.path)
    here = log if log.is_dir() else log.parent
    if getattr(run.source, "checkpoints", "") or _find_checkpoints(str(here)) is not None:
        return diagnose(run, config)
    nameless = replace(run, source=replace(run.source, path=""))
    return replace(diagnose(nameless, config), run=run)


@lru_cache(maxsize=1024)
def _find_checkpoints(folder: str) -> Path | None:
    return find_folder(Run(curves={}, source=Source(path=folder)))


def _find_reader(candidate: Candidate, path: Path, head: bytes) -> Reader | None:
    """Return the reader that recognises a candidate; a folder was recognised when it was found."""
    if candidate.folder:
        known = (reader for reader in READERS if reader.name == candidate.format)
        return next(known, None) or sniff_folder(path)
    return NATIVE if NATIVE.matches(path, head) else sniff(path, head)


def encode_rows(rows: Sequence[Row]) -> str:
    """Return rows as strict JSON."""
    return json.dumps([row.to_dict() for row in rows], allow_nan=False, separators=(",", ":"))


def decode_rows(text: str) -> list[Row]:
    """Return the rows that :func:`encode_rows` wrote."""
    return [Row.from_dict(data) for data in json.loads(text)]


def show_path(path: str) -> str:
    """Return a path as text that can be written everywhere, whatever bytes it holds."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _has_changed(candidate: Candidate) -> bool:
    if candidate.folder:
        return False
    try:
        status = os.stat(candidate.path)
    except OSError:
        return True
    return (status.st_size, status.st_mtime_ns) != (candidate.size, candidate.modified)


def _may_last(row: Row) -> bool:
    """Tell whether a row depends on nothing but the log; a refused permission does not."""
    return row.status != "error" or "permission" not in row.reason


def _is_named_as_log(path: Path) -> bool:
    return path.suffix.lower() in LOG_ENDINGS or path.stem.lower() in LOG_NAMES


def _is_no_log(path: Path, reader: Reader, error: ReadError) -> bool:
    """Tell whether what cannot be read is some other file rather than a broken log."""
    if _is_named_as_log(path):
        return False
    return isinstance(error, (FormatError, ColumnError)) or reader.name in LOOSE
