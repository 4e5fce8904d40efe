"""Readers: every log becomes a :class:`~fitdiag.run.Run` at once, whatever its format."""

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
from fitdiag.readers.reader import Reader
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

__all__ = ["READERS", "Reader", "formats", "read", "runs", "sniff"]

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
    """Read a log.

    Parameters
    ----------
    path : str or path, or sequence of them
        A log file; or a folder that a tracker wrote, or that holds a log anywhere below it; or
        several CSV files that are one run, such as one for each metric or split.
    format : str, optional
        Name of a format, see :func:`formats`. Default: recognised from the file.
    columns : mapping of str to str, optional
        Canonical curve name to the log's own column, where the names in the log do not tell; for
        example ``{"train_loss": "my column"}``. In a table without a header, columns go by number.
    run : int, optional
        Which of several runs in one log, or below one folder, from 1; negative numbers count
        from the end. Default: the last one that has both losses, or else the last.

    Returns
    -------
    Run
        Its ``source.notes`` tell everything that had to be decided or left out.

    Raises
    ------
    ReadError
        If the file cannot be read, with what is wrong with it and what to do.
    ColumnError
        If the training loss cannot be told, or ``columns`` names a column that is not there.
    UsageError
        If the format or a curve name in ``columns`` is unknown.

    Examples
    --------
    >>> import fitdiag
    >>> run = fitdiag.read("history.csv", columns={"train_loss": "my column"})  # doctest: +SKIP
    """
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
    """Find all runs below a folder, one after the other.

    Parameters
    ----------
    folder : str or path
        Where to begin; a single log is looked at too.
    format : str, optional
        Only logs that this reader reads. Default: all formats.
    columns : mapping of str to str, optional
        As for :func:`read`.

    Yields
    ------
    path : Path
        The log: a file, or a folder that is one log as its tracker wrote it.
    run : Run
        One of its runs; a log that holds several comes several times. Files that are no logs are
        passed over in silence; what may not be read is named in a warning.

    Raises
    ------
    ReadError
        If there is no such folder.
    UsageError
        If the format or a curve name in ``columns`` is unknown.

    Examples
    --------
    >>> import fitdiag
    >>> for path, run in fitdiag.runs("experiments"):  # doctest: +SKIP
    ...     print(path, fitdiag.diagnose(run).verdict)
    """
    columns = dict(columns or {})
    check_targets(columns)
    chosen = None if format is None else _find_reader(format)
    place = Path(folder)
    if not place.is_dir():
        return ((place, run) for run in _read_one(place, chosen, columns))
    return walk_runs(place, lambda inner: _attempt(inner, chosen, columns))


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
