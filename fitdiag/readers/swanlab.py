"""SwanLab, three generations: a database with folders of logs, ``backup.swanlab``, run files.

The first is SQLite, with the values in JSON lines below each run's ``logs``. The other two share
the LevelDB log that W&B uses; the second holds JSON in it, the third protocol buffers.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from fitdiag.errors import FormatError, ReadError
from fitdiag.readers import protobuf
from fitdiag.readers.folder import USUAL
from fitdiag.readers.leveldb_log import Damage, iterate_records
from fitdiag.readers.reader import Reader
from fitdiag.readers.rows import Rows, to_number
from fitdiag.readers.sqlite_store import has_tables, open_store
from fitdiag.readers.tracks import Origin, collect_runs, make_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["SWANLAB"]

MAGIC = b":SWL\xd6\xe1"
TABLES = frozenset({"experiment", "tag", "namespace"})

#: magic and version
HEADER_BYTES = 7

#: what SwanLab logs by itself
SKIPPED = ("__swanlab__",)

#: fields of a record of the third generation
START, FINISH, SCALAR = 10, 11, 13

#: a longer line of a log is no scalar
LINE_BYTES = 1 << 16

#: the database of the first generation
DATABASE = "runs.swanlab"


@dataclass
class _Log:
    rows: Rows = field(default_factory=lambda: Rows(skipped=SKIPPED))
    name: str = ""
    ended: bool = False
    unreadable: int = 0
    damage: Damage = field(default_factory=Damage)


def _read_file(path: Path, columns: Mapping[str, str]) -> list[Run]:
    """Read a run of the second or third generation."""
    log = _Log()
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
        if not header.startswith(MAGIC):
            raise FormatError(f"{path} is no SwanLab run: it does not begin with the bytes :SWL.")
        take = {1: _take_json, 2: _take_message}.get(header[-1])
        if take is None:
            raise FormatError(
                f"{path} is a SwanLab run of version {header[-1]}, and fitdiag reads 1 and 2: "
                "export its charts as CSV."
            )
        file.seek(0)
        for record in iterate_records(file, HEADER_BYTES, log.damage):
            log.unreadable += not _try(take, log, record)
    return _finish(log, path, columns)


def _try(take: Callable[[_Log, bytes], None], log: _Log, record: bytes) -> bool:
    """Take a record; tell whether it could be read."""
    try:
        take(log, record)
    except (ValueError, RecursionError):  # a wire error is a value error
        return False
    return True


def _take_message(log: _Log, record: bytes) -> None:
    for number, _, value in protobuf.walk(record):
        if number == FINISH:
            log.ended = True
        elif isinstance(value, int):
            continue
        elif number == START:
            names = [protobuf.as_text(text) for at, _, text in protobuf.walk(value) if at == 4]
            log.name = names[-1] if names else log.name
        elif number == SCALAR:
            _take_scalar(log, value)


def _take_scalar(log: _Log, data: bytes) -> None:
    """Take one value; what is zero is not written."""
    name, step, result = "", 0, 0.0
    for number, _, value in protobuf.walk(data):
        if number == 1:
            name = protobuf.as_text(value)
        elif number == 2:
            step = protobuf.as_signed(value)
        elif number == 5 and isinstance(value, bytes):
            numbers = [protobuf.as_double(each) for at, _, each in protobuf.walk(value) if at == 1]
            result = numbers[-1] if numbers else 0.0
    log.rows.put(name, float(step), result)


def _take_json(log: _Log, record: bytes) -> None:
    content = json.loads(record)
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(data, dict):
        return
    kind = content.get("model_type")
    if kind == "Footer":
        log.ended = True
    elif kind == "Experiment":
        log.name = str(data.get("name") or log.name)
    elif kind == "Scalar":
        metric, step = data.get("metric"), to_number(data.get("step"))
        value = to_number(metric.get("data")) if isinstance(metric, dict) else None
        if value is not None:
            log.rows.put(str(data.get("key")), 0.0 if step is None else step, value)


def _finish(log: _Log, path: Path, columns: Mapping[str, str]) -> list[Run]:
    if not log.rows.names():
        raise ReadError(
            f"{path} is a SwanLab run without a single logged number: nothing to judge; the "
            "losses must be given to swanlab.log."
        )
    found = log.rows.to_tracks()
    notes = [f'SwanLab run "{log.name}".'] if log.name else []
    if not log.ended:
        notes.append("The run was killed or still runs: the log has no end record.")
    if log.damage.blocks or log.unreadable:
        notes.append("The file is damaged: some of its records could not be read.")
    notes.append(
        f'"{found.axis}" was read as the step.'
        if found.axis
        else "Steps are SwanLab's own, which count calls of swanlab.log unless a step was given."
    )
    origin = Origin(path=str(path), format=SWANLAB.name, columns=columns, notes=tuple(notes))
    return make_runs(found.tracks, origin, clock=found.clock, key=found.key)


def _read_database(path: Path, columns: Mapping[str, str]) -> list[Run]:
    """Read the runs of the first generation, whose values lie in folders beside the database."""
    with open_store(path, "a SwanLab database", TABLES) as store:
        there = {str(row[1]) for row in store.execute("PRAGMA table_info(tag)")}
        folder = "folder" if "folder" in there else "NULL"
        experiments = store.execute(
            "SELECT id, run_id, name FROM experiment ORDER BY create_time, id"
        ).fetchall()
        tags = store.execute(f"SELECT experiment_id, name, {folder} FROM tag").fetchall()  # noqa: S608  # one of the two literals above

    def reading(experiment: int, run: str, name: str) -> Callable[[], list[Run]]:
        names = {str(place): str(tag) for each, tag, place in tags if each == experiment and place}
        place = path.parent / re.sub(r"[/\\]|^\.+", "_", str(run))
        return lambda: _read_logs(place, str(name), names, columns)

    found = [reading(*each) for each in experiments]
    return collect_runs(path, found, "a SwanLab database")


def _read_logs(
    folder: Path, name: str, names: Mapping[str, str], columns: Mapping[str, str]
) -> list[Run]:
    logs = folder / "logs"
    if not logs.is_dir():
        raise ReadError(
            f"{folder.parent / DATABASE} lists the run {name!r}, but its values are not there: "
            f"they lie in {folder.name}/logs, which was not copied along."
        )
    points: list[tuple[float, str, float]] = []
    for place in sorted(logs.iterdir()):
        series = names.get(place.name, unquote(place.name))
        if place.is_dir() and not series.startswith(SKIPPED):
            for file in sorted(place.glob("*.log"), key=lambda each: (len(each.name), each.name)):
                points.extend((step, series, value) for step, value in _read_lines(file))
    log = _Log(name=name, ended=True)
    for step, series, value in sorted(points, key=lambda point: point[0]):
        log.rows.put(series, step, value)
    return _finish(log, folder, columns)


def _read_lines(path: Path) -> list[tuple[float, float]]:
    """Return step and value of each line that is whole."""
    points = []
    with path.open("rb") as file:
        while line := file.readline(LINE_BYTES):
            try:
                content = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if not isinstance(content, dict):
                continue
            step, value = to_number(content.get("index")), to_number(content.get("data"))
            if step is not None and value is not None:
                points.append((step, value))
    return points


def _find_logs(folder: Path) -> list[Path]:
    """Return what holds runs in a folder: run files, or else the database or a run's logs."""
    files = sorted({*folder.glob("*.swanlab"), *folder.glob("run-*/*.swanlab")}, key=str)
    databases = [each for each in files if each.name == DATABASE]
    return [each for each in files if each.name != DATABASE] or databases


