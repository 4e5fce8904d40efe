"""Listening to ``torch.amp.GradScaler``: the scale, the steps it skips, and when it unscales.

While somebody listens, two methods of the class stand behind wrappers that hand everything
through.
"""

from __future__ import annotations

import functools
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch

from fitdiag.recording.clipping import list_parameters
from fitdiag.recording.events import Scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch.nn import Module
    from torch.optim import Optimizer

    from fitdiag.recording.intake import Intake

__all__ = ["ScaleWatch"]

_listeners: list[ScaleWatch] = []
_lock = Lock()


def _find_classes() -> list[Any]:
    """Return the classes that bring the methods; every scaler of torch inherits from one."""
    found = [getattr(torch.amp, "GradScaler", None), torch.cuda.amp.GradScaler]
    return [kind for kind in dict.fromkeys(found) if kind is not None and "step" in vars(kind)]


class ScaleWatch:
    """Tells an intake of each step of its optimizers under a scaler, until it is removed.

    Parameters
    ----------
    intake : Intake
        Whom to tell.
    models : sequence of Module
        Whose parameters an optimizer must hold to be ours ...
    optimizers : sequence of Optimizer
        ... unless it is one of these.
    """

    def __init__(
        self, intake: Intake, models: Sequence[Module], optimizers: Sequence[Optimizer]
    ) -> None:
        self.intake = intake
        self._models = models
        self._ours: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
        self._ours.update(dict.fromkeys(optimizers, True))
        with _lock:
            _listeners.append(self)
            for kind in _find_classes():
                for name, wrap in (("step", _wrap_step), ("unscale_", _wrap_unscale)):
                    if not hasattr(getattr(kind, name), "__fitdiag__"):
                        setattr(kind, name, wrap(getattr(kind, name)))

    def remove(self) -> None:
        """Listen no more; the last one puts the methods back."""
        with _lock:
            if self in _listeners:
                _listeners.remove(self)
            for kind in () if _listeners else _find_classes():
                for name in ("step", "unscale_"):
                    found = getattr(kind, name)
                    if hasattr(found, "__fitdiag__"):
                        setattr(kind, name, found.__fitdiag__)

    def owns(self, optimizer: Optimizer) -> bool:
        """Tell whether an optimizer trains a model that is recorded."""
        optimizer = getattr(optimizer, "optimizer", optimizer)
        known = self._ours.get(optimizer)
        if known is None:
            ours = {id(p) for model in self._models for p in model.parameters()}
            known = not ours.isdisjoint(map(id, list_parameters(optimizer)))
            self._ours[optimizer] = known
        return known


def _note_step(scaler: object, optimizer: Any, before: dict[ScaleWatch, int]) -> None:  # noqa: ANN401 may be a wrapper
    """Note that a scaler has been asked to step, and whether it did."""
    scale = _read_scale(scaler)
    for watch, steps in before.items():
        if scale is not None and watch.intake.live and watch.owns(optimizer):
            skipped = steps == watch.intake.steps
            watch.intake.events.append(Scaled(scale, skipped=skipped))


def _note_unscaled(scaler: object, optimizer: Any) -> None:  # noqa: ANN401 may be a wrapper
    """Note that gradients, which may have been clipped, are multiplied by the scale no more."""
    clipped = [watch.intake for watch in tuple(_listeners) if watch.intake.clips]
    scale = _read_scale(scaler) if clipped else None
    gradients = [] if scale is None else [p.grad for p in list_parameters(optimizer)]
    for intake in clipped:
        intake.clips.unscale(gradients, scale)


def _guard(note: Callable[..., None], *given: object) -> None:
    """Note something; whatever goes wrong stays here."""
    try:
        note(*given)
    except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
        for watch in tuple(_listeners):
            watch.intake.fail(error)


def _read_scale(scaler: object) -> torch.Tensor | None:
    """Return a copy of the present scale, which update() writes into; None if there is none."""
    scale = getattr(scaler, "_scale", None)
    enabled = isinstance(scale, torch.Tensor) and getattr(scaler, "_enabled", True)
    return scale.clone() if enabled and isinstance(scale, torch.Tensor) else None


def _wrap_step(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def step(self: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 handed through
        before = {watch: watch.intake.steps for watch in tuple(_listeners)}
        result = original(self, optimizer, *args, **kwargs)
        _guard(_note_step, self, optimizer, before)
        return result

    step.__fitdiag__ = original  # type: ignore[attr-defined]
    return step


def _wrap_unscale(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def unscale_(self: Any, optimizer: Any) -> Any:  # noqa: ANN401 handed through
        result = original(self, optimizer)
        _guard(_note_unscaled, self, optimizer)
        return result

    unscale_.__fitdiag__ = original  # type: ignore[attr-defined]
    return unscale_
