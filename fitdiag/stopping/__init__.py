"""When to stop a training: by how straight validation has risen, or by counting evaluations.

``patience="auto"`` weighs the evaluations since the best one by how straight the way from there
was: the rise so far over the length of the path, that is over the sum of all the ups and downs
(Kaufman's efficiency ratio, 1995, Smarter Trading). A curve that rises without turning back
needs few evaluations; one that goes up and down at the same height, as on a plateau before the
learning rate drops, hardly gets anywhere. Nothing in it depends on the loss's scale or on how
noisy evaluations are, and it takes a few numbers to keep, however long the training.

Everything here is plain Python: :class:`Stopper` takes one evaluation at a time, and
:func:`judge_stop` goes through a run that is there already.
"""

from __future__ import annotations

from fitdiag.stopping.blind import BlindStopper
from fitdiag.stopping.decision import Decision, StopConfig, StopReason
from fitdiag.stopping.replay import judge_stop
from fitdiag.stopping.stopper import Stopper

__all__ = ["BlindStopper", "Decision", "StopConfig", "StopReason", "Stopper", "judge_stop"]
