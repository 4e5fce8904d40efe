"""What goes wrong in a fleet: each thing is handled and said, and none of them ends a scan."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fitdiag.diagnosis import Config
from fitdiag.fleet.examination import Examiner, decode_rows
from fitdiag.fleet.finding import Candidate, Problem, Tally, find_candidates
from fitdiag.fleet.pool import Pool
from fitdiag.fleet.scanning import Scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from fitdiag.fleet.rows import Row

ROOT = Path(__file__).resolve().parents[1]
LOG = ROOT / "sample_logs" / "ideal_digits.csv"

KILLER = '''
import os, signal, time
from fitdiag.fleet.examination import Examiner, Outcome

class Killer(Examiner):
    """Ends its process, or sleeps, at logs that are called so."""

    def examine(self, candidate, shown=None):
        if "killer" in candidate.path:
            os.kill(os.getpid(), signal.SIGKILL)
        if "sleeper" in candidate.path:
            time.sleep(60)
        return super().examine(candidate, shown)
'''


@pytest.fixture
def killer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Examiner:
    """Return an examiner that dies at some logs; worker processes find its module too."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "killers_of_workers.py").write_text(KILLER)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "killers_of_workers", raising=False)
    made: Examiner = importlib.import_module("killers_of_workers").Killer(config=Config())
    return made


def found_in(folder: Path, tally: Tally | None = None) -> list[Candidate | Problem]:
    """Return everything below a folder."""
    return list(find_candidates([str(folder)], tally))


def examine(folder: Path, **limits: Any) -> list[Row]:
    """Return the rows of the candidates below a folder, made in this process."""
    examiner = Examiner(config=Config(), **limits)
    found = [each for each in found_in(folder) if isinstance(each, Candidate)]
    return [row for each in found for row in decode_rows(examiner.examine(each).rows)]


def test_a_killed_worker_costs_one_row(killer: Examiner, tmp_path: Path) -> None:
    """A log that kills its worker, and one that never ends, cost a row each and nothing else."""
    folder = tmp_path / "runs"
    folder.mkdir()
    names = [f"run{k:02}" for k in range(12)]
    names[5], names[8] = "run05 killer", "run08 sleeper"
    for name in names:
        shutil.copy(LOG, folder / f"{name}.csv")
    pool = Pool(examiner=killer, jobs=2, seconds=1.0)
    outcomes = [pair for finished in pool.examine(found_in(folder)) for pair in finished]  # type: ignore[arg-type]  # there are no problems
    rows = {Path(one.path).stem: decode_rows(outcome.rows) for one, outcome in outcomes}
    assert len(outcomes) == len(names) == len(rows)
    assert rows[names[5]][0].status == "error"
    assert "signal 9" in rows[names[5]][0].reason
    assert "took longer than" in rows[names[8]][0].reason
    healthy = [row.verdict for name in names if " " not in name for row in rows[name]]
    assert healthy == ["ideal"] * (len(names) - 2)


def test_a_scan_that_is_left_stops_its_workers(tmp_path: Path) -> None:
    """Who stops taking rows leaves no process behind."""
    import multiprocessing

    for k in range(40):
        shutil.copy(LOG, tmp_path / f"{k}.csv")
    rows = iter(Scan(paths=[str(tmp_path)], jobs=1, cache=False))
    assert next(rows).verdict == "ideal"
    assert multiprocessing.active_children()
    rows.close()  # type: ignore[attr-defined]  # it is a generator
    assert not multiprocessing.active_children()


