"""Scanning many runs: rows, outputs, the cache, and how it is told."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fitdiag
from fitdiag.diagnosis import Config
from fitdiag.errors import ReadError, UsageError, WriteError
from fitdiag.fleet.cache import Cache, cache_folder, fingerprint
from fitdiag.fleet.examination import Examiner, Outcome, decode_rows
from fitdiag.fleet.finding import Candidate, Problem, Tally, expand, find_candidates
from fitdiag.fleet.links import report_name
from fitdiag.fleet.rows import Row, sort_rows, to_frame
from fitdiag.fleet.scanning import Scan
from fitdiag.fleet.store import read_rows, write_rows
from fitdiag.fleet.summary import rank, summarise

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ("overfitting_digits", "ideal_digits", "diverged_digits", "no_validation_waves")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Return a folder with a folder for each of four sample logs, and a text that is none."""
    for name in SAMPLES:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        shutil.copy(ROOT / "sample_logs" / f"{name}.csv", folder / "logs.csv")
    (tmp_path / "runs" / "notes.txt").write_text("nothing to see here\n" * 20)
    return tmp_path / "runs"


def examine_all(folder: Path) -> list[Row]:
    """Return the rows below a folder, made in this process."""
    examiner = Examiner(config=Config())
    found = [each for each in find_candidates([str(folder)]) if isinstance(each, Candidate)]
    return [row for each in found for row in decode_rows(examiner.examine(each).rows)]


def test_a_row_says_what_the_diagnosis_says(runs: Path) -> None:
    """Each row agrees with read and diagnose on the same log."""
    rows = examine_all(runs)
    assert [row.name for row in rows] == [f"{name}/logs.csv" for name in sorted(SAMPLES)]
    for row in rows:
        diagnosis = fitdiag.diagnose(row.path)
        assert row.verdict == diagnosis.verdict.value
        assert row.confidence == diagnosis.confidence
        assert row.codes == tuple(finding.code for finding in diagnosis.findings)
        assert diagnosis.checkpoint is not None
        assert row.pick_step == diagnosis.checkpoint.step
        assert row.regret == diagnosis.checkpoint.regret
        assert row.size == Path(row.path).stat().st_size
        assert all(len(x) == len(y) <= 44 for x, y in row.curves.values())
    by_verdict = {row.verdict: row for row in rows}
    assert by_verdict["inconclusive"].status == "inconclusive"
    assert "no validation loss" in by_verdict["inconclusive"].reason
    assert by_verdict["overfitting"].worst == "warning"


def test_a_row_survives_json(runs: Path) -> None:
    """A row is the same after strict JSON."""
    for row in [*examine_all(runs), Row.from_error("a\nb.csv", "two\n lines", size=3)]:
        text = json.dumps(row.to_dict(), allow_nan=False)
        assert Row.from_dict(json.loads(text)) == row


def test_python_scan_yields_rows(runs: Path) -> None:
    """fitdiag.scan yields each run once and to_frame makes a table with settings as columns."""
    (runs / "ideal_digits" / "config.yaml").write_text("lr: 0.5\n")
    rows = list(fitdiag.scan(runs, jobs=1))
    frame = fitdiag.to_frame(sort_rows(rows))
    assert list(frame["name"]) == [f"{name}/logs.csv" for name in sorted(SAMPLES)]
    assert frame["config.lr"].dropna().tolist() == [0.5]
    again = Scan(paths=[str(runs)], jobs=1)
    assert sort_rows(again) == sort_rows(rows)
    assert again.tally.unchanged == again.tally.done == len(SAMPLES) + 1


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_tables_are_written_and_read_back(runs: Path, suffix: str) -> None:
    """Every kind of table holds every row, is read back, and is not taken for a log."""
    rows = [*examine_all(runs), Row.from_error("broken.csv", "is broken")]
    place = write_rows(rows, runs / f"fleet{suffix}")
    told = read_rows(place)
    for row, cells in zip(rows, told, strict=True):
        for key in ("path", "run", "verdict", "status", "pick_loss", "worst"):
            assert cells[key] == getattr(row, key), key
        assert tuple(cells["codes"]) == row.codes
    assert len(examine_all(runs)) == len(SAMPLES)
    write_rows(rows, place)  # its own file is overwritten
    place.write_text("mine\n")
    with pytest.raises(WriteError, match="not written by fitdiag"):
        write_rows(rows, place)
    with pytest.raises(ReadError):
        read_rows(place)


