"""Samples that stand in the training and in the validation data: fingerprints of the inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from fitdiag.mistakes import SHARED_SAMPLES
from fitdiag.recording.events import Loss, number_backward
from fitdiag.recording.hygiene.places import find_place
from fitdiag.recording.hygiene.watcher import InertHook, Watcher
from fitdiag.recording.intake import is_compiling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.optim import Optimizer

    from fitdiag.recording.hygiene.places import Place
    from fitdiag.recording.hygiene.watcher import Scene

__all__ = ["SampleWatcher", "fingerprint"]

#: elements of a sample that are read, and samples of either kind that are remembered
ELEMENTS, MOST = 1024, 1 << 20
#: share of samples that may be alike within the validation data; where more are, they are no sign
ALIKE = 0.1
#: evaluations after which it is settled
ROUNDS = 2


def _make_weights() -> Tensor:
    """Return odd numbers of 64 bits, the same ones always, from a generator of its own."""
    numbers = np.random.default_rng(20).integers(-(2**62), 2**62, size=ELEMENTS)
    return torch.from_numpy(2 * numbers + 1)


def fingerprint(inputs: Tensor, weights: Tensor) -> Tensor:
    """Return a number for each sample that equal samples share, computed where they lie.

    Parameters
    ----------
    inputs : Tensor, shape (n, ...)
        Of any floating or integer type. Of long samples elements at equal distances are read.
    weights : Tensor of int64, shape (ELEMENTS,)
        What the elements' bits are multiplied by; the sum is taken modulo 2**64.

    Returns
    -------
    Tensor of int64, shape (n,)
    """
    flat = inputs.detach().reshape(inputs.shape[0], -1)
    if flat.shape[1] > ELEMENTS:
        flat = flat[:, :: -(-flat.shape[1] // ELEMENTS)]
    if flat.is_floating_point():
        flat = flat.float().contiguous().view(torch.int32)
    return (flat.to(torch.int64) * weights[: flat.shape[1]]).sum(dim=1)


class _ModelEntry(InertHook):
    """Hands the inputs of a model on."""

    def __init__(self, watcher: SampleWatcher) -> None:
        self.watcher = watcher

    def __call__(self, module: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        del module
        if not is_compiling():
            self.watcher.take((*args, *kwargs.values()))


class SampleWatcher(Watcher):
    """Compares the inputs of the first epochs' validation with those that were trained on."""

    codes = ("LOP010",)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.wants_losses = self.wants_steps = True
        self._handles: list[Any] = []
        self._weights: dict[torch.device, Tensor] = {}
        self._prints: Tensor | None = None  # of the last inputs
        self._open: list[
            tuple[Loss, Tensor, Place | None]
        ] = []  # it is not known yet of which kind
        self._trained: list[Tensor] = []
        self._judged: list[Tensor] = []
        self._place: Place | None = None
        self._rounds = 0
        self._room = MOST

    def begin(self) -> None:
        """See the inputs of the models."""
        for model in self.scene.models:
            entry = _ModelEntry(self)
            self._handles.append(model.register_forward_pre_hook(entry, with_kwargs=True))

    def take(self, given: Sequence[object]) -> None:
        """Take the inputs of a model; whatever goes wrong here stays here."""
        if not self.scene.intake.live or self.done or number_backward() is not None:
            return
        try:
            first = next((value for value in given if isinstance(value, Tensor)), None)
            self._prints = None if first is None or first.ndim < 2 else self._read(first)
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            self._stop()
            self.scene.teller.give_up(self.codes, problem)

    def _read(self, inputs: Tensor) -> Tensor | None:
        if inputs.is_sparse or inputs.is_complex() or inputs.is_nested or inputs.is_meta:
            return None
        if inputs.device not in self._weights:
            self._weights[inputs.device] = _make_weights().to(inputs.device)
        with torch.no_grad():
            return fingerprint(inputs, self._weights[inputs.device])

    def note_loss(self, event: Loss, loss: Tensor) -> None:
        """Remember with which loss the last inputs ended."""
        del loss
        prints, self._prints = self._prints, None
        if prints is None or not event.weight or event.weight % len(prints):
            return  # the loss is not one over these samples, as where a mask picks some of them
        trains = event.grad and event.training and event.phase is None
        self._open.append((event, prints, None if trains or self._place else find_place()))

    def note_step(self, index: int, optimizer: Optimizer) -> None:
        """Settle which samples the step was made with, and judge what was evaluated before."""
        del index, optimizer
        if self._sort():
            self._judge()

    def _sort(self) -> bool:
        """Sort what is open into trained and judged; tell whether anything was judged."""
        judged = False
        for event, prints, place in self._open:
            held = not event.grad or not event.training or event.phase is not None
            if event.backward is not None:
                self._keep(prints)
            elif held and event.phase != "train":
                self._judged.append(prints)
                self._place = self._place or place
                judged = True
        self._open.clear()
        return judged

    def _keep(self, prints: Tensor) -> None:
        """Remember what was trained on, as long as there is room."""
        if self._room > 0:
            self._trained.append(prints)
            self._room -= len(prints)
            self.wants_losses = self.wants_steps = self._room > 0

    def _judge(self) -> None:
        if not self._trained or not self._judged:
            return
        self._rounds += 1
        trained, judged = torch.cat(self._trained), torch.cat(self._judged)[:MOST]
        distinct = torch.unique(judged)
        found = int(torch.isin(distinct, trained).sum())
        own = len(distinct)
        share = found / max(1, own)
        self._judged.clear()
        if own >= (1 - ALIKE) * len(judged):
            self.informed.add("LOP010")
            if share >= SHARED_SAMPLES and found > 1:
                self.tell(
                    "LOP010",
                    f"{share:.0%} of the validation samples ({found:,} of {own:,}) stand in the "
                    "training data too.",
                    self._place,
                    share=share,
                    samples=found,
                )
                self._stop()
        if self._rounds >= ROUNDS:
            self._stop()

    def _stop(self) -> None:
        self.done = True
        self.wants_losses = self.wants_steps = False
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._open.clear()
        self._trained.clear()
        self._judged.clear()

    def close(self) -> None:
        """Judge what was evaluated last."""
        if not self.done:
            self._sort()
            self._judge()

    def remove(self) -> None:
        """Take the hooks away."""
        self._stop()
