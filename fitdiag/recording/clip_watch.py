"""Listening to torch's gradient clipping, by whatever name the loop calls it.

Every clipping function of torch groups its gradients first, by one function of its own module.
While somebody listens, that one stands behind a wrapper that hands everything through, so that a
``clip_grad_norm_`` that was imported long before is heard too.
"""

from __future__ import annotations

import functools
import sys
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils import clip_grad

from fitdiag.recording.clipping import ClipCall
from fitdiag.recording.intake import is_compiling
from fitdiag.recording.norms import ShardedGradientError, measure_norms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from torch import Tensor

    from fitdiag.recording.intake import Intake

__all__ = ["ClipWatch"]

#: what every clipping function calls before it changes anything
NAME = "_group_tensors_by_device_and_dtype"

_listeners: list[Intake] = []
_lock = Lock()


class ClipWatch:
    """Tells an intake of each clipping, until it is removed.

    Parameters
    ----------
    intake : Intake
        Whom to tell.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        with _lock:
            _listeners.append(intake)
            found = getattr(clip_grad, NAME, None)
            if found is not None and not hasattr(found, "__fitdiag__"):
                setattr(clip_grad, NAME, _wrap(found))

    def remove(self) -> None:
        """Listen no more; the last one puts the function back."""
        with _lock:
            if self._intake in _listeners:
                _listeners.remove(self._intake)
            found = getattr(clip_grad, NAME, None)
            original = getattr(found, "__fitdiag__", None)
            if not _listeners and original is not None:
                setattr(clip_grad, NAME, original)


def _wrap(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def group(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 handed through
        if _listeners and not is_compiling():
            try:
                _tell(sys._getframe(1))  # noqa: SLF001 what is clipped stands nowhere else
            except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
                for intake in tuple(_listeners):
                    intake.fail(error)
        return original(*args, **kwargs)

    group.__fitdiag__ = original  # type: ignore[attr-defined]
    return group


def _tell(frame: FrameType) -> None:
    """Tell those who listen what the function in this frame is about to do."""
    read = _READERS.get(frame.f_code.co_name)
    if read is None:
        return
    given = frame.f_locals
    gradients = [gradient for gradient in given["grads"] if gradient is not None]
    listeners = [intake for intake in tuple(_listeners) if intake.live and gradients]
    if listeners:
        call, changes = read(frame, given, gradients)
        for intake in listeners:
            intake.clips.note(call, gradients, changes)


def _read_scaling(
    frame: FrameType, given: Mapping[str, Any], _gradients: Sequence[Tensor]
) -> tuple[ClipCall, int]:
    """Read a clipping by norm, whose norm is known by now."""
    total = given["total_norm"]
    sharded = hasattr(total, "to_local")
    if sharded:
        whole = all(placement.is_replicate() for placement in total.placements)
        total = total.to_local() if whole else None
    if isinstance(total, torch.Tensor):
        total = total.detach().clone()
    caller = frame.f_back  # what torch puts around each of these functions
    caller = caller.f_back if caller is not None else None
    named = caller is not None and caller.f_code.co_name == "clip_grad_norm_"
    norm_type = caller.f_locals.get("norm_type") if caller is not None and named else None
    squared = norm_type is not None and float(norm_type) == 2.0
    call = ClipCall(float(given["max_norm"]), total, squared=squared)
    call.is_global = sharded and total is not None
    return call, 1


def _read_unscaled_norm(
    _frame: FrameType, given: Mapping[str, Any], gradients: Sequence[Tensor]
) -> tuple[ClipCall, int]:
    """Read a clipping by norm in a version of torch that groups before it knows the norm."""
    return _measure(float(given["max_norm"]), gradients), 1


def _read_values(
    _frame: FrameType, given: Mapping[str, Any], gradients: Sequence[Tensor]
) -> tuple[ClipCall, int]:
    """Read a clipping of single values, which nothing can undo."""
    plain = all(type(gradient) is torch.Tensor for gradient in gradients)
    changes = 2 if given.get("foreach") is not False and plain else 1
    return _measure(float(given["clip_value"]), gradients), changes


def _measure(limit: float, gradients: Sequence[Tensor]) -> ClipCall:
    try:
        call = ClipCall(limit, before=measure_norms(gradients))
    except ShardedGradientError:
        return ClipCall(limit)
    call.where = {id(gradient): place for place, gradient in enumerate(gradients)}
    return call


_READERS: dict[str, Callable[..., tuple[ClipCall, int]]] = {
    "_clip_grads_with_norm_": _read_scaling,
    "clip_grad_norm_": _read_unscaled_norm,
    "clip_grad_value_": _read_values,
}