def test_ctrl_c_keeps_what_is_done(
    tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted scan writes the rows so far, exits with 130, and the next one goes on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "runs"
    folder.mkdir()
    for k in range(12):
        shutil.copy(LOG, folder / f"{k}.csv")
    whole = Scan.__iter__

    def interrupt(self: Scan) -> Any:
        for number, row in enumerate(whole(self)):
            if number == 3:
                raise KeyboardInterrupt
            yield row

    with monkeypatch.context() as patch:
        patch.setattr(Scan, "__iter__", interrupt)
        outcome = command("scan", folder, "-o", "fleet.csv", "--jobs", 1)
    assert outcome.code == 130
    assert "Interrupted" in outcome.err
    assert len((tmp_path / "fleet.csv").read_text().splitlines()) == 4
    again = command("scan", folder, "-o", "fleet.csv", "--jobs", 1)
    assert again.code == 0
    assert "not changed since" in again.out
    assert len((tmp_path / "fleet.csv").read_text().splitlines()) == 13


def test_links_that_lead_nowhere_or_in_circles_end(tmp_path: Path) -> None:
    """Dangling links and loops are problems with a reason; a folder is listed once."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    shutil.copy(LOG, tmp_path / "a" / "b" / "logs.csv")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "a" / "round.csv").symlink_to(tmp_path / "a" / "round.csv")
    tally = Tally()
    found = found_in(tmp_path, tally)
    problems = {Path(each.path).name: each.reason for each in found if isinstance(each, Problem)}
    assert set(problems) == {"gone.csv", "round.csv"}
    assert "leads nowhere" in problems["gone.csv"]
    assert "circle" in problems["round.csv"]
    assert sum(isinstance(each, Candidate) for each in found) == 1
    assert (tally.folders, tally.loops) == (3, 1)


def test_what_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that may not be listed and a log that may not be read are rows with a reason."""
    shutil.copy(LOG, tmp_path / "logs.csv")
    (tmp_path / "locked").mkdir()
    scandir, opened = os.scandir, Path.open

    def refuse_folder(path: Any) -> Any:
        if "locked" in str(path):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    def refuse_file(self: Path, *arguments: Any, **words: Any) -> Any:
        if self.name == "logs.csv":
            raise PermissionError(13, "Permission denied")
        return opened(self, *arguments, **words)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse_folder)
        problems = [each for each in found_in(tmp_path) if isinstance(each, Problem)]
    assert [each.reason[:24] for each in problems] == ["may not be read by this "]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse_file)
        (row,) = examine(tmp_path)
    assert row.status == "error"
    assert "may not be read by this user" in row.reason


def test_a_log_that_grows_is_told(tmp_path: Path) -> None:
    """A log that is written to while it is read gives a row with a note, which is not kept."""
    path = tmp_path / "logs.csv"
    shutil.copy(LOG, path)
    (candidate,) = found_in(tmp_path)
    assert isinstance(candidate, Candidate)
    with path.open("a") as file:
        file.write(path.read_text().splitlines()[-1] + "\n")
    outcome = Examiner(config=Config()).examine(candidate)
    (row,) = decode_rows(outcome.rows)
    assert row.verdict == "ideal"
    assert "while it was read" in row.note
    assert not outcome.lasting


def test_a_huge_log_is_left_out_and_said(tmp_path: Path) -> None:
    """A log of 5 GB among small ones is not read, and its row says what to do."""
    shutil.copy(LOG, tmp_path / "a.csv")
    with (tmp_path / "b.csv").open("wb") as file:
        file.write(LOG.read_bytes())
        file.truncate(5_000_000_000)  # takes no room on the disk
    rows = examine(tmp_path)
    assert [row.status for row in rows] == ["ok", "error"]
    assert "has 5.0 GB" in rows[1].reason
    assert "--max-size" in rows[1].reason


def test_many_folders_without_runs(tmp_path: Path) -> None:
    """A thousand folders without a run are walked through in no time, and counted."""
    for k in range(1000):
        (tmp_path / f"{k % 10}" / f"{k}").mkdir(parents=True)
    tally = Tally()
    start = time.process_time()
    assert not found_in(tmp_path, tally)
    assert time.process_time() - start < 2
    assert (tally.folders, tally.files) == (1011, 0)


