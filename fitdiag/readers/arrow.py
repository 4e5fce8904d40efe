"""Large plain tables by pyarrow, where it is installed: about four times as fast as pandas.

Only tables about which there is nothing to decide are taken; whatever pyarrow objects to is read
again with more care by :mod:`fitdiag.readers.grid`, so that the numbers are the same.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from fitdiag.readers.cells import MISSING, Cells, CellsBuilder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fitdiag.readers.grid import Wanted

__all__ = ["can_take", "read_plain"]

#: bytes that are cut at a time
BLOCK_BYTES = 1 << 19

#: memory that pyarrow has used is given back at once
_POOL = "system"


def can_take(wanted: Wanted) -> bool:
    """Tell whether a table is plain numbers in UTF-8, and pyarrow is there."""
    dialect = wanted.dialect
    return (
        wanted.encoding in {"utf-8", "utf-8-sig", "ascii"}
        and len(dialect.delimiter) == 1
        and dialect.decimal == "."
        and not dialect.spaced
        and wanted.split is None
        and not wanted.groups
        and find_spec("pyarrow") is not None
    )


def read_plain(wanted: Wanted, capacity: int) -> dict[int, Cells] | None:
    """Read the columns of a plain table.

    Parameters
    ----------
    wanted : Wanted
        What to read from where.
    capacity : int
        How many rows are expected.

    Returns
    -------
    dict of int to Cells, or None
        By column index; None if any cell is no plain number, or any row is too short or long.
    """
    import pyarrow as pa

    builders = {at: CellsBuilder(capacity) for at in wanted.columns}
    try:
        for batch in _iterate_batches(wanted):
            for (_, builder), column in zip(builders.items(), batch.columns, strict=True):
                builder.add(_convert(column))
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return None
    return {at: builder.finish() for at, builder in builders.items()}


def _iterate_batches(wanted: Wanted) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import csv

    dialect = wanted.dialect
    names = [str(at) for at in range(len(dialect.header))]
    kept = [str(at) for at in wanted.columns]
    spellings = {form for word in MISSING for form in (word, word.upper(), word.title())}
    with csv.open_csv(
        wanted.path,
        memory_pool=getattr(pa, f"{_POOL}_memory_pool")(),
        read_options=csv.ReadOptions(
            column_names=names, skip_rows=dialect.skip, block_size=BLOCK_BYTES, use_threads=False
        ),
        parse_options=csv.ParseOptions(
            delimiter=dialect.delimiter, quote_char='"' if dialect.quoted else False
        ),
        convert_options=csv.ConvertOptions(
            include_columns=kept,
            column_types=dict.fromkeys(kept, pa.float64()),
            null_values=sorted(spellings),
        ),
    ) as reader:
        yield from reader


def _convert(column: Any) -> Cells:  # noqa: ANN401  # pyarrow has no types
    """Look into the buffers: pyarrow's own conversion imports pandas, which takes half a second."""
    valid, data = column.buffers()
    inside = slice(column.offset, column.offset + len(column))
    values = np.frombuffer(data, np.float64)[inside]
    if valid is None:
        return Cells(values=values, missing=np.broadcast_to(np.False_, values.size))
    bits = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little", count=inside.stop)
    missing = bits[inside] == 0
    return Cells(values=np.where(missing, np.nan, values), missing=missing)
