"""Gradients of which each process holds a part: their global norm, without a collective call.

A collective call that one process makes and another does not would hang a training. So each
process leaves its share of each norm in the key-value store of the process group, whenever it
flushes, and takes what the others have left; nobody waits but, a little, the end of a recording.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeGuard

from torch import Tensor, distributed

from fitdiag.recording.events import Event, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Exchange", "unwrap"]

#: what a norm is called of which only this process's part is known
LOCAL = "local"
#: seconds that norms wait for the other processes while the training runs ...
PATIENCE = 60.0
#: ... and at the end of a recording, and of one that failed
LAST_PATIENCE = 10.0
FAILED_PATIENCE = 0.5
#: steps that wait for the other processes at most
BACKLOG = 50_000
#: seconds after which a store that does not answer is given up
STORE_PATIENCE = 5
#: more processes than this leave the reading to the one that writes the log
CROWD = 64


_recordings: dict[str, int] = {}  # how many there were of each name


def unwrap(gradients: Sequence[Tensor | None]) -> tuple[list[Tensor | None], list[float]] | None:
    """Return the parts of gradients that lie in this process, and how much of them is its own.

    Parameters
    ----------
    gradients : sequence of Tensor or None
        Some of which are a DTensor.

    Returns
    -------
    parts : list of Tensor or None
        Plain ones.
    weights : list of float
        By what to multiply the norm of each, so that the squares of all processes add up to the
        square of the global one: of a gradient that several hold alike, each has a share.
    None
        If one is not summed over the processes yet.
    """
    world = distributed.get_world_size() if distributed.is_initialized() else 1
    parts: list[Tensor | None] = []
    weights = []
    for gradient in gradients:
        sharded: Any = gradient
        copies = world
        if hasattr(gradient, "to_local"):
            if any(placement.is_partial() for placement in sharded.placements):
                return None
            pairs = zip(sharded.device_mesh.shape, sharded.placements, strict=False)
            copies = math.prod(size for size, placement in pairs if placement.is_replicate())
            gradient = sharded._local_tensor  # noqa: PLW2901, SLF001 to_local() makes a graph
        parts.append(gradient)
        weights.append(copies**-0.5)
    return parts, weights


class Exchange:
    """Makes global norms of local ones, in the order of the steps.

    Parameters
    ----------
    name : str
        What the recording is called in all processes.
    say : callable
        Told once, in a sentence, what cannot be done.
    """

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        count = _recordings[name] = _recordings.get(name, 0) + 1
        self._name = f"{name}/{count}"
        self._say = say
        self._held: deque[Event] = deque()
        self._store: Any = None
        self._broken = False
        self._sent = 0
        self._since = time.monotonic()  # when something last came, or nothing was awaited
        self._own: deque[float] = deque()  # shares of the steps that are held
        self._shares: dict[int, deque[float]] = {}  # what the others have left, by rank
        self._taken: dict[int, int] = {}

    def pass_on(self, events: Sequence[Event], *, final: bool, failed: bool) -> list[Event]:
        """Return the events whose norms are known, and keep those behind the first that is not.

        Parameters
        ----------
        events : sequence of Event
            The next ones, fetched.
        final : bool
            Whether nothing comes after: then all are returned, after a little patience.
        failed : bool
            Whether the training was ended by an exception: then there is next to none.
        """
        fresh = [float(event.norm or 0.0) for event in events if _is_share(event)]
        if not fresh and not self._held:
            return list(events)
        self._held.extend(events)
        self._own.extend(fresh)
        if not self._broken:
            self._try(lambda: self._trade(fresh))
            deadline = time.monotonic() + (FAILED_PATIENCE if failed else LAST_PATIENCE)
            writes = distributed.is_initialized() and distributed.get_rank() == 0
            while final and writes and not self._is_complete() and time.monotonic() < deadline:
                time.sleep(0.02)
                self._try(lambda: self._trade([]))
        ready = self._release()
        waited = time.monotonic() - self._since
        if self._held and not final and (waited > PATIENCE or len(self._own) > BACKLOG):
            self._give_up("the other processes do not tell theirs: record() is for all of them")
        if final or self._broken:
            ready += self._held
            self._held.clear()
            self._own.clear()
        return ready

    def _is_complete(self) -> bool:
        known = min((len(shares) for shares in self._shares.values()), default=0)
        return self._broken or known >= len(self._own)

    def _release(self) -> list[Event]:
        """Return the events in front of the first share that cannot be completed."""
        ready: list[Event] = []
        while self._held:
            event = self._held[0]
            if _is_share(event):
                if self._broken or not self._shares or not all(self._shares.values()):
                    break
                parts = [shares.popleft() for shares in self._shares.values()]
                event.norm = math.hypot(self._own.popleft(), *parts)
                event.reach = "global"
                event.kind = (*event.kind[:-1], event.reach)
            ready.append(self._held.popleft())
        return ready

    # ------------------------------------------------------------------ the store

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as problem:  # noqa: BLE001 whatever the store does, the training goes on
            self._give_up(str(problem) or type(problem).__name__)

    def _give_up(self, reason: str) -> None:
        self._broken = True
        self._say(
            "gradients are sharded over processes, and from here on only the norm of this "
            f"process's part is recorded: {reason}"
        )

    def _trade(self, own: Sequence[float]) -> None:
        """Leave these shares for the others, and take what they have left."""
        rank = distributed.get_rank()
        if self._store is None:
            self._open(rank)
        if own:
            self._store.set(f"{rank}/{self._sent}", json.dumps(own))
            self._sent += 1
        for other in self._shares:
            key = f"{other}/{self._taken[other]}"
            while self._store.check([key]):
                self._shares[other].extend(json.loads(self._store.get(key)))
                self._tidy(key)
                self._since = time.monotonic()
                self._taken[other] += 1
                key = f"{other}/{self._taken[other]}"
        if self._is_complete():
            self._since = time.monotonic()

    def _open(self, rank: int) -> None:
        world = distributed.get_world_size()
        store: Any = distributed.distributed_c10d._get_default_store()  # noqa: SLF001 no public name
        if hasattr(store, "clone"):
            store = store.clone()
        store.set_timeout(timedelta(seconds=STORE_PATIENCE))
        prefix = f"fitdiag/{self._name}"
        self._store = distributed.PrefixStore(prefix, store)  # type: ignore[attr-defined]
        reads = world <= CROWD or rank == 0
        self._readers = world - 1 if world <= CROWD else 1
        self._shares = {r: deque() for r in range(world) if r != rank and reads}
        self._taken = dict.fromkeys(self._shares, 0)

    def _tidy(self, key: str) -> None:
        """Remove what all have read."""
        if self._store.add(f"{key}/read", 1) >= self._readers:
            self._store.delete_key(key)
            self._store.delete_key(f"{key}/read")


def _is_share(event: Event) -> TypeGuard[Step]:
    """Tell whether an event is a step whose norm is only this process's part."""
    return isinstance(event, Step) and event.weights is not None and event.norm is not None
