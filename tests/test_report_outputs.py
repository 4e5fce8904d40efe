"""Every output for every kind of run, however odd, and for hostile names."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fitdiag
from fitdiag.findings import Evidence, Finding, Severity, Skip
from fitdiag.report import FORMATS, notebook_html, render
from fitdiag.report.markdown import escape
from fitdiag.report.words import clean
from fitdiag.rules import RULES
from fitdiag.run import Curve, Run, Source, StepUnit

if TYPE_CHECKING:
    from fitdiag.diagnosis import Diagnosis

N = 40
STEPS = np.arange(N, dtype=float)
FALL = 2.3 * np.exp(-STEPS / 8)
WAVE = np.sin(STEPS * 2.4)


def with_gap(values: np.ndarray, bad: float) -> Curve:
    """Return a curve of which the third quarter is not finite."""
    broken = values.copy()
    broken[N // 2 : 3 * N // 4] = bad
    return Curve(name="train_loss", steps=STEPS, values=broken)


def run_of(*curves: Curve, source: Source | None = None) -> Run:
    """Return a run of these curves."""
    return Run(curves={curve.name: curve for curve in curves}, source=source or Source())


def empty(name: str) -> Curve:
    """Return a curve without points."""
    return Curve(name=name, steps=np.empty(0), values=np.empty(0))


ODD_RUNS = {
    "complete": Run.from_arrays(
        steps=np.arange(1, N + 1) * 10,
        epochs=np.arange(1, N + 1),
        train_loss=FALL + 0.1,
        val_loss=FALL + 0.2,
        val_accuracy=1 - FALL / 3,
        grad_norm=FALL + 1,
        grad_norm_max=FALL + 2,
        lr=FALL,
    ),
    "no validation": Run.from_arrays(train_loss=FALL),
    "no training": Run.from_arrays(val_loss=FALL),
    "metrics only": Run.from_arrays(val_f1=FALL),
    "one point": Run.from_arrays(train_loss=[1.0], val_loss=[2.0], grad_norm=[3.0], lr=[0.1]),
    "two points": Run.from_arrays(train_loss=[2.0, 1.0], val_loss=[2.0, 1.0]),
    "all NaN": Run.from_arrays(train_loss=[np.nan] * 9, val_loss=[np.nan] * 9),
    "infinite": run_of(with_gap(FALL, np.inf)),
    "ends NaN": Run.from_arrays(train_loss=np.where(STEPS < 9, FALL, np.nan)),
    "empty": run_of(empty("train_loss"), empty("val_loss"), empty("grad_norm")),
    "nothing": Run(curves={}),
    "constant": Run.from_arrays(train_loss=np.ones(N), val_loss=np.ones(N), grad_norm=np.ones(N)),
    "zero": Run.from_arrays(train_loss=np.zeros(N), val_loss=np.zeros(N), grad_norm=np.zeros(N)),
    "negative": Run.from_arrays(train_loss=-100 + FALL, val_loss=-99 + FALL + 0.01 * WAVE),
    "tiny": Run.from_arrays(train_loss=1e-30 * FALL, val_loss=1e-30 * FALL, grad_norm=1e-30 * FALL),
    "huge": Run.from_arrays(train_loss=1e30 * FALL, val_loss=1e30 * FALL, grad_norm=1e30 * FALL),
    "mixed": Run.from_arrays(
        train_loss=np.geomspace(1e30, 1e-30, N), grad_norm=np.geomspace(1e-30, 1e30, N)
    ),
    "rows": Run.from_arrays(train_loss=FALL, val_loss=FALL + WAVE, unit=StepUnit.ROW),
    "epochs": Run.from_arrays(train_loss=FALL, val_loss=FALL + 0.1 * WAVE, unit="epoch"),
}


@pytest.mark.parametrize("name", ODD_RUNS)
def test_every_output_of_every_odd_run(name: str) -> None:
    """Each format renders for each odd run, without a warning, and is not empty."""
    diagnosis = fitdiag.diagnose(ODD_RUNS[name])
    # the three kinds of pictures draw the same figure; one of them is enough for most runs
    forms = set(FORMATS) - (set() if name in {"complete", "mixed", "nothing"} else {"png", "pdf"})
    shown = {form: render(diagnosis, form) for form in forms}
    assert min(map(len, shown.values())) > 100
    json.loads(shown["json"], parse_constant=lambda word: pytest.fail(f"{word} in JSON"))


@pytest.mark.parametrize("name", ODD_RUNS)
def test_a_notebook_shows_every_odd_run(name: str) -> None:
    """The small notebook view renders for each odd run, and stays small."""
    shown = fitdiag.diagnose(ODD_RUNS[name])._repr_html_()
    assert shown.startswith('<div class="fitdiag">')
    assert len(shown) < 100_000


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_every_finding_is_told(rule: fitdiag.rules.Rule) -> None:
    """What a rule finds on its own example stands in the page, the Markdown and the long text."""
    diagnosis = fitdiag.diagnose(rule.firing())
    text = render(diagnosis, "text", verbose=True, width=100, unicode=True)
    assert isinstance(text, str)
    page, markdown = render(diagnosis, "html"), render(diagnosis, "md")
    assert isinstance(page, str)
    assert isinstance(markdown, str)
    for finding in diagnosis.findings:
        message = clean(finding.message, 600)
        assert message in " ".join(text.split())
        assert message in html.unescape(page)
        assert escape(message) in markdown


def test_a_million_points_make_a_small_page() -> None:
    """A page of a million points holds a few thousand of them."""
    n = 1_000_000
    noise = np.random.default_rng(0).normal(0, 0.01, n)
    loss = 2 * np.exp(-np.arange(n) / 2e5) + noise
    loss[123_456] = np.nan
    diagnosis = fitdiag.diagnose(Run.from_arrays(train_loss=loss, grad_norm=np.abs(loss) + 1))
    assert len(render(diagnosis, "html")) < 600_000
    assert len(render(diagnosis, "svg")) < 1_500_000


HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }} {% raw %}",
    "abc\u202egnp.exe\u2066\u200f",
    "\x1b[31mred\x1b[0m\x07\x00",
    "| a | b |\n|---|---|\n# title",
    "[link](javascript:alert(1)) ![x](http://evil.example/x.png) `code` <!-- -->",
    "@everyone #1 http://evil.example www.evil.example :tada: $x^2$",
    '=HYPERLINK("http://evil.example")',
    "\ud800 lone surrogate",
    "名" * 40,
    "n" * 10_000,
    "$\\frac{1}{2$ _{",
    "",
)


def poisoned(name: str) -> Diagnosis:
    """Return a diagnosis in which every name and sentence that a log can reach is this one."""
    metric = f"val_{name}"
    run = run_of(
        Curve(name="train_loss", steps=STEPS, values=FALL, label=name),
        Curve(name="val_loss", steps=STEPS, values=FALL + 0.1, label=name),
        Curve(name=metric, steps=STEPS, values=FALL, label=name),
        source=Source(path=name, format=name, columns={"train_loss": name}, notes=(name,)),
    )
    diagnosis = fitdiag.diagnose(run)
    evidence = Evidence(curve=metric, start=0, end=9, value=1.0, limit=2.0, label=name)
    finding = Finding(
        code=name,
        name=name,
        severity=Severity.ERROR,
        message=name,
        advice=(name, "then " + name),
        evidence=(evidence,),
    )
    pick = diagnosis.checkpoint
    assert pick is not None
    return replace(
        diagnosis,
        judgement=replace(diagnosis.judgement, reason=name),
        findings=(finding,),
        skipped=(Skip(code=name, reason=name),),
        passed=(name,),
        limits={name: {name: 1.0}},
        checkpoint=replace(pick, reason=name, path=name),
    )


class Reader(HTMLParser):
    """Collects the tags and the attribute names of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag and what it carries."""
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src"}]


def check_markup(page: str) -> None:
    """Assert that a page holds only what its templates put there."""
    reader = Reader()
    reader.feed(page)
    assert reader.tags.count("script") <= 2
    assert not {"img", "a", "iframe", "object", "form"} & set(reader.tags)
    assert not [name for name in reader.attributes if name.startswith("on") or name == "style"]
    assert set(reader.addresses) <= {"data:,"}
    check_characters(page)


def check_characters(text: str) -> None:
    """Assert that nothing in a text can steer a terminal or turn its direction."""
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)
    assert not re.search("n{1000}", text)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name: str) -> None:
    """Markup, templates, control and direction characters in any field appear as text or not."""
    diagnosis = poisoned(name)
    page = render(diagnosis, "html")
    assert isinstance(page, str)
    check_markup(page)
    check_markup(notebook_html(diagnosis))
    if "7 * 7" in name:
        assert "{{ 7 * 7 }}" in page
    text = render(diagnosis, "text", verbose=True, width=80, unicode=True)
    assert isinstance(text, str)
    check_characters(text)
    document = render(diagnosis, "json")
    assert isinstance(document, str)
    assert document.isascii()
    assert json.loads(document)["source"]["path"] == name
    assert isinstance(render(diagnosis, "svg"), str)


@given(st.text(max_size=60))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_name_stays_text(name: str) -> None:
    """Whatever characters a name is made of, no output without matplotlib is changed by them."""
    diagnosis = poisoned(name)
    page, markdown = render(diagnosis, "html"), render(diagnosis, "md")
    assert isinstance(page, str)
    assert isinstance(markdown, str)
    check_markup(page)
    check_characters(markdown)
    plain = render(diagnosis, "text", verbose=True, width=80, unicode=False)
    assert isinstance(plain, str)
    assert plain.isascii()
    json.loads(render(diagnosis, "json"))


@given(st.text(max_size=80))
@settings(max_examples=300, deadline=None)
def test_markdown_escapes_what_has_a_meaning(text: str) -> None:
    """No character with a meaning in Markdown stands without a backslash before it."""
    escaped = escape(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]<>|#~&!$]", re.sub(r"\\.", "", escaped))
    assert "\n" not in escaped
    assert not re.search(r"@\w|://\w|www\.\w", escaped)
    assert not re.match(r"\s*(?:[-+=]|\d+[.)])", escaped)


def test_markdown_tables_keep_their_columns() -> None:
    """Each row of a table has as many cells as its head, whatever the names hold."""
    markdown = render(poisoned("a | b \\| c"), "md")
    assert isinstance(markdown, str)
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert rows
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}
