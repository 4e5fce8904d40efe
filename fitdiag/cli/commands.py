"""The commands. Each one imports what it needs when it runs, so that ``--help`` costs nothing."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import click

from fitdiag import __version__
from fitdiag.cli.arguments import CommandGroup, parse_words
from fitdiag.cli.destinations import FORMATS, STYLES, plan
from fitdiag.cli.options import (
    checkpoints_option,
    config_option,
    diagnose_logs,
    input_format_option,
    logs_argument,
    mapping_option,
    metric_option,
    run_option,
)

if TYPE_CHECKING:
    from fitdiag.diagnosis import Diagnosis

__all__ = ["DEFAULT_FAIL_ON", "cli"]

#: what ``fitdiag check`` fails on unless it is told otherwise
DEFAULT_FAIL_ON = ("error", "overfitting", "no_learning", "diverged")


@click.group(
    cls=CommandGroup, invoke_without_command=True, context_settings={"max_content_width": 80}
)
@click.version_option(__version__, message="fitdiag %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Tell whether a training run is any good, and which checkpoint to keep.

    fitdiag reads the log of a training run, whoever wrote it, and says what
    happened (no learning, overfitting, ideal, controlled gap, diverged), whether
    the gradients were healthy, and which checkpoint to keep.

    For example:
      fitdiag report logs.csv          print a summary, write a page and a picture
      fitdiag report logs.csv -o out/  the two files into a folder
      fitdiag check logs.csv           for CI: exit code 1 when something is wrong
      fitdiag explain overfitting      what a verdict or a finding means

    Record a log in your own PyTorch loop, which stays as it is:
      with fitdiag.record(model, optimizer, loss_fn, log="logs.csv"):
          ...

    Exit codes: 0 fine, 1 found by `check`, 2 usage or an output that cannot be
    written, 3 a log that cannot be read, or that `check` cannot judge.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command()
@logs_argument
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="DEST",
    help="A file (its suffix says what it holds), a folder (with a / at its end, or one that "
    "exists), or - for standard output. May be given several times.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Give only this: on standard output, or where -o says.",
)
@mapping_option
@input_format_option
@run_option
@config_option
@checkpoints_option
@metric_option
@click.option(
    "--style",
    type=click.Choice(STYLES),
    default=STYLES[0],
    show_default=True,
    help="How large the picture is (PNG, SVG, PDF): paper fits a column of 3.3 inches, slide is "
    "16 to 9 with large letters.",
)
@click.option(
    "--title/--no-title",
    default=None,
    help="Whether verdict and reason stand above the picture. Default: yes, but not for paper.",
)
@click.option("--force", is_flag=True, help="Overwrite files that fitdiag did not write.")
@click.option("-v", "--verbose", is_flag=True, help="Say everything in the summary.")
@click.option("-q", "--quiet", is_flag=True, help="Print no summary and no names of files.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colour in the summary; auto: on a terminal, unless NO_COLOR is set.",
)
def report(
    *,
    logs: tuple[str, ...],
    outputs: tuple[str, ...],
    form: str | None,
    columns: dict[str, str],
    input_format: str | None,
    number: int | None,
    config: str | None,
    checkpoints: str | None,
    metric: str,
    style: str,
    title: bool | None,
    force: bool,
    verbose: bool,
    quiet: bool,
    color: str,
) -> None:
    """Diagnose the run in LOG: a summary here, and a report to keep.

    Without options the summary goes to standard output, and NAME.report.html
    and NAME.report.png are written into the current folder. With -o only what
    it names is written. With --format only that one document is made: on
    standard output, or where -o says.

    A file is written whole or not at all, and one that fitdiag did not write is
    never overwritten without --force.

    The exit code is 0 whatever the verdict is, inconclusive too; `fitdiag check`
    judges by it.

    For example:
      fitdiag report logs.csv
      fitdiag report logs.csv -o out/ -o run.json
      fitdiag report logs.csv -o figure.pdf --style paper
      fitdiag report logs.csv --format md >> "$GITHUB_STEP_SUMMARY"
      fitdiag report logs.csv --format json | jq .verdict
      fitdiag report x.csv --map train_loss="my loss" --map val_loss="dev loss"
      fitdiag report results/            the newest complete run in a folder
      fitdiag report metrics.csv --run 2
      fitdiag report train.csv val.csv   one run in several tables
    """
    work = plan(logs[0], outputs, form, terminal=sys.stdout.isatty())
    diagnosis = diagnose_logs(
        logs, columns, input_format, number, config, checkpoints=checkpoints, metric=metric
    )
    work.check(force=force)
    printed = work.printed or ("text" if work.summary and not quiet else None)
    if printed is not None:
        if printed == "text" and os.path.isdir(logs[0]):  # noqa: PTH112 no word may raise here
            click.echo(_say_choice(diagnosis))
        tint = _wants_color(color)
        _print(diagnosis, printed, verbose=verbose, color=tint, style=style, title=title)
    written: list[str] = []
    try:
        done = work.write(diagnosis, force=force, style=style, title=title)
        written.extend(str(path) for path in done)
    finally:
        if written and not quiet:
            click.echo(f"Wrote {' and '.join(written)}.", err=True)


@cli.command()
@logs_argument
@click.option(
    "--fail-on",
    callback=parse_words,
    default=",".join(DEFAULT_FAIL_ON),
    show_default=True,
    metavar="WORD,…",
    help="Verdicts, codes or names of findings, and severities: error, warning (or worse), info "
    "(any).",
)
@mapping_option
@input_format_option
@run_option
@config_option
@click.option(
    "--baseline",
    type=click.Path(),
    metavar="FILE",
    help="What an earlier `fitdiag scan -o` wrote (.csv, .jsonl, .parquet): only runs that are "
    "new, or worse than they were there, fail.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "github", "sarif"]),
    default="text",
    show_default=True,
    help="How to say it: lines, annotations of a GitHub workflow, or SARIF for code scanning.",
)
def check(
    *,
    logs: tuple[str, ...],
    fail_on: tuple[str, ...],
    columns: dict[str, str],
    input_format: str | None,
    number: int | None,
    config: str | None,
    baseline: str | None,
    form: str,
) -> int:
    """Judge the run in LOG by its exit code, for CI.

    Prints the verdict and one line for each finding. Exits with 0 when nothing
    of --fail-on was found, 1 when something was, 2 for a wrong argument, and 3
    when the log cannot be read or the run cannot be judged (an inconclusive
    verdict that --fail-on does not name).

    A folder with several runs, or a pattern such as 'runs/*/logs.csv', is
    checked run by run: one line for each that fails, and 3 only when a log
    cannot be read, or no run can be judged. With --baseline only runs fail
    that are new, or worse than they were in that scan.

    For example:
      fitdiag check logs.csv
      fitdiag check logs.csv --fail-on overfitting,error
      fitdiag check logs.csv --fail-on FIT002,gradient-explosion,inconclusive
      fitdiag check runs/ --baseline fleet.csv
      fitdiag check logs.csv --format github
      fitdiag check logs.csv --format sarif > fitdiag.sarif
    """
    from fitdiag.cli.checking import check_words, exit_code, lines, list_notices
    from fitdiag.cli.checking_many import are_many, check_many, echo_notices
    from fitdiag.configuration import load_config

    check_words(fail_on)
    if baseline is not None or (are_many(logs) and not (columns or input_format or number)):
        code = check_many(logs, fail_on, load_config(config), baseline, form)
        if code is not None:
            return code
    diagnosis = diagnose_logs(logs, columns, input_format, number, config)
    name = " ".join(logs)
    if form == "text":
        click.echo("\n".join(lines(name, diagnosis, fail_on)))
    else:
        echo_notices(list_notices(logs[0], diagnosis, fail_on), form)
    return exit_code(diagnosis, fail_on)


@cli.command()
@click.argument("word")
def explain(word: str) -> None:
    """Explain WORD: a finding's code or name, or a verdict.

    For example:
      fitdiag explain FIT002
      fitdiag explain gradient-explosion
      fitdiag explain controlled_gap
    """
    from fitdiag.cli.explanation import explain_word

    click.echo(explain_word(word))


@cli.command()
def rules() -> None:
    """List every rule: code, name, severity, and what it finds."""
    from fitdiag.cli.explanation import rules_table

    click.echo(rules_table())


@cli.command()
def formats() -> None:
    """List the log formats that fitdiag reads."""
    from fitdiag.cli.explanation import formats_table

    click.echo(formats_table())


def _say_choice(diagnosis: Diagnosis) -> str:
    """Return which log of a folder was read, as wide as a summary."""
    from fitdiag.report.words import TEXT_LENGTH, clean

    source = diagnosis.run.source
    chosen = next((note for note in source.notes if note.startswith("Read ")), "")
    width = min(shutil.get_terminal_size().columns, 100)
    return click.wrap_text(clean(chosen or f"Read {source.path}.", TEXT_LENGTH), width)


def _wants_color(choice: str) -> bool:
    if choice != "auto":
        return choice == "always"
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def _print(
    diagnosis: Diagnosis, form: str, *, verbose: bool, color: bool, style: str, title: bool | None
) -> None:
    from fitdiag.report import render

    document = render(diagnosis, form, verbose=verbose, color=color, style=style, title=title)
    if isinstance(document, str):
        document = document.rstrip("\n") + "\n"
        # files and programs are given UTF-8 whatever the terminal's own encoding is
        document = document if form == "text" else document.encode()
    click.echo(document, nl=False, color=color)
