"""What a tracker stored, in the order it was stored, becomes one run or several.

A tracker keeps every value that a training logged, so a store may hold a training that was resumed
from an earlier step, or one that was started again under the same name: the first is joined and
what it logged twice is dropped, the second is cut into runs.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.errors import ColumnError, ReadError
from fitdiag.readers.names import classify
from fitdiag.readers.series import Series, make_run
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from fitdiag.run import Run
    from fitdiag.source import Scalar

    Floats = NDArray[np.float64]

__all__ = ["Origin", "Track", "collect_runs", "make_runs"]

#: a part of a log that begins at the first step again is a run of its own from this many points on
RESTART_POINTS = 3

#: a loss whose steps go back more often than this share of its points was not logged in order
UNORDERED = 0.1

#: metrics that boosted trees and regressions log as their loss, clearest first
LOSSLIKE = (
    *("logloss", "binary_logloss", "multi_logloss", "mlogloss", "cross_entropy", "nll"),
    *("l2", "mse", "rmse", "l1", "mae"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """One named quantity as it was logged.

    Parameters
    ----------
    name : str
        As the tracker calls it.
    order : ndarray of float, shape (n,)
        When each value was logged: a row number or a time; comparable between tracks.
    steps, values : ndarray of float, shape (n,)
        Where and what, in the order of logging.
    unit : StepUnit
        What the steps count.
    """

    name: str
    order: Floats
    steps: Floats
    values: Floats
    unit: StepUnit = StepUnit.STEP

    def take(self, keep: NDArray[np.bool_]) -> Track:
        """Return the track at some of its points."""
        return replace(
            self, order=self.order[keep], steps=self.steps[keep], values=self.values[keep]
        )


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where tracks come from, and what the user said about them.

    Parameters
    ----------
    path, format : str
        For the run's source.
    columns : mapping of str to str
        Canonical curve name to the tracker's own name.
    notes : tuple of str
        What has been decided so far.
    config : mapping of str to scalar
        The run's settings, where they stand with its values.
    """

    path: str
    format: str
    columns: Mapping[str, str]
    notes: tuple[str, ...] = ()
    config: Mapping[str, Scalar] = field(default_factory=dict)


def make_runs(
    tracks: Sequence[Track], origin: Origin, *, clock: Track | None = None, key: Track | None = None
) -> list[Run]:
    """Return the runs that tracks hold, cut where the training began again.

    Parameters
    ----------
    tracks : sequence of Track
        Everything that was logged under one run of the tracker.
    origin : Origin
        Their source.
    clock : Track, optional
        The epoch at some of the steps.
    key : Track, optional
        The track whose steps tell where the training was resumed or began again. Default: the
        training loss with the most points.

    Raises
    ------
    ReadError
        If there is no curve among them.
    """
    tracks = _leave_counts([track for track in tracks if track.values.size], origin.columns)
    columns, told = _find_losses(tracks, origin)
    key = key or _longest(tracks, columns)
    resumed, restarts = _find_breaks(key)
    runs = []
    for part, part_clock in _cut(tracks, clock, restarts):
        notes = [*origin.notes, *told]
        kept, epochs = _supersede(part, part_clock, resumed, notes)
        runs.append(
            make_run(
                [
                    Series(name=each.name, steps=each.steps, values=each.values, unit=each.unit)
                    for each in kept
                ],
                path=origin.path,
                format=origin.format,
                columns=columns,
                epochs=None if epochs is None else _settle(epochs),
                notes=notes,
            )
        )
    if origin.config:
        return [replace(run, source=replace(run.source, config=origin.config)) for run in runs]
    return runs


def _leave_counts(tracks: Sequence[Track], columns: Mapping[str, str]) -> list[Track]:
    """Leave out what counts steps and epochs, and single values beside a loss of many."""
    named = set(columns.values())
    kinds = {track.name: classify(track.name) for track in tracks}
    many = {
        (kinds[track.name].kind, kinds[track.name].split)
        for track in tracks
        if track.values.size > 1 and kinds[track.name].kind == "loss"
    }
    return [
        track
        for track in tracks
        if track.name in named
        or (
            kinds[track.name].kind not in {"step", "epoch", "index"}
            and not (
                track.values.size == 1 and (kinds[track.name].kind, kinds[track.name].split) in many
            )
        )
    ]


def _settle(clock: Track) -> Series:
    """Return the epochs, one at each step: the later of two."""
    steps, last = np.unique(clock.steps[::-1], return_index=True)
    return Series(name="epoch", steps=steps, values=clock.values[::-1][last])


