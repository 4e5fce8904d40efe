"""What makes it so: the settings that go with overfitting, with divergence, or with a better loss.

A setting that goes with an outcome need not cause it: nothing here can tell that from runs whose
settings somebody chose for a reason. What is called found is beyond chance, with the number of
settings that were looked at taken into account.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fitdiag.findings import Verdict
from fitdiag.fleet.association import (
    adjust,
    cliff_delta,
    compare_ranks,
    compare_rates,
    compare_within,
    difference_interval,
    median_interval,
    rank,
    wilson_interval,
)
from fitdiag.fleet.grouping import LeftOut, choose_settings, group_runs
from fitdiag.fleet.phrases import say_losses, say_rates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from fitdiag.fleet.grouping import Grouping, Setting
    from fitdiag.fleet.rows import Row

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["FALSE_SHARE", "Effect", "Effects", "LeftOut", "Level", "find_effects"]

#: the share of false ones among the effects that are called found, at the most, on average
FALSE_SHARE = 0.05

#: two settings whose groups go together this much (Cramér's V) cannot be told apart
TANGLED = 0.8

#: outcomes, and the verdict that each stands for
_RATES = {"overfitting": Verdict.OVERFITTING.value, "divergence": Verdict.DIVERGED.value}
LOSS = "best loss"


@dataclass(frozen=True, kw_only=True)
class Level:
    """The runs with one value of a setting, or with values in one range.

    Parameters
    ----------
    label : str
        The value or the range.
    runs : int
        How many runs.
    hits : int or None
        How many of them ended so; None for a loss.
    value : float
        Their share of the runs, or the median of their best validation losses.
    low, high : float
        Ends of its 95 % interval.
    """

    label: str
    runs: int
    hits: int | None
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Effect:
    """How one setting goes with one outcome.

    Parameters
    ----------
    setting : str
        Its name.
    others : tuple of str
        Settings that always change together with it: any of them may be what matters.
    outcome : {"overfitting", "divergence", "best loss"}
        What was compared.
    levels : tuple of Level
        The runs by the setting's value; numbers in rising order.
    size : float
        Between the highest and the lowest level: the difference of the rates, or Cliff's delta of
        the losses, from 0 to 1.
    low, high : float or None
        Ends of the 95 % interval of that difference; None for a delta.
    trend : float or None
        Spearman's correlation of a number with the outcome.
    p : float
        How often chance alone makes the levels differ this much.
    q : float
        The same, corrected for all that was looked at.
    found : bool
        Whether ``q`` is at most :data:`FALSE_SHARE`.
    tangled : tuple of str
        Other settings found for this outcome whose values nearly go together with this one's.
    explained : tuple of str
        Other settings found for this outcome that may be all there is to it: among runs that are
        alike in one of these, this setting makes no difference beyond chance.
    sentence : str
        It in words.
    """

    setting: str
    others: tuple[str, ...]
    outcome: str
    levels: tuple[Level, ...]
    size: float
    low: float | None
    high: float | None
    trend: float | None
    p: float
    q: float
    found: bool
    tangled: tuple[str, ...]
    explained: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What was found, what was looked at, and what was not.

    Parameters
    ----------
    tested : tuple of Effect
        Every setting with every outcome that could be compared; what was found comes first, the
        largest first.
    left_out : tuple of LeftOut
        Settings that were not looked at, and why.
    runs : int
        Runs that have settings.
    """

    tested: tuple[Effect, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    runs: int = 0

    @property
    def found(self) -> tuple[Effect, ...]:
        """The effects that are beyond chance."""
        return tuple(effect for effect in self.tested if effect.found)

    def __iter__(self) -> Iterator[Effect]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Outcome:
    """What is compared: which runs, and what came of each."""

    name: str
    among: Mask
    results: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class _Test:
    setting: Setting
    outcome: _Outcome
    grouping: Grouping
    p: float


def find_effects(fleet: pd.DataFrame | Sequence[Row]) -> Effects:
    """Find the settings that go with overfitting, divergence or a better best loss.

    Parameters
    ----------
    fleet : pandas.DataFrame or sequence of Row
        As :func:`fitdiag.to_frame` and :func:`fitdiag.scan` give it. Settings are the columns
        ``config.<name>``; the outcomes are in ``verdict`` and ``val_best``.

    Returns
    -------
    Effects
        Iterating over it gives the effects that were found.

    Examples
    --------
    >>> from fitdiag.fleet.rows import Row
    >>> ends = ["overfitting"] * 14 + ["ideal"] * 16
    >>> decays = [0.0] * 14 + [0.1] * 16
    >>> rows = [
    ...     Row(path=f"{at}.csv", verdict=end, config={"decay": decay})
    ...     for at, (end, decay) in enumerate(zip(ends, decays, strict=True))
    ... ]
    >>> [effect.sentence for effect in find_effects(rows)]
    ['With decay 0, 14 of 14 runs overfit; with 0.1, 0 of 16.']
    """
    verdicts, losses, columns = _read_fleet(fleet)
    settings, left = choose_settings(columns)
    configured = sum(any(map(_is_set, row)) for row in zip(*columns.values(), strict=True))
    tests = []
    for outcome in _find_outcomes(verdicts, losses):
        for setting in settings:
            grouping = group_runs(setting, outcome.among)
            if grouping is not None:
                tests.append(_test(setting, outcome, grouping))
    corrected = adjust([test.p for test in tests])
    found = [test for test, q in zip(tests, corrected, strict=True) if q <= FALSE_SHARE]
    effects = [_tell(test, q, found) for test, q in zip(tests, corrected, strict=True)]
    effects.sort(key=lambda effect: (not effect.found, -effect.size, effect.q, effect.setting))
    return Effects(tested=tuple(effects), left_out=left, runs=configured)


def _read_fleet(fleet: Any) -> tuple[list[Any], Floats, dict[str, Sequence[Any]]]:  # noqa: ANN401  # either kind
    """Return verdicts, best losses and settings, one of each for every run."""
    if hasattr(fleet, "columns"):
        verdicts = [cell if isinstance(cell, str) else None for cell in fleet["verdict"]]
        losses = np.array([_to_float(cell) for cell in fleet["val_best"]], dtype=float)
        names = [name for name in fleet.columns if str(name).startswith("config.")]
        return verdicts, losses, {name[len("config.") :]: fleet[name].tolist() for name in names}
    rows = list(fleet)
    names = sorted({name for row in rows for name in row.config})
    losses = np.array([_to_float(row.val_best) for row in rows], dtype=float)
    columns: dict[str, Sequence[Any]] = {
        name: [row.config.get(name) for row in rows] for name in names
    }
    return [row.verdict for row in rows], losses, columns


def _is_set(cell: object) -> bool:
    return cell is not None and not (isinstance(cell, float) and math.isnan(cell))


def _to_float(cell: object) -> float:
    return float(cell) if isinstance(cell, (int, float)) else float("nan")


def _find_outcomes(verdicts: Sequence[str | None], losses: Floats) -> list[_Outcome]:
    plain = np.array([verdict or "" for verdict in verdicts], dtype=object)
    judged = np.array([word not in ("", Verdict.INCONCLUSIVE.value) for word in plain], dtype=bool)
    outcomes = [
        _Outcome(name=name, among=judged, results=(plain == verdict).astype(float))
        for name, verdict in _RATES.items()
    ]
    known = np.isfinite(losses)
    outcomes.append(_Outcome(name=LOSS, among=known, results=losses))
    return [each for each in outcomes if np.unique(each.results[each.among]).size > 1]


def _split(grouping: Grouping, values: Floats) -> list[Floats]:
    return [values[grouping.codes == code] for code in range(len(grouping.labels))]


def _test(setting: Setting, outcome: _Outcome, grouping: Grouping) -> _Test:
    parts = _split(grouping, outcome.results)
    if outcome.name == LOSS:
        chance = compare_ranks(parts)
    else:
        chance = compare_rates([int(part.sum()) for part in parts], grouping.sizes)
    return _Test(setting=setting, outcome=outcome, grouping=grouping, p=chance)


def _tell(test: _Test, q: float, found: Sequence[_Test]) -> Effect:
    outcome, grouping = test.outcome, test.grouping
    parts = _split(grouping, outcome.results)
    levels = tuple(
        _measure(label, part, outcome.name)
        for label, part in zip(grouping.labels, parts, strict=True)
    )
    order = sorted(range(len(levels)), key=lambda at: levels[at].value, reverse=True)
    most, least = order[0], order[-1]
    low: float | None = None
    high: float | None = None
    if outcome.name == LOSS:
        size = abs(cliff_delta(parts[most], parts[least]))
        sentence = say_losses(test.setting.name, levels[least], levels[most])
    else:
        pairs = [(levels[at].hits or 0, levels[at].runs) for at in (most, least)]
        size, low, high = difference_interval(pairs[0], pairs[1])
        sentence = say_rates(test.setting.name, outcome.name, levels[most], levels[least])
    return Effect(
        setting=test.setting.name,
        others=test.setting.others,
        outcome=outcome.name,
        levels=levels,
        size=size,
        low=low,
        high=high,
        trend=_find_trend(test),
        p=test.p,
        q=q,
        found=q <= FALSE_SHARE,
        tangled=_name(test, found, _is_tangled) if q <= FALSE_SHARE else (),
        explained=_name(test, found, _is_explained) if q <= FALSE_SHARE else (),
        sentence=sentence,
    )


def _measure(label: str, part: Floats, outcome: str) -> Level:
    runs = int(part.size)
    if outcome == LOSS:
        value, low, high = median_interval(part)
        return Level(label=label, runs=runs, hits=None, value=value, low=low, high=high)
    hits = int(part.sum())
    low, high = wilson_interval(hits, runs)
    return Level(label=label, runs=runs, hits=hits, value=hits / runs, low=low, high=high)


def _find_trend(test: _Test) -> float | None:
    """Return the rank correlation (C. Spearman, 1904, doi:10.2307/1412159) with a number."""
    there = test.outcome.among & (test.setting.codes >= 0)
    if not test.setting.numeric or there.sum() < 3:
        return None
    first = rank(test.setting.codes[there].astype(float))
    second = rank(test.outcome.results[there])
    if first.std() == 0.0 or second.std() == 0.0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _name(
    test: _Test, found: Sequence[_Test], holds: Callable[[_Test, _Test], bool]
) -> tuple[str, ...]:
    """Return the other settings found for the same outcome of which something holds."""
    others = [other for other in found if other is not test and other.outcome is test.outcome]
    return tuple(sorted(other.setting.name for other in others if holds(test, other)))


def _is_tangled(test: _Test, other: _Test) -> bool:
    return _measure_tangle(test.grouping, other.grouping) >= TANGLED


def _is_explained(test: _Test, other: _Test) -> bool:
    """Tell whether nothing is left of a setting among runs that are alike in another."""
    if _is_tangled(test, other):
        return False
    both = (test.grouping.codes >= 0) & (other.grouping.codes >= 0)
    if not both.any():
        return False
    results = test.outcome.results[both]
    if test.outcome.name == LOSS:
        results = rank(results)
    chance = compare_within(test.grouping.codes[both], results, other.grouping.codes[both])
    return chance > FALSE_SHARE


def _measure_tangle(first: Grouping, second: Grouping) -> float:
    """Return Cramér's V of two groupings: 1 where one tells the other."""
    both = (first.codes >= 0) & (second.codes >= 0)
    if not both.any():
        return 0.0
    shape = (len(first.labels), len(second.labels))
    table = np.zeros(shape)
    np.add.at(table, (first.codes[both], second.codes[both]), 1)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    squares = np.divide((table - expected) ** 2, expected, where=expected > 0, out=np.zeros(shape))
    return float(np.sqrt(squares.sum() / (table.sum() * (min(shape) - 1))))
