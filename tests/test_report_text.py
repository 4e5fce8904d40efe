"""The terminal's summary, and the words and numbers that all outputs share."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

import fitdiag
from fitdiag.findings import Severity, Skip, Verdict
from fitdiag.report import render
from fitdiag.report.figure import draw_up
from fitdiag.report.sentences import describe_gradients, describe_regret
from fitdiag.report.sparkline import Blocks, draw_losses, draw_marks
from fitdiag.report.words import (
    SEVERITIES,
    VERDICTS,
    clean,
    count,
    curve_name,
    group_skips,
    number,
    percent,
    plural,
)
from fitdiag.rules import RULES

if TYPE_CHECKING:
    from fitdiag.diagnosis import Diagnosis


def overfitting() -> Diagnosis:
    """Return the diagnosis of a run that overfits."""
    epoch = np.arange(100.0)
    return fitdiag.diagnose(
        fitdiag.Run.from_arrays(
            unit="epoch",
            train_loss=2.3 * np.exp(-epoch / 15) + 0.02,
            val_loss=2.3 * np.exp(-epoch / 12) + 0.4 + np.maximum(epoch - 30, 0) * 0.01,
        )
    )


def text(diagnosis: Diagnosis, **options: object) -> str:
    """Return the summary of a diagnosis."""
    shown = render(diagnosis, "text", **{"width": 80, "unicode": True, **options})  # type: ignore[arg-type]
    assert isinstance(shown, str)
    return shown


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_summary_fits_a_screen_with_room_to_spare(rule: fitdiag.rules.Rule) -> None:
    """Twenty lines of eighty columns hold the summary, whatever was found."""
    for run in (rule.firing(), rule.quiet()):
        lines = text(fitdiag.diagnose(run)).splitlines()
        assert len(lines) <= 20
        assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("width", [10, 24, 30, 40, 50, 60, 100, 500])
@pytest.mark.parametrize("verbose", [False, True])
def test_a_summary_is_wrapped_to_its_width(width: int, *, verbose: bool) -> None:
    """No line is longer than the terminal, from 24 columns on, and nothing is cut from its head."""
    named = fitdiag.Source(path="a/overfitting_of_a_network_on_digits.csv")
    run = fitdiag.Run(curves=overfitting().run.curves, source=named)
    shown = text(fitdiag.diagnose(run), width=width, verbose=verbose)
    assert max(map(len, shown.splitlines())) <= min(max(width, 24), 100)
    assert "100 training and 100 validation points" in " ".join(shown.split())


@pytest.mark.parametrize("width", [24, 30, 38, 41, 45, 50, 55, 60])
def test_marks_are_there_however_narrow_the_terminal(width: int) -> None:
    """Each mark has its sign and its words, and no line beneath the losses is blank."""
    lines = text(overfitting(), width=width).splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("  Train "))
    beneath = lines[first + 2 : lines.index("", first)]
    assert any("◆" in line and "Keep" in line for line in beneath)
    assert any("▲" in line and "Turns up" in line for line in beneath)
    assert len(beneath) <= 2


def test_the_last_value_of_a_curve_is_the_raw_one() -> None:
    """Beside a curve stands what the log says last, not the denoised value."""
    noise = np.random.default_rng(0).normal(0, 0.1, 60)
    loss = 2 * np.exp(-np.arange(60) / 20) + noise
    run = fitdiag.Run.from_arrays(train_loss=loss, val_loss=loss + 0.3)
    lines = text(fitdiag.diagnose(run)).splitlines()
    ends = [line.split()[-1] for line in lines if line.startswith(("  Train ", "  Validation "))]
    assert ends == [number(loss[-1]), number(loss[-1] + 0.3)]


def test_a_summary_answers_the_questions() -> None:
    """It names verdict, confidence, reason, pick, gradients, next steps and what is open."""
    diagnosis = overfitting()
    shown = " ".join(text(diagnosis).split())
    assert diagnosis.confidence is not None
    assert diagnosis.checkpoint is not None
    assert f"▲ Overfitting, {diagnosis.confidence:.0%} confident" in shown
    assert diagnosis.reason in shown
    assert f"Keep epoch {diagnosis.checkpoint.step:.0f}" in shown
    assert "Gradients No gradient norm was recorded." in shown
    assert "Next 1. " in shown
    assert "Not judged The log has no gradient norm" in shown


def test_color_is_set_only_when_asked_for() -> None:
    """Without color there is no escape sequence, with it nothing else differs."""
    plain, colored = text(overfitting()), text(overfitting(), color=True)
    assert "\033" not in plain
    assert "\033[1;33m▲ Overfitting" in colored
    assert re.sub(r"\033\[[\d;]*m", "", colored) == plain


def test_ascii_where_nothing_else_can_be_shown() -> None:
    """The same summary comes in ASCII, with other characters for blocks and marks."""
    shown = text(overfitting(), unicode=False)
    assert shown.isascii()
    assert "^ Overfitting" in shown


def test_verbose_tells_everything() -> None:
    """Findings with evidence and advice, what passed, what is open, and notes come after it."""
    source = fitdiag.Source(path="a/log.csv", notes=("a torn line was left out",))
    run = fitdiag.Run(curves=overfitting().run.curves, source=source)
    shown = text(fitdiag.diagnose(run), verbose=True)
    for wanted in ("Findings", "FIT002 overfitting", "Passed", "Could not be judged", "torn line"):
        assert wanted in shown
    assert "log.csv" in shown.splitlines()[0]


def test_losses_share_one_scale_and_marks_stand_at_their_columns() -> None:
    """Validation ends above training, and the mark of the pick is at its place."""
    diagnosis = overfitting()
    figure = draw_up(diagnosis)
    blocks = Blocks(unicode=True)
    lines = dict(draw_losses(figure, 60, blocks))
    assert blocks.heights.index(lines["val"][-1]) > blocks.heights.index(lines["train"][-1])
    assert lines["val"][-1] > min(lines["val"])
    marks = draw_marks(figure, 60, blocks)
    assert diagnosis.checkpoint is not None
    column = round((diagnosis.checkpoint.step - 1) / 99 * 59)
    assert any(line[column : column + 1] == "◆" for line in marks)
    assert "Keep: epoch" in "".join(marks)
    assert "Turns up: epoch" in "".join(marks)


def test_what_is_not_finite_is_crossed_out() -> None:
    """Columns of the training line in which the loss is not finite hold a cross."""
    loss = np.where(np.arange(60) < 30, 1.0 / np.arange(1, 61), np.nan)
    figure = draw_up(fitdiag.diagnose(fitdiag.Run.from_arrays(train_loss=loss)))
    line = dict(draw_losses(figure, 60, Blocks(unicode=True)))["train"]
    assert line[30:] == "x" * 30
    assert "x" not in line[:30]


def test_the_text_report_loads_nothing_heavy() -> None:
    """Text, Markdown and JSON come without matplotlib, Jinja2, pandas, scipy or torch."""
    code = (
        "import sys, fitdiag\n"
        "from fitdiag.report import render\n"
        "d = fitdiag.diagnose(fitdiag.Run.from_arrays(train_loss=[3., 2.], val_loss=[3., 2.]))\n"
        "for form in ('text', 'md', 'json'): render(d, form)\n"
        "heavy = {'matplotlib', 'jinja2', 'pandas', 'scipy', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "render(d, 'html')\n"
        "heavy = {'matplotlib', 'pandas', 'scipy', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_verdict_and_severity_has_words() -> None:
    """No closed set has a member that a report could not name."""
    assert set(VERDICTS) == set(Verdict)
    assert set(SEVERITIES) == set(Severity)
    assert len({words.sign.mark for words in VERDICTS.values()}) == len(VERDICTS)
    assert len({words.sign.plain for words in VERDICTS.values()}) == len(VERDICTS)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"), (1.0, "1"), (0.123456, "0.1235"), (1234.56, "1,235"), (999_949.0, "999,900"),
        (1e6, "1e+06"), (-12345.0, "-12,340"), (1e-30, "1e-30"), (float("nan"), "NaN"),
        (float("inf"), "infinity"), (float("-inf"), "-infinity"), (None, "NaN"),
    ],
)  # fmt: skip
def test_numbers_have_four_digits(value: float | None, shown: str) -> None:
    """A number looks the same everywhere: four significant digits, thousands apart."""
    assert number(value) == shown


def test_counts_shares_and_plurals() -> None:
    """Steps keep all their digits, shares two, and one thing is not two."""
    assert [count(v) for v in (12345.0, 2.5, 12.34, 1e20, float("nan"))] == [
        "12,345", "2.5", "12.3", "1e+20", "NaN",
    ]  # fmt: skip
    assert [percent(v) for v in (0.0, 0.0004, 0.056, 0.81, 12.0, 1e9, float("inf"))] == [
        "0%", "under 0.1%", "5.6%", "81%", "1,200%", "1e+11%", "infinity",
    ]  # fmt: skip
    assert (plural(1, "point"), plural(2000, "point")) == ("1 point", "2,000 points")


def test_names_are_cleaned_and_cut() -> None:
    """Control and direction characters go, lines are joined, and what is long loses its middle."""
    assert clean("a\n b\t\x1b[31mc\u202e\u200f\x00") == "a b [31mc"
    assert clean("n" * 10_000, 12) == "n" * 7 + "…" + "n" * 4
    assert clean("/a/long/path/to/logs.csv", 16) == "/a/long/pa…s.csv"
    assert clean("") == ""


def test_curves_have_names_that_people_use() -> None:
    """Canonical names become words, and metrics keep their own."""
    assert curve_name("val_loss") == "validation loss"
    assert curve_name("train_f1_score") == "training f1 score"
    assert curve_name("mystery") == "mystery"
    assert curve_name("") == "unnamed"


def test_equal_reasons_are_said_once() -> None:
    """Skips are grouped by reason in their first order."""
    skips = [
        Skip(code=code, reason=reason) for code, reason in (("A", "x"), ("B", "y"), ("C", "x"))
    ]
    assert group_skips(skips) == [("x", ("A", "C")), ("y", ("B",))]


def test_gradients_are_told_in_one_sentence() -> None:
    """Alarm, health, too little and nothing each have their own sentence."""
    fall = np.exp(-np.arange(60) / 10)
    from fitdiag.rules import find_rule

    explosion = fitdiag.diagnose(find_rule("GRD001").firing())
    alarm = next(finding for finding in explosion.findings if finding.code.startswith("GRD"))
    assert describe_gradients(explosion) == alarm.message
    calm = fitdiag.Run.from_arrays(train_loss=fall + 0.1, val_loss=fall + 0.2, grad_norm=fall + 1)
    assert describe_gradients(fitdiag.diagnose(calm)).startswith("No alarm, ")
    short = fitdiag.Run.from_arrays(train_loss=[2.0, 1.0], grad_norm=[2.0, 1.0])
    assert "Too few values" in describe_gradients(fitdiag.diagnose(short))
    assert "No gradient norm" in describe_gradients(overfitting())


def test_regret_is_told_in_words() -> None:
    """The pick is the lowest raw value, or costs something, or is blind."""
    rng = np.random.default_rng(3)
    loss = 2 * np.exp(-np.arange(80) / 10) + 0.3
    noisy = loss + rng.normal(0, 0.05, 80)
    noisy[70] = 0.05
    costly = fitdiag.diagnose(fitdiag.Run.from_arrays(train_loss=loss, val_loss=noisy))
    assert costly.checkpoint is not None
    if costly.checkpoint.regret:
        assert "of the curve's fall above the lowest (step 71, 0.05)" in describe_regret(costly)
    exact = fitdiag.diagnose(fitdiag.Run.from_arrays(train_loss=loss, val_loss=loss))
    assert describe_regret(exact) == "It is the lowest raw value too."
    blind = fitdiag.diagnose(fitdiag.Run.from_arrays(train_loss=loss))
    assert describe_regret(blind).startswith("Blind: ")
    none = fitdiag.diagnose(fitdiag.Run.from_arrays(train_loss=[np.nan] * 5))
    assert describe_regret(none) == ""
