"""The page of a fleet: one file that works offline, for 10 runs and for 100,000.

The runs travel as columns of JSON; the page's script draws only what is in view. As on the page of
a single run, nothing is requested, and style and script are allowed by their hashes only.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from fitdiag.errors import UsageError
from fitdiag.findings import Verdict
from fitdiag.fleet.encoding import ENDS, encode_fleet, end_of, safe_link
from fitdiag.fleet.panels import describe_effects
from fitdiag.report.destination import GENERATOR, write
from fitdiag.report.plotting import script_json
from fitdiag.report.sheets import load_templates, read_assets, write_policy
from fitdiag.report.words import TEXT_LENGTH, VERDICTS, clean, number, percent, plural
from fitdiag.rules import find_rule

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fitdiag.fleet.effects import Effects
    from fitdiag.fleet.rows import Row

__all__ = ["render_fleet_page", "write_fleet_page"]

#: runs that a page holds, unreadable logs that are listed, and runs that are without a script
MOST_RUNS, MOST_ERRORS, MOST_BEST = 200_000, 50, 100

#: findings that can be chosen by
MOST_CODES = 60


def write_fleet_page(
    rows: Sequence[Row],
    path: str | os.PathLike[str],
    *,
    effects: Effects | None = None,
    links: Mapping[tuple[str, int], str] | None = None,
    force: bool = False,
) -> Path:
    """Write the page of a fleet: counts, what makes it so, and a list of all runs.

    Parameters
    ----------
    rows : sequence of Row
        The runs, as :func:`fitdiag.scan` yields them.
    path : str or path
        The file; it appears whole or not at all.
    effects : Effects, optional
        What :func:`fitdiag.fleet.effects.find_effects` returned. Default: nothing is said of
        settings.
    links : mapping of (path, run) to str, optional
        Where each run's report is: a path relative to the page, or a web address.
    force : bool
        Overwrite a file that is there although fitdiag did not write it.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    WriteError
        If the folder is missing or not writable, or the file is there and not fitdiag's own.
    """
    return write(
        path, "html", lambda: render_fleet_page(rows, effects=effects, links=links), force=force
    )


def render_fleet_page(
    rows: Sequence[Row],
    *,
    effects: Effects | None = None,
    links: Mapping[tuple[str, int], str] | None = None,
) -> str:
    """Return the page of a fleet; the parameters are those of :func:`write_fleet_page`."""
    ranked = sorted(rows, key=_rank)
    listed = ranked[:MOST_RUNS]
    style = read_assets("drawing.css", "page.css", "fleet.css")
    script = read_assets(
        "numbers.js", "fleet_data.js", "fleet_curves.js", "fleet_list.js", "fleet.js"
    )
    telling = list(dict.fromkeys(clean(effect.setting) for effect in effects or ()))
    unread = [row for row in rows if end_of(row) == "error"]
    return (
        load_templates()
        .get_template("fleet.html.j2")
        .render(
            generator=GENERATOR,
            policy=write_policy(style, script),
            style=style,
            script=script,
            title=plural(len(rows), "run"),
            where=_say_where(rows),
            summary=_summarise(rows),
            count=f"{len(listed):,}",
            ends=_count_ends(rows),
            effects=None if effects is None or not effects.runs else describe_effects(effects),
            gradients=_count(clean(row.gradient) for row in rows if end_of(row) != "error"),
            codes=_count_codes(rows),
            missing=_say_missing(len(rows)),
            best=[_name_best(row, links or {}) for row in listed[:MOST_BEST]],
            errors=[
                (clean(row.path, 160), clean(row.reason, TEXT_LENGTH))
                for row in unread[:MOST_ERRORS]
            ],
            more_errors=f"{len(unread) - MOST_ERRORS:,}" if len(unread) > MOST_ERRORS else "",
            telling=Markup(script_json(telling)),  # noqa: S704  # escaped for a script element
            data=Markup(script_json(encode_fleet(listed, links or {}))),  # noqa: S704  # as above
        )
    )


def _rank(row: Row) -> tuple[bool, bool, float, str, int]:
    """Order rows: the lowest best loss first, then those without one, then what is unreadable."""
    best = row.val_best
    known = best is not None and math.isfinite(best)
    return (end_of(row) == "error", not known, best or 0.0 if known else 0.0, row.path, row.run)


def _say_where(rows: Sequence[Row]) -> str:
    logs = len({row.path for row in rows})
    formats = len({row.format for row in rows if row.format})
    return f"Fleet of {plural(logs, 'log')} in {plural(formats, 'format')}"


def _summarise(rows: Sequence[Row]) -> str:
    """Return what a person asks first: how many are well, and which is best."""
    judged = [row for row in rows if end_of(row) not in {"error", Verdict.INCONCLUSIVE.value}]
    well = sum(row.verdict in {Verdict.IDEAL.value, Verdict.CONTROLLED_GAP.value} for row in judged)
    if not rows:
        return "Nothing was found to be judged."
    told = f"{well:,} of {plural(len(judged), 'judged run')} fit well."
    best = min(rows, key=_rank)
    if best.val_best is None or end_of(best) == "error":
        return told
    name = clean(best.name or best.path, 120)
    return f"{told} The lowest validation loss is {number(best.val_best)}, of {name}."


def _count_ends(rows: Sequence[Row]) -> list[dict[str, Any]]:
    counts = Counter(map(end_of, rows))
    start = 0.0
    ends = []
    for place, end in enumerate(ENDS):
        sign = VERDICTS[Verdict(end)].sign if end != "error" else None
        width = 1000 * counts[end] / max(len(rows), 1)
        ends.append(
            {
                "place": place,
                "count": counts[end],
                "words": f"{counts[end]:,}",
                "share": percent(counts[end] / max(len(rows), 1)).replace("under ", "<"),
                "title": sign.title if sign else "Unreadable",
                "mark": sign.mark if sign else "!",
                "tone": sign.tone if sign else "unknown",
                "start": round(start, 2),
                "width": round(width, 2),
            }
        )
        start += width
    return ends


def _count(words: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # any iterable of words
    counts = Counter(words)
    return [(word, f"{many:,}") for word, many in counts.most_common()]


def _count_codes(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    counts = Counter(clean(code) for row in rows for code in set(row.codes))
    return [
        (code, _rule_words(code), f"{many:,}")
        for code, many in sorted(counts.most_common(MOST_CODES))
    ]


def _rule_words(code: str) -> str:
    try:
        return find_rule(code).name.replace("-", " ")
    except UsageError:
        return ""


def _say_missing(count: int) -> str:
    if count <= MOST_RUNS:
        return ""
    return (
        f"The list holds the {MOST_RUNS:,} runs with the lowest validation loss; all {count:,} are "
        "in the counts above, and in the table that fitdiag scan -o fleet.parquet writes."
    )


def _name_best(row: Row, links: Mapping[tuple[str, int], str]) -> dict[str, str]:
    end = end_of(row)
    return {
        "name": clean(row.name or row.path, 120),
        "link": safe_link(links.get((row.path, row.run), "")),
        "end": "Unreadable" if end == "error" else VERDICTS[Verdict(end)].sign.title,
        "loss": "" if row.val_best is None else number(row.val_best),
    }
