"""The native log on disk: one wide CSV, append-only, whole lines in one write."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fitdiag.errors import UsageError, WriteError
from fitdiag.recording.resumption import cut_log

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import RawIOBase

    from fitdiag.recording.resumption import Place
    from fitdiag.recording.rows import Row

__all__ = ["COLUMNS", "LogWriter", "check_name", "format_number"]

#: the column that says in words what the norms are norms of, from its row on
KIND = "grad_norm_kind"
#: a first line that is longer is no header
MOST_HEADER = 1 << 20
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
    KIND,
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
        Whether a log that is there may be replaced ...
    resume : bool
        ... or gone on with.

    Raises
    ------
    WriteError
        If there is such a file already, or the path cannot be one.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, resume: bool = False
    ) -> None:
        self.path = Path(path).absolute()  # the training may change its working directory
        self.columns = list(COLUMNS)
        self.vanished = False  # the file was gone when it was to be appended to
        self._kind = ""  # the kind of norm that was last written
        self._draft = b""  # lines at the end of the file that the next write replaces
        self._allowed = overwrite or resume
        self._check()

    def _check(self) -> None:
        if self.path.is_dir():
            raise WriteError(f"{self.path} is a folder: give the log a file name, such as logs.csv")
        if self._allowed or not self.path.exists() or self._is_bare():
            return
        raise WriteError(
            f"{self.path} exists: pass resume=True to go on with it, overwrite=True to replace it, "
            "or give log= another name"
        )

    def _is_bare(self) -> bool:
        """Tell whether the file holds at most a header: a run that died before its first row."""
        try:
            with self.path.open("rb") as file:
                first, second = file.readline(MOST_HEADER), file.read(1)
        except OSError:
            return False
        return not first or (first.startswith(b"step,epoch,") and not second)

    def _header(self) -> bytes:
        return (",".join(self.columns) + "\n").encode()

    def begin(self, place: Place | None = None) -> None:
        """Make the folder and the file, with its header, or make the file ready to go on.

        Parameters
        ----------
        place : Place, optional
            Where the log that is there goes on. Default: it begins anew.

        Raises
        ------
        WriteError
            If that cannot be done.
        """
        self._check()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if place is None or not place.columns:
                self.path.write_bytes(self._header())
                return
            cut_log(self.path, place)
            self.path.open("r+b").close()
            self.columns = list(place.columns)
            missing = [name for name in COLUMNS if name not in self.columns]
            if missing:
                self._widen(missing)
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
        lines, kind = self._format_rows(rows, self._kind)
        last, _ = self._format_rows(draft, kind)
        if not rows and last == self._draft:
            return
        with self.path.open("r+b" if self.path.exists() else "ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            lines += last
            if not size:
                self.vanished = True
                lines = self._header() + self._format_rows([*rows, *draft], "")[0]
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
        self._kind = kind

    def _find_draft(self, file: RawIOBase, size: int) -> int:
        """Return where the next line begins: over the draft, unless somebody wrote after it."""
        start = size - len(self._draft)
        if not self._draft or start < 0:
            return size
        file.seek(start)
        return start if file.read(len(self._draft)) == self._draft else size

    def _format_rows(self, rows: Sequence[Row], kind: str) -> tuple[bytes, str]:
        """Return the lines of some rows, and the kind of norm after them."""
        lines = []
        for row in rows:
            fresh = row.kind if "grad_norm" in row.cells and row.kind != kind else ""
            kind = fresh or kind
            cells = [format_number(row.cells.get(name)) for name in self.columns[2:]]
            cells[self.columns.index(KIND) - 2] = fresh
            lines.append(",".join((str(row.step), format_number(row.epoch), *cells)) + "\n")
        return "".join(lines).encode(), kind

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
