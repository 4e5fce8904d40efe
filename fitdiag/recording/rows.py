"""One line of the log, before it is written."""

from __future__ import annotations

from fitdiag.recording.kinds import UNKNOWN

__all__ = ["Row"]


class Row:
    """One line of the log: a step, the epochs complete by then, and what was measured."""

    __slots__ = ("cells", "epoch", "epoch_given", "kind", "step")

    def __init__(self, step: int, epoch: float | None) -> None:
        self.step = step
        self.epoch = epoch
        self.epoch_given = False
        self.cells: dict[str, float] = {}
        self.kind = UNKNOWN  # of its norm
