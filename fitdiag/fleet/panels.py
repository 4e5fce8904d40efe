"""What makes it so, as the page shows it: places in drawings, and words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fitdiag.fleet.effects import FALSE_SHARE, LOSS
from fitdiag.report.words import clean, number, percent

if TYPE_CHECKING:
    from collections.abc import Callable

    from fitdiag.fleet.effects import Effect, Effects, Level

__all__ = ["describe_effects"]

#: effects that are drawn, comparisons within chance and names that are listed
DRAWN, LISTED, NAMED = 12, 60, 40

_TONES = {"overfitting": "warn", "divergence": "bad", LOSS: "fair"}
_UNITS = {"overfitting": "overfit", "divergence": "diverged", LOSS: "median of runs"}
_CAPTIONS = {
    "overfitting": "Share of runs that overfit",
    "divergence": "Share of runs that diverged",
    LOSS: "Best validation loss, lower is better",
}


def describe_effects(effects: Effects) -> dict[str, Any]:
    """Return what the template shows of the effects."""
    groups: dict[str, list[str]] = {}
    for left in effects.left_out:
        groups.setdefault(left.reason, []).append(clean(left.setting))
    within = [effect for effect in effects.tested if not effect.found]
    return {
        "tested": len(effects.tested),
        "found": [_draw(effect) for effect in effects.found[:DRAWN]],
        "more": max(len(effects.found) - DRAWN, 0),
        "nothing": _say_nothing(effects),
        "others": [
            {
                "setting": clean(effect.setting),
                "outcome": effect.outcome,
                "sentence": effect.sentence,
                "chance": _say_chance(effect.q),
            }
            for effect in sorted(within, key=lambda effect: effect.q)[:LISTED]
        ],
        "left_out": [(reason, _list_names(names)) for reason, names in groups.items()],
        "left_count": len(effects.left_out),
    }


def _say_nothing(effects: Effects) -> str:
    if effects.tested:
        return (
            f"No setting goes with overfitting, divergence or the best loss beyond chance, among "
            f"{len(effects.tested)} comparisons over {effects.runs:,} runs with settings."
        )
    return (
        f"{effects.runs:,} runs have settings, and none of these can be compared: they are alike "
        "in all runs, or too few runs share a value."
    )


def _list_names(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _draw(effect: Effect) -> dict[str, Any]:
    place, scale = _scale(effect)
    return {
        "setting": clean(effect.setting),
        "sentence": effect.sentence,
        "caption": _CAPTIONS[effect.outcome],
        "unit": _UNITS[effect.outcome],
        "tone": _TONES[effect.outcome],
        "scale": scale,
        "levels": [
            {
                "label": clean(level.label, 60),
                "low": place(level.low),
                "high": place(level.high),
                "at": place(level.value),
                "words": _say_level(level),
            }
            for level in effect.levels
        ],
        "size": _say_size(effect),
        "caution": _say_caution(effect),
    }


def _scale(effect: Effect) -> tuple[Callable[[float], float], tuple[str, str]]:
    """Return where a value is drawn, from 0 to 100, and what the ends are called."""
    if effect.outcome != LOSS:
        return (lambda value: round(100 * value, 2)), ("0%", "100%")
    low = min(level.low for level in effect.levels)
    high = max(level.high for level in effect.levels)
    log = low > 0 and high > 5 * low

    def stretch(value: float) -> float:
        return math.log(value) if log else value / 2  # halves do not overflow

    start, end = stretch(low), stretch(high)

    def place(value: float) -> float:
        share = (stretch(value) - start) / (end - start) if end > start else 0.5
        return round(100 * share, 2)

    return place, (number(low), number(high))


def _say_level(level: Level) -> str:
    if level.hits is None:
        return f"{number(level.value)} of {level.runs:,}"
    return f"{level.hits:,} of {level.runs:,}"


def _say_size(effect: Effect) -> str:
    chance = _say_chance(effect.q)
    if effect.low is not None and effect.high is not None:
        size = (
            f"Difference {round(100 * effect.size)} percentage points "
            f"({round(100 * effect.low)} to {round(100 * effect.high)})"
        )
    else:
        better = percent((1 + effect.size) / 2)
        size = f"A run with the best value beats one with the worst {better} of the time"
    return f"{size}; by chance {chance}, corrected for all comparisons."


def _say_chance(q: float) -> str:
    if q < 0.001:
        return "under 0.1%"
    return f"{100 * q:.2g}%" if q <= FALSE_SHARE else f"{100 * q:.0f}%"


def _say_caution(effect: Effect) -> str:
    parts = []
    if effect.others:
        names = _list_names([clean(name) for name in effect.others])
        parts.append(f"Always changes together with {names}: which of them matters cannot be told.")
    if effect.tangled:
        names = _list_names([clean(name) for name in effect.tangled])
        parts.append(f"Nearly always changes together with {names}.")
    if effect.explained:
        names = _list_names([clean(name) for name in effect.explained])
        parts.append(f"Among runs that are alike in {names} it makes no difference beyond chance.")
    return " ".join(parts)
