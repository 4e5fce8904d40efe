"""Readers of logs that are JSON, or are printed Python literals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.readers.jsons.history import HISTORY
from fitdiag.readers.jsons.lines import LINES
from fitdiag.readers.jsons.offline import CLEARML, COMET, NEPTUNE
from fitdiag.readers.jsons.sacred import SACRED
from fitdiag.readers.jsons.trainer_state import TRAINER_STATE

if TYPE_CHECKING:
    from fitdiag.readers.reader import Reader

__all__ = ["JSON_READERS"]

#: most specific first
JSON_READERS: tuple[Reader, ...] = (
    TRAINER_STATE,
    CLEARML,
    COMET,
    NEPTUNE,
    SACRED,
    LINES,
    HISTORY,
)
