"""The command ``fitdiag compare``."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import click

from fitdiag.cli.arguments import LiteralHelp
from fitdiag.cli.options import config_option, input_format_option, mapping_option
from fitdiag.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitdiag.comparison import Comparison

__all__ = ["compare"]


@click.command(cls=LiteralHelp)
@click.argument("logs", type=click.Path(), nargs=-1, required=True, metavar="LOG LOG...")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="FILE",
    help="A page (.html), plain data (.json) or the table (.txt); may be given several times.",
)
@click.option(
    "--by",
    type=click.Choice(["epoch", "step", "share"]),
    help="Align the curves by epochs, by steps, or by the share of each run. Default: epochs where "
    "all runs have them, else steps.",
)
@mapping_option
@input_format_option
@config_option
@click.option("--force", is_flag=True, help="Overwrite files that fitdiag did not write.")
@click.option("-q", "--quiet", is_flag=True, help="Print no table and no names of files.")
def compare(
    *,
    logs: tuple[str, ...],
    outputs: tuple[str, ...],
    by: str | None,
    columns: dict[str, str],
    input_format: str | None,
    config: str | None,
    force: bool,
    quiet: bool,
) -> None:
    """Compare the runs in two to eight LOGs.

    Prints a table, and which run has the lowest validation loss at the
    checkpoint that it would keep; says when that is within the noise of the
    evaluations. With -o compare.html the curves lie over each other.

    For example:
      fitdiag compare a.csv b.csv
      fitdiag compare runs/*/logs.csv -o compare.html
      fitdiag compare sgd.csv adam.csv --by step -o compare.html -o compare.json
    """
    from fitdiag.comparison import MOST
    from fitdiag.comparison import compare as measure
    from fitdiag.configuration import load_config
    from fitdiag.diagnosis import diagnose
    from fitdiag.readers import read
    from fitdiag.report.comparing import render_comparison_text

    forms = [_format_of(output) for output in outputs]
    if not 2 <= len(logs) <= MOST:
        raise UsageError(
            f"compare takes 2 to {MOST} logs, not {len(logs)}: for more, `fitdiag scan FOLDER` "
            "ranks all runs below a folder"
        )
    limits = load_config(config)
    found = [diagnose(read(log, format=input_format, columns=columns), limits) for log in logs]
    comparison = measure(found, name_logs(logs))
    if not quiet:
        click.echo(render_comparison_text(comparison), nl=False)
    for output, form in zip(outputs, forms, strict=True):
        _write(comparison, Path(output), form, by or "", force=force)
        if not quiet:
            click.echo(f"Wrote {output}.", err=True)


def _format_of(output: str) -> str:
    forms = {".html": "html", ".htm": "html", ".json": "json", ".txt": "text"}
    form = forms.get(PurePath(output).suffix.lower())
    if form is None:
        raise UsageError(f"-o {output}: end the name in one of .html, .json, .txt")
    return form


def _write(comparison: Comparison, path: Path, form: str, by: str, *, force: bool) -> None:
    from fitdiag.report import comparing
    from fitdiag.report.destination import GENERATOR, write

    def draw() -> str:
        if form == "json":
            data = {"generator": GENERATOR, **comparison.to_dict()}
            return json.dumps(data, allow_nan=False, indent=2) + "\n"
        if form == "text":
            return f"{GENERATOR}\n\n{comparing.render_comparison_text(comparison, width=100)}"
        return comparing.render_comparison_page(comparison, by)

    write(path, form, draw, force=force)


def name_logs(logs: Sequence[str]) -> list[str]:
    """Return the shortest ends of the paths that are unlike each other."""
    parts = [PurePath(log).parts or (log,) for log in logs]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{log} ({at})" for at, log in enumerate(logs, start=1)]
