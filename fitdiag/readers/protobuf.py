"""The wire format of protocol buffers: the fields of one message, without its schema."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Field", "WireError", "as_double", "as_signed", "as_text", "as_zigzag", "walk"]

#: field number, wire type (0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes), value
Field = tuple[int, int, "int | bytes"]

#: the largest number of bytes of a varint of 64 bits
VARINT_BYTES = 10


class WireError(ValueError):
    """Bytes that are no message."""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    if at < len(data) and data[at] < 0x80:  # most are this short
        return data[at], at + 1
    value = shift = 0
    for _ in range(VARINT_BYTES):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise WireError("a number does not end")


def walk(data: bytes) -> Iterator[Field]:
    """Yield the fields of a message in their order.

    Parameters
    ----------
    data : bytes
        The whole message.

    Yields
    ------
    tuple of int, int and (int or bytes)
        Field number, wire type and value: an unsigned int for a varint, the raw bytes otherwise.

    Raises
    ------
    WireError
        If the bytes are no message.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            number, at = _varint(data, at)
            yield tag >> 3, wire, number
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise WireError(f"wire type {wire} is unknown")
        if at + size > end:
            raise WireError("a field goes beyond the end")
        yield tag >> 3, wire, data[at : at + size]
        at += size


def as_text(value: int | bytes) -> str:
    """Return a string field; bytes that are no UTF-8 are replaced."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def as_double(value: int | bytes) -> float:
    """Return a float or double field.

    Raises
    ------
    WireError
        If it is neither four nor eight bytes long.
    """
    if isinstance(value, bytes) and len(value) in (4, 8):
        return float(struct.unpack("<d" if len(value) == 8 else "<f", value)[0])
    raise WireError("no floating-point number")


def as_signed(value: int | bytes) -> int:
    """Return an int32 or int64 field, whose negative numbers are two's complements of 64 bits."""
    if not isinstance(value, int):
        raise WireError("no whole number")
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def as_zigzag(value: int | bytes) -> int:
    """Return a sint32 or sint64 field."""
    if not isinstance(value, int):
        raise WireError("no whole number")
    return (value >> 1) ^ -(value & 1)
