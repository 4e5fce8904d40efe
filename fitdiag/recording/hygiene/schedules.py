"""Learning-rate schedules that step before the optimizer does."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.optim import Optimizer, lr_scheduler

from fitdiag.recording.clipping import list_parameters
from fitdiag.recording.hygiene.places import find_place
from fitdiag.recording.hygiene.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from fitdiag.recording.events import Loss
    from fitdiag.recording.hygiene.places import Place
    from fitdiag.recording.hygiene.watcher import Scene

__all__ = ["ScheduleWatcher"]

#: calls of schedulers that are listened to at the most
MOST_CALLS = 64
_TORCH = tuple(os.path.join(place, "") for place in torch.__path__)  # noqa: PTH118 ends in a slash
_listeners: list[ScheduleWatcher] = []
_replaced: dict[type, Any] = {}


class _Early(NamedTuple):
    """A step of a schedule whose optimizer has not stepped yet."""

    place: Place | None
    scheduler: object
    moment: object
    after_backward: bool


class _Step:
    """Stands in for the method ``step`` of a scheduler, and tells who listens that it is fetched.

    It gives the method itself, so that a warning of torch's points at the line that it would
    point at otherwise.
    """

    def __init__(self, original: Callable[..., Any]) -> None:
        self.original = original

    def __get__(self, scheduler: object, kind: type | None = None) -> Any:  # noqa: ANN401 a method
        if scheduler is not None:
            caller = sys._getframe(1).f_code.co_filename  # noqa: SLF001 what costs the least
            if not caller.startswith(_TORCH):  # else a schedule within another, or its first step
                _tell_all(scheduler)
        return self.original.__get__(scheduler, kind)


def _tell_all(scheduler: object) -> None:
    if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
        return
    for watcher in tuple(_listeners):
        watcher.hear(scheduler)


def _count(scheduler: object) -> object:
    """Return what grows as a scheduler steps."""
    return getattr(scheduler, "_step_count", None), getattr(scheduler, "last_epoch", None)


class ScheduleWatcher(Watcher):
    """Watches the first calls of ``scheduler.step()``.

    One call before the first step of its optimizer is told when the optimizer steps at last.
    Several are how an interrupted schedule is wound forward, and a backward pass before and after
    the call is how a gradient scaler skips a step: neither is told.
    """

    codes = ("LOP009",)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._stepped: set[int] = set()
        self._early: dict[int, _Early] = {}  # by optimizer
        self._wound: set[int] = set()
        self._ours: dict[int, bool] = {}  # by optimizer
        self._calls = 0
        self._backwards = 0  # backward passes since the last optimizer step, or schedule

    def begin(self) -> None:
        """Listen to every kind of scheduler."""
        _listeners.append(self)
        for kind in _list_kinds(lr_scheduler.LRScheduler):
            if "step" in vars(kind) and kind not in _replaced:
                _replaced[kind] = vars(kind)["step"]
                kind.step = _Step(vars(kind)["step"])

    def hear(self, scheduler: object) -> None:
        """Note that a schedule is about to step; whatever goes wrong here stays here."""
        if self.scene.intake.live:
            try:
                optimizer = getattr(scheduler, "optimizer", None)
                self._note_call(scheduler, getattr(optimizer, "optimizer", optimizer))
            except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
                self._stop()
                self.scene.teller.give_up(self.codes, problem)

    def _note_call(self, scheduler: object, optimizer: object) -> None:
        self._calls += 1
        key = id(optimizer)
        stepped = key in self._stepped or getattr(optimizer, "_opt_called", False)
        if self._is_ours(optimizer):
            self.informed.add("LOP009")
            if key in self._early:
                self._wound.add(key)
            elif not stepped:
                count, after = _count(scheduler), self._backwards > 0
                self._early[key] = _Early(find_place(), scheduler, count, after)
                self._backwards = 0
        if self._calls >= MOST_CALLS:
            self._stop()

    def _is_ours(self, optimizer: object) -> bool:
        """Tell whether an optimizer, maybe one that has not stepped yet, trains the models."""
        key = id(optimizer)
        if key not in self._ours:
            known = any(optimizer is one for one in self.scene.optimizers)
            held = list_parameters(optimizer) if isinstance(optimizer, Optimizer) else []
            ids = {id(p) for model in self.scene.models for p in model.parameters()}
            self._ours[key] = known or any(id(p) in ids for p in held)
        return self._ours[key]

    def note_backward(self, event: Loss) -> None:
        """Remember that gradients are computed."""
        del event
        self._backwards += 1

    def note_step(self, index: int, optimizer: Optimizer) -> None:
        """Tell whether its schedule was earlier."""
        del index
        key = id(optimizer)
        early = self._early.get(key)
        if early is not None and key not in self._stepped | self._wound:
            skipped = early.after_backward and self._backwards > 0
            if _count(early.scheduler) != early.moment and not skipped:
                self.tell(
                    "LOP009",
                    "scheduler.step() was called before the first optimizer.step(): the first "
                    "learning rate of the schedule was never used.",
                    early.place,
                )
                self._stop()
        self._stepped.add(key)
        self._backwards = 0

    def _stop(self) -> None:
        self.done = True
        self._early.clear()
        if self in _listeners:
            _listeners.remove(self)
        if not _listeners:
            for kind, original in _replaced.items():
                kind.step = original  # type: ignore[attr-defined]
            _replaced.clear()

    def remove(self) -> None:
        """Listen no more."""
        self._stop()


def _list_kinds(kind: type[Any]) -> list[type[Any]]:
    return [kind, *(deeper for each in kind.__subclasses__() for deeper in _list_kinds(each))]
