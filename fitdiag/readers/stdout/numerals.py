"""Numbers in running text: where they stand, and what they are worth."""

from __future__ import annotations

import math
import re

__all__ = ["NUMBER", "NUMERAL", "tells_comma", "to_number"]

#: a number that is no part of a word, a hash, a version, or a name such as top-1; with the split
#: method, texts and numbers come in turn
NUMBER = re.compile(
    r"(?<![A-Za-z_@\d.])(?<![Tt]op-)(?<!TOP-)"
    r"([-+\u2212]?(?:\d+(?:,\d+)*(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?"
    r"|(?:[nN][aA][nN]|[iI]nf(?:inity)?|INF(?:INITY)?)(?![A-Za-z_\d])))"
)

#: the same, as one group of a pattern for a line whose texts are known
NUMERAL = (
    r"([-+\u2212]?\d[\d.,]*(?:[eE][-+]?\d+)?|[-+\u2212]?(?:\.\d+(?:[eE][-+]?\d+)?"
    r"|[nN][aA][nN]|[iI]nf(?:inity)?|INF(?:INITY)?))"
)

_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?")
_DECIMAL = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")


def to_number(token: str, *, comma: bool = False) -> float:
    """Return what a token is worth.

    Parameters
    ----------
    token : str
        As :data:`NUMBER` finds it.
    comma : bool
        Whether the log writes decimal commas.

    Returns
    -------
    float
        NaN also for what is no number.
    """
    token = token.replace("\u2212", "-")
    if "," in token:
        if _THOUSANDS.fullmatch(token) and not (comma and token.count(",") == 1):
            token = token.replace(",", "")
        elif _DECIMAL.fullmatch(token):
            token = token.replace(",", ".")
    try:
        return float(token)
    except ValueError:
        return math.nan


def tells_comma(token: str) -> str:
    """Return what a token with a comma says: ``decimal``, ``thousands``, ``either`` or nothing."""
    if _THOUSANDS.fullmatch(token):
        return "thousands" if "." in token or token.count(",") > 1 else "either"
    return "decimal" if _DECIMAL.fullmatch(token) else ""