def test_settings_of_any_kind_fit_into_a_table(tmp_path: Path) -> None:
    """Settings that are numbers here and words there do not break a Parquet file."""
    configs: tuple[dict[str, Any], ...] = (
        {"a": 1, "b": True},
        {"a": "x", "b": False, "c": 0.5},
        {},
    )
    rows = [Row(path=f"{k}.csv", config=config) for k, config in enumerate(configs)]
    told = read_rows(write_rows(rows, tmp_path / "t.parquet"))
    assert [cells["config.a"] for cells in told] == ["1", "x", None]
    assert [cells["config.b"] for cells in told] == [True, False, None]
    frame = to_frame(rows)
    assert frame["config.c"].tolist()[1] == 0.5


def test_a_changed_log_is_read_again(runs: Path, tmp_path: Path) -> None:
    """The cache answers for a log until it, or the settings beside it, or the limits change."""
    place = tmp_path / "kept.sqlite"
    cache = Cache(place, fingerprint(Config()))
    log = runs / "ideal_digits" / "logs.csv"

    def find() -> Candidate:
        found = [each for each in find_candidates([str(runs)]) if each.path == str(log)]
        assert isinstance(found[0], Candidate)
        return found[0]

    cache.put(find(), Outcome("[]", lasting=True))
    cache.flush()
    assert cache.get(find()) == Outcome("[]", lasting=True)
    other = Cache(place, fingerprint(Config(rules=())))
    assert other.get(find()) is None
    other.close()
    (log.parent / "config.yaml").write_text("lr: 1\n")
    assert cache.get(find()) is None
    cache.put(find(), Outcome("[]", lasting=True))
    cache.flush()
    os.utime(log, ns=(1, 1))
    assert cache.get(find()) is None
    cache.put(find(), Outcome("[]", lasting=False))
    cache.close()
    assert Cache(place, fingerprint(Config())).get(find()) is None


@pytest.mark.parametrize(
    "junk", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 999]
)
def test_a_damaged_cache_is_begun_anew(tmp_path: Path, junk: bytes) -> None:
    """A cache that is no database is replaced without a word."""
    place = tmp_path / "kept.sqlite"
    place.write_bytes(junk)
    one = Candidate("a.csv", False, 1, 1, "x")
    cache = Cache(place, "m")
    cache.put(one, Outcome("[]", lasting=True))
    cache.close()
    assert cache.trouble == ""
    assert Cache(place, "m").get(one) == Outcome("[]", lasting=True)


def test_a_cache_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    """Where no folder can be made the scan goes on, and says so."""
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "kept.sqlite", "m")
    one = Candidate("a.csv", False, 1, 1, "x")
    cache.put(one, Outcome("[]", lasting=True))
    assert cache.get(one) is None
    assert "cannot be used" in cache.trouble


