"""All scalars of one event file, as arrays.

Records of one writer look alike: the same tag, the same lengths, other numbers. So one record is
read field by field, and all others of its length that differ from it only in their numbers are
read at once; what is left is read one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.readers.tensorboard.events import WIDTHS, Event, parse_event
from fitdiag.readers.tensorboard.frames import Damage, Frames, gather, read_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Places = NDArray[np.int64]
    Floats = NDArray[np.float64]

__all__ = ["EventFile", "Points", "Session", "read_event_file"]

#: shapes kept for one length of record
SHAPES = 256

#: so many new shapes in a row that fit no second record: the rest is read one by one
MISSES = 16

#: longer records than this rarely look alike
LONGEST_SHAPE = 4096


@dataclass(frozen=True, eq=False)
class Points:
    """Scalars of one tag: step, value and wall time of each, shape (n,).

    Parameters
    ----------
    steps, values, times : ndarray of float, shape (n,)
    """

    steps: Floats
    values: Floats
    times: Floats

    def __len__(self) -> int:
        return int(self.steps.size)

    def take(self, which: slice | Places | NDArray[np.bool_]) -> Points:
        """Return some of the points."""
        return Points(self.steps[which], self.values[which], self.times[which])

    @classmethod
    def join(cls, parts: Sequence[Points]) -> Points:
        """Return all points of several, one after another."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.steps for part in parts]),
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.times for part in parts]),
        )


@dataclass(kw_only=True)
class Session:
    """What was logged from one start of a program to the next.

    Parameters
    ----------
    start : int or None
        The step from which it replaces what came before, where it says so.
    time : float
        When it began, in seconds since 1970.
    tags : dict of str to Points
        In the order of the file.
    """

    start: int | None = None
    time: float = 0.0
    tags: dict[str, Points] = field(default_factory=dict)


@dataclass(kw_only=True)
class EventFile:
    """What one file holds.

    Parameters
    ----------
    path : Path
    time : float
        Wall time of its first record; 0 if it has none.
    sessions : list of Session
        Those with scalars, in the order of the file.
    kinds : set of str
        What else it holds, in words.
    records : int
        How many were read.
    damage : Damage
        What could not be used.
    """

    path: Path
    time: float = 0.0
    sessions: list[Session] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    records: int = 0
    damage: Damage = field(default_factory=Damage)


@dataclass(frozen=True, eq=False)
class _Shape:
    """What all records that look like one have in common."""

    mask: Bytes
    expected: Bytes
    wall_at: int
    step_at: tuple[int, int]
    values: tuple[tuple[str, int, str], ...]


#: places in the chunk, and what was found there
_Found = tuple["Places", Points]


class _Decoder:
    """Reads chunk after chunk of one file into sessions."""

    def __init__(self, file: EventFile) -> None:
        self.file = file
        self.plugins: dict[str, str] = {}
        self.shapes: dict[int, list[_Shape]] = {}
        self.found: dict[str, list[_Found]] = {}
        self.starts: list[tuple[int, int, float]] = []
        self.parts: dict[str, list[Points]] = {}
        self.session = Session()

    def add(self, frames: Frames) -> None:
        """Read the scalars of a chunk."""
        if not self.file.records:
            self._read_time(frames)
        self.file.records += int(frames.good.sum())
        good = np.flatnonzero(frames.good)
        lengths = frames.lengths[good]
        for length in np.unique(lengths).tolist():
            self._read_group(frames, good[lengths == length], length)
        self._sort_chunk()

    def close(self) -> None:
        """End the last session."""
        tags = {tag: Points.join(parts) for tag, parts in self.parts.items()}
        self.parts = {}
        if tags or self.session.start is not None:
            self.session.tags = tags
            self.file.sessions.append(self.session)

    def _read_time(self, frames: Frames) -> None:
        for at in np.flatnonzero(frames.good)[:1].tolist():
            payload = _payload(frames, at)
            event = self._parse(payload)
            self.file.time = self.session.time = _read_wall(payload, event)

    def _parse(self, payload: bytes) -> Event | None:
        try:
            return parse_event(payload, self.plugins)
        except ValueError:
            return None

    def _read_group(self, frames: Frames, where: Places, length: int) -> None:
        """Read all records of one length."""
        if where.size == 1 or length > LONGEST_SHAPE:
            for at in where.tolist():
                self._read_one(frames, at)
            return
        rows = gather(frames.data, frames.starts[where], length)
        shapes = self.shapes.setdefault(length, [])
        for shape in shapes:
            rows, where = self._take(shape, rows, where)
            if not where.size:
                return
        misses = 0
        while where.size and misses < MISSES and len(shapes) < SHAPES:
            event = self._read_one(frames, int(where[0]))
            shape_ = None if event is None else _make_shape(rows[0], event)
            rows, where = rows[1:], where[1:]
            before = where.size
            if shape_ is not None:
                shapes.append(shape_)
                rows, where = self._take(shape_, rows, where)
            misses = misses + 1 if where.size == before else 0
        for at in where.tolist():
            self._read_one(frames, at)

    def _take(self, shape: _Shape, rows: Bytes, where: Places) -> tuple[Bytes, Places]:
        """Read the rows that have a shape, and return the others."""
        alike = ((rows & shape.mask) == shape.expected).all(axis=1)
        if not alike.any():
            return rows, where
        taken = rows[alike]
        steps = _read_steps(taken, *shape.step_at)
        times = np.zeros(steps.size)
        if shape.wall_at >= 0:
            times = _read_values(taken, shape.wall_at, "<f8")
        for tag, at, dtype in shape.values:
            points = Points(steps, _read_values(taken, at, dtype), times)
            self.found.setdefault(tag, []).append((where[alike], points))
        return rows[~alike], where[~alike]

    def _read_one(self, frames: Frames, at: int) -> Event | None:
        payload = _payload(frames, at)
        event = self._parse(payload)
        if event is None:
            self.file.damage.corrupt += 1
            return None
        self.file.kinds |= event.kinds
        time = _read_wall(payload, event)
        if event.is_start:
            self.starts.append((at, event.step, time))
        for value in event.values:
            point = Points(*(np.array([each]) for each in (float(event.step), value.number, time)))
            self.found.setdefault(value.tag, []).append((np.array([at]), point))
        return event

    def _sort_chunk(self) -> None:
        """Bring what was found to the order of the file, cut where a session starts."""
        chunk = {tag: _in_order(found) for tag, found in self.found.items()}
        self.found = {}
        begin = 0
        for at, step, time in sorted(self.starts):
            self._append(chunk, begin, at)
            self.close()
            self.session = Session(start=step, time=time)
            begin = at
        self._append(chunk, begin, None)
        self.starts = []

    def _append(self, chunk: dict[str, _Found], begin: int, end: int | None) -> None:
        for tag, (order, points) in chunk.items():
            first = int(np.searchsorted(order, begin))
            last = order.size if end is None else int(np.searchsorted(order, end))
            if last > first:
                self.parts.setdefault(tag, []).append(points.take(slice(first, last)))


