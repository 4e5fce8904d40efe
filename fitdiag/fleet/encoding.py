"""A fleet as columns of plain data for the page's script: short enough for 100,000 runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from fitdiag.findings import Verdict
from fitdiag.report.words import VERDICTS, clean, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fitdiag.fleet.rows import Row
    from fitdiag.source import Scalar

__all__ = ["ENDS", "encode_curves", "encode_fleet", "end_of", "safe_link"]

#: how a run can end on the page: its verdict, or that it could not be read
ENDS = (*(verdict.value for verdict in Verdict), "error")

#: characters that stand for 0 to 89 in a curve; none of them means anything in HTML or JSON
DIGITS = "".join(chr(code) for code in range(33, 127) if chr(code) not in "\"'&<>\\`|")[:87]
#: between two curves, and for what is not finite
BETWEEN, NOTHING = "|", " "

#: points of a curve for fleets up to so many runs
POINTS = ((20_000, 40), (60_000, 24), (math.inf, 16))

#: settings that the page holds, characters of a path, a reason, a value and a link
SETTINGS, PATH, REASON, VALUE, LINK = 60, 400, 300, 120, 2000

#: numbers of a row, and the digits that they keep
_NUMBERS = {
    "val_best": 5,
    "val_final": 5,
    "train_final": 5,
    "gap": 4,
    "regret": 3,
    "confidence": 2,
    "epochs": 6,
    "steps": 9,
    "val_best_step": 9,
    "onset": 9,
    "pick_step": 9,
    "pick_epoch": 6,
    "pick_loss": 5,
}


def end_of(row: Row) -> str:
    """Return how a run ended, one of :data:`ENDS`."""
    if row.status == "error" or row.verdict not in ENDS:
        return "error"
    return str(row.verdict)


def encode_fleet(rows: Sequence[Row], links: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    """Return rows as columns.

    Parameters
    ----------
    rows : sequence of Row
        The runs.
    links : mapping of (path, run) to str
        Where the reports are.
    """
    paths = [clean(row.path, PATH) for row in rows]
    folders = _list_values(path.rpartition("/")[0] for path in paths)
    return {
        "count": len(rows),
        "ends": _encode_ends(),
        "end": "".join(str(ENDS.index(end_of(row))) for row in rows),
        "folder": folders,
        "file": _list_values(path.rpartition("/")[2] for path in paths),
        "name": _encode_names(rows, paths),
        "run": {at: row.run for at, row in enumerate(rows) if row.run != 1},
        "altered": [at for at, row in enumerate(rows) if paths[at] != row.path],
        "reason": {at: clean(row.reason, REASON) for at, row in enumerate(rows) if row.reason},
        "note": {at: clean(row.note, REASON) for at, row in enumerate(rows) if row.note},
        "unit": _list_values(clean(row.unit) for row in rows),
        "format": _list_values(clean(row.format) for row in rows),
        "gradient": _list_values(clean(row.gradient) for row in rows),
        "codes": _list_values(" ".join(clean(code) for code in row.codes[:20]) for row in rows),
        "numbers": _encode_numbers(rows),
        "settings": _encode_settings(rows),
        "curves": _encode_all_curves(rows),
        "digits": DIGITS,
        "link": _encode_links(rows, links),
    }


def _encode_ends() -> list[dict[str, str]]:
    signs = [VERDICTS[verdict].sign for verdict in Verdict]
    known = [{"title": sign.title, "mark": sign.mark, "tone": sign.tone} for sign in signs]
    return [*known, {"title": "Unreadable", "mark": "!", "tone": "unknown"}]


def _list_values(values: Iterable[str]) -> dict[str, Any]:
    """Return different values once, and the place of each row's among them."""
    places: dict[str, int] = {}
    at = [places.setdefault(value, len(places)) for value in values]
    if len(places) == 1:
        return {"values": list(places), "at": None}
    return {"values": list(places), "at": at}


def _encode_names(rows: Sequence[Row], paths: Sequence[str]) -> dict[int, str]:
    """Return the names that are not the last two parts of the path."""
    names = {}
    for at, (row, path) in enumerate(zip(rows, paths, strict=True)):
        usual = "/".join(part for part in path.split("/") if part)
        usual = "/".join(usual.split("/")[-2:]) + (f" #{row.run}" if row.run > 1 else "")
        name = clean(row.name, 160)
        if name and name != usual:
            names[at] = name
    return names


def _encode_numbers(rows: Sequence[Row]) -> dict[str, list[float | int | None]]:
    columns = {}
    for key, digits in _NUMBERS.items():
        column = [_shorten(getattr(row, key), digits) for row in rows]
        if any(value is not None for value in column):
            columns[key] = column
    return columns


