"""``fitdiag pick``: which checkpoint to keep, why, and the file that holds it."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fitdiag.cli.arguments import LiteralHelp
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
    from fitdiag.findings import Alternative, Checkpoint

__all__ = ["pick"]

#: characters of a path that are shown
PATH_LENGTH = 300


@click.command(cls=LiteralHelp)
@logs_argument
@checkpoints_option
@metric_option
@click.option(
    "--copy-to",
    type=click.Path(),
    metavar="FOLDER",
    help="Copy the file there, whole or not at all; the folder is made where it is missing.",
)
@click.option(
    "--print-path", is_flag=True, help="Print the path of the file and nothing else, for scripts."
)
@click.option(
    "--nearest",
    is_flag=True,
    help="Take the file that was saved nearest, where none holds the picked one.",
)
@click.option("--force", is_flag=True, help="Overwrite what --copy-to would write.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@mapping_option
@input_format_option
@run_option
@config_option
def pick(
    *,
    logs: tuple[str, ...],
    checkpoints: str | None,
    metric: str,
    copy_to: str | None,
    print_path: bool,
    nearest: bool,
    force: bool,
    form: str,
    columns: dict[str, str],
    input_format: str | None,
    number: int | None,
    config: str | None,
) -> None:
    """Choose the checkpoint to keep of the run in LOG.

    Says which evaluation to keep, why, what it costs against the lowest raw
    value, what other rules would keep, and which files hold them. Names of
    other tools are understood: epoch=12-step=300.ckpt, checkpoint-500/,
    epoch_12.pth, ckpt_000300.pt, best.pt, last.ckpt. No file is opened.

    The exit code is 0 when there is a pick, and 3 when there is nothing to
    choose from, or --print-path or --copy-to find no file that holds it.

    For example:
      fitdiag pick logs.csv
      fitdiag pick logs.csv --checkpoints ckpt/
      fitdiag pick logs.csv --metric val_accuracy:max
      fitdiag pick logs.csv --checkpoints ckpt/ --copy-to best/
      cp "$(fitdiag pick logs.csv --print-path)" best.pt
    """
    diagnosis = diagnose_logs(
        logs, columns, input_format, number, config, checkpoints=checkpoints, metric=metric
    )
    chosen = _checked(diagnosis)
    wanted = _file(diagnosis, chosen, nearest=nearest) if copy_to or print_path else None
    if copy_to and wanted is not None:
        copied = _copy(wanted, Path(copy_to), force=force)
        click.echo(f"Copied {_show(wanted)} to {_show(copied)}.", err=True)
    if print_path:
        click.echo(os.fsencode(str(wanted)))  # to the byte, whatever characters are in it
    elif form == "json":
        click.echo(_document(diagnosis))
    else:
        click.echo("\n".join(_lines(diagnosis, chosen)))


def _checked(diagnosis: Diagnosis) -> Checkpoint:
    from fitdiag.errors import JudgeError

    if diagnosis.checkpoint is None:
        raise JudgeError(
            f"{diagnosis.run.source.path}: there is no finite value to choose a checkpoint by"
        )
    return diagnosis.checkpoint


def _file(diagnosis: Diagnosis, chosen: Checkpoint, *, nearest: bool) -> Path:
    """Return the file of the pick.

    Raises
    ------
    JudgeError
        If there is none, with the nearest one.
    """
    from fitdiag.errors import JudgeError

    if chosen.path:
        return Path(chosen.path)
    if nearest and chosen.nearest:
        return Path(chosen.nearest)
    where = diagnosis.run.moment(chosen.step)
    if not chosen.folder:
        raise JudgeError(
            f"no folder of checkpoints is known for the pick, {where}; name it with --checkpoints"
        )
    hint = " (--nearest takes it)" if chosen.nearest else ""
    raise JudgeError(f"{chosen.files.rstrip('.')}{hint}")


def _copy(source: Path, folder: Path, *, force: bool) -> Path:
    """Copy a file or a folder, whole or not at all.

    Raises
    ------
    WriteError
        If it cannot be copied, or something is there already.
    """
    from fitdiag.errors import WriteError

    target = folder / source.name
    beside = folder / f".{source.name}.part"
    if (target.exists() or target.is_symlink()) and not force:
        raise WriteError(f"{target} is there already; --force overwrites it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.samefile(source):
            return target
        _remove(beside)
        if source.is_dir():
            shutil.copytree(source, beside, symlinks=True)
            _remove(target)
        else:
            shutil.copy2(source, beside)
        beside.replace(target)
    except (OSError, shutil.Error) as error:
        with suppress(OSError):
            _remove(beside)
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise WriteError(f"cannot copy {source} to {target}: {why}") from error
    return target


def _show(path: Path) -> str:
    from fitdiag.report.words import clean

    return clean(path, PATH_LENGTH)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _document(diagnosis: Diagnosis) -> str:
    plain = diagnosis.to_dict()
    parts = ("format", "source", "unit", "verdict", "confidence", "gradient", "checkpoint")
    return json.dumps({name: plain[name] for name in parts}, indent=2, allow_nan=False)


def _lines(diagnosis: Diagnosis, chosen: Checkpoint) -> list[str]:
    """Return the pick in a few paragraphs, each beside its name."""
    from fitdiag.report.sentences import describe_regret, say_copy, say_files, say_pick
    from fitdiag.report.words import TEXT_LENGTH, clean

    width = min(shutil.get_terminal_size((80, 24)).columns, 100)
    others = [_other(diagnosis, chosen, other) for other in chosen.alternatives]
    paragraphs = [
        ("Keep", say_pick(diagnosis)),
        ("Why", clean(chosen.reason, TEXT_LENGTH)),
        ("Regret", describe_regret(diagnosis)),
        ("File", say_files(diagnosis) or "No folder of checkpoints is known (--checkpoints)."),
        *zip(["Others", *[""] * len(others)], others, strict=False),
    ]
    lines = []
    for name, text in paragraphs:
        head = f"{name:<9}"
        lines.append(click.wrap_text(text, width, head, " " * len(head)))
    command = say_copy(diagnosis)
    return [*lines, f"{'Copy':<9}{command}"] if command else lines


def _other(diagnosis: Diagnosis, chosen: Checkpoint, other: Alternative) -> str:
    from fitdiag.report.axis import place
    from fitdiag.report.sentences import name_alternative
    from fitdiag.report.words import clean, number

    rule = name_alternative(other.rule, chosen.direction)
    said = f"{clean(rule)}: {place(diagnosis.run, other.step)}, {number(other.value)}"
    return f"{said}, {clean(other.path, PATH_LENGTH)}" if other.path else said
