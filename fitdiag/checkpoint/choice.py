"""The choice among the evaluated checkpoints, by validation or by any metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.checkpoint.blind import pick_blind
from fitdiag.checkpoint.config import PickConfig
from fitdiag.checkpoint.field import Field, list_alternatives
from fitdiag.checkpoint.metric import Metric, find_curve
from fitdiag.findings import Checkpoint
from fitdiag.signals import median, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fitdiag.findings import GradientPhases
    from fitdiag.run import Run
    from fitdiag.signals import Facts, Signal

    Array = NDArray[np.float64]

__all__ = ["pick"]

_VAL_LOSS = Metric(name="val_loss", direction="min")


def pick(
    facts: Facts,
    phases: GradientPhases | None,
    config: PickConfig | None = None,
    metric: Metric | None = None,
) -> Checkpoint | None:
    """Return the checkpoint to keep.

    Parameters
    ----------
    facts : Facts
        The run's signals.
    phases : GradientPhases or None
        What :func:`find_phases` found.
    config : PickConfig, optional
        The limits.
    metric : Metric, optional
        What to choose by instead of the validation loss.

    Returns
    -------
    Checkpoint or None
        None when there is no finite point to choose.

    Raises
    ------
    UsageError
        If the run has no curve of the metric's name.
    """
    config = config or PickConfig()
    if metric is not None:
        signal = _turned(facts.run, metric)
        return _pick_seen(facts, signal, metric, phases, config) if len(signal) else None
    if facts.val is not None and len(facts.val):
        return _pick_seen(facts, facts.val, _VAL_LOSS, phases, config)
    if facts.train is None or not len(facts.train):
        return None
    return pick_blind(facts, facts.train, phases, config)


def _turned(run: Run, metric: Metric) -> Signal:
    """Return the signal of a metric's curve, turned such that the least is the best."""
    curve = find_curve(run, metric)
    turned = type(curve)(name=curve.name, steps=curve.steps, values=metric.sign * curve.values)
    return prepare(turned)


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """What the candidates are, the sentence that says why, and the one that is chosen."""

    limits: str
    index: int
    score: Array


def _pick_seen(
    facts: Facts, signal: Signal, metric: Metric, phases: GradientPhases | None, config: PickConfig
) -> Checkpoint:
    field = Field.of(facts.run, signal, metric.sign)
    choice = _choose(field, signal, phases, config, facts.run.moment)
    index = choice.index
    lowest = float(field.values.min())
    fall = field.fall
    regret = (float(field.values[index]) - lowest) / fall if fall > 0 else 0.0
    value = metric.sign * float(choice.score[index])
    step = float(field.steps[index])
    return Checkpoint(
        step=step,
        epoch=facts.run.epoch_at(step),
        path=None,
        curve=signal.name,
        value=value,
        reason=f"{choice.limits} {_say_best(field, index, metric, signal.name)}",
        regret=regret,
        blind=False,
        alternatives=list_alternatives(facts.run, field, phases),
        direction=metric.direction,
    )


def _say_best(field: Field, index: int, metric: Metric, name: str) -> str:
    """Return the sentence that says in what the chosen one is the best."""
    what = "validation loss" if name == "val_loss" else name.replace("_", " ")
    best = "lowest" if metric.direction == "min" else "highest"
    value = f"{metric.sign * field.values[index]:.4g}"
    argmin = int(np.argmin(field.values))
    if field.values[index] <= field.values[argmin]:
        return f"Of the candidates this one has the {best} {what}, {value}."
    return (
        f"Of the candidates this one has the {best} {what}, {value}, once values that stand alone "
        "are doubted."
    )


def weigh(field: Field, config: PickConfig) -> Array:
    """Return the value of each point as it is compared: raw, but for isolated dips.

    A value far beneath both its neighbours was measured where the model jumps about, and the less
    there was to evaluate it on, the more of it is luck: a share of it is taken for that.

    Parameters
    ----------
    field : Field
        The points, the least being the best.
    config : PickConfig
        The limits.
    """
    values = field.values
    around = values.copy()
    around[1:-1] = np.minimum(values[:-2], values[2:])
    dip = np.maximum(around - values - config.at_stake * field.fall, 0)
    weighed: Array = values + (1 - config.own_share) * dip
    return weighed


def _choose(
    field: Field,
    signal: Signal,
    phases: GradientPhases | None,
    config: PickConfig,
    moment: Callable[[float], str],
) -> _Choice:
    score = weigh(field, config)
    reach = config.early_errors * median(signal.error)
    candidates, limits = _candidates(field, score, phases, reach, moment)
    tie = config.tie_noise * median(signal.noise)
    close = score[candidates] <= score[candidates].min() + tie
    return _Choice(limits=limits, index=int(candidates[np.flatnonzero(close)[0]]), score=score)


def _candidates(
    field: Field,
    score: Array,
    phases: GradientPhases | None,
    reach: float,
    moment: Callable[[float], str],
) -> tuple[NDArray[np.intp], str]:
    """Return the candidates, and the sentence that says what limits them."""
    everything = np.arange(field.steps.size)
    if phases is None:
        return everything, "No gradient norm was recorded, so every evaluation is a candidate."
    if phases.settled is None:
        return everything, "The gradient norm never settles, so every evaluation is a candidate."
    after = field.after(phases.settled)
    if not after.size:
        return everything, "No evaluation follows the settling of the gradient norm."
    if float(score[after].min() - score.min()) > reach:
        return everything, (
            "An evaluation from before the gradient norm settled was better; it limits nothing."
        )
    where = "after its peak" if phases.peak is not None else "with no peak to wait for"
    return after, f"The gradient norm has settled by {moment(phases.settled)}, {where}."
