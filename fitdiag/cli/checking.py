"""What ``fitdiag check`` fails on, the lines it prints, and its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.cli.arguments import did_you_mean
from fitdiag.errors import UsageError
from fitdiag.findings import Severity, Verdict
from fitdiag.report.annotations import Notice
from fitdiag.report.words import clean
from fitdiag.rules import RULES

if TYPE_CHECKING:
    from fitdiag.diagnosis import Diagnosis
    from fitdiag.findings import Finding

__all__ = ["check_words", "exit_code", "lines", "list_notices"]

_FINE, _FOUND, _CANNOT_JUDGE = 0, 1, 3
#: characters of a line that are shown
LONGEST = 2000
_SEVERITIES = [severity.value for severity in Severity]


def check_words(words: tuple[str, ...]) -> None:
    """Refuse a word that names no verdict, rule or severity.

    Raises
    ------
    UsageError
        Naming the word and listing the choices.
    """
    verdicts = [verdict.value for verdict in Verdict]
    named = [word for rule in RULES for word in (rule.code, rule.name)]
    choices = (
        f"the verdicts {', '.join(verdicts)}, the severities {', '.join(_SEVERITIES)}, "
        "and the codes and names that `fitdiag rules` lists"
    )
    if not words:
        raise UsageError(f"--fail-on is empty; the choices are {choices}.")
    known = {_canonical(word): word for word in (*verdicts, *_SEVERITIES, *named)}
    for word in words:
        if _canonical(word) not in known:
            hint = did_you_mean(_canonical(word), known)
            raise UsageError(f"--fail-on does not know {word!r}; the choices are {choices}.{hint}")


def exit_code(diagnosis: Diagnosis, words: tuple[str, ...]) -> int:
    """Return 1 when one of the words was found, 3 when the run cannot be judged, else 0."""
    found = [finding for finding in diagnosis.findings if _names_finding(words, finding)]
    if found or _names_verdict(words, diagnosis):
        return _FOUND
    return _CANNOT_JUDGE if diagnosis.verdict is Verdict.INCONCLUSIVE else _FINE


def lines(log: str, diagnosis: Diagnosis, words: tuple[str, ...]) -> list[str]:
    """Return one line for the verdict and one for each finding; those that fail say so."""
    verdict = diagnosis.verdict
    if _names_verdict(words, diagnosis):
        mark = "FAIL"
    else:
        mark = "skip" if verdict is Verdict.INCONCLUSIVE else "pass"
    sure = "" if diagnosis.confidence is None else f" (confidence {diagnosis.confidence:.2f})"
    reason = f": {diagnosis.reason}" if verdict is Verdict.INCONCLUSIVE else ""
    head = f"{mark} {log}: verdict {verdict}{sure}{reason}"
    told = [head, *(_line(log, finding, words) for finding in diagnosis.findings)]
    return [clean(line, LONGEST) for line in told]


def list_notices(log: str, diagnosis: Diagnosis, words: tuple[str, ...]) -> list[Notice]:
    """Return what code hosts show: each finding, and a verdict that fails without one."""
    found = [
        Notice(
            log=log,
            code=finding.code,
            level="error" if _names_finding(words, finding) else finding.severity.value,
            message=finding.message,
        )
        for finding in diagnosis.findings
    ]
    verdict = diagnosis.verdict
    failing = _names_verdict(words, diagnosis)
    told_already = any(notice.level == "error" for notice in found)
    if verdict is Verdict.INCONCLUSIVE or (failing and not told_already):
        level = "error" if failing else "warning"
        told = f"verdict {verdict}: {diagnosis.reason}"
        found.insert(0, Notice(log=log, code=verdict.value, level=level, message=told))
    return found


def _line(log: str, finding: Finding, words: tuple[str, ...]) -> str:
    mark = "FAIL" if _names_finding(words, finding) else "note"
    what = f"{finding.code} {finding.name} ({finding.severity})"
    return f"{mark} {log}: {what}: {' '.join(finding.message.split())}"


def _canonical(word: str) -> str:
    return word.lower().replace("_", "-")


def _names_verdict(words: tuple[str, ...], diagnosis: Diagnosis) -> bool:
    return _canonical(diagnosis.verdict) in {_canonical(word) for word in words}


def _names_finding(words: tuple[str, ...], finding: Finding) -> bool:
    """Tell whether a word names the finding, or a severity that it reaches."""
    wanted = {_canonical(word) for word in words}
    reached = _SEVERITIES[_SEVERITIES.index(finding.severity.value) :]
    return not wanted.isdisjoint({finding.code.lower(), finding.name, *reached})
