"""Which of several runs in one log is meant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fitdiag.errors import ReadError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["completeness", "select_run"]


def select_run(runs: Sequence[Run], number: int | None, path: Path | str) -> Run:
    """Return one of the runs of a log, and note that there were more.

    Parameters
    ----------
    runs : sequence of Run
        In the order of the log.
    number : int or None
        From 1, or from -1 at the end; None for the last complete one: with both losses and more
        than one value, or else the last with more than one value, or else the last.
    path : Path or str
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
        at = max(range(count), key=lambda at: (completeness(runs[at]), at))
    elif number and -count <= number <= count:
        at = number - 1 if number > 0 else count + number
    else:
        raise UsageError(f"{path} holds {count} runs: choose one from 1 to {count}, not {number}.")
    run = runs[at]
    if count == 1:
        return run
    which = "the last" if at == count - 1 else f"number {at + 1}"
    if number is None and at < count - 1:
        which += ", the last complete one"
    note = f"The log holds {count} runs; this is {which}. Choose another with --run."
    return replace(run, source=replace(run.source, notes=(note, *run.source.notes)))


def completeness(run: Run) -> int:
    """Return 0 for a run that has just begun, 1 for one without validation, else 2."""
    losses = [loss for loss in (run.train_loss, run.val_loss) if loss is not None]
    if max(map(len, losses), default=0) < 2:
        return 0
    return len(losses)
