"""Finding what may be a log below some folders, without opening a file."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fitdiag.errors import UsageError
from fitdiag.readers.registry import sniff_folder
from fitdiag.readers.tensorboard import TENSORBOARD
from fitdiag.readers.tensorboard.layout import MARK, is_split
from fitdiag.readers.walk import DOT_FOLDERS, NO_LOGS, SKIPPED
from fitdiag.source import META, is_sibling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fitdiag.readers.reader import Reader

__all__ = ["Candidate", "Problem", "Tally", "expand", "find_candidates", "is_wanted", "look_away"]

#: files of a folder that is one log that are looked at to tell whether it changed
MOST_FILES = 20_000

#: endings of a file that is a table or a text by itself, and no part of a folder that is one log
SINGLE = frozenset({".csv", ".tsv", ".txt", ".log", ".out", ".dat"})

#: what writers of event files call them
_EVENTS = re.compile(r"events\.out\.tfevents\.\d+\..+\.(\d+|v2)")

#: endings and names of files that hold settings: a change there is a change of the run
SETTINGS_ENDINGS = (".yaml", ".yml", ".toml")
SETTINGS_STEMS = frozenset({"args", "config", "flags", "hparams", "options", "opt", "params"})


class Candidate(NamedTuple):
    """A file or folder that may be a log.

    Parameters
    ----------
    path : str
        As the system names it; bytes that are no text stand as lone surrogates.
    folder : bool
        Whether it is a folder that is one log.
    size : int
        Bytes.
    modified : int
        When it was last written, in nanoseconds since 1970.
    mark : str
        Changes whenever the log or the settings beside it change.
    format : str
        The reader that recognises the folder; empty for a file, which nobody has opened yet.
    """

    path: str
    folder: bool
    size: int
    modified: int
    mark: str
    format: str = ""


class Problem(NamedTuple):
    """A place that cannot be looked at, and why."""

    path: str
    reason: str


@dataclass(kw_only=True)
class Tally:
    """What was met so far.

    Parameters
    ----------
    folders, files : int
        Folders that were listed, and files in them that may be logs.
    loops : int
        Links that lead back to a folder that was listed already.
    found, done : int
        Logs that are to be looked at, and those that were.
    unchanged : int
        Those of them that were known from an earlier scan.
    others : int
        Those of them that are no logs.
    skipped : int
        Those that were written before ``since``.
    complete : bool
        Whether everything has been found.
    """

    folders: int = 0
    files: int = 0
    loops: int = 0
    found: int = 0
    done: int = 0
    unchanged: int = 0
    others: int = 0
    skipped: int = 0
    complete: bool = False


def look_away(tally: Tally) -> None:
    """Watch nothing: what is called with a tally where nobody wants to know."""
    del tally


def expand(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return the places that paths and patterns name.

    Raises
    ------
    UsageError
        If one of them names nothing that is there.
    """
    places: dict[str, None] = {}
    for given in paths:
        path = os.fspath(given)
        if "://" in path:
            raise UsageError(
                f"{path} is on another file system: scan it with --scheduler, on a Dask cluster; "
                "or copy it here."
            )
        found = [path] if os.path.lexists(path) else sorted(glob.glob(path, recursive=True))
        if not found:
            what = "pattern matches nothing" if glob.has_magic(path) else "does not exist"
            raise UsageError(f"{path!r} {what}; name folders, logs, or patterns such as 'runs/*'.")
        places.update(dict.fromkeys(found))
    if not places:
        raise UsageError("no folder was given: name at least one.")
    return list(places)


def find_candidates(
    paths: Sequence[str], tally: Tally | None = None
) -> Iterator[Candidate | Problem]:
    """Yield everything below some places that may be a log, folder by folder.

    Parameters
    ----------
    paths : sequence of str
        Folders and files.
    tally : Tally, optional
        Counts what is met.

    Yields
    ------
    Candidate or Problem
        A folder that is one log, as a tracker writes it, is not searched further; a tree of many
        TensorBoard trainings is, such that each is a log by itself.
    """
    tally = tally or Tally()
    seen: set[tuple[int, int]] = set()
    folders = [path for path in paths if os.path.isdir(path)]
    for folder in folders:
        yield from _search(folder, tally, seen)
    for path in paths:
        if path in folders:
            continue
        try:
            status, above = os.stat(path), os.stat(os.path.dirname(path) or ".")
        except OSError as error:
            yield Problem(path, _explain(path, error))
            continue
        if (above.st_dev, above.st_ino) in seen and _is_log_name(os.path.basename(path)):
            continue  # it lies in a folder that was searched
        tally.files += 1
        yield Candidate(path, False, status.st_size, status.st_mtime_ns, _mark(status))


def _search(root: str, tally: Tally, seen: set[tuple[int, int]]) -> Iterator[Candidate | Problem]:
    shortcut = not any(reader.folders for reader in _strangers())
    waiting = [(root, "")]
    while waiting:
        place, above = waiting.pop()
        try:
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in seen:
                tally.loops += 1
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(place) as scan:
                listing = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            yield Problem(place, _explain(place, error))
            continue
        tally.folders += 1
        entries = _Entries(listing)
        yield from entries.problems
        whole = _find_whole(place, entries, shortcut=shortcut)
        if whole is not None:
            yield _take_folder(place, above, whole.name)
            continue
        settings = entries.mark_settings()
        for name, status in entries.files.items():
            if not _is_log_name(name):
                continue
            tally.files += 1
            mark = "/".join((_mark(status), entries.mark_beside(name), settings, above))
            path = os.path.join(place, name)
            yield Candidate(path, False, status.st_size, status.st_mtime_ns, mark)
        waiting += [(os.path.join(place, name), settings) for name in reversed(entries.folders)]


