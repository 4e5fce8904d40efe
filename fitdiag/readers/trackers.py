"""The readers of what experiment trackers store on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.readers.aim_store import AIM
from fitdiag.readers.mlflow import MLFLOW
from fitdiag.readers.pickled import PICKLED
from fitdiag.readers.swanlab import SWANLAB
from fitdiag.readers.trackio import TRACKIO
from fitdiag.readers.wandb import WANDB

if TYPE_CHECKING:
    from fitdiag.readers.reader import Reader

__all__ = ["TRACKERS"]

#: told by their first bytes, by the tables of a database, or by the names in a folder
TRACKERS: tuple[Reader, ...] = (WANDB, SWANLAB, MLFLOW, TRACKIO, AIM, PICKLED)
