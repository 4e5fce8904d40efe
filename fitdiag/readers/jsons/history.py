"""History dictionaries: one JSON document, or one printed Python literal, with all curves."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING

from fitdiag.errors import ReadError
from fitdiag.readers.jsons.assembly import build_runs, find_main
from fitdiag.readers.jsons.detection import is_document
from fitdiag.readers.jsons.parsing import load_document
from fitdiag.readers.jsons.records import Records, flatten
from fitdiag.readers.jsons.timeline import place_tracks
from fitdiag.readers.jsons.tracks import TRACKS, Track, collect
from fitdiag.readers.jsons.trainer_state import read_state
from fitdiag.readers.names import classify
from fitdiag.readers.reader import Reader
from fitdiag.readers.series import make_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["HISTORY", "read_tracks"]

#: keys of a labelled history that name its two curves
NAMED = {"train_loss": "train_metric", "val_loss": "monitor_metric"}

#: what of the user's mapping is no curve
AXES = ("step", "epoch")

#: quantities a list may be of by its file's name alone
MEASURES = frozenset({"loss", "batch_loss", "metric", "lr", "grad_norm"})


def _matches(_path: Path, head: bytes) -> bool:
    return is_document(head)


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    notes: list[str] = []
    document = load_document(path, notes)
    if isinstance(document, dict) and isinstance(document.get("log_history"), list):
        return read_state(document, path, columns, notes)
    tracks = list(islice(collect(document), TRACKS))
    if not tracks:
        raise ReadError(_explain_nothing(path, document))
    chosen = {**_find_named(document, tracks), **columns}
    if len(tracks) == 1 and not tracks[0].path and tracks[0].rows is None:
        tracks = [_name_by_file(tracks[0], path, notes)]
    return read_tracks(tracks, path=path, format=HISTORY.name, columns=chosen, notes=notes)


def read_tracks(
    tracks: Sequence[Track],
    *,
    path: Path,
    format: str,  # noqa: A002  # what the option is called everywhere
    columns: Mapping[str, str],
    notes: Sequence[str] = (),
) -> list[Run]:
    """Return the runs in the lists of a document: one, or one for each group that has a loss.

    Raises
    ------
    ColumnError
        If the training loss cannot be told in any of them.
    """
    groups: dict[tuple[str, ...], list[Track]] = {}
    for track in tracks:
        groups.setdefault(track.group, []).append(track)
    whole = [group for group, inner in groups.items() if _has_loss(inner)]
    if () in whole or not whole or not columns.keys() <= {"train_loss"}:
        return _read_group(tracks, path, format, columns, [*notes])
    runs: list[Run] = []
    for group in whole:
        told = [*notes, f"It stands under {'/'.join(group)}."]
        runs += _read_group(groups[group], path, format, columns, told)
    return runs


def _read_group(
    tracks: Sequence[Track],
    path: Path,
    format: str,  # noqa: A002  # what the option is called everywhere
    columns: Mapping[str, str],
    notes: list[str],
) -> list[Run]:
    several = len({track.group for track in tracks}) > 1
    lists = {
        (track.full_name if several else track.name): track
        for track in tracks
        if track.rows is None
    }
    tables = [track for track in tracks if track.rows is not None]
    if tables and (not lists or not _has_loss([*lists.values()])):
        records = Records()
        for row, split in _interleave(tables):
            records.add(row, split)
        return build_runs(records, path=str(path), format=format, columns=columns, notes=notes)
    series, clock = place_tracks(_name_axes(lists, columns), columns, notes)
    curves = {target: name for target, name in columns.items() if target not in AXES}
    run = make_run(series, path=str(path), format=format, columns=curves, epochs=clock, notes=notes)
    return [run]


def _name_axes(lists: Mapping[str, Track], columns: Mapping[str, str]) -> dict[str, Track]:
    """Call the lists that the user said to be steps or epochs so."""
    said = {columns[target]: target for target in AXES if target in columns}
    return {
        name: replace(track, path=(*track.path[:-1], said[name])) if name in said else track
        for name, track in lists.items()
    }


def _interleave(tables: Sequence[Track]) -> Iterator[tuple[dict[str, object], str]]:
    """Yield the rows of several lists of objects, first rows first, each with its split."""
    for level in zip_longest(*(table.rows or () for table in tables)):
        for table, row in zip(tables, level, strict=True):
            if row is not None:
                yield _name_value(row, table.leaf), table.split


def _name_value(row: dict[str, object], leaf: str) -> dict[str, object]:
    """Name the value of a row after the list that it stands in, where it is called value."""
    if "value" not in row or classify(leaf).kind == "other":
        return row
    return {leaf if key == "value" else key: value for key, value in row.items()}


def _has_loss(tracks: Sequence[Track]) -> bool:
    names = chain.from_iterable(
        [track.name] if track.rows is None else _list_names(track) for track in tracks
    )
    return find_main({name: classify(name) for name in names}) is not None


def _list_names(track: Track) -> list[str]:
    records = Records()
    for row in (track.rows or ())[:3]:
        records.add(row, track.split)
    return list(records.kinds())


def _find_named(document: object, tracks: Sequence[Track]) -> dict[str, str]:
    """Return the curves that a labelled history names itself."""
    if not isinstance(document, dict):
        return {}
    names = {track.name for track in tracks}
    named = {target: document.get(key) for target, key in NAMED.items()}
    return {target: name for target, name in named.items() if name in names}


def _name_by_file(track: Track, path: Path, notes: list[str]) -> Track:
    """Name a bare list after its file, where that says what it is."""
    stem = path.stem
    if classify(stem).kind not in MEASURES:
        stem = "loss" if "loss" in stem.lower() and "val" not in stem.lower() else "values"
    notes.append(f'The file holds one list of numbers without a name; it was read as "{stem}".')
    return Track(path=(stem,), values=track.values)


def _explain_nothing(path: Path, document: object) -> str:
    scalars = dict(islice(flatten(document), 1000)) if isinstance(document, dict) else {}
    if any(classify(name).kind in MEASURES - {"lr"} for name in scalars):
        return (
            f"{path} holds final values only, no curve: give the log that was written during the "
            "training (trainer_state.json, a CSV or JSON lines)."
        )
    if document in ({}, []):
        return f"{path} is an empty JSON document: nothing has been written to it yet."
    return f"{path} is JSON without any list of numbers: settings perhaps, but no training log."


HISTORY = Reader(
    name="history",
    description=(
        "a history dictionary as JSON or as printed by Python: Keras, pandas, lists of epochs, "
        "nested or flat"
    ),
    example="history.json",
    matches=_matches,
    read=_read,
)
