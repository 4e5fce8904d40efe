"""What the steps of each tag count, and the series of one training on one axis."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.readers.names import classify
from fitdiag.readers.roles import list_columns
from fitdiag.readers.series import Series
from fitdiag.readers.tensorboard.joins import find_restarts
from fitdiag.readers.tensorboard.scalars import Points
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Axes", "find_summaries", "make_series"]

#: tags that are logged once, at the end or the start, and are no curves
SUMMARY = re.compile(r"train/(train_\w+|total_flos)|hp_metric|hparams?/.*|_hparams_/.*")

#: what Keras counts in epochs, and what in batches
BY_EPOCH = re.compile(r"(.*/)?epoch_\w+")
BY_BATCH = re.compile(r"(.*/)?(batch_\w+|evaluation_\w+_vs_iterations)")

#: a tag counts in larger units if others reach so many times as far
COARSER = 4.0

#: a tag whose steps are epochs reaches no further
MOST_EPOCHS = 10_000

MEASURES = frozenset({"loss", "batch_loss", "part", "metric", "lr", "grad_norm", "grad_norm_max"})


@dataclass(kw_only=True)
class Axes:
    """The series of one training.

    Parameters
    ----------
    series : list of Series
    epochs : Series or None
        The epoch at some of the steps.
    notes : list of str
    """

    series: list[Series] = field(default_factory=list)
    epochs: Series | None = None
    notes: list[str] = field(default_factory=list)


def find_summaries(tags: Collection[str]) -> list[str]:
    """Return the tags that hold a summary or a hyper-parameter and no curve."""
    return [tag for tag in tags if SUMMARY.fullmatch(tag)]


def make_series(tags: Mapping[str, Points], kept: Collection[str]) -> Axes:
    """Decide what the steps of each tag count, and bring them to one axis.

    Parameters
    ----------
    tags : mapping of str to Points
        All of one training.
    kept : collection of str
        Tags that the user asked for; none of these is left out.

    Returns
    -------
    Axes
        Where some tags count in epochs and others in optimizer steps, those in epochs are placed
        by the wall time at which they were logged.
    """
    axes = Axes()
    left = {tag: points for tag, points in tags.items() if points.steps.size}
    for tag in find_summaries(left):
        if tag not in kept:
            del left[tag]
    unit = _drop_batches(left, kept, axes.notes)
    left = {tag: _count_missing(tag, points, axes.notes) for tag, points in left.items()}
    left = _unroll(left, axes.notes)
    clock = _find_clock(left)
    origin = dict(left)
    moved = _place_by_time(left, axes.notes)
    if unit is StepUnit.STEP and not moved and _is_by_epoch(left):
        unit = StepUnit.EPOCH
        axes.notes.append("Every step was validated, one by one: steps were read as epochs.")
    left.update(moved)
    left = {tag: _drop_repeats(points) for tag, points in left.items()}
    axes.series = [
        Series(name=tag, steps=points.steps, values=points.values, unit=unit)
        for tag, points in left.items()
    ]
    if clock:
        axes.epochs = Series(name=clock, steps=left[clock].steps, values=left[clock].values)
    elif moved:
        tag = max(moved, key=lambda each: len(moved[each]))
        axes.epochs = Series(name=tag, steps=moved[tag].steps, values=origin[tag].steps)
    return axes


def _drop_batches(left: dict[str, Points], kept: Collection[str], notes: list[str]) -> StepUnit:
    """Leave out what Keras counts in batches where it has the same by epoch."""
    by_epoch = {tag for tag in left if BY_EPOCH.fullmatch(tag)}
    if not any(classify(tag).kind == "loss" for tag in by_epoch):
        return StepUnit.STEP
    others = {tag for tag in left if tag not in by_epoch and len(left[tag]) > 1}
    by_batch = {tag for tag in left if BY_BATCH.fullmatch(tag)} - set(kept)
    if others - by_batch:
        return StepUnit.STEP
    for tag in by_batch:
        del left[tag]
    if by_batch:
        names = list_columns(sorted(by_batch))
        notes.append(f"Left out, since they count batches and the others epochs: {names}.")
    return StepUnit.EPOCH


def _count_missing(tag: str, points: Points, notes: list[str]) -> Points:
    """Give numbers to the points of a tag that was logged without a step."""
    if len(points) < 3 or (points.steps != points.steps[0]).any():
        return points
    notes.append(f'"{tag}" was logged without a step: its points were numbered instead.')
    return Points(np.arange(1.0, len(points) + 1), points.values, points.times)


def _unroll(left: Mapping[str, Points], notes: list[str]) -> dict[str, Points]:
    """Undo steps that begin anew while those of other tags go on, as batches do in each epoch."""
    anew = [tag for tag, points in left.items() if find_restarts(points)]
    steady = [points for tag, points in left.items() if tag not in anew and _has_clock(points)]
    reference = max(steady, key=len, default=None)
    changed = {}
    for tag in anew:
        points = left[tag]
        steps = np.arange(float(len(points)))
        if reference is not None and len(points) <= len(reference):
            steps = _find_last(reference, points)
        changed[tag] = Points(steps, points.values, points.times)
    if changed:
        notes.append(
            "Put in the order of logging, since their steps begin again and again: "
            f"{list_columns(anew)}."
        )
    return {**left, **changed}


def _drop_repeats(points: Points) -> Points:
    """Leave out what is logged again with the same step and value."""
    same = points.steps[1:] == points.steps[:-1]
    same &= points.values[1:] == points.values[:-1]
    return points.take(np.concatenate([[True], ~same])) if same.any() else points


def _find_clock(left: Mapping[str, Points]) -> str | None:
    """Return the tag that tells the epoch at each step."""
    found = [
        tag
        for tag, points in left.items()
        if classify(tag).kind == "epoch" and len(points) > 1 and np.isfinite(points.values).all()
    ]
    return max(found, key=lambda tag: len(left[tag]), default=None)


def _is_count(steps: Floats) -> bool:
    """Tell whether steps are 0, 1, 2 … or 1, 2, 3 …, with repeats."""
    unique = np.unique(steps)
    return bool(
        unique.size > 1
        and unique[0] in {0.0, 1.0}
        and unique[-1] <= MOST_EPOCHS
        and (np.diff(unique) == 1).all()
    )


def _is_by_epoch(left: Mapping[str, Points]) -> bool:
    """Tell whether training and validation loss have the same steps, one by one, and all others."""
    kinds = {tag: classify(tag) for tag in left}
    losses = {
        split: [tag for tag, told in kinds.items() if told.split == split and _is_loss(told.kind)]
        for split in ("train", "val")
    }
    if not losses["train"] or not losses["val"]:
        return False
    first = np.unique(left[losses["train"][0]].steps)
    return (
        _is_count(first)
        and all(np.array_equal(np.unique(left[tag].steps), first) for tag in losses["val"])
        and all(points.steps[-1] <= first[-1] + 1 for points in left.values())
    )


def _is_loss(kind: str) -> bool:
    return kind in {"loss", "part"}


def _place_by_time(left: Mapping[str, Points], notes: list[str]) -> dict[str, Points]:
    """Return the tags that count in larger units, at the steps logged last before each point."""
    curves = {
        tag: points
        for tag, points in left.items()
        if len(points) > 1 and classify(tag).kind in MEASURES
    }
    furthest = max((float(points.steps.max()) for points in curves.values()), default=0.0)
    coarse = {tag for tag, points in curves.items() if COARSER * points.steps.max() <= furthest}
    fine = [tag for tag, points in curves.items() if tag not in coarse and _has_clock(points)]
    if not fine:
        return {}
    reference = curves[max(fine, key=lambda tag: len(curves[tag]))]
    moved = {}
    for tag in coarse:
        if _is_count(curves[tag].steps):
            steps = _find_steps(reference, curves[tag])
            if steps is not None:
                moved[tag] = Points(steps, curves[tag].values, curves[tag].times)
    if moved:
        names = list_columns(sorted(moved))
        notes.append(
            f"Placed by the time of logging, since they count epochs and others steps: {names}."
        )
    return moved


def _find_last(reference: Points, points: Points) -> Floats:
    at = np.searchsorted(reference.times, points.times, side="right") - 1
    return np.asarray(reference.steps[np.maximum(at, 0)])


def _find_steps(reference: Points, points: Points) -> Floats | None:
    """Return the step logged last before each point; None where the points count the same."""
    steps = _find_last(reference, points)
    after = np.searchsorted(reference.steps, steps, side="right")
    following = reference.steps[np.minimum(after, len(reference) - 1)]
    is_same = ((steps <= points.steps) & (points.steps <= following)).mean() > 0.5
    is_apart = 2 * np.unique(steps).size > np.unique(points.steps).size
    return steps if is_apart and not is_same else None


def _has_clock(points: Points) -> bool:
    """Tell whether a tag can place others: its steps and wall times rise, and not all are one."""
    steady = (np.diff(points.times) >= 0).all() and (np.diff(points.steps) >= 0).all()
    return bool(steady and points.times[-1] > points.times[0])
