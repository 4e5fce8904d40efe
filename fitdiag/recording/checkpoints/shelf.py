"""The folder of checkpoints: what is in it, what comes in, and what may go."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fitdiag.checkpoint_index import INDEX, Entry, read_index, write_index
from fitdiag.errors import WriteError
from fitdiag.recording.checkpoints.retention import choose, find_best
from fitdiag.recording.checkpoints.storage import name_part, write_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["Shelf"]


@dataclass(frozen=True, kw_only=True)
class _Earlier:
    """A file of an earlier run, or of the part of this one that is gone through again."""

    entry: Entry
    until: int  # the step from which on it goes


class Shelf:
    """The files of one run in one folder.

    Only files that the index names, which is to say that fitdiag wrote, are ever deleted, and
    only after a new one is whole on the disk.

    Parameters
    ----------
    folder : Path
        Where, absolute.
    keep : int
        How many of the newest stay.

    Attributes
    ----------
    best : Entry or None
        The best file, as far as it can be told.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.best: Entry | None = None
        self._keep = keep
        self._files: list[Entry] = []
        self._earlier: list[_Earlier] = []

    def begin(self, *, overwrite: bool, resumed: int | None) -> None:
        """Make the folder and look what is there.

        Parameters
        ----------
        overwrite : bool
            Whether checkpoints of an earlier run may be replaced; they go when the first new one
            is written.
        resumed : int or None
            The step from which an earlier run is taken up; its files up to there belong to this
            run, and those after it go when their step comes again. None for a new run.

        Raises
        ------
        WriteError
            If there are checkpoints of an earlier run that may not be replaced, or the folder
            cannot be written to.
        """
        found = self._find_own()
        if found and resumed is None and not overwrite:
            files = f"{len(found)} checkpoint{'s' if len(found) > 1 else ''}"
            raise WriteError(
                f"{self.folder} holds {files} of an earlier run: call fitdiag.resume() to go on "
                "from there, pass overwrite=True to replace them, or another folder"
            )
        limit = -1 if resumed is None else resumed
        self._files = [entry for entry in found if entry.step <= limit]
        self._earlier = [
            _Earlier(entry=entry, until=0 if resumed is None else entry.step)
            for entry in found
            if entry.step > limit
        ]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._put_foreign_index_aside()
            self._write_index()
        except OSError as error:
            reason = error.strerror or error
            raise WriteError(f"{self.folder} cannot hold checkpoints: {reason}") from error

    def _find_own(self) -> list[Entry]:
        """Return what the index names and is there; sweep what an interrupted run left half."""
        found = []
        for entry in read_index(self.folder):
            path = self.folder / entry.name
            with suppress(OSError):
                name_part(path).unlink(missing_ok=True)
            if path.is_file():
                found.append(replace(entry, whole=True))  # it was moved there whole or not at all
        return found

    def _put_foreign_index_aside(self) -> None:
        """Keep a list that is damaged, or that another program made, under another name."""
        path = self.folder / INDEX
        if path.is_file() and not read_index(self.folder) and b'"files": []' not in _head(path):
            names = (self.folder / f"{INDEX}.{number}" for number in range(1, 1000))
            path.rename(next(name for name in names if not name.exists()))

    def name(self, entry: Entry) -> Entry:
        """Return an entry under a name that belongs to nobody else in the folder."""
        own = {known.name for known in (*self._files, *(old.entry for old in self._earlier))}
        stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122 a name with dots, no path
        name, number = entry.name, 1
        while name not in own and (self.folder / name).exists():
            number += 1
            name = f"{stem}-v{number}{suffix}"
        return replace(entry, name=name)

    def store(self, content: object, entry: Entry, run: Run | None) -> Path:
        """Write a file, then delete those that need not stay.

        Parameters
        ----------
        content : object
            What the file holds.
        entry : Entry
            What is to be known of it.
        run : Run or None
            The run so far, by which it is told what stays.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        OSError
            If the disk does not take it; all that was there stays.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / entry.name
        others = [known for known in self._files if known.name != entry.name]
        self._files = sorted([*others, replace(entry, whole=False)], key=lambda one: one.step)
        try:
            self._write_index()  # it is ours before it is there, should we be killed in between
            write_file(content, path)
        except BaseException:
            self._files = others
            with suppress(OSError):
                self._write_index()
            raise
        self._files = sorted([*others, replace(entry, whole=True)], key=lambda one: one.step)
        self._earlier = [old for old in self._earlier if old.entry.name != entry.name]
        kept = choose(self._files, run, self._keep)
        self._files = self._delete(self._files, kept)
        self._sweep_earlier(entry.step)
        self.best = find_best(self._files, run)
        self._write_index()
        return path

    def _delete(self, files: Iterable[Entry], kept: set[str]) -> list[Entry]:
        """Delete the files that are not kept; return those that are still there."""
        left = []
        for entry in files:
            if entry.name not in kept:
                with suppress(OSError):
                    (self.folder / entry.name).unlink(missing_ok=True)
                    continue
            left.append(entry)
        return left

    def _sweep_earlier(self, step: int) -> None:
        due = [old.entry for old in self._earlier if old.until <= step]
        stuck = {entry.name for entry in self._delete(due, set())}
        self._earlier = [
            old for old in self._earlier if old.until > step or old.entry.name in stuck
        ]

    def _write_index(self) -> None:
        earlier = [old.entry for old in self._earlier]
        write_index(self.folder, [*self._files, *earlier])


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(200)
