"""``fitdiag scan``: every run below some folders."""

from __future__ import annotations

import os
import re
import sys
from contextlib import nullcontext
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fitdiag.cli.arguments import LiteralHelp

if TYPE_CHECKING:
    from collections.abc import Callable

    from click._termui_impl import ProgressBar

    from fitdiag.fleet.cluster import ClusterScan
    from fitdiag.fleet.finding import Tally
    from fitdiag.fleet.rows import Row
    from fitdiag.fleet.scanning import Scan

__all__ = ["parse_since", "scan"]

#: what the parts of ``--since 36h`` are worth
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

#: 128 plus the number of the signal, as every shell reports it
INTERRUPTED = 130

#: no run was found
NOTHING = 3

_FOLDER = ("fleet.html", "fleet.csv")


def parse_since(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """Return a time in seconds since 1970, of ``7d``, ``36h`` or a date."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", value.strip())
    try:
        if match:
            ago = timedelta(**{_UNITS[match[2]]: float(match[1])})
            return (datetime.now(timezone.utc) - ago).timestamp()
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is no time; write 36h, 7d, 2w, 2026-05-01 or 2026-05-01T12:00.",
            context,
            option,
        ) from None


@click.command(cls=LiteralHelp)
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="DEST",
    help="A page (.html), a table (.csv, .jsonl, .parquet), or a folder (with a / at its end, or "
    "one that exists) for a page and a CSV. May be given several times.",
)
@click.option("--reports", type=click.Path(), metavar="DIR", help="Write each run's report there.")
@click.option(
    "--since",
    callback=parse_since,
    metavar="WHEN",
    help="Only logs written to since then: 36h, 7d, 2w, or a date such as 2026-05-01.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes. Default: one for each processor.",
)
@click.option(
    "--cache/--no-cache",
    default=True,
    help="Take logs that did not change from an earlier scan. Default: yes.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Give a log up after so long; a large one gets more.",
)
@click.option(
    "--max-size",
    type=click.FloatRange(min=0),
    default=4.0,
    show_default=True,
    metavar="GB",
    help="Do not read logs larger than this.",
)
@click.option(
    "--top",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="How many of the best runs to list.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Scan on a Dask cluster, tcp://host:8786; then one -o must be a folder that all its "
    "workers reach, and the rows go there as Parquet files.",
)
@click.option(
    "--config",
    type=click.Path(),
    metavar="FILE",
    help="Limits from this TOML file. Default: the nearest fitdiag.toml, or pyproject.toml with "
    "[tool.fitdiag], here or in a folder above.",
)
@click.option("--force", is_flag=True, help="Overwrite files that fitdiag did not write.")
@click.option("-q", "--quiet", is_flag=True, help="Print no summary and no progress.")
def scan(
    *,
    folders: tuple[str, ...],
    outputs: tuple[str, ...],
    reports: str | None,
    since: float | None,
    jobs: int | None,
    cache: bool,
    timeout: float,
    max_size: float,
    top: int,
    scheduler: str | None,
    config: str | None,
    force: bool,
    quiet: bool,
) -> int:
    """Diagnose every run below FOLDER, and tell which is best.

    Finds every log of every format that fitdiag reads, in as many processes as
    there are processors, and prints how many runs overfit, broke or went well,
    the best runs, and what could not be read. FOLDER may also be a log, or a
    pattern such as 'runs/*/logs.csv'.

    A log that cannot be read is a row that says why, and never ends the scan.
    Ctrl-C writes what is done so far; the next scan goes on from there.

    For example:
      fitdiag scan runs/
      fitdiag scan runs/ old_runs/ -o fleet.html -o fleet.csv
      fitdiag scan runs/ --since 7d -o fleet.parquet --reports reports/
      fitdiag scan s3://bucket/runs --scheduler tcp://host:8786 -o s3://bucket/fleet/

    Exit codes: 0 runs were found, whatever their verdicts; 2 usage or an output
    that cannot be written; 3 no run was found; 130 interrupted.
    """
    from fitdiag.configuration import load_config
    from fitdiag.fleet.cluster import ClusterScan
    from fitdiag.fleet.finding import expand
    from fitdiag.fleet.pool import count_cores
    from fitdiag.fleet.scanning import Scan

    limits = load_config(config)
    if scheduler is not None:
        return _scan_on_cluster(
            ClusterScan(
                paths=folders,
                out="",
                scheduler=scheduler,
                config=limits,
                since=since,
                most_bytes=int(max_size * 1e9),
            ),
            outputs,
            top=top,
            force=force,
            quiet=quiet,
        )
    files = _plan_outputs(outputs, force=force)
    work = Scan(
        paths=expand(folders),
        config=limits,
        jobs=jobs or count_cores(),
        since=since,
        cache=cache,
        timeout=timeout,
        most_bytes=int(max_size * 1e9),
        reports=reports or "",
    )
    rows, interrupted = _collect(work, curves=_wants_curves(files), quiet=quiet)
    if work.trouble:
        click.echo(f"Warning: {work.trouble}.", err=True)
    _write(rows, files, reports, force=force)
    return _tell(rows, work.tally, files, interrupted=interrupted, top=top, quiet=quiet)


def _scan_on_cluster(
    work: ClusterScan, outputs: tuple[str, ...], *, top: int, force: bool, quiet: bool
) -> int:
    """Scan on a cluster into a folder of partitions, and make the other outputs of those."""
    from fitdiag.errors import UsageError
    from fitdiag.fleet.partitions import read_parts
    from fitdiag.fleet.rows import sort_rows

    places = [one for one in outputs if one.endswith("/") or "://" in one or Path(one).is_dir()]
    if len(places) != 1:
        raise UsageError(
            "--scheduler needs one -o that is a folder, with a / at its end, or a URL: the workers "
            f"write the rows there; {len(places)} were given"
        )
    files = _plan_outputs(tuple(one for one in outputs if one not in places), force=force)
    work.out = places[0]
    shown = not quiet and sys.stderr.isatty()
    with _show_progress() if shown else nullcontext() as bar:
        work.look = _watch(bar) if bar is not None else work.look
        work.run()
    rows = list(sort_rows(read_parts(work.out, work.keys)))
    _write(rows, files, None, force=force)
    told = [Path(work.out), *files]
    return _tell(rows, work.tally, told, interrupted=False, top=top, quiet=quiet)


def _collect(work: Scan, *, curves: bool, quiet: bool) -> tuple[list[Row], bool]:
    """Return all rows, or those up to Ctrl-C."""
    from dataclasses import replace

    from fitdiag.fleet.rows import sort_rows

    rows: list[Row] = []
    interrupted = False
    shown = not quiet and sys.stderr.isatty()
    with _show_progress() if shown else nullcontext() as bar:
        work.look = _watch(bar) if bar is not None else work.look
        try:
            for row in work:
                rows.append(row if curves else replace(row, curves={}))  # noqa: PERF401  kept up to Ctrl-C
        except KeyboardInterrupt:
            interrupted = True
    return list(sort_rows(rows)), interrupted


def _show_progress() -> ProgressBar[int]:
    return click.progressbar(length=1, label="Scanning", show_pos=True, file=sys.stderr)


def _watch(bar: ProgressBar[int]) -> Callable[[Tally], None]:
    """Return what moves a progress bar; the end is foretold once everything has been found."""

    def look(tally: Tally) -> None:
        bar.length = max(tally.found, 1)
        bar.finished = False
        bar.show_eta = tally.complete
        bar.update(tally.done - bar.pos)

    return look


def _plan_outputs(outputs: tuple[str, ...], *, force: bool) -> list[Path]:
    """Return the files to write, having refused those that cannot be."""
    from fitdiag.errors import WriteError
    from fitdiag.fleet.store import check_output
    from fitdiag.report.destination import check_place

    files: list[Path] = []
    for output in outputs:
        place = Path(output)
        if output.endswith(("/", os.sep)) or place.is_dir():
            try:
                place.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                why = (error.strerror or type(error).__name__).lower()
                raise WriteError(f"cannot make the folder {place}: {why}") from error
            files += [place / name for name in _FOLDER]
        else:
            files.append(place)
    for file in files:
        if file.suffix.lower() in {".html", ".htm"}:
            check_place(file, "html", force=force)
        else:
            check_output(file, force=force)
    return files


def _wants_curves(files: list[Path]) -> bool:
    return any(file.suffix.lower() in {".html", ".htm", ".jsonl"} for file in files)


def _write(rows: list[Row], files: list[Path], reports: str | None, *, force: bool) -> None:
    from fitdiag.fleet.store import write_rows

    for file in files:
        if file.suffix.lower() in {".html", ".htm"}:
            _write_page(rows, file, reports, force=force)
        else:
            write_rows(rows, file, force=force)


def _write_page(rows: list[Row], file: Path, reports: str | None, *, force: bool) -> None:
    from fitdiag.fleet.effects import find_effects
    from fitdiag.fleet.links import report_name
    from fitdiag.fleet.page import write_fleet_page

    links = {}
    if reports is not None:
        there = os.path.relpath(reports, file.parent)
        links = {
            (row.path, row.run): f"{there}/{report_name(row)}"
            for row in rows
            if row.status != "error"
        }
    write_fleet_page(rows, file, effects=find_effects(rows), links=links, force=force)


def _tell(
    rows: list[Row], tally: Tally, files: list[Path], *, interrupted: bool, top: int, quiet: bool
) -> int:
    from fitdiag.fleet.summary import summarise

    if rows and not quiet:
        click.echo(summarise(rows, tally, top=top))
    if files and not quiet:
        click.echo(f"Wrote {' and '.join(map(str, files))}.", err=True)
    if interrupted:
        click.echo(f"Interrupted: {tally.done:,} of {tally.found:,} logs are done.", err=True)
        return INTERRUPTED
    if any(row.status != "error" for row in rows):
        return 0
    if not rows:
        click.echo(
            f"No run was found; folders that were searched: {tally.folders:,}, files that may be "
            f"logs: {tally.files:,}. `fitdiag formats` lists what is read.",
            err=True,
        )
    return NOTHING
