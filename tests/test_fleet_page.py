"""The page of a fleet: self-contained, whole at any size, and harmless whatever runs are called."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from fitdiag.errors import WriteError
from fitdiag.fleet.effects import find_effects
from fitdiag.fleet.encoding import DIGITS, ENDS, encode_curves, encode_fleet, safe_link
from fitdiag.fleet.page import render_fleet_page, write_fleet_page
from fitdiag.fleet.rows import Row

if TYPE_CHECKING:
    from pathlib import Path

#: names that must appear as the text that they are
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "<!--",
    "\"' onmouseover=alert(1) x='",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe\u2066",
    "new\nline\0nul",
    "A" * 10_000,
    "\ud800",
)


def make_row(at: int, **more: Any) -> Row:
    """Return a run of a sweep in which weight decay decides."""
    decay = 0.1 * (at % 2)
    steps = tuple(float(step) for step in range(1, 41))
    train = tuple(2.0 / step for step in steps)
    facts: dict[str, Any] = {
        "path": f"runs/{at % 3}/run-{at}/logs.csv",
        "name": f"run-{at}/logs.csv",
        "format": "native",
        "verdict": "ideal" if decay else "overfitting",
        "codes": () if decay else ("FIT002",),
        "val_best": 0.5 + at / 100,
        "pick_step": 20.0,
        "gradient": "healthy",
        "unit": "epoch",
        "config": {"weight_decay": decay, "seed": at, "name": "x"},
        "curves": {"train": (steps, train), "val": (steps, tuple(y + 0.1 for y in train))},
    }
    return Row(**{**facts, **more})


def make_rows(count: int = 40) -> list[Row]:
    """Return a sweep with one log that cannot be read and one run that is inconclusive."""
    rows = [make_row(at) for at in range(count - 2)]
    rows.append(Row.from_error("runs/bad.csv", "runs/bad.csv is empty: nothing was written."))
    rows.append(
        make_row(count, status="inconclusive", verdict="inconclusive", reason="too few points")
    )
    return rows


def data_of(page: str, name: str = "fleet") -> Any:
    """Return the JSON that the page's script reads."""
    found = re.search(
        rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL
    )
    assert found
    return json.loads(found[1])


def text_of(page: str) -> str:
    """Return the page without its style, script and data."""
    return re.sub(r"<(style|script)\b.*?</\1>", "", page, flags=re.DOTALL)


@pytest.fixture(scope="module")
def page() -> str:
    """Return the page of a small sweep."""
    rows = make_rows()
    return render_fleet_page(
        rows, effects=find_effects(rows), links={("runs/0/run-0/logs.csv", 1): "reports/a.html"}
    )


