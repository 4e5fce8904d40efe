"""All readers, and the choice among them; loaded once a log is not fitdiag's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fitdiag.errors import FormatError, ReadError, UsageError
from fitdiag.readers import files
from fitdiag.readers.bundle import read_bundle
from fitdiag.readers.dvclive import DVCLIVE
from fitdiag.readers.folder import read_folder
from fitdiag.readers.jsons import JSON_READERS
from fitdiag.readers.native import NATIVE
from fitdiag.readers.pairs import PAIRS
from fitdiag.readers.plugins import find_plugin, list_plugins, load_plugins
from fitdiag.readers.roles import check_targets
from fitdiag.readers.selection import select_run
from fitdiag.readers.stdout import STDOUT
from fitdiag.readers.table import TABLE
from fitdiag.readers.tensorboard import TENSORBOARD, TENSORBOARD_CSV
from fitdiag.readers.trackers import TRACKERS
from fitdiag.readers.transposed import TRANSPOSED
from fitdiag.readers.versions import VERSIONS
from fitdiag.readers.walk import walk_runs
from fitdiag.readers.wandb_export import WANDB_EXPORT
from fitdiag.readers.yolo import YOLO
from fitdiag.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fitdiag.readers.reader import Reader

__all__ = ["READERS", "formats", "read", "read_all", "runs", "sniff", "sniff_folder"]

#: all readers, most specific first: the first that recognises a file reads it
READERS: tuple[Reader, ...] = (
    NATIVE,
    *TRACKERS,
    *JSON_READERS,
    DVCLIVE,
    VERSIONS,
    PAIRS,
    YOLO,
    TENSORBOARD,
    TENSORBOARD_CSV,
    WANDB_EXPORT,
    TRANSPOSED,
    TABLE,
    STDOUT,
)


def formats() -> tuple[tuple[str, str, str], ...]:
    """Return name, description and usual file name of every format that can be read.

    Readers of other packages come last, without being loaded.

    Examples
    --------
    >>> from fitdiag.readers import formats
    >>> [name for name, _, _ in formats()][0]
    'native'
    """
    own = tuple((reader.name, reader.description, reader.example) for reader in READERS)
    return own + list_plugins()


def sniff(path: str | os.PathLike[str], head: bytes) -> Reader | None:
    """Return the reader that recognises a file, or None.

    Parameters
    ----------
    path : str or path
        Its name.
    head : bytes
        Its first bytes, a few kilobytes at least.
    """
    return _match(READERS, Path(path), head) or _match(load_plugins(), Path(path), head)


def read(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    format: str | None = None,  # noqa: A002  # what the option is called everywhere
    columns: Mapping[str, str] | None = None,
    run: int | None = None,
) -> Run:
    """Read a log; see :func:`fitdiag.read`."""
    columns = dict(columns or {})
    check_targets(columns)
    chosen = None if format is None else _find_reader(format)
    places = [Path(path)] if isinstance(path, (str, os.PathLike)) else [Path(one) for one in path]
    if len(places) != 1:
        return _read_together(places, chosen, columns, run)
    place = places[0]
    if not place.is_dir() or (chosen is not None and chosen.folders):
        return select_run(_read_one(place, chosen, columns), run, place)
    found = None if chosen is not None else sniff_folder(place)
    if found is not None:
        return select_run(_read_one(place, found, columns), run, place)
    return read_folder(place, lambda inner: _attempt(inner, chosen, columns), run)


def runs(
    folder: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002  # what the option is called everywhere
    columns: Mapping[str, str] | None = None,
) -> Iterator[tuple[Path, Run]]:
    """Find all runs below a folder; see :func:`fitdiag.runs`."""
    columns = dict(columns or {})
    check_targets(columns)
    chosen = None if format is None else _find_reader(format)
    place = Path(folder)
    if not place.is_dir():
        return ((place, run) for run in _read_one(place, chosen, columns))
    return walk_runs(place, lambda inner: _attempt(inner, chosen, columns))


def read_all(path: Path, reader: Reader) -> Sequence[Run]:
    """Read all runs of a log with the reader that recognises it.

    Raises
    ------
    ReadError
        If it cannot be read.
    """
    return _read_one(path, reader, {})


def sniff_folder(path: Path) -> Reader | None:
    """Return the reader that recognises a folder as one log, or None."""
    found = _match([each for each in READERS if each.folders], path, b"")
    return found or _match([each for each in load_plugins() if each.folders], path, b"")


def _match(readers: Sequence[Reader], path: Path, head: bytes) -> Reader | None:
    return next((reader for reader in readers if reader.matches(path, head)), None)


def _find_reader(name: str) -> Reader:
    for reader in READERS:
        if reader.name == name:
            return reader
    plugin = find_plugin(name)
    if plugin is not None:
        return plugin
    choices = ", ".join(known for known, _, _ in formats())
    raise UsageError(f"unknown format {name!r}: choose one of {choices}.")


def _read_together(
    places: list[Path], chosen: Reader | None, columns: Mapping[str, str], number: int | None
) -> Run:
    if not places:
        raise UsageError("no log was given: name at least one file.")
    if chosen is not None and chosen not in {TABLE, WANDB_EXPORT}:
        raise UsageError(f"the format {chosen.name} takes one log, not {len(places)}.")
    try:
        found = read_bundle(places, columns)
    except OSError as error:
        raise ReadError(files.describe_os_error(places[0], error)) from None
    return select_run(found, number, places[0])


def _attempt(path: Path, chosen: Reader | None, columns: Mapping[str, str]) -> Sequence[Run]:
    """Read what lies in a folder; nothing where no reader recognises it."""
    if path.is_dir():
        found = sniff_folder(path)
        wanted = found is not None and (chosen is None or chosen is found)
        return _read_one(path, found, columns) if wanted else []
    head = files.read_head(path)
    found = sniff(path, head)
    if found is None or (chosen is not None and chosen is not found):
        return []
    return _read_one(path, found, columns)


def _read_one(path: Path, chosen: Reader | None, columns: Mapping[str, str]) -> Sequence[Run]:
    """Read all runs of a log."""
    if not path.is_dir():
        head = files.read_head(path)
        chosen = chosen or sniff(path, head)
        if chosen is None or chosen.text:
            files.check_text(path, head)
    if chosen is None:
        known = ", ".join(f"{each.name} ({each.example})" for each in READERS)
        raise FormatError(f"{path} is in no format that fitdiag knows; it reads {known}.")
    try:
        found = chosen.read(path, columns)
    except OSError as error:
        raise ReadError(files.describe_os_error(path, error)) from None
    return [found] if isinstance(found, Run) else list(found)
