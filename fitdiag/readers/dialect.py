"""How a table is written: delimiter, decimal sign, header. Found from its first lines."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fitdiag.readers.cells import is_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Dialect", "find_dialect", "split_rows"]

#: tried in this order; the empty one is any white space
DELIMITERS = ("\t", ";", "|", ",", "")

#: one that occurs in no text, for tables of one column
NO_DELIMITER = "\x1f"

#: how many lines are looked at
PROBE_LINES = 120

#: a table whose header is not within these lines is none
PREAMBLE_LINES = 80


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one table is written.

    Parameters
    ----------
    delimiter : str
        One character; empty for any white space.
    header : tuple of str
        The column names, stripped; ``"1", "2", …`` where the table has none.
    named : bool
        Whether the table has a header.
    skip : int
        How many lines stand before the first row.
    decimal : {".", ","}
        The decimal sign.
    quoted : bool
        Whether ``"`` quotes cells.
    spaced : bool
        Whether spaces follow the delimiter.
    """

    delimiter: str
    header: tuple[str, ...]
    named: bool
    skip: int
    decimal: str = "."
    quoted: bool = True
    spaced: bool = False


def split_rows(lines: Iterable[str], delimiter: str, *, quoted: bool = True) -> Iterator[list[str]]:
    """Cut lines into cells; blank lines become empty rows.

    Raises
    ------
    csv.Error
        If a cell is longer than the csv module allows (131,072 characters).
    """
    if not delimiter:
        return (line.split() for line in lines)
    if quoted:
        return csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, quoting=csv.QUOTE_NONE)


def find_dialect(lines: Sequence[str]) -> Dialect | None:
    """Tell how the table in these lines is written, or None if there is no table.

    Parameters
    ----------
    lines : sequence of str
        The first lines of the file.

    Returns
    -------
    Dialect or None
        That of the delimiter by which most rows have as many cells as the header.
    """
    probe = list(lines[:PROBE_LINES])
    quoted = sum(line.count('"') for line in probe) % 2 == 0
    best: tuple[float, Dialect] | None = None
    for delimiter in DELIMITERS:
        if not any(delimiter in line if delimiter else len(line.split()) > 1 for line in probe):
            continue
        found = _try_delimiter(probe, delimiter, quoted=quoted)
        if found is not None and (best is None or found[0] > best[0]):
            best = found
    best = best or _try_delimiter(probe, NO_DELIMITER, quoted=quoted)
    return best[1] if best else None


def _try_delimiter(
    lines: list[str], delimiter: str, *, quoted: bool
) -> tuple[float, Dialect] | None:
    rows: list[list[str]] = []
    for line in lines[: PREAMBLE_LINES + 1]:
        rows.append(_split(line, delimiter, quoted=quoted))
        if not line.lstrip().startswith("#") and any(map(is_number, rows[-1])):
            break
    else:
        return None
    first = len(rows) - 1
    rows += [_split(line, delimiter, quoted=quoted) for line in lines[len(rows) :]]
    full = (at for at in range(first, len(rows)) if not lines[at].lstrip().startswith("#"))
    body = [rows[at] for at in full if rows[at]]
    header = _find_header(lines, rows, first, delimiter)
    width = len(header) if header else len(body[0])
    if (width < 2) != (delimiter == NO_DELIMITER):
        return None
    same = sum(len(row) == width for row in body) / len(body)
    near = sum(len(row) > 1 for row in body) / len(body)
    if header is None:
        same = sum(len(row) == width and _is_numeric(row) for row in body) / len(body)
    score = same + 0.2 * near
    needed = 0.9 if not delimiter or header is None else 0.3
    if same < needed and not (delimiter and header and near > 0.5):
        return None
    dialect = Dialect(
        delimiter=delimiter,
        header=header or tuple(str(number + 1) for number in range(width)),
        named=header is not None,
        skip=first,
        decimal=_find_decimal(body, delimiter),
        quoted=quoted and bool(delimiter),
        spaced=bool(delimiter) and any(f"{delimiter} " in line for line in lines),
    )
    return score, dialect


def _split(line: str, delimiter: str, *, quoted: bool) -> list[str]:
    if delimiter and '"' not in line:
        cells = [cell.lstrip(" ") for cell in line.split(delimiter)]
    else:
        try:
            cells = next(iter(split_rows([line], delimiter, quoted=quoted)), [])
        except csv.Error:
            return []
    return cells if any(cell.strip() for cell in cells) else []


def _is_numeric(row: list[str]) -> bool:
    return all(is_number(cell) or not cell.strip(" -NAna/") for cell in row)


def _find_header(
    lines: list[str], rows: list[list[str]], first: int, delimiter: str
) -> tuple[str, ...] | None:
    ruled = (at for at in range(first - 1, -1, -1) if rows[at] and lines[at].strip(" |-+:=\t"))
    before = next(ruled, None)
    if before is None:
        return None
    cells = rows[before]
    if lines[before].lstrip().startswith("#"):  # what numpy.savetxt(header=…) writes
        text = lines[before].lstrip().lstrip("#").strip()
        cells = _split(text, delimiter, quoted=True)
        if len(cells) != len(rows[first]):
            return None
    if len(cells) < 2 and len(rows[first]) > 1:
        return None
    return tuple(cell.strip().strip("\ufeff\"'").strip()[:200] for cell in cells)


def _find_decimal(body: list[list[str]], delimiter: str) -> str:
    """Return what stands before the decimals; `1,234` may be either, `;` between cells decides."""
    if not any("," in cell for row in body for cell in row):
        return "."
    commas = dots = grouped = 0
    for row in body:
        for cell in row:
            token = cell.strip().rstrip("%")
            whole, comma, rest = token.partition(",")
            if comma and (rest[:1].isdigit() or not rest) and whole.lstrip("+-").isdigit():
                is_group = len(rest) == 3 and whole.lstrip("+-") != "0"
                commas, grouped = commas + (not is_group), grouped + is_group
            elif "." in token and token[-1:].isdigit() and "," not in token:
                dots += 1
    if not commas and not dots and delimiter in {";", "\t"}:
        return "," if grouped else "."
    return "," if commas > dots else "."
