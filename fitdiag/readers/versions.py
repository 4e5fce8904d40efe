"""Folders of Lightning's CSVLogger: ``version_0``, ``version_1`` and so on, each with one log."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.errors import ReadError
from fitdiag.readers.reader import Reader
from fitdiag.readers.table import TABLE
from fitdiag.run import Curve, Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["VERSIONS", "join_resumed"]

_VERSION = re.compile(r"version_(\d{1,9})")

#: a run that begins later than so many of its own intervals goes on with an earlier one, which must
#: end at most so many before it
LATE = 1.5


def _list_versions(path: Path) -> list[Path]:
    try:
        found = [
            (int(match[1]), entry / "metrics.csv")
            for entry in path.iterdir()
            if (match := _VERSION.fullmatch(entry.name)) and (entry / "metrics.csv").is_file()
        ]
    except OSError:
        return []
    return [file for _, file in sorted(found)]


def _matches(path: Path, _head: bytes) -> bool:
    return path.is_dir() and bool(_list_versions(path))


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    runs: list[Run] = []
    reasons: list[str] = []
    for file in _list_versions(path):
        try:
            found = TABLE.read(file, columns)
        except (ReadError, OSError) as error:
            reasons.append(str(error))
            continue
        runs += [found] if isinstance(found, Run) else found
    if not runs:
        why = reasons[0] if reasons else "it has no version_N/metrics.csv."
        raise ReadError(f"{path} holds no run of Lightning's CSVLogger that can be read: {why}")
    return join_resumed(runs)


def join_resumed(runs: Sequence[Run]) -> list[Run]:
    """Join each run that goes on where an earlier one was with that one.

    Parameters
    ----------
    runs : sequence of Run
        In the order of time.

    Returns
    -------
    list of Run
        A resumed run stands in the place of its last part. Steps of the earlier part that were
        done again are left out, and a note says so.
    """
    joined: list[Run] = []
    for run in runs:
        before = next((each for each in reversed(joined) if _goes_on(each, run)), None)
        if before is None:
            joined.append(run)
        else:
            joined = [each for each in joined if each is not before]
            joined.append(_join(before, run))
    return joined


def _goes_on(before: Run, run: Run) -> bool:
    first, second = before.train_loss, run.train_loss
    if first is None or second is None or before.unit is not run.unit:
        return False
    if first.name != second.name:
        return False
    gaps = np.diff(second.steps if len(second) > 1 else first.steps)
    gap = float(np.median(gaps)) if gaps.size else 1.0
    begin = float(second.steps[0])
    return begin > 1 + LATE * gap and first.steps[0] < begin <= first.steps[-1] + LATE * gap


def _join(before: Run, run: Run) -> Run:
    begin = run.span[0]
    curves = {
        name: _append(before.curves.get(name), run.curves.get(name), begin)
        for name in dict.fromkeys([*before.curves, *run.curves])
    }
    epochs = _append(before.epochs, run.epochs, begin)
    note = f"Joined with {before.source.path}, which it goes on from at {run.unit} {begin:,.0f}."
    source = replace(
        run.source,
        columns={**before.source.columns, **run.source.columns},
        notes=(note, *run.source.notes),
    )
    return Run(
        curves={name: curve for name, curve in curves.items() if curve is not None},
        unit=run.unit,
        epochs=epochs,
        source=source,
    )


def _append(before: Curve | None, after: Curve | None, begin: float) -> Curve | None:
    if before is None:
        return after
    kept = before.steps < begin
    steps, values = before.steps[kept], before.values[kept]
    if after is not None:
        steps = np.concatenate([steps, after.steps])
        values = np.concatenate([values, after.values])
    return replace(before, steps=steps, values=values) if steps.size else None


VERSIONS = Reader(
    name="lightning",
    description="a folder of Lightning's CSVLogger: version_N/metrics.csv; resumed ones are joined",
    example="lightning_logs/",
    matches=_matches,
    read=_read,
    folders=True,
)
