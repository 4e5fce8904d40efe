"""What stopping is decided by, and what is said of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Decision", "StopConfig", "StopReason"]


class StopReason(str, enum.Enum):
    """Why a training should stop, or that it should not."""

    GOING_ON = "going_on"
    """there is no reason to stop"""
    TURNED_UP = "turned_up"
    """the metric gets worse, straight enough for long enough"""
    PLATEAU = "plateau"
    """the metric has neither improved nor worsened for very long"""
    PATIENCE = "patience"
    """no improvement within a number of evaluations"""
    NON_FINITE = "non_finite"
    """the last evaluations were NaN or infinite"""
    MEMORISING = "memorising"
    """without validation: gradient norm and training loss have collapsed together"""
    BROKE_DOWN = "broke_down"
    """without validation: the training loss rises"""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True)
class StopConfig:
    """The limits of stopping.

    Parameters
    ----------
    straight : float
        Evaluations without improvement after which "auto" stops where the metric worsens in
        a straight line; the less straight, the more it takes.
    power : float
        Power of the straightness, 0 to 1, that the evaluations are multiplied by. On a plateau
        the product grows with the evaluations to the power 1 - power.
    lowest_of : int
        Last evaluations, at the most and as far as they are a third of straight, of which the
        best counts as the present: shorter spikes are none.
    flat : float
        Straightness below which a stop is called a plateau instead of a turn.
    non_finite : int
        Evaluations in a row that are NaN or infinite after which it stops in any case.
    doubt : float
        Share of what it takes to stop below which a wait as long as straight is a plateau
        that a lower learning rate may end.
    memorised : float
        Without validation: share of its highest that the gradient norm must have fallen under ...
    memorised_loss : float
        ... and share of its first value that the training loss must have, to be memorising.
    """

    straight: float = 10.0
    power: float = 2 / 3
    lowest_of: int = 3
    flat: float = 0.1
    non_finite: int = 3
    doubt: float = 0.5
    memorised: float = 0.1
    memorised_loss: float = 0.1

    @property
    def window(self) -> int:
        """Return how many of the last evaluations count as the present."""
        return max(1, min(self.lowest_of, int(self.straight / 3)))


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is thought after an evaluation.

    Parameters
    ----------
    stop : bool
        Whether to stop.
    reason : StopReason
        Why.
    message : str
        The same in one sentence with numbers.
    best : float or None
        The best value so far.
    best_step : float or None
        Where it was measured, as it was told; else its number, from 1.
    improved : bool
        Whether the last evaluation is that best one.
    waited : int
        Evaluations since then.
    pressure : float
        How near to stopping, 0 to 1.
    advice : str
        What to do before stopping, such as lowering the learning rate; mostly empty.
    blind : bool
        Whether there was no validation to judge by.
    """

    stop: bool = False
    reason: StopReason = StopReason.GOING_ON
    message: str = "There was no evaluation yet."
    best: float | None = None
    best_step: float | None = None
    improved: bool = False
    waited: int = 0
    pressure: float = 0.0
    advice: str = ""
    blind: bool = False
