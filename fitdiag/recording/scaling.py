"""The loss scale of mixed precision, and the optimizer steps that it skipped, for the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fitdiag.recording.events import Scaled

__all__ = ["LossScale"]


class LossScale:
    """Counts skipped steps and knows the present scale."""

    __slots__ = ("scale", "skipped")

    def __init__(self) -> None:
        self.scale: float | None = None
        self.skipped = 0

    def take(self, event: Scaled) -> None:
        """Take a step under a scaler."""
        self.scale = float(event.scale)
        self.skipped += event.skipped

    def list_cells(self) -> dict[str, float]:
        """Return the cells for a row; none where there is no scaler."""
        if self.scale is None:
            return {}
        return {"skipped_steps": self.skipped, "loss_scale": self.scale}
