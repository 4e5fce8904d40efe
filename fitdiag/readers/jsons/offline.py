"""What ClearML, Comet and Neptune leave behind when they run offline: one scalar a line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fitdiag.errors import ReadError
from fitdiag.readers.jsons.detection import open_text
from fitdiag.readers.jsons.packages import ZIP, find_member, iterate_member, list_members
from fitdiag.readers.jsons.parsing import to_number
from fitdiag.readers.jsons.records import join_split
from fitdiag.readers.names import classify
from fitdiag.readers.reader import Reader
from fitdiag.readers.series import Series, make_run
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["CLEARML", "COMET", "NEPTUNE"]

_NEPTUNE_FILE = re.compile(r"data-(\d{1,9})\.log")

#: below a ``.neptune`` folder the operations lie this deep
LEVELS = ("", "*/", "*/*/", "*/*/*/")

#: more offline runs in one folder than this are not read
RUNS = 200

#: more curves than this are not kept
CURVES = 4096


@dataclass(kw_only=True)
class Scalars:
    """Scalars by name, as they come: step, epoch and value of each."""

    points: dict[str, list[tuple[float | None, float | None, float]]] = field(default_factory=dict)

    def add(self, name: str, step: float | None, epoch: float | None, value: float | None) -> None:
        """Keep a scalar; one without a value is none."""
        if value is not None and (name in self.points or len(self.points) < CURVES):
            self.points.setdefault(name, []).append((step, epoch, value))

    def build(self, path: Path, format: str, columns: Mapping[str, str]) -> Run:  # noqa: A002
        """Return the run.

        Raises
        ------
        ReadError
            If there is no scalar at all.
        """
        if not self.points:
            raise ReadError(
                f"{path} holds no logged scalar: the run reported settings, text or system load "
                "only."
            )
        curves = {target: name for target, name in columns.items() if target not in _AXES}
        series = [self._place(name) for name in self.points]
        clock = self._find_clock()
        series = [each for each in series if classify(each.name).kind not in _AXES]
        return make_run(series, path=str(path), format=format, columns=curves, epochs=clock)

    def _place(self, name: str) -> Series:
        points = self.points[name]
        for at, unit in ((0, StepUnit.STEP), (1, StepUnit.EPOCH)):
            known = [point for point in points if point[at] is not None]
            if 2 * len(known) > len(points) and (len(points) == 1 or _differ(known, at)):
                steps = [point[at] for point in known]
                return Series(
                    name=name,
                    steps=[step for step in steps if step is not None],
                    values=[point[2] for point in known],
                    unit=unit,
                )
        rows = [float(row) for row in range(1, len(points) + 1)]
        return Series(
            name=name, steps=rows, values=[point[2] for point in points], unit=StepUnit.ROW
        )

    def _find_clock(self) -> Series | None:
        """Return the epoch at each step: what each point says, or else a series of that name."""
        pairs = {
            step: epoch
            for points in self.points.values()
            for step, epoch, _ in points
            if step is not None and epoch is not None
        }
        if not pairs:
            named = [name for name in self.points if classify(name).kind == "epoch"]
            pairs = {
                step: value
                for name in named[:1]
                for step, _, value in self.points[name]
                if step is not None
            }
        if not pairs:
            return None
        steps = sorted(pairs)
        return Series(name="epoch", steps=steps, values=[pairs[step] for step in steps])


_AXES = frozenset({"step", "epoch", "index"})


def _differ(points: list[tuple[float | None, float | None, float]], at: int) -> bool:
    """Tell whether points have steps of their own: a logger that is given none writes zeros."""
    return len({point[at] for point in points}) > 1


def _holds(path: Path, head: bytes, *names: str) -> bool:
    """Tell whether a folder or ZIP archive holds these files."""
    if not head:
        return all((path / name).is_file() for name in names)
    if not head.startswith(ZIP):
        return False
    try:
        members = list_members(path)
    except (ReadError, OSError):
        return False
    return all(find_member(members, name) for name in names)


def _match_clearml(path: Path, head: bytes) -> bool:
    start = open_text(head) if head and not head.startswith(ZIP) else ""
    return _holds(path, head, "task.json", "metrics.jsonl") or (
        start.startswith("[") and '"training_stats_' in start
    )


def _read_clearml(path: Path, columns: Mapping[str, str]) -> Run:
    scalars = Scalars()
    for line in _open(path, "metrics.jsonl"):
        for event in line if isinstance(line, list) else [line]:
            if not isinstance(event, dict) or event.get("type") != "training_stats_scalar":
                continue
            metric, variant = str(event.get("metric", "")), str(event.get("variant", ""))
            if metric.startswith(":monitor"):
                continue
            name = metric if metric == variant else f"{metric}/{variant}"
            scalars.add(name, to_number(event.get("iter")), None, to_number(event.get("value")))
    return scalars.build(path, CLEARML.name, columns)


def _match_comet(path: Path, head: bytes) -> bool:
    start = open_text(head) if head and not head.startswith(ZIP) else ""
    return _holds(path, head, "messages.json", "experiment.json") or (
        start.startswith("{") and '"payload"' in start and '"type"' in start
    )


def _read_comet(path: Path, columns: Mapping[str, str]) -> Run:
    scalars = Scalars()
    for message in _open(path, "messages.json"):
        payload = message.get("payload") if isinstance(message, dict) else None
        metric = payload.get("metric") if isinstance(payload, dict) else None
        if not isinstance(payload, dict) or not isinstance(metric, dict):
            continue
        name, context = str(metric.get("metricName", "")), payload.get("context")
        if name.startswith("sys."):
            continue
        scalars.add(
            join_split(context, name) if isinstance(context, str) else name,
            to_number(metric.get("step")),
            to_number(metric.get("epoch")),
            to_number(metric.get("metricValue")),
        )
    return scalars.build(path, COMET.name, columns)


def _open(path: Path, name: str) -> Iterator[object]:
    """Yield the lines of a file, or of that file in a folder or archive."""
    if path.is_dir():
        return iterate_member(path, name)
    with path.open("rb") as file:
        packed = file.read(len(ZIP)) == ZIP
    return iterate_member(path, name) if packed else iterate_member(path.parent, path.name)


def _find_neptune(folder: Path) -> list[list[Path]]:
    """Return the operation files of each offline run in a folder, oldest run first."""
    runs: dict[Path, list[tuple[int, Path]]] = {}
    for level in LEVELS:
        for path in folder.glob(f"{level}data-*.log"):
            match = _NEPTUNE_FILE.fullmatch(path.name)
            if match and len(runs) < RUNS:
                runs.setdefault(path.parent, []).append((int(match[1]), path))
    ordered = sorted(
        runs.values(), key=lambda files: min(file.stat().st_mtime for _, file in files)
    )
    return [[path for _, path in sorted(files)] for files in ordered]


def _match_neptune(path: Path, head: bytes) -> bool:
    if head:
        start = open_text(head)
        return start.startswith("{") and '"obj"' in start and '"path"' in start
    try:
        near = path.name == ".neptune" or ".neptune" in path.parts or (path / ".neptune").is_dir()
        return near and bool(_find_neptune(_enter(path)))
    except OSError:
        return False


def _enter(path: Path) -> Path:
    return path / ".neptune" if (path / ".neptune").is_dir() else path


def _read_neptune(path: Path, columns: Mapping[str, str]) -> list[Run]:
    runs = _find_neptune(_enter(path)) if path.is_dir() else [[path]]
    built: list[Run] = []
    failure: ReadError | None = None
    for files in runs:
        scalars = Scalars()
        for file in files:
            for line in iterate_member(file.parent, file.name):
                _add_operation(scalars, line)
        try:
            built.append(scalars.build(files[0], NEPTUNE.name, columns))
        except ReadError as error:
            failure = error
    if not built:
        raise failure or ReadError(f"{path} holds no offline run of Neptune.")
    return built


def _add_operation(scalars: Scalars, line: object) -> None:
    operation = line.get("obj") if isinstance(line, dict) else None
    if not isinstance(operation, dict) or operation.get("type") != "LogFloats":
        return
    keys, points = operation.get("path"), operation.get("values", operation.get("items"))
    if not isinstance(keys, list) or not isinstance(points, list):
        return
    if keys[:1] in (["monitoring"], ["sys"]):
        return
    name = "/".join(str(key) for key in keys)
    for point in points:
        if isinstance(point, dict):
            step = to_number(point.get("step"))
            scalars.add(name, step, None, to_number(point.get("value")))


CLEARML = Reader(
    name="clearml",
    description="ClearML offline: the folder or ZIP with task.json and metrics.jsonl",
    example="offline-1a2b3c.zip",
    matches=_match_clearml,
    read=_read_clearml,
    folders=True,
    text=False,
)

COMET = Reader(
    name="comet",
    description="Comet offline: the folder or ZIP with experiment.json and messages.json",
    example="1a2b3c.zip",
    matches=_match_comet,
    read=_read_comet,
    folders=True,
    text=False,
)

NEPTUNE = Reader(
    name="neptune",
    description="Neptune offline: the .neptune folder, an offline run in it, or its data-1.log",
    example="data-1.log",
    matches=_match_neptune,
    read=_read_neptune,
    folders=True,
)
