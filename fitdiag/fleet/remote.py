"""Logs on any file system that fsspec knows: ``s3://``, ``gs://``, ``hdfs://``, ``memory://``.

What lies below a folder is copied to this machine in units: whole subtrees that are small enough,
so that a log keeps the files and settings beside it. A unit is thrown away once it is judged.
"""

from __future__ import annotations

import os
import posixpath
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from fitdiag.errors import ExtraError, ReadError, UsageError
from fitdiag.fleet.examination import decode_rows, show_path
from fitdiag.fleet.finding import Candidate, Problem, find_candidates, is_wanted
from fitdiag.fleet.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fitdiag.fleet.examination import Examiner

__all__ = ["RemoteFile", "Unit", "examine_unit", "find_units", "is_remote", "open_place"]

#: files of a unit, and bytes in it, at the most; a larger file is a unit by itself
UNIT_FILES = 500
UNIT_BYTES = 256_000_000


class RemoteFile(NamedTuple):
    """A file as its file system lists it.

    Parameters
    ----------
    path : str
        Below the folder that was given, with slashes.
    size : int
        Bytes.
    mark : str
        Changes when the file changes, as far as the file system tells.
    modified : float
        When it was last written, in seconds since 1970; 0 where that is not told.
    """

    path: str
    size: int
    mark: str
    modified: float


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Files of one folder of a remote file system that are copied together.

    Parameters
    ----------
    root : str
        The URL of the folder that was given.
    files : tuple of RemoteFile
        What is copied.
    """

    root: str
    files: tuple[RemoteFile, ...]


def is_remote(path: str) -> bool:
    """Tell whether a path is a URL."""
    return "://" in path


def open_place(url: str) -> tuple[Any, str]:
    """Return the file system of a URL or a path, and the path on it.

    Raises
    ------
    ExtraError
        If fsspec is not installed, or the package that knows this kind of URL.
    UsageError
        If there is no such kind of URL.
    """
    if find_spec("fsspec") is None:
        raise ExtraError(
            f"{url} needs fsspec, which is not installed: pip install 'fitdiag[cluster]'"
        )
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise ExtraError(f"{url} cannot be opened: {error}") from None
    except ValueError as error:
        raise UsageError(f"{url} cannot be opened: {error}") from None
    return system, str(path)


def find_units(url: str) -> Iterator[Unit]:
    """Yield what lies below a URL in units, in the order of names.

    Raises
    ------
    ReadError
        If there is nothing.
    """
    system, base = open_place(url)
    try:
        listing: dict[str, dict[str, Any]] = system.find(base, detail=True)
    except OSError as error:
        raise ReadError(f"{url} cannot be listed: {error}") from None
    tree = _Folder()
    for path, told in sorted(listing.items()):
        inner = posixpath.relpath(path, base) if path != base else posixpath.basename(path)
        if told.get("type") == "file" and is_wanted(inner):
            root = url if path != base else posixpath.dirname(url)
            tree.add(inner.split("/"), _describe(inner, told), root)
    if not tree.count:
        raise ReadError(f"{url} holds no file that may be a log.")
    yield from tree.cut()


def examine_unit(unit: Unit, examiner: Examiner) -> list[Row]:
    """Copy a unit to this machine, judge every run in it, and throw the copy away."""
    system, base = open_place(unit.root)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="fitdiag-") as folder:
        for file in unit.files:
            if file.size > examiner.most_bytes:
                candidate = Candidate(f"{unit.root}/{file.path}", False, file.size, 0, "")
                rows += decode_rows(examiner.examine(candidate).rows)
                continue
            place = os.path.join(folder, *file.path.split("/"))
            os.makedirs(os.path.dirname(place), exist_ok=True)
            try:
                system.get_file(f"{base}/{file.path}", place)
            except OSError as error:
                rows.append(
                    Row.from_error(f"{unit.root}/{file.path}", f"cannot be copied: {error}")
                )
            else:
                if file.modified:
                    os.utime(place, (file.modified, file.modified))
        for each in find_candidates([folder]):
            inner = os.path.relpath(each.path, folder).replace(os.sep, "/")
            rows += _examine(each, f"{unit.root.rstrip('/')}/{inner}", examiner)
    return rows


def _examine(each: Candidate | Problem, shown: str, examiner: Examiner) -> Iterable[Row]:
    shown = show_path(shown.removesuffix("/."))
    if isinstance(each, Problem):
        return [Row.from_error(shown, each.reason)]
    return decode_rows(examiner.examine(each, shown).rows)


class _Folder:
    """One folder of a listing, with what lies below it."""

    def __init__(self) -> None:
        self.files: list[RemoteFile] = []
        self.folders: dict[str, _Folder] = {}
        self.roots: dict[str, None] = {}
        self.count = self.size = 0

    def add(self, parts: list[str], file: RemoteFile, root: str) -> None:
        """Put a file where it belongs."""
        self.count += 1
        self.size += file.size
        self.roots[root] = None
        if len(parts) == 1:
            self.files.append(file)
        else:
            self.folders.setdefault(parts[0], _Folder()).add(parts[1:], file, root)

    def cut(self) -> Iterator[Unit]:
        """Yield this folder as one unit if it is small enough, else its parts."""
        root = next(iter(self.roots))
        if self.count <= UNIT_FILES and self.size <= UNIT_BYTES:
            yield Unit(root=root, files=tuple(self._all()))
            return
        pack: list[RemoteFile] = []
        for file in self.files:
            if pack and (len(pack) >= UNIT_FILES or _size(pack) + file.size > UNIT_BYTES):
                yield Unit(root=root, files=tuple(pack))
                pack = []
            pack.append(file)
        if pack:
            yield Unit(root=root, files=tuple(pack))
        yield from self._cut_folders(root)

    def _cut_folders(self, root: str) -> Iterator[Unit]:
        """Yield small folders together, and large ones by themselves."""
        pack: list[RemoteFile] = []
        for folder in self.folders.values():
            if folder.count > UNIT_FILES or folder.size > UNIT_BYTES:
                yield from folder.cut()
                continue
            if len(pack) + folder.count > UNIT_FILES or _size(pack) + folder.size > UNIT_BYTES:
                yield Unit(root=root, files=tuple(pack))
                pack = []
            pack += folder._all()  # noqa: SLF001  another folder of the same tree
        if pack:
            yield Unit(root=root, files=tuple(pack))

    def _all(self) -> Iterator[RemoteFile]:
        yield from self.files
        for folder in self.folders.values():
            yield from folder._all()  # noqa: SLF001  another folder of the same tree


def _size(files: list[RemoteFile]) -> int:
    return sum(file.size for file in files)


def _describe(path: str, told: dict[str, Any]) -> RemoteFile:
    size = int(told.get("size") or 0)
    when = next(
        (told[key] for key in ("mtime", "LastModified", "updated", "created") if told.get(key)), 0
    )
    tag = next((told[key] for key in ("ETag", "etag", "md5Hash") if told.get(key)), "")
    modified = when.timestamp() if hasattr(when, "timestamp") else when
    seconds = float(modified) if isinstance(modified, (int, float)) else 0.0
    return RemoteFile(path, size, f"{size:x}.{when}.{tag}", seconds)
