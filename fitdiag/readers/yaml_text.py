"""YAML as configuration files use it, read into plain data without running anything.

Mappings, lists, flow style, quoted, folded and plain text, anchors and aliases are understood; tags
are dropped, so that ``!!python/object`` gives the plain data beneath it and makes no object. A
general YAML library refuses such files as a whole, takes ``1e-4`` for text, and costs
milliseconds a file where a scan has one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from fitdiag.readers.yaml_flow import (
    YamlError,
    close_quote,
    join_lines,
    parse_flow,
    parse_scalar,
    scan_brackets,
    unquote,
)

__all__ = ["YamlError", "parse_yaml"]

#: mappings and lists within each other
DEPTH = 24

#: lines of a file
LINES = 50_000

_TAG = re.compile(r"!(?P<tag>[^\s,\[\]{}]*)(?:\s+|$)")
_ANCHOR = re.compile(r"&(?P<name>[^\s,\[\]{}]+)(?:\s+|$)")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_OPEN = ("[", "{")
_QUOTES = ('"', "'")


@dataclass
class _Text:
    """The lines that hold anything, as (indent, content), and the anchors seen so far."""

    lines: list[tuple[int, str]]
    anchors: dict[str, Any] = field(default_factory=dict)

    def indent(self, at: int) -> int:
        """Return a line's indent; -1 beyond the end."""
        return self.lines[at][0] if at < len(self.lines) else -1

    def content(self, at: int) -> str:
        return self.lines[at][1] if at < len(self.lines) else ""


def parse_yaml(text: str) -> Any:  # noqa: ANN401  # whatever the document holds
    """Return the first document of a YAML text as dicts, lists, text, numbers, bools and None.

    Parameters
    ----------
    text : str
        The whole file.

    Raises
    ------
    YamlError
        If it is nested too deeply, does not end, or holds what is not understood.
    """
    lines: list[tuple[int, str]] = []
    for raw in text.lstrip("\ufeff").splitlines()[:LINES]:
        stripped = raw.strip()
        if stripped.startswith(("---", "...")) and not raw.startswith(" "):
            if lines:
                break
            stripped = stripped[3:].strip()
        if not stripped or stripped[0] == "#" or (raw[0] == "%" and not lines):
            continue
        lines.append((len(raw) - len(raw.lstrip(" ")), stripped))
    if not lines:
        return None
    document = _Text(lines)
    value, at = _parse_node(document, 0, 0)
    if at < len(lines):
        raise YamlError(f"line {lines[at][1][:40]!r} belongs to nothing")
    return value


def _parse_node(text: _Text, at: int, depth: int) -> tuple[Any, int]:
    """Return the value that begins on a line, and the line after it."""
    if depth > DEPTH:
        raise YamlError("it is nested too deeply")
    indent, content = text.lines[at]
    if _is_item(content):
        return _parse_list(text, at, depth)
    if _split_key(content) is not None:
        return _parse_mapping(text, at, depth)
    return _parse_value(text, content, at, indent - 1, depth)


def _is_item(content: str) -> bool:
    return content == "-" or content.startswith("- ")


def _parse_list(text: _Text, at: int, depth: int) -> tuple[list[Any], int]:
    indent = text.indent(at)
    items: list[Any] = []
    while text.indent(at) == indent and _is_item(text.content(at)):
        rest = text.content(at)[1:]
        inner = rest.lstrip()
        if _is_item(inner) or (inner and _split_key(inner) is not None):
            # what stands behind the dash is a block of its own, indented by the dash
            text.lines[at] = (indent + 1 + len(rest) - len(inner), inner)
            value, at = _parse_node(text, at, depth + 1)
        else:
            value, at = _parse_value(text, inner, at, indent, depth + 1)
        items.append(value)
    return items, at


def _parse_mapping(text: _Text, at: int, depth: int) -> tuple[dict[Any, Any], int]:
    indent = text.indent(at)
    entries: dict[Any, Any] = {}
    while text.indent(at) == indent and not _is_item(text.content(at)):
        parts = _split_key(text.content(at))
        if parts is None:
            raise YamlError(f"{text.content(at)[:40]!r} has no key")
        key, rest = parts
        value, at = _parse_value(text, rest, at, indent, depth + 1, in_mapping=True)
        if key == "<<":
            for other in value if isinstance(value, list) else [value]:
                entries = {**(other if isinstance(other, dict) else {}), **entries}
        else:
            entries[key] = value
    return entries, at


