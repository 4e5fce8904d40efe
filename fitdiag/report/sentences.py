"""Sentences that several outputs say of a diagnosis, in plain text."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from fitdiag.checkpoint import say_command
from fitdiag.findings import Verdict
from fitdiag.report.axis import place
from fitdiag.report.words import (
    ALTERNATIVES,
    TEXT_LENGTH,
    VERDICTS,
    clean,
    curve_name,
    number,
    percent,
    plural,
)

if TYPE_CHECKING:
    from fitdiag.diagnosis import Diagnosis
    from fitdiag.findings import Evidence
    from fitdiag.run import Run

__all__ = [
    "describe_evidence",
    "describe_gradients",
    "describe_length",
    "describe_regret",
    "name_alternative",
    "name_run",
    "say_advice",
    "say_confidence",
    "say_copy",
    "say_files",
    "say_pick",
    "say_reason",
]


def name_run(diagnosis: Diagnosis) -> str:
    """Return the run's file name, or "this run" for one that was made in Python."""
    path = diagnosis.run.source.path
    return clean(PurePath(path).name or path) if path else "this run"


def describe_length(diagnosis: Diagnosis) -> str:
    """Return how much was read, for example "200 training and 20 validation points"."""
    train, val = diagnosis.run.train_loss, diagnosis.run.val_loss
    if train is not None and val is not None:
        return f"{len(train):,} training and {plural(len(val), 'validation point')}"
    if train is not None:
        return plural(len(train), "training point")
    return "no loss" if val is None else plural(len(val), "validation point")


def say_confidence(diagnosis: Diagnosis) -> str:
    """Return the confidence, or nothing where there is none."""
    return "" if diagnosis.confidence is None else f"{percent(diagnosis.confidence)} confident"


def say_reason(diagnosis: Diagnosis) -> str:
    """Return the verdict's reason, or what the verdict means where it has none."""
    return clean(diagnosis.reason, TEXT_LENGTH) or VERDICTS[diagnosis.verdict].meaning


def say_advice(diagnosis: Diagnosis) -> list[str]:
    """Return what to do next, at most three."""
    return [clean(advice, TEXT_LENGTH) for advice in diagnosis.advice()]


def say_pick(diagnosis: Diagnosis) -> str:
    """Return which checkpoint to keep, for example "epoch 41 (step 1,230)"."""
    pick = diagnosis.checkpoint
    if pick is None:
        return "nothing to choose from"
    where = place(diagnosis.run, pick.step)
    useless = diagnosis.verdict is Verdict.NO_LEARNING
    return f"{where}, if any: this run learned nothing" if useless else where


def say_files(diagnosis: Diagnosis) -> str:
    """Return which file holds the pick, or which is nearest; empty when no folder is known."""
    pick = diagnosis.checkpoint
    return clean(pick.files, TEXT_LENGTH) if pick is not None else ""


def say_copy(diagnosis: Diagnosis) -> str:
    """Return a command that copies the picked file; empty when there is none, or its name is odd.

    A name with characters that a report has to change is not put into a command.
    """
    pick = diagnosis.checkpoint
    command = "" if pick is None else say_command(pick, diagnosis.run.source.path)
    return command if clean(command, TEXT_LENGTH) == command else ""


def describe_regret(diagnosis: Diagnosis) -> str:
    """Return in words what the pick costs against the lowest raw value; empty without a pick."""
    pick = diagnosis.checkpoint
    if pick is None:
        return ""
    if pick.regret is None:
        return "Blind: without a validation loss nobody can say what it costs."
    lowest = next((other for other in pick.alternatives if other.rule == "argmin"), None)
    rises = pick.direction == "max"
    best, fall, above = ("highest", "rise", "below") if rises else ("lowest", "fall", "above")
    if pick.regret <= 0 or lowest is None or lowest.step == pick.step:
        return f"It is the {best} raw value too."
    where = f"{place(diagnosis.run, lowest.step)}, {number(lowest.value)}"
    if pick.regret > 1:
        past = "rose" if rises else "fell"
        return f"Its raw value is {above} the {best} ({where}) by more than the curve ever {past}."
    return (
        f"Its raw value is {percent(pick.regret)} of the curve's {fall} {above} the {best} "
        f"({where}), which may be luck."
    )


def name_alternative(rule: str, direction: str) -> str:
    """Return what a rule for choosing a checkpoint is called."""
    name = ALTERNATIVES.get(rule, rule)
    return name.replace("Lowest", "Highest") if direction == "max" else name


def describe_gradients(diagnosis: Diagnosis) -> str:
    """Return the state of the gradients in one line."""
    alarms = [finding for finding in diagnosis.findings if finding.code.startswith("GRD")]
    phases = diagnosis.phases
    if alarms:
        return clean(alarms[0].message, TEXT_LENGTH)
    if diagnosis.run.get("grad_norm", "grad_norm_max") is None:
        return "No gradient norm was recorded."
    if phases is None:
        return "Too few values of the gradient norm to say anything."
    run, parts = diagnosis.run, ["No alarm"]
    if phases.peak is not None:
        parts.append(f"peak {number(phases.peak_value)} at {run.moment(phases.peak)}")
    else:
        parts.append("no prominent peak")
    settled = phases.settled
    parts.append("never settled" if settled is None else f"settled from {run.moment(settled)}")
    return ", ".join(parts) + "."


def describe_evidence(item: Evidence, run: Run) -> str:
    """Return a piece of evidence as one phrase with its moments and numbers."""
    where = run.moment(item.start)
    if item.end != item.start:
        where += f" to {run.moment(item.end)}"
    parts = [f"{curve_name(item.curve)}, {where}"]
    if item.label:
        parts.append(clean(item.label))
    if item.value is not None:
        parts.append(number(item.value))
    phrase = ": ".join(parts)
    return phrase if item.limit is None else f"{phrase} (limit {number(item.limit)})"
