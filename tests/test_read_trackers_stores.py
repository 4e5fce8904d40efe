"""MLflow, trackio and SwanLab stores, written here as the libraries lay them out."""

from __future__ import annotations

import functools
import json
import math
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fitdiag
from fitdiag.errors import ExtraError, FormatError, ReadError
from fitdiag.readers import aim_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Points = Sequence[tuple[float, float]]

RUN = "0123456789abcdef0123456789abcde"
META = "run_id: {run}\nrun_name: '{name}'\nstatus: {status}\nstart_time: {time}\n"
LIMIT = 1.7976931348623157e308


def curve(scale: float, count: int = 20, stride: int = 10) -> list[tuple[float, float]]:
    return [(stride * at, scale / (at + 1)) for at in range(count)]


def folder_run(
    experiment: Path, number: int, metrics: Mapping[str, Points], *, stage: str = "active"
) -> Path:
    """Write one run of MLflow's folder store."""
    run = experiment / f"{RUN}{number}"
    experiment.mkdir(parents=True, exist_ok=True)
    (experiment / "meta.yaml").write_text("artifact_location: x\nexperiment_id: '1'\nname: e\n")
    for name, points in metrics.items():
        path = run / "metrics" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{1000 + at} {value} {step:.0f}\n" for at, (step, value) in enumerate(points)]
        path.write_text("".join(lines))
    run.mkdir(exist_ok=True)
    text = META.format(run=run.name, name=f"run {number}", status=3, time=number)
    (run / "meta.yaml").write_text(f"{text}lifecycle_stage: {stage}\nuser_id: secret\n")
    return run


def database(path: Path, runs: Sequence[Mapping[str, Points]], *, wal: bool = False) -> Path:
    """Write MLflow's database, or leave the last rows in its write-ahead log."""
    with closing(sqlite3.connect(path)) as store:
        if wal:
            store.execute("PRAGMA journal_mode=WAL")
        store.executescript(
            "CREATE TABLE alembic_version (version_num TEXT);"
            "CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, start_time INTEGER,"
            " lifecycle_stage TEXT, user_id TEXT);"
            'CREATE TABLE "metrics" (key TEXT, value REAL, timestamp INTEGER, run_uuid TEXT,'
            " step INTEGER, is_nan INTEGER);"
            "CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT)"
        )
        for number, metrics in enumerate(runs):
            row = (f"{RUN}{number}", f"run {number}", "KILLED", number, "active", "secret")
            store.execute("INSERT INTO runs VALUES (?,?,?,?,?,?)", row)
            for name, points in metrics.items():
                for at, (step, value) in enumerate(points):
                    kept = max(-LIMIT, min(LIMIT, 0.0 if math.isnan(value) else value))
                    cells = (name, kept, at, row[0], step, int(math.isnan(value)))
                    store.execute("INSERT INTO metrics VALUES (?,?,?,?,?,?)", cells)
        store.commit()
        if wal:
            for side in ("", "-wal"):
                shutil.copyfile(f"{path}{side}", f"{path}.copy{side}")
    if wal:
        for side in ("", "-wal"):
            shutil.copyfile(f"{path}.copy{side}", f"{path}{side}")
            path.with_name(f"{path.name}.copy{side}").unlink()
    return path


def trackio_project(path: Path, rows: Sequence[tuple[str, int, object]], *, old: bool) -> Path:
    """Write a trackio project; old ones have no run_id."""
    more = "" if old else ", run_id TEXT"
    with closing(sqlite3.connect(path)) as store:
        store.execute("CREATE TABLE configs (id INTEGER PRIMARY KEY, config TEXT)")
        store.execute(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp TEXT, run_name TEXT,"
            f" step INTEGER, metrics TEXT{more})"
        )
        for name, step, metrics in rows:
            text = metrics if isinstance(metrics, str) else json.dumps(metrics)
            cells = ["t", name, step, text.encode(), *([] if old else [f"id of {name}"])]
            marks = ",".join("?" * len(cells))
            store.execute(f"INSERT INTO metrics VALUES (NULL,{marks})", cells)  # noqa: S608  # marks
        store.commit()
    return path


def steps(run: fitdiag.Run, name: str) -> list[float]:
    return [float(value) for value in run.curves[name].steps]


