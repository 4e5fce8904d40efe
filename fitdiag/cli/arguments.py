"""How arguments are read: a group that guesses, help as it is written, two parsers."""

from __future__ import annotations

import difflib
import inspect
import os
import textwrap
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CommandGroup", "LiteralHelp", "did_you_mean", "parse_mappings", "parse_words"]


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `` Did you mean …?`` with the closest choices, or nothing where none is close."""
    close = difflib.get_close_matches(word, sorted(set(choices)), n=3, cutoff=0.7)
    return f" Did you mean {' or '.join(close)}?" if close else ""


class LiteralHelp(click.Command):
    """A command whose docstring is its help, line by line."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the docstring as it stands instead of filling it to the terminal's width."""
        del ctx
        formatter.write_paragraph()
        formatter.write(textwrap.indent(inspect.cleandoc(self.help or ""), "  ") + "\n")


class CommandGroup(LiteralHelp, click.Group):
    """A group that says what was probably meant by a word that is no command."""

    command_class = LiteralHelp

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of the first argument, or fail with the likely one."""
        word = args[0]
        if self.get_command(ctx, word) is None and not word.startswith("-"):
            commands = self.list_commands(ctx)
            if os.path.exists(word):  # noqa: PTH110  a word that is no path must not raise here
                hint = f" Did you mean `fitdiag report {word}`?"
            else:
                hint = did_you_mean(word, commands)
            ctx.fail(f"there is no command {word!r}; there are {', '.join(commands)}.{hint}")
        return super().resolve_command(ctx, args)


def parse_mappings(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Return ``NAME=COLUMN`` arguments as a mapping of names to columns."""
    mapping = {}
    for value in values:
        name, _, column = (part.strip() for part in value.partition("="))
        if not name or not column:
            raise click.BadParameter(
                f'{value!r} is no mapping; write NAME="COLUMN", as in train_loss="my column".',
                context,
                option,
            )
        if _is_curve(column) and not _is_curve(name):
            raise click.BadParameter(
                f'{value!r} is the other way round; write {column}="{name}".', context, option
            )
        mapping[name] = column
    return mapping


def _is_curve(word: str) -> bool:
    """Tell whether a word can only be meant as the name of a curve."""
    from fitdiag.readers.roles import TARGETS

    return word in TARGETS or (word.startswith(("train_", "val_")) and word.isidentifier())


def parse_words(context: click.Context, option: click.Parameter, value: str) -> tuple[str, ...]:
    """Return words with commas between them, in lower case."""
    del context, option
    return tuple(word.strip().lower() for word in value.split(",") if word.strip())
