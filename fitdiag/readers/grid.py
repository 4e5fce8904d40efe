"""From a delimited file to columns of numbers: csv for small files, arrow or pandas for large."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from fitdiag.errors import ReadError
from fitdiag.readers import files
from fitdiag.readers.arrow import can_take, read_plain
from fitdiag.readers.cells import (
    MISSING,
    Cells,
    CellsBuilder,
    parse_cells,
    parse_splits,
    parse_words,
)
from fitdiag.readers.dialect import split_rows
from fitdiag.readers.plain import cut_plain
from fitdiag.readers.text import decode, split_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from fitdiag.readers.dialect import Dialect

__all__ = ["Grid", "Wanted", "read_grid"]

#: cells that pandas cuts at a time: few enough to stay in the processor's cache
CHUNK_CELLS = 1 << 18

#: a large file that pandas cannot cut is read by the csv module up to this size
FALLBACK_BYTES = 1 << 28


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to read from where.

    Parameters
    ----------
    path : Path
        The file.
    dialect : Dialect
        How it is written.
    encoding : str
        Its encoding.
    columns : sequence of int
        Indices of the columns to read.
    split : int or None
        Which of them names splits instead of holding numbers.
    groups : tuple of int
        Which of them name runs.
    data : bytes or None
        The whole file, where it has been read already.
    """

    path: Path
    dialect: Dialect
    encoding: str
    columns: Sequence[int]
    split: int | None
    groups: tuple[int, ...] = ()
    data: bytes | None = None

    def open_rows(self) -> IO[str]:
        """Open the file behind its header."""
        file = self.path.open(encoding=self.encoding, errors="replace", newline="")
        for _ in range(self.dialect.skip):
            file.readline()
        return file

    def split_up(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Cut lines into rows of cells, leaving out blank ones."""
        rows = split_rows(lines, self.dialect.delimiter, quoted=self.dialect.quoted)
        return (row for row in rows if any(cell.strip() for cell in row))

    def parse(self, texts: Sequence[object], column: int) -> Cells:
        """Read the cells of a column."""
        if column == self.split:
            return parse_splits(texts)
        if column in self.groups:
            return parse_words(texts)
        return parse_cells(texts, self.dialect.decimal)


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The columns that were asked for, as numbers.

    Parameters
    ----------
    columns : dict of int to Cells
        By column index.
    ragged : int
        How many rows had more or fewer cells than the header.
    first_ragged : int
        Number of the first such row, from 1; 0 when there is none.
    """

    columns: dict[int, Cells]
    ragged: int = 0
    first_ragged: int = 0


def read_grid(wanted: Wanted) -> Grid:
    """Read some columns of a table.

    Parameters
    ----------
    wanted : Wanted
        What to read from where.

    Returns
    -------
    Grid
        The same whether it was read in one piece or, for a file larger than
        ``files.HEAD_BYTES``, in pieces by pandas.

    Raises
    ------
    ReadError
        Naming the line, if the file cannot be cut into cells.
    """
    if wanted.data is None and wanted.path.stat().st_size > files.HEAD_BYTES:
        return _read_large(wanted)
    return _read_small(wanted)


def _read_small(wanted: Wanted) -> Grid:
    skip = wanted.dialect.skip
    data = wanted.path.read_bytes() if wanted.data is None else wanted.data
    plain = cut_plain(data, wanted)
    if plain is not None:
        return Grid(columns=plain)
    lines = split_lines(decode(data, wanted.encoding))[skip:]
    rows: list[list[str]] = []
    try:
        rows.extend(wanted.split_up(lines))
    except csv.Error as error:
        line = skip + len(rows) + 1
        raise ReadError(f"{wanted.path}, near line {line}: no table cell: {error}.") from None
    ragged, first = _count_ragged(rows, len(wanted.dialect.header))
    columns = {}
    for at in wanted.columns:
        texts = [row[at] if at < len(row) else "" for row in rows]
        columns[at] = wanted.parse(texts, at)
    return Grid(columns=columns, ragged=ragged, first_ragged=first)


def _count_ragged(rows: Iterable[list[str]], width: int) -> tuple[int, int]:
    count = first = 0
    for number, row in enumerate(rows, start=1):
        cells = len(row) - 1 if len(row) == width + 1 and not row[-1].strip() else len(row)
        if cells != width:
            count += 1
            first = first or number
    return count, first


def _read_large(wanted: Wanted) -> Grid:
    if can_take(wanted):
        plain = read_plain(wanted, _expect_rows(wanted.path))
        if plain is not None:
            return Grid(columns=plain)
    from pandas.errors import ParserError  # half a second that small logs do not pay

    try:
        try:
            columns = _read_chunks(wanted, plain=True)
        except ParserError:
            raise
        except ValueError:  # a cell that is no plain number: read again with more care
            columns = _read_chunks(wanted, plain=False)
    except ValueError as error:  # a ParserError, or rows that are all longer than the header
        if wanted.path.stat().st_size > FALLBACK_BYTES:
            raise ReadError(f"{wanted.path} cannot be cut into cells: {error}.") from None
        return _read_small(wanted)
    rows = next(iter(columns.values())).missing.size if columns else 0
    ragged = first = 0
    width = len(wanted.dialect.header)
    if _count_delimiters(wanted) != rows * (width - 1):
        ragged, first = _find_ragged(wanted)
    return Grid(columns=columns, ragged=ragged, first_ragged=first)


def _read_chunks(wanted: Wanted, *, plain: bool) -> dict[int, Cells]:
    capacity = _expect_rows(wanted.path)
    builders = {at: CellsBuilder(capacity) for at in wanted.columns}
    for chunk in _iterate_chunks(wanted, plain=plain):
        for at, builder in builders.items():
            builder.add(_convert(chunk[at].to_numpy(), wanted, at))
    return {at: builder.finish() for at, builder in builders.items()}


def _expect_rows(path: Path) -> int:
    head = files.read_head(path)
    lines = head.count(b"\n") + 1
    return int(1.05 * lines * path.stat().st_size / len(head)) + 1


def _iterate_chunks(wanted: Wanted, *, plain: bool) -> Iterator[pd.DataFrame]:
    import pandas as pd

    dialect = wanted.dialect
    version = tuple(int(part) for part in pd.__version__.split(".")[:2])
    # the only precision since pandas 3.1; the same numbers as float() before
    precision: dict[str, Any] = {} if version >= (3, 1) else {"float_precision": "round_trip"}
    words = {wanted.split, *wanted.groups}
    types = {at: np.float64 for at in wanted.columns if at not in words}
    named = dict.fromkeys(wanted.groups, str)
    with wanted.open_rows() as file:
        yield from pd.read_csv(
            file,
            sep=dialect.delimiter or r"\s+",
            header=None,
            names=list(range(len(dialect.header))),
            usecols=list(wanted.columns),
            dtype={**types, **named} if plain else named,
            decimal=dialect.decimal,
            quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
            skipinitialspace=dialect.spaced,
            keep_default_na=False,
            na_values=[*MISSING, *(token.upper() for token in MISSING), "None", "Null"],
            low_memory=False,
            chunksize=max(1, CHUNK_CELLS // len(dialect.header)),
            **precision,
        )


def _convert(cells: NDArray[Any], wanted: Wanted, column: int) -> Cells:
    if column in {wanted.split, *wanted.groups} or cells.dtype.kind not in "iuf":
        return wanted.parse(cells.astype(object).tolist(), column)
    values = cells.astype(np.float64, copy=False)
    return Cells(values=values, missing=np.isnan(values))


def _count_delimiters(wanted: Wanted) -> int:
    """Count the delimiters in all rows, quoted ones included: cheap, and equal if all is well."""
    delimiter = wanted.dialect.delimiter
    if not delimiter or wanted.encoding.startswith(("utf-16", "utf-32")):
        return -1
    with wanted.open_rows() as rows:
        rows.seek(0)
        count = -sum(rows.readline().count(delimiter) for _ in range(wanted.dialect.skip))
    with wanted.path.open("rb") as file:
        while block := file.read(1 << 20):
            count += int(np.count_nonzero(np.frombuffer(block, np.uint8) == ord(delimiter)))
    return count


def _find_ragged(wanted: Wanted) -> tuple[int, int]:
    with wanted.open_rows() as file:
        try:
            return _count_ragged(wanted.split_up(file), len(wanted.dialect.header))
        except csv.Error:
            return 0, 0
