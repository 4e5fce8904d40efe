"""Folders with a file for each metric or split: ``loss.txt`` beside ``val_loss.txt``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.errors import ReadError
from fitdiag.readers.bundle import name_series, read_bundle
from fitdiag.readers.files import list_files
from fitdiag.readers.names import Name, classify, find_split, normalise
from fitdiag.readers.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["PAIRS"]

#: endings of such files
SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".dat"})

#: kinds of what such a file may hold
KINDS = frozenset({"loss", "batch_loss", "metric", "lr", "grad_norm"})

#: a folder with more files than this is none of them
MOST_FILES = 200


def _name_files(path: Path) -> dict[Path, Name]:
    """Return what the names of a folder's files say, of those that name a metric or a split."""
    try:
        found = [file for file in list_files(path) if file.suffix.lower() in SUFFIXES]
    except ReadError:
        return {}
    named = {}
    for file in found[:MOST_FILES]:
        name = classify(name_series(file, "", alone=True))
        if name.kind not in KINDS and normalise(file.stem) in {
            "train",
            "val",
            "valid",
            "validation",
        }:
            name = Name(kind="loss", split=find_split(file.stem))
        if name.kind in KINDS:
            named[file] = name
    return named


def _matches(path: Path, _head: bytes) -> bool:
    if not path.is_dir():
        return False
    splits = [name.split for name in _name_files(path).values() if name.kind == "loss"]
    train = sum(split in {"", "train"} for split in splits)
    return train == 1 and any(split in {"val", "test"} for split in splits)


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    files = sorted(_name_files(path))
    if not files:
        raise ReadError(f"{path} holds no file that is called after a metric.")
    return read_bundle(files, columns, name=PAIRS.name, path=str(path))


PAIRS = Reader(
    name="csv-files",
    description="a folder with a table for each metric or split: train_loss.csv, val_loss.csv",
    example="losses/",
    matches=_matches,
    read=_read,
    folders=True,
)
