"""The file beside fitdiag's own log that holds the gradient norms of single layers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.run import LAYER, Curve, StepUnit
from fitdiag.source import LAYERS, find_sibling

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from fitdiag.run import Run

__all__ = ["attach_layers"]

#: a file larger than this was not written by the recorder
MOST_BYTES = 1 << 24
#: layers and rows that are read, the first ones
MOST_LAYERS = 1024
MOST_ROWS = 4096
#: characters of a layer's name that are kept
MOST_CHARACTERS = 200


def attach_layers(run: Run, log: Path) -> Run:
    """Return a run with the gradient norms of its layers, where they stand beside its log.

    Parameters
    ----------
    run : Run
        As its log gave it.
    log : Path
        The log; the layers stand in ``logs.layers.csv`` beside ``logs.csv``.

    Returns
    -------
    Run
        With a curve ``grad_norm/<layer>`` for each layer, in order from input to output. A file
        that is damaged, too large or something else is left out, as far as it is, with a note; it
        never keeps the log from being read.
    """
    path = find_sibling(log, LAYERS)
    if run.unit is not StepUnit.STEP or not path.is_file():
        return run
    try:
        curves, lost = _parse(_load(path))
    except (OSError, ValueError) as error:
        reason = str(error) if type(error) is ValueError else type(error).__name__
        return _note(run, f"{path.name} beside the log was left out: {reason}.")
    fresh = {name: curve for name, curve in curves.items() if name not in run.curves}
    run = replace(run, curves={**run.curves, **fresh})
    if lost:
        lines = "1 line" if lost == 1 else f"{lost:,} lines"
        run = _note(run, f"Left out {lines} of {path.name} that are torn or out of order.")
    return run


def _load(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
    return data


def _note(run: Run, note: str) -> Run:
    return replace(run, source=replace(run.source, notes=(*run.source.notes, note)))


def _parse(data: bytes) -> tuple[dict[str, Curve], int]:
    """Return the curves by name, and how many lines are no good."""
    head, _, body = data.partition(b"\n")
    names = head.decode("utf-8", "replace").rstrip("\r").split(",")
    if names[0] != "step" or len(names) < 2:
        raise ValueError("it is not what fitdiag writes there")
    *lines, torn = body.split(b"\n")
    rows: list[list[float]] = []
    empty: list[tuple[int, int]] = []
    for line in lines[:MOST_ROWS]:
        row, blanks = _read_line(line, len(names))
        if row and np.isfinite(row[0]) and row[0] > (rows[-1][0] if rows else -np.inf):
            empty += [(len(rows), at) for at in blanks]
            rows.append(row)
    table = np.array(rows).reshape(len(rows), len(names))
    known = np.ones(table.shape, dtype=bool)
    if empty:
        known[tuple(np.transpose(empty))] = False
    return _make_curves(names, table, known), len(lines) - len(rows) + bool(torn)


def _read_line(line: bytes, width: int) -> tuple[list[float], list[int]]:
    """Return the numbers of a line and which cells are empty; nothing if it is torn."""
    cells = line.split(b",")
    if len(cells) != width:
        return [], []
    try:
        return [float(cell) for cell in cells], []
    except ValueError:
        blanks = [at for at, cell in enumerate(cells) if not cell.strip()]
    try:
        return [float(cell) if cell.strip() else np.nan for cell in cells], blanks
    except ValueError:
        return [], []


def _make_curves(
    names: list[str], table: NDArray[np.float64], known: NDArray[np.bool_]
) -> dict[str, Curve]:
    steps = table[:, 0].copy()
    steps.setflags(write=False)
    curves: dict[str, Curve] = {}
    for at, layer in enumerate(names[1 : MOST_LAYERS + 1], start=1):
        name = LAYER + layer.strip()[:MOST_CHARACTERS]
        here = known[:, at]
        if not here.any() or name in curves or name == LAYER:
            continue
        whole = bool(here.all())
        values = table[here, at]
        values.setflags(write=False)
        at_steps = steps if whole else steps[here]
        curves[name] = Curve(name=name, steps=at_steps, values=values, label=layer.strip())
    return curves
