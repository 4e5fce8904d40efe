"""The networks that are trained while they are recorded."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NETWORKS", "Training"]


class Training:
    """One network with its data."""

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor) -> None:
        self.model = model
        self.x, self.y = x, y
        self.criterion: Any = nn.MSELoss() if y.is_floating_point() else nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        self.step = 0

    def measure(self) -> Tensor:
        """Compute the global norm as torch does."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        return nn.utils.get_total_norm(gradients)

    def measure_only(self, _loss: Tensor) -> None:
        """Compute the norm and leave it where it is: the yardstick."""
        self.measure()


def make_perceptron(*sizes: int) -> nn.Sequential:
    """Make a fully connected network."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def make_convolutional() -> nn.Sequential:
    """Make 23 convolutions with batch normalisation and a classifier: 71 tensors."""
    widths = [16] * 6 + [48] * 6 + [80] * 6 + [122] * 5
    layers: list[nn.Module] = []
    before = 3
    for at, width in enumerate(widths):
        stride = 2 if at in {6, 12, 18} else 1
        layers += [
            nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))


class Transformer(nn.Module):
    """An encoder of 13 layers with a head over a vocabulary: 162 tensors."""

    def __init__(self, width: int = 192, vocabulary: int = 1000, length: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(0.02 * torch.randn(length, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True)
            for _ in range(13)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, words: Tensor) -> Tensor:
        """Return scores over the vocabulary, shape (batch * length, vocabulary)."""
        hidden = self.embedding(words) + self.position
        for layer in self.layers:
            hidden = layer(hidden)
        scores: Tensor = self.head(self.norm(hidden)).flatten(0, 1)
        return scores


def _make_toy() -> tuple[Training, int]:
    torch.manual_seed(0)
    return Training(make_perceptron(4, 8, 1), torch.randn(32, 4), torch.randn(32, 1)), 1500


def _make_784() -> tuple[Training, int]:
    torch.manual_seed(0)
    model = make_perceptron(784, 512, 512, 10)
    return Training(model, torch.randn(64, 784), torch.randint(10, (64,))), 250


def _make_cnn() -> tuple[Training, int]:
    torch.manual_seed(0)
    x, y = torch.randn(16, 3, 16, 16), torch.randint(10, (16,))
    return Training(make_convolutional(), x, y), 40


def _make_transformer() -> tuple[Training, int]:
    torch.manual_seed(0)
    words = torch.randint(1000, (2, 32))
    return Training(Transformer(), words, torch.randint(1000, (64,))), 15


#: each network with the steps of a block
NETWORKS: dict[str, Callable[[], tuple[Training, int]]] = {
    "toy": _make_toy,
    "784-512-512-10": _make_784,
    "CNN": _make_cnn,
    "transformer": _make_transformer,
}
