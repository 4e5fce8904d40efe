"""Lists of numbers found anywhere in a JSON document, and where in it they were found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from fitdiag.readers.jsons.parsing import to_number
from fitdiag.readers.names import classify, find_split, normalise
from fitdiag.readers.vocabulary import EPOCHS, SPLITS, STEPS
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Track", "collect"]

#: a document is searched this deep
DEPTH = 8

#: more lists than this are no history
TRACKS = 4096

#: levels that only hold the curves
CONTAINERS = frozenset(
    {
        *("history", "histories", "metric", "metrics", "log", "logs", "log_history", "curves"),
        *("results", "result", "data", "scalars", "stats", "record", "records", "epochs", "epoch"),
        *("values", "per_epoch", "learning_curves", "entries"),
    }
)

#: the lists of a series that carries its own steps
STEP_KEYS = ("steps", "step", "iterations", "iters", "iteration", "x")
EPOCH_KEYS = ("epochs", "epoch")
VALUE_KEYS = ("values", "value", "y")

_NUMBERED = re.compile(r"([A-Za-z_ -]{0,24}?)[_ -]*(\d{1,9})")
_RUNS = frozenset({"fold", "run", "trial", "model", "seed", "exp", "experiment", "split", "cv"})

#: a wall-clock time in seconds is larger than this
WALL = 1e9


@dataclass(frozen=True, kw_only=True)
class Track:
    """One list of numbers in a document.

    Parameters
    ----------
    path : tuple of str
        The keys that lead to it.
    values : list of float or None
        None where nothing was measured.
    steps : list of float or None
        Its own steps, where they stand beside it.
    unit : StepUnit or None
        What they count, where that is known.
    rows : list or None
        Objects instead of numbers: one row each.
    averaged : bool
        Whether each value is the mean of a list, as of the losses of all batches of an epoch.
    """

    path: tuple[str, ...]
    values: tuple[float | None, ...] = ()
    steps: tuple[float, ...] | None = None
    unit: StepUnit | None = None
    rows: tuple[dict[str, object], ...] | None = None
    averaged: bool = False

    @property
    def leaf(self) -> str:
        """The last key."""
        return self.path[-1] if self.path else ""

    @property
    def group(self) -> tuple[str, ...]:
        """The keys that tell one run of the document from another."""
        return tuple(key for key in self.path[:-1] if _tells_runs(key))

    @property
    def name(self) -> str:
        """The keys that say what was measured, joined."""
        return join_keys([*(key for key in self.path[:-1] if not _tells_runs(key)), self.leaf])

    @property
    def full_name(self) -> str:
        """All keys, joined, but those that only hold the curves."""
        return join_keys(list(self.path))

    @property
    def split(self) -> str:
        """The split that the innermost key with one names."""
        return next((find_split(key) for key in reversed(self.path) if find_split(key)), "")

    @property
    def axis(self) -> StepUnit | None:
        """What the numbers count, if they are the axis of other lists."""
        words = [word for word in normalise(self.leaf).split("_") if word not in SPLITS]
        plain = "_".join(words)
        if plain in STEPS:
            return StepUnit.STEP
        return StepUnit.EPOCH if plain in EPOCHS else None


def join_keys(keys: list[str]) -> str:
    """Join keys to a name; a split that the last key names itself is not said twice."""
    *outer, leaf = keys or [""]
    kept = [key for key in outer if not _is_container(key)]
    if find_split(leaf):
        kept = [key for key in kept if not find_split(key)]
    return "/".join([*kept, leaf])


def collect(node: object, path: tuple[str, ...] = ()) -> Iterator[Track]:
    """Yield all lists of numbers, and all lists of objects with numbers, below a node."""
    if len(path) > DEPTH:
        return
    if isinstance(node, dict):
        yield from _collect_object(node, path)
    elif isinstance(node, list) and node:
        yield from _collect_list(node, path)


def _collect_object(node: Mapping[str, object], path: tuple[str, ...]) -> Iterator[Track]:
    own = _read_own_steps(node, path) or _read_split_frame(node, path)
    if own is not None:
        yield own
        return
    numbers = _read_numbers(node)
    if numbers is not None:
        unit, keys, values = numbers
        if all(isinstance(value, dict) for value in values):
            axis = str(unit or "index")
            rows = tuple(
                {axis: key, **value}
                for key, value in zip(keys, values, strict=True)
                if isinstance(value, dict)
            )
            if _holds_numbers(rows):
                yield Track(path=path, rows=rows)
                return
        cells = tuple(to_number(value) for value in values)
        if any(cell is not None for cell in cells) and path:
            yield Track(path=path, values=cells, steps=keys, unit=unit)
            return
    for key, value in node.items():
        if isinstance(value, (dict, list)):
            yield from collect(value, (*path, key))


def _collect_list(node: list[object], path: tuple[str, ...]) -> Iterator[Track]:
    if all(isinstance(item, dict) for item in node):
        rows = tuple(item for item in node if isinstance(item, dict))
        if _holds_numbers(rows):
            yield Track(path=path, rows=rows)
            return
        for number, row in enumerate(rows, 1):
            yield from collect(row, (*path, f"run {number}"))
        return
    pairs = _read_pairs(node)
    if pairs is not None:
        yield Track(path=path, values=pairs[1], steps=pairs[0], unit=StepUnit.STEP)
        return
    is_call = len(node) == 1 or (len(node) == 2 and node[0] is None)
    if is_call and isinstance(node[-1], (dict, list)):  # the value is its argument
        yield from collect(node[-1], path)
        return
    cells = tuple(to_number(item) for item in node)
    means = _average(node) if all(isinstance(item, list) for item in node) else None
    if any(cell is not None for cell in cells):
        yield Track(path=path, values=cells)
    elif means is not None:
        yield Track(path=path, values=means, averaged=True)


def _average(node: list[object]) -> tuple[float | None, ...] | None:
    """Return the mean of each list in a list, or None if they hold other things than numbers."""
    means: list[float | None] = []
    for item in node:
        cells = [to_number(cell) for cell in item] if isinstance(item, list) else []
        known = [cell for cell in cells if cell is not None]
        if len(known) != len(cells):
            return None
        means.append(sum(known) / len(known) if known else None)
    return tuple(means)


def _holds_numbers(rows: tuple[dict[str, object], ...]) -> bool:
    """Tell whether rows hold numbers of their own, not lists of them."""
    lists = sum(
        isinstance(value, list) and len(value) > 1 for row in rows for value in row.values()
    )
    plain = sum(to_number(value) is not None for row in rows for value in row.values())
    nested = sum(isinstance(value, dict) for row in rows for value in row.values())
    return plain + nested > lists and plain > 0


def _read_own_steps(node: Mapping[str, object], path: tuple[str, ...]) -> Track | None:
    """Return a series that is an object of steps and values."""
    values = next((node[key] for key in VALUE_KEYS if isinstance(node.get(key), list)), None)
    if not isinstance(values, list) or not path:
        return None
    cells = tuple(to_number(value) for value in values)
    for keys, unit in ((STEP_KEYS, StepUnit.STEP), (EPOCH_KEYS, StepUnit.EPOCH)):
        for key in keys:
            steps = node.get(key)
            if isinstance(steps, list) and len(steps) == len(cells):
                return Track(path=path, values=cells, steps=_fill_steps(steps), unit=unit)
    return None


def _fill_steps(steps: list[object]) -> tuple[float, ...]:
    numbers = [to_number(step) for step in steps]
    return tuple(float("nan") if step is None else step for step in numbers)


def _read_split_frame(node: Mapping[str, object], path: tuple[str, ...]) -> Track | None:
    """Return a data frame that was written with ``orient="split"``."""
    names, data = node.get("columns"), node.get("data")
    if not isinstance(names, list) or not isinstance(data, list) or not data:
        return None
    keys = [str(name) for name in names]
    rows = tuple(dict(zip(keys, row, strict=False)) for row in data if isinstance(row, list))
    return Track(path=path, rows=rows) if rows else None


def _read_numbers(
    node: Mapping[str, object],
) -> tuple[StepUnit | None, tuple[float, ...], list[object]] | None:
    """Return unit, numbers and values of an object with nothing but numbered keys, sorted."""
    words, numbers = set(), []
    for key in node:
        match = _NUMBERED.fullmatch(key.strip())
        if match is None:
            return None
        words.add(normalise(match[1]))
        numbers.append(float(match[2]))
        if len(words) > 1:
            return None
    word = words.pop() if words else ""
    if not numbers or word in _RUNS or (word and word not in STEPS and word not in EPOCHS):
        return None
    unit = None if not word else StepUnit.STEP if word in STEPS else StepUnit.EPOCH
    pairs = sorted(zip(numbers, node.values(), strict=True), key=lambda pair: pair[0])
    return unit, tuple(number for number, _ in pairs), [value for _, value in pairs]


def _read_pairs(
    node: list[object],
) -> tuple[tuple[float, ...], tuple[float | None, ...]] | None:
    """Return steps and values of ``[[step, value], …]`` or ``[[time, step, value], …]``."""
    sizes = {len(item) if isinstance(item, list) else 0 for item in node}
    if sizes not in ({2}, {3}):
        return None
    columns = [
        [to_number(cell) for cell in column]
        for column in zip(*(item for item in node if isinstance(item, list)), strict=True)
    ]
    if len(columns) == 3 and not all(cell is not None and cell > WALL for cell in columns[0]):
        return None
    steps, values = columns[-2], columns[-1]
    known = [step for step in steps if step is not None]
    if len(known) != len(steps) or any(b <= a for a, b in pairwise(known)):
        return None
    if any(step % 1 for step in known):
        return None
    return tuple(known), tuple(values)


def _is_container(key: str) -> bool:
    return normalise(key) in CONTAINERS


def _tells_runs(key: str) -> bool:
    """Tell whether a key names neither a split nor a quantity nor a mere container."""
    return not _is_container(key) and not find_split(key) and classify(key).kind == "other"
