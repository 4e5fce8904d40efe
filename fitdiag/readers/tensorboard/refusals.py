"""What is wrong with an event file, and what to do, in one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fitdiag.readers.tensorboard.scalars import EventFile

__all__ = ["describe_damage", "explain_empty", "explain_nothing", "is_pointer"]

POINTER = b"version https://git-lfs"


def is_pointer(head: bytes) -> bool:
    """Tell whether a file is the stand-in that Git LFS leaves for a large one."""
    return head.startswith(POINTER)


def describe_damage(file: EventFile) -> str:
    """Say what of a file could not be used; nothing if all of it could."""
    damage = file.damage
    told = []
    if damage.corrupt:
        told.append(f"{_count(damage.corrupt, 'record')} with a wrong checksum left out")
    if damage.broken_at is not None:
        left = damage.size - damage.broken_at
        told.append(
            f"the record at byte {damage.broken_at:,} has a damaged length, and the "
            f"{left:,} bytes from there on were left out"
        )
    if damage.torn:
        told.append(
            f"the last record is unfinished, as when a job is killed, and {damage.torn:,} bytes "
            "were left out"
        )
    if damage.oversize:
        told.append(f"{_count(damage.oversize, 'record')} of over 64 MiB passed over")
    return f"{file.path.name}: {'; '.join(told)}." if told else ""


def explain_empty(file: EventFile) -> str:
    """Say why a file holds no scalars, and what to do."""
    name = str(file.path)
    if name.endswith(".profile-empty"):
        return (
            f"{name} is the empty marker that the TensorFlow profiler leaves, and holds no values: "
            "give the folder with the other event files."
        )
    if file.damage.corrupt or file.damage.broken_at is not None:
        return f"{name} is damaged, and no scalar is left in it: {describe_damage(file)}"
    if file.kinds:
        return (
            f"{name} holds {' and '.join(sorted(file.kinds))} but no scalars: give the event file "
            "or the folder in which the losses were logged."
        )
    return (
        f"{name} holds only its header: nothing was logged to it (yet); give the folder in which "
        "the losses were logged."
    )


def explain_nothing(path: Path, reasons: Sequence[str]) -> str:
    """Say why none of the files gives a run."""
    if len(reasons) == 1:
        return reasons[0]
    kinds = sorted(reasons, key=lambda reason: "only its header" in reason)
    return (
        f"{path} holds {len(reasons):,} event files and none has scalars that can be read; "
        f"for example: {kinds[0]}"
    )


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
