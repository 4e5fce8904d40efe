"""Rows of named values, as ``log({"train/loss": 0.3, "epoch": 2})`` stores them, become tracks.

A row comes with the tracker's own step, which counts calls of ``log`` unless the user gave one.
What the training itself counts is better, so a series such as ``train/global_step``, or the one
that the user declared as the step, takes its place where the rows have one.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.readers.names import classify
from fitdiag.readers.tracks import Track
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Rows", "Tracks", "to_number"]

#: texts that stand for numbers which JSON has not
SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

#: a step series that goes back more often than this share of its points counts something else
UNORDERED = 0.1

#: dictionaries in a row are opened this deep
DEPTH = 8


def to_number(value: object) -> float | None:
    """Return a logged value as a number; None for what is none (texts, flags, pictures)."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return SPECIAL.get(value) if isinstance(value, str) else None


@dataclass(frozen=True, kw_only=True)
class Tracks:
    """The rows as tracks on one axis.

    Parameters
    ----------
    tracks : list of Track
        All series but the axis.
    clock : Track or None
        The epoch at some of the steps.
    key : Track or None
        The axis itself, whose steps tell where a training was resumed.
    axis : str
        The name of the series that was taken as the step; empty for the tracker's own step.
    """

    tracks: list[Track]
    clock: Track | None
    key: Track | None
    axis: str


@dataclass
class Rows:
    """Collects rows; memory grows with the numbers alone.

    Parameters
    ----------
    skipped : tuple of str
        Beginnings of names that the tracker adds itself.
    """

    skipped: tuple[str, ...] = ()
    steps: array[float] = field(default_factory=lambda: array("d"))
    _cells: dict[str, tuple[array[int], array[float]]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.steps)

    def add(self, row: Mapping[str, object], step: float | None = None) -> None:
        """Add one row, its dictionaries opened as ``outer.inner``."""
        self._begin(step)
        self._put_all(row, "", DEPTH)

    def put(self, name: str, step: float, value: float) -> None:
        """Add one value; values that follow each other at one step make a row."""
        if not self.steps or self.steps[-1] != step or name in self._seen:
            self._begin(step)
        self._seen.add(name)
        self._put(name, value)

    def _begin(self, step: float | None) -> None:
        self.steps.append(float(len(self.steps)) if step is None else step)
        self._seen = set()

    def _put_all(self, row: Mapping[str, object], prefix: str, depth: int) -> None:
        for name, value in row.items():
            if isinstance(value, dict):
                if depth and "_type" not in value:
                    self._put_all(value, f"{prefix}{name}.", depth - 1)
                continue
            number = to_number(value)
            if number is not None:
                self._put(f"{prefix}{name}", number)

    def _put(self, name: str, value: float) -> None:
        if name.startswith(self.skipped):
            return
        rows, values = self._cells.setdefault(name, (array("q"), array("d")))
        rows.append(len(self.steps) - 1)
        values.append(value)

    def names(self) -> list[str]:
        """Return the names of all series."""
        return list(self._cells)

    def to_tracks(self, declared: Mapping[str, str] | None = None) -> Tracks:
        """Return the series as tracks.

        Parameters
        ----------
        declared : mapping of str to str, optional
            Series to the series that the user declared as its step.
        """
        cells = {
            name: (np.array(rows, dtype=np.int64), np.array(values))
            for name, (rows, values) in self._cells.items()
        }
        own = np.array(self.steps)
        axis, unit = _find_axis(cells, declared or {})
        if axis:
            known, values = cells[axis]
        else:
            known, values = np.arange(own.size), own
        finite = np.isfinite(values)
        known, values = known[finite], values[finite]
        tracks = [
            Track(
                name=name,
                order=rows.astype(float),
                steps=_locate(rows, known, values),
                values=series,
                unit=unit,
            )
            for name, (rows, series) in cells.items()
            if name != axis
        ]
        return Tracks(
            tracks=tracks,
            clock=_find_clock(tracks) if unit is StepUnit.STEP else None,
            key=Track(name=axis, order=known.astype(float), steps=values, values=values)
            if axis and known.size
            else None,
            axis=axis,
        )


Cells = tuple["NDArray[np.int64]", "Floats"]


def _find_axis(cells: Mapping[str, Cells], declared: Mapping[str, str]) -> tuple[str, StepUnit]:
    """Return the series that counts the training's steps, or its epochs; or none of them."""
    losses = [name for name in cells if classify(name).kind in {"loss", "batch_loss"}]
    wanted = [declared[name] for name in losses if name in declared]
    counted = sorted(set(wanted), key=wanted.count, reverse=True)
    ranked = sorted(
        (name for name in cells if classify(name).kind == "step"),
        key=lambda name: classify(name).rank,
    )
    for name in (*counted, *ranked):
        if name in cells and _counts(cells[name][1]):
            by_epoch = classify(name).kind == "epoch"
            if not by_epoch or not losses or _one_each(name, losses, cells):
                return name, StepUnit.EPOCH if by_epoch else StepUnit.STEP
    epochs = sorted(
        (name for name in cells if classify(name).kind == "epoch"),
        key=lambda name: classify(name).rank,
    )
    for name in epochs:
        values = cells[name][1]
        whole = bool((values == np.floor(values)).all())
        if whole and losses and _counts(values) and _one_each(name, losses, cells):
            return name, StepUnit.EPOCH
    return "", StepUnit.STEP


def _counts(values: Floats) -> bool:
    """Tell whether a series counts up, but for a few restarts."""
    values = values[np.isfinite(values)]
    if values.size < 2 or values.min() == values.max():
        return False
    return bool((np.diff(values) < 0).sum() <= max(1, UNORDERED * values.size))


def _one_each(axis: str, losses: list[str], cells: Mapping[str, Cells]) -> bool:
    """Tell whether every loss comes with the axis in its row, and once at each of its values."""
    known, values = cells[axis]
    for name in losses:
        rows = cells[name][0]
        at = np.searchsorted(known, rows)
        if not np.isin(rows, known).all() or (np.diff(values[at]) == 0).any():
            return False
    return True


def _locate(rows: NDArray[np.int64], known: NDArray[np.int64], values: Floats) -> Floats:
    """Return the axis at some rows: as it stood there last, or between its neighbours."""
    if not known.size:
        return rows.astype(float)
    at = np.clip(np.searchsorted(known, rows, side="right") - 1, 0, None)
    steps = values[at]
    if (np.diff(steps) == 0).any() and not np.isin(rows, known).all():
        return np.interp(rows, known, values)
    return np.asarray(steps)


def _find_clock(tracks: list[Track]) -> Track | None:
    named = [track for track in tracks if classify(track.name).kind == "epoch"]
    named = [track for track in named if _counts(track.values)]
    return min(named, key=lambda track: classify(track.name).rank, default=None)
