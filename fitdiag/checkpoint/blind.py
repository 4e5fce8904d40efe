"""The pick without a validation curve: from the training loss and the gradient norm alone.

A training loss says nothing about new data, so this can only avoid what is certainly bad: the
states after a break-down, and those after a model has begun to memorise, which shows in a
gradient norm that collapses along with the loss. Where the norm's variance over the batches is
known as well, a criterion by evidence is possible (Mahsereci et al. 2017, arXiv:1703.09580); a
log of norms does not hold it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fitdiag.checkpoint.field import Field, list_alternatives
from fitdiag.findings import Checkpoint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fitdiag.checkpoint.config import PickConfig
    from fitdiag.findings import GradientPhases
    from fitdiag.signals import Facts, Signal

__all__ = ["pick_blind"]


def pick_blind(
    facts: Facts, train: Signal, phases: GradientPhases | None, config: PickConfig
) -> Checkpoint:
    """Return the checkpoint to keep by training loss and gradient norm.

    Parameters
    ----------
    facts : Facts
        The run's signals.
    train : Signal
        Its training loss, with at least one point.
    phases : GradientPhases or None
        What is known of the norm.
    config : PickConfig
        The limits.
    """
    field = Field.of(facts.run, train, 1.0)
    score = np.interp(field.steps, train.steps, train.smooth)
    candidates, reason = _candidates(facts, field, phases)
    index = int(candidates[np.argmin(score[candidates])])
    if _memorises(facts.grad, float(field.steps[index]), config):
        top = max(float(field.values[0]), float(score[0]))
        wanted = top - config.memorised_fall * (top - score[index])
        index = int(np.flatnonzero(score <= wanted)[0])
        reason = (
            f"The gradient norm has collapsed to under {config.memorised:.0%} of its peak, as when "
            f"a model memorises: where {config.memorised_fall:.0%} of the training loss's fall "
            "was made."
        )
    step = float(field.steps[index])
    return Checkpoint(
        step=step,
        epoch=facts.run.epoch_at(step),
        path=None,
        curve=train.name,
        value=float(score[index]),
        reason=f"Chosen blind: there is no validation loss. {reason}",
        regret=None,
        blind=True,
        alternatives=list_alternatives(facts.run, field, phases),
    )


def _candidates(
    facts: Facts, field: Field, phases: GradientPhases | None
) -> tuple[NDArray[np.intp], str]:
    everything = np.arange(field.steps.size)
    if phases is not None and phases.late_rise is not None:
        before = np.flatnonzero(field.steps <= phases.late_rise)
        if before.size:
            turn = facts.run.moment(phases.late_rise)
            return before, f"Lowest training loss before the gradient norm rises at {turn}."
    return everything, (
        "Lowest denoised training loss; neither a late rise nor a collapse of the gradient norm "
        "speaks against it."
        if phases is not None
        else "Lowest denoised training loss; there is no gradient norm to speak against it."
    )


def _memorises(grad: Signal | None, step: float, config: PickConfig) -> bool:
    """Tell whether the norm has collapsed by a step, after a peak that was measured."""
    if grad is None:
        return False
    norm = grad.smooth[grad.steps <= step]
    return bool(norm.size >= 3 and norm[-1] < config.memorised * norm.max())
