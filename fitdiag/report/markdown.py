"""The report as Markdown, for pull requests, job summaries and lab notebooks."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from fitdiag.report.axis import place
from fitdiag.report.destination import GENERATOR
from fitdiag.report.sentences import (
    describe_evidence,
    describe_gradients,
    describe_length,
    describe_regret,
    name_alternative,
    name_run,
    say_advice,
    say_confidence,
    say_copy,
    say_files,
    say_pick,
    say_reason,
)
from fitdiag.report.words import (
    SEVERITIES,
    TEXT_LENGTH,
    VERDICTS,
    clean,
    curve_name,
    group_skips,
    number,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fitdiag.diagnosis import Diagnosis
    from fitdiag.findings import Checkpoint, Finding
    from fitdiag.run import Run

__all__ = ["escape", "render_markdown"]

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&!$])")
#: what GitHub turns into a mention or a link even where nothing marks it as one
_AUTOMATIC = re.compile(r"(@|://|www\.|:)(?=\w)")
_LINE_START = re.compile(r"^(\d+)?([-+.)=])")


def escape(text: object, most: int = TEXT_LENGTH) -> str:
    """Return a text that Markdown shows as it is: no markup, no HTML, no link, no mention.

    Parameters
    ----------
    text : object
        Anything; cleaned first.
    most : int
        Characters that are kept.
    """
    escaped = _SPECIAL.sub(r"\\\1", clean(text, most))
    # a zero-width space parts what would else be recognised without any markup
    escaped = _AUTOMATIC.sub("\\1\u200b", escaped)
    return _LINE_START.sub(r"\1\\\2", escaped)


def render_markdown(diagnosis: Diagnosis) -> str:
    """Return the report of a diagnosis in GitHub's Markdown."""
    sections = [
        _head(diagnosis),
        _pick(diagnosis),
        _list(
            "What to do next", [f"{i}. {escape(a)}" for i, a in enumerate(say_advice(diagnosis), 1)]
        ),
        _list("Findings", [_finding(finding, diagnosis.run) for finding in diagnosis.findings]),
        _remainder(diagnosis),
        _facts(diagnosis),
    ]
    return f"<!-- {GENERATOR} -->\n" + "\n\n".join(filter(None, sections)) + "\n"


def _head(diagnosis: Diagnosis) -> str:
    words = VERDICTS[diagnosis.verdict]
    confidence = say_confidence(diagnosis)
    return "\n\n".join(
        [
            f"# {words.sign.mark} {words.sign.title}: {escape(name_run(diagnosis))}",
            f"**{escape(say_reason(diagnosis))}**" + (f" ({confidence})" if confidence else ""),
            escape(words.meaning),
            f"**Gradients:** {escape(describe_gradients(diagnosis))}",
        ]
    )


def _pick(diagnosis: Diagnosis) -> str:
    pick = diagnosis.checkpoint
    if pick is None:
        return "## Checkpoint to keep\n\nNothing to choose from."
    lines = [
        f"## Checkpoint to keep: {escape(say_pick(diagnosis))}",
        "",
        f"{escape(pick.reason)} {escape(describe_regret(diagnosis))}",
    ]
    if pick.files:
        lines += ["", escape(say_files(diagnosis))]
    if command := say_copy(diagnosis):
        lines += ["", "    " + command]
    return "\n".join(lines + _alternatives(diagnosis, pick))


def _alternatives(diagnosis: Diagnosis, pick: Checkpoint) -> list[str]:
    if not pick.alternatives:
        return []
    filed = any(other.path for other in pick.alternatives)
    head = f"| Alternative | Where | {escape(curve_name(pick.curve).capitalize())} |"
    rows = [
        f"| {escape(name_alternative(other.rule, pick.direction))} "
        f"| {escape(place(diagnosis.run, other.step))} | {number(other.value)} |"
        + (f" {escape(PurePath(other.path or '').name)} |" if filed else "")
        for other in pick.alternatives
    ]
    more = (" File |", "---|") if filed else ("", "")
    return ["", head + more[0], "|---|---|---:|" + more[1], *rows]


def _list(title: str, items: list[str]) -> str:
    return f"## {title}\n\n" + "\n".join(items) if items else ""


def _finding(finding: Finding, run: Run) -> str:
    sign = SEVERITIES[finding.severity]
    lines = [
        f"- {sign.mark} **{escape(finding.code)} {escape(finding.name)}** "
        f"({sign.title.lower()}): {escape(finding.message)}"
    ]
    lines += [f"  - Evidence: {escape(describe_evidence(item, run))}" for item in finding.evidence]
    lines += [f"  - {escape(advice)}" for advice in finding.advice]
    return "\n".join(lines)


def _remainder(diagnosis: Diagnosis) -> str:
    parts = []
    if diagnosis.passed:
        parts.append(f"**Passed:** {_codes(diagnosis.passed)}")
    reasons = [
        f"- {_codes(codes)}: {escape(reason)}" for reason, codes in group_skips(diagnosis.skipped)
    ]
    if reasons:
        parts.append("**Could not be judged:**\n\n" + "\n".join(reasons))
    return "\n\n".join(parts)


def _codes(codes: Iterable[str]) -> str:
    return ", ".join(escape(code) for code in codes)


def _facts(diagnosis: Diagnosis) -> str:
    source = diagnosis.run.source
    lines = [f"- Log: {escape(source.path or 'made in Python')} ({escape(source.format)})"]
    lines += [f"- Read: {escape(describe_length(diagnosis))}"]
    lines += [f"- {escape(note)}" for note in source.notes]
    return _list("Where this comes from", lines)
