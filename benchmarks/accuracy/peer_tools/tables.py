"""Tables as aligned text and as Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Table", "figure"]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A heading, a sentence on how to read it, column names, and rows of cells."""

    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Write it with aligned columns, the first to the left."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        return "\n".join(
            [f"\n## {self.title}", self.note, "", *self._lines([self.header, *self.rows], widths)]
        )

    def markdown(self) -> str:
        """Write it as a section with a Markdown table."""
        rule = ["---", *["--:"] * (len(self.header) - 1)]
        body = [f"| {' | '.join(row)} |" for row in (self.header, rule, *self.rows)]
        return "\n".join([f"## {self.title}", "", self.note, "", *body, ""])

    @staticmethod
    def _lines(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
        for first, *rest in rows:
            cells = [f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True)]
            yield "  ".join([f"{first:<{widths[0]}}", *cells]).rstrip()


def figure(value: float) -> str:
    """Write a share with three decimals, and a dash where there is none."""
    return "-" if value != value else f"{value:.3f}"  # noqa: PLR0124 - NaN differs from itself
