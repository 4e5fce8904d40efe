"""Which of a run's quantities is its training loss, its validation loss, its batch loss."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.readers.names import normalise
from fitdiag.readers.stdout.axes import DENSE, count_per_epoch
from fitdiag.readers.stdout.phrases import LOSSLIKE
from fitdiag.readers.stdout.tracks import BAR, EPOCH, STEP

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fitdiag.readers.stdout.axes import Placing
    from fitdiag.readers.stdout.tracks import Recording, Track

__all__ = ["Roles", "choose_roles", "list_losses"]


#: beside a loss of more values than this, one of a single value is no curve
FEW = 2


@dataclass(kw_only=True)
class Roles:
    """The losses of a run; None for one that it lacks."""

    train: Track | None = None
    val: Track | None = None
    batch: Track | None = None
    notes: list[str] = field(default_factory=list)


def list_losses(run: Recording, *splits: str) -> list[Track]:
    """Return the losses measured on some splits, clearest first."""
    found = [
        track
        for track in run.tracks.values()
        if track.key.kind in {"loss", "batch_loss"} and track.key.split in splits
    ]
    if max(map(len, found), default=0) > FEW:  # one value is a summary at the end
        found = [track for track in found if len(track) > 1]
    return sorted(found, key=lambda track: track.key.rank)


def choose_roles(run: Recording, placing: Placing) -> Roles:
    """Decide which quantity is which loss.

    Parameters
    ----------
    run : Recording
        One run of a log.
    placing : Placing
        Its axis.
    """
    roles = Roles()
    _choose_train(run, placing, roles)
    _choose_val(run, roles)
    if roles.train is None and roles.batch is None:
        _choose_losslike(run, roles)
    return roles


def _choose_train(run: Recording, placing: Placing, roles: Roles) -> None:
    candidates = [track for track in list_losses(run, "train", "") if not track.is_mean]
    single = [track for track in candidates if _is_single(track, placing)]
    means = [track for track in list_losses(run, "train", "") if track.is_mean and placing.inner]
    bars = [track for track in candidates if track.level == BAR]
    bars.sort(key=lambda track: track.key.split == "")
    whole = [track for track in candidates if track not in single and track not in bars]
    named = [track for track in whole if track.key.split == "train" and not track.key.shown]
    told = [track for track in whole if track.key.split == "train" and track.key.shown]
    bare = [track for track in whole if track.key.split == ""]
    ends = _level(bare, EPOCH)
    twins = [track for track in means if track.level == EPOCH and len(track) == _count(ends)]
    for group in (named, told, twins, ends, means, bars, _level(bare, STEP)):
        if group:
            roles.train = group[0]
            break
    rest = [track for track in (*single, *bare) if track is not roles.train]
    if rest:
        roles.batch = rest[0]
    if roles.train is not None and roles.train.is_mean and roles.train.level != EPOCH:
        roles.notes.append("The training loss of an epoch is its last running mean.")


def _count(tracks: Sequence[Track]) -> int:
    return len(tracks[0]) if tracks else 0


def _level(tracks: Iterable[Track], level: str) -> list[Track]:
    return [track for track in tracks if track.level == level]


def _is_single(track: Track, placing: Placing) -> bool:
    """Tell the losses of single batches from those of epochs."""
    if track.key.kind == "batch_loss":
        return True
    if track.level == STEP:
        return placing.inner
    return track.level == EPOCH and not track.key.split and _is_many(track)


def _is_many(track: Track) -> bool:
    epochs = track.columns()[0]
    epochs = epochs[np.isfinite(epochs)]
    return bool((epochs == np.round(epochs)).all()) and count_per_epoch(track) > DENSE


def _choose_val(run: Recording, roles: Roles) -> None:
    for split in ("val", "test"):
        found = list_losses(run, split)
        order = {EPOCH: 0, STEP: 1, BAR: 2}
        found.sort(key=lambda track: (track.key.rank, not track.is_mean, order[track.level]))
        if found:
            roles.val = found[0]
            return


def _choose_losslike(run: Recording, roles: Roles) -> None:
    """Take an error that training minimises for the loss, where nothing is called a loss."""
    found = {
        (track.key.split, word): track
        for track in run.tracks.values()
        for word in [_strip_split(track.name)]
        if track.key.kind == "metric" and word in LOSSLIKE and not track.is_mean
    }
    for (split, word), track in found.items():
        if split == "train":
            roles.train = track
            roles.val = roles.val or found.get(("val", word)) or found.get(("test", word))
            roles.notes.append(f'No value is called a loss: "{track.name}" was read as it.')
            return


def _strip_split(name: str) -> str:
    return "_".join(
        part
        for part in normalise(name).split("_")
        if part not in {"train", "val", "valid", "validation", "test", "eval", "avg", "mean"}
    )
