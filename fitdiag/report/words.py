"""The words that every output shares: titles, labels, numbers, and names made harmless.

A verdict is called the same on the page, in the picture, in the terminal and in Markdown, and a
number looks the same everywhere, because both stand here and nowhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fitdiag.findings import Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitdiag.findings import Skip

__all__ = [
    "ALTERNATIVES",
    "NAME_LENGTH",
    "SEVERITIES",
    "TEXT_LENGTH",
    "VERDICTS",
    "Sign",
    "VerdictWords",
    "clean",
    "count",
    "curve_name",
    "group_skips",
    "number",
    "percent",
    "plural",
]

#: characters of a name (curve, column, path) that are shown at the most
NAME_LENGTH = 80
#: characters of a sentence that are shown at the most
TEXT_LENGTH = 600


@dataclass(frozen=True, kw_only=True)
class Sign:
    """A word with a mark beside it, so that colour is never the only difference.

    Parameters
    ----------
    title : str
        The word.
    mark : str
        One Unicode character.
    plain : str
        The same for terminals that know only ASCII.
    tone : str
        ``"good"``, ``"fair"``, ``"warn"``, ``"bad"`` or ``"unknown"``; each output has a colour
        for each.
    """

    title: str
    mark: str
    plain: str
    tone: str


@dataclass(frozen=True, kw_only=True)
class VerdictWords:
    """What a verdict is called and what it means.

    Parameters
    ----------
    sign : Sign
        Title, mark and tone.
    meaning : str
        One sentence for a person who has not read the documentation.
    """

    sign: Sign
    meaning: str


VERDICTS: dict[Verdict, VerdictWords] = {
    Verdict.IDEAL: VerdictWords(
        sign=Sign(title="Ideal fit", mark="✔", plain="+", tone="good"),
        meaning="Training and validation loss fall together and end close to each other.",
    ),
    Verdict.CONTROLLED_GAP: VerdictWords(
        sign=Sign(title="Controlled gap", mark="≈", plain="=", tone="fair"),
        meaning="Validation loss follows training loss and stays above it by a steady amount.",
    ),
    Verdict.OVERFITTING: VerdictWords(
        sign=Sign(title="Overfitting", mark="▲", plain="^", tone="warn"),
        meaning="The model goes on learning its training data and gets worse on new data.",
    ),
    Verdict.NO_LEARNING: VerdictWords(
        sign=Sign(title="No learning", mark="■", plain="#", tone="bad"),
        meaning="Neither loss falls by more than its noise.",
    ),
    Verdict.DIVERGED: VerdictWords(
        sign=Sign(title="Diverged", mark="✖", plain="x", tone="bad"),
        meaning="Training broke down: the loss became NaN or infinite, or lost what it had gained.",
    ),
    Verdict.INCONCLUSIVE: VerdictWords(
        sign=Sign(title="Cannot tell", mark="?", plain="?", tone="unknown"),
        meaning="The log does not hold enough to judge this run.",
    ),
}

SEVERITIES: dict[Severity, Sign] = {
    Severity.ERROR: Sign(title="Error", mark="✖", plain="x", tone="bad"),
    Severity.WARNING: Sign(title="Warning", mark="▲", plain="!", tone="warn"),
    Severity.INFO: Sign(title="Note", mark="●", plain="*", tone="fair"),
}

#: what the rules beside the pick would have kept
ALTERNATIVES: dict[str, str] = {
    "argmin": "Lowest raw value",
    "last": "Last",
    "first settled": "First settled",
}

_CURVES: dict[str, str] = {
    "train_loss": "training loss",
    "val_loss": "validation loss",
    "batch_loss": "batch loss",
    "grad_norm": "gradient norm",
    "grad_norm_max": "largest gradient norm",
    "lr": "learning rate",
}


def clean(text: object, most: int = NAME_LENGTH) -> str:
    """Return a text on one line without control, format or direction characters, cut to a length.

    Parameters
    ----------
    text : object
        Anything; ``str`` of it is taken.
    most : int
        Characters that are kept. What is longer loses its middle, since a path tells most at its
        end and a name at its beginning.
    """
    whole = str(text)
    if len(whole) > most:
        tail = most // 3
        whole = f"{whole[: most - tail - 1]}…{whole[-tail:]}"
    if not whole.isprintable():
        whole = "".join(c if c.isprintable() else " " * c.isspace() for c in whole)
    return " ".join(whole.split())


def curve_name(name: str) -> str:
    """Return what a person calls a curve, for example "validation loss" for ``val_loss``."""
    known = _CURVES.get(name)
    if known:
        return known
    prefixes = {
        "task_norm/": "gradient norm of task ",
        "task_rate/": "training rate of task ",
        "task_weight/": "weight of task ",
        "train_loss/": "training loss of task ",
        "val_loss/": "validation loss of task ",
        "train_": "training ",
        "val_": "validation ",
    }
    for prefix, word in prefixes.items():
        if name.startswith(prefix):
            return clean(word + name[len(prefix) :].replace("_", " "))
    return clean(name) or "unnamed"


def number(value: float | None) -> str:
    """Return a number with four significant digits, and with separators between thousands."""
    if value is None or math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    if 1000 <= abs(value) < 1e6:
        return f"{float(f'{value:.4g}'):,.0f}"
    return f"{value:.4g}"


def count(value: float) -> str:
    """Return a step or a number of things: whole where it is whole, with separators."""
    if not math.isfinite(value):
        return number(value)
    if abs(value) >= 1e15:
        return f"{value:.4g}"
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def percent(share: float) -> str:
    """Return a share of one as a percentage with about two significant digits."""
    value = 100.0 * share
    if not math.isfinite(value):
        return number(value)
    if value != 0 and abs(value) < 0.1:
        return "under 0.1%"
    if abs(value) >= 1e6:
        return f"{value:.2g}%"
    return f"{value:,.0f}%" if abs(value) >= 10 else f"{value:.2g}%"


def plural(how_many: int, word: str) -> str:
    """Return a number of things, for example "1 point" and "2 points"."""
    return f"{how_many:,} {word}{'' if how_many == 1 else 's'}"


def group_skips(skipped: Sequence[Skip]) -> list[tuple[str, tuple[str, ...]]]:
    """Return each reason once, with the codes that it holds for, in their first order.

    Codes that follow one another are told as one: ``LOP001-LOP012``.
    """
    groups: dict[str, list[str]] = {}
    for skip in skipped:
        groups.setdefault(clean(skip.reason, TEXT_LENGTH), []).append(clean(skip.code))
    return [(reason, _join_codes(codes)) for reason, codes in groups.items()]


def _join_codes(codes: list[str]) -> tuple[str, ...]:
    """Return codes with each row of neighbours told by its ends, where that is shorter."""
    rows: list[list[str]] = []
    for code in codes:
        last = rows[-1][-1] if rows else ""
        follows = last[:-3] == code[:-3] and last[-3:].isdigit() and code[-3:].isdigit()
        if follows and int(code[-3:]) == int(last[-3:]) + 1:
            rows[-1].append(code)
        else:
            rows.append([code])
    told = [row if len(row) < 3 else [f"{row[0]}-{row[-1]}"] for row in rows]
    return tuple(code for row in told for code in row)
