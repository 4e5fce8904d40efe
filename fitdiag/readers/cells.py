"""Turning the cells of a column into numbers: one place, so that every path reads them alike."""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.readers.names import find_split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "MISSING",
    "SPLIT_CODES",
    "Cells",
    "CellsBuilder",
    "is_number",
    "parse_cells",
    "parse_splits",
    "parse_words",
]

#: cells that say "not measured"; ``nan`` is none of them: it is a measured value
MISSING = frozenset({"", "-", "--", "na", "n/a", "#n/a", "<na>", "none", "null", "nil", "n.a."})

#: how the column of a long table that names splits is held
SPLIT_CODES = {"": -1.0, "train": 0.0, "val": 1.0, "test": 2.0}

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PLAIN = re.compile(_NUMBER)
_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:[,' \u00a0\u202f\u2009]\d{3})+(?:\.\d*)?")
_DOTTED = re.compile(r"[-+]?[1-9]\d{0,2}(?:[.' \u00a0\u202f\u2009]\d{3})+(?:,\d*)?")
_WRAPPED = re.compile(
    r"(?:(?:\w+\.)?(?:tensor|array|float\d*|int\d*)\(\s*\[*|\[+)"
    rf"\s*({_NUMBER}|[-+]?(?:nan|inf))\s*(?:[,\])].*)?"
)
#: what every spelling that holds no letters beyond an exponent is made of
_NUMERIC = re.compile(r"[-+.,\d'%eE \u00a0\u202f\u2009]+")
_TELLING = re.compile(r"\d|nan|inf", re.IGNORECASE)
_FINITENESS = re.compile(r"([-+]?)(nan|inf(?:inity)?|1\.#(?:qnan|snan|ind|inf))(?:\(ind\))?0*")

#: what an unusual cell was, and the sentence that says how it was read
KINDS = {
    "percent": "Cells with a percent sign were divided by 100",
    "thousands": "Thousands separators were removed",
    "wrapped": "Cells such as tensor(0.5) or [0.5, 0.5] were read as their first number",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """One column as numbers.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        NaN where nothing was measured or the cell is no number.
    missing : ndarray of bool, shape (n,)
        Where nothing was measured.
    bad : dict of int to str
        Row and text of the first cells that are no numbers.
    bad_rows : ndarray of int
        Rows of all of those.
    kinds : frozenset of str
        Which unusual spellings were met, keys of ``KINDS``.
    """

    values: NDArray[np.float64]
    missing: NDArray[np.bool_]
    bad: dict[int, str] = field(default_factory=dict)
    bad_rows: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    kinds: frozenset[str] = frozenset()


def is_number(cell: str) -> bool:
    """Tell whether a cell holds a number in any of the spellings that are read."""
    token = cell.strip()
    if _PLAIN.fullmatch(token):
        return True
    if not _TELLING.search(token) or token.lower() in MISSING:
        return False
    is_odd = token[0] in "0123456789.+-" and not _NUMERIC.fullmatch(token)
    if is_odd and "n" not in token.lower():  # neither nan nor inf, nor 1.#QNAN
        return False
    if token[:1].isalpha() and "(" not in token:
        return _FINITENESS.fullmatch(token.lower()) is not None
    return _read_number(token, ".") is not None or _read_number(token, ",") is not None


def parse_cells(texts: Sequence[object], decimal: str = ".") -> Cells:
    """Read a column of texts; anything that is no text counts as not measured.

    Parameters
    ----------
    texts : sequence of str or other, length n
        The cells.
    decimal : {".", ","}
        The decimal sign of the file.

    Returns
    -------
    Cells
        Of length n.
    """
    values = np.full(len(texts), np.nan)
    missing = np.zeros(len(texts), dtype=bool)
    bad: dict[int, str] = {}
    bad_rows: list[int] = []
    kinds: set[str] = set()
    for row, text in enumerate(texts):
        if not isinstance(text, str) or (token := text.strip("\0 \t\r\n")).lower() in MISSING:
            missing[row] = True
            continue
        found = _read_number(token, decimal)
        if found is None:
            bad_rows.append(row)
            if len(bad) < 3:
                bad[row] = token[:40]
            continue
        values[row] = found[0]
        if found[1]:
            kinds.add(found[1])
    missing[bad_rows] = True
    rows = np.array(bad_rows, dtype=np.intp)
    return Cells(values=values, missing=missing, bad=bad, bad_rows=rows, kinds=frozenset(kinds))


def parse_splits(texts: Sequence[object]) -> Cells:
    """Read a column that names splits as the numbers of ``SPLIT_CODES``."""
    codes: dict[object, float] = {}
    values = np.empty(len(texts))
    for row, text in enumerate(texts):
        if text not in codes:
            codes[text] = SPLIT_CODES[find_split(text)] if isinstance(text, str) else -1.0
        values[row] = codes[text]
    return Cells(values=values, missing=np.zeros(len(texts), dtype=bool))


def parse_words(texts: Sequence[object]) -> Cells:
    """Read a column that names runs: equal words become equal numbers, absent ones -1."""
    values = np.full(len(texts), -1.0)
    for row, text in enumerate(texts):
        if isinstance(text, str) and (word := text.strip()).lower() not in MISSING:
            values[row] = zlib.crc32(word.encode())
    return Cells(values=values, missing=np.zeros(len(texts), dtype=bool))


class CellsBuilder:
    """Puts pieces of one column behind each other, in memory that is taken once.

    Parameters
    ----------
    capacity : int
        How many rows are expected; more make it grow.
    """

    def __init__(self, capacity: int) -> None:
        self.size = 0
        self._values = np.empty(capacity)
        self._missing: NDArray[np.bool_] | None = None  # made once a cell is missing
        self._bad: dict[int, str] = {}
        self._bad_rows: list[NDArray[np.intp]] = []
        self._kinds: set[str] = set()

    def add(self, piece: Cells) -> None:
        """Append a piece."""
        start, self.size = self.size, self.size + piece.values.size
        if self.size > self._values.size:
            self._resize(self.size + self.size // 8)
        self._values[start : self.size] = piece.values
        if self._missing is None and piece.missing.any():
            self._missing = np.zeros(self._values.size, dtype=bool)
        if self._missing is not None:
            self._missing[start : self.size] = piece.missing
        if piece.bad_rows.size:
            room = 3 - len(self._bad)
            self._bad.update({start + row: piece.bad[row] for row in list(piece.bad)[:room]})
            self._bad_rows.append(piece.bad_rows + start)
        self._kinds |= piece.kinds

    def finish(self) -> Cells:
        """Return the whole column; nothing can be added after it."""
        self._resize(self.size)
        rows = np.concatenate(self._bad_rows) if self._bad_rows else np.empty(0, np.intp)
        return Cells(
            values=self._values,
            missing=np.broadcast_to(np.False_, self.size)
            if self._missing is None
            else self._missing,
            bad=self._bad,
            bad_rows=rows,
            kinds=frozenset(self._kinds),
        )

    def _resize(self, size: int) -> None:
        self._values.resize(size, refcheck=False)
        if self._missing is not None:
            self._missing.resize(size, refcheck=False)


def _read_number(token: str, decimal: str) -> tuple[float, str] | None:
    if decimal == ".":
        if _PLAIN.fullmatch(token):
            return float(token), ""
    elif _COMMA.fullmatch(token):
        return float(token.replace(",", ".")), ""
    lower = token.lower()
    if match := _FINITENESS.fullmatch(lower):
        value = math.inf if "inf" in match[2] else math.nan
        return (-value if match[1] == "-" else value), ""
    if token.endswith("%"):
        inner = _read_number(token[:-1].strip(), decimal)
        return None if inner is None else (inner[0] / 100, "percent")
    if (_DOTTED if decimal == "," else _THOUSANDS).fullmatch(token):
        digits = re.sub(r"[.' \u00a0\u202f\u2009]" if decimal == "," else r"[^\d.+-]", "", token)
        return float(digits.replace(",", ".")), "thousands"
    if decimal == "," and _PLAIN.fullmatch(token):
        return float(token), ""
    if token[:1] not in "0123456789.+-" and (match := _WRAPPED.fullmatch(lower)):
        return float(match[1]), "wrapped"
    return None
