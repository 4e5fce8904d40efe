"""Which of several runs in one log is meant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fitdiag.errors import ReadError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["select_run"]


def select_run(runs: Sequence[Run], number: int | None, path: Path) -> Run:
    """Return one of the runs of a log, and note that there were more.

    Parameters
    ----------
    runs : sequence of Run
        In the order of the log.
    number : int or None
        From 1, or from -1 at the end; None for the last one with both losses, or else the last.
    path : Path
        For messages.

    Raises
    ------
    ReadError
        If the log holds no run.
    UsageError
        If it holds fewer than that.
    """
    if not runs:
        raise ReadError(f"{path} holds no run: none of its values is a training curve.")
    count = len(runs)
    if number is None:
        complete = [at for at, run in enumerate(runs) if run.val_loss is not None]
        at = complete[-1] if complete else count - 1
    elif number and -count <= number <= count:
        at = number - 1 if number > 0 else count + number
    else:
        raise UsageError(f"{path} holds {count} runs: choose one from 1 to {count}, not {number}.")
    run = runs[at]
    if count == 1:
        return run
    note = f"The log holds {count} runs; this is run {at + 1}. Choose another with --run."
    return replace(run, source=replace(run.source, notes=(note, *run.source.notes)))
