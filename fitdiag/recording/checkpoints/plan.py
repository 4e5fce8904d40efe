"""What the user asked for: where checkpoints go, how many stay, and what is in them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitdiag.errors import UsageError
from fitdiag.recording.checkpoints.parts import list_stateful

__all__ = ["KINDS", "Plan", "check_kind", "read_plan"]

#: what a checkpoint may hold
KINDS = ("state", "weights", "model")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The keywords of :func:`fitdiag.record` about checkpoints, where they are described."""

    folder: Path | None = None
    keep: int = 3
    what: str = "state"
    scheduler: tuple[Any, ...] = ()
    scaler: tuple[Any, ...] = ()


def check_kind(what: object) -> str:
    """Return what a checkpoint is to hold.

    Raises
    ------
    UsageError
        If it is none of :data:`KINDS`.
    """
    if what not in KINDS:
        choices = '"state" for everything, "weights", or "model" for the whole module'
        raise UsageError(f"what is {what!r}: pass {choices}")
    return str(what)


def read_plan(
    checkpoints: object, *, keep: object, what: object, scheduler: object, scaler: object
) -> Plan:
    """Return what was asked for, checked before a training can suffer from it.

    Raises
    ------
    UsageError
        If the folder is none, ``keep`` no whole number from 1, ``what`` no kind of checkpoint, or
        the scheduler or scaler has no state.
    """
    if type(keep) is not int or keep < 1:
        raise UsageError(f"keep is {keep!r}: pass how many of the newest checkpoints stay, from 1")
    folder = None
    if checkpoints is not None:
        name = os.fspath(checkpoints) if isinstance(checkpoints, (str, os.PathLike)) else None
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            raise UsageError(f"checkpoints is {checkpoints!r}: pass a folder, such as ckpt/")
        folder = Path(name).absolute()
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"checkpoints is {name}, a file: pass a folder, such as ckpt/")
    return Plan(
        folder=folder,
        keep=keep,
        what=check_kind(what),
        scheduler=tuple(list_stateful(scheduler, "scheduler")),
        scaler=tuple(list_stateful(scaler, "scaler")),
    )
