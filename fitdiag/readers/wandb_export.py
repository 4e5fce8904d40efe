"""CSV files exported from a W&B chart: columns named ``<run> - <metric>``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fitdiag.readers.bundle import read_bundle
from fitdiag.readers.reader import Reader
from fitdiag.readers.text import decode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["WANDB_EXPORT"]

_QUOTED = re.compile(r'"[^"]+",(?:"[^"]* - [^"]*",?)+\s*')


def _matches(_path: Path, head: bytes) -> bool:
    line = decode(head[: 1 << 16], "utf-8").split("\n", 1)[0]
    if " - " not in line:
        return False
    return "__MIN" in line or "__MAX" in line or _QUOTED.fullmatch(line) is not None


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    return read_bundle([path], columns, name=WANDB_EXPORT.name)


WANDB_EXPORT = Reader(
    name="wandb-csv",
    description='a CSV exported from W&B charts: columns "<run> - <metric>"; give several together',
    example="wandb_export_….csv",
    matches=_matches,
    read=_read,
)
