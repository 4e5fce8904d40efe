"""Several tables that are one run: a file for each metric, or one for each split."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.errors import ReadError
from fitdiag.readers import files
from fitdiag.readers.axis import choose_axis, find_starts
from fitdiag.readers.dialect import find_dialect
from fitdiag.readers.grid import Wanted, read_grid
from fitdiag.readers.names import Name, classify, find_split, normalise
from fitdiag.readers.series import Series, make_run
from fitdiag.readers.table import take_sample
from fitdiag.readers.text import decode, guess_encoding, split_lines
from fitdiag.readers.vocabulary import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from fitdiag.readers.cells import Cells
    from fitdiag.readers.sample import Sample
    from fitdiag.run import Run

__all__ = ["Sheet", "drop_summaries", "name_series", "read_bundle", "read_sheet"]

#: ``<run> - <metric>`` as W&B names the columns of an export
_EXPORTED = re.compile(r"(?P<run>.+) - (?P<metric>.+?)")

#: what W&B adds to the columns of a range
RANGES = ("__MIN", "__MAX")

#: file names of TensorBoard's CSV downloads
_DOWNLOAD = re.compile(r"run-(?P<run>.*)-tag-(?P<tag>.+)", re.DOTALL)

#: kinds of columns that hold no curve
_AXES = frozenset({"step", "epoch", "index", "split", "decoy"})

#: rank of metrics whose name is not known
UNKNOWN = 10

#: files are read together up to this many
MOST_FILES = 2000


@dataclass(frozen=True, kw_only=True, eq=False)
class Sheet:
    """The numeric columns of one table, by the run that they belong to.

    Parameters
    ----------
    runs : dict of str to list of Series
        Key ``""`` where the table names no run.
    epochs : Series or None
        The epoch of each step, where the table has both.
    notes : list of str
        What was decided.
    """

    runs: dict[str, list[Series]]
    epochs: Series | None = None
    notes: list[str] = field(default_factory=list)


def read_bundle(
    paths: Sequence[Path], columns: Mapping[str, str], *, name: str = "csv", path: str = ""
) -> list[Run]:
    """Read several tables as one run, or as several where their columns name runs.

    Parameters
    ----------
    paths : sequence of Path
        The files. What a file's columns leave open, its name tells: the split, or the metric.
    columns : mapping of str to str
        Canonical curve name to the series' name.
    name : str
        The reader's name.
    path : str
        For messages. Default: all paths.

    Raises
    ------
    ReadError
        If one of the files is no table.
    ColumnError
        If no training loss can be told.
    """
    sheets = [read_sheet(file) for file in paths[:MOST_FILES]]
    path = path or " and ".join(str(file) for file in paths)
    names = list(dict.fromkeys(run for sheet in sheets for run in sheet.runs if run))
    groups = [set(names) | {""}] if len(names) < 2 else [{one, ""} for one in names]
    runs = []
    for group in groups:
        series: dict[str, Series] = {}
        for file, sheet in zip(paths, sheets, strict=False):
            for item in (one for run in group for one in sheet.runs.get(run, [])):
                label = item.name
                if label in series:
                    label = f"{file.parent.name}/{item.name}"
                if label in series:
                    label = f"{file.stem}/{item.name}"
                series.setdefault(label, replace(item, name=label))
        runs.append(_make_one(series, sheets, group, columns, name=name, path=path))
    return runs


def _make_one(
    series: dict[str, Series],
    sheets: Sequence[Sheet],
    group: set[str],
    columns: Mapping[str, str],
    *,
    name: str,
    path: str,
) -> Run:
    notes = list(dict.fromkeys(note for sheet in sheets for note in sheet.notes))
    named = sorted(group - {""})
    if named:
        notes.insert(0, f'The columns name the run "{named[0]}".')
    epochs = next((sheet.epochs for sheet in sheets if sheet.epochs is not None), None)
    kept = drop_summaries(series.values(), notes)
    if not kept:
        raise ReadError(f"{path}: none of its columns holds a number.")
    return make_run(kept, path=path, format=name, columns=columns, epochs=epochs, notes=notes)


def drop_summaries(series: Iterable[Series], notes: list[str]) -> list[Series]:
    """Leave out series of one value where others of the same kind go on over the run."""
    items = list(series)
    sizes = {id(item): int(np.size(item.values)) for item in items}
    long = {_kind(classify(item.name)) for item in items if sizes[id(item)] > 2}
    kept = [item for item in items if sizes[id(item)] > 1 or _kind(classify(item.name)) not in long]
    dropped = [item.name for item in items if not any(item is one for one in kept)]
    if dropped:
        names = ", ".join(f'"{name}"' for name in dropped[:8])
        notes.append(f"Left out final values, which are no curves: {names}.")
    return kept


def _kind(name: Name) -> tuple[str, bool]:
    return name.kind, name.split in {"", "train"}


def read_sheet(path: Path) -> Sheet:
    """Read every numeric column of a table.

    Raises
    ------
    ReadError
        If the file is no table.
    """
    head = files.read_head(path)
    files.check_text(path, head)
    encoding = guess_encoding(head)
    lines = split_lines(decode(head, encoding))
    dialect = find_dialect(lines)
    if dialect is None:
        raise ReadError(f"{path} is no table of numbers, so it cannot be read with other files.")
    sample = take_sample(path, lines, dialect)
    usable = [at for at in range(len(sample.header)) if sample.numeric[at]]
    grid = read_grid(
        Wanted(path=path, dialect=dialect, encoding=encoding, columns=usable, split=None)
    )
    return _sort_columns(path, sample, grid.columns)


def _sort_columns(path: Path, sample: Sample, cells: Mapping[int, Cells]) -> Sheet:
    told = {at: classify(_metric_of(sample.header[at])) if sample.named else None for at in cells}
    axes = {
        kind: next((cells[at] for at in _by_rank(told, kind)), None)
        for kind in ("step", "epoch", "index")
    }
    size = next(iter(cells.values())).values.size if cells else 0
    if not sample.named and len(cells) > 1 and _counts(next(iter(cells.values()))):
        axes["epoch"] = cells[min(cells)]
        told[min(cells)] = Name(kind="epoch")
    axis = choose_axis(axes["step"], axes["epoch"], axes["index"], np.ones(size, dtype=bool))
    notes = axis.notes if axis.turns else []
    start = find_starts(axis.clock[0])[-1] if size else 0
    if start and size - start > 1:
        notes = [f"{path.name} holds several runs; the last was used (from row {start + 1})."]
    else:
        start = 0
    rows = slice(start, size)
    axis = axis.select(rows)
    values = [at for at in cells if told[at] is None or told[at].kind not in _AXES]  # type: ignore[union-attr]  # None was asked for before
    runs: dict[str, list[Series]] = {}
    for at in values:
        label = sample.header[at]
        run, metric = _split_export(label)
        if metric.endswith(RANGES):
            continue
        name = name_series(path, metric if sample.named else "", alone=len(values) == 1)
        known = ~cells[at].missing[rows]
        item = Series(
            name=name, steps=axis.steps[known], values=cells[at].values[rows][known], unit=axis.unit
        )
        if known.any():
            runs.setdefault(run, []).append(item)
    curve = axis.make_epochs()
    epochs = (
        None
        if curve is None
        else Series(name="epoch", steps=curve.steps, values=curve.values, unit=axis.unit)
    )
    return Sheet(runs=runs, epochs=epochs, notes=notes)


def _by_rank(told: Mapping[int, Name | None], kind: str) -> list[int]:
    found = [(name.rank, at) for at, name in told.items() if name is not None and name.kind == kind]
    return [at for _, at in sorted(found)]


def _counts(cells: Cells) -> bool:
    values = cells.values
    return bool(
        values.size > 1 and (np.diff(values) == np.diff(values)[0]).all() and values[0] in {0, 1}
    )


def _split_export(label: str) -> tuple[str, str]:
    match = _EXPORTED.fullmatch(label)
    if match is None or classify(match["metric"]).kind == "other":
        return "", label
    if find_split(match["run"]) and not classify(match["metric"]).split:
        return "", label  # "Train - Loss" names a split and no run
    return match["run"], match["metric"]


def _metric_of(label: str) -> str:
    return _split_export(label)[1]


def name_series(path: Path, column: str, *, alone: bool) -> str:
    """Return what a column is called, with what only the file's name tells.

    Parameters
    ----------
    path : Path
        The file; its name and its folder's may name the split, or the metric.
    column : str
        As the file calls it; empty without a header.
    alone : bool
        Whether it is the only column of values.
    """
    download = _DOWNLOAD.fullmatch(path.stem)
    name = column
    if download is not None:
        name = download["tag"].replace("_", "/") if "/" in column else download["tag"]
    elif alone and classify(column).kind in {"other", "index"}:
        name = path.stem
    told = classify(name)
    unclear = told.kind == "other" or (told.kind == "metric" and told.rank >= UNKNOWN)
    if alone and not column and unclear and find_split(name.rpartition("_")[2]):
        name = "loss"  # numbers alone, in a file that is called after a split
        told = classify(name)
    if told.split or told.kind in {"lr", "grad_norm", "grad_norm_max", "decoy"}:
        return name
    split = find_split(path.stem if download is None else download["run"])
    if not split and download is None and normalise(path.parent.name) in SPLITS:
        split = find_split(path.parent.name)
    return f"{split}/{name}" if split else name
