"""Which event files of a folder belong to one training, and what their folders say of the tags."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from fitdiag.readers.names import find_split, normalise
from fitdiag.readers.vocabulary import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fitdiag.readers.tensorboard.scalars import EventFile

__all__ = ["Part", "find_event_files", "group_parts", "is_event_folder", "is_split", "order_files"]

#: what every event file has in its name
MARK = "tfevents"

#: how deep, and past how many entries, a folder is searched
DEPTH = 12
ENTRIES = 200_000

#: entries looked at to tell whether a folder holds event files
GLANCE = 2000

#: logs of other formats that hold as much as event files do
OTHERS = frozenset({"logs.csv", "metrics.csv", "results.csv", "trainer_state.json", "mlflow.db"})
OTHER_ENDINGS = (".wandb", ".swanlab")

_NUMBERS = re.compile(r"\d+")


@dataclass(kw_only=True)
class Part:
    """The event files of one folder.

    Parameters
    ----------
    folder : Path
    home : Path
        The folder of the training that they belong to.
    files : list of EventFile
        In the order in which they were begun.
    prefix, suffix : str
        What the folder's name adds to each tag: the split.
    """

    folder: Path
    home: Path
    files: list[EventFile] = field(default_factory=list)
    prefix: str = ""
    suffix: str = ""

    def name(self, tag: str) -> str:
        """Return what a tag is called together with its folder."""
        if self.prefix and find_split(tag):
            return tag
        return "/".join(part for part in (self.prefix, tag, self.suffix) if part)


def find_event_files(folder: Path) -> list[Path]:
    """Return the event files in a folder and below it; links to folders are not followed.

    Parameters
    ----------
    folder : Path
        Folders whose name begins with a dot are searched too: Guild keeps its runs there.

    Raises
    ------
    OSError
        If the folder itself may not be listed; those below it are passed over.
    """
    return [
        place / name for place, names in _walk(folder, ENTRIES) for name in names if MARK in name
    ]


def is_event_folder(folder: Path) -> bool:
    """Tell whether the logs in a folder and below it are event files.

    Other logs may lie beside the event files below it, but not in the folder itself, and not in
    folders of their own.
    """
    is_found = False
    for place, names in _walk(folder, GLANCE):
        has_events = any(MARK in name for name in names)
        has_others = any(name in OTHERS or name.endswith(OTHER_ENDINGS) for name in names)
        if has_others and (place == folder or not has_events):
            return False
        is_found = is_found or has_events
    return is_found


def _walk(folder: Path, limit: int) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder with the names of its files, those above first."""
    waiting = [(folder, 0)]
    while waiting and limit > 0:
        place, depth = waiting.pop(0)
        try:
            with os.scandir(place) as listing:
                entries = sorted(islice(listing, limit), key=lambda entry: entry.name)
        except OSError:
            if place == folder:
                raise
            continue
        limit -= len(entries)
        yield place, [entry.name for entry in entries if _is_file(entry)]
        if depth < DEPTH:
            waiting += [(place / entry.name, depth + 1) for entry in entries if _is_folder(entry)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def is_split(name: str) -> bool:
    """Tell whether a folder is named after a split of the data, as in ``train`` or ``validation``.

    >>> is_split("validation"), is_split("version_0")
    (True, False)
    """
    return normalise(name) in SPLITS


def order_files(files: Iterable[EventFile]) -> list[EventFile]:
    """Return the files in the order in which they were begun."""

    def key(file: EventFile) -> tuple[float, list[int], str]:
        name = file.path.name
        numbers = [int(each[:30]) for each in _NUMBERS.findall(name[name.find(MARK) :])]
        return (file.time or float((numbers or [0])[0])), numbers, name

    return sorted(files, key=key)


def group_parts(files: Iterable[EventFile]) -> dict[Path, list[Part]]:
    """Return the parts of each training by its folder.

    Parameters
    ----------
    files : iterable of EventFile
        All that were found.

    Returns
    -------
    dict of Path to list of Part
        ``train/`` and ``validation/`` belong to the folder above them, and so do the folders that
        ``add_scalars`` makes: ``loss_train/`` (torch) or ``loss/train/`` (tensorboardX), with the
        tag ``loss``. Every other folder is a training of its own.
    """
    folders: dict[Path, list[EventFile]] = {}
    for file in files:
        folders.setdefault(Path(os.path.abspath(file.path)).parent, []).append(file)  # noqa: PTH100  # resolve() would follow links
    homes: dict[Path, list[Part]] = {}
    for folder, members in folders.items():
        part = _place(folder, members)
        part.files = order_files(members)
        homes.setdefault(part.home, []).append(part)
    return homes


def _place(folder: Path, files: list[EventFile]) -> Part:
    tags = {tag for file in files for session in file.sessions for tag in session.tags}
    if len(tags) == 1:
        part = _place_scalars(folder, next(iter(tags)))
        if part is not None:
            return part
    own = {find_split(tag) for tag in tags} - {""}
    if is_split(folder.name) and own <= {find_split(folder.name)}:
        return Part(folder=folder, home=folder.parent, prefix=folder.name)
    return Part(folder=folder, home=folder)


def _place_scalars(folder: Path, tag: str) -> Part | None:
    """Return where a folder belongs that ``add_scalars`` made for this tag."""
    words = tag.strip("/").split("/")
    above = folder.parts[:-1]
    if len(above) > len(words) and list(above[-len(words) :]) == words:
        home = Path(*above[: -len(words)])
        return Part(folder=folder, home=home, suffix=folder.name)
    flat = tag.replace("/", "_") + "_"
    if folder.name.startswith(flat) and len(folder.name) > len(flat):
        return Part(folder=folder, home=folder.parent, suffix=folder.name[len(flat) :])
    return None
