"""Which of several processes writes the log."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch.nn import Module

__all__ = ["is_writing_rank", "read_reach"]


def is_writing_rank() -> bool:
    """Tell whether this process is the one, or the first of several, of a training."""
    if distributed.is_available() and distributed.is_initialized():
        return bool(distributed.get_rank() == 0)
    launched = "LOCAL_RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"
    return not launched or os.environ.get("RANK", "0") == "0"


def read_reach(models: Iterable[Module]) -> str:
    """Tell of which data the gradients in this process are gradients.

    Returns
    -------
    str
        ``"global"`` in a single process and under DistributedDataParallel; ``"local"`` where an
        older FullyShardedDataParallel keeps only parts; ``"unknown"`` in several processes where
        nothing tells. What a DTensor tells is found out where its norm is measured.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return "global"
    if distributed.get_world_size() == 1:
        return "global"
    names = {type(part).__name__ for model in models for part in model.modules()}
    if "FullyShardedDataParallel" in names:
        return "local"
    return "global" if "DistributedDataParallel" in names else "unknown"