def _shorten(value: float | None, digits: int) -> float | int | None:
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _encode_settings(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return each setting's values; those that differ come first."""
    columns: list[dict[str, Any]] = []
    for name in sorted({name for row in rows for name in row.config}):
        places: dict[Any, int] = {}
        at = [_place(row.config, name, places) for row in rows]
        values = [_plain(value) for _, value in places]
        constant = len(values) == 1 and -1 not in at
        columns.append({"name": clean(name), "values": values, "at": None if constant else at})
    columns.sort(key=lambda column: (len(column["values"]) == 1, column["name"]))
    return columns[:SETTINGS]


def _place(config: Mapping[str, Scalar], name: str, places: dict[Any, int]) -> int:
    """Return the place of a run's value among the different ones; -1 where it has none."""
    if name not in config:
        return -1
    value = config[name]
    return places.setdefault((value.__class__, value), len(places))  # True is not 1


def _plain(value: Scalar) -> Scalar:
    if isinstance(value, float):
        return value if math.isfinite(value) else number(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 53:
        return str(value)
    return clean(value, VALUE) if isinstance(value, str) else value


def _encode_all_curves(rows: Sequence[Row]) -> list[str]:
    points = next(points for most, points in POINTS if len(rows) <= most)
    return [encode_curves(row, points) for row in rows]


def encode_curves(row: Row, points: int) -> str:
    """Return both curves of a run as text.

    The first character is where the pick is, the second where the onset is; then come train and
    validation, two characters a point: x and y, from 0 to 86 of the range that both share. The
    range of y is logarithmic where the values are positive and spread over more than ten times.
    """
    parts = [_thin(row.curves.get(name), points) for name in ("train", "val")]
    xs = [x for steps, _ in parts for x in steps if math.isfinite(x)]
    ys = [y for _, values in parts for y in values if math.isfinite(y)]
    if not xs or not ys:
        return ""
    low, high = min(ys), max(ys)
    log = low > 0 and high > 10 * low
    if log:
        parts = [(steps, [_to_log(y) for y in values]) for steps, values in parts]
        low, high = math.log(low), math.log(high)
    span = (min(xs), max(xs))
    marks = "".join(_digits((row.pick_step, row.onset), *span))
    lines = [
        "".join(map("".join, zip(_digits(steps, *span), _digits(values, low, high), strict=False)))
        for steps, values in parts
    ]
    return marks + BETWEEN.join(lines)


def _to_log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan


def _thin(
    curve: tuple[Sequence[float], Sequence[float]] | None, points: int
) -> tuple[Sequence[float], Sequence[float]]:
    if curve is None:
        return (), ()
    steps, values = curve
    if len(steps) <= points:
        return steps, values
    kept = [round(at * (len(steps) - 1) / (points - 1)) for at in range(points)]
    return [steps[at] for at in kept], [values[at] for at in kept]


def _digits(values: Iterable[float | None], low: float, high: float) -> list[str]:
    """Return each value's place between two others as one character."""
    top = len(DIGITS) - 1
    scale = top / (high / 4 - low / 4) if high > low else 0.0  # quarters do not overflow
    middle = 0 if high > low else top // 2
    return [
        NOTHING
        if value is None or not math.isfinite(value)
        else DIGITS[min(max(round((value / 4 - low / 4) * scale) + middle, 0), top)]
        for value in values
    ]


def _encode_links(rows: Sequence[Row], links: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    """Return the links; what all begin with stands once."""
    found = {
        at: safe_link(links[row.path, row.run])
        for at, row in enumerate(rows)
        if (row.path, row.run) in links
    }
    kept = {at: link for at, link in found.items() if link}
    if not kept:
        return {"start": "", "ends": {}}
    first, last = min(kept.values()), max(kept.values())
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    return {"start": first[:same], "ends": {at: link[same:] for at, link in kept.items()}}


def safe_link(link: str) -> str:
    """Return a path or web address as a link; nothing where it could do more than lead there.

    Examples
    --------
    >>> safe_link("reports/a b.html"), safe_link("javascript:alert(1)")
    ('reports/a%20b.html', '')
    """
    plain = link.strip()
    if len(plain) > LINK:
        return ""
    try:
        scheme = urlsplit(plain).scheme.lower()
    except ValueError:
        return ""
    if scheme in {"http", "https", "file"}:
        return quote(plain, safe="/:?#[]@!$&()*+,;=%~", errors="replace")
    if scheme or plain.startswith(("//", "\\\\")):
        return ""
    return quote(plain, safe="/", errors="replace")
