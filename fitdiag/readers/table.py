"""Any CSV, TSV or white-space table with column names that say what they are."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.errors import FormatError, ReadError
from fitdiag.readers import files
from fitdiag.readers.assembly import Table, build_runs
from fitdiag.readers.cells import MISSING, is_number, parse_cells
from fitdiag.readers.dialect import find_dialect, split_rows
from fitdiag.readers.grid import Wanted, read_grid
from fitdiag.readers.names import classify, normalise
from fitdiag.readers.reader import Reader
from fitdiag.readers.refusals import VALIDATION, check_side
from fitdiag.readers.roles import Plan, plan_curves
from fitdiag.readers.sample import Sample
from fitdiag.readers.text import decode, guess_encoding, split_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fitdiag.readers.dialect import Dialect
    from fitdiag.run import Run

__all__ = ["TABLE", "list_wanted", "read_columns", "take_sample"]

#: names and values in turn, which is no header of a table
_SPOKEN = re.compile(r"\{['\"]|\w['\"]?[:=]\s+\d")

#: how many bytes are looked at to recognise a table: few, or more where the lines are long
LOOKS = (1 << 13, 1 << 18)

#: rows from which it is told which columns hold numbers
SAMPLE_ROWS = 400

#: cells of them that are looked at, at most
SAMPLE_CELLS = 100_000


def _matches(path: Path, head: bytes) -> bool:
    named = path.suffix.lower() in {".csv", ".tsv"}
    if head.lstrip()[:1] in {b"{", b"["} and not named:
        return False
    looks = (_find_table(head[:size]) for size in LOOKS if _is_enough(head, size))
    dialect = next((found for found in looks if found is not None), None)
    if dialect is not None:
        return not any(map(_SPOKEN.search, dialect.header))
    return named


def _is_enough(head: bytes, size: int) -> bool:
    """Tell whether to look at so many bytes: the most only if fewer hold no two lines."""
    return size == LOOKS[0] or len(head[: LOOKS[0]].splitlines()) < 3


def _find_table(head: bytes) -> Dialect | None:
    encoding = guess_encoding(head)
    inner = head[:4096].rstrip(b"\0")
    if 50 * inner.count(0) > len(inner) and not encoding.startswith("utf-"):
        return None
    return find_dialect(split_lines(decode(head, encoding)))


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    head = files.read_head(path)
    files.check_text(path, head)
    encoding = guess_encoding(head)
    lines = split_lines(decode(head, encoding))
    if len(head) == files.HEAD_BYTES and len(lines) < 2:
        raise FormatError(f"{path}, line 1: longer than {files.HEAD_BYTES:,} bytes, so no table.")
    dialect = find_dialect(lines)
    if dialect is None:
        raise ReadError(_explain_no_table(path, lines))
    sample = take_sample(path, lines, dialect)
    guessed = {} if columns or dialect.named else guess_columns(path, sample)
    plan = plan_curves(sample, columns or guessed)
    if guessed:
        named = ", ".join(f"column {number} as the {what}" for what, number in guessed.items())
        plan.notes.append(f"The file does not name its columns: read {named.replace('_', ' ')}.")
    if not columns:
        check_side(path, sample, plan)
    whole = files.keep_whole(head)
    return read_columns(path, dialect, encoding, plan, name=TABLE.name, native=False, data=whole)


def read_columns(
    path: Path,
    dialect: Dialect,
    encoding: str,
    plan: Plan,
    *,
    name: str,
    native: bool,
    data: bytes | None = None,
) -> list[Run]:
    """Read the columns of a plan and make the runs.

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
    data : bytes, optional
        The whole file, where it has been read already.

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
        groups=plan.groups,
        data=data,
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
    tail = files.read_tail(path) if data is None else data[-files.TAIL_BYTES :]
    is_short = _is_short(tail, dialect, encoding)
    if is_short or (native and not tail.endswith(b"\n")):
        plan.notes.append("The last line was not finished; it was left out.")
        table = table.select(slice(0, -1))
        ragged -= is_short
    if ragged > 0:
        what = "1 row has" if ragged == 1 else f"{ragged} rows have"
        plan.notes.append(
            f"{what} more or fewer than {len(dialect.header)} cells (first: row "
            f"{grid.first_ragged}): absent cells count as not measured, extra ones are ignored."
        )
    return build_runs(table, plan)


def guess_columns(path: Path, sample: Sample) -> dict[str, str]:
    """Guess what the columns of a table without a header are, from its shape and its name.

    Returns
    -------
    dict of str to str
        Curve to column number: one column in a file that is called after a loss or after
        training, or one column beside a counter; nothing otherwise.
    """
    values = parse_cells(sample.cells[-1]).values
    told, words = classify(path.stem), normalise(path.stem).split("_")
    if len(sample.header) == 1:
        is_train = "loss" in words or words[-1] == "train"
        if not is_train or told.kind == "decoy" or VALIDATION & set(words):
            return {}
        return {"train_loss": "1"}
    counter = parse_cells(sample.cells[0]).values
    steps = np.diff(counter)
    counts = counter[0] in {0, 1} and bool(((steps == 1) | (counter[1:] == counter[0])).all())
    is_share = bool((np.abs(values - 0.5) <= 0.5).all()) and values[-1] >= values[0]
    if len(sample.header) == 2 and values.size > 1 and counts and not is_share:
        return {"epoch": "1", "train_loss": "2"}
    return {}


def list_wanted(plan: Plan) -> list[int]:
    """Return the columns that a plan needs, in the order of the file."""
    wanted = {at for pick in plan.curves.values() for at in (pick.index, *pick.more)}
    wanted |= {at for at in (plan.step, plan.epoch, plan.index, plan.split) if at is not None}
    wanted |= set(plan.groups)
    return sorted(wanted)


def take_sample(path: Path, lines: Sequence[str], dialect: Dialect) -> Sample:
    """Cut the first rows of a table, to tell its columns apart.

    Raises
    ------
    ReadError
        If they cannot be cut into cells.
    """
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


def _is_short(tail: bytes, dialect: Dialect, encoding: str) -> bool:
    """Tell whether the last line breaks off: no line end, and too few cells."""
    if encoding.startswith(("utf-16", "utf-32")):
        return False
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
