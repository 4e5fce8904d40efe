"""The passages of the README and the pages that are made from fitdiag itself.

They stand between ``<!-- begin: name argument -->`` and ``<!-- end -->``, so that a page can be
read as it is; ``python tests/gold/update.py`` puts there what the function ``make_name`` returns,
and the tests hold it to that. So no page repeats a number or a word of the code by hand.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

import fitdiag
from fitdiag.checkpoint import PickConfig
from fitdiag.cli.commands import cli
from fitdiag.cli.explanation import VERDICTS
from fitdiag.readers import READERS
from fitdiag.rules import RETIRED, RULES
from fitdiag.stopping import StopConfig
from fitdiag.verdict import VerdictConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

FAMILIES = {
    "FIT": "how validation follows training",
    "GRD": "gradients",
    "LRN": "learning and the learning rate",
    "LOP": "the loop itself",
    "LOG": "what the log lacks",
}
_CONFIGS = {"verdict": VerdictConfig, "pick": PickConfig, "stop": StopConfig}
_PASSAGE = re.compile(
    r"^<!-- begin: (\w+)(?: (\w+))? -->\n.*?^<!-- end -->$", flags=re.MULTILINE | re.DOTALL
)
_ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?(\w+)`")
#: columns of a help text, and of the terminal that it has to fit
_WIDTH = 80


def fill_passages(text: str) -> str:
    """Return a page with its passages made anew."""

    def fill(match: re.Match[str]) -> str:
        made: str = globals()[f"make_{match[1]}"](*([match[2]] if match[2] else []))
        begin = match[0].splitlines()[0]
        return f"{begin}\n\n{made.strip()}\n\n<!-- end -->"

    return _PASSAGE.sub(fill, text)


def make_rules() -> str:
    """Return the rules by family."""
    parts = []
    for family, title in FAMILIES.items():
        rules = [rule for rule in RULES if rule.code.startswith(family)]
        if rules:
            rows = [(rule.code, rule.name, str(rule.severity), rule.what) for rule in rules]
            parts.append(f"## {family}: {title}")
            parts.append(make_table(("Code", "Name", "Severity", "What it finds"), rows))
    if RETIRED:
        parts.append(f"Retired, and never used again: {', '.join(RETIRED)}.")
    return "\n\n".join(parts)


def make_help(name: str = "") -> str:
    """Return the help of a command as the terminal shows it."""
    context = click.Context(
        cli, info_name="fitdiag", max_content_width=_WIDTH, terminal_width=_WIDTH
    )
    command: click.Command = cli
    if name:
        command = cli.commands[name]
        context = click.Context(
            command, info_name=name, parent=context, max_content_width=_WIDTH, terminal_width=_WIDTH
        )
    return f"```text\n{command.get_help(context)}\n```"


def make_limits(room: str) -> str:
    """Return the limits of the verdict or of the pick with their defaults and meaning."""
    config = _CONFIGS[room]
    meanings = _parameters(config)
    rows = [
        (f"`{field.name}`", f"{field.default:g}", meanings[field.name])
        for field in fields(config)
        if isinstance(field.default, int | float)
    ]
    return make_table(("Limit", "Default", "What it is"), rows)


def make_verdicts() -> str:
    """Return every verdict with its meaning and what to do."""
    rows = [(f"`{verdict}`", means, do) for verdict, (means, do) in VERDICTS.items()]
    return make_table(("Verdict", "What happened", "What to do"), rows)


def make_formats() -> str:
    """Return the log formats that are read."""
    rows = [(f"`{reader.name}`", f"`{reader.example}`", reader.description) for reader in READERS]
    return make_table(("Format", "File", "What it is"), rows)


def make_api() -> str:
    """Return the public names with the first sentence of their docstrings."""
    parts = []
    for title, names in sort_names().items():
        rows = [(f"`{name}`", _summary(getattr(fitdiag, name))) for name in names]
        parts += [f"## {title}", make_table(("Name", "What it is"), rows)]
    return "\n\n".join(parts)


def sort_names() -> dict[str, list[str]]:
    """Return the public names by what they are."""
    groups: dict[str, list[str]] = {"Functions": [], "Classes": [], "Errors": []}
    for name in fitdiag.__all__:
        thing: Any = getattr(fitdiag, name)
        if inspect.isclass(thing):
            groups["Errors" if issubclass(thing, Exception) else "Classes"].append(name)
        elif callable(thing):
            groups["Functions"].append(name)
    return groups


def make_table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    lines += [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _summary(thing: object) -> str:
    """Return the first paragraph of a docstring, its references as plain names."""
    first = (inspect.getdoc(thing) or "").split("\n\n")[0]
    return _ROLE.sub(r"`\1`", " ".join(first.split())).replace("``", "`")


def _parameters(config: type) -> dict[str, str]:
    """Return the meaning of each parameter from a numpydoc docstring."""
    text = inspect.getdoc(config) or ""
    blocks = re.findall(r"^(\w+) : .*\n((?: {4}.*\n?)+)", text, flags=re.MULTILINE)
    return {name: " ".join(block.split()) for name, block in blocks}
