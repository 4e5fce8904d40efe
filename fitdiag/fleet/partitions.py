"""Rows as Parquet files in one folder, one for each piece of work, on any file system.

The name of a file is made from what was to be done, so that work which is done twice, by a worker
that was given up or by a scan that is begun again, writes the same file and not a second one.
"""

from __future__ import annotations

import io
import json
import posixpath
import re
import secrets
from typing import TYPE_CHECKING

from fitdiag.errors import WriteError
from fitdiag.fleet.remote import open_place
from fitdiag.fleet.rows import Row
from fitdiag.fleet.store import make_table, require_pyarrow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

__all__ = ["drop_others", "list_parts", "prepare", "read_parts", "write_part"]

_NAME = re.compile(r"part-([0-9a-f]{24})\.parquet")

#: file systems on which a file appears whole, and moving one is copying it
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "memory"})


def prepare(out: str) -> None:
    """Make the folder of the partitions where it is missing.

    Raises
    ------
    WriteError
        If it cannot be made.
    """
    require_pyarrow()
    system, folder = open_place(out)
    try:
        system.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise WriteError(f"cannot make the folder {out}: {error}") from error


def list_parts(out: str) -> set[str]:
    """Return the keys of the partitions that are there."""
    system, folder = open_place(out)
    system.invalidate_cache()
    names = (posixpath.basename(str(path).rstrip("/")) for path in system.ls(folder, detail=False))
    return {match[1] for match in map(_NAME.fullmatch, names) if match}


def write_part(out: str, key: str, rows: Sequence[Row]) -> None:
    """Write one partition: whole or not at all.

    Parameters
    ----------
    out : str
        The folder, a path or a URL.
    key : str
        24 hexadecimal digits that name the work.
    rows : sequence of Row
        What it came to.
    """
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(make_table(rows, whole=True), sink)
    system, folder = open_place(out)
    target = f"{folder}/part-{key}.parquet"
    protocols = {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)
    if protocols & OBJECT_STORES:
        system.pipe_file(target, sink.getvalue())
        return
    temporary = f"{folder}/.fitdiag-{secrets.token_hex(6)}.tmp"
    system.pipe_file(temporary, sink.getvalue())
    system.mv(temporary, target)


def read_parts(out: str, keys: Iterable[str]) -> Iterator[Row]:
    """Yield the rows of some partitions."""
    import pyarrow.parquet as pq

    system, folder = open_place(out)
    for key in sorted(keys):
        data = io.BytesIO(system.cat_file(f"{folder}/part-{key}.parquet"))
        for cells in pq.read_table(data).to_pylist():
            codes = {name: cells[name].split() for name in ("codes", "severities")}
            bulk = {name: json.loads(cells[name]) for name in ("config", "curves")}
            yield Row.from_dict({**cells, **codes, **bulk})


def drop_others(out: str, keys: Collection[str]) -> int:
    """Remove partitions of logs that changed or went since; return how many."""
    system, folder = open_place(out)
    stale = list_parts(out) - set(keys)
    for key in stale:
        system.rm_file(f"{folder}/part-{key}.parquet")
    return len(stale)
