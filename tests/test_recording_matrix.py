"""Every kind of loop: the recorded norm is right, and the training is the same as without us."""

from __future__ import annotations

import math
import random
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from torch.utils.checkpoint import checkpoint

import fitdiag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from torch import Tensor
    from torch.optim import Optimizer

STEPS = 200


pytestmark = pytest.mark.usefixtures("one_thread")


def measure(parameters: Iterable[Tensor], scale: float = 1.0) -> float:
    """Return the norm of all gradients, slowly, in float64."""
    squares = 0.0
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is None:
            continue
        dense = gradient.detach().to_dense() if gradient.layout != torch.strided else gradient
        real = torch.view_as_real(dense.detach()) if dense.is_complex() else dense.detach()
        squares += float((real.double() / scale).square().sum())
    return math.sqrt(squares)


class Loop:
    """A small training with dropout: a subclass or a variant is one row of the matrix."""

    def __init__(self, make: Callable[..., Any] = torch.optim.SGD, **options: Any) -> None:
        for seed in (torch.manual_seed, random.seed, np.random.seed):
            seed(7)
        self.is_measured = True
        self.norms: list[float] = []  # by hand, one for each optimizer step
        self.coefs: list[float] = []  # by hand, where anything is clipped
        self.kind = "as-stepped, unscaled, global"
        self.skipped = 0
        self.model: Any = self.build()
        self.models: list[nn.Module] = [self.model]
        self.criterion: Any = nn.MSELoss()
        self.optimizers: list[Optimizer] = [make(self.list_parameters(), **{"lr": 0.01, **options})]
        self.losses: list[Tensor] = []

    def build(self) -> nn.Module:
        """Make the model."""
        return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.2), nn.Linear(6, 1))

    def list_parameters(self) -> Any:
        """Return what the optimizer is given."""
        return list(self.model.parameters())

    def measure(self, parameters: Iterable[Tensor], scale: float = 1.0) -> float:
        """Measure gradients by hand, where that is asked for."""
        return measure(parameters, scale) if self.is_measured else 1.0

    def draw(self, size: int = 6) -> tuple[Tensor, Tensor]:
        """Return a batch, from all three random number generators."""
        x = torch.randn(size, 4) + random.gauss(0, 0.1) + float(np.random.normal(0, 0.1))  # noqa: NPY002
        return x, x.sum(1, keepdim=True).sin()

    def backward(self, size: int = 6, share: float = 1.0) -> None:
        """Forward and backward over one batch."""
        x, y = self.draw(size)
        loss = self.criterion(self.model(x), y)
        (loss * share).backward()
        self.losses.append(loss.detach())

    def step(self, _number: int) -> None:
        """Train on one batch."""
        self.optimizers[0].zero_grad()
        self.backward()
        self.norms.append(self.measure(self.model.parameters()))
        self.optimizers[0].step()

    def state(self) -> list[Any]:
        """Everything that the recorder must not change."""
        weights = [p.detach().clone() for model in self.models for p in model.parameters()]
        numpy_state = np.random.get_state()  # noqa: NPY002 what users' loops draw from
        return [weights, self.losses, random.getstate(), numpy_state, torch.get_rng_state()]


class Closure(Loop):
    """LBFGS evaluates several times a step; the last gradients are those that it used last."""

    def step(self, _number: int) -> None:
        """Step with a closure."""
        x, y = self.draw()

        def closure() -> Tensor:
            self.optimizers[0].zero_grad()
            loss: Tensor = self.criterion(self.model[3](self.model[0](x)), y)
            torch.autograd.backward(loss)
            self.last = self.measure(self.model.parameters())
            self.losses.append(loss.detach())
            return loss

        step: Any = self.optimizers[0].step
        step(closure)
        self.norms.append(self.last)


