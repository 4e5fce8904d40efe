"""A scan on a Dask cluster of separate processes, and on file systems of other machines."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import fsspec
import pytest
from distributed import LocalCluster

from fitdiag.diagnosis import Config
from fitdiag.errors import FitdiagError, ReadError, UsageError
from fitdiag.fleet import cluster as clustering
from fitdiag.fleet.cluster import ClusterScan, cut_work, do_work
from fitdiag.fleet.examination import Examiner
from fitdiag.fleet.partitions import list_parts, prepare, read_parts
from fitdiag.fleet.remote import Unit, examine_unit, find_units
from fitdiag.fleet.rows import sort_rows
from fitdiag.fleet.scanning import Scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fitdiag.fleet.finding import Tally
    from fitdiag.fleet.rows import Row

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ("overfitting_digits", "ideal_digits", "diverged_digits", "ideal_waves")
LOGS = 32


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with logs."""
    folder = tmp_path_factory.mktemp("fleet") / "runs"
    folder.mkdir()
    for k in range(LOGS):
        name = f"{SAMPLES[k % len(SAMPLES)]}.csv"
        shutil.copy(ROOT / "sample_logs" / name, folder / f"run{k:02}.csv")
    return folder


KILLER = """
import os, signal
from fitdiag.fleet.examination import Examiner

class Killer(Examiner):
    def examine(self, candidate, shown=None):
        if "killer" in candidate.path:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().examine(candidate, shown)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Return a cluster of two processes that can import a module of the test's own."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "killers_on_clusters.py").write_text(KILLER)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        with start() as made:
            yield made


def start(workers: int = 2) -> LocalCluster:
    """Start worker processes."""
    return LocalCluster(  # type: ignore[no-untyped-call]  # distributed has no types
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=60,
    )


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "PIECE", 3)


def local_rows(runs: Path) -> list[Row]:
    """Return the rows that a scan on this machine gives."""
    return list(sort_rows(Scan(paths=[str(runs)], jobs=1, cache=False)))


def test_a_killed_worker_loses_nothing(
    cluster: LocalCluster, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a worker killed half-way every run is there once, and only what is missing is redone."""
    killed: list[int] = []

    def look(tally: Tally) -> None:
        if tally.done >= LOGS // 4 and not killed:
            worker = next(iter(cluster.workers.values()))
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)

    work = ClusterScan(
        paths=[str(runs)], out=str(tmp_path / "out"), scheduler=cluster.scheduler_address, look=look
    )
    work.run()
    assert killed
    assert list_parts(work.out) == work.keys
    rows = sort_rows(read_parts(work.out, work.keys))
    assert rows == local_rows(runs)
    assert len({row.path for row in rows}) == len(rows) == LOGS
    gone = sorted(work.keys)[:3]
    for key in gone:
        (Path(work.out) / f"part-{key}.parquet").unlink()
    done: list[int] = []
    monkeypatch.setattr(ClusterScan, "_take", _counting(ClusterScan._take, done))
    again = ClusterScan(paths=work.paths, out=work.out, scheduler=cluster.scheduler_address)
    again.run()
    assert (len(done), again.resumed) == (3, len(work.keys) - 3)
    assert list_parts(work.out) == work.keys == again.keys


def _counting(take: Callable[..., Any], done: list[int]) -> Callable[..., Any]:
    def count(*arguments: Any) -> Any:
        done.append(1)
        return take(*arguments)

    return count