def _split_key(content: str) -> tuple[str, str] | None:
    """Return the key and what follows its colon, or None."""
    if content.startswith(_QUOTES):
        end = close_quote(content, 0)
        if end < 0:
            return None
        key, rest = unquote(content[: end + 1]), content[end + 1 :].lstrip()
        return (key, rest[1:].strip()) if rest[:1] == ":" and rest[1:2] in ("", " ") else None
    if content.startswith((*_OPEN, "!", "&", "*", "|", ">", "? ")):
        tag = _TAG.match(content) or _ANCHOR.match(content)
        return None if tag is None or not tag.end() else _split_tagged(content, tag.end())
    at = content.find(": ")
    if at < 0 and content.endswith(":"):
        at = len(content) - 1
    key = content[:at].strip()
    if at < 0 or " #" in key:
        return None
    return key, content[at + 1 :].strip()


def _split_tagged(content: str, end: int) -> tuple[str, str] | None:
    """Split behind a tag of the key; one that stands alone is the tag of what follows."""
    return _split_key(content[end:]) if content[end:] else None


def _parse_value(
    text: _Text, rest: str, at: int, indent: int, depth: int, *, in_mapping: bool = False
) -> tuple[Any, int]:
    """Return the value behind a key or dash on line ``at``, and the line after it."""
    rest, tag, anchor = _take_properties(rest)
    if not rest or rest.startswith("#"):
        value, after = _parse_nested(text, at + 1, indent, depth, in_mapping=in_mapping)
    elif rest[0] in "|>":
        value, after = _collect(text, at + 1, indent)
    elif rest[0] == "*":
        value, after = text.anchors.get(rest[1:].split()[0] if rest[1:].split() else ""), at + 1
    elif rest.startswith(_QUOTES):
        value, after = _parse_quoted(text, rest, at, indent)
    elif rest.startswith(_OPEN):
        value, after = _parse_brackets(text, rest, at, indent)
    else:
        more, after = _collect(text, at + 1, indent)
        plain = _COMMENT.sub("", rest).strip()
        value = f"{plain} {more}" if more else parse_scalar(plain)
    if tag and value in (None, ""):
        value = tag.rpartition(":")[2]  # a name is all there is of it
    elif tag == "!str" and value is not None:
        value = str(value)
    if anchor:
        text.anchors[anchor] = value
    return value, after


def _take_properties(rest: str) -> tuple[str, str, str]:
    """Return what stands behind tag and anchor, the tag, the anchor."""
    tag = anchor = ""
    while match := (_TAG.match(rest) or _ANCHOR.match(rest)):
        named = match.groupdict()
        tag, anchor = named.get("tag") or tag, named.get("name") or anchor
        rest = rest[match.end() :]
    return rest, tag, anchor


def _parse_nested(
    text: _Text, at: int, indent: int, depth: int, *, in_mapping: bool
) -> tuple[Any, int]:
    """Return the block below a key: deeper, or a list that begins right below the key."""
    there = text.indent(at)
    if there > indent or (in_mapping and there == indent and _is_item(text.content(at))):
        return _parse_node(text, at, depth)
    return None, at


def _collect(text: _Text, at: int, indent: int) -> tuple[str, int]:
    """Return the deeper lines from here on, joined by spaces."""
    pieces = []
    while text.indent(at) > indent:
        pieces.append(text.content(at))
        at += 1
    return " ".join(pieces), at


def _parse_quoted(text: _Text, rest: str, at: int, indent: int) -> tuple[str, int]:
    """Return a quoted text, which may go on over deeper lines."""
    after = at + 1
    pieces = [rest]
    end = close_quote(rest, 0)
    while end < 0 and text.indent(after) > indent:
        pieces.append(text.content(after))
        after += 1
        end = close_quote(pieces[-1], -1, rest[0])
    if end < 0:
        raise YamlError("a quoted text does not end")
    joined = join_lines(pieces, [rest[0]] * len(pieces))
    return unquote(joined[: close_quote(joined, 0) + 1]), after


def _parse_brackets(text: _Text, rest: str, at: int, indent: int) -> tuple[Any, int]:
    """Return a list or mapping in brackets, which may go on over further lines."""
    after = at + 1
    state = scan_brackets(rest)
    pieces, quotes = [rest[: state.end]], [state.quote]
    while state.is_open and text.indent(after) >= max(indent, 0):
        line = text.content(after)
        state = scan_brackets(line, state)
        pieces.append(line[: state.end])
        quotes.append(state.quote)
        after += 1
    return parse_flow(join_lines(pieces, quotes)), after