class Gan(Loop):
    """Two models and two optimizers, in turn; both together are one step."""

    def __init__(self) -> None:
        super().__init__()
        self.judge = nn.Sequential(nn.Linear(1, 5), nn.Tanh(), nn.Linear(5, 1))
        self.models.append(self.judge)
        self.criterion = nn.BCEWithLogitsLoss()
        self.optimizers.append(torch.optim.Adam(self.judge.parameters(), lr=0.01))

    def step(self, _number: int) -> None:
        """Train the judge, then the generator."""
        x, real = self.draw()
        fake = self.model(x)
        self.optimizers[1].zero_grad()
        told, guessed = self.judge(real), self.judge(fake.detach())
        loss = self.criterion(told, torch.ones(6, 1)) + self.criterion(guessed, torch.zeros(6, 1))
        loss.backward()
        norm = self.measure(self.judge.parameters())
        self.optimizers[1].step()
        self.optimizers[0].zero_grad()
        loss = self.criterion(self.judge(fake), torch.ones(6, 1))
        loss.backward()
        self.norms.append(math.hypot(norm, self.measure(self.model.parameters())))
        self.optimizers[0].step()
        self.losses.append(loss.detach())


class Groups(Loop):
    """Two groups with learning rates of their own, a frozen layer, and one that is never used."""

    def list_parameters(self) -> Any:
        """Return two groups, of which one holds what never gets a gradient."""
        self.model.unused = nn.Linear(3, 3)
        self.model[0].bias.requires_grad_(requires_grad=False)
        first = {"params": self.model[0].parameters(), "lr": 0.05}
        return [first, {"params": [*self.model[3].parameters(), *self.model.unused.parameters()]}]

    def backward(self, size: int = 6, share: float = 1.0) -> None:
        """Leave the unused layer out."""
        x, y = self.draw(size)
        loss = self.criterion(self.model[3](self.model[2](self.model[1](self.model[0](x)))), y)
        (loss * share).backward()
        self.losses.append(loss.detach())


class Sparse(Loop):
    """An embedding whose gradients are sparse and not coalesced."""

    def build(self) -> nn.Module:
        """Make an embedding."""
        return nn.Embedding(20, 1, sparse=True)

    def draw(self, size: int = 6) -> tuple[Tensor, Tensor]:
        """Return words, some of them twice."""
        return torch.randint(0, 5, (size,)), torch.randn(size, 1)


class Curious(nn.Module):
    """Complex, half, single and double precision in one model."""

    def __init__(self) -> None:
        super().__init__()
        self.turned = nn.Parameter(torch.randn(4, 3, dtype=torch.complex64))
        self.wide = nn.Parameter(torch.randn(3, 3, dtype=torch.float64))
        self.narrow = nn.Parameter(torch.randn(3, dtype=torch.bfloat16))
        self.out = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Use them all."""
        hidden = (x.to(torch.complex64) @ self.turned).abs().double() @ self.wide
        out: Tensor = self.out((hidden.float() * self.narrow.float()).tanh())
        return out


class Mixed(Loop):
    """Parameters of several types."""

    def build(self) -> nn.Module:
        """Make the model of many types."""
        return Curious()


class Accumulating(Loop):
    """Three backward passes a step, and gradients that are zeroed, not removed."""

    def step(self, _number: int) -> None:
        """Accumulate, then step."""
        self.optimizers[0].zero_grad(set_to_none=False)
        for size in (6, 4, 2):
            self.backward(size, share=1 / 3)
        self.norms.append(self.measure(self.model.parameters()))
        self.optimizers[0].step()


class Summed(Loop):
    """A criterion that sums over the batch."""

    def __init__(self) -> None:
        super().__init__(lr=0.001)
        self.criterion = nn.MSELoss(reduction="sum")


class InBackward(Loop):
    """An optimizer for each parameter, which steps as soon as the gradient is there."""

    def __init__(self) -> None:
        super().__init__()
        self.squares = 0.0
        pairs = [(p, torch.optim.SGD([p], lr=0.01)) for p in self.model.parameters()]
        self.optimizers = [optimizer for _, optimizer in pairs]
        of = dict(pairs)

        def use(parameter: Tensor) -> None:
            self.squares += self.measure([parameter]) ** 2
            of[parameter].step()
            of[parameter].zero_grad()

        for parameter, _ in pairs:
            parameter.register_post_accumulate_grad_hook(use)

    def step(self, _number: int) -> None:
        """Step within the backward pass."""
        self.squares = 0.0
        self.backward()
        self.norms.append(math.sqrt(self.squares))


class Clipped(Loop):
    """Gradients that are clipped, in one of many ways."""

    def __init__(self, clip: Callable[[Any], object], *, groups: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.clip = clip
        self.kind = "pre-clip, unscaled, global"
        if groups == 2:
            self.optimizers = [
                torch.optim.SGD(self.model[0].parameters(), lr=0.01),
                torch.optim.Adam(self.model[3].parameters(), lr=0.01),
            ]

    def step(self, _number: int) -> None:
        """Clip before the step."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        self.backward(3)
        self.backward(5)
        self.norms.append(self.measure(self.model.parameters()))
        self.clip(self.model)
        self.coefs.append(self.measure(self.model.parameters()) / self.norms[-1])
        for optimizer in self.optimizers:
            optimizer.step()


