"""Weights & Biases: the ``run-<id>.wandb`` file that every local run leaves, offline or not.

Behind a header of seven bytes it is a LevelDB log of protocol buffer records, in all versions of
the library alike. The rows are in the history records; what tells of the user, the machine and the
program is in others, which are not opened.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

from fitdiag.errors import FormatError, ReadError
from fitdiag.readers import protobuf
from fitdiag.readers.leveldb_log import Damage, iterate_records
from fitdiag.readers.reader import Reader
from fitdiag.readers.rows import Rows
from fitdiag.readers.scalars import flatten
from fitdiag.readers.tracks import Origin, collect_runs, make_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["WANDB"]

#: magic, 0xBEE1 in little-endian order, version
HEADER = b":W&B\xe1\xbe\x00"

#: fields of a record
HISTORY, CONFIG, METRIC, RUN, EXIT = 2, 5, 12, 17, 18

#: where the settings are within the record that describes the run
RUN_CONFIG = 4

#: what W&B adds to every row
INTERNAL = frozenset({"_runtime", "_timestamp", "_wandb"})

#: a run's folder
FOLDER = re.compile(r"(offline-)?run-\d{8}_\d{6}-.+|latest-run")

#: a row's entry with a larger text is a picture or a table
VALUE_BYTES = 4096


@dataclass
class _Log:
    """What was read of one run's files."""

    rows: Rows = field(default_factory=lambda: Rows(skipped=("_", "system/", "system.")))
    declared: dict[str, str] = field(default_factory=dict)
    patterns: list[tuple[str, str]] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    name: str = ""
    config: dict[str, object] = field(default_factory=dict)
    ended: bool = False
    unreadable: int = 0
    damage: Damage = field(default_factory=Damage)


def _read_log(files: Sequence[Path]) -> _Log:
    log = _Log()
    for path in files:
        log.ended = False
        with path.open("rb") as file:
            header = file.read(len(HEADER))
            if header[:4] != HEADER[:4]:
                raise FormatError(f"{path} is no W&B run: it does not begin with the bytes :W&B.")
            file.seek(0)
            for record in iterate_records(file, len(HEADER), log.damage):
                log.unreadable += not _try(log, record)
    return log


def _try(log: _Log, record: bytes) -> bool:
    """Take a record; tell whether it could be read."""
    try:
        _take(log, record)
    except protobuf.WireError:
        return False
    return True


def _take(log: _Log, record: bytes) -> None:
    for number, _, value in protobuf.walk(record):
        if number == EXIT:
            log.ended = True
        elif isinstance(value, int):
            continue
        elif number == HISTORY:
            _take_row(log, value)
        elif number == METRIC:
            _take_metric(log, value)
        elif number == CONFIG:
            _take_config(log, value)
        elif number == RUN:
            _take_run(log, value)


def _take_run(log: _Log, data: bytes) -> None:
    for number, _, value in protobuf.walk(data):
        if number == 8:
            log.name = protobuf.as_text(value)
        elif number == RUN_CONFIG and isinstance(value, bytes):
            _take_config(log, value)


def _take_config(log: _Log, data: bytes) -> None:
    """Take the settings that were given or changed; later ones win."""
    for number, _, value in protobuf.walk(data):
        if number == 1 and isinstance(value, bytes):
            name, content = _parse_item(value)
            log.config[name] = content


def _take_row(log: _Log, data: bytes) -> None:
    row: dict[str, object] = {}
    step: float | None = None
    for number, _, value in protobuf.walk(data):
        if isinstance(value, int):
            continue
        if number == 1:
            name, content = _parse_item(value)
            row[name] = content
        elif number == 2:
            counts = [number for at, _, number in protobuf.walk(value) if at == 1]
            step = float(protobuf.as_signed(counts[-1])) if counts else 0.0
    own = row.get("_step")
    if isinstance(own, (int, float)) and step is None:
        step = float(own)
    log.rows.add(row, step)


def _parse_item(data: bytes) -> tuple[str, object]:
    """Return name and value of one entry of a row."""
    key, nested = "", []
    value: object = None
    for number, _, content in protobuf.walk(data):
        if number == 1:
            key = protobuf.as_text(content)
            if key in INTERNAL:
                return key, None
        elif number == 2:
            nested.append(protobuf.as_text(content))
        elif number == 4:
            value = None  # a flag
        elif number == 5:
            value = protobuf.as_zigzag(content)
        elif number == 6:
            value = protobuf.as_double(content)
        elif number in (8, 16):
            value = _parse_json(content)
    return ".".join(nested) or key, value


