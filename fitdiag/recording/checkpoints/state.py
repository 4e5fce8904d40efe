"""The state of a training as one mapping, and how it gets back into the live objects."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import distributed

import fitdiag
from fitdiag.recording.checkpoints.parts import ROLES, Parts, unwrap
from fitdiag.recording.checkpoints.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FORMAT", "capture_random", "collect", "collect_weights", "restore", "restore_random"]

#: format of a file that holds a state; 1: the first
FORMAT = 1


def collect_weights(parts: Parts) -> dict[str, Any]:
    """Return the weights alone: one model's own state, or several under ``"model"``."""
    states = [unwrap(model).state_dict() for model in parts.model]
    return states[0] if len(states) == 1 else {"model": states}


def collect(
    parts: Parts,
    *,
    step: int,
    epoch: float | None,
    value: float | None,
    best: Mapping[str, Any] | None,
    rng: Mapping[str, Any],
) -> dict[str, Any]:
    """Return everything that a training needs to go on as if it had never stopped.

    Parameters
    ----------
    parts : Parts
        The live objects.
    step : int
        Optimizer steps by now.
    epoch : float or None
        Complete epochs by now.
    value : float or None
        The validation loss.
    best : mapping or None
        Step, epoch and validation loss of the best checkpoint so far.
    rng : mapping
        What :func:`capture_random` returned.

    Returns
    -------
    dict
        ``"model"``, ``"optimizer"``, ``"scheduler"`` and ``"scaler"`` are state dicts, or lists
        of these where there are several; a name is missing where there is none.
    """
    things: dict[str, Any] = {
        "fitdiag": fitdiag.__version__,
        "format": FORMAT,
        "step": step,
        "epoch": epoch,
        "val_loss": value,
        "best": None if best is None else dict(best),
        "rng": dict(rng),
        "kinds": {role: [_name(one) for one in getattr(parts, role)] for role in ROLES},
    }
    for role in ROLES:
        states = [_unwrapped(one).state_dict() for one in getattr(parts, role)]
        if states:
            things[role] = states[0] if len(states) == 1 else states
    return things


def restore(parts: Parts, found: Mapping[str, Any]) -> str | None:
    """Put a state, which has been checked to fit, into the live objects and the random numbers.

    Parameters
    ----------
    parts : Parts
        The live objects.
    found : mapping
        What the file holds.

    Returns
    -------
    str or None
        What could not be restored here, in a sentence.

    Raises
    ------
    Exception
        Whatever one of them makes of a state that is damaged; all are as they were before.
    """
    before, random_before = _hold(parts), capture_random()
    try:
        _load(parts, found)
        return restore_random(found["rng"])
    except BaseException:
        _load(parts, before)
        restore_random(random_before)
        raise


def _hold(parts: Parts) -> dict[str, Any]:
    """Return a copy of what the live objects hold, in the host's memory."""
    listed = {
        role: [_unwrapped(one).state_dict() for one in getattr(parts, role)] for role in ROLES
    }
    return Snapshot().take(listed)


def _load(parts: Parts, found: Mapping[str, Any]) -> None:
    for role in ROLES:
        things, states = getattr(parts, role), found.get(role)
        listed = states if isinstance(states, list) else [states]
        for thing, state in zip(things, listed if things else (), strict=True):
            _unwrapped(thing).load_state_dict(state)


def capture_random() -> dict[str, Any]:
    """Return the state of the random numbers of python, numpy, torch, and CUDA where in use."""
    version, internal, gauss = random.getstate()
    state: dict[str, Any] = {
        "python": (version, torch.tensor(internal, dtype=torch.int64), gauss),
        "torch": torch.get_rng_state(),
        "rank": distributed.get_rank() if _is_distributed() else 0,
    }
    kind, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 what users draw from
    words = torch.from_numpy(np.asarray(keys, dtype=np.int64))
    state["numpy"] = (str(kind), words, int(position), int(has_gauss), float(cached))
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random(state: Mapping[str, Any]) -> str | None:
    """Put the random numbers back where they were; return what could not be, in a sentence."""
    if _is_distributed() and distributed.get_rank() != state.get("rank", 0):
        return "the random numbers of this process were not kept, and go on from its own seed"
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal.tolist()), gauss))
    kind, words, position, has_gauss, cached = state["numpy"]
    keys = np.asarray(words.numpy(), dtype=np.uint32)
    np.random.set_state((kind, keys, position, has_gauss, cached))  # noqa: NPY002 what users draw from
    torch.set_rng_state(state["torch"])
    kept = state.get("cuda")
    if not kept:
        return None
    if not torch.cuda.is_available() or torch.cuda.device_count() != len(kept):
        return f"random numbers of {len(kept)} CUDA devices were kept, and not as many are here"
    torch.cuda.set_rng_state_all(kept)
    return None


def _is_distributed() -> bool:
    return distributed.is_available() and bool(distributed.is_initialized())


def _unwrapped(thing: Any) -> Any:  # noqa: ANN401 whatever has a state
    return unwrap(thing) if isinstance(thing, torch.nn.Module) else thing


def _name(thing: object) -> str:
    return type(_unwrapped(thing)).__name__
