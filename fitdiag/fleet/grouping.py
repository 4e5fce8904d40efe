"""The settings of a fleet, and the groups of runs that each of them makes."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fitdiag.report.words import number

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from fitdiag.source import Scalar

    Ints = NDArray[np.int64]

__all__ = ["Grouping", "LeftOut", "Setting", "choose_settings", "group_runs"]

#: runs that must have a setting, and each of its values, for it to be looked at
LEAST_RUNS, LEAST_GROUP = 10, 5

#: values that are told apart: of text, of numbers; a number with more is cut into ``BINS`` parts
MOST_VALUES, MOST_NUMBERS, BINS = 8, 6, 4

#: names that tell one run from another, or where it was
_TELLS_APART = re.compile(
    r"(^|[._-])(random_?|manual_?|global_?)?seed$"
    r"|(^|[._-])(run|exp|experiment|job|trial|task|process|wandb|output|log|logging|save|work|ckpt"
    r"|checkpoint|result|results)s?[._-]?(id|name|dir|path|folder|root|file|uuid|number|index)$"
    r"|(^|[._-])(hostname|host|port|pid|uuid|timestamp|rank|local_rank|username|user)$",
    re.IGNORECASE,
)


#: what most trainings set on purpose: of settings that always change together these are named
_USUAL = re.compile(
    r"(^|[._-])(lr|learning_?rate|weight_?decay|wd|dropout|batch_?size|optimi[sz]er|momentum)"
    r"([._-]name)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A setting that was not looked at.

    Parameters
    ----------
    setting, reason : str
        Which, and why not.
    """

    setting: str
    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """One setting of all runs.

    Parameters
    ----------
    name : str
        Its name.
    codes : ndarray of int, shape (runs,)
        The number of each run's value in ``values``; -1 where the run has none.
    values : tuple of str, int, float or bool
        Its different values; numbers in rising order.
    numeric : bool
        Whether they are all numbers.
    others : tuple of str
        Settings that change whenever it does, and only then.
    """

    name: str
    codes: Ints
    values: tuple[str | float | bool, ...]
    numeric: bool
    others: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Grouping:
    """The runs that are compared: which group each is in.

    Parameters
    ----------
    codes : ndarray of int, shape (runs,)
        The number of the group; -1 for a run in none.
    labels : tuple of str
        What each group is called.
    """

    codes: Ints
    labels: tuple[str, ...]
    sizes: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        kept = self.codes[self.codes >= 0]
        sizes = tuple(np.bincount(kept, minlength=len(self.labels)).tolist())
        object.__setattr__(self, "sizes", sizes)


def choose_settings(
    columns: dict[str, Sequence[Any]],
) -> tuple[list[Setting], tuple[LeftOut, ...]]:
    """Return the settings that may explain anything, and those that cannot.

    Parameters
    ----------
    columns : dict of str to sequence, one value a run
        None or NaN where a run does not have the setting.
    """
    left: list[LeftOut] = []
    chosen: dict[bytes, list[Setting]] = {}
    for name, cells in columns.items():
        setting = _encode(name, cells)
        reason = _find_reason(setting)
        if reason:
            left.append(LeftOut(setting=name, reason=reason))
            continue
        chosen.setdefault(_print_partition(setting.codes), []).append(setting)
    return [_join(together) for together in chosen.values()], tuple(left)


def _join(together: list[Setting]) -> Setting:
    """Return settings that always change together as the one whose values say most."""
    first = min(
        together,
        key=lambda each: (
            not _USUAL.search(each.name),
            not each.numeric,
            each.name.count("."),
            each.name,
        ),
    )
    others = tuple(sorted(each.name for each in together if each is not first))
    return Setting(
        name=first.name,
        codes=first.codes,
        values=first.values,
        numeric=first.numeric,
        others=others,
    )


def _encode(name: str, cells: Sequence[Any]) -> Setting:
    plain = [_simplify(cell) for cell in cells]
    there = {_identify(cell): cell for cell in plain if cell is not None}.values()
    numeric = all(isinstance(cell, (int, float)) and not isinstance(cell, bool) for cell in there)
    key = _as_number if numeric else _as_text
    values = tuple(sorted(there, key=key))
    places: dict[Hashable, int] = {_identify(value): at for at, value in enumerate(values)}
    codes = np.fromiter(
        (-1 if cell is None else places[_identify(cell)] for cell in plain), np.int64, len(plain)
    )
    return Setting(name=name, codes=codes, values=values, numeric=numeric and bool(there))


