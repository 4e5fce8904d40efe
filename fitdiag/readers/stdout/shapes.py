"""What one kind of line holds: which of its numbers is the epoch, the step, which value."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fitdiag.readers.stdout.grids import Grid
    from fitdiag.readers.stdout.keys import Key
    from fitdiag.readers.stdout.tracks import Recording, Track

__all__ = ["Item", "Template"]


@dataclass(frozen=True, kw_only=True)
class Item:
    """One value in a line.

    Parameters
    ----------
    key : Key
        What the words before it say; its split is settled as far as the line tells.
    at : int
        Which number of the line.
    mean : int
        Which number stands in parentheses behind it, a mean; -1 for none.
    total : int
        Which number it is to be divided by; -1 for none.
    percent : bool
        Whether a percent sign follows.
    beside : bool
        Whether a loss that names no split stands on the line.
    """

    key: Key
    at: int
    mean: int = -1
    total: int = -1
    percent: bool = False
    beside: bool = False


@dataclass(kw_only=True)
class Template:
    """What a line is, up to its numbers.

    Parameters
    ----------
    epoch, step, total : int
        Which number is the epoch, the step, and the number of steps in an epoch; -1 for none.
    epoch_total : int
        Which number is the number of epochs; -1 for none.
    inner : bool
        Whether the step counts within an epoch (a batch) by its form.
    counter : str
        What the line calls the step.
    drives : bool
        Whether it moves the clock: it begins an epoch, or holds a training loss.
    is_named : bool
        Whether its training loss is called so, whatever section it stands in.
    items : tuple of Item
        The values.
    label : str
        The split that the line itself names.
    is_header, is_label : bool
        Whether it does nothing but begin an epoch, or a section about one split.
    is_bar : bool
        Whether it is a frame of a progress bar.
    tells : bool
        Whether it tells anything.
    hits : int
        How many lines it was.
    grid : Grid or None
        The table that it is the header of.
    owner, section, step_before, tracks
        The run, section and step at which it was last met, and where its values went.
    """

    epoch: int = -1
    step: int = -1
    total: int = -1
    inner: bool = False
    counter: str = ""
    epoch_total: int = -1
    drives: bool = False
    is_named: bool = False
    items: tuple[Item, ...] = ()
    label: str = ""
    is_header: bool = False
    is_label: bool = False
    is_bar: bool = False
    tells: bool = False
    hits: int = 0
    grid: Grid | None = None
    owner: Recording | None = None
    section: str = ""
    step_before: float = math.nan
    tracks: list[tuple[Item, Track, Track | None]] = field(default_factory=list)
