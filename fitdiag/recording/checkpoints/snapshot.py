"""A copy of a training's state in host memory, taken while the training waits."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fitdiag.errors import UsageError

__all__ = ["Snapshot", "is_finite", "is_sharded"]

#: what a file may hold besides tensors and containers, so that it loads without running code
_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)
_SEQUENCES = ((list, list), (torch.Size, torch.Size), (tuple, tuple), ((set, frozenset), set))
_NOTHING = object()  # stands for what cannot be kept


def is_sharded(tensor: Tensor) -> bool:
    """Tell whether a tensor is spread over processes."""
    return hasattr(tensor, "to_local")


class Snapshot:
    """Host copies of tensors, whose memory is used again for the next copy.

    Attributes
    ----------
    left_out : list of str
        What the last copy could not take, by its place: functions and other objects that a file
        of plain data cannot hold.
    """

    def __init__(self) -> None:
        self.left_out: list[str] = []
        self._buffers: dict[str, Tensor] = {}
        self._copied: dict[tuple[Any, ...], Tensor] = {}
        self._used: dict[str, Tensor] = {}

    def take(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy that nothing changes any more, until the next is taken.

        Parameters
        ----------
        state : mapping
            Tensors, numbers, strings and containers of these, nested at will.

        Raises
        ------
        UsageError
            If a tensor is spread over processes.
        """
        self.left_out, self._copied, self._used = [], {}, {}
        copied = {key: self._copy(value, str(key)) for key, value in state.items()}
        for device in {place[0] for place in self._copied if place[0].type == "cuda"}:
            torch.cuda.current_stream(device).synchronize()
        self._buffers, self._copied = self._used, {}
        return copied

    def _copy(self, value: Any, place: str) -> Any:  # noqa: ANN401 any state there is
        if isinstance(value, Tensor):
            return self._copy_tensor(value, place)
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, Mapping):
            return self._copy_mapping(value, place)
        for kind, made in _SEQUENCES:
            if isinstance(value, kind):
                copies = (self._copy(item, f"{place}[{i}]") for i, item in enumerate(value))
                return made(item for item in copies if item is not _NOTHING)
        self.left_out.append(f"{place} ({type(value).__name__})")
        return _NOTHING

    def _copy_mapping(self, value: Mapping[Any, Any], place: str) -> Any:  # noqa: ANN401 its kind
        copies = {key: self._copy(item, f"{place}.{key}") for key, item in value.items()}
        kept = {key: item for key, item in copies.items() if item is not _NOTHING}
        if isinstance(value, Counter):
            return Counter(kept)
        if not isinstance(value, OrderedDict):
            return kept
        ordered = OrderedDict(kept)
        if hasattr(value, "_metadata"):  # the versions of a module's own state
            ordered._metadata = self._copy(value._metadata, place)  # type: ignore[attr-defined] # noqa: SLF001 a name of torch
        return ordered

    def _copy_tensor(self, tensor: Tensor, place: str) -> Tensor:
        if is_sharded(tensor):
            raise UsageError(f"{place} is spread over processes")
        source = tensor.detach()
        if source.layout is not torch.strided or source.is_quantized or source.is_meta:
            return source.cpu().clone()
        key = _identify(source)
        known = self._copied.get(key) if source.numel() else None
        if known is not None:
            return known  # tied weights stay tied, and are written once
        old = self._buffers.get(place)
        fits = old is not None and old.dtype == source.dtype and old.shape == source.shape
        pinned = source.device.type == "cuda"
        made = old if fits and old is not None else _allocate(source, pinned=pinned)
        made.copy_(source, non_blocking=pinned)
        self._copied[key] = self._used[place] = made
        return made


def _identify(tensor: Tensor) -> tuple[Any, ...]:
    start = tensor.untyped_storage().data_ptr()
    where = tensor.storage_offset(), tuple(tensor.shape), tensor.stride()
    return tensor.device, start, *where, tensor.dtype


def _allocate(tensor: Tensor, *, pinned: bool) -> Tensor:
    if pinned:
        return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return torch.empty_like(tensor, device="cpu", requires_grad=False)


def is_finite(state: object, masks: Collection[str] = ()) -> bool:
    """Tell whether every number in the tensors of a state is finite.

    Parameters
    ----------
    state : object
        Tensors on the host, and containers of these.
    masks : collection of str
        Names of tensors that may hold infinity, as a mask that is added to scores does; NaN is
        none of theirs either.
    """
    if isinstance(state, Mapping):
        named = ((name in masks, value) for name, value in state.items())
        return all(
            _is_sound(value, infinite=mask)
            if isinstance(value, Tensor)
            else is_finite(value, masks)
            for mask, value in named
        )
    if isinstance(state, (list, tuple)):
        return all(is_finite(value, masks) for value in state)
    return not isinstance(state, Tensor) or _is_sound(state, infinite=False)


def _is_sound(tensor: Tensor, *, infinite: bool) -> bool:
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    if tensor.layout is not torch.strided or tensor.is_meta or not tensor.numel():
        return True
    numbers = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    if numbers.element_size() == 1:
        numbers = numbers.float()  # nothing is computed in 8 bits
    ends = torch.aminmax(numbers)
    return all(not bool(torch.isnan(end) if infinite else ~torch.isfinite(end)) for end in ends)
