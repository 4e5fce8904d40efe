"""CSV files that TensorBoard's page offers for download: one tag each, named in the file name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fitdiag.errors import ReadError
from fitdiag.readers import files
from fitdiag.readers.names import find_split
from fitdiag.readers.reader import Reader
from fitdiag.readers.series import Series, make_run
from fitdiag.readers.text import decode, split_lines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["TENSORBOARD_CSV", "name_export", "read_export"]

HEADER = re.compile(rb'(?:\xef\xbb\xbf)?"?Wall time"?,"?Step"?,"?Value"?\s*(?:[\r\n]|$)')
_NAME = re.compile(r"run-(?P<run>.*?)-tag-(?P<tag>.+)")
_COPY = re.compile(r"(?: ?\(\d+\)| - Copy)$")


def _matches(_path: Path, head: bytes) -> bool:
    return HEADER.match(head) is not None


def name_export(path: Path) -> str:
    """Return the name of the series in a download: its tag, and the split its run is named after.

    >>> from pathlib import Path
    >>> name_export(Path("run-version_0-tag-train_loss.csv"))
    'train_loss'
    >>> name_export(Path("run-validation-tag-epoch_loss.csv"))
    'validation/epoch_loss'
    """
    stem = path.stem if path.suffix.lower() == ".csv" else path.name
    stem = _COPY.sub("", stem)
    match = _NAME.fullmatch(stem)
    if match is None:
        return stem
    split = find_split(match["run"])
    if split and not find_split(match["tag"]):
        last = re.split(r"[\\/_.]", match["run"])[-1]
        return f"{last if find_split(last) else split}/{match['tag']}"
    return match["tag"]


def read_export(path: Path) -> Series:
    """Read one download as a named series.

    Parameters
    ----------
    path : Path
        A file with the columns ``Wall time``, ``Step`` and ``Value``, named
        ``run-<run>-tag-<tag>.csv``; downloads of several tags make one run together.

    Returns
    -------
    Series
        Rows that are torn are left out.

    Raises
    ------
    ReadError
        If it has no rows, or other columns.
    """
    head = files.read_head(path)
    if not HEADER.match(head):
        raise ReadError(f"{path} is no download from TensorBoard: it must begin with {COLUMNS}.")
    text = decode(path.read_bytes(), "utf-8-sig")
    steps: list[float] = []
    values: list[float] = []
    for line in split_lines(text)[1:]:
        cells = [cell.strip(' "') for cell in line.split(",")]
        try:
            step, value = float(cells[1]), float(cells[2])
        except (IndexError, ValueError):
            continue
        steps.append(step)
        values.append(value)
    if not steps:
        raise ReadError(f"{path} has a header but no rows: download it again.")
    return Series(name=name_export(path), steps=steps, values=values)


#: what the first line must say
COLUMNS = "Wall time,Step,Value"


def _read(path: Path, columns: Mapping[str, str]) -> Run:
    series = read_export(path)
    return make_run([series], path=str(path), format=TENSORBOARD_CSV.name, columns=columns)


TENSORBOARD_CSV = Reader(
    name="tensorboard-csv",
    description="CSV downloads from TensorBoard's page: Wall time,Step,Value, one tag a file",
    example="run-<run>-tag-<tag>.csv",
    matches=_matches,
    read=_read,
)