def values(run: fitdiag.Run, name: str) -> list[float]:
    return [float(value) for value in run.curves[name].values]


def listing(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_size, path.read_bytes())
        for path in files
    }


TWO = {"train/loss": curve(1), "val/loss": curve(1.2, 5, 40), "system/cpu": curve(9)}


def test_mlflow_folder(tmp_path: Path) -> None:
    """Run, experiment, store and its parent all lead to the same newest complete run."""
    experiment = tmp_path / "mlruns" / "12"
    folder_run(experiment, 1, TWO)
    newest = folder_run(experiment, 2, {**TWO, "val accuracy": curve(0.9)})
    folder_run(experiment, 3, {"accuracy": [(0, 0.9)]})
    folder_run(experiment, 4, TWO, stage="deleted")
    for place in (newest, experiment, tmp_path / "mlruns", tmp_path):
        run = fitdiag.read(place)
        assert set(run.curves) == {"train_loss", "val_loss", "val_accuracy"}
        assert steps(run, "val_loss") == [0, 40, 80, 120, 160]
        assert 'MLflow run "run 2".' in run.source.notes
        assert "secret" not in repr(run.source)
    assert 'MLflow run "run 1".' in fitdiag.read(tmp_path, run=1).source.notes


@pytest.mark.parametrize(
    "line", ["{time} {value}\n", "{time} {value} {at}\n", "{time} {value} {at} data 0123abcd\n"]
)
def test_mlflow_lines(tmp_path: Path, line: str) -> None:
    """Lines of two, three and five fields are read; torn ones are left."""
    run = folder_run(tmp_path / "1", 1, {})
    (run / "metrics").mkdir()
    text = "".join(line.format(time=at, value=1 / (at + 1), at=at) for at in range(9))
    (run / "metrics" / "loss").write_text(text + "12345 0.")
    if line.count("{") == 2:
        (run / "metrics" / "loss").write_text(text + "1234")
    found = fitdiag.read(run)
    assert values(found, "train_loss")[:9] == [1 / (at + 1) for at in range(9)]
    assert str(found.unit) == ("row" if line.count("{") == 2 else "step")


def test_mlflow_numbers_what_has_no_step(tmp_path: Path) -> None:
    """Where every step is 0 values are numbered, and what is measured less often is put in time."""
    run = folder_run(tmp_path / "1", 1, {"loss": [(0, 1.0)] * 30})
    lines = [f"{1000 + at} 2.0 0\n" for at in (9, 19, 29)]
    (run / "metrics" / "val_loss").write_text("".join(lines))
    found = fitdiag.read(run)
    assert steps(found, "train_loss") == list(range(1, 31))
    assert steps(found, "val_loss") == [10, 20, 30]
    assert "No steps were logged: the values were numbered." in found.source.notes


def test_mlflow_epochs(tmp_path: Path) -> None:
    """Steps are epochs where there are as many as the parameters say."""
    run = folder_run(tmp_path / "1", 1, {"loss": curve(1, 12, 1), "val_loss": curve(2, 12, 1)})
    (run / "params").mkdir()
    (run / "params" / "num_train_epochs").write_text("12")
    assert str(fitdiag.read(run).unit) == "epoch"


@pytest.mark.parametrize("wal", [False, True])
def test_mlflow_database(tmp_path: Path, wal: bool) -> None:
    """The database gives what was logged, NaN and infinity too, and stays as it is."""
    losses = [1.0, 0.5, math.nan, math.inf, -math.inf]
    points = [(step, loss) for step, loss in enumerate(losses)]
    path = database(tmp_path / "mlflow.db", [TWO, {"loss": points, "val_loss": points}], wal=wal)
    before = listing(tmp_path)
    for place in (path, tmp_path):
        run = fitdiag.read(place)
        assert run.source.format == "mlflow"
        assert np.array_equal(run.curves["train_loss"].values, losses, equal_nan=True)
        assert "MLflow calls this run killed." in run.source.notes
    assert steps(fitdiag.read(path, run=1), "train_loss") == [10 * at for at in range(20)]
    assert listing(tmp_path) == before


