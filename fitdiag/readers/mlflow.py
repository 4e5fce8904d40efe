"""MLflow: its SQLite store, and the folder store ``mlruns/<experiment>/<run>/metrics/<name>``."""

from __future__ import annotations

import contextlib
import os
import re
from array import array
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.errors import ReadError
from fitdiag.readers.folder import USUAL
from fitdiag.readers.names import classify, normalise
from fitdiag.readers.reader import Reader
from fitdiag.readers.scalars import flatten, read_text_value
from fitdiag.readers.sqlite_store import has_tables, open_store
from fitdiag.readers.tracks import Origin, Track, collect_runs, make_runs
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from fitdiag.run import Run
    from fitdiag.source import Scalar

    Floats = NDArray[np.float64]

__all__ = ["MLFLOW"]

TABLES = frozenset({"metrics", "runs", "alembic_version"})

#: the database that MLflow 3 makes by default
DATABASE = "mlflow.db"

#: what the database stores for an infinity
LARGEST = 1.7976931348623157e308

#: what a parameter with the number of epochs is called
EPOCHS = frozenset({"epoch", "num_epoch", "n_epoch", "max_epoch", "num_train_epoch", "nb_epoch"})

#: how many folders are looked at to tell a store
TRIED = 100

#: folders between a store and a metric's file: a name may hold slashes
DEPTH = 12

_STATES = {"1": "running", "4": "failed", "5": "killed", "RUNNING": "running", "FAILED": "failed"}
_STATES["KILLED"] = "killed"
_RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass
class _Found:
    """What one run of MLflow holds: name to when, where, what."""

    path: str
    name: str
    state: str
    points: dict[str, tuple[array[float], array[float], array[float]]] = field(default_factory=dict)
    epochs: set[float] = field(default_factory=set)
    config: dict[str, Scalar] = field(default_factory=dict)

    def add(self, name: str, time: float, step: float, value: float) -> None:
        if name.startswith("system/"):
            return
        columns = self.points.setdefault(name, (array("d"), array("d"), array("d")))
        for column, number in zip(columns, (time, step, value), strict=True):
            column.append(number)

    def add_parameter(self, value: str) -> None:
        with contextlib.suppress(ValueError):
            self.epochs.add(float(value))


def _names_epochs(name: str) -> bool:
    return normalise(name).replace("epochs", "epoch") in EPOCHS


def _make_runs(found: _Found, columns: Mapping[str, str]) -> list[Run]:
    notes = [f'MLflow run "{found.name}".'] if found.name else []
    state = _STATES.get(found.state)
    if state:
        notes.append(f"MLflow calls this run {state}.")
    if not found.points:
        raise ReadError(f"{found.path} is an MLflow run without metrics: nothing to judge.")
    tracks = []
    for name, (times, steps, values) in found.points.items():
        order = np.array(times)
        rank = np.argsort(order, kind="stable")
        tracks.append(
            Track(
                name=name,
                order=order[rank],
                steps=np.array(steps)[rank],
                values=np.array(values)[rank],
            )
        )
    tracks = _set_units(tracks, found, notes)
    clocks = [track for track in tracks if classify(track.name).kind == "epoch"]
    clock = clocks[0] if clocks and clocks[0].unit is StepUnit.STEP else None
    origin = Origin(path=found.path, format=MLFLOW.name, columns=columns, notes=tuple(notes))
    origin = replace(origin, config=flatten(found.config))
    return make_runs(tracks, origin, clock=clock)


def _set_units(tracks: list[Track], found: _Found, notes: list[str]) -> list[Track]:
    """Return the tracks numbered where no steps were given, and by epoch where they count those."""
    many = [track for track in tracks if track.values.size > 1]
    if not many:
        return tracks
    longest = max(many, key=lambda track: track.values.size)
    if all((track.steps == track.steps[0]).all() for track in many):
        notes.append("No steps were logged: the values were numbered.")
        return [
            Track(
                name=track.name,
                order=track.order,
                steps=_number(track, longest),
                values=track.values,
                unit=StepUnit.ROW,
            )
            for track in tracks
        ]
    losses = [track for track in many if classify(track.name).kind == "loss"]
    if losses and all(_counts_epochs(track, found.epochs) for track in losses):
        for at, track in enumerate(tracks):
            tracks[at] = Track(
                name=track.name,
                order=track.order,
                steps=track.steps,
                values=track.values,
                unit=StepUnit.EPOCH,
            )
    return tracks