def clip_twice(model: Any) -> None:
    """Clip one layer, then all, then values, then all again."""
    clip_grad_norm_(model[0].parameters(), 0.5)
    clip_grad_norm_(model.parameters(), 0.6, norm_type=math.inf)
    clip_grad_value_(model[3].parameters(), 0.05)
    clip_grad_norm_(model.parameters(), 0.2)


def clip_in_parts(model: Any) -> None:
    """Measure the norm, and clip by it, as sharded trainings do."""
    gradients = [p.grad for p in model.parameters()]
    clip_grads_with_norm_(model.parameters(), 0.3, get_total_norm(gradients))


CLIPS: dict[str, Callable[[Any], object]] = {
    "by norm": lambda model: clip_grad_norm_(model.parameters(), 0.3),
    "by norm, one by one": lambda model: clip_grad_norm_(model.parameters(), 0.3, foreach=False),
    "by the sum": lambda model: clip_grad_norm_(model.parameters(), 0.5, norm_type=1.0),
    "one layer": lambda model: clip_grad_norm_(model[0].parameters(), 0.1),
    "by value": lambda model: clip_grad_value_(model.parameters(), 0.02),
    "by value, one by one": lambda m: clip_grad_value_(m.parameters(), 0.02, foreach=False),
    "values of one layer": lambda model: clip_grad_value_(model[3].parameters(), 0.02),
    "several times": clip_twice,
    "in parts": clip_in_parts,
    "never reached": lambda model: clip_grad_norm_(model.parameters(), 1e9),
}


class Scaled(Loop):
    """A gradient scaler, with an overflow now and then."""

    def __init__(self, *, clip: str = "", **options: Any) -> None:
        super().__init__(torch.optim.Adam, **options)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12, growth_interval=20)
        self.clip = clip
        if clip:
            self.kind = "pre-clip, unscaled, global"

    def step(self, number: int) -> None:
        """Scale, unscale, clip, and step or skip."""
        self.optimizers[0].zero_grad()
        x, y = self.draw()
        overflow = number % 40 == 3
        loss = self.criterion(self.model(x), y) * (math.inf if overflow else 1.0)
        scale = self.scaler.get_scale() or 1.0
        self.scaler.scale(loss).backward()
        if not overflow:
            self.norms.append(self.measure(self.model.parameters(), scale))
        self.skipped += overflow
        if self.clip == "unscaled":
            self.scaler.unscale_(self.optimizers[0])
        if self.clip:
            limit = 0.2 if self.clip == "unscaled" else 0.2 * scale
            clip_grad_norm_(self.model.parameters(), limit)
        self.scaler.step(self.optimizers[0])
        self.scaler.update()
        self.losses.append(loss.detach())


class Autocast(Loop):
    """Forward passes in bfloat16."""

    def backward(self, size: int = 6, share: float = 1.0) -> None:
        """Compute the loss under autocast."""
        x, y = self.draw(size)
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.criterion(self.model(x), y)
        (loss * share).backward()
        self.losses.append(loss.detach())


class Checkpointed(Loop):
    """Activations that are computed again in the backward pass."""

    def backward(self, size: int = 6, share: float = 1.0) -> None:
        """Checkpoint the first half."""
        x, y = self.draw(size)
        hidden = checkpoint(self.model[:3], x, use_reentrant=False)
        loss = self.criterion(self.model[3](hidden), y)
        (loss * share).backward()
        self.losses.append(loss.detach())


class Compiled(Loop):
    """A model that is compiled."""

    def __init__(self) -> None:
        super().__init__()
        compiled: Any = torch.compile(self.model, backend="aot_eager")
        self.model = compiled
        self.models = [compiled]


