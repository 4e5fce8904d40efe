"""Family GRD: several tasks that share parameters, and one that drowns the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fitdiag.findings import Evidence, Severity
from fitdiag.rules.base import Case, Outcome, Rule
from fitdiag.run import FEW, TASK_LOSS, TASK_NORM, Run
from fitdiag.signals import prepare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitdiag.run import Curve

__all__ = ["TaskImbalance"]


class _Standing(NamedTuple):
    """How one task stands: the share of the strongest norm that it has, and of its first loss."""

    task: str
    share: float
    left: float


@dataclass(frozen=True, kw_only=True)
class TaskImbalance(Rule):
    """One task drowns another."""

    share: float = 0.2
    lag: float = 1.15

    code = "GRD011"
    name = "task-imbalance"
    severity = Severity.WARNING
    what = "The gradient of one task drowns that of another, which is left behind."
    why = (
        "What several tasks share moves along the sum of their gradients. A task whose gradient is "
        "a small part of it has next to no say there, however much it has still to learn."
    )
    how = (
        "On the shared parameters a task's gradient norm is below share of the largest task's, in "
        "the median over all measurements, and its relative inverse training rate (the share of "
        "its first loss that it has left, over the mean of all tasks') ends above lag. A small "
        "gradient of a task that has learned is no alarm, nor are losses of different size."
    )
    advice = (
        "Weigh the losses so that their gradients balance: fitdiag.GradNorm does so in the loop.",
        "Divide each loss by its size, for example by the variance of its target or the logarithm "
        "of its number of classes.",
        "If the task cannot be learned better than this by a model of its own, leave it.",
    )
    references = (
        "Chen et al. (2018), GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep "
        "Multitask Networks, PMLR 80, arXiv:1711.02257",
    )

    def check(self, case: Case) -> Outcome:
        run = case.facts.run
        norms, losses = run.tasks(TASK_NORM), run.tasks(TASK_LOSS)
        tasks = [name for name in norms if name in losses]
        if len(tasks) < 2:
            return self.skip("The log has no gradient norms and losses of several tasks.")
        if any(min(len(norms[name]), len(losses[name])) < FEW for name in tasks):
            return self.skip(f"The tasks were measured fewer than {FEW} times.")
        left = {name: _find_left(losses[name]) for name in tasks}
        if not all(left.values()):
            return self.skip("A task's loss is not positive throughout, so that no rate is known.")
        standings = _compare({name: norms[name] for name in tasks}, left)
        behind = [s for s in standings if s.share < self.share and s.left > self.lag]
        if not behind:
            return None
        strongest = max(standings, key=lambda standing: standing.share).task
        worst = max(behind, key=lambda standing: standing.left)
        curve = norms[worst.task]
        return self.found(
            f"On the shared parameters the gradient of task {worst.task} is {worst.share:.2g} of "
            f"that of {strongest}, and it is left behind: {left[worst.task]:.0%} of its first loss "
            f"remains, {worst.left:.2g} times the tasks' mean.",
            Evidence(
                curve=curve.name,
                start=float(curve.steps[0]),
                end=float(curve.steps[-1]),
                value=worst.share,
                limit=self.share,
                label=f"task {worst.task}",
            ),
        )

    @staticmethod
    def firing() -> Run:
        return _example(0.01)

    @staticmethod
    def quiet() -> Run:
        return _example(1.0)


def _find_left(loss: Curve) -> float:
    """Return the share of its first value that a loss has left; 0 where that cannot be told."""
    signal = prepare(loss)
    if len(signal) < FEW or signal.nonfinite or signal.values.min() <= 0:
        return 0.0
    return float(max(signal.smooth[-1], np.finfo(float).tiny) / signal.smooth[0])


def _compare(norms: Mapping[str, Curve], left: Mapping[str, float]) -> list[_Standing]:
    """Compare the tasks' norms where all were measured, and what they have left with the mean."""
    steps = set.intersection(*(set(curve.steps.tolist()) for curve in norms.values()))
    table = np.array([c.values[np.isin(c.steps, list(steps))] for c in norms.values()])
    table = table[:, np.isfinite(table).all(axis=0)]
    if not table.size:
        return []
    largest = table.max(axis=0)
    shares = np.median(table / np.where(largest > 0, largest, 1.0), axis=1)
    mean = float(np.mean(list(left.values())))
    return [
        _Standing(name, float(share), left[name] / mean)
        for name, share in zip(norms, shares, strict=True)
    ]


def _example(share: float) -> Run:
    """Return a run of two tasks; where the second one's norm is small, it does not learn."""
    fall = np.exp(-0.1 * np.arange(60))
    slow = 0.3 + 2 * np.exp(-0.1 * share * np.arange(60))
    return Run.from_arrays(
        {
            "train_loss": 0.3 + 2 * fall + slow,
            "val_loss": 0.4 + 2 * fall + slow,
            f"{TASK_LOSS}ctr": 0.3 + 2 * fall,
            f"{TASK_LOSS}cvr": slow,
            f"{TASK_NORM}ctr": 0.5 + fall,
            f"{TASK_NORM}cvr": share * (0.5 + fall),
        }
    )
