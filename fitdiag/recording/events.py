"""What the hooks see, in the order in which they see it.

Numbers are tensors on their device until :func:`fitdiag.recording.transfer.fetch` replaces them
by floats; the timeline only ever meets the floats.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor
    from torch.autograd.graph import Node

    from fitdiag.recording.clipping import Clipping
    from fitdiag.recording.norms import Norms
    from fitdiag.recording.roster import Roster

__all__ = [
    "EpochMark",
    "Event",
    "Logged",
    "Loss",
    "Scaled",
    "Step",
    "is_aside",
    "number_backward",
    "set_aside",
]

# Names the backward pass that is running, which tells a sum of losses from accumulation. Where a
# version of torch lacks it, every loss counts as having a backward pass of its own.
_backward_number = getattr(torch._C, "_current_graph_task_id", None)  # noqa: SLF001 no public name


def number_backward() -> int | None:
    """Return the number of the backward pass that runs in this thread, None where none does."""
    number = -1 if _backward_number is None else int(_backward_number())
    return None if number < 0 else number


_aside: list[None] = []  # one for each backward pass of our own that is under way


@contextmanager
def set_aside() -> Iterator[None]:
    """Let the backward passes inside, which are our own and train nothing, go unnoticed."""
    _aside.append(None)
    try:
        yield
    finally:
        _aside.pop()


def is_aside() -> bool:
    """Tell whether a backward pass of our own is under way."""
    return bool(_aside)


class Loss:
    """One loss that was computed; called by autograd when a backward pass reaches it.

    Parameters
    ----------
    value : Tensor or float
        Its value, detached, of shape ().
    weight : int or None
        Batch size, where known.
    divide : bool
        True for a sum over the batch: the value is to be divided by the weight.
    phase : str or None
        The phase that the user declared, if any.
    grad : bool
        Whether a backward pass is possible at all.
    training : bool
        Whether the model was in training mode.
    source : str
        What it came from: ``"criterion"`` or ``"output"``.
    forward : int
        Forward passes of the model so far.
    awaited : bool
        Whether a backward pass may yet compute it again, as activation checkpointing does.
    """

    __slots__ = (
        "awaited",
        "backward",
        "divide",
        "forward",
        "grad",
        "output_nr",
        "phase",
        "recomputed",
        "seed",
        "source",
        "stepped",
        "training",
        "value",
        "weight",
    )

    def __init__(
        self,
        value: Any,  # noqa: ANN401 a tensor first, a float once fetched
        weight: int | None,
        *,
        divide: bool = False,
        phase: str | None = None,
        grad: bool = True,
        training: bool = True,
        source: str = "criterion",
        forward: int = 0,
        awaited: bool = False,
    ) -> None:
        self.value = value
        self.weight = weight
        self.divide = divide
        self.phase = phase
        self.grad = grad
        self.training = training
        self.source = source
        self.forward = forward
        self.awaited = awaited
        self.recomputed = False
        self.stepped = False  # in evaluation mode, and the only kind that the next step uses
        self.backward: int | None = None
        self.seed: Any = None
        self.output_nr = 0

    #: a loss that is saved by torch.save need not warn that its hooks are not
    __torch_unserializable__ = True

    def __deepcopy__(self, _memo: object) -> Loss:
        return self  # a copy of what holds it looks ahead; the loss itself stays what it is

    def listen(self, loss: Tensor, node: Node) -> None:
        """Wait for a backward pass.

        Parameters
        ----------
        loss : Tensor
            The loss itself.
        node : Node
            Its ``grad_fn``.
        """
        if type(loss) is torch.Tensor and loss._backward_hooks is None:  # noqa: SLF001
            # what Tensor.register_hook does, at a fifth of its price
            loss._backward_hooks = OrderedDict(((-1, self),))  # noqa: SLF001
            node._register_hook_dict(loss)  # noqa: SLF001
        else:
            self.output_nr = loss.output_nr
            node.register_prehook(self)

    def __call__(self, gradients: tuple[Tensor | None, ...] | Tensor | None) -> None:
        """Note the backward pass and the gradient with which it reaches this loss."""
        if self.backward is not None or _aside:
            return
        self.backward = id(self) if _backward_number is None else _backward_number()
        seed = gradients
        if isinstance(seed, tuple):
            seed = seed[self.output_nr] if self.output_nr < len(seed) else None
        if seed is not None and seed.ndim == 0:
            self.seed = seed.detach() if seed.requires_grad else seed


class Step:
    """One step of one optimizer.

    Parameters
    ----------
    optimizer : int
        Its position among the recorded optimizers.
    norms : Norms or None
        Norms of its parameters' gradients; None if unknown, or not measured.
    norm : float or None
        The global norm, where it is a number already.
    roster : Roster or None
        The parameters whose gradients the norms are.
    scale : Tensor, float or None
        What the gradients are still multiplied by (fused optimizers under a gradient scaler).
    lr : Tensor, float or None
        Learning rate of its first parameter group.
    closure : bool
        Whether the step evaluated the loss itself, as LBFGS does.
    clipping : Clipping or None
        What clipping did to these gradients.
    found_inf : Tensor, float or None
        Above 0 where the optimizer itself skips the step, as fused ones do on overflow.
    reach : str
        Whether the gradients are whole ones: ``"global"``, ``"local"`` or ``"unknown"``.
    """

    __slots__ = (
        "clip_coef",
        "clipping",
        "closure",
        "found_inf",
        "kind",
        "lr",
        "norm",
        "norms",
        "number",
        "optimizer",
        "places",
        "reach",
        "roster",
        "row",
        "scale",
        "weights",
    )

    def __init__(
        self,
        optimizer: int = 0,
        *,
        norms: Norms | None = None,
        norm: float | None = None,
        roster: Roster | None = None,
        scale: Any = None,  # noqa: ANN401 a tensor first, a float once fetched
        lr: Any = None,  # noqa: ANN401 a tensor first, a float once fetched
        closure: bool = False,
        clipping: Clipping | None = None,
        found_inf: Any = None,  # noqa: ANN401 a tensor first, a float once fetched
        reach: str = "global",
    ) -> None:
        self.optimizer = optimizer
        self.reach = reach
        self.clipping = clipping
        self.found_inf = found_inf
        self.kind: tuple[str, ...] = ()  # what the norm is a norm of, once fetched
        self.clip_coef: float | None = None
        self.norms = norms
        self.norm = norm
        self.roster = roster
        self.scale = scale
        self.lr = lr
        self.closure = closure
        self.row: Sequence[Any] | None = None  # the norms of single gradients, once fetched
        self.places: tuple[int, ...] | None = None  # which of them, as in Norms
        self.number: int | None = None  # the step of the run, once known
        self.weights: Sequence[float] | None = None  # this process's share of each, if sharded


class Logged:
    """What the user logged by name, with a step and epoch of their own if they gave them."""

    __slots__ = ("ahead", "epoch", "step", "values")

    def __init__(
        self,
        values: dict[str, Any],
        *,
        step: Any = None,  # noqa: ANN401 a number, or a tensor first
        epoch: Any = None,  # noqa: ANN401 a number, or a tensor first
        ahead: bool = False,
    ) -> None:
        self.ahead = ahead  # it belongs to the step that is yet to come
        self.values = values
        self.step = step
        self.epoch = epoch


class EpochMark:
    """A point at which exactly this many epochs are complete."""

    __slots__ = ("done",)

    def __init__(self, done: int) -> None:
        self.done = done


class Scaled:
    """A step under a gradient scaler, taken or skipped.

    Parameters
    ----------
    scale : Tensor or float
        What the loss was multiplied by.
    skipped : bool
        Whether the scaler did not let the optimizer step.
    """

    __slots__ = ("scale", "skipped")

    def __init__(self, scale: Any, *, skipped: bool) -> None:  # noqa: ANN401 a tensor first
        self.scale = scale
        self.skipped = skipped


Event = Loss | Step | Scaled | Logged | EpochMark
