"""TensorBoard: event files of every writer, and folders of them, become runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fitdiag.errors import ColumnError, FormatError, ReadError
from fitdiag.readers import files as files_
from fitdiag.readers.reader import Reader
from fitdiag.readers.series import make_run
from fitdiag.readers.tensorboard.axes import find_summaries, make_series
from fitdiag.readers.tensorboard.frames import is_framed
from fitdiag.readers.tensorboard.joins import Training, join_parts
from fitdiag.readers.tensorboard.layout import (
    MARK,
    find_event_files,
    group_parts,
    is_event_folder,
    is_split,
)
from fitdiag.readers.tensorboard.refusals import (
    describe_damage,
    explain_empty,
    explain_nothing,
    is_pointer,
)
from fitdiag.readers.tensorboard.scalars import EventFile, read_event_file
from fitdiag.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["TENSORBOARD"]

#: what the first record of every event file begins to say
VERSION = b"brain.Event:"


def _matches(path: Path, head: bytes) -> bool:
    if head:
        is_named = MARK in path.name
        return is_framed(head) and (is_named or VERSION in head[:64])
    try:
        return path.is_dir() and is_event_folder(path)
    except OSError:
        return False


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    paths = find_event_files(path) if path.is_dir() else [path]
    if not paths:
        raise ReadError(f"{path} holds no TensorBoard event files: their names contain {MARK}.")
    tried = [_load(each) for each in paths]
    loaded = [each for each in tried if isinstance(each, EventFile)]
    reasons = [str(each) for each in tried if isinstance(each, ReadError)]
    if not loaded:
        raise FormatError(explain_nothing(path, reasons))
    homes = group_parts(loaded)
    trainings = [training for parts in homes.values() for training in join_parts(parts)]
    if not trainings:
        empty = [explain_empty(file) for file in loaded]
        raise ReadError(explain_nothing(path, [*reasons, *empty]))
    notes = _tell_missing(path, reasons)
    return _make_runs(path, sorted(trainings, key=lambda each: each.time), columns, notes)


def _load(path: Path) -> EventFile | ReadError:
    """Read one file, or say why it is no event file."""
    try:
        head = files_.read_head(path, 256)
        if is_pointer(head):
            files_.check_text(path, head)
        if is_framed(head):
            return read_event_file(path)
    except OSError as error:
        return ReadError(files_.describe_os_error(path, error))
    except ReadError as error:
        return error
    return FormatError(
        f"{path} is no TensorBoard event file, or its first bytes are damaged: they are no "
        "record whose length matches its checksum."
    )


def _make_runs(
    path: Path, trainings: Sequence[Training], columns: Mapping[str, str], notes: Sequence[str]
) -> list[Run]:
    made = [_try_run(path, training, columns, notes) for training in trainings]
    runs = [each for each in made if isinstance(each, Run)]
    if runs:
        return runs
    errors = [each for each in made if isinstance(each, ReadError)]
    unnamed = [error for error in errors if isinstance(error, ColumnError)]
    raise (unnamed or errors)[-1]


def _try_run(
    path: Path, training: Training, columns: Mapping[str, str], notes: Sequence[str]
) -> Run | ReadError:
    try:
        return _make_run(path, training, columns, notes)
    except ReadError as error:
        return error


def _make_run(
    path: Path, training: Training, columns: Mapping[str, str], notes: Sequence[str]
) -> Run:
    axes = make_series(training.tags, columns.values())
    if not axes.series:
        names = ", ".join(find_summaries(training.tags)[:5])
        raise ReadError(
            f"{path} holds final values only and no curve ({names}): give the event file that was "
            "written during the training."
        )
    where = sorted({file.path.parent for file in training.files})
    told = [describe_damage(file) for file in training.files]
    if path.is_dir() and where != [path]:
        names = ", ".join(str(place.relative_to(path)) for place in where[:6])
        told.insert(0, f"Read from {names}.")
    run = make_run(
        axes.series,
        path=str(path),
        format=TENSORBOARD.name,
        columns=columns,
        epochs=axes.epochs,
        notes=[note for note in (*training.notes, *told, *axes.notes) if note],
    )
    return replace(run, source=replace(run.source, notes=(*run.source.notes, *notes)))


def _tell_missing(path: Path, reasons: Sequence[str]) -> list[str]:
    """Say which files were passed over, and which folder beside this one belongs to it."""
    notes = [f"Not read: {reason}" for reason in reasons[:3]]
    if len(reasons) > 3:
        notes.append(f"Not read: {len(reasons) - 3} more event files.")
    folder = (path if path.is_dir() else path.parent).absolute()
    if not is_split(folder.name):
        return notes
    try:
        beside = [
            each
            for each in folder.parent.iterdir()
            if each != folder and is_split(each.name) and is_event_folder(each)
        ]
    except OSError:
        return notes
    if beside:
        names = ", ".join(sorted(each.name for each in beside))
        notes.append(f"Beside this folder is {names}: give {folder.parent} to read them together.")
    return notes


TENSORBOARD = Reader(
    name="tensorboard",
    description="TensorBoard event files: torch, tensorboardX, Lightning, Keras, Hugging Face, JAX",
    example="events.out.tfevents.*",
    matches=_matches,
    read=_read,
    folders=True,
    text=False,
)