def _number(track: Track, longest: Track) -> Floats:
    """Return a series' index, or where the longest series stood when a shorter one was logged."""
    if track.values.size == longest.values.size:
        return np.arange(1.0, track.values.size + 1)
    return np.searchsorted(longest.order, track.order, side="right").clip(1).astype(float)


def _counts_epochs(track: Track, epochs: set[float]) -> bool:
    return float(track.steps.size) in epochs and bool((np.diff(track.steps) == 1).all())


def _read_meta(folder: Path) -> dict[str, str]:
    """Return the plain entries of a meta.yaml."""
    entries: dict[str, str] = {}
    try:
        with (folder / "meta.yaml").open(encoding="utf-8", errors="replace") as file:
            text = file.read(1 << 16)
    except OSError:
        return entries
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and not name.startswith((" ", "#")):
            entries[name] = value.strip().strip("'\"")
    return entries


def _is_run(folder: Path) -> bool:
    if not (folder / "meta.yaml").is_file():
        return False
    entries = _read_meta(folder)
    return "run_uuid" in entries or "run_id" in entries


def _walk_files(folder: Path, depth: int = DEPTH) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (OSError, ValueError):
        return
    for entry in entries:
        path = folder / entry.name
        if entry.is_file():
            yield path
        elif depth and entry.is_dir(follow_symlinks=False):
            yield from _walk_files(path, depth - 1)


def _read_folder_run(folder: Path, columns: Mapping[str, str]) -> list[Run]:
    entries = _read_meta(folder)
    found = _Found(
        path=str(folder),
        name=entries.get("run_name", ""),
        state=entries.get("status", ""),
    )
    for path in _walk_files(folder / "metrics"):
        name = path.relative_to(folder / "metrics").as_posix()
        with path.open("rb") as file:
            width = 0
            for line in file:
                cells = line.split()
                width = width or len(cells)
                if len(cells) == width:  # or else it is torn
                    _add_line(found, name, cells)
    for path in _walk_files(folder / "params"):
        if _names_epochs(path.name):
            with path.open(encoding="utf-8", errors="replace") as file:
                found.add_parameter(file.read(100))
    return _make_runs(found, columns)


def _add_line(found: _Found, name: str, cells: list[bytes]) -> None:
    """Add ``time value``, ``time value step``, or that and what data set it was measured on."""
    if len(cells) not in (2, 3, 5):
        return
    try:
        time, value = float(cells[0]), float(cells[1])
        step = float(cells[2]) if len(cells) > 2 else 0.0
    except ValueError:
        return
    found.add(name, time, step, value)


def _find_runs(folder: Path) -> list[Path]:
    """Return the run folders of a store, an experiment or a run, the oldest first."""
    if _is_run(folder):
        return [folder]
    if (folder / "mlruns").is_dir():
        return _find_runs(folder / "mlruns")
    runs = []
    for child in _list_folders(folder):
        if _is_run(child):
            runs.append(child)
        elif (child / "meta.yaml").is_file():
            runs.extend(each for each in _list_folders(child) if _is_run(each))
        else:  # a run that was kept without its experiment's description
            runs.extend(
                each
                for each in _list_folders(child)
                if _RUN_ID.fullmatch(each.name) and _is_run(each)
            )
    return sorted(runs, key=_started)


def _list_folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        return []
    return [folder / name for name in names]


def _started(run: Path) -> tuple[float, str]:
    try:
        return float(_read_meta(run).get("start_time", "0")), run.name
    except ValueError:
        return 0.0, run.name


