"""How right the judges are: catch rates, false alarms, F1, over runs with a known truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from bench_accuracy import f1
from peer_tools.tool import HEALTHY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sets import Labelled

__all__ = ["FINE", "MERGED", "Judge", "accepted_share", "caught", "macro", "merged", "share"]

FINE = ("ideal", "controlled_gap")
"""what a tool without a word for the gap means by an all-clear"""
MERGED = ("no_learning", "overfitting", HEALTHY, "diverged")
"""the classes that nearly every judge tells apart"""


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


def macro(said: Sequence[str], truth: Sequence[str], words: Sequence[str]) -> float:
    """Mean F1 over classes."""
    return float(np.nanmean([f1(said, truth, word) for word in words]))


def share(flags: Sequence[bool]) -> str:
    """Write how many of the flags are set, and the share; a dash where there are none."""
    return f"{sum(flags)}/{len(flags)} {np.mean(flags):.3f}" if flags else "-"


def caught(flags: Sequence[bool], truth: Sequence[bool]) -> tuple[str, str]:
    """Tell how many that should be flagged are, and how many that should not: two cells."""
    pairs = list(zip(flags, truth, strict=True))
    right, wrong = ([flag for flag, wanted in pairs if wanted is side] for side in (True, False))
    return share(right), share(wrong)
