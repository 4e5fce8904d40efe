"""The objects that torch calls: thin, and inert wherever a copy of them ends up."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from torch.optim import optimizer as torch_optimizer

from fitdiag.recording.clip_watch import ClipWatch
from fitdiag.recording.clipping import list_parameters
from fitdiag.recording.intake import holds, is_compiling
from fitdiag.recording.scale_watch import ScaleWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn
    from torch.optim import Optimizer

    from fitdiag.recording.hygiene import LoopWatch
    from fitdiag.recording.intake import Intake

__all__ = ["Hooks", "WatchedLoss"]


class _Hook:
    """A callable that a deep copy or a pickle replaces by one that does nothing.

    The replacement is a method of the standard library, so that a model saved while recorded
    loads where fitdiag is not installed.
    """

    __slots__ = ("intake",)

    def __init__(self, intake: Intake) -> None:
        self.intake = intake

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (nullcontext(), "__exit__")


class _CriterionEntry(_Hook):
    __slots__ = ()

    def __call__(self, _module: object, _args: object) -> None:
        if is_compiling():
            return
        try:
            self.intake.enter_criterion()
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self.intake.fail(error)


class _CriterionExit(_Hook):
    __slots__ = ()

    def __call__(
        self, module: object, args: Sequence[object], kwargs: Mapping[str, object], output: object
    ) -> None:
        if is_compiling():
            return
        try:
            reduction = getattr(module, "reduction", None)
            self.intake.leave_criterion(output, args, kwargs, reduction)
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self.intake.fail(error)


class _ModelExit(_Hook):
    __slots__ = ("holds_criterion",)

    def __init__(self, intake: Intake, *, holds_criterion: bool) -> None:
        super().__init__(intake)
        self.holds_criterion = holds_criterion

    def __call__(
        self, _module: object, args: Sequence[object], kwargs: Mapping[str, object], output: object
    ) -> None:
        if is_compiling():
            return
        try:
            self.intake.note_forward(output, args, kwargs, holds_criterion=self.holds_criterion)
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self.intake.fail(error)


class _StepEntry(_Hook):
    __slots__ = ("index",)

    def __init__(self, intake: Intake, index: int) -> None:
        super().__init__(intake)
        self.index = index

    def __call__(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        # torch hands over the arguments of step(), the optimizer itself among them
        try:
            given = len(args) > 1 or bool(kwargs)
            closure = given and (kwargs.get("closure") is not None or any(map(callable, args[1:])))
            self.intake.begin_step(self.index, optimizer, closure=closure)
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self.intake.fail(error)


class _StepExit(_Hook):
    __slots__ = ("index",)

    def __init__(self, intake: Intake, index: int) -> None:
        super().__init__(intake)
        self.index = index

    def __call__(self, optimizer: Optimizer, _args: object, _kwargs: object) -> None:
        try:
            self.intake.end_step(self.index, optimizer)
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self.intake.fail(error)


class WatchedLoss:
    """A loss function whose calls are noted; it computes what the function computes.

    Copies of it, deep or pickled, are the function alone.
    """

    def __init__(self, function: Callable[..., Any], intake: Intake) -> None:
        update_wrapper(self, function)
        self.__wrapped__ = function
        self._intake = intake
        keywords = function.keywords if isinstance(function, partial) else {}
        self._reduction = keywords.get("reduction")

    def __call__(self, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 the function's own
        """Call the function, and note what it returns."""
        if is_compiling():
            return self.__wrapped__(*args, **kwargs)
        output = None
        try:
            self._guard(self._intake.enter_criterion)
            output = self.__wrapped__(*args, **kwargs)
        finally:
            reduction = kwargs.get("reduction", self._reduction)
            self._guard(self._intake.leave_criterion, output, args, kwargs, reduction)
        return output

    def _guard(self, note: Callable[..., None], *given: object) -> None:
        try:
            note(*given)
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self._intake.fail(error)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial, (self.__wrapped__,)

    def __repr__(self) -> str:
        return f"<{self.__wrapped__!r}, recorded by fitdiag>"


class Hooks:
    """Everything that hangs on the user's objects while a run is recorded.

    Parameters
    ----------
    intake : Intake
        Where the events go.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._handles: list[Any] = []

    def attach_criterion(self, criterion: nn.Module) -> None:
        """Note the calls of a criterion."""
        entry, leave = _CriterionEntry(self._intake), _CriterionExit(self._intake)
        self._handles += [
            criterion.register_forward_pre_hook(entry),
            criterion.register_forward_hook(leave, with_kwargs=True, always_call=True),
        ]

    def attach_model(self, model: nn.Module, criteria: Sequence[nn.Module]) -> None:
        """Note the calls of a model."""
        leave = _ModelExit(self._intake, holds_criterion=holds(model, criteria))
        self._handles.append(model.register_forward_hook(leave, with_kwargs=True))

    def attach_optimizer(self, optimizer: Optimizer, index: int) -> None:
        """Note the steps of an optimizer."""
        self._handles += [
            optimizer.register_step_pre_hook(_StepEntry(self._intake, index)),
            optimizer.register_step_post_hook(_StepExit(self._intake, index)),
        ]

    def attach_any_optimizer(
        self,
        models: Sequence[nn.Module],
        named: Sequence[Optimizer],
        say: Callable[[str], None],
    ) -> None:
        """Note the steps of every other optimizer that holds a parameter of these models."""
        finder = _OptimizerFinder(self._intake, models, named, say)
        self._handles += [
            torch_optimizer.register_optimizer_step_pre_hook(finder.enter),
            torch_optimizer.register_optimizer_step_post_hook(finder.leave),
        ]

    def attach_clipping(self) -> None:
        """Note what the functions of ``torch.nn.utils`` that clip gradients do."""
        self._handles.append(ClipWatch(self._intake))

    def attach_scaling(self, models: Sequence[nn.Module], optimizers: Sequence[Optimizer]) -> None:
        """Note what a ``torch.amp.GradScaler`` does with the steps of these optimizers."""
        self._handles.append(ScaleWatch(self._intake, models, optimizers))

    def attach_watch(self, watch: LoopWatch | None) -> None:
        """Let the watchers of the loop hang what they need."""
        if watch is not None:
            watch.begin()
            self._handles.append(watch)

    def detach(self) -> None:
        """Take everything away again."""
        handles, self._handles = self._handles, []
        for handle in handles:
            with suppress(Exception):  # one that fails leaves the others
                handle.remove()


