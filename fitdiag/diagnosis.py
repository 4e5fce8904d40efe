"""diagnose(run) -> Diagnosis: measure once, judge once, ask every rule."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cached_property
from importlib import import_module
from itertools import zip_longest
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fitdiag.checkpoint import PickConfig, attach_files, find_phases, parse_metric, pick
from fitdiag.findings import Finding, Severity, Skip
from fitdiag.rules import RULES, Case, Rule
from fitdiag.run import Run
from fitdiag.signals import measure
from fitdiag.verdict import VerdictConfig, judge

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from fitdiag.findings import Checkpoint, GradientPhases, Judgement, Verdict
    from fitdiag.signals import Signal

__all__ = ["FORMAT", "Config", "Diagnosis", "diagnose"]

#: findings that say that a run went wrong, and families of those that can say why
SYMPTOMS, CAUSES = frozenset({"FIT001", "LRN001"}), frozenset({"GRD", "LRN", "LOP"})

#: format of :meth:`Diagnosis.to_dict`; 1: the first
FORMAT = 1

_ORDER = list(Severity)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Every limit of a diagnosis.

    Parameters
    ----------
    verdict : VerdictConfig
        Limits of the verdict.
    pick : PickConfig
        Limits of the checkpoint pick and the gradient phases.
    rules : tuple of Rule
        The rules to ask, each with its own limits.
    metric : str
        Curve and direction to choose the checkpoint by, as in ``"val_accuracy:max"``. Default:
        the validation loss.
    """

    verdict: VerdictConfig = field(default_factory=VerdictConfig)
    pick: PickConfig = field(default_factory=PickConfig)
    rules: tuple[Rule, ...] = RULES
    metric: str = ""

    @cached_property
    def limits(self) -> Mapping[str, Mapping[str, float]]:
        """Every limit by room and name."""
        rooms: tuple[tuple[str, VerdictConfig | PickConfig], ...] = (
            ("verdict", self.verdict),
            ("pick", self.pick),
        )
        limits = {
            room: {item.name: float(getattr(config, item.name)) for item in fields(config)}
            for room, config in rooms
        }
        limits.update({rule.code: rule.limits() for rule in self.rules if rule.limits()})
        return MappingProxyType(limits)


_DEFAULT = Config()


