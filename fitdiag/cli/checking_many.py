"""``fitdiag check`` over many runs: what fails, or what is new or worse than in a baseline."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fitdiag.cli.checking import LONGEST
from fitdiag.report.annotations import Notice, render_github, render_sarif
from fitdiag.report.words import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitdiag.diagnosis import Config
    from fitdiag.fleet.baseline import Failure
    from fitdiag.fleet.rows import Row

__all__ = ["are_many", "check_many", "echo_notices"]

_FINE, _FOUND, _CANNOT_JUDGE = 0, 1, 3


def are_many(logs: Sequence[str]) -> bool:
    """Tell whether arguments can name more than one run: a folder, or a pattern."""
    places = [Path(log) for log in logs]
    return any(
        place.is_dir() or (glob.has_magic(log) and not place.exists())
        for place, log in zip(places, logs, strict=True)
    )


def check_many(
    logs: Sequence[str],
    words: Sequence[str],
    config: Config,
    baseline: str | None,
    form: str = "text",
) -> int | None:
    """Check every run below some folders, print what fails, and return the exit code.

    Parameters
    ----------
    logs : sequence of str
        Folders, logs and patterns.
    words : sequence of str
        What to fail on.
    config : Config
        The limits.
    baseline : str or None
        What an earlier ``fitdiag scan`` wrote; then only what is new or worse fails.
    form : {"text", "github", "sarif"}
        How to say it.

    Returns
    -------
    int or None
        1 when something fails; else 3 when a log cannot be read that could be before, or no run
        can be judged; else 0.
        None for one folder with no more than one run, which is checked as a log by itself.
    """
    from fitdiag.fleet.baseline import compare, find_failures
    from fitdiag.fleet.finding import expand
    from fitdiag.fleet.pool import count_cores
    from fitdiag.fleet.rows import sort_rows
    from fitdiag.fleet.scanning import Scan
    from fitdiag.fleet.store import read_rows

    earlier = None if baseline is None else read_rows(baseline)
    paths = expand(logs)
    work = Scan(paths=paths, config=config, jobs=count_cores(), cache=False)
    rows = sort_rows(work)
    readable = sum(row.status != "error" for row in rows)
    if earlier is None and len(paths) == 1 and readable < 2:
        return None
    wanted = {word.replace("_", "-") for word in words}
    failures = find_failures(rows, wanted) if earlier is None else compare(rows, earlier, wanted)
    if form == "text":
        for line in _list_lines(rows, failures, baseline):
            click.echo(clean(line, LONGEST))
    else:
        echo_notices(_list_notices(rows, failures), form)
    if failures:
        return _FOUND
    known = {(row["path"], row["run"]) for row in earlier or () if row["status"] == "error"}
    unread = any(row.status == "error" and (row.path, row.run) not in known for row in rows)
    judged = earlier is not None or any(row.status == "ok" for row in rows)
    return _FINE if judged and not unread else _CANNOT_JUDGE


def echo_notices(notices: Sequence[Notice], form: str) -> None:
    """Print notices as a code host takes them; nothing for GitHub where there are none."""
    text = render_github(notices) if form == "github" else render_sarif(notices)
    if text:
        click.echo(text)


def _list_notices(rows: Sequence[Row], failures: Sequence[Failure]) -> list[Notice]:
    """Return an error for each run that fails, and a warning for each that cannot be read."""
    failing = [
        Notice(
            log=one.row.path,
            code=one.row.codes[0] if one.row.codes else str(one.row.verdict),
            level="error",
            message="; ".join(one.reasons),
        )
        for one in failures
    ]
    unread = [
        Notice(log=row.path, code="unreadable", level="warning", message=row.reason)
        for row in rows
        if row.status == "error"
    ]
    return failing + unread


def _list_lines(
    rows: Sequence[Row], failures: Sequence[Failure], baseline: str | None
) -> list[str]:
    """Return one line for each run that fails or cannot be judged, and one for all together."""
    failed = {(one.row.path, one.row.run): one for one in failures}
    lines = []
    for row in rows:
        failure = failed.get((row.path, row.run))
        name = row.path if row.run == 1 else f"{row.path} (run {row.run})"
        if failure is not None:
            what = "" if baseline is None else "worse: " if failure.known else "new: "
            lines.append(f"FAIL {name}: {what}{'; '.join(failure.reasons)}")
        elif row.status == "error":
            lines.append(f"skip {name}: cannot be read: {row.reason}")
        elif row.status == "inconclusive" and baseline is None:
            lines.append(f"skip {name}: {row.reason}")
    unread = sum(row.status == "error" for row in rows)
    vague = sum(row.status == "inconclusive" for row in rows)
    whole = f"{len(failures):,} of {len(rows):,} runs fail"
    if baseline is not None:
        whole = (
            f"{len(failures):,} of {len(rows):,} runs are new and fail, or worse than {baseline}"
        )
    return [*lines, f"{whole}; {vague:,} cannot be judged, {unread:,} cannot be read."]