def _simplify(cell: object) -> str | float | bool | None:
    """Return a cell as a plain scalar; None where there is nothing."""
    if isinstance(cell, (np.bool_, bool)):
        return bool(cell)
    if isinstance(cell, (float, np.floating)):
        return None if math.isnan(cell) else float(cell)
    if isinstance(cell, (int, np.integer)):
        return float(cell)
    if not isinstance(cell, str):
        return None  # nothing, or pandas's word for it
    return cell


def _identify(cell: Scalar) -> tuple[bool, Scalar]:
    """Tell True from 1: they are equal in Python."""
    return isinstance(cell, bool), cell


def _as_number(cell: Scalar) -> float:
    return float(cell) if isinstance(cell, (int, float)) else math.inf


def _as_text(cell: Scalar) -> tuple[str, str]:
    return type(cell).__name__, str(cell)


def _find_reason(setting: Setting) -> str:
    """Return why a setting is left out; nothing where it is not."""
    known = setting.codes[setting.codes >= 0]
    different = len(setting.values)
    if _TELLS_APART.search(setting.name):
        return "by its name it tells runs apart"
    if different == 1:
        return "it is the same in all runs that have it"
    if known.size < LEAST_RUNS:
        return f"fewer than {LEAST_RUNS} runs have it"
    if not setting.numeric and different > known.size // 2:
        return "it is a different text in most runs"
    numbers = [value for value in setting.values if isinstance(value, float)]
    if setting.numeric and different == known.size and _counts(numbers):
        return "it counts the runs"
    return ""


def _counts(values: Sequence[float]) -> bool:
    whole = all(value.is_integer() for value in values if math.isfinite(value))
    return whole and values[-1] - values[0] == len(values) - 1


def _print_partition(codes: Ints) -> bytes:
    """Return the same bytes for all codes that part the runs in the same way."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    order = np.empty_like(first)
    order[np.argsort(first)] = np.arange(first.size)
    marked = np.where(codes < 0, -1, order[inverse])
    return marked.astype(np.int32).tobytes()


def group_runs(setting: Setting, among: NDArray[np.bool_]) -> Grouping | None:
    """Return the groups of runs by a setting's values, or None where they are too small.

    Parameters
    ----------
    setting : Setting
        The setting.
    among : ndarray of bool, shape (runs,)
        The runs that are compared.
    """
    codes = np.where(among, setting.codes, -1)
    counts = Counter(codes[codes >= 0].tolist())
    if sum(counts.values()) < LEAST_RUNS:
        return None
    common = [code for code, size in counts.most_common() if size >= LEAST_GROUP]
    covered = sum(counts[code] for code in common)
    few = setting.numeric and len(counts) > MOST_NUMBERS
    if few or (setting.numeric and 2 * covered < sum(counts.values())):
        return _cut(setting, codes)
    kept = sorted(common[:MOST_VALUES])
    if len(kept) < 2:
        return _cut(setting, codes) if setting.numeric else None
    places = np.full(len(setting.values) + 1, -1)
    places[kept] = np.arange(len(kept))
    return Grouping(codes=places[codes], labels=tuple(_say(setting.values[code]) for code in kept))


def _cut(setting: Setting, codes: Ints) -> Grouping | None:
    """Return about equal parts of the runs by a number: equal values stay together."""
    values = np.array([float(value) for value in setting.values])
    known = np.sort(codes[codes >= 0])
    parts = min(BINS, known.size // (2 * LEAST_GROUP))
    edges = sorted({int(known[known.size * part // parts]) for part in range(1, parts)})
    places = np.searchsorted(edges, np.arange(values.size), side="right")
    sizes = np.bincount(places[known], minlength=len(edges) + 1)
    while sizes.size > 1 and sizes.min() < LEAST_GROUP:
        small = int(sizes.argmin())
        del edges[max(small - 1, 0)]
        places = np.searchsorted(edges, np.arange(values.size), side="right")
        sizes = np.bincount(places[known], minlength=len(edges) + 1)
    if sizes.size < 2:
        return None
    labels = []
    for part in range(sizes.size):
        inside = values[np.unique(known[places[known] == part])]
        low, high = number(inside[0]), number(inside[-1])
        labels.append(low if low == high else f"{low} to {high}")
    return Grouping(codes=np.append(places, -1)[codes], labels=tuple(labels))


def _say(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else number(value)
