"""From columns of numbers to a Run: rows without numbers, several runs in one file, the curves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.errors import ReadError
from fitdiag.readers.axis import choose_axis, find_starts
from fitdiag.readers.cells import KINDS, SPLIT_CODES, Cells
from fitdiag.run import Curve, Run, Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fitdiag.readers.axis import Axis
    from fitdiag.readers.roles import Pick, Plan

__all__ = ["Table", "build_run"]

#: a run in a file that holds several is used if it has at least as many rows as this
LEAST_ROWS = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """What was read from one file, before it is a run.

    Parameters
    ----------
    path : str
        As it was given.
    format : str
        Name of the reader.
    header : tuple of str
        The log's own column names.
    columns : dict of int to Cells
        The columns in the plan, each with as many cells as there are rows.
    native : bool
        Whether fitdiag wrote it: then NaN is always a measured value, and steps are the axis.
        Otherwise NaN means "not measured" in a column that is mostly NaN, has no empty cells and
        has finite values after one.
    """

    path: str
    format: str
    header: tuple[str, ...]
    columns: dict[int, Cells]
    native: bool = False

    def select(self, rows: slice | NDArray[np.bool_]) -> Table:
        """Return the table with some of its rows."""
        columns = {
            at: Cells(values=cells.values[rows], missing=cells.missing[rows])
            for at, cells in self.columns.items()
        }
        return replace(self, columns=columns)

    def find_measured(self, pick: Pick, plan: Plan) -> NDArray[np.bool_]:
        """Return in which rows a curve was measured."""
        measured = ~self.columns[pick.index].missing
        if pick.split and plan.split is not None:
            measured &= self.columns[plan.split].values == SPLIT_CODES[pick.split]
        return measured


def build_run(table: Table, plan: Plan) -> Run:
    """Make a run of a table.

    Parameters
    ----------
    table : Table
        Its columns.
    plan : Plan
        Which column is which curve. Its notes are the first notes of the run.

    Returns
    -------
    Run
        With one curve for every planned column that holds a value.

    Raises
    ------
    ReadError
        If the table has no row with a value.
    """
    notes = list(plan.notes)
    table = _drop_rows(table, plan, notes)
    step, epoch, index = (
        None if at is None else table.columns[at] for at in (plan.step, plan.epoch, plan.index)
    )
    train = plan.curves.get("train_loss") or plan.curves.get("batch_loss")
    measured = None if train is None else table.find_measured(train, plan)
    axis = choose_axis(step, epoch, index, measured, native=table.native)
    span = _choose_span(table, plan, axis, measured, notes)
    if span is not None:
        table = table.select(span)
        axis = axis.select(span)
    notes.extend(axis.notes)
    curves = _make_curves(table, plan, axis, notes)
    if not curves:
        raise ReadError(f"{table.path} holds no value in any of its curves.")
    return Run(
        curves=curves,
        unit=axis.unit,
        epochs=axis.make_epochs(),
        source=Source(
            path=table.path,
            format=table.format,
            columns={name: table.header[plan.curves[name].index] for name in curves},
            notes=tuple(notes),
        ),
    )


def _drop_rows(table: Table, plan: Plan, notes: list[str]) -> Table:
    """Drop rows without any number; note them, single bad cells and unusual spellings."""
    numbers = {at: cells for at, cells in table.columns.items() if at != plan.split}
    kinds = frozenset().union(*(cells.kinds for cells in numbers.values()))
    notes.extend(f"{sentence}." for kind, sentence in KINDS.items() if kind in kinds)
    empty = np.logical_and.reduce([cells.missing for cells in numbers.values()])
    spoiled = np.zeros(empty.size, dtype=bool)
    for cells in numbers.values():
        spoiled[cells.bad_rows] = True
    remarks = int((empty & spoiled).sum())
    if remarks:
        what = "1 line that holds" if remarks == 1 else f"{remarks} lines that hold"
        notes.append(f"Left out {what} no number (a repeated header or a remark).")
    for at, cells in numbers.items():
        count = int((~empty[cells.bad_rows]).sum())
        if count:
            first = next((f", {cell!r} in row {row + 1}" for row, cell in cells.bad.items()), "")
            what = "1 cell" if count == 1 else f"{count} cells"
            notes.append(f'Left out {what} of "{table.header[at]}" that hold no number{first}.')
    if empty.all():
        raise ReadError(f"{table.path} has column names but no row of numbers below them.")
    return table.select(~empty) if empty.any() else table


def _choose_span(
    table: Table, plan: Plan, axis: Axis, measured: NDArray[np.bool_] | None, notes: list[str]
) -> slice | None:
    """Cut at every return to the start; return the last run that can be used."""
    clock, what = axis.clock
    starts = find_starts(clock)
    ends = [*starts[1:], clock.size]
    if len(starts) < 2 or max(np.subtract(ends, starts)) < LEAST_ROWS:
        return None
    spans = [slice(start, end) for start, end in zip(starts, ends, strict=True)]
    full = spans
    if measured is not None:
        full = [span for span in spans if measured[span].sum() >= LEAST_ROWS] or spans
    if "val_loss" in plan.curves:
        has_val = table.find_measured(plan.curves["val_loss"], plan)
        full = [span for span in full if has_val[span].any()] or full
    chosen = full[-1]
    which = "last" if chosen == spans[-1] else "last complete one"
    notes.append(
        f"The {what}s start again, so the file holds {len(spans)} runs; the {which} was used "
        f"(rows {chosen.start + 1} to {chosen.stop})."
    )
    return chosen


def _make_curves(table: Table, plan: Plan, axis: Axis, notes: list[str]) -> dict[str, Curve]:
    known = np.isfinite(axis.steps)
    is_whole, is_sorted = bool(known.all()), axis.is_sorted
    if not is_whole:
        lost = int((~known).sum())
        rows = "1 row that has" if lost == 1 else f"{lost} rows that have"
        notes.append(f"Left out {rows} no {axis.unit}.")
    curves: dict[str, Curve] = {}
    repeats = 0
    for name, pick in plan.curves.items():
        measured = table.find_measured(pick, plan)
        values = table.columns[pick.index].values
        if not table.native:
            measured = _drop_placeholders(values, measured)
        if not is_whole:
            measured &= known
        whole = bool(measured.all())
        steps = axis.steps if whole else axis.steps[measured]
        values = values if whole else values[measured]
        if not (is_sorted or (np.diff(steps) > 0).all()):
            order = _keep_last(steps)
            repeats += steps.size - order.size
            steps, values = steps[order], values[order]
        if steps.size:
            steps.setflags(write=False)
            values.setflags(write=False)
            label = table.header[pick.index]
            curves[name] = Curve(name=name, steps=steps, values=values, label=label or name)
        elif not table.native:  # the recorder names columns before it knows what comes
            notes.append(f'Column "{table.header[pick.index]}" holds no value.')
    if repeats and not axis.turns:
        notes.append(f"Several rows share one {axis.unit}: the last value of a curve was used.")
    return curves


def _drop_placeholders(
    values: NDArray[np.float64], measured: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Take NaN as "not measured" in a column that has no other way of saying so.

    That is a column without empty cells that is at least half NaN and finite again after one; a
    run that turns to NaN and stays there has diverged, and its NaN are values.
    """
    nan = np.isnan(values)
    if not measured.all() or 2 * np.count_nonzero(nan) < nan.size:
        return measured
    after = nan.argmax()
    return ~nan if not nan[after:].all() else measured


def _keep_last(steps: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order that sorts the steps and keeps the last of those that are equal."""
    order = np.argsort(steps, kind="stable")
    ordered = steps[order]
    last = np.ones(steps.size, dtype=bool)
    last[:-1] = ordered[1:] != ordered[:-1]
    kept: NDArray[np.intp] = order[last]
    return kept
