"""The pick: which checkpoint to keep, why, and which file holds it.

After the gradient norm's early peak, once the run has settled, the evaluated checkpoint with the
lowest validation loss, isolated dips doubted. The norm usually peaks early, while parameters move
fast; the region after it, where norm and loss fall together, generalises better (see
docs/checkpoint.md).
"""

from __future__ import annotations

from fitdiag.checkpoint.choice import pick
from fitdiag.checkpoint.config import PickConfig
from fitdiag.checkpoint.files import attach_files, say_command
from fitdiag.checkpoint.metric import Metric, parse_metric
from fitdiag.checkpoint.phases import find_phases

__all__ = [
    "Metric",
    "PickConfig",
    "attach_files",
    "find_phases",
    "parse_metric",
    "pick",
    "say_command",
]
