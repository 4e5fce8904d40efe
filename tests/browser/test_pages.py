"""Every page in a real browser: quiet, accessible, legible without script, whole at any width."""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Visitor

WIDTHS = (360, 768, 1280, 2560)
#: colours of paper, of ink, and of the first of several runs where there are several
READ_COLORS = """() => ["--page", "--ink", "--run1"].map(
  (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim())"""
#: what is seen and reaches over the right edge
FIND_CUT = """() => [...document.querySelectorAll("main *")]
  .filter((part) => part.checkVisibility() && part.getBoundingClientRect().right > innerWidth + 1)
  .map((part) => part.outerHTML.slice(0, 200))"""


def test_a_page_is_quiet_fits_every_width_and_changes_with_the_system(
    visit: Visitor, document: str
) -> None:
    """Nothing is said in the console or asked of a network, and no width scrolls sideways."""
    shown = visit(document)
    for width in WIDTHS:
        shown.page.set_viewport_size({"width": width, "height": 900})
        wide = shown.page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= width
    light = shown.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    shown.page.emulate_media(color_scheme="dark")
    dark = shown.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", dark))) < 200 < sum(map(int, re.findall(r"\d+", light)))
    assert shown.troubles == []


def test_axe_finds_no_violation(visit: Visitor, document: str) -> None:
    """In light and dark the page keeps every rule for accessibility that axe-core can check."""
    shown = visit(document)
    for scheme in ("light", "dark"):
        shown.page.emulate_media(color_scheme=scheme)
        assert shown.find_violations() == "", scheme


def test_without_script_the_drawings_stand_in(visit: Visitor, charted: str) -> None:
    """Where JavaScript is off every chart is a drawing with words beside each other."""
    shown = visit(charted, java_script_enabled=False)
    drawings = shown.page.locator(".still .drawing")
    assert drawings.count() >= 2
    assert all(drawing.is_visible() for drawing in drawings.all())
    assert not any(chart.is_visible() for chart in shown.page.locator(".live").all())
    assert not shown.page.locator(".hint").is_visible()
    boxes = [word.bounding_box() for word in shown.page.locator(".still .word").all()]
    assert not any(overlap(one, other) for one, other in combinations(boxes, 2))
    assert shown.troubles == []


def overlap(one: dict[str, float], other: dict[str, float]) -> bool:
    """Tell whether two boxes have more than a line's width in common."""
    return all(
        min(one[start] + one[size], other[start] + other[size]) - max(one[start], other[start]) > 2
        for start, size in (("x", "width"), ("y", "height"))
    )


def test_a_report_prints_to_two_pages(visit: Visitor, report: str) -> None:
    """A report on A4 is at most two pages of drawings and words."""
    assert count_sheets(visit(report).page.pdf(prefer_css_page_size=True)) <= 2


def test_other_pages_print(visit: Visitor) -> None:
    """The grid of layers, a comparison and a fleet print to what their length asks for."""
    assert count_sheets(visit("layers").page.pdf(prefer_css_page_size=True)) <= 3
    assert count_sheets(visit("comparison").page.pdf(prefer_css_page_size=True)) <= 2
    assert count_sheets(visit("fleet").page.pdf(prefer_css_page_size=True)) <= 4


def count_sheets(document: bytes) -> int:
    """Return how many pages a PDF has."""
    return len(re.findall(rb"/Type\s*/Page\b", document))


def test_hostile_names_are_words(visit: Visitor, documents: dict[str, Path]) -> None:
    """What looks like markup or a template in a log is shown as it was written, in every part."""
    shown = visit("hostile")
    assert "<script>alert(1)</script>{{ 7 * 7 }}" in shown.page.inner_text("main")
    assert shown.page.locator("main img, main script").count() == 0
    assert shown.page.url == documents["hostile"].as_uri()
    assert shown.troubles == []


def test_print_is_ink_on_paper_whatever_the_system_shows(visit: Visitor, document: str) -> None:
    """In print the colours are those for white paper, and nothing reaches over the sheet."""
    shown = visit(document, color_scheme="dark", viewport={"width": 690, "height": 1000})
    shown.page.emulate_media(media="print", color_scheme="dark")
    assert shown.page.evaluate(READ_COLORS) in (["#fff", "#000", ""], ["#fff", "#000", "#0072b2"])
    assert shown.page.evaluate(FIND_CUT) == []
