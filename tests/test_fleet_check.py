"""``fitdiag check`` over many runs, and what is worse than a baseline."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fitdiag.fleet.baseline import compare, find_failures
from fitdiag.fleet.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]

GOOD = Row(
    path="a.csv",
    verdict="ideal",
    codes=("LRN003",),
    severities=("info",),
    pick_loss=0.5,
    val_noise=0.01,
    regret=0.0,
)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Return a folder with a good run, a bad one and one that cannot be judged."""
    folder = tmp_path / "runs"
    folder.mkdir()
    for name in ("ideal_digits", "overfitting_digits", "no_validation_waves"):
        shutil.copy(ROOT / "sample_logs" / f"{name}.csv", folder / f"{name}.csv")
    return folder


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, ()),
        ({"pick_loss": 0.4}, ()),
        ({"pick_loss": 0.529}, ()),
        ({"pick_loss": 0.54}, ("loss at the pick 0.54, was 0.5",)),
        ({"pick_loss": 0.54, "val_noise": 0.1}, ()),
        ({"pick_loss": 0.9, "regret": None}, ()),
        ({"verdict": "overfitting"}, ("verdict overfitting",)),
        ({"verdict": "controlled_gap"}, ()),
        ({"codes": ("LRN001",), "severities": ("error",)}, ("LRN001 diverged (error)",)),
        ({"codes": ("LRN003",), "severities": ("error",)}, ("LRN003 never-reduced (error)",)),
        ({"codes": ("LOG001",), "severities": ("warning",)}, ()),
        ({"status": "error", "verdict": None, "pick_loss": None}, ("could be read before",)),
    ],
)
def test_what_is_worse(changes: dict[str, Any], reasons: tuple[str, ...]) -> None:
    """A run is worse by a verdict or finding that is asked for, or by a loss beyond its noise."""
    now = replace(GOOD, **changes)
    words = {"error", "overfitting", "no-learning", "diverged"}
    found = compare([now], [GOOD.to_dict()], words)
    told = found[0].reasons if found else ()
    assert tuple(reason.replace(_name(reason), "…") for reason in told) == tuple(
        reason.replace(_name(reason), "…") for reason in reasons
    )
    assert not compare([now], [now.to_dict()], words)


def _name(reason: str) -> str:
    """Return the name of a rule in a reason, which may be bettered while the code stays."""
    words = reason.split()
    return words[1] if words[0][:3].isupper() else "\0"


def test_new_runs_are_judged_as_they_are() -> None:
    """A run that the baseline does not have fails by --fail-on alone."""
    bad = replace(GOOD, path="b.csv", verdict="diverged", pick_loss=9.0)
    (failure,) = compare([GOOD, bad], [GOOD.to_dict()], {"diverged"})
    assert (failure.row, failure.known) == (bad, False)
    assert [one.row for one in find_failures([GOOD, bad], {"diverged"})] == [bad]
    assert [one.row for one in find_failures([GOOD, bad], {"info"})] == [GOOD, bad]


def test_check_goes_through_a_folder(runs: Path, command: Callable[..., Any]) -> None:
    """A folder of runs is checked run by run, and what is known in a baseline does not fail."""
    outcome = command("check", "runs")
    assert outcome.code == 1
    assert "FAIL runs/overfitting_digits.csv: verdict overfitting; FIT002" in outcome.out
    assert "skip runs/no_validation_waves.csv" in outcome.out
    assert "1 of 3 runs fail; 1 cannot be judged, 0 cannot be read." in outcome.out
    assert command("check", "runs", "--fail-on", "diverged").code == 0
    assert command("scan", "runs", "-o", "fleet.csv", "-q", "--no-cache", "-j", 1).code == 0
    assert command("check", "runs", "--baseline", "fleet.csv").code == 0
    (runs / "logs.csv").write_text("step,epoch,train_loss,val_loss\n")
    shutil.copy(runs / "overfitting_digits.csv", runs / "ideal_digits.csv")
    worse = command("check", "runs/*.csv", "--baseline", "fleet.csv")
    assert worse.code == 1
    assert "FAIL runs/ideal_digits.csv: worse: verdict overfitting" in worse.out
    assert "overfitting_digits" not in worse.out
    assert command("check", "runs", "--fail-on", "diverged").code == 3


def test_check_of_one_run_in_a_folder_stays_as_it_was(
    tmp_path: Path, runs: Path, command: Callable[..., Any]
) -> None:
    """A folder with one run, and one with --run, are checked as one log with every finding told."""
    (tmp_path / "one").mkdir()
    shutil.copy(runs / "overfitting_digits.csv", tmp_path / "one" / "logs.csv")
    outcome = command("check", "one")
    assert outcome.code == 1
    assert outcome.out.startswith("FAIL one: verdict overfitting (confidence")
    assert command("check", "runs", "--run", 1).out.startswith("pass runs: verdict ideal")


def test_check_refuses_what_is_no_baseline(runs: Path, command: Callable[..., Any]) -> None:
    """A baseline that is missing or no table of a scan is named."""
    missing = command("check", runs, "--baseline", "gone.csv")
    assert missing.code == 3
    assert "gone.csv cannot be read" in missing.err
    wrong = command("check", runs, "--baseline", "fleet.txt")
    assert wrong.code == 2
    assert ".parquet" in wrong.err
