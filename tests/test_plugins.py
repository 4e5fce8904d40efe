"""Readers of other packages: found by entry point, loaded when needed, checked by their authors."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fitdiag
from fitdiag.errors import ReadError, UsageError
from fitdiag.readers import Reader, formats, plugins
from fitdiag.readers.series import Series, make_run
from fitdiag.testing import check_reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fitdiag.run import Run

START = b"\x93MYLOG"


def read_mine(path: Path, columns: Mapping[str, str]) -> Run:
    """Read a made-up format: a first word, and numbers of eight bytes behind it."""
    data = path.read_bytes().removeprefix(START)
    values = np.frombuffer(data[: len(data) // 8 * 8])
    if not values.size:
        raise ReadError(f"{path} is no MYLOG.")
    series = [Series(name="train_loss", steps=range(1, len(values) + 1), values=values)]
    return make_run(series, path=str(path), format="mylog", columns=columns)


MINE = Reader(
    name="mylog",
    description="a made-up format",
    example="run.mylog",
    matches=lambda _path, head: head.startswith(START),
    read=read_mine,
    text=False,
)


def broken() -> Reader:
    """Fail as a plug-in with a missing dependency does."""
    raise ImportError("no module named mydep")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Install plug-ins of this module by name."""
    names: list[str] = []
    points = {"mylog": "MINE", "broken": "broken", "strange": "START", "other": "MINE"}

    def find(group: str) -> list[EntryPoint]:
        where = "fitdiag_plugins_under_test"
        return [EntryPoint(name, f"{where}:{points[name]}", group) for name in names]

    import sys
    from types import ModuleType

    module: Any = ModuleType("fitdiag_plugins_under_test")
    module.MINE, module.broken, module.START = MINE, broken, START
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("importlib.metadata.entry_points", find)
    plugins._find_points.cache_clear()
    plugins._load.cache_clear()
    yield names
    plugins._find_points.cache_clear()
    plugins._load.cache_clear()


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """Write a log in the made-up format."""
    path = tmp_path / "logs" / "run.mylog"
    path.parent.mkdir()
    path.write_bytes(START + np.array([3.0, 2.0, 1.0]).tobytes())
    return path


def test_plugins_are_asked_last(installed: list[str], sample: Path) -> None:
    """A file that no built-in reader knows goes to the plug-ins, in folders too."""
    with pytest.raises(ReadError):
        fitdiag.read(sample)
    installed.append("mylog")
    plugins._find_points.cache_clear()
    assert fitdiag.read(sample).curves["train_loss"].values.tolist() == [3, 2, 1]
    assert fitdiag.read(sample, format="mylog").source.format == "mylog"
    assert [path for path, _ in fitdiag.runs(sample.parent)] == [sample]
    assert "mylog" in [name for name, _, _ in formats()]


def test_plugins_are_not_loaded_without_need(
    installed: list[str], sample: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """A log that fitdiag reads itself, and the list of formats, load no plug-in."""
    installed.append("broken")
    path = sample.with_name("log.csv")
    path.write_text("epoch,loss\n1,2\n2,1\n", encoding="utf-8")
    fitdiag.read(path)
    formats()
    assert not recwarn.list


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "ImportError: no module named mydep"),
        ("strange", "TypeError"),
        ("other", "mylog"),
    ],
)
def test_broken_plugins_are_named_once(
    installed: list[str], sample: Path, name: str, reason: str
) -> None:
    """A plug-in that fails, is no reader or has another name warns once and is left out."""
    installed += [name, "mylog"]
    with pytest.warns(UserWarning, match=f"'{name}' of an unknown package.*{reason}") as caught:
        fitdiag.read(sample)
    fitdiag.read(sample)
    assert len(caught) == 1
    with pytest.raises(UsageError, match="unknown format"):
        fitdiag.read(sample, format=name)


def test_a_good_reader_passes(sample: Path) -> None:
    """A reader that keeps the contract passes its check."""
    check_reader(MINE, sample)


def read_badly(path: Path, columns: Mapping[str, str]) -> Run:
    """Read the made-up format without care for damage."""
    values = np.frombuffer(path.read_bytes().removeprefix(START))
    series = [Series(name="train_loss", steps=range(1, len(values) + 1), values=values)]
    return make_run(series, path=str(path), format="mylog", columns=columns)


def read_and_write(path: Path, columns: Mapping[str, str]) -> Run:
    """Read the made-up format, and add a line to the log."""
    run = read_mine(path, columns)
    path.write_bytes(path.read_bytes() + b"\n")
    return run


FAULTS: dict[str, tuple[Reader, str]] = {
    "name": (replace(MINE, name="My Log"), "must be lower-case"),
    "taken": (replace(MINE, name="csv"), "fitdiag itself has a reader called 'csv'"),
    "words": (replace(MINE, description=""), "description and example"),
    "blind": (replace(MINE, matches=lambda _path, _head: False), r"matches\(\) must be True"),
    "greedy": (replace(MINE, matches=lambda _path, _head: True), r"matches\(\) must be False"),
    "fragile": (replace(MINE, read=read_badly), "a ReadError or a Run is wanted"),
    "writing": (replace(MINE, read=read_and_write), "changed"),
    "deaf": (replace(MINE, read=lambda path, _columns: read_mine(path, {})), "ignores columns"),
    "empty": (replace(MINE, read=lambda _path, _columns: []), "found no run"),
    "nameless": (replace(MINE, name="other"), "source.format must be 'other'"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_reader_is_told_what_is_wrong(sample: Path, name: str) -> None:
    """Each breach of the contract ends the check with a sentence on it."""
    reader, sentence = FAULTS[name]
    with pytest.raises(AssertionError, match=sentence):
        check_reader(reader, sample)
