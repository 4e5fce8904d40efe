"""Fetching numbers from their devices: many at a time, one synchronisation for each batch."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fitdiag.recording.events import Logged, Loss, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fitdiag.recording.events import Event

__all__ = ["count_settled", "fetch", "read_numbers"]

#: what torch adds to a norm before it divides a limit by it
NUDGE = 1e-6


def count_settled(events: Sequence[Event]) -> int:
    """Count the events at the front whose meaning is known.

    A loss that may still be part of a backward pass is not settled until the next step.
    """
    last_step = max((i for i, event in enumerate(events) if isinstance(event, Step)), default=-1)
    for i in range(last_step + 1, len(events)):
        event = events[i]
        if isinstance(event, Loss) and event.backward is None and (event.grad or event.awaited):
            return i
    return len(events)


def read_numbers(tensors: Sequence[Tensor]) -> list[Any]:
    """Fetch tensors as floats, or lists of floats, one transfer for each device, type and shape."""
    buckets: dict[tuple[torch.device, torch.dtype, torch.Size], list[int]] = {}
    for i, tensor in enumerate(tensors):
        buckets.setdefault((tensor.device, tensor.dtype, tensor.shape), []).append(i)
    fetched: list[Any] = [None] * len(tensors)
    for members in buckets.values():
        values = torch.stack([tensors[i] for i in members]).tolist()
        for i, value in zip(members, values, strict=True):
            fetched[i] = value
    return fetched


def fetch(events: Sequence[Event]) -> None:
    """Replace every tensor in these events by floats, in place."""
    _drop_needless_seeds(events)
    places = [place for event in events for place in _list_places(event)]
    with torch.no_grad():
        numbers = read_numbers([tensor for tensor, _, _ in places])
    for (_, holder, name), number in zip(places, numbers, strict=True):
        if isinstance(name, int) or isinstance(holder, dict):
            holder[name] = number
        else:
            setattr(holder, name, number)
    for event in events:
        if isinstance(event, Step) and event.norms is not None:
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


def _list_places(event: Event) -> list[tuple[Tensor, Any, Any]]:
    """List the tensors of an event, each with the object that holds it and its name there."""
    if isinstance(event, Loss):
        return _pick_tensors((event.value, event, "value"), (event.seed, event, "seed"))
    if isinstance(event, Step):
        vectors: list[Tensor] = event.norms or []
        return _pick_tensors(
            *((vector, vectors, i) for i, vector in enumerate(vectors)),
            *((norm, event.clip_norms, i) for i, norm in enumerate(event.clip_norms)),
            (event.scale, event, "scale"),
            (event.lr, event, "lr"),
        )
    if isinstance(event, Logged):
        return _pick_tensors(
            *((value, event.values, name) for name, value in event.values.items()),
            (event.step, event, "step"),
            (event.epoch, event, "epoch"),
        )
    return []


def _pick_tensors(*places: tuple[Any, Any, Any]) -> list[tuple[Tensor, Any, Any]]:
    """Leave out numbers, among them those that a call that was interrupted has fetched."""
    return [place for place in places if isinstance(place[0], Tensor)]


def _total(step: Step) -> None:
    vectors: Any = step.norms
    norm = math.hypot(*vectors[0]) if len(vectors) == 1 else math.hypot(*chain(*vectors))
    step.norm = norm / float(step.scale) if step.scale else norm
    step.norms = None
    if step.limits:
        clips = zip(step.limits, step.clip_norms, strict=True)
        step.clip_coef = math.prod(min(1.0, limit / (norm + NUDGE)) for limit, norm in clips)
