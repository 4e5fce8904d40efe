"""What belongs to a training's state: models, optimizers, schedulers, scalers."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fitdiag.errors import UsageError
from fitdiag.recording.checkpoints.snapshot import is_sharded
from fitdiag.recording.clipping import list_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ROLES", "Parts", "complete", "list_stateful", "unwrap"]

#: what a checkpoint holds of a training, by the name that it has in the file
ROLES = ("model", "optimizer", "scheduler", "scaler")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The live objects of a training.

    Parameters
    ----------
    model : sequence of Module
        As the user holds them; what wraps one for several devices or for a compiler is no part
        of its state.
    optimizer : sequence of Optimizer
        All that step.
    scheduler, scaler : sequence of object
        Whatever has ``state_dict()`` and ``load_state_dict()``.
    """

    model: Sequence[nn.Module]
    optimizer: Sequence[Optimizer] = ()
    scheduler: Sequence[Any] = ()
    scaler: Sequence[Any] = ()

    def list_buffers(self) -> set[str]:
        """Return the names of what the models hold besides parameters."""
        return {name for model in self.model for name, _ in unwrap(model).named_buffers()}

    def refuse_sharded(self) -> None:
        """Check that the state lies whole in this process.

        Raises
        ------
        UsageError
            If a parameter is spread over processes, as FSDP and tensor parallelism do.
        """
        for model in self.model:
            kind = type(model).__name__
            named = (name for name, p in model.named_parameters() if is_sharded(p))
            name = next(named, None)
            if name is not None or kind == "FullyShardedDataParallel":
                where = f"its parameter {name} is" if name else "as FSDP its parameters are"
                raise UsageError(
                    f"checkpoints cannot keep this {kind}: {where} spread over processes, and "
                    "one process alone cannot write it. Leave checkpoints out, and save by "
                    "torch.distributed.checkpoint in the loop"
                )


def unwrap(model: nn.Module) -> nn.Module:
    """Return the module inside DataParallel, DistributedDataParallel and torch.compile."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if isinstance(model, (DataParallel, DistributedDataParallel)):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def list_stateful(given: object, role: str) -> list[Any]:
    """Return one or several things with a state as a list; empty for None.

    Raises
    ------
    UsageError
        If one has no ``state_dict()`` or ``load_state_dict()``.
    """
    if given is None:
        return []
    several = isinstance(given, Iterable) and not hasattr(given, "state_dict")
    things = list(given) if several and isinstance(given, Iterable) else [given]
    needed = ("state_dict", "load_state_dict")
    for thing in things:
        if not all(callable(getattr(thing, name, None)) for name in needed):
            raise UsageError(
                f"{role} is a {type(thing).__name__}, which has no state: pass what has "
                "state_dict() and load_state_dict(), or several of these"
            )
    return things


def complete(parts: Parts, say: Callable[[str], None]) -> Parts:
    """Return the parts with those that nobody named and that there are in memory.

    Parameters
    ----------
    parts : Parts
        What was named.
    say : callable
        Says where it cannot be told what belongs to the training.
    """
    found = _Found(parts.model)
    parts = replace(parts, optimizer=list(parts.optimizer) or found.list_optimizers())
    finders = {"scheduler": found.list_schedulers, "scaler": found.list_scalers}
    for role, find in finders.items():
        if getattr(parts, role):
            continue
        things = find(parts.optimizer)
        if things is None:
            say(
                f"this training may have one of several {role}s, and its checkpoints are without "
                f"any: pass record({role}=...)"
            )
        else:
            parts = replace(parts, **{role: things})
    return parts


class _Found:
    """What the program holds in memory that may belong to a training."""

    def __init__(self, models: Sequence[nn.Module]) -> None:
        scaler = getattr(torch.amp, "GradScaler", None) or torch.cuda.amp.GradScaler
        alive: dict[type, list[Any]] = {Optimizer: [], LRScheduler: [], scaler: []}
        for thing in gc.get_objects():
            for kind, things in alive.items():
                if issubclass(type(thing), kind):
                    things.append(thing)
        self._parameters = {id(p) for model in models for p in model.parameters()}
        self._optimizers = alive[Optimizer]
        self._schedulers = alive[LRScheduler]
        self._scalers = alive[scaler]

    def list_optimizers(self) -> list[Any]:
        """Return the optimizers that hold a parameter of the models."""
        return [
            optimizer
            for optimizer in self._optimizers
            if self._parameters & {id(p) for p in list_parameters(optimizer)}
        ]

    def list_schedulers(self, optimizers: Sequence[Optimizer]) -> list[Any] | None:
        """Return the scheduler of each optimizer that has one, None where one has several.

        A scheduler that another one holds, as ``SequentialLR`` does, is a part of that one.
        """
        held = {id(one) for outer in self._schedulers for one in getattr(outer, "_schedulers", ())}
        outer = [scheduler for scheduler in self._schedulers if id(scheduler) not in held]
        owned = [
            [scheduler for scheduler in outer if getattr(scheduler, "optimizer", None) is optimizer]
            for optimizer in optimizers
        ]
        if any(len(own) > 1 for own in owned):
            return None
        return [own[0] for own in owned if own]

    def list_scalers(self, _: Sequence[Optimizer]) -> list[Any] | None:
        """Return the gradient scaler that is in use, None where there are several."""
        used = [scaler for scaler in self._scalers if scaler.is_enabled()]
        return used if len(used) < 2 else None