@dataclass(frozen=True, kw_only=True, eq=False)
class Diagnosis:
    """What fitdiag says about one run: facts and judgement, nothing drawn or printed.

    Parameters
    ----------
    run : Run
        What was judged.
    judgement : Judgement
        The verdict with its reason, onset and evidence.
    checkpoint : Checkpoint or None
        Which one to keep; None when there is nothing to choose.
    findings : tuple of Finding
        What was found, the most severe first.
    skipped : tuple of Skip
        What could not be judged, and why.
    passed : tuple of str
        Codes of the rules that were asked and found nothing.
    phases : GradientPhases or None
        Peak, settled region and late rise of the gradient norm.
    signals : mapping of str to Signal
        The denoised curves that the judgement rests on.
    limits : mapping
        Every limit that was used, by room and name.
    """

    run: Run
    judgement: Judgement
    checkpoint: Checkpoint | None
    findings: tuple[Finding, ...]
    skipped: tuple[Skip, ...]
    passed: tuple[str, ...]
    phases: GradientPhases | None
    signals: Mapping[str, Signal]
    limits: Mapping[str, Mapping[str, float]]

    @property
    def verdict(self) -> Verdict:
        """What happened in the run."""
        return self.judgement.verdict

    @property
    def confidence(self) -> float | None:
        """How often a verdict given with this confidence is right, 0 to 1; None if inconclusive."""
        return self.judgement.confidence

    @property
    def reason(self) -> str:
        """The verdict's reason in one sentence with numbers."""
        return self.judgement.reason

    def advice(self, most: int = 3) -> tuple[str, ...]:
        """Return what to do next, most useful first.

        Parameters
        ----------
        most : int
            How many pieces of advice at the most.

        Returns
        -------
        tuple of str
            The first advice of each error and warning in turn, then their second, and so on; what
            is only worth knowing comes last. Where nothing was learned or the training broke, what
            names a cause comes before that.
        """
        urgent = [finding for finding in self.findings if finding.severity is not Severity.INFO]
        if any(finding.code in SYMPTOMS for finding in urgent):
            urgent.sort(key=lambda one: one.code in SYMPTOMS or one.code[:3] not in CAUSES)
        calm = [finding for finding in self.findings if finding.severity is Severity.INFO]
        picked: dict[str, None] = {}
        for findings in (urgent, calm):
            for rank in zip_longest(*(finding.advice for finding in findings)):
                picked.update(dict.fromkeys(advice for advice in rank if advice))
        return tuple(picked)[:most]

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as plain data that strict JSON can hold: no NaN, no infinity.

        Returns
        -------
        dict
            ``"format"`` is 1. Curves are not repeated; they stand in the log.
        """
        judgement = self.judgement
        return {
            "format": FORMAT,
            "source": _plain(self.run.source),
            "unit": str(self.run.unit),
            "curves": {
                name: {"points": len(curve), "column": curve.label}
                for name, curve in self.run.curves.items()
            },
            "verdict": str(judgement.verdict),
            "confidence": judgement.confidence,
            "reason": judgement.reason,
            "onset": _plain(judgement.onset),
            "onset_epoch": _plain(
                None if judgement.onset is None else self.run.epoch_at(judgement.onset)
            ),
            "evidence": _plain(judgement.evidence),
            "features": {name: _plain(value) for name, value in judgement.features},
            "gradient": _plain(self.phases),
            "checkpoint": _plain(self.checkpoint),
            "findings": _plain(self.findings),
            "skipped": _plain(self.skipped),
            "passed": list(self.passed),
            "limits": _plain(self.limits),
        }

    def _repr_html_(self) -> str:
        """Show the diagnosis in a notebook."""
        # the report room lies above this one; only a notebook's wish reaches up to it
        shown: str = import_module("fitdiag.report").notebook_html(self)
        return shown


def _plain(value: object) -> Any:  # noqa: ANN401  plain data has no narrower type
    """Return dataclasses, enums, mappings and tuples as dicts, words and lists, NaN as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict | MappingProxyType):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def diagnose(
    run: Run | str | os.PathLike[str],
    config: Config | None = None,
    *,
    checkpoints: str | os.PathLike[str] | None = None,
) -> Diagnosis:
    """Judge a training run: verdict, findings and the checkpoint to keep.

    Parameters
    ----------
    run : Run or path
        A run, or a log that :func:`fitdiag.read` reads.
    config : Config, optional
        Other limits or rules than the defaults, or another metric to choose the checkpoint by.
    checkpoints : path, optional
        The folder that holds the run's checkpoints; names are looked at, no file is opened.
        Default: the one that the recorder noted, or one beside the log, if there is any.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ReadError
        If a path is given that cannot be read.
    UsageError
        If the run has no curve of the metric's name, or the folder of checkpoints holds none.

    Examples
    --------
    >>> import fitdiag
    >>> run = fitdiag.Run.from_arrays(
    ...     train_loss=[2.3, 1.1, 0.6, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05],
    ...     val_loss=[2.2, 1.2, 0.9, 0.8, 0.85, 0.9, 1.0, 1.1, 1.2, 1.3],
    ... )
    >>> fitdiag.diagnose(run).verdict.value
    'overfitting'
    """
    if not isinstance(run, Run):
        from fitdiag.readers import read

        return diagnose(read(run), config, checkpoints=checkpoints)
    config = config or _DEFAULT
    facts = measure(run)
    phases = find_phases(facts, config.pick)
    judgement = judge(facts, config.verdict)
    metric = parse_metric(config.metric) if config.metric else None
    checkpoint = pick(facts, phases, config.pick, metric)
    if checkpoint is not None:
        checkpoint = attach_files(checkpoint, run, checkpoints)
    case = Case(facts=facts, judgement=judgement, phases=phases, checkpoint=checkpoint)
    outcomes = [(rule, rule.check(case)) for rule in config.rules]
    findings = [outcome for _, outcome in outcomes if isinstance(outcome, Finding)]
    return Diagnosis(
        run=run,
        judgement=judgement,
        checkpoint=checkpoint,
        findings=tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity))),
        skipped=tuple(outcome for _, outcome in outcomes if isinstance(outcome, Skip)),
        passed=tuple(rule.code for rule, outcome in outcomes if outcome is None),
        phases=phases,
        signals=MappingProxyType(facts.signals()),
        limits=config.limits,
    )