class _Entries:
    """What one folder holds.

    Parameters
    ----------
    listing : sequence of DirEntry
        In the order of names.
    """

    def __init__(self, listing: Sequence[os.DirEntry[str]]) -> None:
        self.files: dict[str, os.stat_result] = {}
        self.folders: list[str] = []
        self.problems: list[Problem] = []
        self.hidden = False
        for entry in listing:
            try:
                self._add(entry)
            except OSError as error:  # noqa: PERF203  each entry may be broken by itself
                if not is_sibling(entry.name) and _is_log_name(entry.name):
                    self.problems.append(Problem(entry.path, _explain(entry.path, error)))

    def _add(self, entry: os.DirEntry[str]) -> None:
        if entry.is_dir():
            may_enter = entry.name not in SKIPPED
            if entry.name[:1] == "." and entry.name not in DOT_FOLDERS:
                self.hidden, may_enter = True, False
            if may_enter:
                self.folders.append(entry.name)
            return
        status = entry.stat()
        if stat.S_ISREG(status.st_mode):
            self.files[entry.name] = status

    def is_plain(self) -> bool:
        """Tell whether nothing here can belong to a folder that is one log."""
        if self.folders or self.hidden:
            return False
        tables = 0
        for name in self.files:
            if is_sibling(name):
                continue
            ending = os.path.splitext(name)[1].lower()
            if MARK in name or name == "meta.yaml" or ending not in SINGLE | NO_LOGS:
                return False
            tables += ending in SINGLE
        return tables < 2

    def are_events(self) -> bool:
        """Tell whether there is nothing but event files here, as their writers name them."""
        if self.folders or self.hidden or not self.files:
            return False
        return all(_EVENTS.fullmatch(name) for name in self.files)

    def mark_settings(self) -> str:
        """Return what changes when a file of settings changes."""
        return " ".join(_mark(self.files[name]) for name in self.files if _holds_settings(name))

    def mark_beside(self, name: str) -> str:
        """Return what changes when the file changes that fitdiag writes beside a log."""
        beside = self.files.get(os.path.splitext(name)[0] + META)
        return "" if beside is None else _mark(beside)


def _find_whole(place: str, entries: _Entries, *, shortcut: bool) -> Reader | None:
    """Return the reader to which a folder is one log; a tree of trainings is none."""
    if shortcut and entries.is_plain():
        return None
    if not entries.files and not entries.folders:
        return None
    if shortcut and entries.are_events():
        return TENSORBOARD
    try:
        found = sniff_folder(Path(place))
    except OSError:
        return None
    if found is None or found.name != "tensorboard":
        return found
    has_events = any(MARK in name for name in entries.files)
    return found if has_events or any(map(is_split, entries.folders)) else None


def _take_folder(place: str, above: str, form: str) -> Candidate:
    size = newest = count = 0
    digest = hashlib.blake2b(above.encode(), digest_size=12)
    for folder, folders, names in os.walk(place):
        folders.sort()
        for name in sorted(names):
            try:
                status = os.stat(os.path.join(folder, name))
            except OSError:
                continue
            size, newest = size + status.st_size, max(newest, status.st_mtime_ns)
            digest.update(f"{name!r} {_mark(status)}".encode())
            count += 1
        if count > MOST_FILES:
            break
    return Candidate(place, True, size, newest, digest.hexdigest(), form)


def _strangers() -> Sequence[Reader]:
    from fitdiag.readers.plugins import load_plugins

    return load_plugins()


def _is_log_name(name: str) -> bool:
    if name[:1] == "." or is_sibling(name):
        return False
    return os.path.splitext(name)[1].lower() not in NO_LOGS and not _holds_settings(name)


def is_wanted(path: str) -> bool:
    """Tell whether a file, by its path below a folder, may be a log or belong to one."""
    *folders, name = path.split("/")
    hidden = (part for part in folders if part[:1] == "." and part not in DOT_FOLDERS)
    if any(hidden) or not SKIPPED.isdisjoint(folders):
        return False
    return is_sibling(name) or _holds_settings(name) or _is_log_name(name)


def _holds_settings(name: str) -> bool:
    stem, ending = os.path.splitext(name.lower())
    return ending in SETTINGS_ENDINGS or (ending == ".json" and stem in SETTINGS_STEMS)


def _mark(status: os.stat_result) -> str:
    return f"{status.st_size:x}.{status.st_mtime_ns:x}.{status.st_ino:x}"


def _explain(path: str, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "may not be read by this user: change its permissions"
    if os.path.islink(path):
        target = os.readlink(path)
        why = "leads in a circle" if error.errno == 40 else "leads nowhere"
        return f"is a link to {target}, which {why}"
    return error.strerror or type(error).__name__
