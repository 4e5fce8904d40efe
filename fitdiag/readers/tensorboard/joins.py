"""Sessions become trainings: a resumed one is joined, one that begins anew is another."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.readers.tensorboard.scalars import EventFile, Points, Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitdiag.readers.tensorboard.layout import Part

__all__ = ["Training", "find_restarts", "join_parts", "join_sessions"]

#: the validation writer may open so much earlier than the training one, in seconds
SLACK = 2.0

#: tags whose steps end beyond this share of the furthest count in the same unit
SAME_UNIT = 0.5


@dataclass(kw_only=True)
class Training:
    """One training.

    Parameters
    ----------
    time : float
        When it began.
    tags : dict of str to Points
    files : list of EventFile
        Those that it was read from.
    notes : list of str
    """

    time: float
    tags: dict[str, Points] = field(default_factory=dict)
    files: list[EventFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Session | Training, files: Sequence[EventFile]) -> None:
        """Put later points after those that are there."""
        for tag, points in other.tags.items():
            before = [self.tags[tag]] if tag in self.tags else []
            self.tags[tag] = Points.join([*before, points])
        self.files += [file for file in files if file not in self.files]


def join_sessions(files: Sequence[EventFile]) -> list[Training]:
    """Return the trainings that the files of one folder hold, in their order.

    Parameters
    ----------
    files : sequence of EventFile
        In the order in which they were begun.

    Returns
    -------
    list of Training
        A session that says from which step it replaces what came before, or whose steps begin
        beyond the first of those before, resumes them; what it replaces is left out. One that
        logs other tags adds to them. Any other one is a training of its own.
    """
    trainings: list[Training] = []
    for file in files:
        for whole in file.sessions:
            for session in _cut(whole):
                if not session.tags:
                    continue
                if not trainings or not _continues(trainings[-1], session):
                    trainings.append(Training(time=session.time or file.time))
                else:
                    _drop_replaced(trainings[-1], session)
                trainings[-1].add(session, [file])
    return trainings


def join_parts(parts: Sequence[Part]) -> list[Training]:
    """Return the trainings of one home: those of its parts, paired by order or by start.

    Parameters
    ----------
    parts : sequence of Part
        The folders that belong together.
    """
    columns = [(part, join_sessions(part.files)) for part in parts]
    columns = [(part, trainings) for part, trainings in columns if trainings]
    if not columns:
        return []
    _, leading = max(columns, key=lambda column: len(column[1]))
    merged = [Training(time=training.time) for training in leading]
    starts = [training.time - SLACK for training in leading]
    for part, trainings in columns:
        for at, training in enumerate(trainings):
            if len(trainings) != len(merged):
                at = max(bisect_right(starts, training.time) - 1, 0)  # noqa: PLW2901  # by start
            named = Training(
                time=training.time,
                tags={part.name(tag): points for tag, points in training.tags.items()},
            )
            merged[at].add(named, training.files)
            merged[at].notes += [note for note in training.notes if note not in merged[at].notes]
    return merged


def find_restarts(points: Points) -> list[int]:
    """Return where the steps of a tag go back to its first one or before it."""
    steps = points.steps
    back = (steps[1:] < steps[:-1]) & (steps[1:] <= steps[0])
    return [int(at) + 1 for at in np.flatnonzero(back)]


def _cut(session: Session) -> list[Session]:
    """Cut a session in which all steps begin anew together, as in cross-validation."""
    restarts = {tag: find_restarts(points) for tag, points in session.tags.items()}
    moving = {
        tag for tag, points in session.tags.items() if np.unique(points.steps[:1000]).size > 1
    }
    count = max((len(where) for where in restarts.values()), default=0)
    if not count or any(not restarts[tag] for tag in moving):
        return [session]
    cut = [Session(start=session.start, time=session.time)]
    cut += [Session() for _ in range(count)]
    for tag, points in session.tags.items():
        edges = [0, *restarts[tag], len(points)]
        if len(edges) == 2:
            cut[-1].tags[tag] = points
            continue
        for at, (first, last) in enumerate(pairwise(edges)):
            cut[at].tags[tag] = points.take(slice(first, last))
    for later in cut[1:]:
        later.time = min(float(points.times[0]) for points in later.tags.values())
    return cut


def _continues(training: Training, session: Session) -> bool:
    shared = [tag for tag in session.tags if tag in training.tags]
    if not shared:
        return True
    if session.start is not None:
        return session.start > min(float(training.tags[tag].steps.min()) for tag in training.tags)
    curves = [tag for tag in shared if len(training.tags[tag]) > 1] or shared
    anew = sum(bool(session.tags[tag].steps[0] <= training.tags[tag].steps[0]) for tag in curves)
    return 2 * anew <= len(curves)


def _drop_replaced(training: Training, session: Session) -> None:
    """Leave out the points that a resumed session replaces."""
    limits = _find_limits(training, session)
    dropped = 0
    for tag, limit in limits.items():
        points = training.tags[tag]
        keep = points.steps < limit
        dropped += int((~keep).sum())
        training.tags[tag] = points.take(keep)
    if dropped:
        training.notes.append(
            f"The run was resumed: {dropped:,} points that were logged again later were left out."
        )


def _find_limits(training: Training, session: Session) -> dict[str, float]:
    if session.start is not None:
        return dict.fromkeys(training.tags, float(session.start))
    shared = [tag for tag in session.tags if tag in training.tags]
    limits = {tag: float(session.tags[tag].steps[0]) for tag in shared}
    ends = {tag: float(points.steps[-1]) for tag, points in training.tags.items() if len(points)}
    furthest = max((ends[tag] for tag in shared if tag in ends), default=0.0)
    alike = {tag for tag, end in ends.items() if end >= SAME_UNIT * furthest}
    if not any(len(session.tags[tag]) > 1 for tag in shared):
        alike &= set(shared)  # a last evaluation replaces nothing but itself
    if alike & set(shared):
        lowest = min(limits[tag] for tag in alike & set(shared))
        limits.update(dict.fromkeys(alike, lowest))
    return limits