def test_policy_allows_only_the_page_s_own_style_and_script(page: str) -> None:
    """The policy forbids all requests and allows by hash what stands in the page."""
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    rules = policy[1].replace("&#39;", "'").replace("&#43;", "+")
    assert rules.startswith("default-src 'none';")
    for tag in ("style", "script"):
        (own,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in rules
    rest = text_of(page)
    assert not re.search(r"""\s(style|on\w+|src)\s*=\s*["']""", rest)
    assert not re.search(r"https?://", rest)


def test_counts_and_what_makes_it_so(page: str) -> None:
    """The page tells how runs ended, the lowest loss, and the settings that go with it."""
    assert "<title>40 runs</title>" in page
    assert "19 of 38 judged runs fit well. The lowest validation loss is 0.5" in page
    counts = dict(re.findall(r'data-end="(\d)".*?class="many">(\d+)<', page))
    assert {ENDS[int(end)]: int(count) for end, count in counts.items()} == {
        "overfitting": 19,
        "ideal": 19,
        "inconclusive": 1,
        "error": 1,
    }
    assert "With weight_decay 0, 19 of 19 runs overfit; with 0.1, 0 of 19." in page
    assert "by its name it tells runs apart</bdi>: <bdi>seed" in page
    assert "runs/bad.csv is empty: nothing was written." in text_of(page)
    assert data_of(page, "telling") == ["weight_decay"]


def test_columns_hold_every_run(page: str) -> None:
    """The data are the rows, in the order of their best loss, what is unreadable at the end."""
    data = data_of(page)
    assert data["count"] == 40
    assert data["end"][-1] == str(ENDS.index("error"))
    first = [column["values"][column["at"][0]] for column in (data["folder"],)]
    assert first == ["runs/0/run-0"]
    assert data["numbers"]["val_best"][:3] == [0.5, 0.51, 0.52]
    assert data["numbers"]["val_best"][-1] is None
    assert data["settings"][-1] == {"name": "name", "values": ["x"], "at": [0] * 39 + [-1]}
    assert data["link"] == {"start": "", "ends": {"0": "reports/a.html"}}
    assert data["reason"] == {
        "38": "too few points",
        "39": "runs/bad.csv is empty: nothing was written.",
    }
    assert data["name"] == {}


def test_a_page_without_a_script_still_tells(page: str) -> None:
    """Without JavaScript the counts, the effects and the best runs are there, with their links."""
    found = re.search(r"<noscript>(.*?)</noscript>", page, re.DOTALL)
    assert found
    assert '<a href="reports/a.html"><bdi>run-0/logs.csv</bdi></a>' in found[1]
    assert "Unreadable" in found[1]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_text(name: str) -> None:
    """Whatever paths, names, reasons, codes, settings, values and links hold is shown as text."""
    row = {"path": f"/x/{name}/a.csv", "name": name, "format": name, "codes": (name,)}
    rows = [make_row(at, **row, config={name: name, "a": at % 2}, note=name) for at in range(20)]
    rows += [
        make_row(at, **row, verdict="diverged", config={name: name, "a": 2}) for at in range(20)
    ]
    rows.append(Row.from_error(f"/x/{name}", f"{name} is empty", name=name))
    rows.append(make_row(1, gradient=name, unit=name, verdict=name, reason=name))
    links = {(row.path, 1): name for row in rows}
    page = render_fleet_page(rows, effects=find_effects(rows), links=links)
    assert page.count("<script") == 3
    assert page.count("</script>") == 3
    assert "<img" not in page
    assert "onmouseover=alert(1) x='" not in text_of(page)
    assert len(page) < 250_000
    assert not set("\u202e\u2066\0") & set(page)
    assert data_of(page)["count"] == 42
    assert page.encode("utf-8")


@pytest.mark.parametrize(
    ("link", "safe"),
    [
        ("reports/a b#1?.html", "reports/a%20b%231%3F.html"),
        ("../r/x.html", "../r/x.html"),
        ("https://host/a?b=c", "https://host/a?b=c"),
        ("javascript:alert(1)", ""),
        (" JaVaScRiPt:alert(1)", ""),
        ("data:text/html,x", ""),
        ("//host/x", ""),
        ("\\\\host\\x", ""),
        ("http://[broken", ""),
        ('a"onclick="x', "a%22onclick%3D%22x"),
    ],
)
def test_links_lead_to_pages_only(link: str, safe: str) -> None:
    """A link is a path or a web address, and nothing that runs."""
    assert safe_link(link) == safe


def test_curves_are_short_and_keep_their_shape() -> None:
    """Two characters a point give each point's place to within one part in 86 of the range."""
    row = make_row(0)
    text = encode_curves(row, 40)
    train, val = text[2:].split("|")
    assert len(train) == len(val) == 80
    top = len(DIGITS) - 1
    height = np.array([DIGITS.index(digit) for digit in train[1::2]]) / top
    values = np.log(row.curves["train"][1])
    high, low = math.log(2.1), math.log(0.05)
    assert height == pytest.approx((values - low) / (high - low), abs=0.6 / top)
    assert DIGITS.index(text[0]) == round(19 / 39 * top)
    assert text[1] == " "
    assert len(encode_curves(row, 16)) == 2 + 2 * 32 + 1


@pytest.mark.parametrize(
    "values",
    [(), (1.0,), (math.nan,), (1e308, -1e308), (5.0, 5.0), (math.inf, 1.0, 2.0), (-1.0, 0.0, 3.0)],
)
def test_any_curve_can_be_encoded(values: tuple[float, ...]) -> None:
    """Empty, constant, huge, negative and non-finite curves are encoded without an error."""
    steps = tuple(float(at) for at in range(len(values)))
    text = encode_curves(make_row(0, curves={"train": (steps, values)}), 40)
    finite = sum(map(math.isfinite, values))
    assert len(text) == (2 + 2 * len(values) + 1 if finite else 0)
    assert set(text) <= set(DIGITS) | {" ", "|"}


def test_size_grows_with_what_differs() -> None:
    """A run costs a few hundred bytes, however long its folder and its settings are."""
    rows = [make_row(at, path=f"/very/long/{'x' * 150}/run/{at}.csv") for at in range(500)]
    size = len(json.dumps(encode_fleet(rows, {}), separators=(",", ":"))) / 500
    assert size < 300


def test_nothing_to_show() -> None:
    """A fleet without runs, settings or losses makes a page all the same."""
    assert "Nothing was found to be judged." in render_fleet_page([])
    rows = [Row.from_error("a.csv", "a.csv is empty.")]
    page = render_fleet_page(rows, effects=find_effects(rows))
    assert "What makes it so" not in text_of(page)
    plain = [make_row(at, config={}) for at in range(3)]
    assert "What makes it so" not in text_of(render_fleet_page(plain, effects=find_effects(plain)))
    same = [make_row(at, config={"lr": 1}) for at in range(30)]
    assert "none of these can be compared" in render_fleet_page(same, effects=find_effects(same))


def test_file_is_written_whole_and_never_over_a_strangers(tmp_path: Path) -> None:
    """The page replaces fitdiag's own file, and nobody else's."""
    path = tmp_path / "fleet.html"
    rows = make_rows()
    assert write_fleet_page(rows, path) == path
    assert write_fleet_page(rows[:3], path).read_text().count("<title>3 runs</title>") == 1
    path.write_text("<html>mine</html>")
    with pytest.raises(WriteError, match="was not written by fitdiag"):
        write_fleet_page(rows, path)
    write_fleet_page(rows, path, force=True)
