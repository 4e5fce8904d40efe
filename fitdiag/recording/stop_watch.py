"""Whether to stop, from the rows that a recording makes; it costs a few additions a row."""

from __future__ import annotations

from copy import deepcopy
from importlib import import_module
from typing import TYPE_CHECKING

from fitdiag.stopping import BlindStopper, Decision, Stopper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fitdiag.recording.rows import Row

__all__ = ["StopWatch"]


class StopWatch:
    """Shows the rows of a recording to a stopper, each evaluation once.

    By the validation loss; while there has never been one, blind, by the training loss and the
    gradient norm.

    Attributes
    ----------
    decision : Decision
        What is thought after the last row that was seen.
    """

    def __init__(self) -> None:
        self._seen = Stopper()
        self._blind = BlindStopper()
        self._evaluated = False
        self._step = -1.0
        self.decision = Decision()

    def follow(self, log: Path, step: float) -> None:
        """Take what a log that is gone on with holds up to a step; one that cannot be read, none.

        Parameters
        ----------
        log : Path
            The log.
        step : float
            Where the training goes on.
        """
        try:
            # reading lies beside recording; only a resumed run reaches over
            run = import_module("fitdiag.readers").read(log)
        except Exception:  # noqa: BLE001 whatever is in it, the training goes on
            return
        names = [name for name in ("val_loss", "train_loss", "grad_norm") if name in run.curves]
        cells: dict[float, dict[str, float]] = {}
        for name in names:
            curve = run.curves[name]
            for at, value in zip(curve.steps.tolist(), curve.values.tolist(), strict=True):
                cells.setdefault(at, {})[name] = value
        for at in sorted(cells):
            if at <= step:
                self._add(at, cells[at], self._seen, self._blind)
        self.decision = (self._seen if self._evaluated else self._blind).decision

    def take(self, rows: Sequence[Row], draft: Sequence[Row]) -> None:
        """Take rows that are settled, and look at those that are not yet.

        Parameters
        ----------
        rows : sequence of Row
            What no later event changes.
        draft : sequence of Row
            What stands after them by now, an evaluation that was just made among it.
        """
        for row in rows:
            self._add(row.step, row.cells, self._seen, self._blind)
        seen, blind = self._seen, self._blind
        if any("val_loss" in row.cells or "train_loss" in row.cells for row in draft):
            seen, blind = deepcopy((seen, blind))
            for row in draft:
                self._add(row.step, row.cells, seen, blind, settled=False)
        judge = seen if self._evaluated else blind
        self.decision = judge.decision

    def _add(
        self,
        step: float,
        cells: Mapping[str, float],
        seen: Stopper,
        blind: BlindStopper,
        *,
        settled: bool = True,
    ) -> None:
        if step <= self._step:
            return
        if "val_loss" in cells:
            self._evaluated = True
            seen.update(cells["val_loss"], step)
        elif not self._evaluated and "train_loss" in cells:
            blind.update(cells["train_loss"], cells.get("grad_norm"), step)
        else:
            return
        if settled:
            self._step = step
