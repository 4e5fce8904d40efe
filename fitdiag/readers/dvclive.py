"""DVCLive folders: one TSV for each metric in a tree of folders."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fitdiag.errors import ReadError
from fitdiag.readers.bundle import drop_summaries, read_sheet
from fitdiag.readers.reader import Reader
from fitdiag.readers.series import Series, make_run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["DVCLIVE"]

#: where the TSV files lie, newest layout first
TREES = ("plots/metrics", "scalars")

#: how many metrics are read
MOST_FILES = 2000


def _find_tree(path: Path) -> Path | None:
    for folder in (path, path / "dvclive"):
        for tree in TREES:
            if (folder / tree).is_dir():
                return folder / tree
    if path.name == "metrics" and path.parent.name == "plots":
        return path
    is_old = (path / "metrics.json").is_file() or (path / "dvclive.json").is_file()
    return path if is_old and next(path.glob("*.tsv"), None) is not None else None


def _has_finals(path: Path) -> bool:
    named = path.name == "dvclive" or (path / "dvc.yaml").is_file()
    return named and (path / "metrics.json").is_file()


def _matches(path: Path, _head: bytes) -> bool:
    return path.is_dir() and (_find_tree(path) is not None or _has_finals(path))


def _read(path: Path, columns: Mapping[str, str]) -> Run:
    tree = _find_tree(path) if path.is_dir() else None
    found = [] if tree is None else sorted(tree.rglob("*.tsv"))[:MOST_FILES]
    if tree is None or not found:
        raise ReadError(
            f"{path} holds the final values of a DVCLive run only, and no curve: the curves are "
            "the TSV files below plots/metrics, which `dvc pull` may bring back."
        )
    notes: list[str] = []
    series: list[Series] = []
    epochs: Series | None = None
    for file in found:
        name = file.relative_to(tree).with_suffix("").as_posix()
        try:
            sheet = read_sheet(file)
        except ReadError as error:
            notes.append(f"Left out {name}.tsv: {error}")
            continue
        values = [item for items in sheet.runs.values() for item in items]
        if name == "epoch":
            epochs = sheet.epochs
        elif values:
            series.append(replace(values[0], name=name))
    kept = drop_summaries(series, notes)
    return make_run(
        kept, path=str(path), format=DVCLIVE.name, columns=columns, epochs=epochs, notes=notes
    )


DVCLIVE = Reader(
    name="dvclive",
    description="a DVCLive folder: plots/metrics/**.tsv, a file for each metric",
    example="dvclive/",
    matches=_matches,
    read=_read,
    folders=True,
)
