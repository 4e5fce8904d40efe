"""Which line of the user's code is running: what a warning points at."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

import torch

import fitdiag

__all__ = ["Place", "find_place", "name_place"]


def _list_folders(*places: str | None) -> tuple[str, ...]:
    return tuple(os.path.join(place, "") for place in places if place)  # noqa: PTH118 ends in a slash


#: whose lines are never the user's
_OURS = (*_list_folders(*fitdiag.__path__, *torch.__path__), "<frozen ")
#: whose lines are the user's only where there are no others
_FOREIGN = _list_folders(
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
)
#: frames that are looked through at the most
DEPTH = 200


class Place(NamedTuple):
    """A line of code."""

    file: str
    line: int


def find_place() -> Place | None:
    """Return the innermost line under way that is neither ours, torch's nor another package's.

    Returns
    -------
    Place or None
        A line of another package where no line is the user's; None where neither is, as in a
        thread of autograd's own.
    """
    frame = sys._getframe(1)  # noqa: SLF001 the way to look at frames that costs the least
    foreign: Place | None = None
    for _ in range(DEPTH):
        name = frame.f_code.co_filename
        if not name.startswith(_OURS):
            place = Place(name, frame.f_lineno)
            if not name.startswith(_FOREIGN):
                return place
            foreign = foreign or place
        if frame.f_back is None:
            break
        frame = frame.f_back
    return foreign


def name_place(place: Place | None) -> str:
    """Return a place as ``train.py:31``; empty for None."""
    if place is None:
        return ""
    if "ipykernel_" in place.file or place.file.startswith("<ipython"):
        return f"notebook cell:{place.line}"
    try:
        near = os.path.relpath(place.file)
    except (ValueError, OSError):  # on another drive, or the working directory is gone
        near = os.pardir
    return f"{Path(place.file).name if near.startswith(os.pardir) else near}:{place.line}"
