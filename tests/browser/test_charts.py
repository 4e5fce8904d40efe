"""The charts under pointer and keyboard: one crosshair, zoom, scales, curves, and the list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fitdiag

if TYPE_CHECKING:
    from tests.browser.conftest import Visit, Visitor

LOGS = Path(__file__).resolve().parents[2] / "sample_logs"
#: curves of the overfitting run in the order in which its page shows them
SHOWN = ("train_loss", "val_loss", "val_accuracy", "grad_norm", "grad_norm_max", "lr")


def read_values(text: list[str]) -> list[float]:
    """Return values as numbers."""
    return [float(value.replace(",", "")) for value in text]


def epoch_of(shown: Visit) -> float:
    """Return the epoch under the crosshair."""
    word, number = shown.moment().split()
    assert word == "epoch"
    return float(number)


def test_the_crosshair_reads_every_chart(visit: Visitor) -> None:
    """Pointing at one chart shows what was measured there in all of them, as the log has it."""
    shown = visit("overfitting_digits")
    run = fitdiag.read(LOGS / "overfitting_digits.csv")
    last = read_values(shown.values())
    assert shown.moment() == "last values"
    for panel in (0, shown.page.locator(".live").count() - 1):
        shown.hover(panel, 0.4)
        epoch = epoch_of(shown)
        curves = [run.curves[name] for name in SHOWN]
        measured = [
            dict(zip(map(run.epoch_at, c.steps), c.values, strict=True))[epoch] for c in curves
        ]
        assert read_values(shown.values()) == pytest.approx(measured, rel=1e-3)
    assert read_values(shown.values()) != last
    shown.page.mouse.move(1, 1)
    assert shown.moment() == "last values"
    assert read_values(shown.values()) == last
    assert shown.troubles == []


@pytest.mark.parametrize("name", ["overfitting_digits", "diverged_diabetes", "comparison"])
def test_dragging_zooms_all_charts_and_a_double_click_shows_all_again(
    visit: Visitor, name: str
) -> None:
    """A stretch that is dragged over fills every chart, until a double click."""
    shown = visit(name)
    last = shown.page.locator(".live").count() - 1
    ends = read_ends(shown, last)
    drag(shown, 0.1, 0.6)
    zoomed = read_ends(shown, last)
    assert ends[0] < zoomed[0] < zoomed[1] < ends[1]
    assert read_ends(shown, 0) == zoomed
    shown.hover(0, 0.5)
    shown.page.locator(".live .u-over").first.dblclick()
    assert read_ends(shown, last) == ends
    assert shown.troubles == []


def drag(shown: Visit, start: float, end: float) -> None:
    """Drag over a stretch of the first chart."""
    shown.hover(0, start)
    shown.page.mouse.down()
    shown.hover(0, (start + end) / 2)
    shown.hover(0, end)
    shown.page.mouse.up()


def read_ends(shown: Visit, panel: int) -> tuple[float, float]:
    """Return the first and last place that a chart shows."""
    ends = []
    for share in (0.012, 0.988):
        shown.hover(panel, share)
        ends.append(float(shown.moment().split()[1].replace(",", "")))
    return ends[0], ends[1]


@pytest.mark.parametrize("name", ["overfitting_digits", "exploding_digits", "comparison"])
def test_the_scale_and_the_curves_can_be_chosen(visit: Visitor, name: str) -> None:
    """The button turns a chart from linear to log and back, and each name hides its curve."""
    shown = visit(name)
    button, before = shown.page.locator("button.scale").first, shown.look()
    words = button.inner_text()
    button.click()
    assert {words, button.inner_text()} == {"Log scale", "Linear scale"}
    assert shown.look() != before
    button.click()
    assert shown.look() == before
    curve = shown.page.locator(".names button").first
    curve.click()
    assert curve.get_attribute("aria-pressed") == "false"
    assert shown.look() != before
    curve.click()
    assert shown.look() == before
    assert shown.troubles == []


@pytest.mark.parametrize("name", ["overfitting_digits", "each_step_language", "comparison"])
def test_the_keyboard_does_what_the_pointer_does(visit: Visitor, name: str) -> None:
    """Tab reaches a chart, arrows move the crosshair, End goes to the end, Escape leaves a zoom."""
    shown = visit(name)
    keys = shown.page.keyboard
    for _ in range(20):
        keys.press("Tab")
        if shown.page.evaluate("() => document.activeElement.matches('.live')"):
            break
    moments = []
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowLeft", "Shift+ArrowRight", "End"):
        keys.press(key)
        moments.append(float(shown.moment().split()[1].replace(",", "")))
    assert moments[0] < moments[1] == moments[3] < moments[2]
    assert moments[1] < moments[4] <= moments[5]
    assert all(shown.values())
    ends = read_ends(shown, 0)
    drag(shown, 0.3, 0.6)
    assert read_ends(shown, 0) != ends
    shown.page.locator(".live").first.focus()
    keys.press("Escape")
    assert read_ends(shown, 0) == ends
    assert shown.troubles == []


def test_the_crosshair_says_where_a_curve_broke(visit: Visitor) -> None:
    """Where a loss is not finite, its value is said to be so instead of the last finite one."""
    shown = visit("diverged_diabetes")
    shown.hover(0, 0.9)
    assert shown.values()[:2] == ["NaN or inf", "NaN or inf"]
    shown.hover(0, 0.2)
    assert all(read_values(shown.values()))


def test_charts_follow_the_system_from_light_to_dark(visit: Visitor) -> None:
    """A change of the colour scheme is drawn at once, and a zoom survives it."""
    shown = visit("overfitting_digits", color_scheme="light")
    drag(shown, 0.3, 0.6)
    ends, light = read_ends(shown, 0), shown.look()
    shown.page.emulate_media(color_scheme="dark")
    assert shown.look() != light
    assert read_ends(shown, 0) == ends
    assert shown.troubles == []


def test_a_finding_lights_up_its_evidence(visit: Visitor) -> None:
    """Pointing at a finding, or coming to it by the keyboard, marks its span in the chart."""
    shown = visit("overfitting_digits")
    before = shown.look()
    finding = shown.page.locator(".finding").first
    finding.hover()
    lit = shown.look()
    assert lit != before
    shown.page.mouse.move(1, 1)
    assert shown.look() == before
    finding.focus()
    assert shown.look() == lit


def test_the_fleet_can_be_searched_sorted_and_opened(visit: Visitor) -> None:
    """The list filters by word and verdict, a row opens its run, and curves show as tiles."""
    shown = visit("fleet")
    page, rows = shown.page, shown.page.locator("#rows [data-row]")
    everything = page.locator("#tally").inner_text()
    page.fill("#search", "overfitting")
    page.wait_for_function(f"document.getElementById('tally').innerText !== '{everything}'")
    assert all("overfitting" in text.lower() for text in rows.all_inner_texts())
    page.click("#clear")
    page.locator("[data-end]").first.click()
    assert page.locator("#tally").inner_text() != everything
    page.click("#clear")
    rows.first.click()
    assert page.locator("dialog").is_visible()
    assert shown.find_violations() == ""
    page.keyboard.press("Escape")
    page.click("#as-tiles")
    assert page.locator(".tile").count() > 3
    assert shown.find_violations() == ""
    assert shown.troubles == []


def test_a_fleet_without_script_lists_its_best_runs(visit: Visitor) -> None:
    """Where JavaScript is off, the best runs stand in a table, and no dead control is shown."""
    shown = visit("fleet", java_script_enabled=False)
    assert shown.page.locator("noscript table").is_visible()
    assert not shown.page.locator(".filters, .views, .frame").filter(visible=True).count()
    assert shown.troubles == []
