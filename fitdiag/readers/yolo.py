"""``results.txt`` of YOLOv5 (up to 5.0) and YOLOv7: fifteen columns without a header."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.errors import FormatError
from fitdiag.readers import files
from fitdiag.readers.cells import parse_cells
from fitdiag.readers.reader import Reader
from fitdiag.readers.series import Series, make_run
from fitdiag.readers.text import decode, split_lines
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["YOLO"]

#: the columns behind epoch and memory; those with an empty name are no curves
COLUMNS = (
    *("train/box_loss", "train/obj_loss", "train/cls_loss", "train/total_loss", "", ""),
    *("val/precision", "val/recall", "val/map50", "val/map50_95"),
    *("val/box_loss", "val/obj_loss", "val/cls_loss"),
)

_LINE = re.compile(r"\s*\d+/\d+\s+[\d.]+[GM]?(?:\s+\S+){13}\s*")


def _matches(_path: Path, head: bytes) -> bool:
    first = decode(head[:4096], "utf-8").lstrip().split("\n", 1)[0]
    return _LINE.fullmatch(first) is not None


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    files.read_head(path)
    lines = split_lines(decode(path.read_bytes(), "utf-8"))
    rows = [line.split() for line in lines if _LINE.fullmatch(line)]
    if not rows:
        raise FormatError(f"{path} is no results.txt of YOLOv5 or YOLOv7: it has no such line.")
    notes = [
        "The columns are those of YOLOv5 and YOLOv7; the validation loss is the sum of its parts: "
        '"val/box_loss", "val/obj_loss", "val/cls_loss".'
    ]
    left = sum(bool(line.strip()) for line in lines) - len(rows)
    if left:
        notes.append(f"Left out {left} lines that are no rows of it.")
    epochs = np.array([float(row[0].partition("/")[0][:9]) for row in rows])
    values = {
        name: parse_cells([row[at] for row in rows]).values
        for at, name in enumerate(COLUMNS, start=2)
        if name
    }
    values["val/total_loss"] = np.sum([values[name] for name in COLUMNS[-3:]], axis=0)
    cuts = [0, *(np.flatnonzero(np.diff(epochs) < 0) + 1)]
    cuts = [cut for cut in cuts if epochs[cut] <= epochs[0]]
    runs = []
    for start, end in zip(cuts, [*cuts[1:], len(rows)], strict=True):
        series = [
            Series(
                name=name,
                steps=epochs[start:end],
                values=column[start:end],
                unit=StepUnit.EPOCH,
            )
            for name, column in values.items()
        ]
        runs.append(
            make_run(series, path=str(path), format=YOLO.name, columns=columns, notes=notes)
        )
    return runs


YOLO = Reader(
    name="yolo-txt",
    description="results.txt of YOLOv5 up to 5.0 and YOLOv7: fifteen columns, no header",
    example="results.txt",
    matches=_matches,
    read=_read,
)
