"""Which losses came at all: a log that silently lacks them is found out too late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.recording.events import Logged, Loss, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.nn import Module

    from fitdiag.recording.events import Event

__all__ = ["Attendance"]

#: optimizer steps after which a loss is missed
PATIENCE = 50

_REMEDIES = (
    "Pass the module that the loop calls as loss_fn=, wrap a functional loss by "
    "loss_fn = run.loss(F.cross_entropy), or log it yourself by run.log(train_loss=..., "
    "val_loss=...)"
)


class Attendance:
    """Counts optimizer steps and losses, and says which losses are missed.

    Parameters
    ----------
    criteria : sequence of Module
        Those whose calls should give the losses; it may grow.
    """

    def __init__(self, criteria: Sequence[Module]) -> None:
        self._criteria = criteria
        self._steps = 0
        self._losses = 0
        self._logged = False

    def note(self, events: Sequence[Event]) -> None:
        """Take events as they are settled."""
        for event in events:
            if isinstance(event, Step):
                self._steps += 1
            elif isinstance(event, Loss):
                self._losses += 1
            elif isinstance(event, Logged) and not self._logged:
                names = list(event.values)  # "train_loss/ctr" is the loss of a task
                self._logged = any(n.endswith("loss") or "_loss/" in n for n in names)

    def complain(self, *, called: bool, closing: bool) -> str | None:
        """Return what there is to say about losses that did not come, or None.

        Parameters
        ----------
        called : bool
            Whether a criterion or a watched function was ever called.
        closing : bool
            Whether nothing more will come; before that, patience is kept for a while.
        """
        if not self._steps or not (closing or self._steps >= PATIENCE):
            return None
        steps = f"{self._steps} optimizer step{'s' if self._steps > 1 else ''}"
        given = ", ".join(dict.fromkeys(type(one).__name__ for one in self._criteria))
        if self._losses or self._logged:
            if called or not given or not closing:
                return None
            came = "the model's output carried" if self._losses else "run.log() gave"
            return (
                f"in {steps} no call of the given loss_fn ({given}) was seen; the losses in the "
                f"log are those that {came}. Pass the module that the loop calls, or leave "
                "loss_fn out"
            )
        if called:
            cause = "what was called as the loss returned no tensor and nothing with a .loss"
        elif given:
            cause = (
                f"no call of the given loss_fn ({given}) was seen: maybe the loop calls another "
                "object, a function such as F.cross_entropy, its forward() directly, or all of it "
                "under torch.compile"
            )
        else:
            cause = "no loss_fn was given, and no model output with a .loss was seen"
        when = "" if closing else " so far (if the loop logs its losses once an epoch, all is well)"
        return f"in {steps} no loss was recorded{when}: {cause}. {_REMEDIES}"
