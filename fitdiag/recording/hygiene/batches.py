"""Batch normalisation over batches that are too small for it."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, distributed, nn

from fitdiag.mistakes import SMALL_BATCH
from fitdiag.recording.hygiene.places import find_place
from fitdiag.recording.hygiene.watcher import InertHook, Watcher
from fitdiag.recording.intake import is_compiling

if TYPE_CHECKING:
    from fitdiag.recording.events import Loss
    from fitdiag.recording.hygiene.places import Place
    from fitdiag.recording.hygiene.watcher import Scene

__all__ = ["BatchWatcher"]

#: batches that are looked at, and then calls of the layer itself
BATCHES, CALLS = 6, 4


class _NormEntry(InertHook):
    """Counts the samples that a batch-norm layer is given."""

    def __init__(self, watcher: BatchWatcher) -> None:
        self.watcher = watcher

    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if module.training and torch.is_grad_enabled() and not is_compiling():
            self.watcher.take(args)


class BatchWatcher(Watcher):
    """Watches the size of the batches, and where they look small, what the layer is given.

    The loss alone does not tell: it may be computed for one sample at a time, or over the steps
    of sequences.
    """

    codes = ("LOP006",)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._sizes: list[int] = []
        self._forward = -1
        self._given: list[int] = []
        self._place: Place | None = None
        self._handle: Any = None

    def note_loss(self, event: Loss, loss: Tensor) -> None:
        """Take the size of its batch."""
        del loss
        if self._handle is not None:
            if len(self._given) >= CALLS:
                self._judge()
            return
        if not (event.grad and event.training and event.weight) or event.forward == self._forward:
            return
        self._forward = event.forward
        self._sizes.append(event.weight)
        if len(self._sizes) >= BATCHES:
            self._look_closer()

    def _look_closer(self) -> None:
        layers = [layer for layer in self.scene.norms if layer.training]
        small = median(self._sizes) < SMALL_BATCH
        self.informed.add("LOP006")
        if layers and small and not any(_is_compiled(model) for model in self.scene.models):
            self._handle = layers[0].register_forward_pre_hook(_NormEntry(self))
            self.wants_losses = True
        else:
            self.done = True

    def take(self, args: tuple[Any, ...]) -> None:
        """Take what the layer is given."""
        first = args[0] if args else None
        if len(self._given) < CALLS and isinstance(first, Tensor) and first.ndim:
            self._given.append(int(first.shape[0]))
            self._place = self._place or find_place()

    def _judge(self) -> None:
        self._handle.remove()
        self.done = True
        layer = next((layer for layer in self.scene.norms if layer.training), None)
        shared = isinstance(layer, nn.SyncBatchNorm) and distributed.is_initialized()
        size = int(median(self._given)) * (distributed.get_world_size() if shared else 1)
        if size < SMALL_BATCH:
            self.tell(
                "LOP006",
                f"Batch-norm takes its statistics from batches of {size}, which are noisy: under "
                f"{SMALL_BATCH} the error rises.",
                self._place,
                batch=size,
            )

    def remove(self) -> None:
        """Take the hook away."""
        if self._handle is not None:
            self._handle.remove()


def _is_compiled(model: nn.Module) -> bool:
    """Tell whether a hook would make it be compiled again."""
    return hasattr(model, "_orig_mod") or getattr(model, "_compiled_call_impl", None) is not None
