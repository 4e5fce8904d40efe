"""Norms of gradients, one number a tensor, left on their devices.

The norms come from ``torch._foreach_norm``, in one call for each device and type. Long tensors on
a CPU go in pieces, since float32 sums on one thread lose digits: the norm of 1e8 elements is
1.1 % off in one piece and 1e-6 off in pieces.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Norms", "ShardedGradientError", "is_plain", "measure_norms", "measure_plain"]

#: elements of the pieces in which long tensors are measured on a CPU, and from where on
PIECE = 2**18
LONG = 2**19
_WIDE = {torch.float32, torch.float64}
_PLAIN = {Tensor}
#: what all gradients of one fast call have in common
_read_kind = attrgetter("dtype", "layout", "device")
_read_type = attrgetter("dtype")
_has_graph = attrgetter("requires_grad")


class ShardedGradientError(TypeError):
    """A gradient of which this process holds only a part, so that its norm is not known here."""


class Norms(NamedTuple):
    """The norms of some gradients, on their devices.

    The global norm is the norm of all the elements of all the vectors.
    """

    #: one vector for each device and type, each of shape (n,), in float32 or float64; or single
    #: numbers of shape (), all on one device and of one type
    vectors: Sequence[Tensor]
    #: which gradient each element belongs to, over all vectors; a long one has several elements.
    #: None where there is one element for each gradient, in order
    places: tuple[int, ...] | None = None
    #: whether the vectors are single numbers
    loose: bool = False


def measure_norms(gradients: Sequence[Tensor | None]) -> Norms | None:
    """Measure the 2-norm of each gradient, without waiting for any device.

    Parameters
    ----------
    gradients : sequence of Tensor or None
        Dense or sparse, real or complex, of any floating or integer type, on any devices.
        None is passed over.

    Returns
    -------
    Norms or None
        None when there is no gradient at all. Squares are summed in float32 where the gradients
        are no wider: norms below 1e-22 come out as 0, and above 1e19 as infinity.

    Raises
    ------
    ShardedGradientError
        If a gradient is a DTensor.
    """
    present = [gradient for gradient in gradients if gradient is not None]
    if not present:
        return None
    if is_plain(present):
        return measure_plain(present, gradients, loose=0)
    with torch.no_grad():
        return _measure_mixed(gradients)


def is_plain(present: Sequence[Tensor]) -> bool:
    """Tell whether gradients are all of one kind, for which there is a fast way."""
    if set(map(type, present)) != _PLAIN or True in map(_has_graph, present):
        return False
    kinds = set(map(_read_kind, present))
    dtype, layout, device = kinds.pop()
    if kinds or dtype not in _WIDE or layout is not torch.strided:
        return False
    return device.type != "cpu" or max(map(Tensor.numel, present)) <= LONG


def measure_plain(
    present: list[Tensor], gradients: Sequence[Tensor | None], *, loose: int
) -> Norms:
    """Measure gradients that :func:`is_plain` was true for.

    Parameters
    ----------
    present : sequence of Tensor
        Those that are there.
    gradients : sequence of Tensor or None
        All of them.
    loose : int
        Up to how many norms are left as single numbers.

    Raises
    ------
    RuntimeError, TypeError
        If some of them no longer are.
    """
    norms = torch._foreach_norm(present)  # noqa: SLF001 no public name
    kinds = set(map(_read_type, norms))
    if len(kinds) > 1 or not kinds <= _WIDE:
        raise TypeError
    whole = len(present) == len(gradients)
    places = None if whole else tuple(at for at, _ in _place(gradients))
    if len(norms) <= loose:
        return Norms(norms, places, loose=True)
    return Norms([torch.stack(norms)], places)


def _place(gradients: Sequence[Tensor | None]) -> Iterable[tuple[int, Tensor]]:
    return ((at, gradient) for at, gradient in enumerate(gradients) if gradient is not None)


def _measure_mixed(gradients: Sequence[Tensor | None]) -> Norms:
    """Measure gradients of every kind: group by group, the long ones in pieces."""
    groups: dict[tuple[torch.device, torch.dtype], list[tuple[int, Tensor]]] = {}
    for at, gradient in _place(gradients):
        plain = _make_plain(gradient)
        group = groups.setdefault((plain.device, plain.dtype), [])
        group.extend((at, piece) for piece in _split_long(plain))
    parts = [part for group in groups.values() for part in group]
    vectors = [_measure_alike([piece for _, piece in group]) for group in groups.values()]
    return Norms(vectors, tuple(at for at, _ in parts))


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
    if gradients[0].dtype in _WIDE:
        return torch.stack(torch._foreach_norm(gradients))  # noqa: SLF001 no public name
    norms = [torch.linalg.vector_norm(g, dtype=torch.float32) for g in gradients]
    return torch.stack(norms)


def _split_long(gradient: Tensor) -> Sequence[Tensor]:
    if gradient.device.type != "cpu" or gradient.numel() <= LONG:
        return (gradient,)
    return torch.split(gradient.reshape(-1), PIECE)
