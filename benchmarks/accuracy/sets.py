"""The labelled sets, each as a list of labelled runs.

The zoo lies beside this file. The public sets (OverfitGuard's simulated runs, DeepOBS, AlgoPerf,
PTDB1, GPT-2 pretraining) are not part of the project; ``--corpus`` names a folder that holds them
as gzip CSV tables with ``run_id`` first, and their label files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from zoo.load import hidden_curves
from zoo.load import runs as zoo_runs

from fitdiag import Curve, Run
from fitdiag.run import LAYER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Labelled", "algoperf", "deepobs", "healthy", "overfitguard", "zoo"]

_CURVES = ("train_loss", "val_loss", "grad_norm", "grad_norm_max", "lr")


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A run, the problem that it belongs to, and what is right to say about it."""

    name: str
    problem: str
    run: Run
    truth: str
    accepted: frozenset[str]
    gradient: str = ""
    gradient_onset: float = -1.0
    table: pd.DataFrame | None = None


def _run(frame: pd.DataFrame, axis: str) -> Run:
    columns = {name: frame[name].to_numpy() for name in _CURVES if name in frame}
    used = {name: values for name, values in columns.items() if not pd.isna(values).all()}
    unit = "epoch" if axis == "epoch" else "step"
    return Run.from_arrays(used, steps=frame[axis].to_numpy(), unit=unit)


def _frames(folder: Path, name: str) -> Iterator[tuple[str, pd.DataFrame]]:
    table = pd.read_csv(folder / f"{name}.csv.gz")
    for run_id, frame in table.groupby("run_id", sort=False):
        yield str(run_id), frame


def overfitguard(folder: Path) -> list[Labelled]:
    """OverfitGuard's 419 simulated runs: overfit or not, by hand (arXiv:2401.10359)."""
    labels = pd.read_csv(folder / "overfitguard_simulated_labels.csv").set_index("run_id")
    return [
        Labelled(
            name=name,
            problem=str(labels.dataset[name]),
            run=_run(frame, "epoch"),
            truth="overfitting" if labels.label[name] == "overfit" else "rest",
            accepted=frozenset(),
        )
        for name, frame in _frames(folder, "overfitguard_simulated")
    ]


def deepobs(folder: Path) -> list[Labelled]:
    """DeepOBS learning-rate sweeps with weak labels from accuracy against chance."""
    labels = pd.read_csv(folder / "deepobs_labels.csv").set_index("run_id")
    return [
        Labelled(
            name=name,
            problem=str(labels.problem[name]),
            run=_run(frame, "epoch"),
            truth=str(labels.weak_label[name]),
            accepted=frozenset(),
        )
        for name, frame in _frames(folder, "deepobs")
    ]


def algoperf(folder: Path) -> list[Labelled]:
    """AlgoPerf runs with a test loss, for scoring the pick; the table rides along."""
    return [
        Labelled(
            name=name,
            problem=name,
            run=_run(frame, "step"),
            truth="",
            accepted=frozenset(),
            table=frame.dropna(subset=["test_loss"]),
        )
        for name, frame in _frames(folder, "algoperf")
    ]


def healthy(folder: Path) -> list[Labelled]:
    """GPT-2 pretraining, PTDB1 and AlgoPerf runs that learned: any gradient alarm is false."""
    sources: list[tuple[str, str]] = [
        ("llm_pretraining", "step"),
        ("ptdb1", "epoch"),
        ("algoperf", "step"),
    ]
    return [
        Labelled(name=name, problem=kind, run=_run(frame, axis), truth="", accepted=frozenset())
        for kind, axis in sources
        for name, frame in _frames(folder, kind)
    ]


def _curve(name: str, pairs: NDArray[np.float64]) -> Curve:
    """Make a curve of (steps, values); of several values at one step the last counts."""
    steps, last = np.unique(pairs[0][::-1], return_index=True)
    return Curve(name=name, steps=steps, values=pairs[1][::-1][last])


def zoo(split: str) -> list[Labelled]:
    """Return the project's own trainings with a known truth; ``split`` is "tune" or "test".

    The norms of the first and the last layer, which a log with single layers holds, are added.
    """
    found = []
    hidden = hidden_curves()
    for name, curves, truth in zoo_runs(split):
        made = {key: _curve(key, pairs) for key, pairs in curves.items()}
        epochs = made.pop("epoch", None)
        for layer in ("first", "last"):
            pairs = hidden[name][f"grad_norm_{layer}"]
            made[LAYER + layer] = _curve(LAYER + layer, pairs)
        found.append(
            Labelled(
                name=name,
                problem=truth["problem"],
                run=Run(curves=made, epochs=epochs),
                truth=truth["truth"],
                accepted=frozenset(truth["accepted"].split("|")),
                gradient=truth["gradient_truth"],
                gradient_onset=float(truth["gradient_onset"] or -1),
            )
        )
    return found


PUBLIC: dict[str, Callable[[Path], list[Labelled]]] = {
    "overfitguard": overfitguard,
    "deepobs": deepobs,
    "algoperf": algoperf,
    "healthy": healthy,
}
