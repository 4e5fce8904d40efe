"""Readers: every log becomes a :class:`~fitdiag.run.Run` at once, whatever its format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fitdiag.errors import FormatError, ReadError, UsageError
from fitdiag.readers import files
from fitdiag.readers.folder import read_folder
from fitdiag.readers.native import NATIVE
from fitdiag.readers.reader import Reader
from fitdiag.readers.roles import check_targets
from fitdiag.readers.selection import select_run
from fitdiag.readers.table import TABLE
from fitdiag.run import Run

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["READERS", "Reader", "formats", "read", "sniff"]

#: all readers, most specific first: the first that recognises a file reads it
READERS: tuple[Reader, ...] = (NATIVE, TABLE)


def formats() -> tuple[tuple[str, str, str], ...]:
    """Return name, description and usual file name of every format that can be read.

    Examples
    --------
    >>> from fitdiag.readers import formats
    >>> [name for name, _, _ in formats()]
    ['native', 'csv']
    """
    return tuple((reader.name, reader.description, reader.example) for reader in READERS)


def sniff(path: str | os.PathLike[str], head: bytes) -> Reader | None:
    """Return the reader that recognises a file, or None.

    Parameters
    ----------
    path : str or path
        Its name.
    head : bytes
        Its first bytes, a few kilobytes at least.
    """
    return next((reader for reader in READERS if reader.matches(Path(path), head)), None)


def read(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002  # what the option is called everywhere
    columns: Mapping[str, str] | None = None,
    run: int | None = None,
) -> Run:
    """Read a log.

    Parameters
    ----------
    path : str or path
        A log file, or a folder that directly holds one.
    format : str, optional
        Name of a format, see :func:`formats`. Default: recognised from the file.
    columns : mapping of str to str, optional
        Canonical curve name to the log's own column, where the names in the log do not tell; for
        example ``{"train_loss": "my column"}``. In a table without a header, columns go by number.
    run : int, optional
        Which of several runs in one log, from 1; negative numbers count from the end. Default:
        the last one that has both losses, or else the last.

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
    place = Path(path)
    if place.is_dir() and (chosen is None or not chosen.folders):
        chosen = next((each for each in READERS if each.folders and each.matches(place, b"")), None)
        if chosen is None:
            return read_folder(place, lambda file: _read_file(file, chosen, columns, run))
    return _read_file(place, chosen, columns, run)


def _find_reader(name: str) -> Reader:
    for reader in READERS:
        if reader.name == name:
            return reader
    choices = ", ".join(reader.name for reader in READERS)
    raise UsageError(f"unknown format {name!r}: choose one of {choices}.")


def _read_file(
    path: Path, chosen: Reader | None, columns: Mapping[str, str], number: int | None
) -> Run:
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
    return select_run([found] if isinstance(found, Run) else list(found), number, path)
