"""JSON lines: one object a row, as OpenMMLab, Detectron2, DeiT, LLaMA-Factory and many write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.errors import FormatError, ReadError
from fitdiag.readers import files
from fitdiag.readers.jsons.assembly import build_runs, find_main
from fitdiag.readers.jsons.detection import is_lines
from fitdiag.readers.jsons.history import HISTORY
from fitdiag.readers.jsons.parsing import parse
from fitdiag.readers.jsons.records import Records
from fitdiag.readers.reader import Reader
from fitdiag.readers.text import guess_encoding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["LINES", "iterate_objects"]

#: a line of more characters than this is left out
LINE_LIMIT = 16 << 20

#: columns that only loggers of training steps write: bare metrics beside them are of training
TRAINING_ROWS = ("data_time", "eta_seconds", "total_steps", "current_steps")


@dataclass(kw_only=True)
class Torn:
    """Lines that are no JSON."""

    count: int = 0
    numbers: list[int] = field(default_factory=list)

    def add(self, number: int) -> None:
        """Count a line."""
        self.count += 1
        if len(self.numbers) < 3:
            self.numbers.append(number)

    def describe(self) -> list[str]:
        """Return a note, if there were any."""
        if not self.count:
            return []
        where = ", ".join(str(number) for number in self.numbers)
        what = "1 line was" if self.count == 1 else f"{self.count} lines were"
        return [f"{what} no complete JSON and left out (line {where})."]


def iterate_objects(path: Path, torn: Torn) -> Iterator[object]:
    """Yield what each line of a file holds; several objects in one line are all yielded."""
    encoding = guess_encoding(files.read_head(path).rstrip(b"\0"))
    with path.open(encoding=encoding, errors="replace", newline="\n") as file:
        number, line = 0, file.readline(LINE_LIMIT)
        while line:
            number += 1
            if len(line) >= LINE_LIMIT and not line.endswith("\n"):
                torn.add(number)
                while line and not line.endswith("\n"):
                    line = file.readline(LINE_LIMIT)
            else:
                yield from _read_line(line.strip("\ufeff\0 \t\r\n"), number, torn)
            line = file.readline(LINE_LIMIT)


def _read_line(line: str, number: int, torn: Torn) -> Iterator[object]:
    if not line:
        return
    value = _try(line)
    if value is not None:
        yield value
        return
    pieces = line.replace("}{", "}\n{").split("\n")
    if len(pieces) == 1:  # one row was broken off, and the next written behind it
        pieces = [line[max(line.rfind('{"'), 0) :]]
    values = [_try(piece) for piece in pieces]
    if None in values or len(pieces) == 1:
        torn.add(number)
    yield from (value for value in values if value is not None)


def _try(text: str) -> object:
    try:
        return parse(text)
    except ValueError:
        return None


def _matches(_path: Path, head: bytes) -> bool:
    return is_lines(head)


def _read(path: Path, columns: Mapping[str, str]) -> Run | Sequence[Run]:
    head = files.read_head(path)
    files.check_text(path, head)
    records, torn = Records(), Torn()
    predicted = 0
    for row in iterate_objects(path, torn):
        if isinstance(row, dict):
            records.add(row)
            predicted += "current_steps" in row
    if not records.count:
        raise FormatError(f"{path} holds no JSON object in a line of its own.")
    kinds = records.kinds()
    if not kinds:  # nothing but lists: a history a line
        return HISTORY.read(path, columns)
    if predicted and find_main(kinds) is None and not columns:
        raise ReadError(
            f"{path} is the log of a prediction run: it counts steps and holds no loss; give the "
            "trainer_log.jsonl of the training."
        )
    _mark_training(records)
    return build_runs(
        records, path=str(path), format=LINES.name, columns=columns, notes=torn.describe()
    )


def _mark_training(records: Records) -> None:
    """Name bare metrics that stand beside the training loss as metrics on training data."""
    kinds = records.kinds()
    main = find_main(kinds)
    if main is None or records.splits or not any(name in kinds for name in TRAINING_ROWS):
        return
    here = records.get(main)[0]
    for name, told in kinds.items():
        if told.kind == "metric" and not told.split:
            beside = int(np.isin(here, records.get(name)[0]).sum())
            if 2 * beside > here.size:  # an evaluation is rarer
                records.rename(name, f"train/{name}")


LINES = Reader(
    name="jsonl",
    description=(
        "JSON lines: OpenMMLab, Detectron2, DeiT and MAE, LLaMA-Factory, nanoGPT, W&B history, or "
        "any {step, loss, ...}"
    ),
    example="metrics.json",
    matches=_matches,
    read=_read,
)
