"""Sacred's FileStorageObserver: ``metrics.json``, alone or in the folder of a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fitdiag.errors import ReadError
from fitdiag.readers import files
from fitdiag.readers.jsons.detection import open_text
from fitdiag.readers.jsons.history import read_tracks
from fitdiag.readers.jsons.parsing import load_document
from fitdiag.readers.jsons.tracks import collect
from fitdiag.readers.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["SACRED"]

FILE, PRINTED = "metrics.json", "cout.txt"

#: what Sacred puts beside its metrics
BESIDE = ("run.json", "config.json", PRINTED)

_SERIES = re.compile(r'\{\s*"[^"]{1,200}"\s*:\s*\{\s*"(?:steps|values|timestamps)"\s*:\s*\[')
_EMPTY = re.compile(rb"\s*\{\s*\}\s*")


def _matches(path: Path, head: bytes) -> bool:
    if not head:
        return (path / "run.json").is_file() and any(
            (path / name).is_file() for name in (FILE, PRINTED)
        )
    if len(head) < 64 and _EMPTY.fullmatch(head):
        return path.name == FILE and any((path.parent / name).is_file() for name in BESIDE)
    return bool(_SERIES.match(open_text(head)))


def _read(path: Path, columns: Mapping[str, str]) -> Run | Sequence[Run]:
    file = path / FILE if path.is_dir() else path
    document = load_document(file) if file.is_file() and file.stat().st_size else {}
    if document == {}:
        return _read_printed(file, columns)
    return read_tracks(list(collect(document)), path=file, format=SACRED.name, columns=columns)


def _read_printed(file: Path, columns: Mapping[str, str]) -> Run | Sequence[Run]:
    """Read what the run printed, as nothing was logged as a metric."""
    from fitdiag.readers import READERS

    printed = file.with_name(PRINTED)
    nothing = f"{file} is empty: this run logged no metric with Sacred"
    if not printed.is_file() or not printed.stat().st_size:
        raise ReadError(f"{nothing}, and printed nothing to {PRINTED}.")
    head = files.read_head(printed)
    files.check_text(printed, head)
    for reader in READERS:
        if reader is not SACRED and reader.matches(printed, head):
            return reader.read(printed, columns)
    raise ReadError(f"{nothing}, and no losses are found in {PRINTED} beside it.")


SACRED = Reader(
    name="sacred",
    description="Sacred: the folder of a run or its metrics.json; if empty, what was printed",
    example="metrics.json",
    matches=_matches,
    read=_read,
    folders=True,
)
