"""What the site is built with beside MkDocs: a page for each rule, and the Python reference.

The passages that the pages hold already are made by ``passages.py``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mkdocs.structure.files import File
from passages import FAMILIES, make_table, sort_names

import fitdiag
from fitdiag.rules import RULES

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

    from fitdiag.rules import Rule

_ROLE = re.compile(r":(?:func|class|meth|data|mod|attr):<code>~?(?:\w+\.)*?(\w+(?:\.\w+)?)</code>")
_CODE = re.compile(r"^\| ([A-Z]{3}\d{3}) \|", flags=re.MULTILINE)
#: where a page, invisible in the repository, asks for the whole reference
_REFERENCE = "<!-- site: reference -->"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the rules into the navigation."""
    pages = [{f"{rule.code} {rule.name}": f"rules/{rule.code}.md"} for rule in RULES]
    for entry in config.nav or []:
        if "Rules" in entry:
            entry["Rules"] = [{"All rules": "rules/index.md"}, *pages]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the rules."""
    for rule in RULES:
        path = f"rules/{rule.code}.md"
        files.append(File.generated(config, path, content=make_rule_page(rule)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the reference where a page asks for it, and links to the rules into their table."""
    del config, files
    if page.file.src_uri == "rules/index.md":
        markdown = _CODE.sub(r"| [\1](\1.md) |", markdown)
    return markdown.replace(_REFERENCE, make_reference())


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
        f"Severity: **{rule.severity}**. Family {rule.code[:3]}: {FAMILIES[rule.code[:3]]}.",
        f"## Why it matters\n\n{rule.why}",
        f"## How it is found\n\n{rule.how}",
        _rule_limits(rule),
        f"For example it says:\n\n> {found[rule.code].message}" if rule.code in found else "",
        f"## What to do\n\n{_numbered(rule.advice)}",
        f"## References\n\n{_bullets(rule.references)}",
        f"In a terminal: `fitdiag explain {rule.code}`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def make_reference() -> str:
    """Return the reference of every public name."""
    parts = []
    for title, names in sort_names().items():
        homes = [(getattr(fitdiag, name).__module__, name) for name in names]
        parts += [f"## {title} in full", *(f"::: {module}.{name}" for module, name in homes)]
    return "\n\n".join(parts)


def _rule_limits(rule: Rule) -> str:
    rows = [(f"`{name}`", f"{value:g}") for name, value in rule.limits().items()]
    return make_table(("Limit", "Default"), rows) if rows else ""


def _numbered(items: tuple[str, ...]) -> str:
    return "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))


def _bullets(items: tuple[str, ...]) -> str:
    return "\n".join(f"- {_linked(item)}" for item in items)


def _linked(reference: str) -> str:
    """Make DOIs and arXiv numbers links."""
    reference = re.sub(r"doi:(\S+)", r"[doi:\1](https://doi.org/\1)", reference)
    return re.sub(r"arXiv:([\d.]+)", r"[arXiv:\1](https://arxiv.org/abs/\1)", reference)
