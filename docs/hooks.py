"""What the site is built with beside MkDocs: pages and tables made from fitdiag itself.

Each rule gets a page, and ``{{ name argument }}`` on a line of its own is replaced by what the
function ``make_name`` returns, so that no page repeats a number or a word of the code.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click
from mkdocs.structure.files import File

import fitdiag
from fitdiag.checkpoint import PickConfig
from fitdiag.cli.commands import cli
from fitdiag.cli.explanation import VERDICTS
from fitdiag.readers import READERS
from fitdiag.rules import RETIRED, RULES
from fitdiag.verdict import VerdictConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

    from fitdiag.rules import Rule

_FAMILIES = {
    "FIT": "how validation follows training",
    "GRD": "gradients",
    "LRN": "learning and the learning rate",
    "LOP": "the loop itself",
    "LOG": "what the log lacks",
}
_CONFIGS = {"verdict": VerdictConfig, "pick": PickConfig}
_ROLE = re.compile(r":(?:func|class|meth|data|mod|attr):<code>~?(?:\w+\.)*?(\w+(?:\.\w+)?)</code>")
_MARK = re.compile(r"^\{\{ (\w+)(?: (\w+))? \}\}$", flags=re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the rules into the navigation."""
    pages = [{f"{rule.code} {rule.name}": f"rules/{rule.code}.md"} for rule in RULES]
    for entry in config.nav or []:
        if "Rules" in entry:
            entry["Rules"] = [{"All rules": "rules/index.md"}, *pages]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the rules."""
    files.append(File.generated(config, "rules/index.md", content=make_rules_index()))
    for rule in RULES:
        path = f"rules/{rule.code}.md"
        files.append(File.generated(config, path, content=make_rule_page(rule)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in the marks of a page."""
    del page, config, files

    def fill(match: re.Match[str]) -> str:
        made: str = globals()[f"make_{match[1]}"](*([match[2]] if match[2] else []))
        return made

    return _MARK.sub(fill, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show the cross-references of docstrings as the plain names they name."""
    del page, config, files
    return _ROLE.sub(r"<code>\1</code>", html)


def make_rule_page(rule: Rule) -> str:
    """Return the page of one rule."""
    found = {finding.code: finding for finding in fitdiag.diagnose(rule.firing()).findings}
    parts = [
        f"# {rule.code} {rule.name}",
        rule.what,
        f"Severity: **{rule.severity}**. Family {rule.code[:3]}: {_FAMILIES[rule.code[:3]]}.",
        f"## Why it matters\n\n{rule.why}",
        f"## How it is found\n\n{rule.how}",
        _rule_limits(rule),
        f"For example it says:\n\n> {found[rule.code].message}" if rule.code in found else "",
        f"## What to do\n\n{_numbered(rule.advice)}",
        f"## References\n\n{_bullets(rule.references)}",
        f"In a terminal: `fitdiag explain {rule.code}`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def make_rules_index() -> str:
    """Return the page that lists the rules by family."""
    parts = [
        "# Rules",
        "A rule finds one thing beside the verdict. Its code is for ever; its severity can "
        "differ from run to run. A rule that cannot tell says why, under *not judged* in the "
        "report: that is not a pass.",
    ]
    for family, title in _FAMILIES.items():
        rules = [rule for rule in RULES if rule.code.startswith(family)]
        if rules:
            rows = [
                (f"[{rule.code}]({rule.code}.md)", rule.name, str(rule.severity), rule.what)
                for rule in rules
            ]
            parts.append(f"## {family}: {title}")
            parts.append(_table(("Code", "Name", "Severity", "What it finds"), rows))
    if RETIRED:
        parts.append(f"Retired, and never used again: {', '.join(RETIRED)}.")
    return "\n\n".join(parts) + "\n"


def make_help(name: str = "") -> str:
    """Return the help of a command as the terminal shows it."""
    context = click.Context(cli, info_name="fitdiag", max_content_width=96, terminal_width=96)
    command: click.Command = cli
    if name:
        command = cli.commands[name]
        context = click.Context(
            command, info_name=name, parent=context, max_content_width=96, terminal_width=96
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
    return _table(("Limit", "Default", "What it is"), rows)


def make_verdicts() -> str:
    """Return every verdict with its meaning and what to do."""
    rows = [(f"`{verdict}`", means, do) for verdict, (means, do) in VERDICTS.items()]
    return _table(("Verdict", "What happened", "What to do"), rows)


def make_formats() -> str:
    """Return the log formats that are read."""
    rows = [(f"`{reader.name}`", f"`{reader.example}`", reader.description) for reader in READERS]
    return _table(("Format", "File", "What it is"), rows)


def make_api() -> str:
    """Return the reference of every public name."""
    groups: dict[str, list[str]] = {"Functions": [], "Classes": [], "Errors": []}
    for name in fitdiag.__all__:
        thing: Any = getattr(fitdiag, name)
        if inspect.isclass(thing):
            groups["Errors" if issubclass(thing, Exception) else "Classes"].append(name)
        elif callable(thing):
            groups["Functions"].append(name)
    parts = []
    for title, names in groups.items():
        homes = [(getattr(fitdiag, name).__module__, name) for name in names]
        parts += [f"## {title}", *(f"::: {module}.{name}" for module, name in homes)]
    return "\n\n".join(parts)


def _parameters(config: type) -> dict[str, str]:
    """Return the meaning of each parameter from a numpydoc docstring."""
    text = inspect.getdoc(config) or ""
    blocks = re.findall(r"^(\w+) : .*\n((?: {4}.*\n?)+)", text, flags=re.MULTILINE)
    return {name: " ".join(block.split()) for name, block in blocks}


def _rule_limits(rule: Rule) -> str:
    rows = [(f"`{name}`", f"{value:g}") for name, value in rule.limits().items()]
    return _table(("Limit", "Default"), rows) if rows else ""


def _numbered(items: tuple[str, ...]) -> str:
    return "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))


def _bullets(items: tuple[str, ...]) -> str:
    return "\n".join(f"- {_linked(item)}" for item in items)


def _linked(reference: str) -> str:
    """Make DOIs and arXiv numbers links."""
    reference = re.sub(r"doi:(\S+)", r"[doi:\1](https://doi.org/\1)", reference)
    return re.sub(r"arXiv:([\d.]+)", r"[arXiv:\1](https://arxiv.org/abs/\1)", reference)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    lines += [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)
