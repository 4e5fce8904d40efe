"""The runs of the zoo: every problem goes through the same scenarios, with drawn details.

A scenario says what is meant to happen; what did happen is measured afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.accuracy.zoo.problems import PROBLEMS, Problem, seed_of
from benchmarks.accuracy.zoo.scenarios import ALWAYS, SOMETIMES, draw_usual

if TYPE_CHECKING:
    from benchmarks.accuracy.zoo.scenarios import Scenario

__all__ = ["Setup", "plan"]


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Everything that decides one run.

    Parameters
    ----------
    run_id, problem, scenario : str
        Name of the run (its seed), the problem, and what the run was meant to show.
    arch, width, depth, activation, init : str or int
        The net; `depth` counts hidden layers before the output.
    batch_norm, dropout : bool, float
        Regularisation inside the net.
    loss, smoothing, summed : str, float, bool
        The loss function; `summed` logs and trains on sums over a batch.
    optimizer, lr, momentum, weight_decay, schedule, clip : str or float
        How it is trained; no clipping at 0.
    train, val, batch, noise, noisy_val : int, float or bool
        The data, and the share of targets drawn at random.
    epochs, val_every : int
        How long, and how many epochs lie between two validations.
    log_every, val_steps : int
        Of a per-step log: steps between rows, and between validations; 0 for a log by epochs.
    epoch_rows : bool
        Whether a per-step log also has the mean training loss of every epoch.
    poison : float
        Share of the training after which batches with infinite inputs come; 0 for none.
    digits : int
        Decimals of the logged losses; 0 for float32.
    blind : bool
        No validation is logged.
    nan_epochs : int
        Epochs that a run goes on after its loss became non-finite.
    """

    run_id: str
    problem: str
    scenario: str
    arch: str
    width: int = 48
    depth: int = 2
    activation: str = "relu"
    init: str = "usual"
    batch_norm: bool = False
    dropout: float = 0.0
    loss: str = "ce"
    smoothing: float = 0.0
    summed: bool = False
    optimizer: str = "adam"
    lr: float = 3e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: str = "constant"
    clip: float = 0.0
    train: int = 100
    val: int = 100
    batch: int = 32
    noise: float = 0.0
    noisy_val: bool = True
    epochs: int = 40
    val_every: int = 1
    log_every: int = 0
    val_steps: int = 0
    epoch_rows: bool = False
    poison: float = 0.0
    digits: int = 0
    blind: bool = False
    nan_epochs: int = 3


EACH = 5
"""how many of `SOMETIMES` a problem goes through; the next problem takes the next ones"""


def _setup(problem: Problem, scenario: str, draw: Scenario) -> Setup:
    run_id = f"{problem.name}-{scenario}"
    rng = np.random.default_rng(seed_of(run_id))
    chosen = draw_usual(problem, rng)
    chosen |= draw(problem, rng)
    if chosen["loss"] != "ce":
        chosen["smoothing"] = 0.0
    if chosen["arch"] == "linear":
        chosen["depth"] = 0
    if problem.kind == "text":
        chosen["batch_norm"] = False
    return Setup(run_id=run_id, problem=problem.name, scenario=scenario, **chosen)


def plan() -> list[Setup]:
    """List every run of the zoo, in an order whose every beginning is a fair sample.

    Returns
    -------
    list of Setup
        Always the same.
    """
    setups: list[Setup] = []
    extras = list(SOMETIMES.items())
    for place, problem in enumerate(PROBLEMS.values()):
        turn = [extras[(place * EACH + k) % len(extras)] for k in range(EACH)]
        setups += [_setup(problem, name, draw) for name, draw in [*ALWAYS.items(), *turn]]
    order = np.random.default_rng(0).permutation(len(setups))
    return [setups[k] for k in order]
