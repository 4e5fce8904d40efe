"""Arguments of the public calls, checked before a training can suffer from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from torch import Tensor, nn
from torch.optim import Optimizer

from fitdiag.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check_pace", "list_criteria", "list_models", "list_optimizers", "read_number"]

_Kind = TypeVar("_Kind")


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
        If it is anything else.
    """
    return _list_of(model, nn.Module, "model", "an nn.Module or several")


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
    return _list_of(loss_fn, nn.Module, "loss_fn", "an nn.Module such as nn.CrossEntropyLoss()")


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
