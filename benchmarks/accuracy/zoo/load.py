"""Read the zoo; needs numpy alone.

>>> for run_id, curves, truth in runs("tune"):
...     steps, values = curves["val_loss"]
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["hidden_curves", "runs"]

HERE = Path(__file__).resolve().parent


def _read(path: Path) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Read a long table: run to column to (steps, values) of what was measured."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        table = csv.reader(stream)
        _, _, *names = next(table)
        found: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for run_id, step, *cells in table:
            columns = found[run_id]
            for name, cell in zip(names, cells, strict=True):
                if cell:
                    columns[name].append((float(step), float(cell)))
    return {
        run_id: {name: np.array(pairs).T for name, pairs in columns.items()}
        for run_id, columns in found.items()
    }


def runs(
    split: str | None = None,
) -> Iterator[tuple[str, dict[str, NDArray[np.float64]], dict[str, str]]]:
    """Go through the runs of the zoo.

    Parameters
    ----------
    split : str, optional
        ``"tune"`` or ``"test"``; default both.

    Yields
    ------
    run_id : str
        Problem and scenario.
    curves : dict of str to ndarray of shape (2, n)
        What a user sees: each measured curve as its steps and its values, NaN and infinity kept;
        ``epoch`` gives the epoch of every row.
    truth : dict of str to str
        The run's row of ``zoo_truth.csv``.
    """
    seen = _read(HERE / "zoo.csv.gz")
    with (HERE / "zoo_truth.csv").open(encoding="utf-8", newline="") as stream:
        for truth in csv.DictReader(stream):
            if split in (None, truth["split"]):
                yield truth["run_id"], seen[truth["run_id"]], truth


def hidden_curves() -> dict[str, dict[str, NDArray[np.float64]]]:
    """Read what users do not see, by run and column; the first value is before training.

    Returns
    -------
    dict of str to dict of str to ndarray of shape (2, n)
        ``train_eval_loss``, ``test_loss``, ``grad_norm_first``, ``grad_norm_last`` and ``epoch``,
        each as steps and values.
    """
    return _read(HERE / "zoo_truth_curves.csv.gz")
