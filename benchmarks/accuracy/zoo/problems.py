"""The problems of the zoo, and the table that parts them into tune and test.

The table was written before any run was trained, with every family on both sides.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.accuracy.zoo.sources import draw_pool

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PROBLEMS", "Problem", "Sample", "draw_sample", "seed_of"]

TEST_SIZE = 2000
"""clean test examples, where the pool has as many"""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One learning problem.

    Parameters
    ----------
    name, family : str
        What it is called, and the kind of problem it stands for.
    split : str
        ``"tune"`` or ``"test"``.
    kind : str
        ``"classes"``, ``"binary"``, ``"values"`` or ``"text"``.
    archs : tuple of str
        Architectures that suit it.
    many, few, val : int
        Size of a comfortable training set, of a scant one, and of the validation set.
    epochs : int
        A usual length of training.
    unexplained : float, optional
        Share of the constant predictor's loss that a good model cannot remove; nominal.
    """

    name: str
    family: str
    split: str
    kind: str
    archs: tuple[str, ...]
    many: int
    few: int
    val: int
    epochs: int
    unexplained: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The examples of one run; the test part follows the distribution of the validation part."""

    train: tuple[NDArray[Any], NDArray[Any]]
    val: tuple[NDArray[Any], NDArray[Any]]
    test: tuple[NDArray[Any], NDArray[Any]]


def _problem(name: str, where: str, kind: str, archs: str, sizes: str, *rest: float) -> Problem:
    family, split = where.split("/")
    many, few, val, epochs = (int(size) for size in sizes.split())
    return Problem(
        name=name,
        family=family,
        split=split,
        kind=kind,
        archs=tuple(archs.split()),
        many=many,
        few=few,
        val=val,
        epochs=epochs,
        unexplained=rest[0] if rest else 0.0,
    )


PROBLEMS: dict[str, Problem] = {
    problem.name: problem
    for problem in (
        _problem("digits", "image/tune", "classes", "cnn mlp", "700 80 200 40"),
        _problem("blob_images", "image/tune", "classes", "cnn mlp", "1000 120 300 40", 0.2),
        _problem("breast_cancer", "tabular/tune", "binary", "mlp linear", "220 40 80 60", 0.1),
        _problem("iris", "tabular/tune", "classes", "mlp linear", "66 20 24 80", 0.1),
        _problem("classification", "tabular/tune", "classes", "mlp", "1000 90 300 60", 0.3),
        _problem("moons", "plane/tune", "binary", "mlp", "800 50 300 60", 0.25),
        _problem("sinusoid", "plane/tune", "values", "mlp", "800 40 300 80", 0.08),
        _problem("friedman1", "regression/tune", "values", "mlp", "800 60 300 60", 0.1),
        _problem("teacher_values", "teacher/tune", "values", "mlp", "1000 100 300 60", 0.1),
        _problem("sparse_parity", "boolean/tune", "binary", "mlp", "900 120 300 60"),
        _problem("modular_addition", "boolean/tune", "classes", "mlp", "370 150 50 200"),
        _problem("adding", "sequence/tune", "values", "gru lstm rnn", "900 80 250 40", 0.05),
        _problem("sine_forecast", "sequence/tune", "values", "gru rnn mlp", "700 50 250 40", 0.2),
        _problem("licence_text", "text/tune", "text", "transformer gru", "220 40 70 40", 0.5),
        _problem("grammar_text", "text/tune", "text", "transformer gru", "300 40 100 40", 0.35),
        _problem("bars", "image/test", "classes", "cnn mlp", "1000 150 300 40", 0.1),
        _problem("shapes", "image/test", "classes", "cnn mlp", "900 100 300 40", 0.1),
        _problem("wine", "tabular/test", "classes", "mlp linear", "80 24 30 80"),
        _problem("gaussian_quantiles", "tabular/test", "classes", "mlp", "1000 90 300 60", 0.1),
        _problem("spirals", "plane/test", "classes", "mlp", "900 60 300 80", 0.1),
        _problem("diabetes", "regression/test", "values", "mlp linear", "220 40 70 60", 0.5),
        _problem("friedman3", "regression/test", "values", "mlp", "800 60 300 60", 0.1),
        _problem("teacher_classes", "teacher/test", "classes", "mlp", "1000 100 300 60", 0.2),
        _problem("boolean_formula", "boolean/test", "binary", "mlp", "900 120 300 60"),
        _problem("delayed_recall", "sequence/test", "classes", "gru lstm rnn", "600 60 200 40"),
        _problem("chaos_forecast", "sequence/test", "values", "gru rnn mlp", "800 60 250 50", 0.1),
        _problem("docstring_text", "text/test", "text", "transformer gru", "300 50 100 40", 0.5),
    )
}
"""every problem by its name"""


def seed_of(name: str) -> int:
    """Give the seed that belongs to a name, the same on every machine."""
    return zlib.crc32(name.encode())


@functools.lru_cache(maxsize=40)
def _pool(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    return draw_pool(name, np.random.default_rng(seed_of(name)))


def _spoil(
    part: tuple[NDArray[Any], NDArray[Any]], share: float, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give a share of the examples a target drawn at random (text: letters, on both sides)."""
    x, y = part
    if not share:
        return part
    if y.ndim == 2 and y.dtype.kind == "i":
        letters = np.concatenate([x, y[:, -1:]], 1)
        drawn = rng.choice(letters.ravel(), letters.shape)
        letters = np.where(rng.random(letters.shape) < share, drawn, letters)
        return letters[:, :-1], letters[:, 1:]
    drawn = rng.integers(0, y.max() + 1, y.shape) if y.dtype.kind == "i" else rng.permutation(y)
    return x, np.where(rng.random(y.shape) < share, drawn, y)


def draw_sample(
    problem: Problem, sizes: tuple[int, int], *, noise: float, noisy_val: bool, seed: int
) -> Sample:
    """Draw the three parts of one run from its problem's pool.

    Parameters
    ----------
    problem : Problem
        Where from.
    sizes : tuple of int
        How many examples to train and to validate on; what is left of the pool, up to
        `TEST_SIZE`, is the clean test set.
    noise : float
        Share of training targets drawn at random, from 0 to 1.
    noisy_val : bool
        Whether validation, and with it the clean test, has the same noise.
    seed : int
        Seed of the draw.

    Returns
    -------
    Sample
        Arrays as in :func:`benchmarks.accuracy.zoo.sources.draw_pool`.
    """
    rng = np.random.default_rng(seed)
    train, val = sizes
    x, y = _pool(problem.name)
    order = rng.permutation(len(x))
    cuts = (order[:train], order[train : train + val], order[train + val :][:TEST_SIZE])
    if problem.kind == "text":
        cuts = (cuts[0], cuts[1], cuts[2][:200])
    shares = (noise, noise if noisy_val else 0.0, noise if noisy_val else 0.0)
    parts = [_spoil((x[c], y[c]), share, rng) for c, share in zip(cuts, shares, strict=True)]
    return Sample(train=parts[0], val=parts[1], test=parts[2])
