"""Where on one axis the values of a log's run lie: epochs, steps, or the order of the lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.readers.stdout.tracks import EPOCH, STEP, Recording, Track
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Placing", "Points", "count_per_epoch", "find_placing"]

#: from this many values an epoch on, they are spread over the epoch
DENSE = 1.5

#: names of counters that begin again with each epoch
INNER = frozenset({"batch", "mini-batch", "minibatch", "batches", "batch_idx", "batch idx"})


@dataclass(frozen=True, eq=False)
class Points:
    """Values on the axis, in the order of the log."""

    steps: Floats
    values: Floats
    dropped: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Placing:
    """How the values of one run come to one axis.

    Parameters
    ----------
    unit : StepUnit
        What the axis counts.
    inner : bool
        Whether the log's steps count within the epoch.
    total : float
        How many of them make an epoch.
    epochs : ndarray of float
        The distinct epochs of the run, in order.
    lines : ndarray of float
        For an axis of rows: the lines that hold a training loss.
    resumes : tuple
        Where the run was resumed, as its recording has it.
    leader : Track or None
        The training loss whose lines tell the time.
    """

    unit: StepUnit
    inner: bool
    total: float
    epochs: Floats
    lines: Floats
    resumes: tuple[tuple[str, float, float], ...] = ()
    leader: Track | None = None

    def place(self, track: Track, *, spread: bool = True) -> Points:
        """Return a track's values with their places.

        Parameters
        ----------
        track : Track
            One quantity.
        spread : bool
            Whether several values of one epoch are spread over it; otherwise the last one counts.
        """
        epochs, steps, values, lines = track.columns()
        keep = self.find_kept(epochs, steps, lines)
        epochs, steps, values, lines = epochs[keep], steps[keep], values[keep], lines[keep]
        epochs, steps = self._look_ahead(epochs, steps, lines)
        if self.unit is StepUnit.ROW:
            places = self._count_rows(lines)
        elif self.unit is StepUnit.STEP:
            places = steps
        elif self.inner and track.level == STEP:
            solid = np.where(np.isfinite(steps), steps, np.nan)
            fraction = np.clip(solid / max(self.total, 1.0), 0.0, 1.0)
            places = epochs - 1 + fraction
        elif spread and self._is_dense(epochs):
            places = self._spread(epochs)
        else:
            places = epochs
        known = np.isfinite(places)
        places, values = places[known], values[known]
        order = np.argsort(places, kind="stable")
        places, values = places[order], values[order]
        last = np.append(places[1:] != places[:-1], [True])[: places.size]
        return Points(places[last], values[last], int(values.size - last.sum()))

    def _look_ahead(self, epochs: Floats, steps: Floats, lines: Floats) -> tuple[Floats, Floats]:
        """Give values that are printed before their epoch's or step's line its clock."""
        own = steps if self.unit is StepUnit.STEP else epochs
        if self.leader is None or not own.size or np.isfinite(own[0]):
            return epochs, steps
        to_epochs, to_steps, _, to_lines = self.leader.columns()
        if not to_lines.size or lines[-1] > to_lines[-1] or np.isin(lines, to_lines).any():
            return epochs, steps
        following = np.searchsorted(to_lines, lines)
        return to_epochs[following], to_steps[following]

    def find_kept(self, epochs: Floats, steps: Floats, lines: Floats) -> NDArray[np.bool_]:
        """Tell what a resumed run did not do again."""
        keep = np.ones(lines.size, dtype=bool)
        for clock, value, line in self.resumes:
            where = epochs if clock == EPOCH else steps
            keep &= ~((lines < line) & (where >= value))
        return keep

    def _count_rows(self, lines: Floats) -> Floats:
        if lines.size == self.lines.size:
            return np.arange(1.0, lines.size + 1)
        return np.searchsorted(self.lines, lines, side="right").astype(np.float64)

    def _is_dense(self, epochs: Floats) -> bool:
        known = epochs[np.isfinite(epochs)]
        distinct = np.unique(known)
        if not distinct.size:
            return False
        whole = bool((distinct == np.round(distinct)).all())
        return known.size > (DENSE if whole else 1.0) * distinct.size

    def _spread(self, epochs: Floats) -> Floats:
        """Spread the values of each epoch evenly between the epoch before and its own."""
        distinct, inverse, count = np.unique(epochs, return_inverse=True, return_counts=True)
        gaps = np.diff(self.epochs)
        gap = float(np.median(gaps)) if gaps.size else 1.0
        at = np.searchsorted(self.epochs, distinct)
        before = np.where(at > 0, self.epochs[np.maximum(at - 1, 0)], distinct - gap)
        rank = np.empty(epochs.size)
        for group in range(distinct.size):
            where = inverse == group
            rank[where] = np.arange(1, int(count[group]) + 1)
        return before[inverse] + (distinct - before)[inverse] * rank / count[inverse]


def count_per_epoch(track: Track) -> float:
    """Return how many values of a track there are for each epoch; 0 without epochs."""
    epochs = track.columns()[0]
    distinct = np.unique(epochs[np.isfinite(epochs)])
    return epochs.size / distinct.size if distinct.size else 0.0


def find_placing(run: Recording, train: list[Track]) -> Placing:
    """Decide on the axis of a run.

    Parameters
    ----------
    run : Recording
        The run.
    train : list of Track
        Its training losses.
    """
    seen = np.array(run.clock.epochs)
    epochs = np.unique(seen[np.isfinite(seen)])
    stepped = [
        track for track in train if track.level == STEP and np.isfinite(track.columns()[1]).any()
    ]
    inner = bool(stepped) and epochs.size > 0 and _is_inner(run, stepped)
    if stepped and not inner:
        unit = StepUnit.STEP
    else:
        unit = StepUnit.EPOCH if epochs.size else StepUnit.ROW
    total = run.total
    if inner:
        total = max(total, *(float(np.nanmax(track.columns()[1])) for track in stepped))
    clock = max(train, key=len).columns()[3] if train else np.empty(0)
    return Placing(
        unit=unit,
        inner=inner,
        total=total,
        epochs=epochs,
        lines=clock,
        resumes=tuple(run.resumes),
        leader=max(train, key=len, default=None),
    )


def _is_inner(run: Recording, stepped: list[Track]) -> bool:
    """Tell whether steps begin again with each epoch."""
    if run.inner or run.counters & INNER:
        return True
    for track in stepped:
        epochs, steps, _, _ = track.columns()
        changes = np.diff(epochs) > 0
        if changes.any():
            return bool((np.diff(steps)[changes] <= 0).mean() > 0.5)
    return any(np.isfinite(track.columns()[0]).any() for track in stepped) and run.total > 0
