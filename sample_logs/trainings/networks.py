"""The networks, from a stack of linear layers to a small transformer."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Recurrent", "Transformer", "build_convolutional", "build_layers"]


def build_layers(*sizes: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Return linear layers of these sizes, input first, with activations between them."""
    *hidden, last = [nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes)]
    layers: list[nn.Module] = [nn.Flatten()]
    for linear in hidden:
        layers += [linear, activation()]
    return nn.Sequential(*layers, last)


def build_convolutional(channels: int, *, dropout: float = 0.0) -> nn.Sequential:
    """Return two convolutions and a classifier, for images of 1 x 8 x 8 in ten classes."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(8 * channels, 10),
    )


class Recurrent(nn.Module):
    """A recurrent layer over a sequence, and a linear one on its last state.

    Parameters
    ----------
    layer : RNN, GRU or LSTM
        With ``batch_first=True``.
    outputs : int
        Numbers to tell.
    """

    def __init__(self, layer: nn.RNNBase, outputs: int) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(layer.hidden_size, outputs)

    def forward(self, sequence: Tensor) -> Tensor:
        """Return one vector, shape (batch, outputs), for sequences (batch, length, features)."""
        states: Tensor = self.layer(sequence)[0]
        output: Tensor = self.head(states[:, -1])
        return output


class Transformer(nn.Module):
    """A small transformer over tokens.

    Parameters
    ----------
    tokens : int
        Size of the alphabet.
    outputs : int
        Numbers to tell at each token.
    length : int
        The longest sequence.
    causal : bool, optional
        Whether a token sees only those before it, as a language model must; without this the
        output is that of the whole sequence.
    width, layers : int, optional
        Size of the network.
    dropout : float, optional
        Dropout in each layer.
    """

    def __init__(
        self,
        tokens: int,
        outputs: int,
        length: int,
        *,
        causal: bool,
        width: int = 48,
        layers: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(tokens, width)
        self.place = nn.Parameter(0.02 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, dropout=dropout, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, outputs)
        self.causal = causal

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (batch, outputs, length) if causal, else (batch, outputs)."""
        length = tokens.shape[1]
        hidden = self.embed(tokens) + self.place[:length]
        mask = nn.Transformer.generate_square_subsequent_mask(length) if self.causal else None
        hidden = self.encoder(hidden, mask=mask, is_causal=self.causal)
        output: Tensor = self.head(hidden if self.causal else hidden.mean(1))
        return output.transpose(1, 2) if self.causal else output
