"""What gradient clipping did, and to which gradients, as the intake remembers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["Clip", "list_parameters", "sign"]


class Clip:
    """What clipping did to some gradients: the limit and the norm of each time, in order."""

    __slots__ = ("limits", "norms", "signature")

    def __init__(self) -> None:
        self.limits: list[float] = []
        self.norms: list[Tensor] = []
        self.signature: object = None


def list_parameters(optimizer: Optimizer) -> list[Tensor]:
    """Return all the parameters that an optimizer holds."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def sign(parameters: Iterable[Tensor]) -> frozenset[tuple[int, int, int]]:
    """Return what stays equal only while the gradients of the same parameters stay as they are."""
    pairs = [(parameter, parameter.grad) for parameter in parameters]
    return frozenset((id(p), id(g), g._version) for p, g in pairs if g is not None)  # noqa: SLF001
