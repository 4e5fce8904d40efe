"""What :func:`fitdiag.record` was asked for, besides the objects that it watches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fitdiag.recording.checkpoints.plan import Plan

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from fitdiag.source import Scalar

__all__ = ["Options"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The keywords of :func:`fitdiag.record`, where they are described."""

    log: str | os.PathLike[str]
    every: int | None = None
    overwrite: bool = False
    flush_seconds: float = 5.0
    progress: bool | None = None
    resume: bool | int = False
    config: Mapping[str, Scalar] = field(default_factory=dict)
    checks: bool | str = True
    layers: bool | str | Iterable[str] = True
    plan: Plan = field(default_factory=Plan)
