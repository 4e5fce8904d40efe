"""The ledger: any changed verdict of a sample log is a readable difference."""

from __future__ import annotations

import difflib
import json
import runpy
from typing import TYPE_CHECKING, Any

import pytest

import fitdiag

if TYPE_CHECKING:
    from pathlib import Path

HOW = "If the change is meant: python tests/gold/update.py, and a line in CHANGELOG.md."


@pytest.fixture(scope="module")
def judged(root: Path) -> dict[str, Any]:
    """Return what fitdiag says of every sample log now."""
    update = runpy.run_path(str(root / "tests" / "gold" / "update.py"))
    entries: dict[str, Any] = update["judge_samples"]()
    return entries


@pytest.fixture(scope="module")
def ledger(root: Path) -> dict[str, Any]:
    """Return what it said when the ledger was last written."""
    path = root / "tests" / "gold" / "ledger.json"
    entries: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return entries


def test_ledger_names_every_sample_log(judged: dict[str, Any], ledger: dict[str, Any]) -> None:
    """Every sample log stands in the ledger, and nothing else does."""
    assert sorted(ledger) == sorted(judged), HOW


def test_verdicts_and_codes_are_those_of_the_ledger(
    judged: dict[str, Any], ledger: dict[str, Any]
) -> None:
    """Verdict and codes of every sample log are as they were."""
    before, now = (json.dumps(one, indent=1).splitlines() for one in (ledger, judged))
    difference = "\n".join(difflib.unified_diff(before, now, "ledger", "now", lineterm="", n=4))
    assert not difference, f"\n{difference}\n{HOW}"


def test_samples_show_every_verdict(judged: dict[str, Any]) -> None:
    """Each verdict has a sample log, and each of the four main ones has two."""
    verdicts = [entry["verdict"] for entry in judged.values()]
    for verdict in fitdiag.Verdict:
        least = 1 if verdict in {"diverged", "inconclusive"} else 2
        assert verdicts.count(verdict.value) >= least, verdict