def test_mlflow_artifacts_beside_a_database(tmp_path: Path) -> None:
    """An mlruns folder without metrics leads to the database beside it."""
    (tmp_path / "mlruns" / "1" / "models").mkdir(parents=True)
    database(tmp_path / "mlflow.db", [TWO])
    assert len(fitdiag.read(tmp_path / "mlruns", format="mlflow").curves["train_loss"]) == 20


def test_mlflow_boosting(tmp_path: Path) -> None:
    """The metric of boosted trees is taken as the loss where there is no other, and said."""
    run = folder_run(tmp_path / "1", 1, {"l2.train": curve(1), "l2.valid": curve(2)})
    found = fitdiag.read(run)
    assert values(found, "val_loss")[0] == 2
    assert any("were read as the losses" in note for note in found.source.notes)


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"val_loss": [(0, 0.5)], "accuracy": [(0, 0.9)]}, "final values only, no curve"),
        ({}, "without metrics"),
        ({"accuracy": curve(1)}, "training loss"),
    ],
)
def test_mlflow_refusals(tmp_path: Path, metrics: Mapping[str, Points], words: str) -> None:
    """A run without a curve is refused in words, alone and among its likes."""
    run = folder_run(tmp_path / "mlruns" / "1", 1, metrics)
    folder_run(tmp_path / "mlruns" / "1", 2, metrics)
    for place in (run, tmp_path / "mlruns", database(tmp_path / "mlflow.db", [metrics])):
        with pytest.raises(ReadError, match=words):
            fitdiag.read(place)


def test_mlflow_deleted(tmp_path: Path) -> None:
    """A store of deleted runs says so."""
    folder_run(tmp_path / "mlruns" / "1", 1, TWO, stage="deleted")
    with pytest.raises(ReadError, match="deleted"):
        fitdiag.read(tmp_path / "mlruns")


def test_mlflow_trained_twice(tmp_path: Path) -> None:
    """A model trained twice within one run is two runs, of which the last is taken."""
    twice = [*curve(1, 10, 1), *curve(3, 10, 1)]
    run = folder_run(tmp_path / "1", 1, {"loss": twice, "val_loss": twice})
    assert values(fitdiag.read(run), "val_loss")[0] == 3
    assert values(fitdiag.read(run, run=1), "val_loss")[0] == 1


def trackio_rows() -> list[tuple[str, int, object]]:
    rows: list[tuple[str, int, object]] = []
    for name in ("first", "second"):
        for at in range(20):
            rows.append((name, at, {"train/loss": 1 / (at + 1), "train": {"lr": 0.1}}))
            if at % 5 == 4:
                rows.append((name, at, {"eval/loss": "NaN" if at > 15 else 2 / (at + 1)}))
    return rows


@pytest.mark.parametrize("old", [False, True])
def test_trackio(tmp_path: Path, old: bool) -> None:
    """A project gives its runs, whatever its age; the folder of projects too."""
    path = trackio_project(tmp_path / "my project.db", trackio_rows(), old=old)
    before = listing(tmp_path)
    for place in (path, tmp_path):
        run = fitdiag.read(place)
        assert run.source.format == "trackio"
        assert steps(run, "train_loss") == list(range(20))
        assert steps(run, "val_loss") == [4, 9, 14, 19]
        assert math.isnan(values(run, "val_loss")[-1])
        assert 'trackio run "second".' in run.source.notes
    assert 'trackio run "first".' in fitdiag.read(path, run=1).source.notes
    assert listing(tmp_path) == before


def test_trackio_without_numbers(tmp_path: Path) -> None:
    """Runs that hold texts only are refused."""
    rows = [("a", 0, {"words": "x"}), ("a", 1, "no json"), ("a", 2, "[" * 100_000)]
    with pytest.raises(ReadError, match="no number"):
        fitdiag.read(trackio_project(tmp_path / "p.db", rows, old=False))


