"""From what a log said to runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fitdiag.errors import ColumnError, ReadError
from fitdiag.readers.series import Series, make_run
from fitdiag.readers.stdout.axes import Placing, Points, find_placing
from fitdiag.readers.stdout.roles import choose_roles, list_losses
from fitdiag.readers.stdout.tracks import BAR, STEP
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitdiag.readers.stdout.roles import Roles
    from fitdiag.readers.stdout.scan import Scanner
    from fitdiag.readers.stdout.tracks import Recording, Track
    from fitdiag.run import Run

__all__ = ["build_runs"]

NAME = "stdout"

#: so many runs of one value each are final values
FINAL_RUNS = 4


def build_runs(scanner: Scanner, path: str, columns: Mapping[str, str]) -> list[Run]:
    """Make the runs of a log.

    Parameters
    ----------
    scanner : Scanner
        That has read it.
    path : str
        For messages.
    columns : mapping of str to str
        What the user said: canonical curve name to the log's own words.

    Raises
    ------
    ReadError
        If no line holds a loss, or its values cannot be told.
    """
    if scanner.commas["either"] and not scanner.commas["thousands"] and not scanner.comma:
        raise ReadError(
            f"{path} holds numbers such as 1,234, and nothing tells whether the comma is a decimal "
            "sign: write them with a decimal point."
        )
    recorded = [run for run in scanner.runs if run.tracks]
    useful = [run for run in recorded if run.has_loss()] or recorded[-1:]
    if not useful:
        raise ReadError(
            f"{path} holds no line with a loss and its value, such as "
            "'Epoch 1, train loss: 0.5, val loss: 0.6'."
        )
    if len(useful) >= FINAL_RUNS and np.median([_count_losses(run) for run in useful]) <= 1:
        raise ReadError(
            f"{path} holds the losses of {len(useful)} trainings, one value of each and no curve: "
            "give the output of a single training that prints its loss as it goes."
        )
    longest = max(map(_count_losses, useful))
    if longest > 1:
        useful = [run for run in useful if _count_losses(run) > 1]
    made, problem = [], None
    for run in useful:
        try:
            with np.errstate(all="ignore"):  # a log may hold any number
                made.append(_build_run(run, path, columns))
        except ColumnError as error:  # noqa: PERF203  # a few runs
            problem = error
    if not made and problem is not None:
        raise problem
    return made


def _count_losses(run: Recording) -> int:
    return max((len(track) for track in list_losses(run, "", "train", "val", "test")), default=0)


def _build_run(run: Recording, path: str, columns: Mapping[str, str]) -> Run:
    train = list_losses(run, "", "train")
    placing = find_placing(run, train or list(run.tracks.values()))
    roles = choose_roles(run, placing)
    notes = list(roles.notes)
    taken = {id(track): target for target, track in (*_pair(roles), *_pick_simple(run))}
    series: dict[str, Series] = {}
    names: dict[str, str] = {}
    for track in run.tracks.values():
        target = taken.get(id(track), "")
        is_spare = track.key.kind in {"loss", "batch_loss"} or track.is_mean
        if is_spare and not target and track.name not in columns.values():
            continue
        points = _place(track, target, placing, notes)
        name = _find_name(track, target, series)
        if not points.steps.size or name in series or _is_never_measured(track, points):
            continue
        series[name] = Series(
            name=name, steps=points.steps, values=points.values, unit=placing.unit
        )
        if target:
            names[target] = name
    _note_decisions(run, placing, notes)
    return make_run(
        series.values(),
        path=path,
        format=NAME,
        columns={**names, **columns},
        epochs=_find_clock(run, placing),
        notes=notes,
    )


def _pair(roles: Roles) -> list[tuple[str, Track]]:
    pairs = (("train_loss", roles.train), ("val_loss", roles.val), ("batch_loss", roles.batch))
    return [(target, track) for target, track in pairs if track is not None]


def _pick_simple(run: Recording) -> list[tuple[str, Track]]:
    """Return the longest learning rate and gradient norm."""
    found = []
    for kind in ("lr", "grad_norm", "grad_norm_max"):
        tracks = [track for track in run.tracks.values() if track.key.kind == kind]
        if tracks:
            found.append((kind, max(tracks, key=len)))
    return found


def _find_name(track: Track, target: str, series: Mapping[str, Series]) -> str:
    name = f"{track.name} (mean)" if track.is_mean else track.name
    if target == "batch_loss" and track.key.kind != "batch_loss":
        return f"{name} (batch)"
    return f"{name} ({track.level})" if name in series else name


def _place(track: Track, target: str, placing: Placing, notes: list[str]) -> Points:
    is_batchwise = (
        target == "val_loss" and placing.inner and track.level == STEP and not track.joined
    )
    if is_batchwise or (track.is_mean and placing.inner):
        return _per_epoch(track, placing, notes, last=track.is_mean)
    points = placing.place(track, spread=track.level != BAR)
    if points.dropped and target.endswith("loss") and track.level != BAR:
        notes.append(f'{points.dropped} values of "{track.name}" came again; the last was taken.')
    return points


def _per_epoch(track: Track, placing: Placing, notes: list[str], *, last: bool) -> Points:
    """Return one value for each epoch: the last running mean, or the mean over its batches."""
    epochs, steps, values, lines = track.columns()
    known = np.isfinite(epochs) & placing.find_kept(epochs, steps, lines)
    epochs, values = epochs[known], values[known]
    distinct, inverse = np.unique(epochs, return_inverse=True)
    if last:
        chosen = np.empty(distinct.size)
        chosen[inverse] = values
        return Points(distinct, chosen)
    sums = np.bincount(inverse, values, minlength=distinct.size)
    counts = np.bincount(inverse, minlength=distinct.size)
    notes.append(f'"{track.name}" is printed for single batches: their mean over an epoch counts.')
    return Points(distinct, sums / counts)


def _is_never_measured(track: Track, points: Points) -> bool:
    """Tell a gradient norm that is printed as 0.000 because nothing computed it."""
    return track.key.kind == "grad_norm" and not points.values.any()


def _note_decisions(run: Recording, placing: Placing, notes: list[str]) -> None:
    if run.resumes:
        notes.append("The run was resumed: what it did again replaces what came before.")
    if any(track.percent for track in run.tracks.values()):
        notes.append("Values with a percent sign were divided by 100.")
    if placing.unit is StepUnit.ROW:
        notes.append("The lines tell neither epoch nor step: they were counted.")


def _find_clock(run: Recording, placing: Placing) -> Series | None:
    """Return the epoch at each step, where the log counts both."""
    if placing.unit is not StepUnit.STEP:
        return None
    longest = max(run.tracks.values(), key=len)
    epochs, steps, _, _ = longest.columns()
    known = np.isfinite(epochs) & np.isfinite(steps)
    if not known.any():
        return None
    unique, first = np.unique(steps[known], return_index=True)
    return Series(name="epoch", steps=unique, values=epochs[known][first])