def read_event_file(path: Path) -> EventFile:
    """Read all scalars of an event file; what is damaged is left out and counted.

    Parameters
    ----------
    path : Path

    Returns
    -------
    EventFile
        A session that says where it starts is listed even if nothing follows.

    Raises
    ------
    OSError
        If it cannot be opened.
    """
    file = EventFile(path=path)
    decoder = _Decoder(file)
    for frames in read_frames(path, file.damage):
        decoder.add(frames)
    decoder.close()
    return file


def _payload(frames: Frames, at: int) -> bytes:
    start = int(frames.starts[at])
    return frames.data[start : start + int(frames.lengths[at])].tobytes()


def _read_wall(payload: bytes, event: Event | None) -> float:
    if event is None or event.wall_at < 0:
        return 0.0
    wall = float(np.frombuffer(payload, dtype="<f8", count=1, offset=event.wall_at)[0])
    return wall if np.isfinite(wall) else 0.0


def _make_shape(row: Bytes, event: Event) -> _Shape | None:
    """Return the shape of a record, or None where its numbers have no place of their own."""
    if event.is_start or not event.values or any(value.at < 0 for value in event.values):
        return None
    mask = np.full(row.size, 0xFF, dtype=np.uint8)
    if event.wall_at >= 0:
        mask[event.wall_at : event.wall_at + 8] = 0
    mask[slice(*event.step_at)] = 0x80
    for value in event.values:
        mask[value.at : value.at + WIDTHS[value.dtype]] = 0
    places = tuple((value.tag, value.at, value.dtype) for value in event.values)
    return _Shape(mask, row & mask, event.wall_at, event.step_at, places)


def _read_steps(rows: Bytes, first: int, last: int) -> Floats:
    steps = np.zeros(rows.shape[0], dtype=np.uint64)
    for shift, at in enumerate(range(first, last)):
        steps |= (rows[:, at] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * shift)
    return np.asarray(steps.view(np.int64).astype(np.float64))


def _read_values(rows: Bytes, at: int, dtype: str) -> Floats:
    field_ = np.ascontiguousarray(rows[:, at : at + WIDTHS[dtype]])
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        if dtype == "bf16":  # the upper half of a float of 32 bits
            wide = field_.view("<u2")[:, 0].astype(np.uint32) << np.uint32(16)
            return np.asarray(wide.view(np.float32).astype(np.float64))
        return np.asarray(field_.view(dtype)[:, 0].astype(np.float64))


def _in_order(found: list[_Found]) -> _Found:
    order = np.concatenate([places for places, _ in found])
    places = np.argsort(order, kind="stable")
    return order[places], Points.join([points for _, points in found]).take(places)
