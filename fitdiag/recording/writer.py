"""The native log on disk: one wide CSV, append-only, whole lines in one write."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fitdiag.errors import UsageError, WriteError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import RawIOBase

    from fitdiag.recording.timeline import Row

__all__ = ["COLUMNS", "LogWriter", "check_name", "format_number"]

#: the columns that every log has, in this order; metrics follow as they appear
COLUMNS = (
    "step",
    "epoch",
    "train_loss",
    "val_loss",
    "batch_loss",
    "grad_norm",
    "grad_norm_max",
    "lr",
)


def format_number(value: float | None) -> str:
    """Write a number in as many digits as float32 carries; ``nan``, ``inf``, ``-inf`` as such.

    Examples
    --------
    >>> format_number(0.1), format_number(3), format_number(float("-inf")), format_number(None)
    ('0.1', '3', '-inf', '')
    """
    if value is None:
        return ""
    if isinstance(value, int):
        return str(int(value))
    return f"{value:.9g}" if math.isfinite(value) else str(float(value))


class LogWriter:
    """Writes rows to one log.

    The file is opened for each write and closed again, so that nothing is held while the
    training runs. Lines are only ever appended, but for a draft, a last line that is not complete
    yet, which the next write replaces. A column that was not there before makes the file be
    written anew, beside itself, and put in place in one move.

    Parameters
    ----------
    path : str or path
        The log.
    overwrite : bool
        Whether a log that is there may be replaced.

    Raises
    ------
    WriteError
        If there is such a file already, or the path cannot be one.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.path = Path(path).absolute()  # the training may change its working directory
        self.columns = list(COLUMNS)
        self.vanished = False  # the file was gone when it was to be appended to
        self._draft = b""  # lines at the end of the file that the next write replaces
        self._overwrite = overwrite
        self._check()

    def _check(self) -> None:
        if self.path.is_dir():
            raise WriteError(f"{self.path} is a folder: give the log a file name, such as logs.csv")
        if self._overwrite or not self.path.exists() or self._is_bare():
            return
        raise WriteError(
            f"{self.path} exists: pass overwrite=True to replace it, or give log= another name"
        )

    def _is_bare(self) -> bool:
        """Tell whether the file holds at most a header: a run that died before its first row."""
        try:
            with self.path.open("rb") as file:
                return file.read(len(self._header()) + 1) in (b"", self._header())
        except OSError:
            return False

    def _header(self) -> bytes:
        return (",".join(self.columns) + "\n").encode()

    def begin(self) -> None:
        """Make the folder and the file, with its header.

        Raises
        ------
        WriteError
            If that cannot be done.
        """
        self._check()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(self._header())
        except OSError as error:
            raise WriteError(f"{self.path} cannot be written: {error.strerror or error}") from error

    def write(self, rows: Sequence[Row], draft: Sequence[Row] = ()) -> None:
        """Append rows; the file grows by all of them or by none.

        Parameters
        ----------
        rows : sequence of Row
            Those that are complete.
        draft : sequence of Row, optional
            What is known of the next one; the next write replaces it.

        Raises
        ------
        OSError
            If the disk does not take them.
        """
        fresh = [name for row in (*rows, *draft) for name in row.cells if name not in self.columns]
        if fresh:
            self._widen(list(dict.fromkeys(fresh)))
        lines, last = ("".join(map(self._format, part)).encode() for part in (rows, draft))
        if not rows and last == self._draft:
            return
        with self.path.open("r+b" if self.path.exists() else "ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            lines += last
            if not size:
                self.vanished = True
                lines = self._header() + lines
            start = self._find_draft(file, size)
            self._draft = b""
            try:
                if size - start > len(lines):
                    file.truncate(start)
                file.seek(start)
                written = 0
                while written < len(lines):
                    written += file.write(lines[written:]) or 0
            except BaseException:
                file.truncate(start)
                raise
        self._draft = last

    def _find_draft(self, file: RawIOBase, size: int) -> int:
        """Return where the next line begins: over the draft, unless somebody wrote after it."""
        start = size - len(self._draft)
        if not self._draft or start < 0:
            return size
        file.seek(start)
        return start if file.read(len(self._draft)) == self._draft else size

    def _format(self, row: Row) -> str:
        cells = (format_number(row.cells.get(name)) for name in self.columns[2:])
        return ",".join((str(row.step), format_number(row.epoch), *cells)) + "\n"

    def _widen(self, names: list[str]) -> None:
        columns = [*self.columns, *names]
        commas = b"," * len(names)
        handle, beside = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with open(handle, "wb") as new:  # noqa: PTH123 takes a handle
                new.write((",".join(columns) + "\n").encode())
                if self.path.exists():
                    with self.path.open("rb") as old:
                        old.readline()
                        new.writelines(line.rstrip(b"\n") + commas + b"\n" for line in old)
            if self.path.exists():
                shutil.copymode(self.path, beside)
            Path(beside).replace(self.path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
        self.columns = columns
        self._draft = self._draft.replace(b"\n", commas + b"\n")


def check_name(name: str) -> str:
    """Return a column name that stands in a CSV header without quotes.

    Raises
    ------
    UsageError
        If it is ``step`` or ``epoch``, empty, or has a comma, quote or line break in it.
    """
    if name in ("step", "epoch") or not name.strip() or set(name) & set(',;"\n\r\t'):
        raise UsageError(f"{name!r} cannot name a column: use words such as val_accuracy")
    return name
