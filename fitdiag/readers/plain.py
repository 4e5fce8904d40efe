"""Small tables of nothing but plain numbers, cut in one go; all others are left to the csv module.

A table is taken only where every cell is empty or a number as :func:`float` reads it, and every
row has as many cells as the header: then there is nothing to decide, and the numbers are the same.
"""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.readers.cells import Cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fitdiag.readers.grid import Wanted

__all__ = ["cut_plain"]

#: what plain numbers are made of
_DIGITS = b"0123456789.eE+-"


def cut_plain(data: bytes, wanted: Wanted) -> dict[int, Cells] | None:
    """Return the columns of a plain table, or None where anything in it is unusual.

    Parameters
    ----------
    data : bytes
        The whole file.
    wanted : Wanted
        What to read from it.

    Returns
    -------
    dict of int to Cells, or None
        By column index.
    """
    dialect = wanted.dialect
    mark = dialect.delimiter.encode()
    if len(mark) != 1 or dialect.decimal != "." or wanted.split is not None or wanted.groups:
        return None
    if wanted.encoding not in {"utf-8", "ascii", "latin-1"}:
        return None
    width = len(dialect.header)
    body = _cut_header(data.replace(b"\r\n", b"\n") if b"\r" in data else data, dialect.skip)
    marks = body.translate(None, _DIGITS)
    rows = len(marks) // width
    if not body or marks != (mark * (width - 1) + b"\n") * rows:
        return None
    cells = body[:-1].replace(b"\n", mark).split(mark)
    whole = np.zeros(rows, dtype=bool)
    columns = {at: _convert(cells[at::width], whole) for at in wanted.columns}
    if any(column is None for column in columns.values()):
        return None
    return {at: column for at, column in columns.items() if column is not None}


def _cut_header(data: bytes, lines: int) -> bytes:
    """Return what follows the first lines, with an end to its last one."""
    start = 0
    for _ in range(lines):
        start = data.find(b"\n", start) + 1
        if not start:
            return b""
    body = data[start:]
    return body if not body or body.endswith(b"\n") else body + b"\n"


def _convert(texts: list[bytes], whole: NDArray[np.bool_]) -> Cells | None:
    try:
        if b"" not in texts:
            return Cells(values=np.array(list(map(float, texts))), missing=whole)
        values = np.array([float(text) if text else nan for text in texts])
        return Cells(values=values, missing=np.array([not text for text in texts]))
    except ValueError:
        return None
