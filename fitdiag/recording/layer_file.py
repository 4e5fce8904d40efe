"""The layers' file on disk: a small CSV beside the log, whole lines in one write."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fitdiag.recording.layer_book import MOST_ROWS, NONE, LayerBook
from fitdiag.recording.layer_columns import choose_columns
from fitdiag.source import LAYERS, find_sibling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

__all__ = ["LayerFile", "clear_layers", "make_layer_file"]


class LayerFile:
    """Writes a book of layers beside a log.

    New windows are appended over the last one, which is not complete yet. When windows were put
    together, the file is written anew beside itself and put in place in one move.

    Parameters
    ----------
    log : Path
        The log; ``logs.layers.csv`` lies beside ``logs.csv``.
    book : LayerBook
        What is written.
    """

    def __init__(self, log: Path, book: LayerBook) -> None:
        self.path = find_sibling(log, LAYERS)
        self.book = book
        self._log = log
        self._stride = 0  # of the windows in the file; 0 where there is none
        self._settled = 0  # windows in the file that are complete
        self._bytes = 0  # of the file up to them
        self._size = 0  # of the whole file
        self._last = 0  # the last step in the file

    def write_if_changed(self) -> None:
        """Write what is new in the book.

        Raises
        ------
        OSError
            If the disk does not take it; the next call tries again.
        """
        if self.book.last == self._last:
            return
        if self._stride != self.book.stride or self._find_size() != self._size:
            self._write_anew()
        else:
            self._append()
        self._last = self.book.last

    def _find_size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return -1

    def _append(self) -> None:
        lines = self._format(self._settled)
        settled = sum(map(len, lines[:-1]))
        with self.path.open("r+b", buffering=0) as file:
            file.seek(self._bytes)
            self._size = -1  # unknown, should the next line fail
            file.write(b"".join(lines))
            file.truncate()
        self._note(len(lines), settled, len(lines[-1]))

    def _header(self) -> str:
        return ",".join(("step", *self.book.columns.names)) + "\n"

    def _write_anew(self) -> None:
        header = self._header().encode()
        lines = self._format(0)
        handle, beside = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with open(handle, "wb") as file:  # noqa: PTH123 takes a handle
                file.write(header + b"".join(lines))
            if self._log.exists():
                shutil.copymode(self._log, beside)
            Path(beside).replace(self.path)
        except BaseException:
            with suppress(OSError):
                Path(beside).unlink(missing_ok=True)
            raise
        self._stride, self._settled, self._bytes = self.book.stride, 0, len(header)
        self._note(len(lines), sum(map(len, lines[:-1])), len(lines[-1]))

    def _note(self, count: int, settled: int, draft: int) -> None:
        self._settled += count - 1
        self._bytes += settled
        self._size = self._bytes + draft

    def _format(self, start: int) -> list[bytes]:
        """Return a line for each window from one on."""
        whole = ",".join(["%d", *["%.5g"] * len(self.book.columns.names)]) + "\n"
        return [
            (whole % (step, *row) if min(row) >= 0 else _format_some(step, row)).encode()
            for step, row in self.book.list_rows(start)
        ]

    def resume(self, step: int) -> None:
        """Go on with the file of an interrupted recording, as far as a step; or begin anew.

        Parameters
        ----------
        step : int
            What comes after it is recorded once more.
        """
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
        except OSError:
            return
        if not lines or lines[0].decode(errors="replace") != self._header():
            return
        rows: list[tuple[int, list[float]]] = []
        for line in lines[1:]:
            row = _read_line(line, len(self.book.columns.names))
            if row is not None and (rows[-1][0] if rows else 0) < row[0] <= step:
                rows.append(row)
        stride = 1
        while len(rows) >= MOST_ROWS // 2 and all(end % (2 * stride) == 0 for end, _ in rows[:-1]):
            stride *= 2
        self.book.restore(rows, stride)


def make_layer_file(log: Path, models: Sequence[nn.Module], layers: object) -> LayerFile | None:
    """Return the layers' file of a log, or None where none is wanted.

    Parameters
    ----------
    log : Path
        The log.
    models : sequence of Module
        Whose parameters.
    layers : bool, str or iterable of str
        As for :func:`~fitdiag.recording.layer_columns.choose_columns`.
    """
    columns = choose_columns(models, layers)
    return None if columns is None else LayerFile(log, LayerBook(columns))


def clear_layers(log: Path) -> None:
    """Remove the layers' file of an earlier recording of the same name.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    find_sibling(log, LAYERS).unlink(missing_ok=True)


def _format_some(step: int, row: Sequence[float]) -> str:
    """Return a line in which cells are empty where a layer had no gradient."""
    cells = ["" if value < 0 else f"{value:.5g}" for value in row]
    return ",".join((str(step), *cells)) + "\n"


def _read_line(line: bytes, width: int) -> tuple[int, list[float]] | None:
    """Return step and norms of a line, or None if it is torn."""
    try:
        step, *cells = line.decode().rstrip("\n").split(",")
        norms = [float(cell) if cell else NONE for cell in cells]
        return (int(step), norms) if len(norms) == width and line.endswith(b"\n") else None
    except ValueError:
        return None
