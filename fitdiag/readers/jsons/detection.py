"""What a file's first bytes say of the JSON in it; quick, as every file is asked."""

from __future__ import annotations

import codecs
import re

__all__ = ["is_document", "is_lines", "open_text"]

#: how much is looked at for the shape
LOOK = 1 << 13

_OBJECT = re.compile(r"\{\s*[\"}]")
_LITERAL = re.compile(
    r"(?:(?:[\w.]*dict|History|dict)\()?[\s(]*(?:<class '\w+'>,\s*)?\{\s*'", re.IGNORECASE
)
_ARRAY = re.compile(
    r"\[\s*(?:\{|\[\s*[\[{\d.+-]|(?:[-+]?[\d.]+(?:[eE][-+]?\d+)?|NaN|nan|null|tensor\([\d.]+\)|"
    r"np\.float\d+\([\d.e-]+\))\s*(?:,|\]\s*$))"
)
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def open_text(head: bytes) -> str:
    """Return the first characters of a file without byte-order mark and blank space."""
    if head.startswith(_WIDE):
        return head[: LOOK * 2].decode("utf-16", "ignore").lstrip()
    start = head[:LOOK].removeprefix(codecs.BOM_UTF8).lstrip()
    if start[1:2] == b"\0":
        return head[: LOOK * 2].decode("utf-16-le", "ignore").lstrip()
    return start.decode("utf-8", "ignore")


def is_lines(head: bytes) -> bool:
    """Tell whether a file holds one JSON object a line, in two lines or more."""
    text = open_text(head)
    if not _OBJECT.match(text):
        return False
    first, ended, rest = text.partition("\n")
    if not ended:
        return _is_long_line(head)
    return first.rstrip().endswith("}") and rest.lstrip().startswith("{")


def is_document(head: bytes) -> bool:
    """Tell whether a file is one JSON document or one Python literal."""
    text = open_text(head)
    if _OBJECT.match(text) or _ARRAY.match(text):
        return True
    if not _LITERAL.match(text):
        return False
    first, _, rest = text.partition("\n")  # lines of dictionaries are printed text
    return not rest.strip() or not first.rstrip().endswith("}")


def _is_long_line(head: bytes) -> bool:
    """Tell whether a first line longer than what is looked at is followed by another object."""
    end = head.find(b"\n", LOOK)
    after = head[end : end + 64].strip()
    return end > 0 and head[:end].rstrip().endswith(b"}") and after.startswith(b"{")
