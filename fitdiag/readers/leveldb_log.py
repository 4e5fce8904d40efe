"""The record log of LevelDB, in which W&B and SwanLab keep their runs.

The file is cut into blocks of 32 KiB. A record is a checksum (CRC-32 of the type byte and the
data), a length of two bytes, a type (1 whole, 2 first, 3 middle, 4 last piece) and the data; no
record header straddles two blocks. The file's own header counts as part of the first block.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BLOCK", "Damage", "iterate_records"]

#: bytes in a block
BLOCK = 32768

_HEADER = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass
class Damage:
    """What could not be read of a log.

    Parameters
    ----------
    blocks : int
        Blocks that were left at a record that is damaged.
    torn : bool
        Whether the last record is incomplete, as in a run that was killed or still runs.
    """

    blocks: int = 0
    torn: bool = False


def iterate_records(file: BinaryIO, header: int, damage: Damage) -> Iterator[bytes]:
    """Yield the records of a log; where one is damaged, go on at the next block.

    Parameters
    ----------
    file : binary file
        At its start.
    header : int
        Bytes before the first record.
    damage : Damage
        Is filled in while records are taken.

    Yields
    ------
    bytes
        The data of one record, its pieces joined.
    """
    pieces: list[bytes] = []
    begun = False
    start = header
    while True:
        block = file.read(BLOCK)
        damaged = damage.blocks
        for kind, data in _pieces(block, start, damage):
            if kind == _WHOLE:
                pieces, begun = [], False
                yield data
            elif kind == _FIRST:
                pieces, begun = [data], True
            elif begun and kind in (_MIDDLE, _LAST):
                pieces.append(data)
                if kind == _LAST:
                    yield b"".join(pieces)
                    pieces, begun = [], False
        if damage.blocks > damaged:
            pieces, begun = [], False
        if len(block) < BLOCK:
            damage.torn = damage.torn or begun
            return
        start = 0


def _pieces(block: bytes, at: int, damage: Damage) -> Iterator[tuple[int, bytes]]:
    """Yield type and data of each piece in a block."""
    while at + _HEADER.size <= len(block):
        crc, size, kind = _HEADER.unpack_from(block, at)
        if kind == 0 and size == 0:
            return  # the rest of the block was never written
        at += _HEADER.size
        data = block[at : at + size]
        if at + size > len(block):
            if len(block) < BLOCK:
                damage.torn = True
            else:
                damage.blocks += 1
            return
        if zlib.crc32(data, zlib.crc32(bytes([kind]))) != crc:
            damage.blocks += 1
            return
        at += size
        yield kind, data
    if at < len(block) < BLOCK:
        damage.torn = True
