"""Readers that other packages bring: found by entry point, loaded only when they are needed."""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING

from fitdiag.readers.reader import Reader

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "find_plugin", "list_plugins", "load_plugins"]

#: the entry-point group
GROUP = "fitdiag.readers"


@functools.cache
def _find_points() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points

    return tuple(sorted(entry_points(group=GROUP), key=lambda point: point.name))


@functools.cache
def _load(point: EntryPoint) -> Reader | None:
    """Load one reader; a plug-in that fails is named once and then left out."""
    try:
        found = point.load()
        reader = found if isinstance(found, Reader) else found()
        if not isinstance(reader, Reader):
            raise TypeError(f"it gives a {type(reader).__name__} and no Reader")  # noqa: TRY301  # told like every other failure
        if reader.name != point.name:
            raise ValueError(f"its reader is called {reader.name!r}")  # noqa: TRY301  # likewise
    except Exception as error:  # noqa: BLE001  # a stranger's code may fail in any way
        source = getattr(point.dist, "name", None) or "an unknown package"
        warnings.warn(
            f"the reader {point.name!r} of {source} cannot be used and is left out: "
            f"{type(error).__name__}: {error}",
            UserWarning,
            stacklevel=2,
        )
        return None
    return reader


def list_plugins() -> tuple[tuple[str, str, str], ...]:
    """Return name, description and where it comes from, of every plug-in, without loading it."""
    return tuple(
        (
            point.name,
            f"plug-in, from {getattr(point.dist, 'name', None) or point.value}",
            point.value,
        )
        for point in _find_points()
    )


def find_plugin(name: str) -> Reader | None:
    """Return the plug-in of a name, or None where there is none or it is broken."""
    found = (_load(point) for point in _find_points() if point.name == name)
    return next((reader for reader in found if reader is not None), None)


def load_plugins() -> tuple[Reader, ...]:
    """Return all plug-ins that can be loaded, by name."""
    return tuple(reader for reader in map(_load, _find_points()) if reader is not None)
