"""From bytes to JSON values: encodings, bounds on size and depth, and numbers in odd dress."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from fitdiag.errors import FormatError, ReadError
from fitdiag.readers import files
from fitdiag.readers.jsons.literals import translate_literal
from fitdiag.readers.jsons.salvage import close_text
from fitdiag.readers.text import decode, guess_encoding

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DOCUMENT_LIMIT", "load_document", "parse", "to_number"]

#: one JSON document of more bytes than this is no training history
DOCUMENT_LIMIT = 128 << 20

#: documents written one after the other into one file, at most
DOCUMENTS = 10_000

#: a number in words is not longer than this
CELL_LIMIT = 64

#: keys of an array scalar that was written as an object
BOXES = ("value", "values", "item", "py/numpy")

_DECODER = json.JSONDecoder(parse_int=float)
_SPACE = re.compile(r"[\s\x00,]*")
_DRESSED = re.compile(r"(?:[\w.]*\()?\s*([-+]?[\w.+-]+?)\s*(?:[,)].*|%)?")


def parse(text: str) -> object:
    """Return what a JSON text holds; NaN and Infinity are numbers, every integer is a float.

    Raises
    ------
    ValueError
        If it is no JSON, or nested too deeply.
    """
    try:
        value: object = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def load_document(path: Path, notes: list[str] | None = None) -> object:
    """Return the JSON or Python literal that a whole file holds; several become a list.

    Parameters
    ----------
    path : Path
        The file.
    notes : list of str, optional
        Told when the file stops in the middle, and what stands complete in it was read. Without
        it such a file is refused.

    Raises
    ------
    ReadError
        If the file cannot be opened, is too large, or is no complete JSON.
    """
    head = files.read_head(path)
    files.check_text(path, head)
    if path.stat().st_size > DOCUMENT_LIMIT:
        raise ReadError(
            f"{path} is one JSON document of more than {DOCUMENT_LIMIT >> 20} MiB: write one line "
            "a step (JSON lines) or a CSV instead."
        )
    with path.open("rb") as file:
        data = file.read(DOCUMENT_LIMIT)
    text = decode(data, guess_encoding(head.rstrip(b"\0")))
    return _parse_document(text, str(path), notes)


def _parse_document(text: str, name: str, notes: list[str] | None) -> object:
    """Return the documents in a text; one alone as it is, several as a list.

    Raises
    ------
    FormatError
        Saying where the text stops to be JSON.
    """
    found: list[object] = []
    at = _skip(text, 0)
    try:
        while at < len(text) and len(found) < DOCUMENTS:
            value, at = _DECODER.raw_decode(text, at)
            found.append(value)
            at = _skip(text, at)
    except (ValueError, RecursionError) as error:
        literal = _parse_literal(text)
        if literal is not None:
            return literal
        rest = _salvage(text[at:]) if notes is not None and _is_cut(text, error) else None
        if notes is None or rest is None:
            raise FormatError(f"{name} is no complete JSON: {_explain(text, error)}.") from None
        notes.append(
            "The file stops in the middle, as one does whose writer was killed: what stands "
            "complete in it was read."
        )
        found.append(rest)
    if not found:
        raise ReadError(f"{name} holds nothing but blank space: nothing has been written to it.")
    return found[0] if len(found) == 1 else found


def to_number(value: object) -> float | None:
    """Return the number that a JSON value stands for, or None.

    A number may stand in a string (``"NaN"``, ``"0.5"``, ``"tensor(0.5)"``), alone in a list, or
    in the object that an array scalar was written as.
    """
    if type(value) is float:
        return value
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        return _read_cell(value)
    if isinstance(value, list):
        return to_number(value[0]) if len(value) == 1 and not isinstance(value[0], list) else None
    if isinstance(value, dict) and {"dtype", "py/object"} & value.keys():
        boxed = next((value[key] for key in BOXES if key in value), None)
        return None if isinstance(boxed, dict) else to_number(boxed)
    return None


def _read_cell(cell: str) -> float | None:
    if len(cell) > CELL_LIMIT:
        return None
    dressed = _DRESSED.fullmatch(cell.strip())
    try:
        return float(dressed[1]) if dressed else None
    except ValueError:
        return None


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _parse_literal(text: str) -> object:
    translated = translate_literal(text)
    if translated is None:
        return None
    try:
        return parse(translated)
    except ValueError:
        return None


def _salvage(text: str) -> object:
    """Return what stands complete in a text that stops in the middle, or None."""
    closed = close_text(text)
    try:
        return None if closed is None else parse(closed)
    except ValueError:
        return None


def _is_cut(text: str, error: Exception) -> bool:
    """Tell whether the text was good JSON up to its end."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.pos >= len(text.rstrip("\0 \r\n\t")) - 1 or "Unterminated" in error.msg


def _explain(text: str, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        if _is_cut(text, error):
            return "it stops in the middle, as a file does whose writer was killed; copy it again"
        return f"{error.msg} in line {error.lineno}, column {error.colno}"
    return str(error)
