"""The same verdict while the training still runs, at a bounded cost for each call.

A monitor keeps a bounded number of points a curve: when there are too many, neighbours are merged
in pairs, so that the whole run stays in view however long it gets. The engine is the one that
judges a finished log; it sees a :class:`~fitdiag.run.Run` like any other.
"""

from __future__ import annotations

import math
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.diagnosis import Config, Diagnosis, diagnose
from fitdiag.errors import ReadError
from fitdiag.findings import Verdict
from fitdiag.readers import read
from fitdiag.run import Curve, Run, Source, StepUnit

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping


__all__ = ["Monitor"]

#: points a curve that are kept at least once there are more; at most twice as many
POINTS = 128
#: share of new points, of all points so far, from which the run is judged anew
NEWS = 0.01
#: evaluations in a row that must agree before another verdict replaces the last one ...
AGREE = 3
#: ... or this share of all so far, if that is more
AGREE_SHARE = 0.1


class _Track:
    """One curve's points, merged in pairs whenever there are too many."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps: list[float] = []
        self.values: list[float] = []
        self.last = -math.inf
        self._size = 1
        self._pending: list[float] = []

    def add(self, step: float, value: float) -> None:
        if step <= self.last:
            return
        self.last = step
        self._pending.append(value)
        if len(self._pending) < self._size and math.isfinite(value):
            return
        self.steps.append(step)
        self.values.append(self._merge(self._pending))
        self._pending = []
        if len(self.steps) >= 2 * POINTS:
            pairs = zip(self.values[::2], self.values[1::2], strict=True)
            self.values = [self._merge(list(pair)) for pair in pairs]
            self.steps = self.steps[1::2]
            self._size *= 2

    def _merge(self, values: list[float]) -> float:
        """Return the mean, or the maximum of a maximum; what is not finite stays so."""
        wrong = [value for value in values if not math.isfinite(value)]
        if wrong:
            return wrong[-1]
        return max(values) if self.name.endswith("_max") else math.fsum(values) / len(values)

    def curve(self) -> Curve:
        return Curve(name=self.name, steps=np.array(self.steps), values=np.array(self.values))


class Monitor:
    """Judges a run while it grows.

    Parameters
    ----------
    config : Config, optional
        Other limits or rules than the defaults.

    Examples
    --------
    >>> from fitdiag.monitor import Monitor
    >>> monitor = Monitor()
    >>> for epoch in range(1, 31):
    ...     monitor.add(epoch, train_loss=2 * 0.9**epoch, val_loss=0.1 + 2 * 0.9**epoch)
    >>> monitor.diagnosis().verdict.value
    'ideal'
    """

    def __init__(self, config: Config | None = None) -> None:
        self._config = config or Config()
        self._tracks: dict[str, _Track] = {}
        self._epochs = _Track("epoch")
        self._count = 0
        self._evaluations = 0
        self._judged: tuple[int, int] = (-1, -1)
        self._last: Diagnosis | None = None
        self._dissent = 0
        self._unit = StepUnit.STEP
        self._source = Source(format="live")

    @classmethod
    def follow(cls, log: str | os.PathLike[str], config: Config | None = None) -> Monitor:
        """Return a monitor that has taken what a log holds so far.

        Parameters
        ----------
        log : path
            A log that :func:`fitdiag.read` reads; one without rows yet is a beginning too.
        config : Config, optional
            Other limits or rules than the defaults.
        """
        monitor = cls(config)
        with suppress(ReadError):
            monitor.take(read(log))
        return monitor

    def take(self, run: Run) -> None:
        """Take what a run holds beyond the last step that was taken.

        Parameters
        ----------
        run : Run
            The same run, as far as it has got.
        """
        self._unit, self._source = run.unit, run.source
        last = max((track.last for track in self._tracks.values()), default=-math.inf)
        cells: dict[float, dict[str, float]] = defaultdict(dict)
        for curve in run.curves.values():
            first = int(np.searchsorted(curve.steps, last, side="right"))
            for step, value in zip(curve.steps[first:], curve.values[first:], strict=True):
                cells[float(step)][curve.name] = float(value)
        for step in sorted(cells):
            self.add(step, cells[step], epoch=run.epoch_at(step))

    def add(
        self,
        step: float,
        cells: Mapping[str, float] | None = None,
        *,
        epoch: float | None = None,
        **values: float,
    ) -> None:
        """Take what was measured at a step; a step that is not later than the last is left out.

        Parameters
        ----------
        step : float
            Optimizer step.
        cells : mapping of str to float, optional
            Values by canonical curve name; ``**values`` adds to them.
        epoch : float, optional
            Epochs complete by then.
        **values : float
            By canonical curve name, for example ``train_loss=0.3``.
        """
        self._count += 1
        if epoch is not None:
            self._epochs.add(step, epoch)
        measured = {**(cells or {}), **values}
        for name, value in measured.items():
            self._tracks.setdefault(name, _Track(name)).add(float(step), float(value))
        self._evaluations += "val_loss" in measured

    def run(self) -> Run:
        """Return the points that are kept, as a run."""
        return Run(
            curves={name: track.curve() for name, track in self._tracks.items() if track.steps},
            unit=self._unit,
            epochs=self._epochs.curve() if self._epochs.steps else None,
            source=self._source,
        )

    def diagnosis(self) -> Diagnosis:
        """Return the diagnosis of the run so far.

        It is made anew after an evaluation, or when one more point in a hundred has come in;
        between, the last one is returned. So that it does not flicker, a verdict replaces another
        only when three evaluations in a row, or a tenth of all so far, disagree with the old
        one. That a training has diverged is told at once.

        Returns
        -------
        Diagnosis
        """
        count, evaluations = self._judged
        news = self._count - count > NEWS * self._count or evaluations != self._evaluations
        if self._last is None or news:
            self._last = self._steadied(diagnose(self.run(), self._config), evaluations)
            self._judged = (self._count, self._evaluations)
        return self._last

    def _steadied(self, fresh: Diagnosis, evaluations: int) -> Diagnosis:
        """Return the fresh diagnosis, or the last one while the verdict is in dispute."""
        shown = self._last
        if shown is None or shown.confidence is None or shown.verdict is fresh.verdict:
            self._dissent = 0
            return fresh
        self._dissent += max(1, self._evaluations - evaluations)
        enough = max(AGREE, AGREE_SHARE * self._evaluations)
        if fresh.verdict is not Verdict.DIVERGED and self._dissent < enough:
            return shown
        self._dissent = 0
        return fresh
