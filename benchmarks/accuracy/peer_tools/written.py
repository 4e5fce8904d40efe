"""Runs written as the logs that the tools read."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from peer_tools.tool import Tool

    from fitdiag import Curve, Run

    Floats = NDArray[np.float64]

__all__ = ["write_logs"]


def _curves(run: Run, tool: Tool) -> dict[str, Curve]:
    """Return the curves that the tool knows, by its column names; batch losses stand in."""
    known = {
        column: run.train_loss if name == "train_loss" else run.get(name)
        for column, name in tool.columns.items()
    }
    return {column: curve for column, curve in known.items() if curve is not None}


def _nearest(steps: Floats, wanted: Floats) -> NDArray[np.intp]:
    """Find, for each wanted step, the nearest of the sorted steps."""
    right = np.clip(np.searchsorted(steps, wanted), 1, max(1, steps.size - 1))
    left = right - 1
    right = np.minimum(right, steps.size - 1)
    closer = np.abs(steps[left] - wanted) <= np.abs(steps[right] - wanted)
    return np.where(closer, left, right)


def _rows(run: Run, tool: Tool) -> tuple[Floats, dict[str, dict[int, float]]]:
    """Lay out the run: the steps of its rows, and each column's value by row."""
    curves = _curves(run, tool)
    base = run.train_loss if tool.layout == "aligned" else run.val_loss
    if tool.layout == "wide" or base is None:
        steps = np.unique(np.concatenate([curve.steps for curve in curves.values()]))
    else:
        steps = base.steps
    cells = {}
    for column, curve in curves.items():
        sparse = tool.layout == "aligned" and tool.columns[column] == "val_loss"
        if tool.layout != "wide" and not sparse:
            near = curve.values[_nearest(curve.steps, steps)]
            cells[column] = dict(enumerate(near.tolist()))
        else:
            places = _nearest(steps, curve.steps).tolist()
            cells[column] = dict(zip(places, curve.values.tolist(), strict=True))
    return steps, cells


def _write(run: Run, tool: Tool, path: Path) -> None:
    steps, cells = _rows(run, tool)
    columns = list(tool.columns)
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["step", *columns])
        for row, step in enumerate(steps.tolist()):
            values = [cells.get(column, {}).get(row, "") for column in columns]
            table.writerow([int(step), *values])


def write_logs(runs: Sequence[Run], tool: Tool, folder: Path) -> list[str]:
    """Write each run as a CSV file with an empty cell for what was not measured.

    Parameters
    ----------
    runs : sequence of Run
        The runs.
    tool : Tool
        Whose layout and column names to use.
    folder : Path
        Where to, made if it is missing.

    Returns
    -------
    list of str
        The file names without suffix, in the order of the runs: numbers that tell nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:04d}" for number in range(len(runs))]
    for name, run in zip(names, runs, strict=True):
        _write(run, tool, folder / f"{name}.csv")
    return names
