"""Several runs beside each other: the ranking, what is within the noise, the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import fitdiag
from fitdiag.cli import cli, main
from fitdiag.cli.comparing import name_logs
from fitdiag.comparison import compare
from fitdiag.report.comparing import render_comparison_page, render_comparison_text

SAMPLES = Path(__file__).parent.parent / "sample_logs"


def make(floor: float, *, noise: float = 0.002, seed: int = 0, val: bool = True) -> fitdiag.Run:
    """Return a run that converges to a validation loss."""
    rng = np.random.default_rng(seed)
    fall = 2 * np.exp(-0.15 * np.arange(60))
    curves = {"train_loss": fall + 0.2}
    if val:
        curves["val_loss"] = fall + floor + rng.normal(0, noise, 60)
    return fitdiag.Run.from_arrays(curves)


def judge(*runs: fitdiag.Run) -> list[fitdiag.Diagnosis]:
    """Return their diagnoses."""
    return [fitdiag.diagnose(run) for run in runs]


def test_the_lower_loss_wins_beyond_the_noise() -> None:
    """A difference of many standard errors ranks two runs, and is said in numbers."""
    found = compare(judge(make(0.5), make(0.3, seed=1)), ["a", "b"])
    assert found.ranking == (1, 0)
    assert found.ties == ()
    assert re.fullmatch(
        r"b has the lowest validation loss, 0\.\d+: 0\.[12]\d* below a, [\d.]+ standard errors\.",
        found.sentence,
    )


def test_runs_within_the_noise_are_not_told_apart() -> None:
    """Two runs of the same floor and much noise are a tie, and the sentence says so."""
    one, two = (make(0.5, noise=0.05, seed=seed) for seed in (1, 2))
    found = compare(judge(one, two, make(2.5)), ["a", "b", "c"])
    assert {found.ranking[0], *found.ties} == {0, 1}
    assert "cannot be told from" in found.sentence
    assert "c" not in found.sentence.split("told from")[1].replace("cannot", "")


def test_runs_without_validation_are_not_ranked() -> None:
    """A run without a validation loss stands in the table, and in no ranking."""
    blind = make(0.5, val=False)
    assert compare(judge(blind, make(0.5)), ["a", "b"]).ranking == (1,)
    assert "alone has a validation loss" in compare(judge(blind, make(0.5)), ["a", "b"]).sentence
    none = compare(judge(blind, blind), ["a", "b"])
    assert none.ranking == ()
    assert "cannot be ranked" in none.sentence


@pytest.mark.parametrize("by", ["", "epoch", "step", "share"])
def test_the_page_holds_every_run_once_a_panel(by: str) -> None:
    """Each panel draws one line a run, on one axis, and the page allows no request."""
    runs = [fitdiag.read(SAMPLES / name) for name in ("overfitting_digits.csv", "ideal_digits.csv")]
    page = render_comparison_page(compare(judge(*runs), ["<b>one</b>", "{{ two }}"]), by)
    assert "default-src &#39;none&#39;" in page
    assert "<b>one</b>" not in page
    assert "&lt;b&gt;one&lt;/b&gt;" in page
    found = re.search(r'id="figure">(.*?)</script>', page)
    assert found is not None
    figure = json.loads(found[1])
    assert figure["axis"] == {"": "Epoch", "epoch": "Epoch", "step": "Step"}.get(
        by, "Share of the run"
    )
    for panel in figure["panels"]:
        assert [series["role"] for series in panel["series"]] == ["run1", "run2"]
    if by == "share":
        assert (figure["start"], figure["end"]) == (0, 1)


def test_the_text_marks_the_best_run() -> None:
    """The table has a line a run, and a star before the one with the lowest loss."""
    text = render_comparison_text(compare(judge(make(0.5), make(0.3)), ["a", "b"]), width=80)
    lines = text.splitlines()
    assert lines[0].split() == ["Run", "Verdict", "Best", "±", "Final", "Gap", "Keep"]
    assert lines[1].startswith("  a ")
    assert lines[2].startswith("* b ")
    assert max(map(len, lines[:3])) <= 100


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fitdiag compare A B -o` prints the table and writes page, data and text."""
    monkeypatch.chdir(tmp_path)
    logs = [str(SAMPLES / f"{name}_digits.csv") for name in ("overfitting", "ideal")]
    outputs = ["-o", "c.html", "-o", "c.json", "-o", "c.txt"]
    result = CliRunner().invoke(cli, ["compare", *logs, *outputs])
    assert result.exit_code == 0, result.output
    assert "* ideal_digits.csv" in result.output
    data = json.loads(Path("c.json").read_text(encoding="utf-8"))
    assert data["ranking"] == [1, 0]
    assert [run["diagnosis"]["verdict"] for run in data["runs"]] == ["overfitting", "ideal"]
    assert "Comparison" in Path("c.html").read_text(encoding="utf-8")
    again = CliRunner().invoke(cli, ["compare", *logs, *outputs, "-q"])
    assert again.exit_code == 0
    assert again.output == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ideal_digits.csv"], "compare takes 2 to 8 logs, not 1"),
        (["ideal_digits.csv"] * 9, "fitdiag scan FOLDER"),
        (["ideal_digits.csv"] * 2 + ["-o", "x.docx"], "end the name in one of .html, .json, .txt"),
        (["ideal_digits.csv", "no_such.csv"], "no_such.csv does not exist"),
    ],
)
def test_wrong_arguments(
    arguments: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What cannot be compared is refused in a sentence that says what to do."""
    monkeypatch.chdir(SAMPLES)
    with pytest.raises(SystemExit) as end:
        main(["compare", *arguments])
    assert end.value.code in {2, 3}
    assert sentence in capfd.readouterr().err


def test_names_are_as_short_as_they_can_be() -> None:
    """Logs are called by their files, by their folders where those are alike, or by number."""
    assert name_logs(["x/a.csv", "x/b.csv"]) == ["a.csv", "b.csv"]
    assert name_logs(["x/logs.csv", "y/logs.csv"]) == ["x/logs.csv", "y/logs.csv"]
    assert name_logs(["a.csv", "a.csv"]) == ["a.csv (1)", "a.csv (2)"]