def test_a_log_that_kills_its_workers_costs_one_row(
    cluster: LocalCluster, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log with which every worker dies is one row with a reason, and the rest is judged."""
    folder = tmp_path / "runs"
    folder.mkdir()
    for name in ("run00", "run01", "killer"):
        shutil.copy(runs / "run01.csv", folder / f"{name}.csv")
    killer = importlib.import_module("killers_on_clusters").Killer
    monkeypatch.setattr(clustering, "Examiner", killer)
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    work = ClusterScan(
        paths=[str(folder)], out=str(tmp_path / "out"), scheduler=cluster.scheduler_address
    )
    work.run()
    rows = sort_rows(read_parts(work.out, work.keys))
    assert [row.status for row in rows] == ["error", "ok", "ok"]
    assert "want of memory" in rows[0].reason
    assert work.counts == Counter(ideal=2, error=1)


def test_a_lost_scheduler_is_told_and_gone_on_from(
    cluster: LocalCluster, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the scheduler is lost the scan says so, and goes on on another one."""
    monkeypatch.setattr(clustering, "PATIENCE", 1.0)
    first = start(1)
    out = str(tmp_path / "out")

    def look(tally: Tally) -> None:
        if tally.done >= LOGS // 3:
            first.close()

    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        lost = ClusterScan(paths=[str(runs)], out=out, scheduler=first.scheduler_address, look=look)
        with pytest.raises(FitdiagError, match="begin the same scan again"):
            lost.run()
    written = len(list_parts(out))
    assert written >= 4
    work = ClusterScan(paths=[str(runs)], out=out, scheduler=cluster.scheduler_address)
    work.run()
    assert work.resumed >= 4
    assert sort_rows(read_parts(out, work.keys)) == local_rows(runs)


def test_no_scheduler_is_told(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nothing listens is refused by name."""
    monkeypatch.setattr(clustering, "CONNECT", 0.5)
    work = ClusterScan(paths=[str(runs)], out=str(tmp_path), scheduler="tcp://127.0.0.1:1")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "200ms"}),
        pytest.raises(UsageError, match=r"127\.0\.0\.1:1"),
    ):
        work.run()


def test_the_command_scans_on_a_cluster(
    cluster: LocalCluster, runs: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    """The command writes partitions where -o says and the other outputs from them."""
    arguments = ("--scheduler", cluster.scheduler_address, "-o", "parts/", "-o", "fleet.csv")
    outcome = command("scan", runs, *arguments)
    assert outcome.code == 0, outcome
    assert f"{LOGS} runs" in outcome.out
    assert len((tmp_path / "fleet.csv").read_text().splitlines()) == LOGS + 1


def test_a_new_log_changes_few_pieces(runs: Path, tmp_path: Path) -> None:
    """Pieces are cut by names, so that one more log leaves most of them as they were."""
    folder = tmp_path / "runs"
    shutil.copytree(runs, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clustering, "PIECE", 1000)
        patch.setattr(clustering, "CUT", 3)
        before = {work.key for work in cut_work([str(folder)], Config())}
        shutil.copy(folder / "run01.csv", folder / "run30b.csv")
        after = {work.key for work in cut_work([str(folder)], Config())}
    assert len(before) > 2
    assert len(after - before) <= 2


@pytest.fixture
def bucket() -> Iterator[str]:
    """Return the URL of a folder in memory with logs, settings beside them, and a checkpoint."""
    system = fsspec.filesystem("memory")
    for name in SAMPLES:
        log = (ROOT / "sample_logs" / f"{name}.csv").read_bytes()
        system.pipe_file(f"/bucket/runs/{name}/logs.csv", log)
        system.pipe_file(f"/bucket/runs/{name}/config.yaml", b"lr: 0.25\n")
        system.pipe_file(f"/bucket/runs/{name}/last.pt", b"x" * 1000)
        system.pipe_file(f"/bucket/runs/{name}/.git/logs.csv", log)
    yield "memory://bucket/runs"
    system.rm("/bucket", recursive=True)


def test_logs_are_read_from_any_file_system(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs behind a URL give the rows that local ones do, with the settings beside them."""
    examiner = Examiner(config=Config())
    (unit,) = find_units(bucket)
    assert len(unit.files) == 2 * len(SAMPLES)
    rows = sort_rows(examine_unit(unit, examiner))
    assert [row.path for row in rows] == [f"{bucket}/{name}/logs.csv" for name in sorted(SAMPLES)]
    assert [row.config["lr"] for row in rows] == [0.25] * len(SAMPLES)
    monkeypatch.setattr("fitdiag.fleet.remote.UNIT_FILES", 3)
    small = list(find_units(bucket))
    assert len(small) == len(SAMPLES)
    again = [row for one in small for row in examine_unit(one, examiner)]
    assert [row.verdict for row in sort_rows(again)] == [row.verdict for row in rows]


def test_partitions_are_written_to_any_file_system(bucket: str) -> None:
    """Work that is done twice writes the same partition, and its rows are read back."""
    examiner, out = Examiner(config=Config()), "memory://bucket/out"
    prepare(out)
    (work,) = cut_work([bucket], Config())
    counts = [do_work(work, examiner, out) for _ in range(2)]
    assert counts[0] == counts[1] == Counter(ideal=2, overfitting=1, diverged=1)
    assert list_parts(out) == {work.key}
    rows = sort_rows(read_parts(out, [work.key]))
    assert rows == sort_rows(examine_unit(work.unit or Unit(root="", files=()), examiner))
    assert [len(piece) for piece in work.split()] == [1] * len(work)


def test_urls_that_lead_nowhere_are_told(bucket: str) -> None:
    """A URL with nothing behind it, and one of no known kind, are refused by name."""
    with pytest.raises(ReadError, match="holds no file"):
        list(find_units(f"{bucket}/nowhere"))
    with pytest.raises(UsageError, match="nosuch://x"):
        list(find_units("nosuch://x"))
