"""Where a run that is over would have been stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.errors import UsageError
from fitdiag.stopping.blind import BlindStopper
from fitdiag.stopping.stopper import Stopper

if TYPE_CHECKING:
    from fitdiag.run import Run
    from fitdiag.stopping.decision import Decision, StopConfig

__all__ = ["judge_stop"]


def judge_stop(
    run: Run,
    curve: str = "val_loss",
    *,
    patience: str | int = "auto",
    min_delta: float = 0.0,
    relative: float = 0.0,
    mode: str = "min",
    config: StopConfig | None = None,
) -> tuple[Decision, float | None]:
    """Return where a finished run would have been stopped.

    Parameters
    ----------
    run : Run
        The run.
    curve : str, optional
        What to judge by; where a run has no validation loss, it is judged blind.
    patience, min_delta, relative, mode, config
        As for :class:`Stopper`.

    Returns
    -------
    decision : Decision
        The first one to stop, or the last one.
    step : float or None
        The step at which it was made; None where there was nothing to judge by.
    """
    seen = run.get(curve)
    if seen is None and curve == "val_loss":
        return _judge_blind(run, config)
    if seen is None:
        names = ", ".join(sorted(run.curves)) or "none"
        raise UsageError(f"the log has no curve {curve!r}; it has {names}")
    stopper = Stopper(patience, min_delta=min_delta, relative=relative, mode=mode, config=config)
    where: float | None = None
    for where, value in zip(seen.steps.tolist(), seen.values.tolist(), strict=True):
        if stopper.update(value, where).stop:
            break
    return stopper.decision, where


def _judge_blind(run: Run, config: StopConfig | None) -> tuple[Decision, float | None]:
    stopper, where = BlindStopper(config), None
    train, norm = run.train_loss, run.get("grad_norm")
    if train is None:
        return stopper.decision, None
    norms = (
        {} if norm is None else dict(zip(norm.steps.tolist(), norm.values.tolist(), strict=True))
    )
    for where, value in zip(train.steps.tolist(), train.values.tolist(), strict=True):
        if stopper.update(value, norms.get(where), where).stop:
            break
    return stopper.decision, where
