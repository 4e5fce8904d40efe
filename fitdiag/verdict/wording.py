"""Tell: a decision as one sentence with numbers, and the evidence that can be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fitdiag.findings import Evidence, Judgement, Verdict
from fitdiag.verdict.decision import Branch, Decision

if TYPE_CHECKING:
    from collections.abc import Callable

    from fitdiag.signals import Facts
    from fitdiag.verdict.features import Loss, Pair

__all__ = ["word"]


def word(facts: Facts, decision: Decision) -> Judgement:
    """Return the judgement that a decision amounts to."""
    if decision.pair is not None:
        reason, evidence, onset = _FIT[decision.branch](facts, decision, decision.pair)
        numbers = decision.pair.numbers()
    elif decision.train is not None:
        reason, evidence, onset = _broken(facts, decision.train)
        numbers = ()
    elif decision.branch is Branch.NON_FINITE:
        reason, evidence, onset = _nonfinite(facts)
        numbers = ()
    else:
        reason, evidence, onset = _unknown(facts, decision), (), None
        numbers = ()
    return Judgement(
        verdict=decision.verdict,
        confidence=decision.confidence,
        reason=reason,
        onset=onset,
        evidence=evidence,
        features=numbers,
    )


Told = tuple[str, tuple[Evidence, ...], float | None]


def _unknown(facts: Facts, decision: Decision) -> str:
    if decision.branch is Branch.NO_TRAINING:
        return "The log has no training loss."
    if decision.branch is Branch.NO_VALIDATION:
        return "The log has no validation loss, so nothing can be said of fit."
    few_training = decision.branch is Branch.FEW_TRAINING
    signal = facts.train if few_training else facts.val
    count = 0 if signal is None else len(signal)
    name = "training" if few_training else "validation"
    points = "usable point" if count == 1 else "usable points"
    return f"The {name} loss has {count} {points}; a verdict needs {decision.config.min_points}."


def _nonfinite(facts: Facts) -> Told:
    train = facts.train
    assert train is not None, "only a run with a training loss ends non-finite"  # noqa: S101  narrows
    first = train.first_nonfinite or 0.0
    last = facts.run.span[1]
    onset, since = first, ""
    if (
        len(train) > 2
        and train.smooth[-1] > train.values[0]
        and train.smooth[-1] > train.smooth.min()
    ):
        onset = min(first, float(train.steps[int(np.argmin(train.smooth))]))
        since = f", having risen since {facts.run.moment(onset)}"
    reason = (
        f"Training loss ended non-finite: {train.nonfinite:,} of {train.count:,} values are NaN or "
        f"infinite, the first at {facts.run.moment(first)}{since}."
    )
    return reason, (Evidence(curve=train.name, start=first, end=last, label="non-finite"),), onset


def _broken(facts: Facts, train: Loss) -> Told:
    onset = train.takeoff
    if train.fall > 0:
        share = min(train.rise / train.fall, 99.0)
        reason = (
            f"Training loss rose from {train.lowest:.4g} to {train.end:.4g}, from "
            f"{facts.run.moment(onset)} on: it lost {share:.0%} of what it had gained."
        )
    else:
        reason = (
            f"Training loss only rose, from {train.start:.4g} at the start to {train.end:.4g} "
            "at the end."
        )
    shown = Evidence(
        curve=train.signal.name,
        start=onset,
        end=float(train.signal.steps[-1]),
        value=train.rise,
        label="rise of training loss",
    )
    return reason, (shown,), onset


def _flat(facts: Facts, decision: Decision, pair: Pair) -> Told:
    train, val = pair.train, pair.val
    if decision.branch is Branch.CONSTANT:
        reason = (
            f"Both losses end at {val.end:.4g}, which is ln {decision.classes}: what a model gets "
            f"that gives each of {decision.classes} classes the same probability."
        )
    else:
        reason = (
            "Neither loss falls by more than noise or a bad start explains: training "
            f"{train.start:.4g} to {train.end:.4g}, validation {val.start:.4g} to {val.end:.4g}."
        )
    first, last = facts.run.span
    evidence = tuple(
        Evidence(curve=loss.signal.name, start=first, end=last, value=loss.end, label="flat")
        for loss in (train, val)
    )
    return reason, evidence, None


def _memorised(facts: Facts, decision: Decision, pair: Pair) -> Told:
    del facts, decision
    train, val = pair.train, pair.val
    onset = float(val.signal.steps[0])
    reason = (
        f"Training loss fell from {train.start:.4g} to {train.end:.4g} while validation loss "
        f"never improved ({val.start:.4g} to {val.end:.4g}): the model memorises."
    )
    return reason, (_rise(pair, onset, None),), onset


def _turned(facts: Facts, decision: Decision, pair: Pair) -> Told:
    train, val = pair.train, pair.val
    onset = val.lowest_step
    multiple = f"{pair.rise_z:.0f} times" if pair.rise_z < 100 else "far beyond"
    reason = (
        f"Validation loss turned at {facts.run.moment(onset)} and has risen from {val.lowest:.4g} "
        f"to {val.end:.4g} since, {multiple} its noise, while training loss fell from "
        f"{train.signal.at(onset):.4g} to {train.end:.4g} (denoised)."
    )
    limit = decision.config.rise_share * pair.rise_limit
    return reason, (_rise(pair, onset, limit),), onset


def _rise(pair: Pair, onset: float, limit: float | None) -> Evidence:
    val = pair.val
    return Evidence(
        curve=val.signal.name,
        start=onset,
        end=float(val.signal.steps[-1]),
        value=val.rise,
        limit=limit,
        label="rise of validation loss",
    )


def _faint(facts: Facts, decision: Decision, pair: Pair) -> Told:
    del facts, decision
    train, val = pair.train, pair.val
    reason = (
        f"Both losses fell by a little only, training from {train.start:.4g} to {train.end:.4g} "
        f"and validation from {val.start:.4g} to {val.end:.4g}: a start that was worse than a "
        "constant prediction explains that as well as learning does."
    )
    return reason, (), None


def _doubtful(facts: Facts, decision: Decision, pair: Pair) -> Told:
    del facts, decision
    train, val = pair.train, pair.val
    reason = (
        f"Validation loss seems to follow training loss, but both fell so little (training from "
        f"{train.start:.4g} to {train.end:.4g}, validation from {val.start:.4g} to {val.end:.4g}) "
        "that gap, rise and fall all lie within what such a run leaves open."
    )
    return reason, (), None


def _follows(facts: Facts, decision: Decision, pair: Pair) -> Told:
    del facts
    train, val = pair.train, pair.val
    gap = val.end - train.end
    wide = decision.verdict is Verdict.CONTROLLED_GAP
    how = "follows at a distance" if wide else "keeps up"
    where = "above" if gap >= 0 else "below"
    growing = " The gap still grows." if wide and pair.gap_growth > decision.config.growing else ""
    reason = (
        f"Training loss fell from {train.start:.4g} to {train.end:.4g} and validation loss {how}, "
        f"from {val.start:.4g} to {val.end:.4g}: it ends {abs(gap):.3g} {where} training, "
        f"{min(abs(pair.gap_share), 99):.0%} of what training gained (denoised).{growing}"
    )
    shown = Evidence(
        curve=val.signal.name,
        start=float(val.signal.steps[0]),
        end=float(val.signal.steps[-1]),
        value=gap,
        limit=decision.config.gap_share * pair.gap_limit,
        label="gap at the end",
    )
    return reason, (shown,), None


_FIT: dict[Branch, Callable[[Facts, Decision, Pair], Told]] = {
    Branch.CONSTANT: _flat,
    Branch.FLAT: _flat,
    Branch.MEMORISED: _memorised,
    Branch.TURNED: _turned,
    Branch.FAINT: _faint,
    Branch.DOUBTFUL: _doubtful,
    Branch.FOLLOWS: _follows,
}
