"""Norms of gradients, one number a tensor, left on their devices.

The norms come from ``torch._foreach_norm``, in one call for each device and type. Long tensors on
a CPU go in pieces, since float32 sums on one thread lose digits: the norm of 1e7 elements is
2e-4 off in one piece and 1e-6 off in pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

__all__ = ["ShardedGradientError", "measure_norms"]

#: elements of the pieces in which long tensors are measured on a CPU, and from where on
PIECE = 2**18
LONG = 2**20
_WIDE = (torch.float32, torch.float64)


class ShardedGradientError(TypeError):
    """A gradient of which this process holds only a part, so that its norm is not known here."""


def measure_norms(gradients: Iterable[Tensor | None]) -> list[Tensor]:
    """Measure the 2-norm of each gradient, without waiting for any device.

    Parameters
    ----------
    gradients : iterable of Tensor or None
        Dense or sparse, real or complex, of any floating or integer type, on any devices.
        None is passed over.

    Returns
    -------
    list of Tensor, each of shape (n,)
        One vector for each device and type, in float32 or float64. The global norm is the norm
        of all of their elements. Empty when there is no gradient at all.

    Raises
    ------
    ShardedGradientError
        If a gradient is a DTensor.
    """
    present = [gradient for gradient in gradients if gradient is not None]
    kinds = {(g.device, g.dtype, g.layout, g.requires_grad, type(g)) for g in present}
    if len(kinds) == 1 and not any(_is_unusual(*kind) for kind in kinds):
        return [_measure_alike(present)]
    with torch.no_grad():
        groups: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
        for gradient in map(_make_plain, present):
            groups.setdefault((gradient.device, gradient.dtype), []).append(gradient)
        return [_measure_alike(group) for group in groups.values()]


def _is_unusual(
    _device: torch.device, dtype: torch.dtype, layout: torch.layout, has_graph: bool, kind: type
) -> bool:
    plain = layout is torch.strided and kind is torch.Tensor and not has_graph
    return not (plain and dtype.is_floating_point)


def _make_plain(gradient: Tensor) -> Tensor:
    if hasattr(gradient, "to_local"):
        raise ShardedGradientError
    if gradient.layout is torch.sparse_coo:
        gradient = gradient.coalesce().values()
    elif gradient.layout is not torch.strided:
        gradient = gradient.values()
    if gradient.is_complex():
        return torch.view_as_real(gradient.resolve_conj())
    return gradient if gradient.is_floating_point() else gradient.float()


def _measure_alike(gradients: list[Tensor]) -> Tensor:
    first = gradients[0]
    if first.device.type == "cpu":
        gradients = _split_long(gradients)
    if first.dtype in _WIDE:
        return torch.stack(torch._foreach_norm(gradients, 2))  # noqa: SLF001 no public name
    norms = [torch.linalg.vector_norm(g, dtype=torch.float32) for g in gradients]
    return torch.stack(norms)


def _split_long(gradients: list[Tensor]) -> list[Tensor]:
    if all(gradient.numel() <= LONG for gradient in gradients):
        return gradients
    pieces: list[Tensor] = []
    for gradient in gradients:
        pieces += (
            torch.split(gradient.reshape(-1), PIECE) if gradient.numel() > LONG else [gradient]
        )
    return pieces
