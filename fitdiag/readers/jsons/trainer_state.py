"""``trainer_state.json`` of Hugging Face's Trainer, alone, in a checkpoint or in a run's folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fitdiag.errors import ReadError
from fitdiag.readers.jsons.assembly import build_runs, find_main
from fitdiag.readers.jsons.detection import open_text
from fitdiag.readers.jsons.parsing import load_document
from fitdiag.readers.jsons.records import Records
from fitdiag.readers.names import normalise
from fitdiag.readers.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["TRAINER_STATE", "read_state"]

FILE = "trainer_state.json"

#: the row that sums up a finished training has this key
SUMMARY = "train_runtime"

_CHECKPOINT = re.compile(r"checkpoint-(\d{1,12})")
_EVAL_SET = re.compile(r"eval_(.+)_loss")


def _find_files(folder: Path) -> list[Path]:
    """Return the states in a run's folder, that of the latest checkpoint first."""
    found = []
    for place in folder.iterdir():
        match = _CHECKPOINT.fullmatch(place.name)
        if match and (place / FILE).is_file():
            found.append((int(match[1]), place / FILE))
    found.sort(reverse=True)
    return [path for _, path in found]


def _matches(path: Path, head: bytes) -> bool:
    if head:
        return b'"log_history"' in head and open_text(head).startswith("{")
    try:
        return path.is_dir() and ((path / FILE).is_file() or bool(_find_files(path)))
    except OSError:
        return False


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    if not path.is_dir():
        notes: list[str] = []
        return read_state(load_document(path, notes), path, columns, notes)
    own, states = path / FILE, _find_files(path)
    tried = [own, *states[:1]] if own.is_file() else states[:1]
    documents = [(load_document(each), each) for each in tried]
    if not documents:
        raise ReadError(f"{path} holds no {FILE}, neither itself nor in a checkpoint folder.")
    document, chosen = max(documents, key=lambda pair: _last_step(pair[0]))
    notes = [f"Read {chosen.relative_to(path)} from the folder."]
    if len(states) > 1:
        notes = [f"{notes[0][:-1]}, the longest of those in {len(states)} checkpoints."]
    return read_state(document, chosen, columns, notes)


def read_state(
    document: object, path: Path, columns: Mapping[str, str], notes: list[str]
) -> list[Run]:
    """Return the run in a trainer's state.

    Raises
    ------
    ReadError
        If it holds no history, or one without training losses.
    """
    records = Records()
    for row in _list_history(document):
        if isinstance(row, dict) and SUMMARY not in row:
            records.add(row)
    if not records.count:
        raise ReadError(
            f"{path} has an empty log_history: the trainer logged nothing before this state was "
            "saved; give that of a later checkpoint, or log more often (logging_steps)."
        )
    kinds = records.kinds()
    if find_main(kinds) is None and not columns:
        raise ReadError(
            f"{path} holds evaluations but no training loss: the trainer only evaluated, or its "
            "logging_strategy was off."
        )
    chosen = dict(columns)
    sets = [name for name in kinds if _EVAL_SET.fullmatch(normalise(name))]
    if sets and "eval_loss" not in kinds:
        chosen.setdefault("val_loss", sets[0])
        if len(sets) > 1:
            others = ", ".join(f'"{name}"' for name in sets[1:9])
            notes = [
                *notes,
                f'Of {len(sets)} evaluation sets the first was taken, "{sets[0]}"; the others are '
                f'{others}: choose one with --map val_loss="NAME".',
            ]
    return build_runs(
        records, path=str(path), format=TRAINER_STATE.name, columns=chosen, notes=notes
    )


def _list_history(document: object) -> list[object]:
    history = document.get("log_history") if isinstance(document, dict) else None
    return history if isinstance(history, list) else []


def _last_step(document: object) -> tuple[float, int]:
    history = _list_history(document)
    steps = [row["step"] for row in history if isinstance(row, dict) and "step" in row]
    return max((step for step in steps if isinstance(step, float)), default=0.0), len(history)


TRAINER_STATE = Reader(
    name="trainer_state",
    description="Hugging Face Trainer: trainer_state.json, its checkpoint or its output folder",
    example="trainer_state.json",
    matches=_matches,
    read=_read,
    folders=True,
)
