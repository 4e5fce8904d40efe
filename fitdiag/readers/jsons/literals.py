"""Python literals as ``str(history)`` prints them, rewritten as JSON; nothing is evaluated."""

from __future__ import annotations

import json
import re

__all__ = ["LITERAL_LIMIT", "translate_literal"]

#: a longer text is not rewritten
LITERAL_LIMIT = 32 << 20

#: strings, exponents and words: all that has to be rewritten where there are no calls
_SIMPLE = (
    r"""(?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")"""
    r"|(?P<power>[eE][-+]?\d+)|(?P<word>[A-Za-z_][\w.]*)"
)
_PLAIN = re.compile(_SIMPLE)
_CALLS = re.compile(
    _SIMPLE + r"|(?P<keyword>,\s*[A-Za-z_]\w*\s*=\s*(?:<[^<>\n]*>|'[^'\n]*'|[^,()\[\]{}<>'\"=]+))"
    r"|(?P<object><[^<>\n]{0,200}>)|(?P<trailing>,(?=\s*[\]})]))|(?P<open>\()|(?P<close>\))"
    r"|(?P<dots>\.\.\.)|(?P<point>\.(?!\d))"
)

#: what makes the slower search necessary
_HAS_CALLS = re.compile(r"[(<]|,\s*[\]}]")

#: what a token of each kind becomes; the others vanish
BECOMES = {"open": "[", "close": "]", "object": "null", "point": ".0"}

WORDS = {
    "True": "true",
    "False": "false",
    "None": "null",
    "true": "true",
    "false": "false",
    "null": "null",
    "nan": "NaN",
    "NaN": "NaN",
    "inf": "Infinity",
    "Infinity": "Infinity",
}


def translate_literal(text: str) -> str | None:
    """Return a Python literal as JSON, or None for one that is too long.

    Calls keep their arguments only: ``np.float64(0.5)`` becomes a list of one number, and
    ``defaultdict(<class 'list'>, {...})`` a list with the mapping in it.
    """
    if len(text) > LITERAL_LIMIT:
        return None
    text = text.strip("\0 \r\n\t")
    return (_CALLS if _HAS_CALLS.search(text) else _PLAIN).sub(_rewrite, text)


def _rewrite(match: re.Match[str]) -> str:
    kind, token = match.lastgroup, match[0]
    if kind == "string":
        return json.dumps(re.sub(r"\\(.)", r"\1", token[1:-1]))
    if kind == "word":
        return WORDS.get(token.rpartition(".")[2], "")
    return token if kind == "power" else BECOMES.get(kind or "", "")
