"""One evaluation at a time: whether the metric has worsened straight enough for long enough."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fitdiag.errors import UsageError
from fitdiag.stopping.decision import Decision, StopConfig, StopReason

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Stopper"]

#: what a stopper keeps besides its last few values
_STATE = (
    "_best", "_best_step", "_last", "_count", "_waited", "_broken", "_longest", "_path",
)  # fmt: skip


class Stopper:
    """Takes one evaluation at a time and says whether to stop.

    Parameters
    ----------
    patience : "auto" or int, optional
        ``"auto"`` weighs the wait by how straight the metric worsens. A number is the evaluations
        without improvement after which it stops.
    min_delta : float, optional
        By how much a value must be better than the best to be an improvement, in its own unit.
        Default: 0.
    relative : float, optional
        The same as a share of the best value's size; the larger of the two counts. Default: 0.
    mode : {"min", "max"}, optional
        Whether small or large values are good. Default: small.
    config : StopConfig, optional
        The limits of ``"auto"``.

    Raises
    ------
    UsageError
        If an argument is not what it should be.

    Examples
    --------
    >>> stopper = Stopper(patience=2)
    >>> [stopper.update(value).stop for value in (1.0, 0.8, 0.9, 0.85)]
    [False, False, False, True]
    >>> stopper.decision.message
    'No improvement in 2 evaluations: the best was 0.8 at evaluation 2.'
    """

    def __init__(
        self,
        patience: str | int = "auto",
        *,
        min_delta: float = 0.0,
        relative: float = 0.0,
        mode: str = "min",
        config: StopConfig | None = None,
    ) -> None:
        self._patience = _check_patience(patience)
        self._min_delta = _check_delta("min_delta", min_delta)
        self._relative = _check_delta("relative", relative)
        if mode not in {"min", "max"}:
            raise UsageError(f"mode must be 'min' or 'max', not {mode!r}")
        self._sign = 1.0 if mode == "min" else -1.0
        self._config = config or StopConfig()
        self._best = math.inf
        self._best_step = math.nan
        self._last = math.nan
        self._count = self._waited = self._broken = self._longest = 0
        self._path = 0.0
        self._recent: deque[float] = deque(maxlen=self._config.window)
        self.decision = Decision()

    def update(self, value: float, step: float | None = None) -> Decision:
        """Take an evaluation.

        Parameters
        ----------
        value : float
            What was measured; NaN and infinity are no improvement.
        step : float, optional
            Where, to be named in the decision. Default: its number, from 1.

        Returns
        -------
        Decision
            One to stop stays so until there is an improvement.
        """
        self._count += 1
        signed = self._sign * float(value)
        if not math.isfinite(signed):
            self._broken += 1
            self._waited += 1
            return self._decide(improved=False)
        self._broken = 0
        improved = signed < self._best - self._margin()
        if improved:
            self._longest = max(self._longest, self._waited)
            self._best, self._best_step = signed, float(self._count if step is None else step)
            self._waited, self._path = 0, 0.0
            self._recent.clear()
        else:
            self._waited += 1
            self._path += abs(signed - self._last)
            self._recent.append(signed)
        self._last = signed
        return self._decide(improved=improved)

    def state_dict(self) -> dict[str, Any]:
        """Return what has to be saved to go on after an interruption: numbers and lists."""
        state = {name: getattr(self, name) for name in _STATE}
        return {**state, "_recent": list(self._recent), "stop": str(self.decision.reason)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned.

        Raises
        ------
        UsageError
            If something is missing in it.
        """
        missing = {*_STATE, "_recent", "stop"} - set(state)
        if missing:
            raise UsageError(f"this is no state of early stopping: it lacks {sorted(missing)}")
        for name in _STATE:
            setattr(self, name, state[name])
        self._recent.clear()
        self._recent.extend(state["_recent"])
        self.decision = Decision()
        self._decide(improved=not self._waited and self._count > 0)
        if state["stop"] != str(self.decision.reason):
            reason = StopReason(state["stop"])
            self.decision = replace(
                self.decision,
                stop=reason is not StopReason.GOING_ON,
                reason=reason,
                message=self._say(reason, self.decision.best),
            )

    def _margin(self) -> float:
        if not math.isfinite(self._best):
            return 0.0
        return max(self._min_delta, self._relative * abs(self._best))

    def _straightness(self) -> float:
        """Return the rise since the best value over the length of the path, 0 to 1."""
        if len(self._recent) < self._config.window or self._path <= 0:
            return 0.0
        return min(max((min(self._recent) - self._best) / self._path, 0.0), 1.0)

    def _decide(self, *, improved: bool) -> Decision:
        held = self.decision
        if held.stop and not improved and self._broken < self._config.non_finite:
            return held
        straightness = self._straightness()
        if self._patience is None:
            # as on pure noise at the least, so that it ends at some time even if all is equal
            weighed = (
                self._waited * max(straightness, 1 / max(self._waited, 1)) ** self._config.power
            )
            pressure = min(weighed / self._config.straight, 1.0)
        else:
            pressure = min(self._waited / max(self._patience, 1), 1.0)
        reason = self._reason(pressure, straightness)
        best = None if not math.isfinite(self._best) else self._sign * self._best
        self.decision = Decision(
            stop=reason is not StopReason.GOING_ON,
            reason=reason,
            message=self._say(reason, best),
            best=best,
            best_step=None if best is None else self._best_step,
            improved=improved,
            waited=self._waited,
            pressure=pressure,
            advice=self._advise(reason, pressure),
        )
        return self.decision

    def _reason(self, pressure: float, straightness: float) -> StopReason:
        if self._broken >= self._config.non_finite:
            return StopReason.NON_FINITE
        if pressure < 1 or not self._waited:
            return StopReason.GOING_ON
        if self._patience is not None:
            return StopReason.PATIENCE
        return StopReason.TURNED_UP if straightness >= self._config.flat else StopReason.PLATEAU

    def _say(self, reason: StopReason, best: float | None) -> str:
        if best is None:
            bad = f"None of {_count(self._count)} was finite"
            return f"{bad}." if reason is not StopReason.GOING_ON else f"{bad} yet."
        at = f"{self._best_step:,.0f}" if self._best_step.is_integer() else f"{self._best_step:g}"
        was = f"the best was {best:.4g} at evaluation {at}"
        if self._best_step != self._count - self._waited:
            was = f"the best was {best:.4g} at step {at}"
        waited = _count(self._waited)
        return {
            StopReason.GOING_ON: f"Going on: {was}, {waited} ago.",
            StopReason.TURNED_UP: f"It has got steadily worse for {waited}: {was}.",
            StopReason.PLATEAU: f"It has neither improved nor worsened for {waited}: {was}.",
            StopReason.PATIENCE: f"No improvement in {waited}: {was}.",
            StopReason.NON_FINITE: (
                f"The last {_count(self._broken)} were NaN or infinite: {was}."
            ),
        }[reason]

    def _advise(self, reason: StopReason, pressure: float) -> str:
        """Return what may help on a plateau, before it is time to stop."""
        config = self._config
        flat = reason is StopReason.PLATEAU or (
            pressure < config.doubt and self._waited >= max(config.straight, 2 * self._longest)
        )
        if self._patience is not None or not flat:
            return ""
        patience = max(int(config.straight), self._longest + 1)
        return (
            f"Validation has been flat for {_count(self._waited)}; a lower learning rate may help: "
            f"torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience={patience})."
        )


def _count(number: int) -> str:
    return f"{number:,} evaluation{'' if number == 1 else 's'}"


def _check_patience(patience: str | int) -> int | None:
    if patience == "auto":
        return None
    if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
        raise UsageError(
            f"patience must be 'auto' or a number of evaluations of at least 1, not {patience!r}"
        )
    return patience


def _check_delta(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{name} must be a number, not {value!r}")
    if not math.isfinite(value) or value < 0:
        raise UsageError(f"{name} must be a finite number of at least 0, not {value!r}")
    return float(value)
