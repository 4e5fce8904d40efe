"""The parts of YAML that stand on one line: scalars, quoted text, and what is in brackets."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Brackets",
    "YamlError",
    "close_quote",
    "join_lines",
    "parse_flow",
    "parse_scalar",
    "scan_brackets",
    "unquote",
]

#: brackets within each other
DEPTH = 24

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,30})")
_BASED = re.compile(r"0x[0-9a-fA-F]{1,16}|0o?[0-7]{1,20}|0b[01]{1,64}")
_FLOAT = re.compile(r"[-+]?(?:\d[\d_]*\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d{1,4})?")
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null"), None),
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
    ".inf": float("inf"),
    "+.inf": float("inf"),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}
_ESCAPES = {"0": "\0", "a": "\a", "e": "\x1b", "v": "\v", " ": " ", "_": "\xa0", "N": "\x85"}
_ESCAPES |= {"L": "\u2028", "P": "\u2029"}
_HEX = {"x": 2, "u": 4, "U": 8}


class YamlError(ValueError):
    """A text that is no YAML of the kind that configuration files use."""


def parse_scalar(text: str) -> str | float | bool | None:
    """Return a plain text as None, bool, int or float where it is written as one, else as it is."""
    if len(text) > 40:
        return text
    lower = text.lower()
    if lower in _WORDS and text in (lower, lower.capitalize(), lower.upper()):
        return _WORDS[lower]
    if _INTEGER.fullmatch(text):
        return int(text.replace("_", ""))
    if _BASED.fullmatch(text):
        digits = text[2:] if text[1:2] in "xob" else text[1:]
        return int(digits, {"x": 16, "b": 2}.get(text[1], 8))
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    return text


def close_quote(text: str, start: int, quote: str = "") -> int:
    """Return where the quote that opens at ``start`` is closed, or -1.

    Parameters
    ----------
    text : str
        The text.
    start : int
        Where the opening quote stands; -1 if it stands on an earlier line.
    quote : str
        That quote, where it is on an earlier line.
    """
    quote = quote or text[start]
    at = start + 1
    while at < len(text):
        if text[at] == "\\" and quote == '"':
            at += 2
        elif text[at] != quote:
            at += 1
        elif quote == "'" and text[at + 1 : at + 2] == "'":
            at += 2
        else:
            return at
    return -1


@dataclass(frozen=True)
class Brackets:
    """How a line ends that lists or mappings in brackets run through.

    Parameters
    ----------
    depth : int
        Brackets that are open.
    quote : str
        The quote that is open; empty where none is.
    end : int
        Where a comment begins, or the line ends.
    """

    depth: int = 0
    quote: str = ""
    end: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the next line belongs to the brackets."""
        return self.depth > 0 or bool(self.quote)


def scan_brackets(line: str, before: Brackets | None = None) -> Brackets:
    """Return how a line ends, from how the line before it ended."""
    depth, quote = (before.depth, before.quote) if before else (0, "")
    at = 0
    while at < len(line):
        if quote:
            at = close_quote(line, at - 1, quote) + 1
            if not at:
                return Brackets(depth, quote, len(line))
            quote = ""
            continue
        mark = line[at]
        if mark in "\"'" and line[:at].rstrip()[-1:] in ("", *",[{:"):
            quote = mark
        elif mark == "#" and line[at - 1 : at].strip() == "":
            return Brackets(depth, "", at)
        depth += (mark in "[{") - (mark in "]}")
        at += 1
    return Brackets(depth, quote, len(line))


def join_lines(pieces: list[str], quotes: list[str]) -> str:
    """Return lines as one, with a space between two.

    Parameters
    ----------
    pieces : list of str
        The lines.
    quotes : list of str
        The quote that is open at the end of each; within double quotes a backslash there joins
        the line with the next.
    """
    joined = []
    for piece, quote in zip(pieces, quotes, strict=True):
        slashes = len(piece) - len(piece.rstrip("\\"))
        joined.append(piece[:-1] if slashes % 2 and quote == '"' else piece + " ")
    return "".join(joined).rstrip(" ")


def unquote(text: str) -> str:
    """Return what a quoted text says.

    Raises
    ------
    YamlError
        If it holds an escape that there is not.
    """
    inner = text[1:-1]
    if text[0] == "'":
        return inner.replace("''", "'")
    if "\\" not in inner:
        return inner
    try:
        return str(json.loads(f'"{inner}"', strict=False))
    except ValueError:
        return _unescape(inner)


def _unescape(inner: str) -> str:
    pieces, at = [], 0
    while at < len(inner):
        if inner[at] != "\\":
            pieces.append(inner[at])
            at += 1
            continue
        code = inner[at + 1 : at + 2]
        width = _HEX.get(code, 0)
        if width:
            try:
                pieces.append(chr(int(inner[at + 2 : at + 2 + width], 16)))
            except (ValueError, OverflowError):
                raise YamlError("an escape names no character") from None
        else:
            named = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
            pieces.append(_ESCAPES.get(code, named.get(code, code)))
        at += 2 + width
    return "".join(pieces)


def parse_flow(text: str) -> Any:  # noqa: ANN401  # whatever stands in the brackets
    """Return what stands in brackets: lists, mappings and scalars within each other.

    Raises
    ------
    YamlError
        If a bracket or quote does not end, or they go too deep.
    """
    value, at = _parse_item(text, 0, 0)
    if text[at:].strip() and not text[at:].lstrip().startswith("#"):
        raise YamlError("something stands behind the brackets")
    return value


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _parse_item(text: str, at: int, depth: int) -> tuple[Any, int]:
    at = _skip(text, at)
    if depth > DEPTH:
        raise YamlError("brackets go too deep")
    if text[at : at + 1] == "[":
        return _parse_items(text, at + 1, depth)
    if text[at : at + 1] == "{":
        return _parse_entries(text, at + 1, depth)
    if text[at : at + 1] in ('"', "'"):
        end = close_quote(text, at)
        if end < 0:
            raise YamlError("a quoted text does not end")
        return unquote(text[at : end + 1]), end + 1
    end = at
    while end < len(text) and text[end] not in ",[]{}" and text[end : end + 2] not in (": ", ":"):
        end += 1
    return parse_scalar(text[at:end].strip()), end


def _parse_items(text: str, at: int, depth: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    while True:
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            return items, at + 1
        value, end = _parse_item(text, at, depth + 1)
        at = _skip(text, end)
        if text[at : at + 1] == ":":  # a single entry of a mapping within a list
            other, at = _parse_item(text, at + 1, depth + 1)
            value, at = {_name(value): other}, _skip(text, at)
        items.append(value)
        if text[at : at + 1] not in (",", "]"):
            raise YamlError("a list in brackets does not end")
        at += text[at] == ","


def _parse_entries(text: str, at: int, depth: int) -> tuple[dict[str, Any], int]:
    entries: dict[str, Any] = {}
    while True:
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            return entries, at + 1
        key, end = _parse_item(text, at, depth + 1)
        at = _skip(text, end)
        value = None
        if text[at : at + 1] == ":":
            value, at = _parse_item(text, at + 1, depth + 1)
            at = _skip(text, at)
        entries[_name(key)] = value
        if text[at : at + 1] not in (",", "}"):
            raise YamlError("a mapping in brackets does not end")
        at += text[at] == ","


def _name(key: object) -> str:
    return key if isinstance(key, str) else json.dumps(key, default=str)
