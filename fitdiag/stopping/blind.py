"""Stopping without validation, from training loss and gradient norm alone."""

from __future__ import annotations

import math
from collections import deque

from fitdiag.stopping.decision import Decision, StopConfig, StopReason
from fitdiag.stopping.stopper import Stopper

__all__ = ["BlindStopper"]


class BlindStopper:
    """Says when to stop where there is no validation: from training loss and gradient norm.

    It stops when both have collapsed together, as they do when a model memorises, and when the
    training loss rises for good. Nobody can tell overfitting from this alone; a decision is
    marked as blind.

    Parameters
    ----------
    config : StopConfig, optional
        The limits.
    """

    def __init__(self, config: StopConfig | None = None) -> None:
        self._config = config or StopConfig()
        self._loss = Stopper(config=self._config)
        self._losses: deque[float] = deque(maxlen=self._config.window)
        self._norms: deque[float] = deque(maxlen=self._config.window)
        self._first = math.nan
        self._peak = 0.0
        self.decision = Decision(blind=True)

    def update(
        self, train_loss: float, grad_norm: float | None = None, step: float | None = None
    ) -> Decision:
        """Take what was measured at the end of an epoch, or at any equal distance.

        Parameters
        ----------
        train_loss : float
            The training loss.
        grad_norm : float, optional
            The gradient norm, if it is known.
        step : float, optional
            Where, to be named in the decision.
        """
        self._loss.update(train_loss, step)
        if math.isfinite(train_loss):
            self._first = train_loss if math.isnan(self._first) else self._first
            self._losses.append(train_loss)
        if grad_norm is not None and math.isfinite(grad_norm):
            self._norms.append(grad_norm)
            if len(self._norms) == self._config.window:
                self._peak = max(self._peak, min(self._norms))
        said = self._loss.decision
        reason, message = said.reason, f"Without validation: {said.message}"
        if self._memorises():
            reason = StopReason.MEMORISING
            message = (
                f"Without validation: gradient norm and training loss have both fallen under "
                f"{self._config.memorised:.0%} of where they were, as when a model memorises."
            )
        elif reason in {StopReason.TURNED_UP, StopReason.PLATEAU}:
            reason = StopReason.BROKE_DOWN if reason is StopReason.TURNED_UP else reason
        self.decision = Decision(
            stop=reason is not StopReason.GOING_ON,
            reason=reason,
            message=message,
            best=said.best,
            best_step=said.best_step,
            improved=said.improved,
            waited=said.waited,
            pressure=1.0 if reason is not StopReason.GOING_ON else said.pressure,
            blind=True,
        )
        return self.decision

    def _memorises(self) -> bool:
        enough = len(self._norms) == len(self._losses) == self._config.window
        if not enough or self._first <= 0:
            return False
        fallen = max(self._norms) < self._config.memorised * self._peak
        return fallen and max(self._losses) < self._config.memorised_loss * self._first
