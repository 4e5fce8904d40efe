"""What is looked at to tell the columns of a table: its header and its first rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Sample", "list_columns"]

#: how many column names an error lists
LISTED = 12


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The header of a table and its first rows.

    Parameters
    ----------
    path : str
        The file, for messages.
    header : tuple of str
        Column names.
    named : bool
        Whether they stand in the file; otherwise they are column numbers.
    cells : sequence of tuple of str
        The cells of each column in the first rows.
    numeric : tuple of bool
        Whether each column holds numbers there (or nothing at all).
    """

    path: str
    header: tuple[str, ...]
    named: bool
    cells: Sequence[tuple[str, ...]]
    numeric: tuple[bool, ...]


def list_columns(header: Sequence[str]) -> str:
    """Return the column names for a message: the first ones, and how many more there are."""
    shown = ", ".join(f'"{name[:40]}"' for name in header[:LISTED])
    return shown + (f" and {len(header) - LISTED} more" if len(header) > LISTED else "")
