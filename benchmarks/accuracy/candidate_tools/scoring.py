"""Limits fitted by grouped cross-validation, and scores with errors from a bootstrap over problems.

A limit never sees the problems that it is scored on. Errors are standard deviations over resampled
problems, the same resamples for every candidate, so that differences are paired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from bench_accuracy import f1
from sklearn.model_selection import GroupKFold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]

__all__ = ["Outcome", "fit_limit", "flagged_by_fold", "folds", "share_error", "signed"]

FOLDS = 5
RESAMPLES = 1000
SEED = 0


def folds(problems: Sequence[str]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Go through the rows to fit on and the rows to score, whole problems at a time."""
    rows = np.arange(len(problems))
    yield from GroupKFold(min(FOLDS, len(set(problems)))).split(rows, groups=list(problems))


def fit_limit(scores: Array, truth: Flags) -> float:
    """Return the limit above which flagging gives the best macro-F1; of equals the middle one.

    Parameters
    ----------
    scores : ndarray of float, shape (n,)
        The criterion.
    truth : ndarray of bool, shape (n,)
        Which rows should be flagged.

    Returns
    -------
    float
        Half way between two neighbouring scores.
    """
    levels = np.unique(scores)
    if levels.size < 2:
        return float(levels[0])
    limits = (levels[:-1] + levels[1:]) / 2
    flagged = scores[None, :] > limits[:, None]
    hits, said, wanted = (flagged & truth).sum(1), flagged.sum(1), int(truth.sum())
    passed = (~flagged & ~truth).sum(1)
    rest = truth.size - said + truth.size - wanted
    quality = 2 * hits / np.maximum(said + wanted, 1) + 2 * passed / np.maximum(rest, 1)
    best = np.flatnonzero(quality >= quality.max() - 1e-12)
    return float(limits[best[best.size // 2]])


def flagged_by_fold(scores: Array, truth: Flags, problems: Sequence[str]) -> Flags:
    """Flag each row by a limit that was fitted on other problems."""
    flags = np.zeros(truth.size, dtype=bool)
    for fitted, scored in folds(problems):
        flags[scored] = scores[scored] > fit_limit(scores[fitted], truth[fitted])
    return flags


def _weights(problems: int) -> Array:
    """Return how often each problem is drawn, shape (resamples, problems)."""
    random = np.random.default_rng(SEED)
    return random.multinomial(problems, np.full(problems, 1 / problems), RESAMPLES).astype(float)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What a candidate said about each run, with the truth."""

    said: Sequence[str]
    truth: Sequence[str]
    problems: Sequence[str]
    words: Sequence[str]

    def f1(self, word: str) -> float:
        """Return the F1 of one class."""
        score: float = f1(self.said, self.truth, word)
        return score

    def macro(self) -> float:
        """Mean F1 over the classes."""
        scores = [self.f1(word) for word in self.words]
        return float(np.nanmean(scores))

    def resampled(self) -> Array:
        """Return the macro-F1 on each resample of the problems; NaN where a class has no run."""
        names = sorted(set(self.problems))
        owner = np.array([names.index(problem) for problem in self.problems])
        said, truth = np.array(self.said), np.array(self.truth)
        weights = _weights(len(names))
        found = []
        for word in self.words:
            hits, claimed, wanted = (
                weights @ np.bincount(owner, flags, len(names))
                for flags in ((said == word) & (truth == word), said == word, truth == word)
            )
            score = 2 * hits / np.maximum(claimed + wanted, 1)
            found.append(np.where(wanted > 0, score, np.nan))
        return np.asarray(np.mean(found, axis=0))

    def error(self) -> float:
        """Return the standard error of the macro-F1."""
        return float(np.nanstd(self.resampled()))

    def above(self, other: Outcome) -> tuple[float, float]:
        """Return how much higher the macro-F1 is than another's, and the error of that."""
        difference = self.resampled() - other.resampled()
        return self.macro() - other.macro(), float(np.nanstd(difference))


def share_error(right: Sequence[bool], problems: Sequence[str]) -> float:
    """Return the standard error of a share of runs, over the same resamples of the problems."""
    names = sorted(set(problems))
    owner = np.array([names.index(problem) for problem in problems])
    weights = _weights(len(names))
    count = weights @ np.bincount(owner, minlength=len(names))
    return float(np.std(weights @ np.bincount(owner, np.asarray(right, float)) / count))


def signed(difference: tuple[float, float]) -> str:
    """Write a difference and its error; one within its error is marked as a tie."""
    value, error = round(difference[0], 3) + 0.0, difference[1]
    tie = " =" if abs(value) <= error else ""
    return f"{value:+.3f} ± {error:.3f}{tie}"
