"""Whole verdicts: trained classifiers, and fitdiag's rules with their limits fitted anew.

Both are cross-validated over problems. A run that cannot be compared (too few finite points, no
validation, ends non-finite) gets fitdiag's answer from everyone: no classifier could know better.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from candidate_tools.criteria import FEATURES, curves
from candidate_tools.scoring import Outcome, folds
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fitdiag.signals import measure
from fitdiag.verdict import VerdictConfig
from fitdiag.verdict.decision import decide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from candidate_tools.criteria import Case
    from numpy.typing import NDArray
    from sets import Labelled

    Array = NDArray[np.float64]

__all__ = ["CLASSIFIERS", "GRID", "Rules", "accepted", "clear", "predict"]

UNSURE = 0.5
"""a classifier whose most likely class is less likely than this may say "inconclusive" """
INNER_FOLDS = 4
SHARE = 0.05
"""shares are told apart on a logarithmic scale above this, and on a linear one below"""

GRID: dict[str, tuple[float, ...]] = {
    "lost_share": (0.5, 0.25, 0.75),
    "fall_share": (0.05, 0.01, 0.025, 0.1),
    "plateau_fall_share": (0.1, 0.03, 0.06, 0.2),
    "memorised_share": (0.1, 0.05, 0.2, 0.4),
    "follow_share": (0.1, 0.2, 0.4),
    "rise_share": (0.1, 0.02, 0.035, 0.05, 0.075, 0.15),
    "rise_z": (3.0, 1.0, 2.0, 5.0),
    "faint_share": (0.1, 0.03, 0.06, 0.2),
    "gap_share": (0.1, 0.15, 0.2, 0.3),
    "min_confidence": (0.0, 0.3, 0.4, 0.5, 0.6),
}
"""limits to search; the search begins at the first of each, a round number"""
_PASSES = 2


def _forest() -> RandomForestClassifier:
    return RandomForestClassifier(300, min_samples_leaf=2, class_weight="balanced", random_state=0)


CLASSIFIERS: dict[str, tuple[str, Callable[[], object], dict[str, list[float]]]] = {
    "logistic regression": (
        "features",
        lambda: make_pipeline(
            StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000)
        ),
        {"logisticregression__C": [0.03, 0.3, 3.0]},
    ),
    "random forest": ("features", _forest, {}),
    "gradient boosting": (
        "features",
        lambda: GradientBoostingClassifier(subsample=0.8, random_state=0),
        {},
    ),
    "nearest neighbours, curves": ("curves", KNeighborsClassifier, {"n_neighbors": [1, 3, 5, 9]}),
}
"""Name to what it sees, how it is made, and what is chosen by an inner cross-validation."""


def clear(items: Sequence[Labelled], said: Sequence[str], words: Sequence[str]) -> Outcome:
    """Keep the runs with one truth."""
    kept = [k for k, item in enumerate(items) if item.truth]
    return Outcome(
        said=[said[k] for k in kept],
        truth=[items[k].truth for k in kept],
        problems=[items[k].problem for k in kept],
        words=words,
    )


def accepted(items: Sequence[Labelled], said: Sequence[str]) -> list[bool]:
    """Tell which answers are acceptable."""
    return [word in item.accepted for word, item in zip(said, items, strict=True)]


def _seen(case: Case, what: str) -> Array:
    if what == "curves":
        return np.asarray(curves(case.denoised))
    numbers = np.array([feature(case.denoised) for feature in FEATURES.values()])
    return np.asarray(np.arcsinh(np.nan_to_num(np.clip(numbers, -1e6, 1e6)) / SHARE))


def predict(
    name: str, judged: Sequence[Case], words: Sequence[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Train a classifier on other problems and predict, for each fold.

    Parameters
    ----------
    name : str
        One of :data:`CLASSIFIERS`.
    judged : sequence of Case
        Those with one truth among ``words`` are trained on, all are predicted.
    words : sequence of str
        The classes.

    Returns
    -------
    said, careful : dict of str to str
        Run name to the most likely class, and the same with ``inconclusive`` below :data:`UNSURE`.
    """
    what, make, grid = CLASSIFIERS[name]
    seen = np.array([_seen(case, what) for case in judged])
    truth = np.array([case.item.truth for case in judged])
    problems = np.array([case.item.problem for case in judged])
    said, careful = {}, {}
    for fitted, scored in folds(problems.tolist()):
        known = fitted[np.isin(truth[fitted], words)]
        model = GridSearchCV(make(), grid, cv=GroupKFold(INNER_FOLDS), scoring="f1_macro")
        model.fit(seen[known], truth[known], groups=problems[known])
        for row, chances in zip(scored, model.predict_proba(seen[scored]), strict=True):
            run, word = judged[row].item.name, str(model.classes_[chances.argmax()])
            said[run] = word
            careful[run] = word if chances.max() >= UNSURE else "inconclusive"
    return said, careful


def _with(config: VerdictConfig, name: str, value: float) -> VerdictConfig:
    changed: dict[str, Any] = {name: value}
    return replace(config, **changed)


class Rules:
    """fitdiag's questions in their order, with limits to be chosen.

    Parameters
    ----------
    items : sequence of Labelled
        All runs.
    words : sequence of str
        The classes of the macro-F1.
    """

    def __init__(self, items: Sequence[Labelled], words: Sequence[str]) -> None:
        self.items = items
        self.words = words
        self._facts = [measure(item.run) for item in items]
        self.say = lru_cache(maxsize=None)(self._say)

    def _say(self, config: VerdictConfig) -> tuple[str, ...]:
        return tuple(str(decide(facts, config).verdict) for facts in self._facts)

    def _quality(self, config: VerdictConfig, rows: Sequence[int]) -> float:
        said = self.say(config)
        items, words = [self.items[row] for row in rows], [said[row] for row in rows]
        score: float = clear(items, words, self.words).macro()
        return score + float(np.mean(accepted(items, words)))

    def fit(self, rows: Sequence[int]) -> VerdictConfig:
        """Search the limits one after the other, from round numbers, on some of the runs."""
        best = VerdictConfig()
        for name, values in GRID.items():
            best = _with(best, name, values[0])
        quality = self._quality(best, rows)
        for name, values in [*GRID.items()] * _PASSES:
            for value in values:
                other = _with(best, name, value)
                found = self._quality(other, rows)
                if found > quality:
                    best, quality = other, found
        return best

    def by_fold(self) -> tuple[list[str], list[VerdictConfig]]:
        """Return the verdicts with limits searched on other problems, and those limits."""
        said, limits = [""] * len(self.items), []
        for fitted, scored in folds([item.problem for item in self.items]):
            limits.append(self.fit(fitted.tolist()))
            words = self.say(limits[-1])
            for row in scored:
                said[row] = words[row]
        return said, limits
