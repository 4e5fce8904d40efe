"""Listening to ``torch.nn.utils.clip_grad_norm_``, which returns the norm from before it clips.

While somebody listens, the function stands behind a wrapper that hands everything through.
"""

from __future__ import annotations

import functools
from types import GeneratorType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad

from fitdiag.recording.clipping import sign
from fitdiag.recording.intake import is_compiling

if TYPE_CHECKING:
    from collections.abc import Callable

    from fitdiag.recording.intake import Intake

__all__ = ["ClipWatch"]

#: where the function is called from
PLACES: tuple[Any, ...] = (clip_grad, torch.nn.utils)
NAME = "clip_grad_norm_"

_listeners: list[Intake] = []


class ClipWatch:
    """Tells an intake of each clipping, until it is removed.

    Parameters
    ----------
    intake : Intake
        Whom to tell.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        _listeners.append(intake)
        for place in PLACES:
            found = getattr(place, NAME)
            if not hasattr(found, "__fitdiag__"):
                setattr(place, NAME, _wrap(found))

    def remove(self) -> None:
        """Listen no more; the last one puts the function back."""
        if self._intake in _listeners:
            _listeners.remove(self._intake)
        for place in PLACES if not _listeners else ():
            found = getattr(place, NAME)
            if hasattr(found, "__fitdiag__"):
                setattr(place, NAME, found.__fitdiag__)


def _wrap(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def clip_grad_norm_(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 handed through
        if not _listeners or is_compiling():
            return original(*args, **kwargs)
        call = _Call()
        args = call.begin(args, kwargs)
        norm = original(*args, **kwargs)
        call.end(norm)
        return norm

    clip_grad_norm_.__fitdiag__ = original  # type: ignore[attr-defined]
    return clip_grad_norm_


class _Call:
    """One call that is listened to; whatever goes wrong here stays here."""

    def __init__(self) -> None:
        self._parameters: list[Tensor] = []
        self._limit: float | None = None
        self._before: object = None

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Look at the gradients, and return the arguments; a generator is made anew."""
        given = args[0] if args else kwargs.get("parameters")
        if isinstance(given, GeneratorType):
            kept = list(given)
            anew = (parameter for parameter in kept)
            if args:
                args = (anew, *args[1:])
            else:
                kwargs["parameters"] = anew
            given = kept
        try:
            self._look(given, args, kwargs)
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self._fail(error)
        return args

    def _look(self, given: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:  # noqa: ANN401 as the user gave it
        norm_type = args[2] if len(args) > 2 else kwargs.get("norm_type", 2.0)
        if given is None or float(norm_type) != 2.0:
            return
        if not isinstance(given, (Tensor, list, tuple)):
            return  # what can be iterated over only once is not ours to use up
        self._parameters = [given] if isinstance(given, Tensor) else list(given)
        self._before = sign(self._parameters)
        self._limit = float(args[1] if len(args) > 1 else kwargs["max_norm"])

    def end(self, norm: object) -> None:
        """Tell those who listen."""
        if self._limit is None or not isinstance(norm, Tensor):
            return
        try:
            for intake in tuple(_listeners):
                intake.note_clip(self._before, self._parameters, self._limit, norm)
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._limit = None
        for intake in tuple(_listeners):
            intake.fail(error)
