"""The options that several commands share, and the diagnosis that they ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from fitdiag.cli.arguments import parse_mappings

if TYPE_CHECKING:
    from fitdiag.diagnosis import Diagnosis

__all__ = [
    "checkpoints_option",
    "config_option",
    "diagnose_logs",
    "input_format_option",
    "logs_argument",
    "mapping_option",
    "metric_option",
    "run_option",
]

logs_argument = click.argument("logs", type=click.Path(), nargs=-1, required=True, metavar="LOG...")
run_option = click.option(
    "--run",
    "number",
    type=int,
    metavar="N",
    help="Which run, where the log holds several: from 1, or from -1 at the end. Default: the "
    "last complete one.",
)
mapping_option = click.option(
    "--map",
    "columns",
    multiple=True,
    callback=parse_mappings,
    metavar='NAME="COLUMN"',
    help="Which column of the log is which curve, where fitdiag cannot tell: "
    '--map train_loss="my column". May be given several times.',
)
input_format_option = click.option(
    "--input-format",
    metavar="NAME",
    help="Read the log with this reader instead of recognising it; `fitdiag formats` lists them.",
)
config_option = click.option(
    "--config",
    type=click.Path(),
    metavar="FILE",
    help="Limits from this TOML file. Default: the nearest fitdiag.toml, or pyproject.toml with "
    "[tool.fitdiag], here or in a folder above.",
)
checkpoints_option = click.option(
    "--checkpoints",
    type=click.Path(),
    metavar="FOLDER",
    help="The folder of the training's checkpoints; only names in it are read. Default: the one "
    "that the recorder noted, or one beside the log.",
)
metric_option = click.option(
    "--metric",
    default="",
    metavar="NAME:max",
    help="Choose the checkpoint by this curve, with :min or :max, instead of the validation loss.",
)


def diagnose_logs(
    logs: tuple[str, ...],
    columns: dict[str, str],
    input_format: str | None,
    number: int | None,
    config: str | None,
    *,
    checkpoints: str | None = None,
    metric: str = "",
) -> Diagnosis:
    """Read the logs of one run and judge it, with the options that every command has."""
    from fitdiag.configuration import load_config
    from fitdiag.diagnosis import diagnose
    from fitdiag.readers import read

    limits = load_config(config)
    limits = replace(limits, metric=metric or limits.metric)
    path = logs[0] if len(logs) == 1 else logs
    run = read(path, format=input_format, columns=columns, run=number)
    return diagnose(run, limits, checkpoints=checkpoints)