class _Found:
    """An optimizer that was found: its hooks, and what it is known by."""

    __slots__ = ("enter", "held", "leave", "steps")

    def __init__(self, intake: Intake, index: int, held: set[int]) -> None:
        self.enter = _StepEntry(intake, index)
        self.leave = _StepExit(intake, index)
        self.held = held
        self.steps: int | None = None  # steps noted before its first; None once it is trusted


class _OptimizerFinder:
    """Tells which of all the optimizers in the process are ours.

    One that holds parameters of another takes the other's place, as where each stage of a
    training makes its own. One whose first step contains a step of another is but a wrapper.
    """

    def __init__(
        self,
        intake: Intake,
        models: Sequence[nn.Module],
        named: Sequence[Optimizer],
        say: Callable[[str], None],
    ) -> None:
        self._intake = intake
        self._models = models
        self._say = say if named else None
        self._places = [_list_ids(optimizer) for optimizer in named]
        self._found: WeakKeyDictionary[Optimizer, _Found | None] = WeakKeyDictionary()
        self._found.update(dict.fromkeys(named))
        self._named = {id(optimizer) for optimizer in named}
        self._inside: int | None = None  # forward passes when one of ours began the step under way

    def _find(self, optimizer: Optimizer) -> _Found | None:
        if optimizer not in self._found:
            ours = {id(p) for model in self._models for p in model.parameters()}
            held = _list_ids(optimizer)
            self._found[optimizer] = self._place(held) if ours & held else None
        return self._found[optimizer]

    def _place(self, held: set[int]) -> _Found:
        alike = (i for i, place in enumerate(self._places) if place & held)
        found = _Found(self._intake, next(alike, len(self._places)), held)
        found.steps = -1
        return found

    def _trust(self, optimizer: Optimizer, found: _Found) -> bool:
        """Adopt an optimizer that has stepped for the first time, unless it is a wrapper."""
        if found.steps != self._intake.steps:
            self._found[optimizer] = None
            return False
        found.steps = None
        index = found.enter.index
        if index == len(self._places):
            self._places.append(found.held)
        self._places[index] |= found.held
        if self._intake.watch is not None:
            self._intake.watch.know(optimizer)
        if self._say is not None:
            self._say(
                f"another optimizer than the one given, {type(optimizer).__name__}, steps with "
                "parameters of the model: its steps are recorded too"
            )
        return True

    def enter(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note that one of them is about to step."""
        if id(optimizer) in self._named:
            self._inside = self._intake.forwards
            return
        try:
            found = self._find(optimizer) if self._intake.live else None
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self._intake.fail(error)
            return
        if found is not None and found.steps is not None:
            found.steps = -1 if self._inside == self._intake.forwards else self._intake.steps
        elif found is not None:
            self._inside = self._intake.forwards
        if found is not None and found.steps is None:
            found.enter(optimizer, args, kwargs)

    def leave(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:  # noqa: ANN401 as torch gives them
        """Note that one of them has stepped."""
        if id(optimizer) in self._named:
            self._inside = None
            return
        try:
            found = self._find(optimizer) if self._intake.live else None
            if found is not None and found.steps is not None:
                if not self._trust(optimizer, found):
                    return
                found.enter(optimizer, args, kwargs)
        except Exception as error:  # noqa: BLE001 whatever it is, the training goes on
            self._intake.fail(error)
            return
        if found is not None:
            self._inside = None
            found.leave(optimizer, args, kwargs)


def _list_ids(optimizer: Optimizer) -> set[int]:
    return {id(parameter) for parameter in list_parameters(optimizer)}
