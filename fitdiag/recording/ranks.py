"""Which of several processes writes the log."""

from __future__ import annotations

import os

from torch import distributed

__all__ = ["is_writing_rank"]


def is_writing_rank() -> bool:
    """Tell whether this process is the one, or the first of several, of a training."""
    if distributed.is_available() and distributed.is_initialized():
        return bool(distributed.get_rank() == 0)
    launched = "LOCAL_RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"
    return not launched or os.environ.get("RANK", "0") == "0"
