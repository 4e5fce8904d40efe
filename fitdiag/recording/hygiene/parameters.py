"""Parameters that are not trained although they could be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.recording.clipping import list_parameters
from fitdiag.recording.hygiene.places import find_place
from fitdiag.recording.hygiene.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.optim import Optimizer

    from fitdiag.recording.hygiene.places import Place
    from fitdiag.recording.hygiene.watcher import Scene

__all__ = ["IdleWatcher", "OrphanWatcher"]

#: steps of an optimizer that are looked at before a parameter is said to never get a gradient
ENOUGH = 100
#: steps after which a search for them is ended without an answer
TOO_MANY = 10_000
#: steps before which optimizers may still be made
EARLY = 4
#: names that are told
MOST_NAMES = 3


class OrphanWatcher(Watcher):
    """Watches for parameters that get gradients and that no optimizer holds.

    It takes two looks, at steps apart, between which they did not change, as they do where they
    are updated by hand or by an optimizer that is not one of torch's.
    """

    codes = ("LOP007",)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._suspects: dict[int, int] | None = None  # version by parameter
        self._next = EARLY

    def note_step(self, index: int, optimizer: Optimizer) -> None:
        """Look, each time that the steps have doubled."""
        del index, optimizer
        steps = self.scene.intake.steps
        if steps < self._next:
            return
        self._next = 2 * steps
        held = {id(p) for one in self.scene.optimizers for p in list_parameters(one)}
        lonely = [
            (name, p)
            for name, p in _name_parameters(self.scene)
            if id(p) not in held and p.requires_grad and p.grad is not None
        ]
        if self._suspects is not None:
            self.informed.add("LOP007")
            same = [(n, p) for n, p in lonely if self._suspects.get(id(p)) == p._version]  # noqa: SLF001 no public name
            if same:
                self._tell(same)
        self._suspects = {id(p): p._version for _, p in lonely}  # noqa: SLF001 no public name

    def _tell(self, lonely: Sequence[tuple[str, Tensor]]) -> None:
        count, names = len(lonely), _join([name for name, _ in lonely])
        self.tell(
            "LOP007",
            f"No optimizer holds {names}, though gradients are computed for "
            f"{'it' if count == 1 else 'them'}.",
            find_place(),
            parameters=count,
            elements=sum(p.numel() for _, p in lonely),
        )
        self.done = True


class IdleWatcher(Watcher):
    """Watches for parameters of an optimizer that never get a gradient."""

    codes = ("LOP008",)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._idle: dict[int, list[Tensor]] = {}  # by optimizer
        self._looks: dict[int, int] = {}
        self._place: Place | None = None

    def note_step(self, index: int, optimizer: Optimizer) -> None:
        """Strike off who has a gradient by now."""
        idle = self._idle.get(index)
        if idle is None:
            ours = {id(p) for _, p in _name_parameters(self.scene)}
            idle = [p for p in list_parameters(optimizer) if id(p) in ours]
        self._idle[index] = [p for p in idle if p.grad is None and p.requires_grad]
        looks = self._looks[index] = self._looks.get(index, 0) + 1
        waiting = [i for i, left in self._idle.items() if left and self._looks[i] < ENOUGH]
        self.wants_steps = bool(waiting) and self.scene.intake.steps < TOO_MANY
        if looks == 2:
            self.informed.add("LOP008")
        if self._idle[index] and looks >= ENOUGH:
            self._tell([p for left in self._idle.values() for p in left])

    def _tell(self, idle: Sequence[Tensor]) -> None:
        names = {id(p): name for name, p in _name_parameters(self.scene)}
        known = [names[id(p)] for p in idle if id(p) in names]
        gets = "gets" if len(known) == 1 else "get"
        self.tell(
            "LOP008",
            f"In {ENOUGH} optimizer steps {_join(known)} never {gets} a gradient.",
            find_place(),
            parameters=len(known),
            elements=sum(p.numel() for p in idle),
        )
        self.done = True


def _name_parameters(scene: Scene) -> list[tuple[str, Tensor]]:
    several = len(scene.models) > 1
    return [
        (f"{type(model).__name__}.{name}" if several else name, parameter)
        for model in scene.models
        for name, parameter in model.named_parameters()
    ]


def _join(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    said = ", ".join(names[:MOST_NAMES])
    return f"{said} and {more} more" if more > 0 else said