def _parse_json(content: int | bytes) -> object:
    if isinstance(content, int) or len(content) > VALUE_BYTES:
        return None
    try:
        return float(content)
    except ValueError:
        pass
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _take_metric(log: _Log, data: bytes) -> None:
    texts = {1: "", 2: "", 4: ""}
    index = 0
    for number, _, value in protobuf.walk(data):
        if number in texts:
            texts[number] = protobuf.as_text(value)
        elif number == 5 and isinstance(value, int):
            index = value
    log.metrics.append(texts[1])
    step = texts[4]
    if not step and 0 < index <= len(log.metrics):
        step = log.metrics[index - 1]
    if texts[1] and step:
        log.declared[texts[1]] = step
    elif texts[2] and step:
        log.patterns.append((texts[2], step))


def _find_declared(log: _Log) -> dict[str, str]:
    """Return the step metric of each series; a pattern ends in an asterisk."""
    declared = {}
    for name in log.rows.names():
        step = log.declared.get(name)
        for pattern, other in log.patterns:
            if step is None and name.startswith(pattern.rstrip("*")):
                step = other
        if step is not None and step != "_step":
            declared[name] = step
    return declared


def _read_run(files: Sequence[Path], columns: Mapping[str, str]) -> list[Run]:
    log = _read_log(files)
    path = files[-1]
    if not log.rows.names():
        what = "without a single logged number" if len(log.rows) else "without a history row"
        raise ReadError(
            f"{path} is a W&B run {what}: nothing to judge; the losses must be given to wandb.log."
        )
    found = log.rows.to_tracks(_find_declared(log))
    notes = [f'W&B run "{log.name}".'] if log.name else []
    if len(files) > 1:
        notes.append(f"The run was resumed: {len(files)} files were joined.")
    if not log.ended:
        notes.append("The run was killed or still runs: the file has no exit record.")
    if log.damage.blocks or log.unreadable:
        notes.append("The file is damaged: some of its records could not be read.")
    if found.axis:
        notes.append(f'"{found.axis}" was read as the step.')
    else:
        notes.append("Steps are W&B's own, which count calls of wandb.log unless a step was given.")
    origin = Origin(path=str(path), format=WANDB.name, columns=columns, notes=tuple(notes))
    origin = replace(origin, config=flatten(log.config))
    return make_runs(found.tracks, origin, clock=found.clock, key=found.key)


def _find_files(folder: Path) -> list[Path]:
    """Return the ``.wandb`` files of a folder, oldest run first; links are not followed twice."""
    direct = sorted(folder.glob("*.wandb"))
    if direct:
        return direct
    runs = _list_runs(folder) or _list_runs(folder / "wandb")
    found = {file.resolve(): file for each in runs for file in sorted(each.glob("*.wandb"))}
    return list(found.values())


def _list_runs(folder: Path) -> list[Path]:
    """Return the folders of runs in a folder, the oldest first."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [each.name for each in entries if FOLDER.fullmatch(each.name) and each.is_dir()]
    return sorted((folder / name for name in names), key=_age)


def _age(folder: Path) -> tuple[str, str]:
    """Sort by the time in the name; the link to the latest run comes after what it links to."""
    started = re.search(r"\d{8}_\d{6}", folder.name)
    return (started[0] if started else "9", folder.name)


def _matches(path: Path, head: bytes) -> bool:
    if head or not path.is_dir():
        return head.startswith(HEADER[:4])
    return any(path.glob("*.wandb")) or any(
        any(each.glob("*.wandb")) for each in _list_runs(path) or _list_runs(_alone(path))
    )


def _alone(folder: Path) -> Path:
    """Return the folder wandb where there is nothing else, or else the folder itself."""
    with os.scandir(folder) as entries:
        names = {entry.name for entry in entries}
    return folder / "wandb" if names == {"wandb"} else folder


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    if not path.is_dir():
        return _read_run([path], columns)
    files = _find_files(path)
    order = {file.name: at for at, file in reversed(list(enumerate(files)))}
    grouped = sorted(files, key=lambda file: order[file.name])
    runs = [list(each) for _, each in groupby(grouped, key=lambda file: file.name)]

    def reading(files: list[Path]) -> Callable[[], list[Run]]:
        return lambda: _read_run(files, columns)

    return collect_runs(path, [reading(each) for each in runs], "a W&B folder")


WANDB = Reader(
    name="wandb",
    description="Weights & Biases: the file or folder of a local run, offline or not",
    example="run-<id>.wandb",
    matches=_matches,
    read=_read,
    folders=True,
    text=False,
)
