"""The runs that checkpoints are chosen and stopped in, each with the loss that no user sees.

The zoo lies in ``benchmarks/accuracy/zoo``. OverfitGuard's simulated runs and AlgoPerf's are public
and not part of the project; ``--corpus`` names a folder that holds them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "accuracy"))

from sets import algoperf, overfitguard, zoo
from zoo.load import hidden_curves
from zoo.load import runs as zoo_runs

from fitdiag import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["History", "algoperf_histories", "blinded", "stopped_runs", "zoo_histories"]

#: share of the attainable gain that the best test loss must lie beneath the constant predictor's,
#: as in the zoo's definition of what was learned
LEARNED = 0.03
#: the attainable gain counts as at least this share of the range, as there
LEAST_SCALE = 0.2


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """A run, its hidden test loss, and what regrets are measured against.

    Parameters
    ----------
    name, problem : str
        The run and its problem.
    run : Run
        What a user sees.
    steps, test : ndarray of float, shape (n,)
        The hidden test loss.
    scale : float
        What a regret is a share of: from the constant predictor to the best test loss, or for
        AlgoPerf the best test loss itself.
    overfits : bool
        Whether its truth is overfitting.
    """

    name: str
    problem: str
    run: Run
    steps: Array
    test: Array
    scale: float
    overfits: bool = False

    def regret(self, step: float) -> float:
        """Return the test loss at a step above the best one, as a share; infinite if it broke."""
        value = float(self.test[int(np.argmin(np.abs(self.steps - step)))])
        best = float(self.test[np.isfinite(self.test)].min())
        return (value - best) / self.scale if np.isfinite(value) else float("inf")


def zoo_histories(split: str, *, validated: bool = True) -> list[History]:
    """Return the zoo's runs that learned anything, with their loss on large test sets."""
    hidden = hidden_curves()
    truths = {name: truth for name, _, truth in zoo_runs(split)}
    found = []
    for item in zoo(split):
        truth = truths[item.name]
        steps, test = hidden[item.name]["test_loss"][:, 1:]
        finite = test[np.isfinite(test)]
        if (item.run.val_loss is None) == validated or not finite.size:
            continue
        constant, range_ = float(truth["constant_test"]), LEAST_SCALE
        span = float(truth["constant_train"]) - float(truth["perfect"])
        scale = max(constant - float(truth["attainable"]), range_ * span)
        gain = constant - float(finite.min())
        if gain > LEARNED * scale:
            found.append(
                History(
                    name=item.name,
                    problem=item.problem,
                    run=item.run,
                    steps=steps,
                    test=test,
                    scale=gain,
                    overfits=truth["truth"] == "overfitting",
                )
            )
    return found


def algoperf_histories(folder: Path) -> list[History]:
    """Return AlgoPerf's runs with a test loss at every evaluation."""
    found = []
    for item in algoperf(folder):
        if item.table is None or item.run.val_loss is None:
            continue
        test = item.table.test_loss.to_numpy()
        found.append(
            History(
                name=item.name,
                problem=item.problem,
                run=item.run,
                steps=item.table.step.to_numpy(),
                test=test,
                scale=float(test.min()),
            )
        )
    return found


def blinded(run: Run) -> Run:
    """Return a run without what was measured on validation data."""
    kept = {name: curve for name, curve in run.curves.items() if not name.startswith("val_")}
    return Run(curves=kept, unit=run.unit, epochs=run.epochs)


def stopped_runs(split: str, corpus: Path | None) -> Iterator[tuple[str, Sequence[Array], bool]]:
    """Yield sets of validation curves: their name, the curves, and whether they overfit."""
    for overfits in (True, False):
        wanted = [item.run for item in zoo(split) if (item.truth == "overfitting") == overfits]
        curves = [run.val_loss.values for run in wanted if run.val_loss is not None]
        kind = "overfit" if overfits else "other"
        yield f"zoo, {split} part, {kind}", curves, overfits
        if corpus is not None:
            runs = [
                item.run.val_loss.values
                for item in overfitguard(corpus)
                if (item.truth == "overfitting") == overfits and item.run.val_loss is not None
            ]
            yield f"OverfitGuard simulated, {kind}", runs, overfits
