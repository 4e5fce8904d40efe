"""What a reader is: a name, a test of a file's first bytes, and a function that reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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
        Takes the path and a mapping of canonical curve name to the log's column; returns a Run.
    """

    name: str
    description: str
    example: str
    matches: Callable[[Path, bytes], bool]
    read: Callable[[Path, Mapping[str, str]], Run]
