"""Whether gradients are zeroed between two steps of the same optimizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from fitdiag.recording.clipping import list_parameters
from fitdiag.recording.hygiene.places import find_place
from fitdiag.recording.hygiene.watcher import Watcher

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from fitdiag.recording.events import Loss
    from fitdiag.recording.hygiene.watcher import Scene

__all__ = ["ZeroingWatcher"]

#: steps that have to use stale gradients before it is told
CERTAIN = 2


class _Probe:
    """The gradient of one parameter as it was when its optimizer stepped."""

    __slots__ = ("gradient", "parameter", "version")

    def __init__(self, parameter: Tensor) -> None:
        self.parameter = parameter
        self.gradient = parameter.grad
        self.version = _version(parameter.grad)

    def is_untouched(self) -> bool:
        """Tell whether it is still what it was."""
        now = self.parameter.grad
        return now is not None and now is self.gradient and _version(now) == self.version

    def is_kept(self) -> bool:
        """Tell whether nothing has taken its place."""
        return self.parameter.grad is not None and self.parameter.grad is self.gradient

    def is_zero(self) -> bool:
        """Tell whether it is gone or zero; this waits for the device."""
        now = self.parameter.grad
        if now is None:
            return True
        if now.is_cuda and torch.cuda.is_current_stream_capturing():
            return True  # nothing may wait here
        values = now.coalesce().values() if now.is_sparse else now
        return not bool(values.any())


def _version(gradient: Tensor | None) -> int:
    return -1 if gradient is None else gradient._version  # noqa: SLF001 no public name


class _Gap:
    """What happened to the gradients of an optimizer since its last step."""

    __slots__ = ("probes", "stale", "zeroed")

    def __init__(self, probes: list[_Probe]) -> None:
        self.probes = probes
        self.stale = False  # a backward pass began with the gradients that the step had used
        self.zeroed = False

    def note_backward(self) -> None:
        if self.zeroed:
            return
        untouched = all(probe.is_untouched() for probe in self.probes)
        if untouched or self.stale:
            self.zeroed = any(probe.is_zero() for probe in self.probes)
            self.stale = self.stale or (untouched and not self.zeroed)
        else:
            self.zeroed = True  # as far as can be told

    def is_stale(self) -> bool:
        """Tell whether the next step uses what the last one used."""
        return self.stale and not self.zeroed and all(probe.is_kept() for probe in self.probes)


class ZeroingWatcher(Watcher):
    """Watches the smallest gradients of each optimizer from step to step.

    A backward pass that begins with the very gradients that the step before has used adds to them,
    unless they are zeroed before a later one, as those of a GAN's discriminator are.
    """

    codes = ("LOP002",)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._gaps: dict[int, _Gap] = {}
        self._faults: dict[int, int] = {}  # in a row, by optimizer

    def note_backward(self, event: Loss) -> None:
        """Look whether the gradients are those of the step before."""
        del event
        for gap in self._gaps.values():
            gap.note_backward()

    def note_step(self, index: int, optimizer: Optimizer) -> None:
        """Look back on the gap that ends here, and begin the next one."""
        gap = self._gaps.pop(index, None)
        if gap is not None and (gap.stale or gap.zeroed):
            self.informed.add("LOP002")
            self._faults[index] = self._faults.get(index, 0) + 1 if gap.is_stale() else 0
        if self._faults.get(index, 0) >= CERTAIN:
            self.tell(
                "LOP002",
                "Gradients were not zeroed between two optimizer steps: each step uses the sum "
                "over all batches so far.",
                find_place(),
            )
            self.done = True
            return
        probes = _pick_probes(optimizer)
        if probes:
            self._gaps[index] = _Gap(probes)

    def remove(self) -> None:
        """Let go of the gradients."""
        self._gaps.clear()


def _pick_probes(optimizer: Optimizer) -> list[_Probe]:
    """Return the first and the last of the smallest parameters with a gradient."""
    having = [p for p in list_parameters(optimizer) if p.grad is not None]
    if not having or any(hasattr(p.grad, "to_local") for p in having[:1]):
        return []
    smallest = min(p.numel() for p in having)
    small = [p for p in having if p.numel() <= 4 * smallest]
    return [_Probe(p) for p in (small[0], *small[1:][-1:])]
