"""How right the judges are: catch rates, false alarms, F1, over runs with a known truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from peer_tools.tool import HEALTHY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sets import Labelled

__all__ = ["FINE", "Judge", "accepted_share", "caught", "f1", "macro", "merged"]

FINE = ("ideal", "controlled_gap")
"""what a tool without a word for the gap means by an all-clear"""


@dataclass(frozen=True, kw_only=True)
class Judge:
    """A judge and what it said about each run of a set.

    Parameters
    ----------
    name : str
        Shown in the tables.
    speaks : frozenset of str
        The verdicts that it can come to; empty for a judge of gradients alone.
    verdicts : list of str
        One a run.
    alarms : list of frozenset of str
        Gradient alarms, one set a run.
    kinds : frozenset of str
        The alarms that it can raise; empty where it looks at no gradients.
    trouble : str
        Why it said nothing at all; empty where it spoke.
    """

    name: str
    speaks: frozenset[str] = frozenset()
    verdicts: list[str] = field(default_factory=list)
    alarms: list[frozenset[str]] = field(default_factory=list)
    kinds: frozenset[str] = frozenset()
    trouble: str = ""


def merged(word: str) -> str:
    """Take the two verdicts of a healthy run as one, as most tools do."""
    return HEALTHY if word in FINE else word


def accepted_share(verdicts: Sequence[str], runs: Sequence[Labelled]) -> float:
    """Share of verdicts that are acceptable; an all-clear is right where either word is."""
    right = [
        not item.accepted.isdisjoint(FINE if word == HEALTHY else (word,))
        for word, item in zip(verdicts, runs, strict=True)
    ]
    return float(np.mean(right))


def f1(said: Sequence[str], truth: Sequence[str], word: str) -> float:
    """F1 of one class; NaN where it neither occurs nor is said."""
    hits = sum(a == word == b for a, b in zip(said, truth, strict=True))
    total = list(said).count(word) + list(truth).count(word)
    return 2 * hits / total if total else float("nan")


def macro(said: Sequence[str], truth: Sequence[str], words: Sequence[str]) -> float:
    """Mean F1 over classes."""
    return float(np.nanmean([f1(said, truth, word) for word in words]))


def caught(flags: Sequence[bool], truth: Sequence[bool]) -> tuple[str, str]:
    """Tell how many that should be flagged are, and how many that should not: two cells."""
    return _rate(flags, truth, bool), _rate(flags, truth, lambda wanted: not wanted)


def _rate(flags: Sequence[bool], truth: Sequence[bool], which: Callable[[bool], bool]) -> str:
    chosen = [flag for flag, wanted in zip(flags, truth, strict=True) if which(wanted)]
    return f"{sum(chosen)}/{len(chosen)} {np.mean(chosen):.3f}" if chosen else "-"
