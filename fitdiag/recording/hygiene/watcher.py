"""What a watcher is, and what all of them see."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.dropout import _DropoutNd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor
    from torch.optim import Optimizer

    from fitdiag.recording.events import Event, Loss
    from fitdiag.recording.hygiene.places import Place
    from fitdiag.recording.hygiene.teller import Teller
    from fitdiag.recording.intake import Intake

__all__ = ["InertHook", "Scene", "Watcher", "is_held_out"]

#: phases whose data no model may be trained on
_HELD_OUT = ("val", "test", "dev", "eval", "holdout", "held")


def is_held_out(phase: str | None) -> bool:
    """Tell whether a phase that the user declared is one of validation or testing."""
    return phase is not None and phase.lower().startswith(_HELD_OUT)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """What the watchers look at.

    Parameters
    ----------
    models : sequence of Module
        Those that are recorded.
    intake : Intake
        What was counted so far.
    teller : Teller
        Where a mistake is told.
    optimizers : list of Optimizer
        Those that are known to hold parameters of the models; it may grow.
    """

    models: Sequence[nn.Module]
    intake: Intake
    teller: Teller
    optimizers: list[Optimizer]

    @cached_property
    def moody(self) -> list[nn.Module]:
        """Modules that compute something else in training mode: dropout and batch-norm."""
        return [m for model in self.models for m in model.modules() if _is_moody(m)]

    @cached_property
    def norms(self) -> list[nn.Module]:
        """Modules whose statistics come from the batch."""
        return [m for m in self.moody if isinstance(m, _BatchNorm)]


def _is_moody(module: nn.Module) -> bool:
    if isinstance(module, _NormBase):
        return bool(module.track_running_stats)
    rate = getattr(module, "p", None) if isinstance(module, _DropoutNd) else None
    if rate is None and "drop" in type(module).__name__.lower():  # of timm and torchvision
        rate = getattr(module, "drop_prob", getattr(module, "p", None))
    if rate is None and isinstance(module, (nn.RNNBase, nn.MultiheadAttention)):
        rate = module.dropout
    return isinstance(rate, float) and rate > 0


class InertHook:
    """A hook on a module that a deep copy or a pickle replaces by what does nothing."""

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (nullcontext(), "__exit__")


class Watcher:
    """Looks for one kind of mistake, or a few that are told by the same signs.

    Whatever it raises ends it, and nothing else. What it does not override costs nothing.

    Parameters
    ----------
    scene : Scene
        What it looks at.
    """

    #: what it can find
    codes: ClassVar[tuple[str, ...]]

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.informed: set[str] = set()  # codes for which it has seen enough to tell
        self.wants_losses = False  # every loss is to be noted, not those of a sample of steps
        self.wants_steps = False  # every step is to be noted
        self.done = False  # there is nothing more to look for

    def begin(self) -> None:
        """Hang what has to hang on the user's objects."""

    def note_loss(self, event: Loss, loss: Tensor) -> None:
        """Look at a loss that has just been computed."""

    def note_backward(self, event: Loss) -> None:
        """Look at a backward pass that has just begun at a loss; no gradient has changed yet."""

    def note_step(self, index: int, optimizer: Optimizer) -> None:
        """Look at an optimizer whose gradients are complete."""

    def note_phase(self, name: str) -> None:
        """Look at a phase that the user declares."""

    def note_values(self, values: Mapping[str, object]) -> None:
        """Look at what the user logs."""

    def inspect(self, events: Sequence[Event]) -> None:
        """Look at what has been settled, with all its numbers."""

    def close(self) -> None:
        """Look back on the whole run."""

    def remove(self) -> None:
        """Take away what hangs on the objects of others; it may be called more than once."""

    def tell(
        self,
        code: str,
        message: str,
        place: Place | None,
        *,
        aloud: bool = True,
        **values: str | float | None,
    ) -> None:
        """Tell a mistake."""
        self.informed.add(code)
        self.scene.teller.tell(code, message, place, aloud=aloud, **values)