def swanlab_store(folder: Path, *, logs: bool) -> Path:
    """Write SwanLab's first generation: a database, and logs in folders."""
    path = folder / "runs.swanlab"
    with closing(sqlite3.connect(path)) as store:
        store.executescript(
            'CREATE TABLE "experiment" (id INTEGER, run_id TEXT, name TEXT, create_time TEXT);'
            'CREATE TABLE "tag" (experiment_id INTEGER, name TEXT, folder TEXT);'
            'CREATE TABLE "namespace" (id INTEGER)'
        )
        store.execute("INSERT INTO experiment VALUES (1, 'run-1-a', 'mine', 't')")
        store.execute("INSERT INTO tag VALUES (1, 'train/loss', '7')")
        store.commit()
    for place in ("7", "val%2Floss") if logs else ():
        log = folder / "run-1-a" / "logs" / place
        log.mkdir(parents=True)
        (log / "_summary.json").write_text('{"max": 1}')
        for number in (1000, 2000, 10000):
            at = number // 1000
            lines = [{"index": at * 10 + more, "data": 1 / at} for more in range(3)]
            (log / f"{number}.log").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_swanlab_database(tmp_path: Path) -> None:
    """The values beside the database are read, by the names that the database has for them."""
    path = swanlab_store(tmp_path, logs=True)
    for place in (path, tmp_path):
        run = fitdiag.read(place)
        assert steps(run, "train_loss") == [10, 11, 12, 20, 21, 22, 100, 101, 102]
        assert run.curves["val_loss"].label == "val/loss"


def test_swanlab_database_alone(tmp_path: Path) -> None:
    """A database without its logs is refused, with where they should be."""
    with pytest.raises(ReadError, match="run-1-a/logs, which was not copied"):
        fitdiag.read(swanlab_store(tmp_path, logs=False))


def test_aim_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository of Aim is refused with the extra that reads it, and how else it is read."""
    for name in ("meta", "seqs"):
        (tmp_path / ".aim" / name).mkdir(parents=True)
    monkeypatch.setattr(aim_store, "find_spec", lambda _: None)
    for place in (tmp_path, tmp_path / ".aim"):
        with pytest.raises(ExtraError, match=r"Aim repository.*fitdiag\[aim\].*export"):
            fitdiag.read(place)
    (tmp_path / "metrics.csv").write_text("epoch,loss\n1,2\n2,1\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"Skipped: .*fitdiag\[aim\]"):
        assert [path.name for path, _ in fitdiag.runs(tmp_path)] == ["metrics.csv"]


def test_other_database(tmp_path: Path) -> None:
    """A database of something else is no format."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as store:
        store.execute("CREATE TABLE metrics (a)")
        store.commit()
    with pytest.raises(FormatError, match="SQLite"):
        fitdiag.read(path)


@functools.cache
def seed(name: str) -> bytes:
    """Return the bytes of a store."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        database(place / "mlflow.db", [TWO, TWO])
        trackio_project(place / "p.db", trackio_rows(), old=False)
        swanlab_store(place, logs=False)
        return (place / name).read_bytes()


@given(
    name=st.sampled_from(["mlflow.db", "p.db", "runs.swanlab"]),
    flips=st.lists(st.tuples(st.integers(16, 100_000), st.integers(0, 255)), max_size=12),
    cut=st.integers(0, 40_000),
    whole=st.booleans(),
)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_hostile_databases(
    tmp_path: Path,
    name: str,
    flips: list[tuple[int, int]],
    cut: int,
    whole: bool,
) -> None:
    """A damaged database gives a run or a worded refusal."""
    data = bytearray(seed(name))
    for at, byte in flips:
        data[16 + at % (len(data) - 16)] = byte
    path = tmp_path / name
    path.write_bytes(data if whole else data[: 100 + cut % len(data)])
    try:
        found = fitdiag.read(path)
    except ReadError as error:
        assert str(tmp_path) in str(error)  # noqa: PT017  # either of the two may come
    else:
        assert found.train_loss is not None


def test_views_are_no_tables(tmp_path: Path) -> None:
    """A database whose tables are views that never end is not read."""
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as store:
        for name in ("metrics", "runs", "alembic_version"):
            store.execute(
                f"CREATE VIEW {name} AS WITH RECURSIVE x(n) AS "  # noqa: S608  # one of three words
                "(SELECT 1 UNION ALL SELECT n FROM x) SELECT n FROM x"
            )
        store.commit()
    for chosen in (None, "mlflow"):
        with pytest.raises(FormatError):
            fitdiag.read(path, format=chosen)
