"""The page: self-contained, under its own policy, in the order in which it is read."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

import fitdiag
from fitdiag.report import render
from fitdiag.report.figure import draw_up
from fitdiag.report.plotting import figure_data

if TYPE_CHECKING:
    from fitdiag.diagnosis import Diagnosis


@pytest.fixture(scope="module")
def diagnosis() -> Diagnosis:
    """Return the diagnosis of a run of 200 epochs that overfits."""
    epoch = np.arange(200.0)
    noise = np.random.default_rng(0).normal(0, 0.01, (2, 200))
    return fitdiag.diagnose(
        fitdiag.Run.from_arrays(
            train_loss=2.3 * np.exp(-epoch / 30) + 0.02 + noise[0],
            val_loss=2.3 * np.exp(-epoch / 25) + 0.4 + np.maximum(epoch - 60, 0) * 0.004 + noise[1],
            grad_norm=1 + 3 * np.exp(-(((epoch - 8) / 5) ** 2)) + np.exp(-epoch / 20),
            lr=np.full(200, 0.1),
        )
    )


@pytest.fixture(scope="module")
def page(diagnosis: Diagnosis) -> str:
    """Return its page."""
    text = render(diagnosis, "html")
    assert isinstance(text, str)
    return text


def digest(text: str) -> str:
    """Return a text's digest as a content security policy writes it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_policy_allows_only_the_page_s_own_style_and_script(page: str) -> None:
    """The policy forbids everything and allows by hash what stands in the page."""
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    rules = policy[1].replace("&#39;", "'").replace("&#43;", "+")
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(style) == len(script) == 1
    assert f"style-src '{digest(style[0])}'" in rules
    assert f"script-src '{digest(script[0])}'" in rules
    assert "default-src 'none'" in rules
    assert "unsafe" not in rules
    assert " style=" not in re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)


def test_nothing_is_requested_from_anywhere(page: str) -> None:
    """No address of another place stands in the page, in markup, style or script."""
    found = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", page))
    assert found <= {"https://github.com", "//github.com"}  # the library's own licence note
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|import\(", page)


def test_a_page_of_200_rows_is_small(page: str) -> None:
    """A page, charts and library included, stays under 300 KB."""
    assert len(page.encode()) < 300_000


def test_sections_stand_in_the_order_in_which_they_are_read(page: str) -> None:
    """Verdict, checkpoint, next steps, curves, findings, passed, unjudged, the run, limits."""
    order = ["verdict", "keep", "next", "charts", "findings", "passed", "unjudged", "facts"]
    places = [page.index(f'id="{name}"') for name in order]
    assert places == sorted(places)
    assert page.index("Limits used") > places[-1]


def test_headings_do_not_skip_a_level(page: str) -> None:
    """One h1, and no heading goes more than one level deeper than the one before it."""
    levels = [int(level) for level in re.findall(r"<h([1-6])\b", page)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_every_chart_has_words_and_a_drawing(page: str, diagnosis: Diagnosis) -> None:
    """Each panel has a label that says what it shows, and a drawing for pages without script."""
    panels = draw_up(diagnosis).panels
    assert page.count('<svg class="drawing"') == len(panels) == 3
    labels = re.findall(r'<div class="live"[^>]*aria-label="([^"]*)"', page)
    assert len(labels) == len(panels)
    assert labels[0].startswith("Loss by step: training loss goes from 2.")
    assert "Keep: step" in labels[0]


def test_the_script_draws_the_figure_of_the_diagnosis(page: str, diagnosis: Diagnosis) -> None:
    """The data in the page are those of the figure."""
    data = re.search(r'<script type="application/json" id="figure">(.*?)</script>', page, re.DOTALL)
    assert data
    assert json.loads(data[1]) == json.loads(json.dumps(figure_data(draw_up(diagnosis))))


def test_verdict_reason_and_pick_are_told(page: str, diagnosis: Diagnosis) -> None:
    """Title, confidence, reason and the checkpoint with its alternatives are there in words."""
    assert diagnosis.confidence is not None
    assert diagnosis.checkpoint is not None
    assert '<h1 id="verdict">Overfitting</h1>' in page
    assert f"{diagnosis.confidence:.0%}" in page
    assert diagnosis.reason in page
    assert f"step {diagnosis.checkpoint.step:.0f}" in page
    assert "Lowest raw value" in page


def test_a_finding_is_tied_to_its_span(page: str, diagnosis: Diagnosis) -> None:
    """Each finding carries the code by which the script lights up its evidence."""
    spans = {
        span["code"]
        for panel in figure_data(draw_up(diagnosis))["panels"]
        for span in panel["spans"]
        if span["kind"] == "evidence"
    }
    assert spans
    for code in spans:
        assert f'data-code="{code}"' in page


def luminance(color: str) -> float:
    """Return the relative luminance of #rrggbb as WCAG 2 defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast_is_that_of_wcag_aa(page: str, scheme: int) -> None:
    """Text reaches 4.5 to 1 on its background, and lines 3 to 1, in light and in dark."""
    blocks = re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", "".join(blocks[: scheme + 1])))

    def contrast(front: str, back: str) -> float:
        high, low = sorted((luminance(colors[front]), luminance(colors[back])), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for front in ("ink", "muted"):
        assert contrast(front, "paper") >= 4.5
        assert contrast(front, "page") >= 4.5
    for tone in ("good", "fair", "warn", "bad", "unknown"):
        assert contrast(tone, "paper") >= 4.5
        assert contrast(tone, f"{tone}-tint") >= 4.5
    for line in ("train", "val", "norm", "peaks", "lr", "focus"):
        assert contrast(line, "paper") >= 3
