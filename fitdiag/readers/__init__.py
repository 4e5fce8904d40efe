"""Readers: every log becomes a :class:`~fitdiag.run.Run` at once, whatever its format.

fitdiag's own logs are read by themselves; the other readers are loaded when a log needs them.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from fitdiag.readers import files
from fitdiag.readers.native import NATIVE
from fitdiag.readers.reader import Reader
from fitdiag.readers.roles import check_targets
from fitdiag.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fitdiag.readers.registry import READERS, formats, sniff

__all__ = ["READERS", "Reader", "formats", "read", "runs", "sniff"]


def __getattr__(name: str) -> object:
    if name not in {"READERS", "formats", "sniff"}:
        raise AttributeError(f"module 'fitdiag.readers' has no attribute {name!r}")
    return getattr(import_module("fitdiag.readers.registry"), name)


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
    if format is None and run is None and isinstance(path, (str, os.PathLike)):
        own = _read_own(Path(path), columns)
        if own is not None:
            return own
    found: Run = import_module("fitdiag.readers.registry").read(
        path, format=format, columns=columns, run=run
    )
    return found


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
    found: Iterator[tuple[Path, Run]] = import_module("fitdiag.readers.registry").runs(
        folder, format=format, columns=columns
    )
    return found


def _read_own(path: Path, columns: Mapping[str, str]) -> Run | None:
    """Read a log that fitdiag wrote and that holds one run; nothing for any other."""
    if not path.is_file() or not NATIVE.matches(path, files.read_head(path)):
        return None
    found = NATIVE.read(path, columns)
    runs = [found] if isinstance(found, Run) else list(found)
    return runs[0] if len(runs) == 1 else None
