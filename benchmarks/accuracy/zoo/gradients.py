"""What truly happened to a run's gradients, from the loss and norm of every single step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["GradientTruth", "judge_gradients"]

JUMP = (3.0, 10.0)
"""a norm this many times the typical one before it may be, or is, an explosion"""
TYPICAL_STEPS = 100
"""steps whose median is the typical norm"""
SHALLOW = 1e-3
"""gradient norm of the first layer over the global one: below, it vanished on its way"""
LOST = 0.9
"""share of what had been gained that an explosion costs"""
GAINED = 0.1
"""gain, as a share of the whole range of the loss, that is worth losing ..."""
WORSE = 0.25
"""... and rise over the start that counts where there was no such gain"""
SOON = 6
"""steps within which a loss that breaks is put down to the norm before"""
EARLY = 0.3
"""share of the run in which a vanishing gradient is looked for"""


@dataclass(frozen=True, kw_only=True)
class GradientTruth:
    """What happened.

    Parameters
    ----------
    truth : str
        ``none``, ``explosion``, ``overflow`` or ``vanishing``; empty where two answers are right.
    accepted : str
        All acceptable answers, joined by ``|``.
    onset : int
        Optimizer step, counted from 1, at which it began; -1 where nothing did.
    """

    truth: str
    accepted: str
    onset: int = -1


def _jumps(norms: Floats, times: float) -> NDArray[np.intp]:
    """Find the steps whose norm is non-finite or stands far out of those before."""
    solid = np.where(np.isfinite(norms), norms, np.inf)
    typical = np.array(
        [
            np.median(solid[max(0, k - TYPICAL_STEPS) : k]) if k else np.inf
            for k in range(len(solid))
        ]
    )
    return np.flatnonzero(~np.isfinite(norms) | (solid > times * typical))


def _harm(losses: Floats, step: int, window: int, constant: float, span: float) -> str:
    """Tell whether training lost what it had gained, or worse, soon after a step.

    Gives ``lasting``, ``passing`` or nothing.
    """
    begun = float(np.median(losses[:3]))
    start, worst = min(begun, constant), max(begun, constant)
    best = float(np.median(losses[max(0, step - window) : step])) if step else start
    level = best + LOST * (start - best) if start - best > GAINED * span else worst + WORSE * span
    after = [losses[k : k + window] for k in range(step, max(step + 1, len(losses) - 4), window)]
    bad = [not float(np.median(part)) <= level for part in after]
    soon = not np.isfinite(losses[step : step + SOON]).all()
    if not (soon or bad[0] or bad[min(1, len(bad) - 1)]):
        return ""
    return "lasting" if all(bad[1:]) else "passing"


def judge_gradients(
    losses: Floats,
    norms: Floats,
    first: Floats,
    accepted: set[str],
    *,
    per_epoch: int,
    constant: float,
    span: float,
    moves: bool,
) -> GradientTruth:
    """Judge the gradients of one run.

    Parameters
    ----------
    losses, norms : ndarray of float, shape (steps,)
        Batch loss and global gradient norm before clipping, of every step.
    first : ndarray of float, shape (n,)
        Gradient norm of the first layer at each evaluation.
    accepted : set of str
        Acceptable verdicts of the run.
    per_epoch : int
        Steps in one epoch.
    constant : float
        Loss of the best constant predictor.
    span : float
        That loss less that of a perfect memory.
    moves : bool
        Whether the learning rate was large enough to move anything.

    Returns
    -------
    GradientTruth
        An explosion made training lose more than it had gained, or ended non-finite, after a norm
        that stood out; an overflow is non-finite without such a norm before; vanishing gradients
        are far smaller at the input than in the whole net, and nothing was learned.
    """
    window = max(5, min(per_epoch, 50))
    broken = np.flatnonzero(~(np.isfinite(losses) & np.isfinite(norms)))
    harm = {
        int(k) + 1: _harm(losses, int(k), window, constant, span) for k in _jumps(norms, JUMP[1])
    }
    finite = [k for k, kind in harm.items() if kind == "lasting" and (k - 1) not in set(broken)]
    if broken.size and not finite:
        return GradientTruth(truth="overflow", accepted="overflow", onset=int(broken[0]) + 1)
    if broken.size:
        return GradientTruth(truth="explosion", accepted="explosion|overflow", onset=finite[0])
    if finite and accepted == {"diverged"}:
        return GradientTruth(truth="explosion", accepted="explosion", onset=finite[0])
    harmful = [k for k, kind in harm.items() if kind]
    if harmful:
        return GradientTruth(truth="", accepted="none|explosion", onset=harmful[0])
    weak = [int(k) for k in _jumps(norms, JUMP[0])]
    hit = [k for k in weak if _harm(losses, k, window, constant, span)]
    if accepted == {"diverged"} and hit:
        return GradientTruth(truth="", accepted="none|explosion", onset=hit[0] + 1)
    early = first[1 : max(2, int(EARLY * len(first)) + 1)]
    whole = float(np.median(norms[: max(1, int(EARLY * len(norms)))]))
    shallow = early.size and whole > 0 and float(np.median(early)) < SHALLOW * whole
    if accepted == {"no_learning"} and moves and shallow:
        return GradientTruth(truth="vanishing", accepted="vanishing", onset=1)
    return GradientTruth(truth="none", accepted="none")
