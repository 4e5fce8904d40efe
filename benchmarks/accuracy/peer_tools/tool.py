"""What an adapter says about its tool, and the line protocol between adapter and benchmark.

An adapter is a module with ``ask`` and ``TOOL``. It runs twice: imported by the benchmark, for
``TOOL``, and as ``python -m peer_tools.NAME FOLDER`` inside the tool's own virtual environment,
where it asks the tool about every log in the folder and prints a JSON line a run. So an adapter
imports the standard library at its top, and the tool inside ``ask``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["HEALTHY", "SILENT", "Tool", "answer", "logs"]

HEALTHY = "healthy"
"""all clear, from a tool that does not tell `ideal` from `controlled_gap`: either is meant"""
SILENT = "no answer"
"""word put down for a log that the tool passed over, which is no all-clear"""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool from PyPI: how to install it, what to feed it, how to read its words.

    Parameters
    ----------
    name : str
        What to install and to print.
    requirements : tuple of str
        Installed by pip one after another; the tool itself comes last.
    verdicts : mapping of str to str
        The tool's words to fitdiag's verdicts; where several were said, the first listed counts.
        The order of classes is the one that does best for the tool on the zoo's tune part.
    alarms : mapping of str to str, optional
        The tool's words to ``explosion`` or ``vanishing``.
    layout : {"wide", "aligned", "paired"}, optional
        ``wide``: a row for every step, empty where nothing was measured. ``aligned``: a row for
        every training loss, the rest at the nearest row. ``paired``: a row for every validation
        loss, the rest from the nearest row.
    columns : mapping of str to str, optional
        Column name to curve name; default the curves that nearly every tool knows, as they are.
    driven, limits : str, optional
        One sentence each for the table: how it was asked, and what it cannot do.
    """

    name: str
    requirements: tuple[str, ...]
    verdicts: Mapping[str, str]
    alarms: Mapping[str, str] = field(default_factory=dict)
    layout: str = "wide"
    columns: Mapping[str, str] = field(
        default_factory=lambda: {
            name: name for name in ("train_loss", "val_loss", "grad_norm", "lr")
        }
    )
    driven: str = ""
    limits: str = ""

    @property
    def judges(self) -> frozenset[str]:
        """The verdicts that it can come to."""
        return frozenset(self.verdicts.values()) | {HEALTHY}

    def verdict(self, words: list[str]) -> str:
        """Read the tool's words as one of fitdiag's verdicts; finding nothing is all clear."""
        if SILENT in words:
            return "inconclusive"
        said = [verdict for word, verdict in self.verdicts.items() if word in words]
        return said[0] if said else HEALTHY

    def alarm(self, words: list[str]) -> frozenset[str]:
        """Read the tool's words as gradient alarms."""
        return frozenset(kind for word, kind in self.alarms.items() if word in words)


def logs(folder: Path) -> list[Path]:
    """List the logs of a folder in order."""
    return sorted(folder.glob("*.csv"))


def answer(ask: Callable[[Path], Iterator[tuple[str, list[str]]]]) -> None:
    """Print what a tool says about the logs of the folder named on the command line."""
    for name, words in ask(Path(sys.argv[1])):
        print(json.dumps({"run": name, "words": words}), flush=True)
