"""Several runs beside each other: which is better, and is the difference more than noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fitdiag.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitdiag.diagnosis import Diagnosis

__all__ = ["MOST", "Comparison", "Entry", "compare"]

#: runs that can be told apart in one chart
MOST = 8

#: standard errors of their difference by which two losses must differ to be told apart
ERRORS = 2.0


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run of a comparison.

    Losses are denoised; what a log does not tell is None.

    Parameters
    ----------
    label : str
        What it is called here: unlike every other's.
    diagnosis : Diagnosis
        All that is known of it.
    best : float or None
        Validation loss of the checkpoint to keep.
    error : float or None
        Standard error of ``best`` by the noise of the run's own evaluations.
    final : float or None
        Validation loss at the end.
    gap : float or None
        Validation loss less training loss at the end.
    """

    label: str
    diagnosis: Diagnosis
    best: float | None
    error: float | None
    final: float | None
    gap: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What several runs are beside each other.

    Parameters
    ----------
    entries : tuple of Entry
        In the order they were given.
    ranking : tuple of int
        Their indices, the lowest ``best`` first; runs without a validation loss are left out.
    ties : tuple of int
        Those that cannot be told from the first of the ranking.
    """

    entries: tuple[Entry, ...]
    ranking: tuple[int, ...]
    ties: tuple[int, ...]

    @property
    def sentence(self) -> str:
        """Which run is better, in one sentence with numbers."""
        if not self.ranking:
            return "None of the runs has a validation loss, so they cannot be ranked."
        first = self.entries[self.ranking[0]]
        if len(self.ranking) == 1:
            return f"{first.label} alone has a validation loss: nothing to compare it with."
        second = self.entries[self.ranking[1]]
        lead, errors = _lead(first, second)
        by = f"{lead:.3g} below {second.label}"
        if self.ties:
            names = _join([self.entries[at].label for at in self.ties])
            return (
                f"{first.label} has the lowest validation loss, {first.best:.4g}, but within "
                f"the noise of the evaluations it cannot be told from {names}."
            )
        times = "" if math.isinf(errors) else f", {errors:.1f} standard errors"
        return f"{first.label} has the lowest validation loss, {first.best:.4g}: {by}{times}."

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that strict JSON can hold."""
        return {
            "format": 1,
            "sentence": self.sentence,
            "ranking": list(self.ranking),
            "ties": list(self.ties),
            "runs": [
                {
                    "label": entry.label,
                    "best": entry.best,
                    "error": entry.error,
                    "final": entry.final,
                    "gap": entry.gap,
                    "diagnosis": entry.diagnosis.to_dict(),
                }
                for entry in self.entries
            ],
        }


def compare(diagnoses: Sequence[Diagnosis], labels: Sequence[str]) -> Comparison:
    """Compare runs by the validation loss of the checkpoint that each would keep.

    Two runs differ if their denoised losses differ by more than two standard errors of the
    difference. The errors come from the evaluations within each run: that another seed may differ
    by more, they cannot tell.

    Parameters
    ----------
    diagnoses : sequence of Diagnosis
        Two or more, eight at the most.
    labels : sequence of str
        What to call them.

    Returns
    -------
    Comparison

    Raises
    ------
    UsageError
        If there are fewer than two runs, or more than eight.

    Examples
    --------
    >>> import fitdiag
    >>> from fitdiag.comparison import compare
    >>> runs = [
    ...     fitdiag.Run.from_arrays(train_loss=[3, 2, 1.5, 1.2], val_loss=[3.1, 2.2, 1.8, end])
    ...     for end in (1.7, 1.4)
    ... ]
    >>> compare([fitdiag.diagnose(run) for run in runs], ["a", "b"]).ranking
    (1, 0)
    """
    if not 2 <= len(diagnoses) <= MOST:
        raise UsageError(f"{len(diagnoses)} runs: a comparison takes 2 to {MOST}")
    entries = tuple(
        _measure(diagnosis, label) for diagnosis, label in zip(diagnoses, labels, strict=True)
    )
    known = [(entry.best, at) for at, entry in enumerate(entries) if entry.best is not None]
    ranking = tuple(at for _, at in sorted(known))
    ties = tuple(at for at in ranking[1:] if _lead(entries[ranking[0]], entries[at])[1] < ERRORS)
    return Comparison(entries=entries, ranking=ranking, ties=ties)


def _measure(diagnosis: Diagnosis, label: str) -> Entry:
    val, pick = diagnosis.signals.get("val_loss"), diagnosis.checkpoint
    train = diagnosis.run.train_loss
    trained = None if train is None else diagnosis.signals.get(train.name)
    best = error = final = gap = None
    if val is not None and len(val):
        step = val.steps[val.smooth.argmin()] if pick is None else pick.step
        best, final = val.at(step), float(val.smooth[-1])
        error = float(val.error[int(abs(val.steps - step).argmin())])
        if trained is not None and len(trained):
            gap = _finite(final - float(trained.smooth[-1]))
    return Entry(
        label=label,
        diagnosis=diagnosis,
        best=_finite(best),
        error=_finite(error),
        final=_finite(final),
        gap=gap,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _lead(first: Entry, second: Entry) -> tuple[float, float]:
    """Return how far the first lies below the second, and in standard errors."""
    lead = (second.best or 0.0) - (first.best or 0.0)
    error = math.hypot(first.error or 0.0, second.error or 0.0)
    if error:
        return lead, lead / error
    return lead, math.inf if lead else 0.0


def _join(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
