"""What `fitdiag check` says to code hosts: GitHub's annotations and SARIF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fitdiag.cli import cli
from fitdiag.report.annotations import Notice, render_github, render_sarif

SAMPLES = Path(__file__).parent.parent / "sample_logs"


def run(*arguments: str) -> tuple[int, str]:
    """Return exit code and output of `fitdiag check`."""
    result = CliRunner().invoke(cli, ["check", *arguments], standalone_mode=False)
    assert result.exception is None, result.output
    return int(result.return_value), result.output


def test_github_annotates_what_fails() -> None:
    """A run that fails has an error, one that is fine no line at all."""
    log = str(SAMPLES / "overfitting_digits.csv")
    code, output = run(log, "--format", "github")
    assert code == 1
    assert output.startswith(f"::error file={log},title=fitdiag FIT002::Validation loss turned")
    assert output.count("::error") == 1
    assert run(str(SAMPLES / "ideal_digits.csv"), "--format", "github") == (0, "")


def test_sarif_names_rules_and_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each result names a rule that is described, a level, a sentence and a relative path."""
    monkeypatch.chdir(SAMPLES)
    code, output = run("exploding_digits.csv", "--format", "sarif")
    assert code == 1
    (found,) = json.loads(output)["runs"]
    rules = {rule["id"]: rule for rule in found["tool"]["driver"]["rules"]}
    assert found["tool"]["driver"]["name"] == "fitdiag"
    assert {result["ruleId"] for result in found["results"]} == set(rules)
    assert "GRD001" in rules
    for result in found["results"]:
        assert result["level"] in {"error", "warning", "note"}
        assert result["message"]["text"]
        (place,) = result["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"] == "exploding_digits.csv"


def test_an_inconclusive_run_is_a_warning() -> None:
    """What cannot be judged is said, and is no error unless it was asked for."""
    log = str(SAMPLES / "inconclusive_iris.csv")
    code, output = run(log, "--format", "github")
    assert code == 3
    assert output.startswith("::warning ")
    code, output = run(log, "--format", "github", "--fail-on", "inconclusive")
    assert code == 1
    assert output.startswith("::error ")


@pytest.mark.parametrize("form", ["github", "sarif"])
def test_a_folder_of_runs(form: str) -> None:
    """Over many runs each one that fails is named once, with its own log."""
    code, output = run(str(SAMPLES), "--format", form)
    assert code == 1
    names = {path.name for path in SAMPLES.glob("*.csv") if path.name in output}
    assert "overfitting_digits.csv" in names
    assert "ideal_digits.csv" not in names
    if form == "sarif":
        results: list[dict[str, Any]] = json.loads(output)["runs"][0]["results"]
        assert len(results) == len(names)


@given(st.text(max_size=200), st.text(min_size=1, max_size=50))
def test_nothing_in_a_log_becomes_a_command(message: str, name: str) -> None:
    """Whatever a message or a path holds, there is one line, one command, and valid JSON."""
    notice = Notice(log=name, code="FIT002", level="error", message=message)
    text = render_github([notice])
    assert len(text.splitlines()) == 1
    head, _, _ = text.removeprefix("::").partition("::")
    assert head.startswith("error file=")
    assert head.count(",") == 1
    assert json.loads(render_sarif([notice]))["version"] == "2.1.0"
