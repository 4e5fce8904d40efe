"""The settings of a training, as the user keeps them, as flat plain data."""

from __future__ import annotations

import dataclasses
import math
from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fitdiag.errors import UsageError

if TYPE_CHECKING:
    from fitdiag.source import Scalar

__all__ = ["read_settings"]

#: settings that are kept, and characters of each
MOST_SETTINGS = 1000
MOST_CHARACTERS = 500
#: how deep settings may be nested
DEPTH = 8


def read_settings(config: object) -> dict[str, Scalar]:
    """Return settings by name, nested ones with names joined by dots.

    Parameters
    ----------
    config : mapping, Namespace, dataclass or None
        Numbers, strings, booleans and None are kept as they are; of anything else its text.

    Raises
    ------
    UsageError
        If it is none of these, or nested without end.

    Examples
    --------
    >>> read_settings({"lr": 0.1, "net": {"width": 64, "act": "relu"}})
    {'lr': 0.1, 'net.width': 64, 'net.act': 'relu'}
    """
    if config is None:
        return {}
    nested = _open(config)
    if nested is None:
        raise UsageError(
            f"config is a {type(config).__name__}: pass a mapping such as vars(args), a "
            "namespace or a dataclass"
        )
    flat: dict[str, Scalar] = {}
    _flatten(nested, "", flat, DEPTH)
    return flat


def _open(value: object) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Namespace):
        return vars(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    return None


def _flatten(nested: Mapping[Any, Any], prefix: str, flat: dict[str, Scalar], depth: int) -> None:
    if not depth:
        raise UsageError(f"config is nested more than {DEPTH} deep at {prefix[:80]!r}")
    for name, value in nested.items():
        if len(flat) >= MOST_SETTINGS:
            return
        inner = _open(value)
        if inner is not None:
            _flatten(inner, f"{prefix}{name}.", flat, depth - 1)
        else:
            flat[f"{prefix}{name}"[:MOST_CHARACTERS]] = _read_scalar(value)


def _read_scalar(value: object) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < 1 << 63 else str(value)[:MOST_CHARACTERS]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, str):
        return str(value)[:MOST_CHARACTERS]
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return _read_scalar(value.item())
    return str(value)[:MOST_CHARACTERS]
