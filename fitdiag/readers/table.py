"""Any CSV, TSV or white-space table with column names that say what they are."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from fitdiag.errors import FormatError, ReadError
from fitdiag.readers import files
from fitdiag.readers.assembly import Table, build_run
from fitdiag.readers.cells import MISSING, is_number
from fitdiag.readers.dialect import find_dialect, split_rows
from fitdiag.readers.grid import Wanted, read_grid
from fitdiag.readers.reader import Reader
from fitdiag.readers.roles import Plan, Sample, plan_curves
from fitdiag.readers.text import decode, guess_encoding, split_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fitdiag.readers.dialect import Dialect
    from fitdiag.run import Run

__all__ = ["TABLE", "list_wanted", "read_columns"]

#: rows from which it is told which columns hold numbers
SAMPLE_ROWS = 400

#: cells of them that are looked at, at most
SAMPLE_CELLS = 100_000


def _matches(path: Path, head: bytes) -> bool:
    start = head.lstrip()[:1]
    if start in {b"{", b"["} and path.suffix.lower() not in {".csv", ".tsv"}:
        return False
    encoding = guess_encoding(head)
    lines = split_lines(decode(head[: 1 << 18], encoding))
    if find_dialect(lines) is not None:
        return True
    return path.suffix.lower() in {".csv", ".tsv"}


def _read(path: Path, columns: Mapping[str, str]) -> Run:
    head = files.read_head(path)
    files.check_text(path, head)
    encoding = guess_encoding(head)
    lines = split_lines(decode(head, encoding))
    if len(head) == files.HEAD_BYTES and len(lines) < 2:
        raise FormatError(f"{path}, line 1: longer than {files.HEAD_BYTES:,} bytes, so no table.")
    dialect = find_dialect(lines)
    if dialect is None:
        raise ReadError(_explain_no_table(path, lines))
    sample = _take_sample(path, lines, dialect)
    plan = plan_curves(sample, columns)
    return read_columns(path, dialect, encoding, plan, name=TABLE.name, native=False)


def read_columns(
    path: Path, dialect: Dialect, encoding: str, plan: Plan, *, name: str, native: bool
) -> Run:
    """Read the columns of a plan and make the run.

    Parameters
    ----------
    path : Path
        The file.
    dialect : Dialect
        How it is written.
    encoding : str
        Its encoding.
    plan : Plan
        Which column is which curve.
    name : str
        The reader's name.
    native : bool
        Whether fitdiag wrote it.

    Raises
    ------
    ReadError
        If there is no row of numbers.
    """
    wanted = Wanted(
        path=path,
        dialect=dialect,
        encoding=encoding,
        columns=list_wanted(plan),
        split=plan.split,
    )
    grid = read_grid(wanted)
    table = Table(
        path=str(path),
        format=name,
        header=dialect.header,
        columns=grid.columns,
        native=native,
    )
    ragged = grid.ragged
    if _is_torn(path, dialect, encoding):
        plan.notes.append("The last line was not finished; it was left out.")
        table = table.select(slice(0, -1))
        ragged -= 1
    if ragged > 0:
        what = "1 row has" if ragged == 1 else f"{ragged} rows have"
        plan.notes.append(
            f"{what} more or fewer than {len(dialect.header)} cells (first: row "
            f"{grid.first_ragged}): absent cells count as not measured, extra ones are ignored."
        )
    return build_run(table, plan)


def list_wanted(plan: Plan) -> list[int]:
    """Return the columns that a plan needs, in the order of the file."""
    wanted = {pick.index for pick in plan.curves.values()}
    wanted |= {at for at in (plan.step, plan.epoch, plan.index, plan.split) if at is not None}
    return sorted(wanted)


def _take_sample(path: Path, lines: Sequence[str], dialect: Dialect) -> Sample:
    width = len(dialect.header)
    count = max(4, min(SAMPLE_ROWS, SAMPLE_CELLS // width))
    body = lines[dialect.skip : dialect.skip + count]
    try:
        rows = list(split_rows(body, dialect.delimiter, quoted=dialect.quoted))
    except csv.Error as error:
        line = dialect.skip + 1
        raise ReadError(f"{path}, after line {line}: not a table cell: {error}.") from None
    cells = [tuple(row[at] if at < len(row) else "" for row in rows) for at in range(width)]
    return Sample(
        path=str(path),
        header=dialect.header,
        named=dialect.named,
        cells=cells,
        numeric=tuple(map(_is_numeric, cells)),
    )


def _is_numeric(cells: tuple[str, ...]) -> bool:
    filled = [cell for cell in cells if cell.strip().lower() not in MISSING]
    if not filled:
        return True
    return 2 * sum(map(is_number, filled)) >= len(filled)


def _is_torn(path: Path, dialect: Dialect, encoding: str) -> bool:
    """Tell whether the last line breaks off: no line end, and too few cells or half a number."""
    if encoding.startswith(("utf-16", "utf-32")):
        return False
    tail = files.read_tail(path)
    if tail.endswith((b"\n", b"\r")):
        return False
    lines = [line for line in split_lines(decode(tail, encoding)) if line.strip()]
    if len(lines) < 2:
        return False
    last, before = list(split_rows(lines[-1:], dialect.delimiter, quoted=False)), lines[-2:-1]
    width = len(next(iter(split_rows(before, dialect.delimiter, quoted=False)), []))
    return bool(last) and len(last[0]) < min(width, len(dialect.header))


def _explain_no_table(path: Path, lines: Sequence[str]) -> str:
    full = [line.strip() for line in lines if line.strip()]
    if not full:
        return f"{path} holds nothing but blank lines."
    if len(full) == 1:
        return f"{path} has one line, {full[0][:60]!r}, and no row of numbers below it."
    return (
        f"{path} has no numeric column that could be read: line 1 is {full[0][:60]!r}; fitdiag "
        "needs a table with a header and one row for each epoch or step."
    )


TABLE = Reader(
    name="csv",
    description="any CSV, TSV or white-space table with column names such as loss and val_loss",
    example="history.csv",
    matches=_matches,
    read=_read,
)
