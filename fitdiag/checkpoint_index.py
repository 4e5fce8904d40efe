"""The list of the files that the recorder keeps in a folder of checkpoints: ``index.json`` there.

It says which files are fitdiag's own, so that no other is ever deleted, and what each holds, so
that nobody has to open them to choose. What is damaged in it is left out.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

__all__ = ["INDEX", "Entry", "name_file", "read_index", "write_index"]

#: name of the list in its folder
INDEX = "index.json"
#: a file larger than this was not written by the recorder
MOST_BYTES = 1 << 22
#: entries that are read at most
MOST_ENTRIES = 10_000
#: characters of a file name
MOST_CHARACTERS = 255
_KINDS = ("state", "weights", "model")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of the folder.

    Parameters
    ----------
    name : str
        Its name in the folder.
    step : int
        Optimizer steps by then, as in the log.
    epoch : float or None
        Complete epochs by then, where known.
    what : {"state", "weights", "model"}
        What it holds.
    value : float or None
        The validation loss there; None where none was measured, or where it was not finite.
    finite : bool
        Whether its parameters and its loss are finite.
    whole : bool
        Whether it has been written: False is noted before, True after.
    log : str
        The log that it belongs to, as a path from the folder.
    """

    name: str
    step: int
    epoch: float | None = None
    what: str = "state"
    value: float | None = None
    finite: bool = True
    whole: bool = True
    log: str = ""

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            object.__setattr__(self, "value", None)


def name_file(step: int, epoch: float | None) -> str:
    """Return the name of a checkpoint's file.

    Examples
    --------
    >>> name_file(300, 12.0), name_file(350, 12.5), name_file(300, None)
    ('epoch=12-step=300.pt', 'epoch=12.5-step=350.pt', 'step=300.pt')
    """
    if epoch is None or not math.isfinite(epoch):
        return f"step={step}.pt"
    number = str(int(epoch)) if float(epoch).is_integer() else f"{epoch:.6g}"
    return f"epoch={number}-step={step}.pt"


def read_index(folder: str | os.PathLike[str]) -> list[Entry]:
    """Return the entries of a folder's index, by step.

    Parameters
    ----------
    folder : path
        The folder of checkpoints.

    Returns
    -------
    list of Entry
        Empty where there is no index or nothing of it can be used. An entry says nothing about
        whether its file is still there.
    """
    try:
        path = Path(folder) / INDEX
        if not path.is_file():
            return []
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        found = json.loads(data.decode("utf-8")) if len(data) <= MOST_BYTES else None
    except (OSError, ValueError, RecursionError):
        return []
    listed = found.get("files") if isinstance(found, dict) and found.get("format") == 1 else None
    given = listed[:MOST_ENTRIES] if isinstance(listed, list) else []
    entries = {entry.name: entry for entry in map(_read_entry, given) if entry is not None}
    return sorted(entries.values(), key=lambda entry: entry.step)


def write_index(folder: Path, entries: list[Entry]) -> None:
    """Write a folder's index in one move.

    A power cut may take it back to what it was, or lose it: the files it names are all whole, and
    are found by their names.

    Raises
    ------
    OSError
        If the disk does not take it; the one that was there stays.
    """
    document = {"format": 1, "files": [asdict(entry) for entry in entries]}
    beside = folder / f".{INDEX}.part"
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=1, allow_nan=False) + "\n")
        beside.replace(folder / INDEX)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _read_entry(given: Any) -> Entry | None:  # noqa: ANN401 whatever stands in the file
    if not isinstance(given, dict):
        return None
    name, step, log = (given.get(key) for key in ("name", "step", "log"))
    if not isinstance(name, str) or not _is_plain_name(name):
        return None
    if type(step) is not int or not 0 <= step < 1 << 63:
        return None
    what = given.get("what")
    return Entry(
        name=name,
        step=step,
        epoch=_read_number(given.get("epoch")),
        what=what if what in _KINDS else "state",
        value=_read_number(given.get("value")),
        finite=given.get("finite") is True,
        whole=given.get("whole") is True,
        log=log if isinstance(log, str) else "",
    )


def _is_plain_name(name: str) -> bool:
    """Tell whether this names a file in the folder itself, and not the index."""
    if not 0 < len(name) <= MOST_CHARACTERS or name == INDEX:
        return False
    return not set(name) & set("/\\\0") and not name.startswith(".")


def _read_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1 << 63 else None
