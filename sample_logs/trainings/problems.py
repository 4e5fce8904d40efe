"""The problems: data that scikit-learn ships, functions to imitate, sequences to predict.

Each function returns ``Split(train, val)``, two tensor datasets. What is drawn comes from torch's
global generator, so that the seed of a run fixes its data too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from sklearn import datasets
from torch.nn.functional import interpolate
from torch.utils.data import Dataset, TensorDataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = [
    "Split",
    "load_adding",
    "load_digits",
    "load_images",
    "load_language",
    "load_parity",
    "load_table",
    "load_teacher",
    "load_text",
    "split",
]

#: the text that the character models read: an English one that never changes
TEXT = Path(__file__).resolve().parents[2] / "LICENSE"


class Split(NamedTuple):
    """Data to train on and data to validate on."""

    train: Dataset[Any]
    val: Dataset[Any]


def split(inputs: Tensor, targets: Tensor, train: int, val: int | None = None) -> Split:
    """Draw ``train`` samples to train on and ``val``, or all others, to validate on."""
    order = torch.randperm(len(inputs))
    chosen, held = order[:train], order[train:][:val]
    return Split(
        TensorDataset(inputs[chosen], targets[chosen]), TensorDataset(inputs[held], targets[held])
    )


def load_digits(train: int, *, noise: float = 0.0, random_labels: bool = False) -> Split:
    """Return handwritten digits of 1 x 8 x 8 grey pixels, 0 to 1, in ten classes.

    Parameters
    ----------
    train : int
        Samples to train on; the rest of the 1,797 validates.
    noise : float, optional
        Standard deviation of noise that is added to each pixel.
    random_labels : bool, optional
        Whether the labels are shuffled, so that there is nothing to be learned.
    """
    pixels, labels = datasets.load_digits(return_X_y=True)
    images = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    images += noise * torch.randn(images.shape)
    targets = torch.tensor(labels)
    if random_labels:
        targets = targets[torch.randperm(len(targets))]
    return split(images, targets, train)


def load_images() -> Split:
    """Return images of 1 x 28 x 28 in ten classes, as the PyTorch tutorial loads them.

    Fashion-MNIST if torchvision is installed and the images lie in ``data/``, otherwise
    scikit-learn's digits, upscaled to that size. Nothing is downloaded.
    """
    if Path("data/FashionMNIST").is_dir():
        try:
            return load_fashion()
        except ImportError:
            pass  # torchvision is no dependency of fitdiag
    pixels, labels = datasets.load_digits(return_X_y=True)
    small = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    large = interpolate(small, size=(28, 28), mode="bilinear", align_corners=False)
    return split(large, torch.tensor(labels), train=1500)


def load_fashion() -> Split:
    """Return Fashion-MNIST from the folder ``data``, by torchvision."""
    from torchvision import datasets as images  # type: ignore[import-not-found,unused-ignore]
    from torchvision.transforms import ToTensor  # type: ignore[import-not-found,unused-ignore]

    train = images.FashionMNIST(root="data", train=True, download=False, transform=ToTensor())
    val = images.FashionMNIST(root="data", train=False, download=False, transform=ToTensor())
    return Split(train, val)


def load_table(
    load: Callable[..., Any], train: int, val: int | None = None, *, standardise: bool = True
) -> Split:
    """Return one of scikit-learn's tables, such as ``datasets.load_iris``.

    Parameters
    ----------
    load : callable
        The function of scikit-learn.
    train, val : int
        Samples to train on and to validate on; by default all others validate.
    standardise : bool, optional
        Whether each column, and a target that is a number, is brought to mean 0 and deviation 1.
    """
    table, labels = load(return_X_y=True)
    inputs, targets = torch.tensor(table, dtype=torch.float32), torch.tensor(labels)
    if targets.is_floating_point():
        targets = targets.float().unsqueeze(1)
    if standardise:
        inputs = (inputs - inputs.mean(0)) / inputs.std(0)
        if targets.is_floating_point():
            targets = (targets - targets.mean()) / targets.std()
    return split(inputs, targets, train, val)


def load_teacher(train: int, val: int, *, noise: float) -> Split:
    """Return points in the plane and a smooth wave over them, with noise of this deviation."""
    points = 2 * torch.rand(train + val, 2) - 1
    wave = torch.sin(3 * points[:, :1]) * torch.cos(2 * points[:, 1:])
    return split(points, wave + noise * torch.randn(wave.shape), train)


def load_adding(train: int, val: int, *, length: int) -> Split:
    """Return sequences of numbers of which two are marked; their standardised sum is to be told.

    After Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735.
    """
    count = train + val
    numbers = torch.rand(count, length)
    marks = torch.zeros(count, length)
    half = length // 2
    rows = torch.arange(count)
    marks[rows, torch.randint(half, (count,))] = 1
    marks[rows, half + torch.randint(length - half, (count,))] = 1
    sums = (numbers * marks).sum(1, keepdim=True)
    targets = (sums - sums.mean()) / sums.std()
    return split(torch.stack([numbers, marks], dim=2), targets, train)


def load_parity(train: int, val: int, *, length: int) -> Split:
    """Return sequences of bits, and whether the number of ones is odd."""
    bits = torch.randint(2, (train + val, length))
    return split(bits, bits.sum(1) % 2, train)


def load_language(train: int, val: int, *, length: int, tokens: int) -> Split:
    """Return sentences of a language made up by chance, and the same ones one token on.

    Each token is drawn by the two before it, so that a loss well below ln(tokens) can be learned,
    and no sentence comes twice.
    """
    chances = torch.softmax(3 * torch.randn(tokens, tokens, tokens), dim=-1)
    sentences = torch.randint(tokens, (train + val, length + 1))
    for place in range(2, length + 1):
        odds = chances[sentences[:, place - 2], sentences[:, place - 1]]
        sentences[:, place] = torch.multinomial(odds, 1).squeeze(1)
    return split(sentences[:, :-1], sentences[:, 1:], train)


def load_text(train: int, val: int, *, length: int) -> tuple[Split, int]:
    """Return pieces of a text and the same pieces one character on, and the alphabet's size.

    The pieces to validate on lie behind those to train on.
    """
    text = TEXT.read_text(encoding="utf-8")
    alphabet = sorted(set(text))
    codes = torch.tensor([alphabet.index(character) for character in text])
    boundary = len(codes) * 4 // 5
    begin = torch.randint(boundary - length - 1, (train,))
    held = boundary + torch.randint(len(codes) - boundary - length - 1, (val,))
    window = torch.arange(length)
    parts = [
        TensorDataset(codes[starts[:, None] + window], codes[starts[:, None] + window + 1])
        for starts in (begin, held)
    ]
    return Split(*parts), len(alphabet)
