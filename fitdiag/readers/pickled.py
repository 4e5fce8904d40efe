"""Training histories in Python pickles, read without loading them.

People pickle ``history.history``, the whole ``History`` object of Keras, or a dictionary of their
own; ``numpy.save`` does the same inside a ``.npy`` file. None of it is ever unpickled: the
operations are carried out on inert stand-ins, see :mod:`fitdiag.readers.inert`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fitdiag.errors import FormatError
from fitdiag.readers.inert import Inert, PickleError, load
from fitdiag.readers.names import classify
from fitdiag.readers.reader import Reader
from fitdiag.readers.series import Series, make_run
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from fitdiag.run import Run

    Floats = NDArray[np.float64]

__all__ = ["PICKLED"]

#: a larger file is no training history
FILE_BYTES = 50 * 1024 * 1024

#: dictionaries are opened this deep; this many of their entries are looked at
DEPTH = 6
OPENED = 5000

#: this many numbers are taken, since a small file may hold one list many times over
NUMBERS = 2_000_000

#: an array whose data are text, as Python 2 wrote them, is no longer than this
TEXT_DATA = 1 << 20

#: the data of one number are no longer than this
NUMBER_BYTES = 16

#: how pickles begin: protocols 2 to 5, then 0 and 1 with a dictionary or a list at the top
STARTS = tuple(bytes([0x80, protocol]) for protocol in (2, 3, 4, 5))
TEXTUAL = re.compile(
    rb"\(dp\d+\n|\(lp\d+\n|\}q|\]q|\(dq|c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n(?:p\d+\n|q|\(|\))"
)

#: a checkpoint of torch, which begins with its magic number
TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

NUMPY = b"\x93NUMPY"
_DTYPE = re.compile(r"[<>|=]?([fiub])([1248])")

#: attributes of a History object and words of a log's layout, left out of the names
LAYOUT = frozenset({"history", "metrics", "logs", "log", "results"})

NEVER = "fitdiag never unpickles: save the history as CSV."


def _matches(_path: Path, head: bytes) -> bool:
    if head.startswith(NUMPY):
        return b"|O" in head[:128]
    return head.startswith(STARTS) or TEXTUAL.match(head) is not None


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    size = path.stat().st_size
    if size > FILE_BYTES:
        raise FormatError(
            f"{path} is a Python pickle of {size >> 20} MiB, larger than any training history; "
            f"{NEVER}"
        )
    data = path.read_bytes()
    if data.startswith(TORCH):
        raise FormatError(f"{path} is a checkpoint of torch, not a log; {NEVER}")
    if data.startswith(NUMPY):
        data = _skip_header(path, data)
    try:
        content = load(data)
    except PickleError as error:
        raise FormatError(f"{path} is a Python pickle, but {error}; {NEVER}") from None
    found = list(_find_histories(content))
    if not found:
        raise FormatError(
            f"{path} is a Python pickle without a training history, a dictionary of lists of "
            f"numbers; {NEVER}"
        )
    note = "The pickle was read without being loaded: only its lists of numbers were taken."
    return [_make_run(each, path, columns, note) for each in found]


def _skip_header(path: Path, data: bytes) -> bytes:
    """Return what follows the header of a ``.npy`` file."""
    width = 2 if data[6:7] == b"\x01" else 4
    length = int.from_bytes(data[8 : 8 + width], "little")
    body = data[8 + width + length :]
    if b"|O" not in data[: 8 + width + length]:
        raise FormatError(f"{path} is a NumPy array file: save the curves as CSV.")
    return body


def _find_histories(content: object) -> Iterator[dict[str, Floats]]:
    """Yield the series of each history: of the one dictionary, or of those in a list."""
    content = _open(content)
    if isinstance(content, (list, tuple)):
        parts = [_open(each) for each in content[:NUMBERS] if not isinstance(each, (int, float))]
        dictionaries = [each for each in parts if isinstance(each, Mapping)]
        rows = _stack_rows(dictionaries)
        if rows:
            yield rows
            return
    else:
        dictionaries = [content] if isinstance(content, Mapping) else []
    left = [OPENED, NUMBERS]
    for dictionary in dictionaries[:OPENED]:
        series = dict(_flatten(dictionary, (), DEPTH, left))
        if series:
            yield series


def _open(value: object) -> object:
    """Return the dictionary or list inside an object, or the value itself."""
    for _ in range(DEPTH):
        if not isinstance(value, Inert):
            break
        array = _rebuild(value)
        if array is None:
            value = _open_object(value)
        elif array.dtype == object:
            value = array.tolist()  # the object itself where the array has no dimension
        else:
            return array
    if isinstance(value, dict):
        history = value.get("history")
        history = _open_object(history) if isinstance(history, Inert) else history
        if isinstance(history, dict):
            epochs = value.get("epoch")
            return {"epoch": epochs, **history} if isinstance(epochs, list) else history
    return value


def _open_object(value: Inert) -> object:
    """Return what was put into an object: by key, in a row, as its state, or by its maker."""
    state = value.state[0] if isinstance(value.state, tuple) and value.state else value.state
    made = value.args[2:] if value.name.endswith("_reconstructor") else value.args
    first = made[0] if made else None
    if value.items or value.entries:
        return value.items or value.entries
    if isinstance(state, dict):
        return state
    return first if isinstance(first, (dict, list)) else None


def _stack_rows(rows: list[Mapping[Any, Any]]) -> dict[str, Floats]:
    """Return a list of dictionaries of single numbers as series."""
    if len(rows) < 2 or sum(map(len, rows)) > NUMBERS:
        return {}
    names = {str(name) for row in rows for name in row}
    if len(names) * len(rows) > NUMBERS:
        return {}
    numbers = [{str(name): _to_number(value) for name, value in row.items()} for row in rows]
    return {
        name: np.array([math.nan if row.get(name) is None else row[name] for row in numbers], float)
        for name in sorted(names)
        if any(row.get(name) is not None for row in numbers)
    }


def _flatten(
    content: Mapping[Any, Any], prefix: tuple[str, ...], depth: int, left: list[int]
) -> Iterator[tuple[str, Floats]]:
    """Yield name and values of each list of numbers, inner names joined by slashes."""
    for key, value in content.items():
        left[0] -= 1
        if left[0] < 0:
            return
        name = key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
        names = prefix if name.lower() in LAYOUT else (*prefix, name)
        opened = _open(value)
        if isinstance(opened, Mapping):
            if depth:
                yield from _flatten(opened, names, depth - 1, left)
            continue
        left[1] -= len(opened) if isinstance(opened, (list, tuple, np.ndarray)) else 0
        if left[1] < 0:
            return
        values = _to_numbers(opened)
        if values is not None and values.size:
            yield "/".join(names) or name, values


def _to_numbers(value: object) -> Floats | None:
    """Return a list or an array as numbers, or None."""
    if isinstance(value, np.ndarray):
        return np.asarray(value, dtype=np.float64) if value.ndim == 1 else None
    if not isinstance(value, (list, tuple)):
        return None
    numbers = [_to_number(each) for each in value]
    known = [math.nan if each is None else each for each in numbers]
    empty = sum(each is None and one is not None for each, one in zip(numbers, value, strict=True))
    return np.array(known, dtype=np.float64) if numbers and not empty else None


def _to_number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    array = _rebuild(value, NUMBER_BYTES) if isinstance(value, Inert) else None
    if array is not None and array.size == 1 and array.dtype != object:
        return float(array.reshape(-1)[0])
    return None


def _rebuild(value: Inert, limit: int = FILE_BYTES) -> NDArray[Any] | None:
    """Return the array or scalar of numpy that an object stands for, from its bytes alone."""
    called = value.name.rpartition(" ")[2]
    if not value.name.startswith("numpy"):
        return None
    if called == "scalar" and len(value.args) == 2:
        return _decode(value.args[0], value.args[1], (), limit)
    if called == "_frombuffer" and len(value.args) == 4:
        data, dtype, shape, _ = value.args
        return _decode(dtype, data, shape, limit)
    state = value.state
    if called == "_reconstruct" and isinstance(state, tuple) and len(state) == 5:
        _, shape, dtype, _, data = state
        if isinstance(data, list):
            return _hold(data, shape) if len(data) <= limit else None
        return _decode(dtype, data, shape, limit)
    return None


def _hold(entries: list[Any], shape: object) -> NDArray[Any] | None:
    """Return an array of objects: one, or a row of them."""
    held: NDArray[Any] = np.empty(len(entries), dtype=object)
    for at, entry in enumerate(entries):
        held[at] = entry
    return held.reshape(()) if shape == () and len(entries) == 1 else held


def _decode(dtype: object, data: object, shape: object, limit: int) -> NDArray[Any] | None:
    """Return numbers of one kind; a row, or a single one, needs no order."""
    if not isinstance(dtype, Inert) or not dtype.args or not isinstance(shape, tuple):
        return None
    told = _DTYPE.fullmatch(str(dtype.args[0])[:8])
    if not isinstance(data, (str, bytes, bytearray)) or len(data) > limit:
        return None
    if isinstance(data, str) and len(data) > TEXT_DATA:
        return None
    raw = data.encode("latin-1", "replace") if isinstance(data, str) else data
    if told is None:
        return None
    state = dtype.state
    big = isinstance(state, tuple) and len(state) > 1 and state[1] in (">", b">")
    try:
        array = np.frombuffer(raw, dtype=np.dtype((">" if big else "<") + told[1] + told[2]))
        return array.reshape(shape)
    except (TypeError, ValueError):
        return None


def _make_run(
    history: Mapping[str, Floats], path: Path, columns: Mapping[str, str], note: str
) -> Run:
    """Return a run by epoch: of the epochs that the history holds, or numbered from 1."""
    epochs = next((name for name in history if classify(name).kind == "epoch"), None)
    losses = [name for name in history if classify(name).kind == "loss"]
    length = max((history[name].size for name in losses), default=0)
    series = []
    for name, values in history.items():
        if name == epochs:
            continue
        known = history[epochs] if epochs else None
        steps = known if known is not None and known.size == values.size else None
        series.append(
            Series(
                name=name,
                steps=np.arange(1.0, values.size + 1) if steps is None else steps,
                values=values,
                unit=StepUnit.EPOCH if values.size <= length or not length else StepUnit.ROW,
            )
        )
    return make_run(series, path=str(path), format=PICKLED.name, columns=columns, notes=(note,))


PICKLED = Reader(
    name="pickle",
    description="a training history in a Python pickle, which is read without being loaded",
    example="history.pkl",
    matches=_matches,
    read=_read,
    text=False,
)