def _is_run(folder: Path) -> bool:
    return (folder / "logs").is_dir() and (folder.parent / DATABASE).is_file()


def _matches(path: Path, head: bytes) -> bool:
    if head or not path.is_dir():
        return head.startswith(MAGIC) or has_tables(path, head, TABLES)
    if any((path / name).exists() for name in USUAL):
        return False
    return bool(_find_logs(path)) or _is_run(path)


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    if not path.is_dir():
        with path.open("rb") as file:
            is_log = file.read(len(MAGIC)) == MAGIC
        return (_read_file if is_log else _read_database)(path, columns)
    if not _find_logs(path) and _is_run(path):
        return _read_logs(path, path.name, {}, columns)

    def reading(file: Path) -> Callable[[], list[Run]]:
        return lambda: _read(file, columns)

    files = _find_logs(path)
    try:
        return collect_runs(path, [reading(file) for file in files], "a SwanLab folder")
    except ReadError:
        if files == [path / DATABASE] or not (path / DATABASE).is_file():
            raise
    return _read_database(path / DATABASE, columns)


SWANLAB = Reader(
    name="swanlab",
    description="SwanLab: a local or offline run, a swanlog folder, or its database",
    example="run-<id>.swanlab",
    matches=_matches,
    read=_read,
    folders=True,
    text=False,
)
