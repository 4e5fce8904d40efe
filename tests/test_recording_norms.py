"""Gradient norms of every kind of gradient, against float64 sums by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import fitdiag
from fitdiag.recording import RecordingWarning
from fitdiag.recording.norms import ShardedGradientError, measure_norms

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor


def total(gradients: list[Tensor | None]) -> float:
    """Return the global norm from the vectors that were measured."""
    vectors = measure_norms(gradients)
    return math.hypot(*(value for vector in vectors for value in vector.tolist()))


def by_hand(tensors: list[Tensor]) -> float:
    """Return the global norm from float64 sums of squared moduli."""
    return math.sqrt(math.fsum((t.abs().double() ** 2).sum().item() for t in tensors))


def make_sparse() -> tuple[Tensor, Tensor]:
    """Make an uncoalesced sparse gradient, with a row that stands in it twice."""
    table = nn.Embedding(6, 3, sparse=True)
    table(torch.tensor([1, 4, 1])).pow(2).sum().backward()
    gradient = table.weight.grad
    assert gradient is not None
    return gradient, gradient.to_dense()


GRADIENTS: dict[str, Callable[[], list[Tensor]]] = {
    "float32": lambda: [torch.randn(4, 3), torch.randn(5)],
    "float64": lambda: [torch.randn(4, dtype=torch.float64)],
    "empty": lambda: [torch.zeros(0), torch.ones(2)],
    "scalar": lambda: [torch.tensor(3.0), torch.tensor(-4.0)],
    "mixed": lambda: [torch.ones(3), torch.ones(2).double(), torch.ones(5).bfloat16()],
    "complex": lambda: [torch.randn(3, dtype=torch.cfloat), torch.randn(2)],
    "conjugate": lambda: [torch.randn(2, dtype=torch.cdouble).conj()],
    "half beyond its range": lambda: [torch.full((64,), 60_000.0).half()],
    "float32 beyond its square": lambda: [torch.full((1,), 1e25)] * 9,
    "integer": lambda: [torch.arange(5), torch.ones(2)],
    "not contiguous": lambda: [torch.randn(3, 1200, 400).permute(2, 0, 1)],
}


@pytest.mark.parametrize("kind", GRADIENTS)
def test_norms_are_right_for(kind: str) -> None:
    """The global norm is right for this kind of gradient, with or without missing ones."""
    gradients = GRADIENTS[kind]()
    expected = pytest.approx(by_hand(gradients), rel=1e-5)
    assert total([*gradients]) == expected
    assert total([None, *gradients, None]) == expected


def test_sparse_gradients_are_coalesced_and_left_alone() -> None:
    """Repeated rows of a sparse gradient add up in its norm, and the gradient stays as it was."""
    gradient, dense = make_sparse()
    assert total([gradient, None, torch.ones(2)]) == pytest.approx(by_hand([dense, torch.ones(2)]))
    assert not gradient.is_coalesced()


def test_no_gradient_has_no_norm() -> None:
    """Without any gradient there is nothing to measure, and nothing raises."""
    assert measure_norms([]) == []
    assert measure_norms([None, None]) == []


def test_long_tensors_keep_their_digits() -> None:
    """At three million elements the norm is right to 1e-5, and in float32 all along."""
    gradient = torch.rand(3_000_000, generator=torch.Generator().manual_seed(0))
    assert total([gradient]) == pytest.approx(by_hand([gradient]), rel=1e-5)


def test_norms_keep_no_graph() -> None:
    """Gradients with a graph of their own (create_graph) do not pass it on to their norms."""
    x = torch.ones(3, requires_grad=True)
    (gradient,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    assert gradient.requires_grad
    assert not any(vector.requires_grad for vector in measure_norms([gradient]))


class Sharded(torch.Tensor):
    """A tensor that stands for a part of a larger one, as DTensor does."""

    def to_local(self) -> Tensor:
        """Return this process's part."""
        return torch.Tensor(self)


def test_sharded_gradients_are_not_guessed(tmp_path: Path) -> None:
    """The norm of a part is not given out as the norm of the whole: it stays empty, and is said."""
    with pytest.raises(ShardedGradientError):
        measure_norms([torch.ones(2).as_subclass(Sharded)])
    parameter = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    run = fitdiag.record(nn.Linear(1, 1), optimizer, log=tmp_path / "logs.csv")
    run.__enter__()
    run.log(train_loss=1.0)  # the row of step 0
    for _ in range(2):
        parameter.grad = torch.ones(2).as_subclass(Sharded)
        optimizer.step()
    with pytest.warns(RecordingWarning, match="sharded"):
        run.close()
    lines = run.path.read_text().splitlines()
    assert [line.split(",")[5] for line in lines[1:]] == ["", "", ""]


def test_scaled_gradients_are_unscaled(tmp_path: Path) -> None:
    """A fused optimizer under a gradient scaler is handed scaled gradients; their norm is not."""
    parameter = nn.Parameter(torch.ones(2))
    optimizer: Any = torch.optim.SGD([parameter], lr=0.1, fused=True)
    with fitdiag.record(nn.Linear(1, 1), optimizer, log=tmp_path / "logs.csv") as run:
        parameter.grad = torch.tensor([3.0, 4.0]) * 1024
        optimizer.grad_scale, optimizer.found_inf = torch.tensor(1024.0), torch.tensor(0.0)
        optimizer.step()
    assert parameter.tolist() == pytest.approx([0.7, 0.6])
    assert run.path.read_text().splitlines()[1].split(",")[5] == "5"
