"""What a rule is, and what it is handed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

from fitdiag.findings import Evidence, Finding, Severity, Skip

if TYPE_CHECKING:
    from fitdiag.findings import Checkpoint, GradientPhases, Judgement
    from fitdiag.run import Run
    from fitdiag.signals import Facts

__all__ = ["Case", "Outcome", "Rule"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything that is known of a run when the rules are asked.

    Parameters
    ----------
    facts : Facts
        The run and its signals.
    judgement : Judgement
        The verdict.
    phases : GradientPhases or None
        Peak, settled region and late rise of the gradient norm.
    checkpoint : Checkpoint or None
        The pick.
    """

    facts: Facts
    judgement: Judgement
    phases: GradientPhases | None
    checkpoint: Checkpoint | None

    def when(self, step: float | None) -> str:
        """Name a moment as a person would: by epoch where that is known."""
        return "the start" if step is None else self.facts.run.moment(step)


Outcome = Finding | Skip | None


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """One rule: its limits are its fields, its words are class attributes.

    A rule measures nothing itself; it compares what a :class:`Case` holds with its limits. It
    returns a finding, a skip with the reason why it cannot tell, or None when all is well.
    """

    #: for ever; the family is FIT, GRD, LRN, LOP or LOG
    code: ClassVar[str]
    #: kebab-case, may be bettered while the code stays
    name: ClassVar[str]
    #: how much it matters where the rule does not say otherwise
    severity: ClassVar[Severity]
    #: what it finds, one sentence
    what: ClassVar[str]
    #: why that matters
    why: ClassVar[str]
    #: how it is found, with the fields named
    how: ClassVar[str]
    #: what to do, most useful first
    advice: ClassVar[tuple[str, ...]] = ()
    #: where the method, the limits and the advice come from
    references: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def check(self, case: Case) -> Outcome:
        """Return a finding, a skip with its reason, or None when all is well."""

    @staticmethod
    @abstractmethod
    def firing() -> Run:
        """Return a run on which the rule fires."""

    @staticmethod
    @abstractmethod
    def quiet() -> Run:
        """Return a run, otherwise alike, on which it does not."""

    def limits(self) -> dict[str, float]:
        """Return the rule's own limits by name."""
        return {field.name: float(getattr(self, field.name)) for field in fields(self)}

    def found(
        self,
        message: str,
        *evidence: Evidence,
        severity: Severity | None = None,
        advice: tuple[str, ...] | None = None,
    ) -> Finding:
        """Make a finding of this rule."""
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity or self.severity,
            message=message,
            advice=self.advice if advice is None else advice,
            evidence=evidence,
        )

    def skip(self, reason: str) -> Skip:
        """Say why this rule cannot tell."""
        return Skip(code=self.code, reason=reason)
