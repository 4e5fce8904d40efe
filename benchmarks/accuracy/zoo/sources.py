"""The data of the zoo: one fixed pool of examples a problem, from scikit-learn or drawn here.

A source takes the problem's own random generator and gives ``(x, y)``; every run of the problem
takes another random part of this pool. Inputs and real-valued targets are standardised.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import datasets

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Pool = tuple[NDArray[Any], NDArray[Any]]
    Source = Callable[[np.random.Generator], Pool]

__all__ = ["SOURCES", "WINDOW", "draw_pool"]

POOL = 4200
"""examples drawn where the source can draw as many as it likes"""
WINDOW = 24
"""characters in one window of text"""
ROOT = Path(__file__).resolve().parents[3]


def _standardise(values: NDArray[Any]) -> NDArray[np.float32]:
    centred = values - values.mean(axis=0)
    scale = centred.std(axis=0)
    return np.asarray(centred / np.where(scale > 0, scale, 1), dtype=np.float32)


def draw_pool(name: str, rng: np.random.Generator) -> Pool:
    """Draw the pool of one problem.

    Parameters
    ----------
    name : str
        A key of `SOURCES`.
    rng : numpy.random.Generator
        Seeded by the problem alone, so that all its runs share teacher, text and task.

    Returns
    -------
    x : ndarray
        float32 of shape (n, features), (n, 1, height, width) or (n, time, channels), or int64
        tokens of shape (n, time).
    y : ndarray
        int64 classes of shape (n,) or (n, time), or float32 values of shape (n, 1).
    """
    x, y = SOURCES[name](rng)
    y = _standardise(y.reshape(-1, 1)) if y.dtype.kind == "f" else y.astype(np.int64)
    if x.dtype.kind != "f":
        return x.astype(np.int64), y
    flat = _standardise(x) if x.ndim == 2 else (x - x.mean()) / x.std()
    return np.asarray(flat, dtype=np.float32), y


def _bundled(load: Callable[..., Any]) -> Source:
    def source(_rng: np.random.Generator) -> Pool:
        x, y = load(return_X_y=True)
        return np.asarray(x, float), np.asarray(y)

    return source


def _made(make: Callable[..., Any], **options: Any) -> Source:  # noqa: ANN401 - handed on
    def source(rng: np.random.Generator) -> Pool:
        x, y = make(n_samples=POOL, random_state=int(rng.integers(2**31)), **options)
        return np.asarray(x), np.asarray(y)

    return source


def _digits(_rng: np.random.Generator) -> Pool:
    x, y = datasets.load_digits(return_X_y=True)
    return x.reshape(-1, 1, 8, 8).astype(float), y


def _blob_images(rng: np.random.Generator) -> Pool:
    """Draw 10 x 10 images; the class is how many soft blobs lie in each."""
    y = rng.integers(0, 4, POOL)
    grid = np.stack(np.meshgrid(np.arange(10), np.arange(10)), -1).astype(float)
    x = rng.normal(0, 0.25, (POOL, 1, 10, 10))
    for image, count in zip(x, y, strict=True):
        for centre in rng.uniform(1, 8, (count + 1, 2)):
            image[0] += np.exp(-((grid - centre) ** 2).sum(-1) / 1.5)
    return x, y


def _bars(rng: np.random.Generator) -> Pool:
    """Draw 8 x 8 images; the class tells which quarter and direction the bar has."""
    y = rng.integers(0, 8, POOL)
    x = rng.normal(0, 0.6, (POOL, 1, 8, 8))
    for image, label in zip(x, y, strict=True):
        place = 4 * (int(label) // 2 % 2) + int(rng.integers(4))
        start = int(rng.integers(0, 3)) + 3 * (int(label) // 4)
        view = image[0] if label % 2 else image[0].T
        view[place, start : start + 4] += 1.2
    return x, y


def _shapes(rng: np.random.Generator) -> Pool:
    """Draw 12 x 12 images of a disc, square, cross, ring or diagonal in noise."""
    y = rng.integers(0, 5, POOL)
    across, down = np.meshgrid(np.arange(12), np.arange(12))
    x = rng.normal(0, 0.5, (POOL, 1, 12, 12))
    for image, label in zip(x, y, strict=True):
        dx, dy = across - rng.uniform(4, 7), down - rng.uniform(4, 7)
        size = rng.uniform(2, 3.5)
        radius, square = np.hypot(dx, dy), np.maximum(abs(dx), abs(dy))
        thin = np.minimum(abs(dx), abs(dy))
        masks = (
            radius < size,
            square < size,
            (thin < 1) & (square < size),
            abs(radius - size) < 0.8,
            (abs(dx - dy) < 1) & (square < size),
        )
        image[0] += masks[int(label)]
    return x, y


def _spirals(rng: np.random.Generator) -> Pool:
    y = rng.integers(0, 3, POOL)
    radius = rng.uniform(0.05, 1, POOL)
    angle = 5 * radius + y * 2 * np.pi / 3 + rng.normal(0, 0.22, POOL)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1), y


def _teacher(rng: np.random.Generator, outputs: int, noise: float) -> Pool:
    x = rng.normal(size=(POOL, 12))
    hidden = np.tanh(x @ rng.normal(0, 0.6, (12, 10)))
    y = hidden @ rng.normal(0, 1, (10, outputs))
    return x, y + rng.normal(0, noise * y.std(), y.shape)


def _teacher_classes(rng: np.random.Generator) -> Pool:
    x, y = _teacher(rng, 4, 0.1)
    return x, y.argmax(1)


def _sinusoid(rng: np.random.Generator) -> Pool:
    x = rng.uniform(-1, 1, (POOL, 2))
    y = np.sin(5 * x[:, 0]) + np.cos(4 * x[:, 1] + 1) * x[:, 0]
    return x, y + rng.normal(0, 0.25, POOL)


def _sparse_parity(rng: np.random.Generator) -> Pool:
    x = rng.integers(0, 2, (POOL, 14)) * 2.0 - 1
    return x, (x[:, 1] * x[:, 5] * x[:, 9] > 0).astype(int)


def _boolean_formula(rng: np.random.Generator) -> Pool:
    x = rng.integers(0, 2, (POOL, 16)) * 2.0 - 1
    bits = x > 0
    terms = (bits[:, 0] & bits[:, 3]) | (bits[:, 5] & ~bits[:, 8]) | (bits[:, 1] ^ bits[:, 12])
    return x, (terms & (bits[:, 2] | bits[:, 9])).astype(int)


def _modular_addition(_rng: np.random.Generator) -> Pool:
    first, second = np.divmod(np.arange(23 * 23), 23)
    eye = np.eye(23)
    return np.concatenate([eye[first], eye[second]], 1), (first + second) % 23


def _adding(rng: np.random.Generator) -> Pool:
    x = np.zeros((POOL, 10, 2))
    x[:, :, 0] = rng.uniform(0, 1, (POOL, 10))
    for row in x:
        row[rng.choice(10, 2, replace=False), 1] = 1
    return x, (x[:, :, 0] * x[:, :, 1]).sum(1)


def _sine_forecast(rng: np.random.Generator) -> Pool:
    speed, phase = rng.uniform(0.2, 1.2, (POOL, 1)), rng.uniform(0, 2 * np.pi, (POOL, 1))
    wave = np.sin(speed * np.arange(15) + phase) + rng.normal(0, 0.15, (POOL, 15))
    return wave[:, :12, None], wave[:, 14]


def _chaos_forecast(rng: np.random.Generator) -> Pool:
    state = rng.uniform(0.1, 0.9, POOL)
    rate = rng.uniform(3.6, 3.9, POOL)
    series = []
    for _ in range(40):
        state = rate * state * (1 - state)
        series.append(state)
    x = np.stack(series[-10:], 1) + rng.normal(0, 0.02, (POOL, 10))
    return x[:, :9, None], x[:, 9]


def _delayed_recall(rng: np.random.Generator) -> Pool:
    x = rng.integers(6, 10, (POOL, 12))
    x[:, 1] = rng.integers(0, 6, POOL)
    return x, x[:, 1].copy()


def _windows(text: str) -> Pool:
    letters = sorted(set(text))
    tokens = np.array([letters.index(letter) for letter in text])
    count = min((tokens.size - 1) // WINDOW, POOL)
    length = count * WINDOW
    return tokens[:length].reshape(-1, WINDOW), tokens[1 : length + 1].reshape(-1, WINDOW)


def _plain(text: str) -> str:
    kept = "".join(c if c.isalpha() and c.isascii() else " " for c in text.lower())
    return " ".join(kept.split())


def _licence_text(_rng: np.random.Generator) -> Pool:
    return _windows(_plain((ROOT / "LICENSE").read_text(encoding="utf-8")))


def _docstring_text(_rng: np.random.Generator) -> Pool:
    import argparse
    import collections
    import decimal
    import json
    import logging

    modules = (argparse, collections, decimal, json, logging)
    pieces = [str(module.__doc__) for module in modules]
    for module in modules:
        for _name, thing in sorted(vars(module).items()):
            if isinstance(thing, type):
                pieces.append(str(thing.__doc__ or ""))
    return _windows(_plain(" ".join(pieces)))


def _grammar_text(rng: np.random.Generator) -> Pool:
    words = {
        "noun": ["cat", "dog", "bird", "stone", "river", "cloud", "fox", "tree"],
        "verb": ["sees", "likes", "hears", "finds", "holds"],
        "kind": ["red", "old", "small", "warm", "loud"],
    }

    def pick(part: str) -> str:
        return str(rng.choice(words[part]))

    lines = []
    for _ in range(1500):
        subject = (
            f"the {pick('kind')} {pick('noun')}" if rng.random() < 0.5 else f"a {pick('noun')}"
        )
        lines.append(f"{subject} {pick('verb')} the {pick('noun')}.")
    return _windows(" ".join(lines))


SOURCES: dict[str, Source] = {
    "digits": _digits,
    "blob_images": _blob_images,
    "bars": _bars,
    "shapes": _shapes,
    "breast_cancer": _bundled(datasets.load_breast_cancer),
    "iris": _bundled(datasets.load_iris),
    "wine": _bundled(datasets.load_wine),
    "diabetes": _bundled(datasets.load_diabetes),
    "classification": _made(
        datasets.make_classification, n_features=20, n_informative=6, n_classes=3, flip_y=0.05
    ),
    "gaussian_quantiles": _made(datasets.make_gaussian_quantiles, n_features=5, n_classes=3),
    "moons": _made(datasets.make_moons, noise=0.25),
    "spirals": _spirals,
    "friedman1": _made(datasets.make_friedman1, noise=1.0),
    "friedman3": _made(datasets.make_friedman3, noise=0.05),
    "teacher_values": lambda rng: _teacher(rng, 1, 0.2),
    "teacher_classes": _teacher_classes,
    "sinusoid": _sinusoid,
    "sparse_parity": _sparse_parity,
    "boolean_formula": _boolean_formula,
    "modular_addition": _modular_addition,
    "adding": _adding,
    "sine_forecast": _sine_forecast,
    "chaos_forecast": _chaos_forecast,
    "delayed_recall": _delayed_recall,
    "licence_text": _licence_text,
    "docstring_text": _docstring_text,
    "grammar_text": _grammar_text,
}
"""source of each problem's pool, by its name"""
