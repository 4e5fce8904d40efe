"""The tools, in the order of the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peer_tools import (
    gradsnitch,
    losslint,
    mldoct,
    runmedic,
    runwise,
    sk_autod,
    training_doctor,
    trainproof,
    trainpulse,
)

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["ADAPTERS"]

ADAPTERS: tuple[ModuleType, ...] = (
    trainproof,
    runmedic,
    losslint,
    gradsnitch,
    runwise,
    sk_autod,
    trainpulse,
    training_doctor,
    mldoct,
)
"""Each has a ``TOOL``; see :mod:`peer_tools.tool`."""
