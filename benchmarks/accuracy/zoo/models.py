"""The architectures of the zoo: small, and with every way to go wrong that the setups ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from benchmarks.accuracy.zoo.setups import Setup

__all__ = ["build_model", "end_layers"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
}
DEAD_BIAS = -30.0


def _stack(inputs: int, outputs: int, setup: Setup) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(setup.depth):
        layers.append(nn.Linear(inputs, setup.width))
        if setup.batch_norm:
            layers.append(nn.BatchNorm1d(setup.width))
        layers.append(ACTIVATIONS[setup.activation]())
        if setup.dropout:
            layers.append(nn.Dropout(setup.dropout))
        inputs = setup.width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class _Cnn(nn.Module):
    def __init__(self, side: int, outputs: int, setup: Setup) -> None:
        super().__init__()
        act = ACTIVATIONS[setup.activation]
        norm = nn.BatchNorm2d if setup.batch_norm else nn.Identity
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 8, 3, padding=1), norm(8), act(), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 16, 3, padding=1), norm(16), act(), nn.MaxPool2d(2), nn.Flatten()),
        )
        self.head = _stack(16 * (side // 4) ** 2, outputs, setup)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))  # type: ignore[no-any-return]


class _Recurrent(nn.Module):
    """A recurrent net over channels or tokens; answers at the end or after every token."""

    def __init__(self, inputs: int, tokens: int, outputs: int, setup: Setup, every: bool) -> None:
        super().__init__()
        kinds: dict[str, type[nn.RNN | nn.GRU | nn.LSTM]] = {
            "rnn": nn.RNN,
            "gru": nn.GRU,
            "lstm": nn.LSTM,
        }
        self.embed = nn.Embedding(tokens, 12) if tokens else nn.Identity()
        size = 12 if tokens else inputs
        if setup.arch == "rnn" and setup.init == "exploding":
            self.body: nn.RNNBase = nn.RNN(size, setup.width, 1, "relu", batch_first=True)
        else:
            self.body = kinds[setup.arch](size, setup.width, batch_first=True)
        self.head = _stack(setup.width, outputs, setup)
        self.every = every

    def forward(self, x: Tensor) -> Tensor:
        states = self.body(self.embed(x))[0]
        return self.head(states if self.every else states[:, -1])  # type: ignore[no-any-return]


class _Block(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.mix = nn.Linear(width, 3 * width)
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        mixed = self.mix(self.norms[0](x)).view(batch, time, 3, 2, width // 2)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.drop(seen.transpose(1, 2).reshape(batch, time, width))
        return x + self.drop(self.feed(self.norms[1](x)))  # type: ignore[no-any-return]


class _Transformer(nn.Module):
    def __init__(self, tokens: int, time: int, setup: Setup) -> None:
        super().__init__()
        self.embed = nn.Embedding(tokens, setup.width)
        self.place = nn.Parameter(torch.randn(time, setup.width) * 0.1)
        self.blocks = nn.Sequential(*(_Block(setup.width, setup.dropout) for _ in range(2)))
        self.head = _stack(setup.width, tokens, setup)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(x) + self.place))  # type: ignore[no-any-return]


def _spoil(model: nn.Module, init: str) -> None:
    """Begin badly: dead units, tiny or huge weights, or a recurrence that grows."""
    for name, parameter in model.named_parameters():
        if init == "dead" and name.endswith("bias") and name in _hidden_biases(model):
            parameter.fill_(DEAD_BIAS)
        if init in ("tiny", "huge") and parameter.dim() > 1:
            parameter.mul_(0.02 if init == "tiny" else 6.0)
        if init == "exploding" and "weight_hh" in name:
            parameter.mul_(4.0)


def _hidden_biases(model: nn.Module) -> set[str]:
    layers = [n for n, m in model.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    return {f"{name}.bias" for name in layers[:-1] if "mix" not in name and "feed" not in name}


def build_model(
    setup: Setup, shape: tuple[int, ...], tokens: int, outputs: int, every: bool
) -> nn.Module:
    """Build the net of a setup.

    Parameters
    ----------
    setup : Setup
        Which architecture, and how it begins.
    shape : tuple of int
        Shape of one input.
    tokens : int
        Vocabulary of token inputs; 0 for real-valued inputs.
    outputs : int
        Numbers given for each target.
    every : bool
        Whether there is a target after every token, not one a sequence.

    Returns
    -------
    torch.nn.Module
        Ready to train.
    """
    model: nn.Module
    if setup.arch == "cnn":
        model = _Cnn(shape[-1], outputs, setup)
    elif setup.arch == "transformer":
        model = _Transformer(tokens, shape[0], setup)
    elif setup.arch in ("rnn", "gru", "lstm"):
        model = _Recurrent(shape[-1], tokens, outputs, setup, every)
    else:
        size = 1
        for length in shape:
            size *= length
        model = nn.Sequential(nn.Flatten(), *_stack(size, outputs, setup))
    with torch.no_grad():
        _spoil(model, setup.init)
    return model


def end_layers(model: nn.Module) -> tuple[nn.Parameter, nn.Parameter]:
    """Give the weights nearest to the input and to the output."""
    weights = [p for name, p in model.named_parameters() if p.dim() > 1 and "place" not in name]
    return weights[0], weights[-1]