def test_two_scans_share_a_cache(tmp_path: Path) -> None:
    """Two writers at once lose nothing."""
    place = tmp_path / "kept.sqlite"
    Cache(place, "m").close()

    def write(start: int) -> None:
        cache = Cache(place, "m")
        for k in range(start, 400, 2):
            cache.put(Candidate(f"{k}.csv", False, 1, 1, "x"), Outcome(f"[{k}]", lasting=True))
            if not k % 20:
                cache.flush()
        cache.close()
        assert not cache.trouble

    threads = [threading.Thread(target=write, args=(start,)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = sqlite3.connect(place).execute("SELECT count(*) FROM logs").fetchone()
    assert count == (400,)


def test_the_cache_lies_where_caches_do(tmp_path: Path) -> None:
    """XDG_CACHE_HOME says where the cache is kept."""
    assert cache_folder() == tmp_path / "cache" / "fitdiag"


def test_scan_command_tells_and_writes(
    runs: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    """The command prints counts, the best runs and what was found, and writes what -o names."""
    outcome = command(
        "scan", runs, "-o", "fleet.csv", "-o", "fleet.jsonl", "--jobs", 1, "--reports", "r"
    )
    text = outcome.out
    assert outcome.code == 0
    for piece in ("overfitting", "25.0 %", "ideal_digits/logs.csv", "4 runs in 5 folders"):
        assert piece in text
    assert "not taken for logs: 1 file" in text
    with (tmp_path / "fleet.csv").open(newline="") as file:
        assert [row["format"] for row in csv.DictReader(file)] == ["native"] * 4
    rows = [Row.from_dict(cells) for cells in read_rows(tmp_path / "fleet.jsonl")]
    names = {report_name(row) for row in rows}
    assert names == {path.name for path in (tmp_path / "r").iterdir()}
    (tmp_path / "r" / min(names)).unlink()
    again = command("scan", runs, "--jobs", 1, "--reports", "r", "--top", 1)
    assert "not changed since an earlier scan: 4 logs" in again.out
    assert names == {path.name for path in (tmp_path / "r").iterdir()}


def test_scan_command_refuses_before_it_reads(
    runs: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    """Wrong outputs, folders and times are refused at once, and nothing found is told."""
    (tmp_path / "mine.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty").mkdir()
    cases = (
        (("scan", runs, "-o", "fleet.xlsx"), 2, ".parquet"),
        (("scan", runs, "-o", "mine.csv"), 2, "not written by fitdiag"),
        (("scan", runs, "-o", "nowhere/fleet.csv"), 2, "make it first"),
        (("scan", "missing"), 2, "does not exist"),
        (("scan", "missing/*"), 2, "matches nothing"),
        (("scan", runs, "--since", "soon"), 2, "7d"),
        (("scan", runs, "--scheduler", "tcp://127.0.0.1:1"), 2, "-o"),
        (("scan", "empty"), 3, "No run was found; folders that were searched: 1, files"),
    )
    for arguments, code, said in cases:
        outcome = command(*arguments)
        assert outcome.code == code, arguments
        assert said in outcome.err, outcome


def test_since_leaves_older_logs_out(runs: Path) -> None:
    """Only logs that were written to since then are looked at."""
    old = runs / "ideal_digits" / "logs.csv"
    os.utime(old, (1e9, 1e9))
    work = Scan(paths=[str(runs)], jobs=1, since=1.5e9, cache=False)
    assert {row.path for row in work} == {str(p) for p in runs.glob("*/logs.csv")} - {str(old)}
    assert work.tally.skipped == 1


def test_patterns_and_logs_are_expanded(runs: Path) -> None:
    """A pattern names what it matches, a name with brackets in it that is there names itself."""
    odd = runs / "a[1]"
    odd.mkdir()
    assert expand([str(odd)]) == [str(odd)]
    assert len(expand([str(runs / "*" / "logs.csv"), str(odd)])) == len(SAMPLES) + 1
    with pytest.raises(UsageError, match="no folder"):
        expand([])
    with pytest.raises(UsageError, match="--scheduler"):
        expand(["s3://bucket/runs"])


def test_a_log_that_is_named_twice_is_one(runs: Path) -> None:
    """A folder inside another, and a log inside a folder, are looked at once."""
    log = runs / "ideal_digits" / "logs.csv"
    places = [str(log), str(runs), str(log.parent)]
    found = [each.path for each in find_candidates(places)]
    assert sorted(found) == sorted({*found})
    assert [each.path for each in find_candidates([str(log)])] == [str(log)]


def test_a_cache_that_is_locked_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another scan holds the cache for long it is not thrown away, and the scan goes on."""
    monkeypatch.setattr("fitdiag.fleet.cache.PATIENCE", 0.1)
    place = tmp_path / "kept.sqlite"
    one = Candidate("a.csv", False, 1, 1, "x")
    first = Cache(place, "m")
    first.put(one, Outcome("[]", lasting=True))
    first.flush()
    other = Cache(place, "m")
    holder = sqlite3.connect(place, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    other.put(one._replace(mark="y"), Outcome("[1]", lasting=True))
    other.close()
    assert "not kept" in other.trouble
    holder.execute("ROLLBACK")
    holder.close()
    assert first.get(one) == Outcome("[]", lasting=True)
    first.close()


def test_ranking_and_summary() -> None:
    """Runs are ranked by the denoised loss at the pick; blind picks and errors are not ranked."""
    rows = [
        Row(path="b", name="b", verdict="ideal", pick_loss=0.2, val_best=0.2, pick_step=3.0),
        Row(path="a", name="a", verdict="overfitting", pick_loss=0.1, val_best=0.1, pick_epoch=2.0),
        Row(path="c", name="c", verdict="inconclusive", status="inconclusive", pick_loss=0.0),
        *(Row.from_error(f"e{k}", "is broken") for k in range(12)),
    ]
    assert [row.name for row in rank(rows)] == ["a", "b"]
    text = summarise(rows, Tally(folders=2, loops=1))
    assert "unreadable                   12   80.0 %" in text
    assert "unreadable: e0 is broken" in text
    assert "and 2 more" in text
    assert "seen already: 1 link" in text


def test_problems_are_named(tmp_path: Path) -> None:
    """A place that is not there when it is looked at is a problem with a reason."""
    (found,) = find_candidates([str(tmp_path / "gone.csv")])
    assert isinstance(found, Problem)
    assert "No such file" in found.reason
