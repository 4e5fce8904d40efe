"""What a reader is: a name, a test of a file's first bytes, and a function that reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["Reader"]


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One log format that fitdiag reads.

    Parameters
    ----------
    name : str
        What ``format=`` and ``--format`` call it.
    description : str
        One line for ``fitdiag formats``.
    example : str
        How such a file is usually named.
    matches : callable
        Takes the path and the file's first bytes and tells whether this reader reads it.
    read : callable
        Takes the path and a mapping of canonical curve name to the log's column; returns a Run, or
        all runs that the log holds, in its order.
    folders : bool
        Whether the path may be a folder; ``matches`` is then asked of folders too, with no bytes.
    text : bool
        Whether such a file is text; one that is not is not refused for its bytes.
    """

    name: str
    description: str
    example: str
    matches: Callable[[Path, bytes], bool]
    read: Callable[[Path, Mapping[str, str]], Run | Sequence[Run]]
    folders: bool = False
    text: bool = True
