"""Rows as files: CSV, JSON lines, Parquet; each appears whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import secrets
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fitdiag import __version__
from fitdiag.errors import ExtraError, ReadError, UsageError, WriteError
from fitdiag.fleet.rows import FLAT, Row

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    import pyarrow as pa

__all__ = ["SUFFIXES", "check_output", "make_table", "read_rows", "write_rows"]

#: what rows are written as, by the suffix of the file
SUFFIXES = (".csv", ".jsonl", ".parquet")

#: columns that hold whole numbers, and words; all others hold numbers
_INTEGERS = frozenset({"run", "points", "size"})
_WORDS = frozenset(
    {"path", "name", "format", "status", "reason", "note", "verdict", "codes", "severities"}
    | {"worst", "unit", "pick_path", "gradient"}
)

#: what a table in Parquet says of who wrote it
_MARK = b"fitdiag"

#: first bytes of the other two
_HEADS = {".csv": b"path,run,name,format,status,", ".jsonl": b'{"path": "'}


def check_output(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse, before anything is scanned, what could not be written afterwards.

    Raises
    ------
    UsageError
        For a suffix that names no kind of table.
    ExtraError
        If Parquet is wanted and pyarrow is not installed.
    WriteError
        If the folder is missing, or a file is there that fitdiag did not write.
    """
    place = Path(path)
    suffix = place.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{place} has no suffix that names a table; the choices are {', '.join(SUFFIXES)}"
        )
    if suffix == ".parquet":
        require_pyarrow()
    if not place.parent.is_dir():
        raise WriteError(f"cannot write {place}: there is no folder {place.parent}; make it first")
    if place.is_dir():
        raise WriteError(f"cannot write {place}: it is a folder; name a file in it")
    if place.exists() and not force and not _is_own(place, suffix):
        raise WriteError(
            f"{place} is there already and was not written by fitdiag; choose another name, or "
            "overwrite it with --force"
        )


def require_pyarrow() -> None:
    """Refuse to go on without pyarrow.

    Raises
    ------
    ExtraError
        Saying how to get it.
    """
    if find_spec("pyarrow") is None:
        raise ExtraError(
            "Parquet needs pyarrow, which is not installed: pip install 'fitdiag[cluster]', or "
            "write .csv or .jsonl instead"
        )


def write_rows(rows: Sequence[Row], path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write rows to a file, in the form that its suffix names.

    Parameters
    ----------
    rows : sequence of Row
        One line each.
    path : str or path
        ``.csv`` and ``.parquet`` have a column for each field and ``config.<name>`` for each
        setting; ``.jsonl`` has everything, the small curves too.
    force : bool
        Overwrite a file that fitdiag did not write.

    Raises
    ------
    UsageError, ExtraError, WriteError
        As :func:`check_output`, or if the file cannot be written.
    """
    check_output(path, force=force)
    place = Path(path)
    makers: dict[str, Callable[[Sequence[Row]], bytes]] = {
        ".csv": _make_csv,
        ".jsonl": _make_jsonl,
        ".parquet": _make_parquet,
    }
    _put(place, makers[place.suffix.lower()](rows))
    return place


def read_rows(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read back what :func:`write_rows` wrote, or a folder of Parquet partitions.

    Returns
    -------
    list of dict
        Fields by name as texts, numbers or None; codes are a list.

    Raises
    ------
    ReadError
        If the file is not there, or fitdiag did not write it.
    UsageError
        For a suffix that names no kind of table.
    """
    place = Path(path)
    suffix = ".parquet" if place.is_dir() else place.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{place} is no table of a scan; those end in {', '.join(SUFFIXES)}")
    readers: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
        ".csv": _read_csv,
        ".jsonl": _read_jsonl,
        ".parquet": _read_parquet,
    }
    try:
        rows = readers[suffix](place)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ReadError(f"{place} cannot be read as a table of a scan: {why}") from None
    if rows and not {"path", "run", "status", "codes"} <= set(rows[0]):
        raise ReadError(f"{place} was not written by `fitdiag scan`: it has no column of codes.")
    for row in rows:
        if isinstance(row["codes"], str):
            row["codes"] = row["codes"].split()
    return rows


