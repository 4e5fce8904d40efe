"""Rows of named numbers, kept by column: what JSON lines and lists of objects become."""

from __future__ import annotations

from array import array
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np

from fitdiag.readers.jsons.parsing import to_number
from fitdiag.readers.names import Name, classify, find_split, normalise
from fitdiag.readers.vocabulary import SPLIT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Records", "flatten", "join_split"]

#: objects in a row are followed this deep
DEPTH = 5

#: a row of more numbers, or a log of more columns, is cut here
COLUMNS = 4096

#: rows with one name and one value each: the keys of the two
NAME_KEYS = ("attribute_path", "metric_name", "metricName", "metric", "key", "tag", "name")
VALUE_KEYS = ("float_value", "metric_value", "metricValue", "value")

#: the name of a split is shorter than this
SPLIT_LIMIT = 40

#: what stays as it is when a row says of which split it is
_AXES = frozenset({"step", "epoch", "index"})


class Records:
    """Columns of numbers, each with the rows it was seen in."""

    def __init__(self) -> None:
        self.count = 0
        self.splits = False
        self._columns: dict[str, tuple[array[int], array[float]]] = {}
        self._renamed: dict[tuple[str, str], str] = {}

    def add(self, row: Mapping[str, object], split: str = "") -> None:
        """Add a row, of a split if it names none; what is no number is left out."""
        if not split and all(type(value) is float for value in row.values()):
            self._add_plain(row)
            return
        split = self._find_split(row) or split
        single = _find_single(row)
        pairs = flatten(row) if single is None else single
        for name, value in pairs:
            self._put(self._rename(split, name) if split else name, value)
        self.count += 1

    def _add_plain(self, row: Mapping[str, object]) -> None:
        """Add a row of nothing but numbers, as most rows are."""
        columns, count = self._columns, self.count
        for name, value in row.items():
            column = columns.get(name)
            if column is None:
                self._put(name, cast("float", value))
            else:
                column[0].append(count)
                column[1].append(cast("float", value))
        self.count += 1

    def get(self, name: str) -> tuple[NDArray[np.int64], Floats]:
        """Return the rows of a column, and its values."""
        rows, values = self._columns[name]
        return np.asarray(rows, dtype=np.int64), np.asarray(values, dtype=np.float64)

    def spread(self, name: str) -> Floats:
        """Return a column with NaN in the rows that it does not stand in."""
        rows, values = self.get(name)
        whole = np.full(self.count, np.nan)
        whole[rows] = values
        return whole

    def rename(self, name: str, new: str) -> None:
        """Give a column another name, unless that one is taken."""
        if new not in self._columns:
            self._columns = {
                new if each == name else each: column for each, column in self._columns.items()
            }

    def kinds(self) -> dict[str, Name]:
        """Return what each column's name says, in the order they were first seen."""
        return {name: classify(name) for name in self._columns}

    def _put(self, name: str, value: float) -> None:
        column = self._columns.get(name)
        if column is None:
            if len(self._columns) >= COLUMNS:
                return
            column = self._columns[name] = (array("q"), array("d"))
        rows, values = column
        if rows and rows[-1] == self.count:
            values[-1] = value
            return
        rows.append(self.count)
        values.append(value)

    def _find_split(self, row: Mapping[str, object]) -> str:
        for key, value in row.items():
            if type(value) is str and len(value) < SPLIT_LIMIT:
                split = _read_split(key, value)
                if split:
                    self.splits = True
                    return split
        return ""

    def _rename(self, split: str, name: str) -> str:
        known = self._renamed.get((split, name))
        if known is None:
            known = join_split(split, name)
            self._renamed[split, name] = known
        return known


def join_split(split: str, name: str) -> str:
    """Return a series' name with the split before it, unless it names one or is an axis."""
    told = classify(name)
    if not split or told.split or told.kind in _AXES or find_split(name):
        return name
    return f"{split}/{name}"


def flatten(row: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of a row, and of the objects in it, by name."""
    stack: list[tuple[str, object]] = [(f"{prefix}{key}", value) for key, value in row.items()]
    stack.reverse()
    left = COLUMNS
    while stack and left:
        name, value = stack.pop()
        number = to_number(value)
        if number is not None:
            left -= 1
            yield name, number
        elif isinstance(value, dict) and name.count("/") < DEPTH:
            stack.extend((f"{name}/{key}", inner) for key, inner in reversed(value.items()))


@lru_cache(maxsize=1024)
def _read_split(key: str, value: str) -> str:
    return find_split(value) if normalise(key) in SPLIT_COLUMNS else ""


def _find_single(row: Mapping[str, object]) -> list[tuple[str, float]] | None:
    """Return the numbers of a row that holds one name and one value, or None."""
    name = next((row[key] for key in NAME_KEYS if isinstance(row.get(key), str)), None)
    if not isinstance(name, str):
        return None
    value = next((to_number(row[key]) for key in VALUE_KEYS if key in row), None)
    if value is None:
        return None
    axes = [(key, number) for key, number in flatten(row) if classify(key).kind in _AXES]
    return [*axes, (name, value)]
