"""What fails in a fleet, and what of it is new or worse than in an earlier scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fitdiag.findings import Severity
from fitdiag.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from fitdiag.fleet.rows import Row

__all__ = ["NOISES", "Failure", "compare", "find_failures"]

#: a best loss is worse than an earlier one if it is higher by so many times the noise of single
#: validation losses: three standard deviations, which chance alone passes once in 700 times
NOISES = 3.0

_NAMES = {rule.code: rule.name for rule in RULES}
_SEVERITIES = [severity.value for severity in Severity]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A run that fails a check.

    Parameters
    ----------
    row : Row
        The run.
    reasons : tuple of str
        What was found, in a few words each.
    known : bool
        Whether the run was in the earlier scan.
    """

    row: Row
    reasons: tuple[str, ...]
    known: bool = False


def find_failures(rows: Iterable[Row], words: Collection[str]) -> list[Failure]:
    """Return the runs in which something was found that words name.

    Parameters
    ----------
    rows : iterable of Row
        Of a scan.
    words : collection of str
        Verdicts, codes, names of findings and severities, in lower case with hyphens.
    """
    found = ((row, _name_reasons(row.to_dict(), words)) for row in rows)
    return [Failure(row=row, reasons=tuple(told.values())) for row, told in found if told]


def compare(
    rows: Iterable[Row], earlier: Iterable[Mapping[str, Any]], words: Collection[str]
) -> list[Failure]:
    """Return the runs that are new and fail, or are worse than in an earlier scan.

    A run that was there before, by path and number, is worse where it could be read and cannot
    any more; where it has a verdict that words name and had another; where something was found
    that words name and was not found before, or was less severe; and where its loss at the pick
    is higher by more than :data:`NOISES` times the larger noise of the two.

    Parameters
    ----------
    rows : iterable of Row
        Of this scan.
    earlier : iterable of mapping
        What :func:`fitdiag.fleet.store.read_rows` returned.
    words : collection of str
        As for :func:`find_failures`.
    """
    before = {(row["path"], int(row["run"])): row for row in earlier}
    failures = []
    for row in rows:
        now, old = row.to_dict(), before.get((row.path, row.run))
        told = _name_reasons(now, words)
        if old is not None:
            same = _name_reasons(old, words)
            told = {key: reason for key, reason in told.items() if not _covers(same, key)}
            told |= _compare_losses(row, old)
            if row.status == "error" and old["status"] != "error":
                told[("unreadable", 0)] = "could be read before"
        if told:
            failures.append(Failure(row=row, reasons=tuple(told.values()), known=old is not None))
    return failures


_Key = tuple[str, int]


def _name_reasons(row: Mapping[str, Any], words: Collection[str]) -> dict[_Key, str]:
    """Return what fails in a run, by what it is and how severe."""
    reasons: dict[_Key, str] = {}
    verdict = str(row.get("verdict") or "")
    if verdict.replace("_", "-") in words:
        reasons[(verdict, 0)] = f"verdict {verdict}"
    severities = row.get("severities") or ()
    severities = severities.split() if isinstance(severities, str) else severities
    for code, severity in zip(row["codes"], severities, strict=False):
        rank = _SEVERITIES.index(severity)
        name = _NAMES.get(code, code)
        if not {code.lower(), name, *_SEVERITIES[rank:]}.isdisjoint(words):
            reasons[(code, rank)] = f"{code} {name} ({severity})"
    return reasons


def _covers(same: Iterable[_Key], key: _Key) -> bool:
    """Tell whether the same was there before, and no less severe."""
    return any(code == key[0] and rank <= key[1] for code, rank in same)


def _compare_losses(row: Row, old: Mapping[str, Any]) -> dict[_Key, str]:
    now, before = row.pick_loss, old.get("pick_loss")
    if now is None or before is None or row.regret is None:
        return {}
    noise = max(row.val_noise or 0.0, old.get("val_noise") or 0.0)
    if now - before <= NOISES * noise or now <= before:
        return {}
    return {("loss", 0): f"loss at the pick {now:.4g}, was {before:.4g}"}
