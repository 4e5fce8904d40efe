"""Colours and line styles by the part that a curve plays, alike in picture and page.

The colours are those of Okabe & Ito (2008), Color Universal Design,
https://jfly.uni-koeln.de/color/, which people with any kind of colour vision can tell apart. Since
some of them are equally dark, a line style, a marker or a label always goes with them.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MARKERS", "PAPER", "STYLES", "TONES", "Style"]


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a curve is drawn.

    Parameters
    ----------
    light, dark : str
        Colour on a light and on a dark page.
    dashes : tuple of float
        Lengths of dash and gap, in line widths; empty for a solid line.
    """

    light: str
    dark: str
    dashes: tuple[float, ...] = ()


STYLES: dict[str, Style] = {
    "train": Style(light="#0072b2", dark="#56b4e9"),
    "val": Style(light="#c04a00", dark="#f0975a", dashes=(5.0, 1.4)),
    "norm": Style(light="#00795a", dark="#2fc498"),
    "peaks": Style(light="#a3527e", dark="#dd9dc0", dashes=(1.2, 1.2)),
    "lr": Style(light="#5b6470", dark="#aab4c0"),
}

#: colours of the picture beside its curves
PAPER = {"ink": "#1b1f24", "faint": "#6b7480", "rule": "#d9dee4", "settled": "#d8efe6"}

#: colours of the verdicts' tones
TONES = {
    "good": "#00795a",
    "fair": "#0072b2",
    "warn": "#b34700",
    "bad": "#b3261e",
    "unknown": "#5b6470",
}

#: markers by the kind of point, in matplotlib's words, with what the legend calls them
MARKERS = {
    "pick": ("D", "keep"),
    "argmin": ("v", "lowest raw value"),
    "first settled": ("o", "first settled"),
    "last": ("s", "last"),
    "peak": ("^", "peak"),
}
