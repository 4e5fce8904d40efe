"""From what was seen while a training ran to a finding, or to a skip where nobody looked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fitdiag.findings import Evidence
from fitdiag.mistakes import DATA_CHECK
from fitdiag.run import Run
from fitdiag.source import Observation, Source

if TYPE_CHECKING:
    from fitdiag.findings import Severity, Skip
    from fitdiag.rules.base import Case, Outcome, Rule

__all__ = ["NOT_WATCHED", "find_observation", "make_run", "report_observation"]

#: why nothing can be said of a log that fitdiag.record did not write
NOT_WATCHED = "The loop was not watched."
_TOO_SHORT = "The loop was watched, and what this takes did not occur in it."
_NOT_ASKED = 'Samples are only compared by fitdiag.record(..., checks="data").'
_FALL = np.exp(-0.1 * np.arange(60))


def find_observation(rule: Rule, case: Case) -> Observation | Skip | None:
    """Return what was seen of a rule's mistake, a skip where nobody looked, or None.

    Parameters
    ----------
    rule : Rule
        Whose code.
    case : Case
        The run.
    """
    run = case.facts.run
    seen = next((one for one in run.observations if one.code == rule.code), None)
    if seen is not None or rule.code in run.source.checks:
        return seen
    if not run.source.checks:
        return rule.skip(NOT_WATCHED)
    return rule.skip(_NOT_ASKED if rule.code == DATA_CHECK else _TOO_SHORT)


def report_observation(
    rule: Rule, case: Case, *, curve: str = "train_loss", severity: Severity | None = None
) -> Outcome:
    """Return what was seen of a rule's mistake as a finding.

    Parameters
    ----------
    rule : Rule
        Whose code.
    case : Case
        The run.
    curve : str
        The curve that the mistake spoils, as evidence from the step at which it was seen.
    severity : Severity, optional
        Default: the rule's own.
    """
    seen = find_observation(rule, case)
    if not isinstance(seen, Observation):
        return seen
    sentence = seen.message.strip().rstrip(".") or rule.what.rstrip(".")
    at = f"{seen.where}: " if seen.where else ""
    first, last = case.facts.run.span
    evidence = []
    if seen.step is not None and curve in case.facts.run.curves:
        start = min(max(float(seen.step), first), last)
        evidence.append(Evidence(curve=curve, start=start, end=last, label="with this mistake"))
    return rule.found(f"{at}{sentence}.", *evidence, severity=severity)


def make_run(code: str, message: str = "", **values: str | float | bool | None) -> Run:
    """Return a run of a watched loop, in which a mistake was seen if there is a message."""
    seen = Observation(code=code, message=message, where="train.py:31", step=12, values=values)
    run = Run.from_arrays(
        {"train_loss": 0.3 + 2 * _FALL, "val_loss": 0.4 + 2 * _FALL},
        source=Source(format="native", checks=(code,)),
    )
    return Run(
        curves=run.curves,
        unit=run.unit,
        epochs=run.epochs,
        source=run.source,
        observations=(seen,) if message else (),
    )
