"""What one run of a log has said so far: its values, with the clock at which each was printed."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fitdiag.readers.stdout.keys import Key

    Floats = NDArray[np.float64]

__all__ = ["BAR", "EPOCH", "STEP", "Clock", "Recording", "Track"]

#: how a line tells the time: by nothing but the epoch, by a step, by a frame of a progress bar
EPOCH, STEP, BAR = "epoch", "step", "bar"


def _numbers() -> array[float]:
    return array("d")


@dataclass(eq=False)
class Clock:
    """What the clock showed at each line that holds a value."""

    epochs: array[float] = field(default_factory=_numbers)
    steps: array[float] = field(default_factory=_numbers)
    lines: array[float] = field(default_factory=_numbers)

    def put(self, epoch: float, step: float, line: float) -> int:
        """Append a line; return its index."""
        self.epochs.append(epoch)
        self.steps.append(step)
        self.lines.append(line)
        return len(self.lines) - 1


@dataclass(eq=False)
class Track:
    """One named quantity, as its lines came.

    Parameters
    ----------
    name : str
        With the split that the lines around it name.
    key : Key
        What it is.
    level : str
        ``EPOCH``, ``STEP`` or ``BAR``.
    clock : Clock
        Of its run.
    is_mean : bool
        Whether it is the mean in parentheses behind the value.
    joined : bool
        Whether a training loss stands on the same lines.
    percent : bool
        Whether it is written with a percent sign.
    rows : array of int
        Which lines of the clock.
    values : array of float
        The values.
    """

    name: str
    key: Key
    level: str
    clock: Clock
    is_mean: bool = False
    joined: bool = False
    percent: bool = False
    rows: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=_numbers)

    def __len__(self) -> int:
        return len(self.values)

    def put(self, row: int, value: float) -> None:
        """Append one value."""
        self.rows.append(row)
        self.values.append(value)

    def columns(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return epochs, steps, values and line numbers as arrays."""
        rows = np.array(self.rows, dtype=np.int64)
        return (
            np.array(self.clock.epochs)[rows],
            np.array(self.clock.steps)[rows],
            np.array(self.values),
            np.array(self.clock.lines)[rows],
        )


@dataclass(eq=False)
class Recording:
    """One run of a log.

    Parameters
    ----------
    tracks : dict
        By name, level and whether it is a mean.
    clock : Clock
        At its lines.
    first_epoch, first_step : float or None
        Where the run began.
    resumes : list of tuple of (str, float, float)
        The clock (``EPOCH`` or ``STEP``), its new value, and the line at which it went back.
    inner : bool
        Whether steps count within the epoch by their form.
    total : float
        The largest number of steps in an epoch that a line told; 0 for none.
    counters : set of str
        What the steps are called.
    """

    tracks: dict[tuple[str, str, bool], Track] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    first_epoch: float | None = None
    first_step: float | None = None
    resumes: list[tuple[str, float, float]] = field(default_factory=list)
    inner: bool = False
    total: float = 0.0
    counters: set[str] = field(default_factory=set)

    def has_loss(self) -> bool:
        """Tell whether any loss was recorded."""
        return any(track.key.kind in {"loss", "batch_loss"} for track in self.tracks.values())
