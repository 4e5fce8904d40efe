"""Gradient norms of every kind of gradient, against float64 sums by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import fitdiag
from fitdiag.recording.norms import ShardedGradientError, measure_norms
from fitdiag.recording.roster import Roster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor


def total(gradients: list[Tensor | None]) -> float:
    """Return the global norm from the vectors that were measured."""
    norms = measure_norms(gradients)
    assert norms is not None
    return math.hypot(*(value for vector in norms.vectors for value in vector.tolist()))


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
    assert measure_norms([]) is None
    assert measure_norms([None, None]) is None


@pytest.mark.parametrize("count", [2**19, 20_000_000])
def test_long_tensors_keep_their_digits(count: int) -> None:
    """At the longest that goes in one piece, and far beyond it, the norm is right to 1e-5."""
    gradient = torch.rand(count, generator=torch.Generator().manual_seed(0))
    exact = math.sqrt(
        sum(part.double().pow(2).sum().item() for part in torch.split(gradient, 1 << 20))
    )
    assert total([gradient, torch.zeros(2)]) == pytest.approx(exact, rel=1e-5)


def test_norms_keep_no_graph() -> None:
    """Gradients with a graph of their own (create_graph) do not pass it on to their norms."""
    x = torch.ones(3, requires_grad=True)
    (gradient,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    assert gradient.requires_grad
    norms = measure_norms([gradient])
    assert norms is not None
    assert not any(vector.requires_grad for vector in norms.vectors)


def test_each_norm_is_known_by_its_place() -> None:
    """Missing, long and mixed gradients: each element of the norms says whose it is."""
    gradients = [None, torch.ones(4), torch.ones(2**20), torch.ones(9).double(), None]
    norms = measure_norms(gradients)
    assert norms is not None
    assert norms.places is not None
    squares = dict.fromkeys(norms.places, 0.0)
    values = [value for vector in norms.vectors for value in vector.tolist()]
    for place, value in zip(norms.places, values, strict=True):
        squares[place] += value**2
    assert {place: math.sqrt(square) for place, square in squares.items()} == pytest.approx(
        {1: 2.0, 2: 1024.0, 3: 3.0}
    )


def step_with(gradients: list[Tensor | None], roster: Roster) -> float:
    """Return the global norm that a roster measures, whichever way it takes."""
    norms = roster.measure(gradients)
    assert norms is not None
    assert not any(vector.requires_grad for vector in norms.vectors)
    return math.hypot(*(float(v) for vector in norms.vectors for v in vector.reshape(-1)))


def test_gradients_that_change_their_kind_are_measured_all_the_same() -> None:
    """After many plain steps come sparse, missing, half, double and graph-carrying gradients."""
    table, bias = nn.Parameter(torch.ones(6, 3)), nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([table, bias], lr=0.1)
    roster = Roster(optimizer, [table, bias])
    plain: list[Tensor | None] = [torch.ones(6, 3), torch.ones(2)]
    sparse, dense = make_sparse()
    x = torch.ones(2, requires_grad=True)
    (graph,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    others: list[tuple[list[Tensor | None], float]] = [
        ([sparse, None], by_hand([dense])),
        ([torch.ones(6, 3), None], math.sqrt(18)),
        ([torch.full((6, 3), 60_000.0).half(), torch.ones(2).half()], 60_000 * math.sqrt(18)),
        ([torch.ones(6, 3).half(), torch.ones(2).double()], math.sqrt(20)),
        ([torch.ones(6, 3), torch.full((2,), 60_000.0).half()], math.sqrt(18 + 2 * 60_000.0**2)),
        ([torch.ones(6, 3), graph], math.sqrt(36)),
        ([torch.ones(6, 3), torch.arange(2)], math.sqrt(19)),
    ]
    for gradients, expected in others:
        for _ in range(3):
            assert step_with(plain, roster) == pytest.approx(math.sqrt(20))
        assert step_with(gradients, roster) == pytest.approx(expected, rel=1e-5)
    assert roster.measure([None, None]) is None


def test_with_every_gradients_are_measured_at_these_steps_only(tmp_path: Path) -> None:
    """With every=5 the norm in a row is that of its own step, and the others are not measured."""
    parameter = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    with fitdiag.record(nn.Linear(1, 1), optimizer, log=tmp_path / "l.csv", every=5) as run:
        for step in range(1, 13):
            parameter.grad = torch.full((1,), float(step))
            optimizer.step()
            run.log(train_loss=1.0)
    rows = [line.split(",") for line in run.path.read_text().splitlines()]
    at = rows[0].index("grad_norm")
    assert [(row[0], row[at]) for row in rows[1:] if row[at]] == [("5", "5"), ("10", "10")]


class Sharded(torch.Tensor):
    """A tensor that stands for a part of a larger one, as DTensor does."""

    def to_local(self) -> Tensor:
        """Return this process's part."""
        return torch.Tensor(self)


def test_sharded_gradients_are_not_taken_for_whole_ones() -> None:
    """The norm of a part is not given out as the norm of the whole."""
    with pytest.raises(ShardedGradientError):
        measure_norms([torch.ones(2).as_subclass(Sharded)])


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
