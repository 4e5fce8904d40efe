"""What was found about a setting, as a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.report.words import clean, number

if TYPE_CHECKING:
    from fitdiag.fleet.effects import Level

__all__ = ["say_losses", "say_rates"]

#: what runs do that end so
_VERBS = {"overfitting": "overfit", "divergence": "diverge"}

#: characters of a setting's name and of its value
LONGEST = 60


def say_rates(setting: str, outcome: str, most: Level, least: Level) -> str:
    """Return for example "With decay 0, 14 of 16 runs overfit; with 0.1, 3 of 17."."""
    return (
        f"With {_name(setting, most)}, {most.hits:,} of {most.runs:,} runs {_VERBS[outcome]}; "
        f"with {clean(least.label, LONGEST)}, {least.hits:,} of {least.runs:,}."
    )


def say_losses(setting: str, best: Level, worst: Level) -> str:
    """Return what the best validation loss is in the middle of the best and the worst runs."""
    return (
        f"With {_name(setting, best)}, the best validation loss is {number(best.value)} (median of "
        f"{best.runs:,} runs); with {clean(worst.label, LONGEST)}, {number(worst.value)} "
        f"(median of {worst.runs:,})."
    )


def _name(setting: str, level: Level) -> str:
    return f"{clean(setting, LONGEST)} {clean(level.label, LONGEST)}"
