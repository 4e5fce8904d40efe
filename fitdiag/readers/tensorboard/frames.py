"""The frames of an event file: length, its checksum, payload, its checksum; a few MiB at a time."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.readers.tensorboard.checksum import (
    BLOCK,
    SEED_BYTES,
    checksum,
    checksum_rows,
    masked,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Places = NDArray[np.int64]

__all__ = ["Damage", "Frames", "gather", "is_framed", "read_frames"]

#: how much is read at once; what is worked on is a small multiple of it
CHUNK = 1 << 21

#: larger records hold pictures or graphs and are passed over unread
LARGEST = 1 << 26

#: a frame's bytes before and after its payload
HEAD, TAIL = 12, 4

_LENGTH = struct.Struct("<Q")
_HEAD = struct.Struct("<QI")


@dataclass(kw_only=True)
class Damage:
    """What of a file could not be used.

    Parameters
    ----------
    corrupt : int
        Records whose payload does not match its checksum, or is no event.
    oversize : int
        Records too large to hold scalars.
    torn : int
        Bytes of an unfinished record at the end.
    broken_at : int or None
        Where a length does not match its checksum; nothing from there on was read.
    size : int
        Of the file.
    """

    corrupt: int = 0
    oversize: int = 0
    torn: int = 0
    broken_at: int | None = None
    size: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Frames:
    """Some records of a file, in its order.

    Parameters
    ----------
    data : ndarray of uint8, shape (size,)
    starts, lengths : ndarray of int, shape (n,)
        Where the payloads are in it.
    good : ndarray of bool, shape (n,)
        Whether each payload matches its checksum.
    """

    data: Bytes
    starts: Places
    lengths: Places
    good: NDArray[np.bool_] = field(repr=False)


def is_framed(head: bytes) -> bool:
    """Tell whether bytes begin with the head of a frame."""
    if len(head) < HEAD:
        return False
    _, stored = _HEAD.unpack_from(head)
    found = masked(np.array([checksum(head[:8])], dtype=np.uint32))
    return bool(found[0] == stored)


def gather(data: Bytes, starts: Places, width: int) -> Bytes:
    """Return a copy of the same number of bytes at each place, shape (n, width)."""
    if not starts.size or not width:
        return np.empty((starts.size, width), dtype=np.uint8)
    windows: Bytes = np.ndarray((data.size - width + 1, width), data.dtype, data, strides=(1, 1))
    return windows[starts]


def read_frames(path: Path, damage: Damage) -> Iterator[Frames]:
    """Yield the records of an event file, checked.

    Parameters
    ----------
    path : Path
    damage : Damage
        Receives what could not be used.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    with path.open("rb") as file:
        damage.size = os.fstat(file.fileno()).st_size
        rest, want, base = b"", CHUNK, 0
        while True:
            more = file.read(want)
            chunk = rest + more
            if not chunk:
                return
            frames, used, is_broken = _split(chunk)
            if frames.starts.size:
                damage.corrupt += int((~frames.good).sum())
                yield frames
            base += used
            rest = chunk[used:]
            if is_broken or (len(rest) >= HEAD and not is_framed(rest)):
                damage.broken_at = base
                return
            if not more:
                damage.torn = len(rest)
                return
            missing = _LENGTH.unpack_from(rest)[0] + HEAD + TAIL if len(rest) >= HEAD else 0
            if missing > max(damage.size, base + len(rest)) - base:
                damage.torn = max(damage.size - base, len(rest))
                return
            if missing > LARGEST:
                damage.oversize += 1
                base += missing
                file.seek(base)
                rest, missing = b"", 0
            want = max(CHUNK, missing - len(rest))


def _split(chunk: bytes) -> tuple[Frames, int, bool]:
    """Return the whole frames of a chunk, how many bytes they take, whether a length is wrong."""
    ends = [0]
    at, size = 0, len(chunk)
    read = _LENGTH.unpack_from
    while at + HEAD <= size:
        at += read(chunk, at)[0] + HEAD + TAIL
        if at > size:
            break
        ends.append(at)
    edges = np.array(ends, dtype=np.int64)
    data = np.frombuffer(chunk, dtype=np.uint8)
    heads = gather(data, edges[:-1], HEAD)
    wrong = np.flatnonzero(
        masked(checksum_rows(np.ascontiguousarray(heads[:, :8]), 8)) != _words(heads[:, 8:])
    )
    if wrong.size:
        edges = edges[: wrong[0] + 1]
    starts = edges[:-1] + HEAD
    lengths = np.diff(edges) - HEAD - TAIL
    good = _check(data, starts, lengths)
    frames = Frames(data=data, starts=starts, lengths=lengths, good=good)
    return frames, int(edges[-1]), bool(wrong.size)


def _words(four: Bytes) -> NDArray[np.uint32]:
    return np.asarray(np.ascontiguousarray(four).view("<u4")[:, 0])


def _check(data: Bytes, starts: Places, lengths: Places) -> NDArray[np.bool_]:
    found = np.empty(starts.size, dtype=np.uint32)
    classes = np.where(lengths <= BLOCK, lengths, BLOCK << _count_doublings(lengths))
    for width in np.unique(classes).tolist():
        where = np.flatnonzero(classes == width)
        if width < SEED_BYTES:
            texts = gather(data, starts[where], width)
            found[where] = [checksum(text.tobytes()) for text in texts]
        elif width <= BLOCK:
            found[where] = checksum_rows(gather(data, starts[where], width), width)
        else:
            rows = np.zeros((where.size, width), dtype=np.uint8)
            for row, start, length in zip(rows, starts[where], lengths[where], strict=True):
                row[width - length :] = data[start : start + length]
            found[where] = checksum_rows(rows, lengths[where])
    return np.asarray(masked(found) == _words(gather(data, starts + lengths, TAIL)))


def _count_doublings(lengths: Places) -> Places:
    """Return how often the block must double to hold each length."""
    blocks = -(-np.maximum(lengths, 1) // BLOCK)
    return np.asarray(np.ceil(np.log2(blocks)).astype(np.int64))
