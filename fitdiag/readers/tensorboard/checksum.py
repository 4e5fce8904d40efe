"""CRC-32C (Castagnoli) of many byte strings at once, in numpy.

The checksum is linear: that of a string is the exclusive or of what each byte adds, and that
depends only on the byte and on how many bytes follow. So the strings are laid under one another,
aligned at their ends, and each column is looked up in its own table; bytes of value zero in front
add nothing. What long strings add is brought together block by block, as a tree.

The polynomial and the mask are those of RFC 3720, appendix B.4, and of the TFRecord format.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Words = NDArray[np.uint32]

__all__ = ["BLOCK", "checksum", "checksum_rows", "masked"]

POLYNOMIAL = 0x82F63B78

#: added to a rotated checksum, so that a checksum of data that holds checksums stays random
MASK_DELTA = 0xA282EAD8

#: longest string that is laid out as one row, in bytes
BLOCK = 256

#: so many bytes at the most are looked up in one call, which saves time; more would take memory
FEW = 1 << 15

#: the register starts with all bits set: as if the first four bytes were inverted
SEED_BYTES = 4


def _make_first_table() -> list[int]:
    table = []
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = (register >> 1) ^ (POLYNOMIAL if register & 1 else 0)
        table.append(register)
    return table


_FIRST = _make_first_table()


@cache
def _make_tables() -> Words:
    """Return what a byte adds when so many bytes follow: shape (BLOCK, 256)."""
    tables = np.empty((BLOCK, 256), dtype=np.uint32)
    tables[0] = _FIRST
    for after in range(1, BLOCK):
        before = tables[after - 1]
        tables[after] = tables[0][before & 0xFF] ^ (before >> 8)
    return tables


def checksum(data: bytes) -> int:
    """Return the CRC-32C of one short string.

    >>> hex(checksum(b"123456789"))
    '0xe3069283'
    """
    register = 0xFFFFFFFF
    for byte in data:
        register = _FIRST[(register ^ byte) & 0xFF] ^ (register >> 8)
    return register ^ 0xFFFFFFFF


def checksum_rows(rows: Bytes, lengths: NDArray[np.int64] | int) -> Words:
    """Return the CRC-32C of each row.

    Parameters
    ----------
    rows : ndarray of uint8, shape (n, width)
        Strings aligned at their ends, with zeros in front. A width over :data:`BLOCK` must be
        :data:`BLOCK` times a power of two. The rows are changed in place and changed back.
    lengths : int or ndarray of int, shape (n,)
        How many bytes of each row count, from the end; at least four.

    Returns
    -------
    ndarray of uint32, shape (n,)
    """
    count, width = rows.shape
    _invert_seed(rows, lengths)
    if width <= BLOCK:
        found = _add_columns(rows)
    else:
        found = _join(_add_columns(rows.reshape(-1, BLOCK)).reshape(count, -1))
    _invert_seed(rows, lengths)
    return np.asarray(found ^ np.uint32(0xFFFFFFFF))


def _invert_seed(rows: Bytes, lengths: NDArray[np.int64] | int) -> None:
    count, width = rows.shape
    if isinstance(lengths, int):
        rows[:, width - lengths : width - lengths + SEED_BYTES] ^= 0xFF
    else:
        places = (width - lengths)[:, None] + np.arange(SEED_BYTES)
        rows[np.arange(count)[:, None], places] ^= 0xFF


def masked(checksums: Words) -> Words:
    """Return checksums as event files store them: rotated by 15 bits, and a constant added."""
    rotated = (checksums >> 15) | (checksums << 17)
    return np.asarray(rotated + np.uint32(MASK_DELTA))


def _add_columns(rows: Bytes) -> Words:
    tables = _make_tables()
    columns = np.ascontiguousarray(rows.T)
    width = columns.shape[0]
    if columns.size <= FEW:
        places = columns + np.arange(width - 1, -1, -1)[:, None] * 256
        return np.asarray(np.bitwise_xor.reduce(tables.ravel().take(places), axis=0))
    total = np.zeros(columns.shape[1], dtype=np.uint32)
    for at in range(width):
        total ^= tables[width - 1 - at].take(columns[at])
    return total


def _join(parts: Words) -> Words:
    """Join the sums of blocks pairwise: the left one moves on by as many bytes as the right has."""
    shift = _make_tables()[BLOCK - 1 : BLOCK - 5 : -1]
    while parts.shape[1] > 1:
        parts = _move(parts[:, 0::2], shift) ^ parts[:, 1::2]
        shift = _move(shift, shift)
    return np.asarray(parts[:, 0])


def _move(registers: Words, shift: Words) -> Words:
    moved = np.zeros(registers.shape, dtype=np.uint32)
    for at in range(4):
        moved ^= shift[at].take((registers >> (8 * at)) & 0xFF)
    return moved
