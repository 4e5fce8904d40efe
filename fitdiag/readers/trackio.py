"""trackio: one SQLite database a project, a row of JSON for every call of ``log``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fitdiag.errors import ReadError
from fitdiag.readers.folder import USUAL
from fitdiag.readers.reader import Reader
from fitdiag.readers.rows import Rows
from fitdiag.readers.scalars import flatten
from fitdiag.readers.sqlite_store import MAGIC, has_tables, open_store
from fitdiag.readers.tracks import Origin, collect_runs, make_runs

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from fitdiag.run import Run
    from fitdiag.source import Scalar

__all__ = ["TRACKIO"]

TABLES = frozenset({"metrics", "configs"})
COLUMNS = frozenset({"run_name", "step", "metrics", "timestamp"})

#: a longer row holds pictures or tables
ROW_BYTES = 1 << 20


def _read_database(path: Path, columns: Mapping[str, str]) -> list[Run]:
    with open_store(path, "a trackio project", TABLES) as store:
        there = {str(row[1]) for row in store.execute("PRAGMA table_info(metrics)")}
        if not there >= COLUMNS:
            raise ReadError(
                f"{path} is no trackio project: its metrics have no {min(COLUMNS - there)}."
            )
        key = "coalesce(run_id, run_name)" if "run_id" in there else "run_name"
        runs = store.execute(
            f"SELECT {key}, max(run_name) FROM metrics GROUP BY 1 ORDER BY min(id)"  # noqa: S608  # one of the two literals above
        ).fetchall()

        configs = _read_configs(store)

        def reading(run: str, name: str) -> Callable[[], list[Run]]:
            return lambda: _read_run(
                store, path, (key, run, name), columns, configs.get(run, configs.get(name, {}))
            )

        found = [reading(run, name) for run, name in runs]
        return collect_runs(path, found, "a trackio project")


def _read_run(
    store: sqlite3.Connection,
    path: Path,
    run: tuple[str, str, str],
    columns: Mapping[str, str],
    config: Mapping[str, Scalar],
) -> list[Run]:
    key, wanted, name = run
    rows = Rows(skipped=("_", "system/"))
    for step, cell in store.execute(
        f"SELECT step, metrics FROM metrics WHERE {key} IS ? ORDER BY id",  # noqa: S608  # as above
        (wanted,),
    ):
        content = _parse(cell)
        if content is not None:
            rows.add(content, float(step) if isinstance(step, (int, float)) else None)
    if not rows.names():
        raise ReadError(f"{path} holds no number in its run {name!r}: nothing to judge.")
    found = rows.to_tracks()
    note = (
        f'"{found.axis}" was read as the step.'
        if found.axis
        else "Steps are trackio's own, which count calls of log unless a step was given."
    )
    notes = (f'trackio run "{name}".', note)
    origin = Origin(
        path=str(path), format=TRACKIO.name, columns=columns, notes=notes, config=config
    )
    return make_runs(found.tracks, origin, clock=found.clock, key=found.key)


def _read_configs(store: sqlite3.Connection) -> dict[str, dict[str, Scalar]]:
    """Return the settings of each run, by its id or, in older projects, its name."""
    there = {str(row[1]) for row in store.execute("PRAGMA table_info(configs)")}
    keys = [name for name in ("run_name", "run_id") if name in there]
    if not keys or "config" not in there:
        return {}
    found: dict[str, dict[str, Scalar]] = {}
    query = f"SELECT config, {', '.join(keys)} FROM configs ORDER BY rowid"  # noqa: S608  # literals
    for cell, *names in store.execute(query):
        content = _parse(cell)
        if content is not None:
            own = {name: each for name, each in content.items() if not name.startswith("_")}
            found.update(dict.fromkeys(map(str, names), flatten(own)))
    return found


def _parse(cell: object) -> dict[str, object] | None:
    if not isinstance(cell, (str, bytes)) or len(cell) > ROW_BYTES:
        return None
    try:
        content = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _list_projects(folder: Path) -> list[Path]:
    """Return the projects in trackio's own folder, the one written last at the end."""
    found = []
    for path in folder.glob("*.db"):
        with path.open("rb") as file:
            head = file.read(1 << 16)
        if head.startswith(MAGIC) and has_tables(path, head, TABLES):
            found.append(path)
    return sorted(found, key=lambda path: (path.stat().st_mtime, path.name))


def _matches(path: Path, head: bytes) -> bool:
    if head or not path.is_dir():
        return has_tables(path, head, TABLES)
    return not any((path / name).exists() for name in USUAL) and bool(_list_projects(path))


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    if not path.is_dir():
        return _read_database(path, columns)

    def reading(project: Path) -> Callable[[], list[Run]]:
        return lambda: _read_database(project, columns)

    found = [reading(project) for project in _list_projects(path)]
    return collect_runs(path, found, "a folder of trackio projects")


TRACKIO = Reader(
    name="trackio",
    description="trackio: the database of a project, or the folder of all projects",
    example="<project>.db",
    matches=_matches,
    read=_read,
    folders=True,
    text=False,
)
