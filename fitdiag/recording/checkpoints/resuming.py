"""Going on from a checkpoint: :func:`resume`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fitdiag.checkpoint_index import read_index
from fitdiag.errors import CheckpointError, UsageError
from fitdiag.recording.arguments import list_models, list_optimizers
from fitdiag.recording.checkpoints.fitting import list_misfits, show_text
from fitdiag.recording.checkpoints.parts import Parts, list_stateful
from fitdiag.recording.checkpoints.state import FORMAT, restore
from fitdiag.recording.checkpoints.storage import load_plain
from fitdiag.recording.notices import RecordingWarning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import nn
    from torch.optim import Optimizer

__all__ = ["Resumed", "find_resumed", "forget_resumed", "resume"]

#: steps that no training makes
MOST_STEPS = 1 << 63
#: where each folder was last resumed in this process, until a recording goes on from there
_resumed: dict[Path, Resumed] = {}


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """Where a training goes on.

    Parameters
    ----------
    epoch : int
        Complete epochs: the next one is ``range(epoch, …)``'s first.
    step : int
        Optimizer steps so far.
    path : Path or None
        The file; None where there was none to go on from.
    notes : tuple of str
        What was passed over, and what could not be restored, a sentence each.
    """

    epoch: int
    step: int
    path: Path | None = None
    notes: tuple[str, ...] = ()


def resume(
    source: str | os.PathLike[str],
    model: nn.Module | Iterable[nn.Module],
    optimizer: Optimizer | Iterable[Optimizer] | None = None,
    scheduler: object = None,
    scaler: object = None,
    *,
    missing_ok: bool = False,
) -> Resumed:
    """Restore a training from a checkpoint, so that it goes on as if it had never stopped.

    Everything is checked before anything is restored: where a file does not fit, model,
    optimizer, scheduler, scaler and random numbers stay as they are. Nothing in a file is run.

    Parameters
    ----------
    source : path
        A file that the recorder kept, or its folder: then the newest whole one whose numbers are
        finite. A damaged one is passed over, with a warning.
    model : Module, or iterable of Module
        As for :func:`fitdiag.record`.
    optimizer : Optimizer, or iterable of Optimizer, optional
        In the same order as when the file was kept.
    scheduler, scaler : object, or iterable of these, optional
        Learning-rate schedulers and gradient scalers.
    missing_ok : bool, optional
        Whether to begin at epoch 0 where there is no folder, or nothing in it. Default: no.

    Returns
    -------
    Resumed
        The epoch and the step to go on from.

    Raises
    ------
    CheckpointError
        If there is no such file, none is whole, or it does not fit: names and shapes that differ
        are listed.
    UsageError
        If an argument is not what it should be.

    Examples
    --------
    >>> import tempfile, torch, fitdiag
    >>> folder = tempfile.TemporaryDirectory()
    >>> ckpt = f"{folder.name}/ckpt"
    >>> model = torch.nn.Linear(3, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> x, y = torch.ones(8, 3), torch.ones(8, 1)
    >>> log = f"{folder.name}/logs.csv"
    >>> with fitdiag.record(model, optimizer, log=log, checkpoints=ckpt) as run:
    ...     for epoch in run.epochs(3):
    ...         optimizer.zero_grad()
    ...         torch.nn.functional.mse_loss(model(x), y).backward()
    ...         optimizer.step()
    >>> start = fitdiag.resume(ckpt, model, optimizer)
    >>> start.epoch, start.step, start.path.name
    (3, 3, 'epoch=3-step=3.pt')
    >>> folder.cleanup()
    """
    parts = Parts(
        model=list_models(model),
        optimizer=list_optimizers(optimizer),
        scheduler=list_stateful(scheduler, "scheduler"),
        scaler=list_stateful(scaler, "scaler"),
    )
    if not isinstance(source, (str, os.PathLike)):
        raise UsageError(f"source is {source!r}: pass a folder of checkpoints, or one file")
    place = Path(os.fspath(source)).absolute()
    if missing_ok and not _list_files(place):
        forget_resumed(place)
        return Resumed(epoch=0, step=0)
    path, state, notes = _load_newest(place)
    misfits = list_misfits(parts, state)
    if misfits:
        raise CheckpointError(f"{path} does not fit, and nothing was restored: {misfits}")
    try:
        amiss = restore(parts, state)
    except Exception as error:
        why = show_text(f"{type(error).__name__}: {error}")
        raise CheckpointError(f"{path} does not fit, and nothing was restored: {why}") from error
    notes += [amiss] if amiss else []
    for note in notes:
        warnings.warn(f"fitdiag: {note}", RecordingWarning, stacklevel=2)
    epoch = int(state["epoch"] or 0)
    resumed = Resumed(epoch=epoch, step=state["step"], path=path, notes=tuple(notes))
    _resumed[path.parent.resolve()] = resumed
    return resumed


def find_resumed(folder: Path) -> Resumed | None:
    """Return where a folder was last resumed in this process, None if no recording is due there."""
    return _resumed.get(folder.resolve())


def forget_resumed(folder: Path) -> None:
    """Forget where a folder was resumed: a recording has gone on from there, or it is empty."""
    _resumed.pop(folder.resolve(), None)


def _list_files(place: Path) -> list[Path]:
    """Return the files to try, the best first."""
    if not place.is_dir():
        return [place] if place.exists() else []
    entries = [entry for entry in read_index(place) if (place / entry.name).is_file()]
    usable = [entry for entry in entries if entry.what == "state"]
    usable.sort(key=lambda entry: (entry.finite, entry.step), reverse=True)
    if entries:
        return [place / entry.name for entry in usable]
    return sorted(place.glob("*step=*.pt"), key=_read_step, reverse=True)


def _read_step(path: Path) -> int:
    number = path.stem.rpartition("step=")[2].partition("-")[0]
    return int(number) if number.isdecimal() and len(number) < 19 else -1


def _load_newest(place: Path) -> tuple[Path, dict[str, Any], list[str]]:
    files = _list_files(place)
    if not files:
        what = "holds no checkpoint of a whole state" if place.is_dir() else "does not exist"
        raise CheckpointError(
            f"{place} {what}: pass the folder that record(checkpoints=...) was given, or a file "
            "in it; missing_ok=True begins anew where there is none"
        )
    if len(files) == 1:
        return files[0], _load_state(files[0]), []
    notes: list[str] = []
    for path in files:
        with _noted(notes):
            return path, _load_state(path), notes
    raise CheckpointError(f"none of the checkpoints in {place} can be loaded: {notes[0]}")


@contextmanager
def _noted(notes: list[str]) -> Iterator[None]:
    try:
        yield
    except CheckpointError as error:
        notes.append(f"passed over: {error}")


def _load_state(path: Path) -> dict[str, Any]:
    """Return the whole state of a training that a file holds.

    Raises
    ------
    CheckpointError
        If it cannot be loaded, or holds something else.
    """
    found = load_plain(path)
    if isinstance(found, Mapping) and found.get("format") == FORMAT and "fitdiag" in found:
        whole = type(found.get("step")) is int and isinstance(found.get("rng"), Mapping)
        places = (found.get("step"), found.get("epoch") or 0)
        if whole and all(_is_place(place) for place in places):
            return dict(found)
    raise CheckpointError(
        f"{path} holds no whole state of a training, as record(checkpoints=...) keeps it: load "
        "weights alone by model.load_state_dict(torch.load(path, weights_only=True))"
    )


def _is_place(number: object) -> bool:
    """Tell whether this is how far a training may be."""
    return isinstance(number, (int, float)) and 0 <= number < MOST_STEPS
