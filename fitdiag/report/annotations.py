"""What a check found, as code hosts show it beside a change: GitHub annotations, and SARIF 2.1.0.

Sources: GitHub, *Workflow commands for GitHub Actions*; OASIS (2020), *Static Analysis Results
Interchange Format (SARIF) Version 2.1.0*.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fitdiag import __version__
from fitdiag.report.words import TEXT_LENGTH, clean
from fitdiag.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Notice", "render_github", "render_sarif"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

#: levels by the words of a severity: GitHub's, SARIF's
_LEVELS = {
    "error": ("error", "error"),
    "warning": ("warning", "warning"),
    "info": ("notice", "note"),
}


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One thing to show beside a log.

    Parameters
    ----------
    log : str
        Path of the log.
    code : str
        Code of a rule, or a verdict.
    level : {"error", "warning", "info"}
        How severe it is; what makes a check fail is an error.
    message : str
        One sentence.
    """

    log: str
    code: str
    level: str
    message: str


def render_github(notices: Iterable[Notice]) -> str:
    """Return workflow commands, one line for each notice.

    Examples
    --------
    >>> print(render_github([Notice(log="a.csv", code="FIT002", level="error", message="100 %")]))
    ::error file=a.csv,title=fitdiag FIT002::100 %25
    """
    return "\n".join(
        f"::{_LEVELS[notice.level][0]} file={_property(notice.log)},"
        f"title={_property(f'fitdiag {notice.code}')}::{_data(notice.message)}"
        for notice in notices
    )


def _data(text: str) -> str:
    return clean(text, TEXT_LENGTH).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def render_sarif(notices: Iterable[Notice]) -> str:
    """Return a SARIF log with one result for each notice, and the rules that they name."""
    kept = list(notices)
    named = {notice.code for notice in kept}
    known = [rule for rule in RULES if rule.code in named]
    rules: list[dict[str, Any]] = [
        {
            "id": rule.code,
            "name": rule.name,
            "shortDescription": {"text": rule.what},
            "fullDescription": {"text": rule.why},
            "help": {"text": " ".join(rule.advice) or rule.what},
            "defaultConfiguration": {"level": _LEVELS[rule.severity.value][1]},
        }
        for rule in known
    ]
    others = sorted(named - {rule.code for rule in known})
    rules += [{"id": code, "shortDescription": {"text": f"verdict {code}"}} for code in others]
    driver = {
        "name": "fitdiag",
        "semanticVersion": __version__,
        "rules": rules,
    }
    results = [
        {
            "ruleId": notice.code,
            "level": _LEVELS[notice.level][1],
            "message": {"text": clean(notice.message, TEXT_LENGTH)},
            "locations": [
                {"physicalLocation": {"artifactLocation": {"uri": _uri(notice.log)}}},
            ],
        }
        for notice in kept
    ]
    document = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(document, indent=2, allow_nan=False)


def _uri(log: str) -> str:
    """Return a relative path as a relative reference, an absolute one as a file URI."""
    path = PurePath(log)
    text = quote(path.as_posix(), safe="/", errors="replace")
    return f"file://{text}" if path.is_absolute() else text
