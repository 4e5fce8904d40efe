"""The databases that trackers write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

__all__ = ["fill_mlflow", "fill_trackio"]


def fill_mlflow(database: sqlite3.Connection, train: list[float], val: list[float]) -> None:
    """Write a run as MLflow keeps it."""
    database.executescript(
        "create table metrics(key text, value real, timestamp int, run_uuid text, step int,"
        " is_nan int); create table alembic_version(version_num text);"
        "create table experiments(experiment_id int, name text, lifecycle_stage text);"
        "create table runs(run_uuid text, name text, status text, lifecycle_stage text,"
        " experiment_id int, start_time int, end_time int);"
        "create table params(key text, value text, run_uuid text);"
        "insert into experiments values (1, 'e', 'active');"
        "insert into runs values ('a', 'one', 'FINISHED', 'active', 1, 1, 2);"
    )
    database.executemany(
        "insert into metrics values (?, ?, ?, 'a', ?, 0)",
        [
            (name, values[k], k, k)
            for name, values in (("train/loss", train), ("val/loss", val))
            for k in range(len(train))
        ],
    )


def fill_trackio(database: sqlite3.Connection, train: list[float], val: list[float]) -> None:
    """Write a run as trackio keeps it."""
    database.executescript(
        "create table metrics(id integer primary key, timestamp text, run_name text, step int,"
        " metrics text); create table configs(id integer primary key, run_name text, config text);"
    )
    database.executemany(
        "insert into metrics(timestamp, run_name, step, metrics) values ('2025', 'one', ?, ?)",
        [(k, json.dumps({"train/loss": train[k], "val/loss": val[k]})) for k in range(len(train))],
    )