def _read_folder(folder: Path, columns: Mapping[str, str]) -> list[Run]:
    runs = _find_runs(folder)
    kept = [run for run in runs if _read_meta(run).get("lifecycle_stage") != "deleted"]
    database = _find_database(folder)
    if database is not None and not any((run / "metrics").is_dir() for run in kept):
        return _read_database(database, columns)
    if runs and not kept:
        raise ReadError(
            f"{folder} holds deleted MLflow runs only: `mlflow runs restore` brings one back."
        )

    def reading(run: Path) -> Callable[[], list[Run]]:
        return lambda: _read_folder_run(run, columns)

    return collect_runs(folder, [reading(run) for run in kept], "an MLflow store")


def _find_database(folder: Path) -> Path | None:
    """Return the database inside a folder or, for mlruns, beside it."""
    places = [folder, folder.parent] if folder.name == "mlruns" else [folder]
    return next((each / DATABASE for each in places if (each / DATABASE).is_file()), None)


def _read_database(path: Path, columns: Mapping[str, str]) -> list[Run]:
    with open_store(path, "an MLflow store", TABLES) as store:
        runs = {
            run: _Found(path=str(path), name=str(name or ""), state=str(state))
            for run, name, state in store.execute(
                "SELECT run_uuid, name, status FROM runs WHERE lifecycle_stage IS NOT 'deleted' "
                "ORDER BY start_time, rowid"
            )
        }
        _query_metrics(store, runs)
        _query_parameters(store, runs)

    def reading(found: _Found) -> Callable[[], list[Run]]:
        return lambda: _make_runs(found, columns)

    return collect_runs(path, [reading(found) for found in runs.values()], "an MLflow store")


def _query_parameters(store: sqlite3.Connection, runs: Mapping[str, _Found]) -> None:
    for run, key, value in store.execute("SELECT run_uuid, key, substr(value, 1, 500) FROM params"):
        if run not in runs:
            continue
        name, text = str(key), str(value)
        runs[run].config[name] = read_text_value(text)
        if _names_epochs(name):
            runs[run].add_parameter(text)


def _query_metrics(store: sqlite3.Connection, runs: Mapping[str, _Found]) -> None:
    for run, key, value, time, step, is_nan in store.execute(
        "SELECT run_uuid, key, value, timestamp, step, is_nan FROM metrics"
    ):
        if run not in runs or not all(
            isinstance(cell, (int, float)) for cell in (value, time, step)
        ):
            continue
        number = float("nan") if is_nan else float(value)
        if abs(number) >= LARGEST:
            number = float("inf") if number > 0 else float("-inf")
        runs[run].add(str(key), float(time), float(step), number)


def _matches(path: Path, head: bytes) -> bool:
    if head or not path.is_dir():
        return has_tables(path, head, TABLES)
    if _is_store(path):
        return True
    database = _find_database(path)
    if database is None or any((path / name).exists() for name in USUAL):
        return False
    return has_tables(database, _head(database), TABLES)


def _is_store(path: Path) -> bool:
    """Tell a run, an experiment, a store, and a folder that holds nothing but a store."""
    if (path / "meta.yaml").is_file():
        entries = _read_meta(path)
        return bool({"run_uuid", "run_id", "artifact_location"} & set(entries))
    children = _list_folders(path)
    if [child.name for child in children] == ["mlruns"]:
        with os.scandir(path) as inside:
            alone = all(each.name in {"mlruns", DATABASE} for each in inside)
        return alone and _is_store(path / "mlruns")
    return any((child / "meta.yaml").is_file() and _is_store(child) for child in children[:TRIED])


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096)


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    return _read_folder(path, columns) if path.is_dir() else _read_database(path, columns)


MLFLOW = Reader(
    name="mlflow",
    description="MLflow: mlflow.db, an mlruns folder, or one experiment or run in it",
    example="mlflow.db",
    matches=_matches,
    read=_read,
    folders=True,
    text=False,
)
