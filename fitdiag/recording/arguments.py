"""Arguments of the public calls, checked before a training can suffer from them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fitdiag.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "check_log",
    "check_pace",
    "list_criteria",
    "list_models",
    "list_optimizers",
    "read_count",
    "read_number",
    "read_values",
]

_Kind = TypeVar("_Kind")
#: what stands before ``loss_<task>``, and which losses those are
_SPLITS = {"": "train", "train_": "train", "val_": "val"}
#: what is no task after ``loss_``
_NO_TASKS = frozenset({"train", "val", "valid", "validation", "test", "step", "epoch"})


def _list_of(value: object, kind: type[_Kind], what: str, choices: str) -> list[_Kind]:
    several = isinstance(value, Iterable) and not isinstance(value, kind)
    items = list(value) if several and isinstance(value, Iterable) else [value]
    found: dict[int, _Kind] = {}
    for item in items:
        if not isinstance(item, kind):
            raise UsageError(f"{what} is a {type(item).__name__}: pass {choices}")
        found[id(item)] = item
    return list(found.values())


def list_models(model: object) -> list[nn.Module]:
    """Return one or several modules as a list.

    Raises
    ------
    UsageError
        If it is anything else, or a ScriptModule, whose calls cannot be seen.
    """
    return _refuse_scripts(_list_of(model, nn.Module, "model", "an nn.Module or several"), "model")


def _refuse_scripts(modules: list[nn.Module], what: str) -> list[nn.Module]:
    for module in modules:
        if isinstance(module, torch.jit.ScriptModule):
            raise UsageError(
                f"{what} is a {type(module).__name__}, whose calls cannot be seen from outside: "
                "pass the nn.Module that it was made from or that holds it"
            )
    return modules


def list_optimizers(optimizer: object) -> list[Optimizer]:
    """Return one or several optimizers as a list, unwrapped; empty for None.

    Raises
    ------
    UsageError
        If it is anything else.
    """
    if optimizer is None:
        return []
    choices = "a torch.optim.Optimizer, several, or None for all that hold the model's parameters"
    found = _list_of(optimizer, Optimizer, "optimizer", choices)
    inner = [getattr(wrapper, "optimizer", wrapper) for wrapper in found]
    return [i if isinstance(i, Optimizer) else f for i, f in zip(inner, found, strict=True)]


def list_criteria(
    loss_fn: nn.Module | Iterable[nn.Module] | Callable[..., object] | None,
) -> list[nn.Module]:
    """Return one or several criteria as a list; empty for None.

    Raises
    ------
    UsageError
        If one is not a module: calls of a plain function cannot be seen from outside.
    """
    if loss_fn is None:
        return []
    if callable(loss_fn) and not isinstance(loss_fn, nn.Module):
        name = getattr(loss_fn, "__name__", type(loss_fn).__name__)
        raise UsageError(
            f"loss_fn is the plain function {name}, whose calls cannot be seen from outside: leave "
            f"loss_fn out here, and begin the with block by loss_fn = run.loss({name})"
        )
    found = _list_of(loss_fn, nn.Module, "loss_fn", "an nn.Module such as nn.CrossEntropyLoss()")
    return _refuse_scripts(found, "loss_fn")


def check_log(log: object) -> None:
    """Check that a log is named.

    Raises
    ------
    UsageError
        If it is no path, or one that no file can have.
    """
    name = os.fspath(log) if isinstance(log, (str, os.PathLike)) else None
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise UsageError(f"log is {log!r}: pass the name of a file, such as logs.csv")


def check_pace(every: int | None, flush_seconds: float) -> None:
    """Check how often rows are made and written.

    Raises
    ------
    UsageError
        If a number is negative, or ``every`` is not a whole one.
    """
    if every is not None and (type(every) is not int or every < 0):
        raise UsageError(f"every is {every!r}: pass steps from row to row, 0 for none, or None")
    if not flush_seconds >= 0:
        raise UsageError(f"flush_seconds is {flush_seconds!r}: pass seconds, 0 or more")


def read_count(count: object) -> int:
    """Return a number of epochs.

    Raises
    ------
    UsageError
        If it is no whole number.
    """
    number = count.item() if isinstance(count, Tensor) and count.numel() == 1 else count
    try:
        whole = int(number)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        whole = None
    if whole is None or whole != number:
        raise UsageError(f"run.epochs() was given {count!r}: pass a whole number of epochs")
    return int(whole)


def read_number(value: object) -> float | Tensor:
    """Return what a user logged as a number, or as a tensor of one that stays on its device.

    Raises
    ------
    UsageError
        If it is neither.
    """
    if isinstance(value, Tensor):
        value = value.detach()
        if value.is_complex() or not value.numel():
            raise UsageError(f"a tensor of type {value.dtype}, shape {tuple(value.shape)}")
        return value.clone() if value.ndim == 0 else value.float().mean()
    try:
        return int(value) if isinstance(value, int) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UsageError(f"{value!r} is no number") from error


def _name_column(name: str) -> str:
    """Return the column of a logged name: ``loss_ctr`` is the training loss of the task ctr."""
    split, found, task = name.partition("loss_")
    if name == "loss":
        return "train_loss"
    if not found or split not in _SPLITS or not task or task in _NO_TASKS:
        return name
    return f"{_SPLITS[split]}_loss/{task}"


def read_values(
    values: Mapping[str, object], *, step: object = None, epoch: object = None
) -> tuple[dict[str, float | Tensor], dict[str, float | Tensor | None]]:
    """Return what a user logged as numbers by name, and where it belongs.

    Parameters
    ----------
    values : mapping of str to number or Tensor
        ``loss`` is the training loss, unless there is a ``train_loss`` beside it.
    step, epoch : number, Tensor or None
        Where.

    Returns
    -------
    values : dict
        By column.
    where : dict
        ``step`` and ``epoch``, None where not given.

    Raises
    ------
    UsageError
        If one is no number, or the step not a whole one.
    """
    named = {_name_column(name): value for name, value in values.items()}
    named |= {name: value for name, value in values.items() if name == "train_loss"}
    checked = {name: read_number(value) for name, value in named.items()}
    where = {"step": step, "epoch": epoch}
    places = {name: None if v is None else read_number(v) for name, v in where.items()}
    for name, place in places.items():
        if isinstance(place, float) and not math.isfinite(place):
            raise UsageError(f"{name} is {place!r}: pass a finite number")
        if name == "step" and isinstance(place, float) and not place.is_integer():
            raise UsageError(f"step is {place!r}: pass a whole number")
    return checked, places
