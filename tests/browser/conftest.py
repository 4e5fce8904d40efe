"""What the tests in a browser share: the system's Chromium, the pages to try, and one visit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

import fitdiag

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGS = Path(__file__).resolve().parents[2] / "sample_logs"
#: what Debian and others call it
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: sample logs whose reports are tried: each verdict, breaks, one curve alone, a row each step
REPORTS = (
    "overfitting_digits",
    "diverged_diabetes",
    "exploding_digits",
    "no_validation_waves",
    "ideal_digits",
    "each_step_language",
)
#: what a test's argument of this name goes through
GROUPS = {
    "report": REPORTS,
    "charted": (*REPORTS, "layers", "comparison"),
    "document": (*REPORTS, "layers", "hostile", "comparison", "fleet"),
}
#: waits until what the browser does before the next picture is done
TWO_FRAMES = """() => new Promise(
  (done) => requestAnimationFrame(() => requestAnimationFrame(done)))"""
#: names that must stay the text that they are
HOSTILE = "</script><script>alert(1)</script>{{ 7 * 7 }}\"'\u202e<img src=x onerror=alert(1)>"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let a test that asks for a page of a group go through all of them."""
    for argument, names in GROUPS.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, names)


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return every page that is tried, by name."""
    folder = tmp_path_factory.mktemp("pages")
    pages = {name: folder / f"{name}.html" for name in (*REPORTS, "layers", "hostile")}
    for name in REPORTS:
        fitdiag.write_report(fitdiag.diagnose(LOGS / f"{name}.csv"), pages[name])
    fitdiag.write_report(fitdiag.diagnose(layered_run()), pages["layers"])
    fitdiag.write_report(fitdiag.diagnose(hostile_run()), pages["hostile"])
    pair = [str(LOGS / f"{name}.csv") for name in ("ideal_digits", "overfitting_digits")]
    commands = {
        "comparison": ["compare", *pair],
        "fleet": ["scan", str(LOGS), "--no-cache", "-j", "1"],
    }
    for name, command in commands.items():
        pages[name] = folder / f"{name}.html"
        subprocess.run(
            [sys.executable, "-m", "fitdiag", *command, "-o", str(pages[name])],
            check=True,
            capture_output=True,
        )
    return pages


def layered_run() -> fitdiag.Run:
    """Return a run with the gradient norms of eight layers, one of which breaks."""
    at = np.arange(60.0)
    layers = {f"grad_norm/block.{i}.weight": np.exp(-i - at / 40) for i in range(8)}
    layers["grad_norm/block.3.weight"][30:33] = np.inf
    return fitdiag.Run.from_arrays(
        layers,
        train_loss=2 * np.exp(-at / 20),
        val_loss=2 * np.exp(-at / 22) + 0.1,
        grad_norm=1 + np.exp(-at / 40),
    )


def hostile_run() -> fitdiag.Run:
    """Return a run whose log, metric and notes bear names that try to become code."""
    at = np.arange(40.0)
    return fitdiag.Run.from_arrays(
        {f"val_{HOSTILE}": at, f"val_{'long' * 500}": at},
        train_loss=2 * np.exp(-at / 20),
        val_loss=2 * np.exp(-at / 22) + 0.1,
        source=fitdiag.Source(path=HOSTILE + "x" * 5000, format="native", notes=(HOSTILE,)),
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Yield the system's Chromium; nothing is downloaded."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.fail(
            f"there is no browser to try the pages in: none of {', '.join(BROWSERS)} is on the "
            "PATH; install Chromium (Debian: apt-get install chromium)",
            pytrace=False,
        )
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path)
        yield chromium
        chromium.close()


@dataclass
class Visit:
    """A page that is open, and what went wrong in it.

    Parameters
    ----------
    page : playwright.sync_api.Page
        The page.
    troubles : list of str
        Errors and warnings of the console, errors of scripts, dialogs, and requests to anywhere.
    """

    page: Any
    troubles: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note from now on whatever should not happen."""
        page, note = self.page, self.troubles.append
        page.on("console", lambda said: note(f"console: {said.text}"))
        page.on("pageerror", lambda error: note(f"script: {error}"))
        page.on("dialog", lambda dialog: (note(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("requestfailed", lambda request: note(f"failed: {request.url[:200]}"))
        page.on("request", self._hold_request)

    def _hold_request(self, request: Any) -> None:
        whole = request.is_navigation_request() and request.url.startswith("file:")
        if not whole and not request.url.startswith("data:"):
            self.troubles.append(f"request: {request.url[:200]}")

    def hover(self, panel: int, share: float) -> None:
        """Point at a place of a chart, from 0 at its left edge to 1 at its right."""
        chart = self.page.locator(".live .u-over").nth(panel)
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        self.page.mouse.move(box["x"] + share * (box["width"] - 1), box["y"] + box["height"] / 2)

    def moment(self) -> str:
        """Return where the crosshair stands, as the first chart says it."""
        return str(self.page.locator(".moment").inner_text())

    def values(self) -> list[str]:
        """Return the values beside the names of the curves, from top to bottom."""
        return list(self.page.locator(".names button output").all_inner_texts())

    def look(self, panel: int = 0) -> str:
        """Return what a chart looks like, once what was asked for is drawn."""
        self.page.evaluate(TWO_FRAMES)
        canvas = self.page.locator(".live canvas").nth(panel)
        return str(canvas.evaluate("(canvas) => canvas.toDataURL()"))

    def find_violations(self) -> str:
        """Return what axe-core finds on the page, in words; nothing if all is well."""
        self.page.evaluate(read_axe())
        ask = "() => axe.run(document, { resultTypes: ['violations'] })"
        told = [
            {"rule": one["id"], "what": one["help"], "at": [n["html"][:160] for n in one["nodes"]]}
            for one in self.page.evaluate(ask)["violations"]
        ]
        return json.dumps(told, indent=1) if told else ""


@cache
def read_axe() -> str:
    """Return axe-core's script as a function that JavaScript can call."""
    script = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    return "() => {" + script + "}"


class Visitor:
    """Opens pages, each in a context of its own.

    Parameters
    ----------
    browser : playwright.sync_api.Browser
        The browser.
    documents : dict of str to Path
        The pages.
    """

    def __init__(self, browser: Any, documents: dict[str, Path]) -> None:
        self.browser = browser
        self.documents = documents
        self.contexts: list[Any] = []

    def __call__(self, name: str, **settings: Any) -> Visit:
        """Open a page; the settings are those of a browser context."""
        context = self.browser.new_context(**settings)
        context.set_default_timeout(20_000)
        self.contexts.append(context)
        visit = Visit(context.new_page())
        visit.watch()
        visit.page.goto(self.documents[name].as_uri())
        return visit


@pytest.fixture
def visit(browser: Any, documents: dict[str, Path]) -> Iterator[Visitor]:
    """Yield what opens a page, and close afterwards what it opened."""
    visitor = Visitor(browser, documents)
    yield visitor
    for context in visitor.contexts:
        context.close()
