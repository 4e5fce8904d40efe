"""Fetching numbers from their devices: many at a time, one synchronisation for each batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fitdiag.recording.events import Logged, Loss, Scaled, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fitdiag.recording.events import Event
    from fitdiag.recording.norms import Norms

__all__ = ["count_settled", "fetch", "read_numbers"]

_read_kind = attrgetter("device", "dtype", "shape")


def count_settled(events: Sequence[Event]) -> int:
    """Count the events at the front whose meaning is known.

    A loss that may still be part of a backward pass is not settled until the next step.
    """
    last_step = len(events) - 1
    while last_step >= 0 and not isinstance(events[last_step], Step):
        last_step -= 1
    for i in range(last_step + 1, len(events)):
        event = events[i]
        if isinstance(event, Loss) and event.backward is None and (event.grad or event.awaited):
            return i
    return len(events)


#: tensors of one kind, the object that holds them, and their name there
_Place = tuple[Sequence[Tensor], Any, Any]


def read_numbers(tensors: Sequence[Tensor]) -> list[Any]:
    """Fetch tensors as floats, or lists of floats, one transfer for each device, type and shape."""
    fetched: list[Any] = [None] * len(tensors)
    _read_places([((tensor,), fetched, i) for i, tensor in enumerate(tensors)])
    return fetched


def _read_places(places: Sequence[_Place]) -> None:
    """Put what was fetched where the tensors were; for several tensors a list of it."""
    buckets: dict[Any, tuple[list[Tensor], list[_Place]]] = {}
    for place in places:
        kind = _read_kind(place[0][0])
        bucket = buckets.get(kind)
        if bucket is None:
            bucket = buckets[kind] = ([], [])
        bucket[0].extend(place[0])
        bucket[1].append(place)
    for tensors, members in buckets.values():
        values = torch.stack(tensors).tolist()
        at = 0
        for several, holder, name in members:
            count = len(several)
            value = values[at] if count == 1 else values[at : at + count]
            at += count
            if isinstance(holder, (dict, list)):
                holder[name] = value
            else:
                setattr(holder, name, value)


def fetch(events: Sequence[Event]) -> None:
    """Replace every tensor in these events by floats, in place."""
    _drop_needless_seeds(events)
    places: list[_Place] = []
    for event in events:
        if isinstance(event, Loss):
            _add(places, event.value, event, "value")
            if event.seed is not None:
                _add(places, event.seed, event, "seed")
        elif isinstance(event, Step):
            _add_step(places, event)
        elif isinstance(event, Scaled):
            _add(places, event.scale, event, "scale")
        elif isinstance(event, Logged):
            _add_logged(places, event)
    with torch.no_grad():
        _read_places(places)
    for event in events:
        if isinstance(event, Step):
            _total(event)


def _drop_needless_seeds(events: Iterable[Event]) -> None:
    """Forget the seed of each loss that was alone in its backward pass: it needs no share."""
    last: Loss | None = None
    shared = False
    for event in events:
        if isinstance(event, Loss) and event.backward is not None:
            again = last is not None and last.backward == event.backward
            if last is not None and not again and not shared:
                last.seed = None
            last, shared = event, again
    if last is not None and not shared:
        last.seed = None


def _add(places: list[_Place], value: object, holder: object, name: object) -> None:
    """Note a tensor; not a number, such as a call that was interrupted has fetched."""
    if isinstance(value, Tensor):
        places.append(((value,), holder, name))


def _add_step(places: list[_Place], event: Step) -> None:
    if event.norms is not None:
        vectors = event.norms.vectors
        if event.norms.loose:
            places.append((vectors, event, "row"))
        else:
            event.row = [None] * len(vectors)
            places.extend(((vector,), event.row, i) for i, vector in enumerate(vectors))
    if event.clipping is not None:
        for call in event.clipping.calls:
            _add(places, call.total, call, "total")
            _add(places, call.scale, call, "scale")
            for i, vector in enumerate(call.before.vectors if call.before else ()):
                _add(places, vector, call.before.vectors, i)  # type: ignore[union-attr]
    if event.found_inf is not None:
        _add(places, event.found_inf, event, "found_inf")
    if event.scale is not None:
        _add(places, event.scale, event, "scale")
    if event.lr is not None:
        _add(places, event.lr, event, "lr")


def _add_logged(places: list[_Place], event: Logged) -> None:
    for name, value in event.values.items():
        _add(places, value, event.values, name)
    _add(places, event.step, event, "step")
    _add(places, event.epoch, event, "epoch")


def _flatten(row: Sequence[Any], norms: Norms) -> Sequence[float]:
    """Return one number for each element of the norms, from what was fetched for each vector."""
    if norms.loose:
        return row if len(norms.vectors) > 1 else [row]  # type: ignore[list-item]
    return row[0] if len(row) == 1 else [value for part in row for value in part]


def _weigh(row: Sequence[float], step: Step) -> Sequence[float]:
    """Return of each norm what this process has to add to the global one."""
    if step.weights is None:
        return row
    positions = range(len(row)) if step.places is None else step.places
    return [value * step.weights[at] for at, value in zip(positions, row, strict=True)]


def _total(step: Step) -> None:
    """Work out the global norm and the single ones: unscaled, and before clipping if known."""
    clipping = step.clipping
    total = None if clipping is None else clipping.total
    if clipping is not None and total is not None and clipping.calls[0].is_global:
        step.weights, step.reach = None, "global"
    row: Sequence[float] | None = None
    if step.norms is not None and step.row is not None:
        after = row = _flatten(step.row, step.norms)
        if clipping is not None:
            row = clipping.undo(after, step.norms.places)
            step.clip_coef = clipping.read_coefficient(after, row)
        step.places, step.norms = step.norms.places, None
        total = math.hypot(*_weigh(row, step)) if total is None else total
    elif clipping is not None and step.clip_coef is None:
        step.clip_coef = clipping.read_coefficient(None, None)
    scale = float(step.scale) if step.scale else 1.0
    if row is not None:
        step.row = row if scale == 1.0 else [value / scale for value in row]
    if total is not None and step.norm is None:
        step.norm = float(total) / scale
        step.kind = clipping.kind if clipping else "as-stepped", "unscaled", step.reach
