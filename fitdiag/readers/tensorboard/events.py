"""One event: the fields of its protocol buffer, read by hand.

Only what scalars need is decoded: the step, the tag and the number; pictures, histograms, graphs
and texts are passed over by their length. Field numbers are those of ``event.proto``,
``summary.proto`` and ``tensor.proto`` of TensorFlow.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["WIDTHS", "Event", "Value", "convert", "parse_event"]

Field = tuple[int, int, int, int]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

#: data types of tensors that hold one number, as numpy calls them; "bf16" has no name there
DTYPES: dict[int, str] = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "|u1",
    5: "<i2",
    6: "|i1",
    9: "<i8",
    10: "|u1",
    14: "bf16",
    17: "<u2",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}
WIDTHS = {name: 2 if name == "bf16" else int(name[-1]) for name in DTYPES.values()}

#: fields of a tensor that hold its numbers one by one, and of what type they are
NUMBERS = {5: "<f4", 6: "<f8", 7: "int", 10: "int", 11: "int", 13: "half", 16: "int", 17: "int"}

#: what an event or a value holds, for those that are no scalars
EVENT_KINDS = {4: "a graph", 8: "run metadata", 9: "a graph"}
VALUE_KINDS = {3: "histograms", 4: "images", 5: "histograms", 6: "audio"}
PLUGIN_KINDS = {
    "hparams": "hyper-parameters",
    "images": "images",
    "histograms": "histograms",
    "text": "texts",
    "audio": "audio",
    "graphs": "a graph",
    "pr_curves": "curves of precision",
    "graph_keras_model": "a graph",
    "graph_run_metadata_graph": "a graph",
}
EMPTY_PLUGINS = frozenset({"", "scalars"})
SESSION_START = 1


@dataclass(frozen=True)
class Value:
    """One scalar.

    Parameters
    ----------
    tag : str
    number : float
    at : int
        Where its bytes begin in the payload; negative where its width varies.
    dtype : str
        How they are read, see :data:`WIDTHS`.
    """

    tag: str
    number: float
    at: int
    dtype: str


@dataclass
class Event:
    """What one record says.

    Parameters
    ----------
    wall_at : int
        Where the eight bytes of the wall time begin, or -1.
    step : int
        0 where the record has none, as the format says.
    step_at : tuple of int
        First byte of the step, and the byte after it.
    values : list of Value
    is_start : bool
        Whether it says that a session starts at its step.
    kinds : set of str
        What else it holds, in words.
    """

    wall_at: int = -1
    step: int = 0
    step_at: tuple[int, int] = (0, 0)
    values: list[Value] = field(default_factory=list)
    is_start: bool = False
    kinds: set[str] = field(default_factory=set)


def _read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    number = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise ValueError("a number without an end")


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _fields(data: bytes, at: int, end: int) -> Iterator[Field]:
    """Yield number, wire type, and where the content begins and ends."""
    while at < end:
        key, at = _read_varint(data, at, end)
        kind = key & 7
        if kind == VARINT:
            _, stop = _read_varint(data, at, end)
        elif kind == BYTES:
            length, at = _read_varint(data, at, end)
            stop = at + length
        elif kind in {FIXED64, FIXED32}:
            stop = at + (8 if kind == FIXED64 else 4)
        else:
            raise ValueError(f"wire type {kind}")
        if stop > end:
            raise ValueError("a field that is longer than its message")
        yield key >> 3, kind, at, stop
        at = stop


def parse_event(data: bytes, plugins: dict[str, str]) -> Event:
    """Read one record.

    Parameters
    ----------
    data : bytes
        Its payload.
    plugins : dict of str to str
        Which plug-in each tag belongs to, as told when it first came; is added to.

    Raises
    ------
    ValueError
        If it is no event.
    """
    event = Event()
    for number, kind, at, stop in _fields(data, 0, len(data)):
        if number == 1 and kind == FIXED64:
            event.wall_at = at
        elif number == 2 and kind == VARINT:
            event.step = _signed(_read_varint(data, at, stop)[0])
            event.step_at = (at, stop)
        elif number == 5 and kind == BYTES:
            for inner, wire, first, last in _fields(data, at, stop):
                if inner == 1 and wire == BYTES:
                    _parse_value(data, first, last, event, plugins)
        elif number == 7 and kind == BYTES:
            statuses = [
                _read_varint(data, first, last)[0]
                for inner, wire, first, last in _fields(data, at, stop)
                if inner == 1 and wire == VARINT
            ]
            event.is_start = SESSION_START in statuses
        elif number in EVENT_KINDS:
            event.kinds.add(EVENT_KINDS[number])
    return event


def _parse_value(data: bytes, at: int, end: int, event: Event, plugins: dict[str, str]) -> None:
    parts = {number: (kind, first, last) for number, kind, first, last in _fields(data, at, end)}
    wires = {number: parts[number][0] for number in parts}
    tag = data[slice(*parts[1][1:])].decode("utf-8", "replace") if wires.get(1) == BYTES else ""
    if wires.get(9) == BYTES:
        plugins[tag] = _find_plugin(data, *parts[9][1:]) or plugins.get(tag, "")
    plugin = plugins.get(tag, "")
    other = next((VALUE_KINDS[number] for number in parts if number in VALUE_KINDS), "")
    if wires.get(2) == FIXED32 and not other:
        first = parts[2][1]
        event.values.append(Value(tag, convert(data[first : first + 4], "<f4"), first, "<f4"))
    elif wires.get(8) == BYTES and plugin in EMPTY_PLUGINS:
        value = _parse_tensor(data, *parts[8][1:], tag)
        if value is None:
            event.kinds.add("tensors")
        else:
            event.values.append(value)
    elif other or plugin not in EMPTY_PLUGINS:
        event.kinds.add(other or PLUGIN_KINDS.get(plugin, f"data of the plug-in {plugin[:40]!r}"))


def _find_plugin(data: bytes, at: int, end: int) -> str:
    for number, kind, first, last in _fields(data, at, end):
        if number == 1 and kind == BYTES:
            for inner, wire, start, stop in _fields(data, first, last):
                if inner == 1 and wire == BYTES:
                    return data[start:stop].decode("utf-8", errors="replace")
    return ""


def _parse_tensor(data: bytes, at: int, end: int, tag: str) -> Value | None:
    """Return the one number of a tensor, or None if it holds none or several."""
    code, content, found = 0, (0, 0), []
    for number, kind, first, last in _fields(data, at, end):
        if number == 1 and kind == VARINT:
            code = _read_varint(data, first, last)[0]
        elif number == 2 and kind == BYTES:
            if not _has_one_element(data, first, last):
                return None
        elif number == 4 and kind == BYTES:
            content = (first, last)
        elif number in NUMBERS and last > first:
            found.append((number, kind, first, last))
    dtype = DTYPES.get(code)
    if dtype is None:
        return None
    if content[1] - content[0] == WIDTHS[dtype]:
        return Value(tag, convert(data[slice(*content)], dtype), content[0], dtype)
    if len(found) != 1:
        return None
    return _parse_number(data, found[0], dtype, tag)


def _has_one_element(data: bytes, at: int, end: int) -> bool:
    for number, kind, first, last in _fields(data, at, end):
        if number == 2 and kind == BYTES:
            sizes = [
                _read_varint(data, start, stop)[0]
                for inner, wire, start, stop in _fields(data, first, last)
                if inner == 1 and wire == VARINT
            ]
            if sizes != [1]:
                return False
    return True


def _parse_number(data: bytes, place: Field, dtype: str, tag: str) -> Value | None:
    number, kind, first, last = place
    stored = NUMBERS[number]
    if stored in WIDTHS:
        if last - first != WIDTHS[stored] or kind == VARINT:
            return None
        return Value(tag, convert(data[first:last], stored), first, stored)
    if kind not in {VARINT, BYTES}:
        return None
    bits, stop = _read_varint(data, first, last)
    if stop != last:
        return None
    if stored == "half":
        pattern = (bits & 0xFFFF).to_bytes(2, "little")
        return Value(tag, convert(pattern, dtype if dtype == "bf16" else "<f2"), -1, dtype)
    return Value(tag, float(bits if dtype == "<u8" else _signed(bits)), -1, dtype)


def convert(data: bytes, dtype: str) -> float:
    """Return the number that a few bytes hold."""
    if dtype == "bf16":  # the upper half of a float of 32 bits
        return float(struct.unpack("<f", b"\0\0" + data)[0])
    return float(np.frombuffer(data, dtype=dtype)[0])