def _find_losses(
    tracks: Sequence[Track], origin: Origin
) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the columns, with a loss-like metric of both splits where there is no loss."""
    kinds = {track.name: classify(track.name) for track in tracks}
    trains = {"train_loss", "batch_loss"} & set(origin.columns)
    single = all(track.values.size == 1 for track in tracks)
    if trains or any(
        each.kind in {"loss", "batch_loss"} and each.split in {"", "train"}
        for each in kinds.values()
    ):
        told = "Every series holds one value: these are final values, and no curve."
        return origin.columns, ((told,) if single else ())
    if single and tracks:
        raise ReadError(
            f"{origin.path} holds final values only, no curve: log the losses once an epoch to "
            "have them judged."
        )
    for word in LOSSLIKE:
        found = {
            each.split: name
            for name, each in kinds.items()
            if each.kind == "metric" and each.word == word
        }
        val = found.get("val", found.get("test"))
        if "train" in found and val is not None:
            note = f'"{found["train"]}" and "{val}" were read as the losses: there are no others.'
            return {"train_loss": found["train"], "val_loss": val, **origin.columns}, (note,)
    return origin.columns, ()


def _longest(tracks: Sequence[Track], columns: Mapping[str, str]) -> Track | None:
    mapped = {columns.get("train_loss"), columns.get("batch_loss")}
    losses = [
        track
        for track in tracks
        if track.name in mapped or classify(track.name).kind in {"loss", "batch_loss"}
    ]
    return max(losses, key=lambda track: track.values.size, default=None)


def _find_breaks(key: Track | None) -> tuple[list[tuple[float, float]], list[float]]:
    """Return where the steps go back to a later one (when, to which), and where to the first."""
    if key is None or key.steps.size < 2:
        return [], []
    order, steps = key.order, key.steps
    falls = np.flatnonzero(np.diff(steps) < 0) + 1
    if falls.size > max(RESTART_POINTS, UNORDERED * steps.size):
        return [], []
    resumed: list[tuple[float, float]] = []
    restarts: list[float] = []
    begin = 0
    for fall, end in zip(falls, np.append(falls[1:], steps.size), strict=False):
        enough = min(fall - begin, end - fall) >= RESTART_POINTS
        if steps[fall] <= steps[begin] and enough:
            restarts.append(float(order[fall]))
            begin = int(fall)
        else:
            resumed.append((float(order[fall]), float(steps[fall])))
    return resumed, restarts


def _cut(
    tracks: Sequence[Track], clock: Track | None, restarts: Sequence[float]
) -> list[tuple[list[Track], Track | None]]:
    edges = [-np.inf, *restarts, np.inf]
    parts = []
    for low, high in itertools.pairwise(edges):
        inside = [track.take((track.order >= low) & (track.order < high)) for track in tracks]
        part = None if clock is None else clock.take((clock.order >= low) & (clock.order < high))
        parts.append((inside, part if part is None or part.steps.size else None))
    return parts


def _supersede(
    tracks: Sequence[Track],
    clock: Track | None,
    resumed: Sequence[tuple[float, float]],
    notes: list[str],
) -> tuple[list[Track], Track | None]:
    """Drop what was logged before a resumption at steps that the resumed training went again."""
    if not resumed:
        return list(tracks), clock
    before = sum(track.values.size for track in tracks)
    kept = [_drop(track, resumed) for track in tracks]
    dropped = before - sum(track.values.size for track in kept)
    if dropped:
        notes.append(f"The training was resumed: {dropped} values that it logged again are left.")
    return kept, None if clock is None else _drop(clock, resumed)


def _drop(track: Track, resumed: Sequence[tuple[float, float]]) -> Track:
    keep = np.ones(track.steps.size, dtype=bool)
    for when, step in resumed:
        keep &= (track.order >= when) | (track.steps < step)
    return track.take(keep)


def _try(read: Callable[[], Sequence[Run]], reasons: list[ReadError]) -> Sequence[Run]:
    try:
        return read()
    except ReadError as error:
        reasons.append(error)
        return []


def collect_runs(
    path: Path, found: Iterable[Callable[[], Sequence[Run]]], what: str, notes: Sequence[str] = ()
) -> list[Run]:
    """Return the runs of a store, without those that hold no training curve.

    Parameters
    ----------
    path : Path
        The store, for messages.
    found : iterable of callable
        Each reads one run of the tracker.
    what : str
        What the store is, for messages.
    notes : sequence of str, optional
        Put before each run's own notes.

    Raises
    ------
    ReadError
        If none of them does: the reason of the only one, or of the last.
    """
    runs: list[Run] = []
    reasons: list[ReadError] = []
    for read in found:
        runs.extend(_try(read, reasons))
    if not runs:
        if len(reasons) == 1:
            raise reasons[0]
        if not reasons:
            raise ReadError(f"{path} is {what} without any run: nothing was logged to it.")
        kind = ColumnError if isinstance(reasons[-1], ColumnError) else ReadError
        raise kind(
            f"None of the {len(reasons)} runs in {path} can be read; the last: {reasons[-1]}"
        )
    told = list(notes)
    if reasons:
        told.append(f"{len(reasons)} more without a training curve were left out.")
    if not told:
        return runs
    return [
        replace(run, source=replace(run.source, notes=(*told, *run.source.notes))) for run in runs
    ]
