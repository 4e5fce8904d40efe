"""The containers that trackers write, as bytes: protobuf, event files, record logs, archives."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["encode_bytes", "encode_events", "encode_int", "encode_records", "pack"]

BLOCK = 32_768


def encode_varint(value: int) -> bytes:
    """Return a protobuf number."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def encode_bytes(number: int, data: bytes) -> bytes:
    """Return a protobuf field of bytes."""
    return encode_varint(number << 3 | 2) + encode_varint(len(data)) + data


def encode_int(number: int, value: int) -> bytes:
    """Return a protobuf field of a number."""
    return encode_varint(number << 3) + encode_varint(value)


def mask_checksum(data: bytes) -> int:
    """Return the masked CRC-32C that event files use."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def encode_events(tags: dict[str, list[float]], *, tensors: bool = False) -> bytes:
    """Return a TensorBoard event file of scalars by tag."""
    events = [struct.pack("<Bd", 9, 1.6e9) + encode_bytes(3, b"brain.Event:2")]
    for k in range(len(next(iter(tags.values())))):
        for tag, values in tags.items():
            number = struct.pack("<f", values[k])
            scalar = b"\x15" + number
            if tensors:
                scalar = encode_bytes(8, b"\x08\x01\x12\x00" + encode_bytes(4, number))
            value = encode_bytes(1, tag.encode()) + scalar
            summary = encode_bytes(5, encode_bytes(1, value))
            events.append(struct.pack("<Bd", 9, 1.6e9 + k) + encode_int(2, k) + summary)
    out = b""
    for event in events:
        size = struct.pack("<Q", len(event))
        out += size + struct.pack("<I", mask_checksum(size)) + event
        out += struct.pack("<I", mask_checksum(event))
    return out


def encode_records(header: bytes, records: Iterable[bytes]) -> bytes:
    """Return a LevelDB log: records in blocks, each piece with a checksum of type and data."""
    out = bytearray(header)
    for record in records:
        out += struct.pack("<IHB", zlib.crc32(b"\x01" + record), len(record), 1) + record
    return bytes(out[:BLOCK])


def pack(members: dict[str, str]) -> bytes:
    """Return a zip archive of texts."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()
