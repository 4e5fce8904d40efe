"""Tables that a loop prints among other lines: a header of names, then rows of numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fitdiag.readers.stdout.keys import CURVES, Key, classify_phrase
from fitdiag.readers.stdout.numerals import NUMBER

__all__ = ["Grid", "find_grid", "has_prefix"]

#: time, logger and level before a line's own text
_PREFIX = re.compile(
    r"^\s*\[?\d{4}[-/]\d\d[-/]\d\d[T ][\d:,.]+\]?\s*(?:[-|:]\s*)?"
    r"(?:\[?(?:DEBUG|INFO|WARNING)\]?\s*[-|:]?\s*)?"
)
_WIDE = re.compile(r"\s*\t\s*|\s{2,}")
_CELL = re.compile(r"[-+\d.eE,%:nafiNI]+s?")
_RULE = re.compile(r"[\s|+:=\-\u2500-\u257f]*")

#: more cells than this are no printed table
CELLS = 40


@dataclass(frozen=True)
class Grid:
    """A table's header: its keys, and how its cells are cut."""

    keys: tuple[Key, ...]
    mark: str

    def read_row(self, line: str) -> list[str] | None:
        """Return the cells of a row, or None for a line that is no row of this table."""
        cells = _cut(_PREFIX.sub("", line), self.mark)
        if len(cells) != len(self.keys):
            cells = line.split() if self.mark != "|" else []
            cells = cells if len(cells) == len(self.keys) else []
        numbers = [cell for cell in cells if NUMBER.search(cell)]
        if not numbers or not all(
            _CELL.fullmatch(cell) or not cell.strip("-NA/") for cell in cells
        ):
            return None
        return cells

    def is_rule(self, line: str) -> bool:
        """Tell whether a line only draws."""
        return _RULE.fullmatch(line) is not None


def find_grid(line: str) -> Grid | None:
    """Return the table that a line is the header of, or None."""
    lowered = line.lower()
    if "loss" not in lowered and "损失" not in line:
        return None
    text = _PREFIX.sub("", line)
    for mark in ("|", "wide", ""):
        cells = _cut(text, mark)
        if not 2 <= len(cells) <= CELLS:
            continue
        names = [classify_phrase(cell) for cell in cells]
        kinds = [name.kind for name in names]
        if (
            "loss" in kinds
            and sum(kind in CURVES or kind in {"epoch", "step"} for kind in kinds) > 1
        ):
            if any(re.search(r"[:=]|\d\.\d", cell) for cell in cells):
                return None
            return Grid(
                tuple(
                    Key(text=cell, kind=name.kind, split=name.split, rank=name.rank)
                    for cell, name in zip(cells, names, strict=True)
                ),
                mark,
            )
    return None


def has_prefix(line: str) -> bool:
    """Tell whether a logger's time stands before a line's own text."""
    match = _PREFIX.match(line)
    return match is not None and bool(match[0].strip())


def _cut(text: str, mark: str) -> list[str]:
    if mark == "|":
        text = text.strip()
        if "|" not in text and "\u2502" not in text:
            return []
        cells = re.split(r"[|\u2502\u2503]", text)
        cells = cells[1:] if not cells[0].strip() else cells
        cells = cells[:-1] if cells and not cells[-1].strip() else cells
        return [cell.strip(" *`") for cell in cells]
    if mark == "wide":
        return [cell for cell in _WIDE.split(text.strip()) if cell]
    return text.split()
