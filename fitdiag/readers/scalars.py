"""Settings as flat plain data: nested ones with dots between, bounded, and without secrets."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from fitdiag.readers.yaml_flow import parse_scalar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fitdiag.source import Scalar

__all__ = ["MOST", "flatten", "read_text_value"]

#: settings of a run
MOST = 300

#: characters of a name and of a text
NAME, TEXT = 120, 200

#: how deep settings may be nested
DEPTH = 10

#: scalars in a list that is kept, as a text
ITEMS = 8

#: settings that are the tracker's or the serialiser's own
_INTERNAL = frozenset({"_wandb", "wandb_version", "_target_", "_metadata", "_content"})

_SECRET = re.compile(
    r"passw(or)?d|secret|credential|bearer|(^|[._-])(auth|access|api|private|ssh|hf|wandb|hub)?"
    r"[._-]?(token|key)$|apikey",
    re.IGNORECASE,
)


def flatten(content: Mapping[Any, Any]) -> dict[str, Scalar]:
    """Return nested settings as flat ones.

    Parameters
    ----------
    content : mapping
        Mappings, lists and scalars within each other.

    Returns
    -------
    dict of str to scalar
        Short lists of scalars become a text, other lists are left out; so are names that promise
        a password, a token or a key. Numbers that are not finite become text.

    Examples
    --------
    >>> flatten({"net": {"width": 64, "kernel": [3, 3]}, "api_key": "x"})
    {'net.width': 64, 'net.kernel': '[3, 3]'}
    """
    flat: dict[str, Scalar] = {}
    waiting: list[tuple[str, object, int]] = [("", dict(content), 0)]
    while waiting and len(flat) < MOST:
        prefix, value, depth = waiting.pop()
        if isinstance(value, dict):
            entries = list(value.items())[:MOST] if depth < DEPTH else []
            waiting.extend(
                (f"{prefix}.{name}"[-NAME - 1 :] if prefix else str(name)[:NAME], inner, depth + 1)
                for name, inner in reversed(entries)
                if name not in _INTERNAL
            )
        elif prefix and not _SECRET.search(prefix):
            kept, scalar = _read(value)
            if kept:
                flat[prefix] = scalar
    return flat


def _read(value: object) -> tuple[bool, Scalar]:
    """Tell whether a value is kept, and as what."""
    if value is None or isinstance(value, (bool, str)):
        return True, value[:TEXT] if isinstance(value, str) else value
    if isinstance(value, int):
        return (True, value) if value.bit_length() < 64 else (False, None)
    if isinstance(value, float):
        return True, value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)) and len(value) <= ITEMS:
        parts = [_read(each) for each in value if not isinstance(each, (list, tuple, dict))]
        if len(parts) == len(value) and all(kept for kept, _ in parts):
            return True, f"[{', '.join(str(part) for _, part in parts)}]"[:TEXT]
    return False, None


def read_text_value(text: str) -> Scalar:
    """Return a value that is stored as text, as MLflow does, as the scalar that it was."""
    plain = text.strip()
    return None if plain == "None" else parse_scalar(plain)
