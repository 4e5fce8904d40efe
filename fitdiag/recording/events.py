"""What the hooks see, in the order in which they see it.

Numbers are tensors on their device until :func:`fitdiag.recording.transfer.fetch` replaces them
by floats; the timeline only ever meets the floats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["EpochMark", "Event", "Logged", "Loss", "Step", "number_backward"]

# Names the backward pass that is running, which tells a sum of losses from accumulation. Where a
# version of torch lacks it, every loss counts as having a backward pass of its own.
_backward_number = getattr(torch._C, "_current_graph_task_id", None)  # noqa: SLF001 no public name


def number_backward() -> int | None:
    """Return the number of the backward pass that runs in this thread, None where none does."""
    number = -1 if _backward_number is None else int(_backward_number())
    return None if number < 0 else number


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
        self.backward: int | None = None
        self.seed: Any = None
        self.output_nr = 0

    def __deepcopy__(self, _memo: object) -> Loss:
        return self  # a copy of what holds it looks ahead; the loss itself stays what it is

    def __call__(self, gradients: tuple[Tensor | None, ...]) -> None:
        """Note the backward pass and the gradient with which it reaches this loss."""
        if self.backward is not None:
            return
        self.backward = id(self) if _backward_number is None else _backward_number()
        seed = gradients[self.output_nr] if self.output_nr < len(gradients) else None
        if seed is not None and seed.ndim == 0:
            self.seed = seed.detach()


class Step:
    """One step of one optimizer.

    Parameters
    ----------
    optimizer : int
        Its position among the recorded optimizers.
    norms : list of Tensor, or None
        Norms of its parameters' gradients, one vector for each device and type; None if unknown.
    scale : Tensor, float or None
        What the gradients are still multiplied by (fused optimizers under a gradient scaler).
    lr : Tensor, float or None
        Learning rate of its first parameter group.
    closure : bool
        Whether the step evaluated the loss itself, as LBFGS does.
    clips : sequence of (float, Tensor)
        Limit and norm of each clipping that these gradients went through, in order.
    """

    __slots__ = (
        "clip_coef",
        "clip_norms",
        "closure",
        "limits",
        "lr",
        "norm",
        "norms",
        "optimizer",
        "scale",
    )

    def __init__(
        self,
        optimizer: int = 0,
        *,
        norms: list[Tensor] | None = None,
        norm: float | None = None,
        scale: Any = None,  # noqa: ANN401 a tensor first, a float once fetched
        lr: Any = None,  # noqa: ANN401 a tensor first, a float once fetched
        closure: bool = False,
        clips: Sequence[tuple[float, Any]] = (),
    ) -> None:
        self.optimizer = optimizer
        self.limits = [limit for limit, _ in clips]
        self.clip_norms = [norm for _, norm in clips]
        self.clip_coef: float | None = None
        self.norms = norms
        self.norm = norm
        self.scale = scale
        self.lr = lr
        self.closure = closure


class Logged:
    """What the user logged by name, with a step and epoch of their own if they gave them."""

    __slots__ = ("epoch", "step", "values")

    def __init__(
        self,
        values: dict[str, Any],
        *,
        step: Any = None,  # noqa: ANN401 a number, or a tensor first
        epoch: Any = None,  # noqa: ANN401 a number, or a tensor first
    ) -> None:
        self.values = values
        self.step = step
        self.epoch = epoch


class EpochMark:
    """A point at which exactly this many epochs are complete."""

    __slots__ = ("done",)

    def __init__(self, done: int) -> None:
        self.done = done


Event = Loss | Step | Logged | EpochMark