def make_table(rows: Sequence[Row], *, whole: bool) -> pa.Table:
    """Return rows as a table of Arrow.

    Parameters
    ----------
    rows : sequence of Row
        One line each.
    whole : bool
        Settings and small curves as JSON in one column each, such that every part of a large
        table has the same columns; otherwise a column for each setting, and no curves.
    """
    import pyarrow as pa

    columns = {name: pa.array(_cells(rows, name), _type_of(name)) for name in FLAT}
    if whole:
        for name in ("config", "curves"):
            texts = [json.dumps(row.to_dict()[name], separators=(",", ":")) for row in rows]
            columns[name] = pa.array(texts, pa.string())
    else:
        for name in sorted({name for row in rows for name in row.config}):
            cells = [row.config.get(name) for row in rows]
            columns[f"config.{name}"] = _settings_column(cells)
    return pa.table(columns).replace_schema_metadata({_MARK: __version__.encode()})


def _settings_column(cells: list[Any]) -> pa.Array:
    """Return settings as numbers where all of them are, else as texts."""
    import pyarrow as pa

    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds <= {int, float} and all(abs(cell) < 2**53 for cell in cells if cell is not None):
        return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())
    if kinds == {bool}:
        return pa.array(cells, pa.bool_())
    return pa.array([None if cell is None else str(cell) for cell in cells], pa.string())


def _type_of(name: str) -> pa.DataType:
    import pyarrow as pa

    if name in _INTEGERS:
        return pa.int64()
    return pa.string() if name in _WORDS else pa.float64()


def _cells(rows: Sequence[Row], name: str) -> list[Any]:
    cells = [getattr(row, name) for row in rows]
    return [" ".join(cell) for cell in cells] if name in {"codes", "severities"} else cells


def _make_csv(rows: Sequence[Row]) -> bytes:
    settings = sorted({name for row in rows for name in row.config})
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FLAT, *(f"config.{name}" for name in settings)])
    columns = [_cells(rows, name) for name in FLAT]
    columns += [[row.config.get(name) for row in rows] for name in settings]
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode("utf-8", "backslashreplace")


def _make_jsonl(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row.to_dict(), allow_nan=False) + "\n" for row in rows).encode()


def _make_parquet(rows: Sequence[Row]) -> bytes:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(make_table(rows, whole=False), sink)
    return sink.getvalue()


def _put(place: Path, data: bytes) -> None:
    temporary = place.parent / f".fitdiag-{secrets.token_hex(6)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
        temporary.replace(place)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        why = (error.strerror or type(error).__name__).lower()
        raise WriteError(f"cannot write {place}: {why}") from error


def _is_own(place: Path, suffix: str) -> bool:
    try:
        with place.open("rb") as file:
            head = file.read(64)
        if suffix != ".parquet":
            return not head or head.startswith(_HEADS[suffix])
        import pyarrow.parquet as pq

        return _MARK in (pq.read_schema(place).metadata or {})
    except (OSError, ValueError):
        return False


def _read_csv(place: Path) -> list[dict[str, Any]]:
    with place.open(encoding="utf-8", newline="") as file:
        lines = csv.DictReader(file)
        if not {"path", "run", "status", "codes"} <= set(lines.fieldnames or ()):
            raise ValueError("it has no column of codes")
        return [_restore(row) for row in lines]


def _restore(row: dict[str, str]) -> dict[str, Any]:
    """Return the cells of a line as what they were: numbers as numbers, empty ones as None."""
    restored: dict[str, Any] = dict(row)
    for name in FLAT:
        text = row.get(name) or ""
        if name in _INTEGERS:
            restored[name] = int(text or 0)
        elif name not in _WORDS:
            restored[name] = float(text) if text else None
    restored["verdict"] = row.get("verdict") or None
    return restored


def _read_jsonl(place: Path) -> list[dict[str, Any]]:
    lines = place.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def _read_parquet(place: Path) -> list[dict[str, Any]]:
    require_pyarrow()
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(place).to_pylist()
    return rows
