"""The command line: reads arguments, calls the rooms below, prints what they say.

:func:`main` is where a process begins and ends: every error that fitdiag raises on purpose is
caught here, once, and becomes one line on standard error and an exit code.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from fitdiag.cli.checkpoints import average
from fitdiag.cli.commands import cli
from fitdiag.cli.comparing import compare
from fitdiag.cli.fleet import scan
from fitdiag.cli.picking import pick
from fitdiag.cli.watching import watch
from fitdiag.errors import FitdiagError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cli", "main"]

cli.add_command(average)
cli.add_command(compare)
cli.add_command(scan)
cli.add_command(pick)
cli.add_command(watch)

#: 128 plus the number of the signal, as every shell reports it
INTERRUPTED = 130
BROKEN_PIPE = 141

#: standard output could not be written
UNWRITABLE = 2

#: characters of an error message that are shown
LONGEST = 2000

#: what a shell sets when it asks for completions
_COMPLETE = "_FITDIAG_COMPLETE"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those that the process was started with.

    Raises
    ------
    SystemExit
        Always. 0: fine; 1: ``check`` found something; 2: usage, or a file that cannot be
        written; 3: the log cannot be read or judged; 130: interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = _run(sys.argv[1:] if arguments is None else list(arguments))
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # whoever read our output has left; keep Python from complaining about it at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    except OSError as error:
        # standard output takes nothing more: a full disk, a closed terminal
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _fail(f"standard output cannot be written: {error.strerror or error}", UNWRITABLE)
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """Run a command and return the exit code."""
    if os.environ.get(_COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "fitdiag", _COMPLETE, os.environ[_COMPLETE])
    try:
        with cli.make_context("fitdiag", arguments) as context:
            code = cli.invoke(context)
    except FitdiagError as error:
        return _fail(str(error), error.exit_code)
    except click.ClickException as error:
        return _fail(error.format_message() + _hint(error), error.exit_code)
    except click.exceptions.Exit as end:
        return end.exit_code
    except KeyboardInterrupt:
        return _fail("interrupted; files are written whole or not at all.", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    from fitdiag.report.words import clean

    told = clean(message, LONGEST)  # a message quotes names from logs, which may hold anything
    end = "" if told.endswith((".", "?", "!")) else "."
    click.echo(f"Error: {told}{end}", err=True)
    return code


def _hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f" See `{context.command_path} --help`." if context else ""
