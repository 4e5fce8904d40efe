"""gradsnitch: ten rules over a table of metrics, with stable ids.

Driven by its documented function for existing logs, ``gradsnitch.lint_csv``. An empty training loss
counts as NaN there, so the table has a row for every training loss. Its early plateau ("no early
progress") and its vanishing gradients (which wants a stuck loss) both speak of no learning.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from peer_tools.tool import Tool, answer, logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def ask(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Ask about each log: the ids of the rules that fired."""
    tool = import_module("gradsnitch")
    for path in logs(folder):
        yield path.stem, [finding.code for finding in tool.lint_csv(str(path))]


TOOL = Tool(
    name="gradsnitch",
    requirements=("gradsnitch==0.1.*",),
    layout="aligned",
    verdicts={
        "GS004": "overfitting",
        "GS001": "diverged",
        "GS006": "diverged",
        "GS005": "no_learning",
        "GS007": "no_learning",
    },
    alarms={"GS002": "explosion", "GS003": "explosion", "GS007": "vanishing"},
    driven="Python, `gradsnitch.lint_csv(LOG)`",
    limits="plateau from 30, vanishing from 40 points; overfitting needs 100 steps after the best",
)

if __name__ == "__main__":
    answer(ask)