MATRIX: dict[str, Callable[[], Loop]] = {
    "sgd": partial(Loop, torch.optim.SGD),
    "sgd fused": partial(Loop, torch.optim.SGD, fused=True),
    "adam": partial(Loop, torch.optim.Adam),
    "adam fused": partial(Loop, torch.optim.Adam, fused=True),
    "adamw foreach": partial(Loop, torch.optim.AdamW, foreach=True),
    "rmsprop foreach": partial(Loop, torch.optim.RMSprop, foreach=True),
    "lbfgs": partial(Closure, torch.optim.LBFGS, lr=0.05, max_iter=1),
    "lbfgs of several": partial(Closure, torch.optim.LBFGS, lr=0.05, max_iter=2),
    "gan": Gan,
    "groups, frozen and unused": Groups,
    "sparse": Sparse,
    "mixed types": Mixed,
    "accumulation": Accumulating,
    "summed loss": Summed,
    "optimizer in backward": InBackward,
    **{f"clipped {name}": partial(Clipped, clip) for name, clip in CLIPS.items()},
    "clipped over two optimizers": partial(Clipped, CLIPS["by norm"], groups=2),
    "clipped layers of two optimizers": partial(Clipped, clip_twice, groups=2),
    "clipped momentum": partial(Clipped, CLIPS["by norm"], momentum=0.9, nesterov=True),
    "scaled": Scaled,
    "scaled and fused": partial(Scaled, fused=True),
    "scaled and clipped": partial(Scaled, clip="unscaled"),
    "scaled, clipped before": partial(Scaled, clip="scaled"),
    "scaled, fused and clipped": partial(Scaled, clip="unscaled", fused=True),
    "scaled, fused, clipped before": partial(Scaled, clip="scaled", fused=True),
    "autocast": Autocast,
    "checkpointed": Checkpointed,
    "compiled": Compiled,
}


def assert_same(one: Any, other: Any) -> None:
    """Hold that two states are equal to the last bit."""
    if isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one.nan_to_num(7), other.nan_to_num(7))
    elif isinstance(one, np.ndarray):
        assert (one == other).all()
    else:
        assert one == other


@pytest.mark.parametrize("name", MATRIX)
def test_norms_are_right_and_the_training_unchanged_for(tmp_path: Path, name: str) -> None:
    """Each step's norm is that by hand, and nothing differs from the training without us."""
    bare = MATRIX[name]()
    bare.is_measured = False
    for number in range(STEPS):
        bare.step(number)
    expected = bare.state()

    loop = MATRIX[name]()
    log = tmp_path / "logs.csv"
    with fitdiag.record(loop.models, loop.optimizers, loop.criterion, log=log, every=1):
        for number in range(STEPS):
            loop.step(number)
    assert_same(loop.state(), expected)

    run = fitdiag.read(log)
    assert run.curves["grad_norm"].values == pytest.approx(loop.norms, rel=2e-5)
    assert run.source.provenance["grad_norm"] == loop.kind
    if loop.coefs:
        assert run.curves["clip_coef"].values == pytest.approx(loop.coefs, rel=2e-5)
    if loop.skipped:
        assert run.curves["skipped_steps"].values[-1] == loop.skipped
        assert run.curves["loss_scale"].values[0] == 2.0**12
    assert not run.source.notes


def test_a_recorded_norm_is_judged_by_its_kind(tmp_path: Path) -> None:
    """The rule on kinds of norms judges recorded logs; of a norm of one's own nothing is known."""
    loop = Loop()
    logs = [tmp_path / "seen.csv", tmp_path / "own.csv"]
    for log in logs:
        with fitdiag.record(loop.models, loop.optimizers, loop.criterion, log=log) as run:
            for number in range(STEPS):
                loop.step(number)
                if number % 10 == 9:
                    with torch.no_grad():
                        loop.criterion(loop.model(torch.ones(4, 4)), torch.ones(4, 1))
                    if log is logs[1]:
                        run.log(grad_norm=loop.norms[-1])
    skipped = [{skip.code for skip in fitdiag.diagnose(log).skipped} for log in logs]
    assert ["GRD010" in codes for codes in skipped] == [False, True]
    assert fitdiag.read(logs[1]).source.provenance["grad_norm"] in {
        "unknown",
        "as-stepped, unscaled, global, unknown",
    }