def test_names_in_any_encoding(tmp_path: Path) -> None:
    """Names that are no text, or hold quotes and line ends, give rows that can be written."""
    names = [b"caf\xe9.csv", 'ü"\n,.csv'.encode(), "日本語.csv".encode()]
    for name in names:
        shutil.copy(LOG, tmp_path / os.fsdecode(name))
    work = Scan(paths=[str(tmp_path)], jobs=1, cache=tmp_path / "kept" / "c.sqlite")
    rows = list(work)
    assert [row.verdict for row in rows] == ["ideal"] * 3
    assert any("caf\\xe9.csv" in row.path for row in rows)
    for row in rows:
        row.path.encode()
    again = Scan(paths=[str(tmp_path)], jobs=1, cache=tmp_path / "kept" / "c.sqlite")
    assert len(list(again)) == 3
    assert again.tally.unchanged == 3


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("logs.csv", b"", 1),
        ("data.csv", b"", 0),
        ("logs.csv", b"step,epoch,train_loss,val_loss\n", 1),
        ("data.csv", b"city,people\nRome,3\nOslo,1\n", 0),
        ("notes.txt", b"to do: train longer\n" * 9, 0),
        ("args.json", b'{"lr": 0.1, "epochs": 3}', 0),
        ("weights.dat", bytes(range(256)) * 40, 0),
        ("fleet.csv", b"path,run,name,format,status,reason\n", 0),
    ],
)
def test_broken_logs_are_told_from_no_logs(
    tmp_path: Path, name: str, content: bytes, rows: int
) -> None:
    """An empty or broken log is a row that says why; a file that is no log is passed over."""
    (tmp_path / name).write_bytes(content)
    found = examine(tmp_path)
    assert len(found) == rows
    assert all(row.status == "error" and row.reason for row in found)


def test_a_reader_that_breaks_costs_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a reader raises becomes the reason of one row."""
    shutil.copy(LOG, tmp_path / "logs.csv")

    def explode(*_: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr("fitdiag.fleet.examination.diagnose", explode)
    (row,) = examine(tmp_path)
    assert row.reason == "cannot be read: RecursionError: too deep"


def test_a_tree_of_trainings_is_many_logs(tmp_path: Path) -> None:
    """A tree of TensorBoard trainings is one log for each; train/ and val/ stay together."""
    for run in ("a", "b"):
        (tmp_path / "tree" / run).mkdir(parents=True)
        (tmp_path / "tree" / run / "events.out.tfevents.1.host").write_bytes(b"")
    for split in ("train", "validation"):
        (tmp_path / "pair" / split).mkdir(parents=True)
        (tmp_path / "pair" / split / "events.out.tfevents.1.host").write_bytes(b"")
    places = [Path(each.path).relative_to(tmp_path).as_posix() for each in found_in(tmp_path)]
    assert places == ["pair", "tree/a", "tree/b"]
    assert all(isinstance(each, Candidate) and each.folder for each in found_in(tmp_path))


def test_plain_folders_are_told_without_asking_every_reader(tmp_path: Path) -> None:
    """The shortcut for plain folders never hides a folder that is one log."""
    from fitdiag.fleet.finding import _Entries
    from fitdiag.readers.registry import sniff_folder

    layouts = (
        {"logs.csv": "x", "logs.meta.json": "{}", "last.pt": ""},
        {"train_loss.csv": "1\n2\n", "val_loss.csv": "1\n2\n"},
        {"metrics.csv": "epoch,loss\n1,2\n"},
        {"meta.yaml": "run_uuid: x\n"},
        {"run-1.wandb": ""},
        {"events.out.tfevents.1": ""},
        {"trainer_state.json": "{}"},
        {"metrics.json": "{}"},
        {"project.db": ""},
    )
    for number, layout in enumerate(layouts):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, text in layout.items():
            (folder / name).write_text(text)
        plain = _Entries(sorted(os.scandir(folder), key=lambda entry: entry.name)).is_plain()
        assert plain == (number in {0, 2})
        assert not (plain and sniff_folder(folder))
