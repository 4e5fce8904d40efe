"""Tables that lie on their side: a row for each metric, as a transposed history is saved."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.errors import FormatError
from fitdiag.readers import files
from fitdiag.readers.cells import is_number, parse_cells
from fitdiag.readers.dialect import split_rows
from fitdiag.readers.names import classify
from fitdiag.readers.reader import Reader
from fitdiag.readers.series import Series, make_run
from fitdiag.readers.text import decode, guess_encoding, split_lines
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["TRANSPOSED"]

#: a table on its side has at most so many rows, one for each metric
MOST_ROWS = 500

#: the second line of a table on its side begins within so many bytes
LOOK = 1 << 16

#: how much of a line is looked at to recognise it
LINE_LENGTH = 4096


def _cut(lines: list[str]) -> list[list[str]]:
    delimiter = max("\t;,", key=lambda mark: sum(line.count(mark) for line in lines[:20]))
    try:
        return [row for row in split_rows(lines, delimiter) if any(cell.strip() for cell in row)]
    except csv.Error:
        return []


def _find_metrics(rows: list[list[str]]) -> list[list[str]]:
    """Return the rows that hold a name and numbers only."""
    return [
        row
        for row in rows
        if len(row) > 2
        and not is_number(row[0])
        and row[0].strip()
        and all(is_number(cell) or not cell.strip() for cell in row[1:])
        and any(map(is_number, row[1:]))
    ]


def _begins_right(head: bytes) -> bool:
    """Tell from the second line whether it can be a name with numbers behind it."""
    lines = [line[:200] for line in head[:LOOK].split(b"\n")[:6] if line.strip()]
    if len(lines) < 2 or head.count(b"\n") > MOST_ROWS:
        return False
    cells = re.split(r"[\t;,]", decode(lines[1], guess_encoding(lines[1])))
    first, second = cells[0].strip('\r" '), (cells[1:] or ["x"])[0].strip('\r" ')
    return not is_number(first) and (not second or is_number(second))


def _matches(_path: Path, head: bytes) -> bool:
    if not _begins_right(head):
        return False
    lines = split_lines(decode(head[: 1 << 18], guess_encoding(head)))
    full = [line for line in lines[: MOST_ROWS + 1] if line.strip()]
    if not 1 < len(full) <= MOST_ROWS:
        return False
    cells = [[cell.strip() for cell in row] for row in _cut([line[:LINE_LENGTH] for line in full])]
    if len(cells) < 2 or len(cells[0]) < 3:
        return False
    whole = [
        row[:-1] if len(line) > LINE_LENGTH else row for row, line in zip(cells, full, strict=False)
    ]
    metrics = _find_metrics(whole)
    kinds = [classify(row[0]).kind for row in metrics]
    return len(metrics) >= len(cells) - 1 and bool({"loss", "batch_loss"} & set(kinds))


def _read(path: Path, columns: Mapping[str, str]) -> Run:
    head = files.read_head(path)
    files.check_text(path, head)
    rows = _cut(split_lines(decode(path.read_bytes(), guess_encoding(head)))[: MOST_ROWS + 1])
    metrics = _find_metrics(rows)
    if not metrics:
        raise FormatError(f"{path} has no row that is a metric's name with numbers behind it.")
    first = [cell.strip() for cell in rows[0][1:]]
    counted = rows[0] not in metrics and all(map(is_number, first))
    named = next((row for row in metrics if classify(row[0]).kind in {"epoch", "step"}), None)
    axis = named[1:] if named is not None else first
    unit = StepUnit.ROW
    if named is not None:
        unit = StepUnit.EPOCH if classify(named[0]).kind == "epoch" else StepUnit.STEP
    series = []
    for row in metrics:
        cells = parse_cells(row[1:])
        known = ~cells.missing
        steps = np.arange(1.0, known.size + 1)
        if (counted or named is not None) and len(axis) == known.size:
            steps = parse_cells(axis).values
        if row is not named:
            series.append(
                Series(
                    name=row[0].strip(), steps=steps[known], values=cells.values[known], unit=unit
                )
            )
    notes = ["The table lies on its side: each row was read as a curve."]
    return make_run(series, path=str(path), format=TRANSPOSED.name, columns=columns, notes=notes)


TRANSPOSED = Reader(
    name="csv-rows",
    description="a table on its side, a row for each metric: a transposed history",
    example="history.csv",
    matches=_matches,
    read=_read,
)
