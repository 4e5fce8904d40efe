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

__all__ = ["Table", "build_runs"]

#: steps that return to their start begin a new run if one of the runs has at least so many rows
LEAST_ROWS = 2

#: a table that seems to hold more runs than this has no column that counts steps
MOST_RUNS = 1000


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
        """Return in which rows a curve was measured, with all its parts."""
        measured = ~self.columns[pick.index].missing
        for part in pick.more:
            measured &= ~self.columns[part].missing
        if pick.split and plan.split is not None:
            measured &= self.columns[plan.split].values == SPLIT_CODES[pick.split]
        return measured

    def add_up(self, pick: Pick) -> NDArray[np.float64]:
        """Return the values of a curve: a column, or the sum of those that are its parts."""
        values = self.columns[pick.index].values
        for part in pick.more:
            values = values + self.columns[part].values
        return values

    def label(self, pick: Pick) -> str:
        """Return how the log calls a curve."""
        return " + ".join(self.header[at] for at in (pick.index, *pick.more))


def build_runs(table: Table, plan: Plan) -> list[Run]:
    """Make the runs of a table.

    Parameters
    ----------
    table : Table
        Its columns.
    plan : Plan
        Which column is which curve. Its notes are the first notes of each run.

    Returns
    -------
    list of Run
        In the order of the file, each with one curve for every planned column that holds a value
        in its rows. Runs that a column such as ``fold`` tells apart, or that begin where steps
        and epochs return to their start, are several; a resumed one is joined.

    Raises
    ------
    ReadError
        If the table has no row with a value.
    """
    notes = list(plan.notes)
    table = _drop_rows(table, plan, notes)
    runs = []
    for part, told in _cut_groups(table, plan):
        runs += _build_part(part, plan, [*notes, *told])
    if not runs:
        raise ReadError(f"{table.path} holds no value in any of its curves.")
    return runs


def _cut_groups(table: Table, plan: Plan) -> list[tuple[Table, list[str]]]:
    """Cut a table by the columns that name runs."""
    if not plan.groups:
        return [(table, [])]
    codes = np.stack([table.columns[at].values for at in plan.groups], axis=1)
    _, first, which = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    if first.size < 2 or LEAST_ROWS * first.size > codes.shape[0]:
        return [(table, [])]
    which = which.reshape(-1)
    names = " and ".join(f'"{table.header[at]}"' for at in plan.groups)
    return [
        (
            table.select(which == which[row]),
            [f"Column {names} tells {first.size} runs apart; this one begins in row {row + 1}."],
        )
        for row in np.sort(first)
    ]


def _build_part(table: Table, plan: Plan, notes: list[str]) -> list[Run]:
    step, epoch, index = (
        None if at is None else table.columns[at] for at in (plan.step, plan.epoch, plan.index)
    )
    train = plan.curves.get("train_loss") or plan.curves.get("batch_loss")
    measured = None if train is None else table.find_measured(train, plan)
    axis = choose_axis(step, epoch, index, measured, native=table.native)
    spans = _find_spans(table, plan, axis)
    what = axis.clock[1]
    if len(spans) > MOST_RUNS:
        notes = [*notes, f"Of {len(spans):,} runs only the last {MOST_RUNS:,} were read."]
        spans = spans[-MOST_RUNS:]
    runs = []
    for rows in spans:
        told = list(notes)
        if len(spans) > 1:
            told.append(
                f"The {what}s start again; this run is rows {rows.start + 1} to {rows.stop}."
            )
        whole = len(spans) == 1
        part, clock = (table, axis) if whole else (table.select(rows), axis.select(rows))
        runs.append(_build_one(part, plan, clock, told))
    return [run for run in runs if run.curves]


def _build_one(table: Table, plan: Plan, axis: Axis, notes: list[str]) -> Run:
    notes.extend(axis.notes)
    alive = axis.find_alive() if not _is_stacked(table, plan, axis) else None
    if alive is not None:
        table, axis = table.select(alive), axis.select(alive)
    curves = _make_curves(table, plan, axis, notes)
    return Run(
        curves=curves,
        unit=axis.unit,
        epochs=axis.make_epochs(),
        source=Source(
            path=table.path,
            format=table.format,
            columns={name: table.label(plan.curves[name]) for name in curves},
            notes=tuple(notes),
        ),
    )


def _find_spans(table: Table, plan: Plan, axis: Axis) -> list[slice]:
    """Cut at every return to the start, but not between the splits of one run."""
    clock, _ = axis.clock
    starts = find_starts(clock)
    ends = [*starts[1:], clock.size]
    whole = [slice(0, clock.size)]
    if len(starts) < 2 or max(np.subtract(ends, starts)) < LEAST_ROWS:
        return whole
    spans = [slice(start, end) for start, end in zip(starts, ends, strict=True)]
    sides = [table.find_measured(pick, plan) for pick in _find_sides(plan)]
    if len(sides) < 2 or len(spans) > MOST_RUNS:
        return spans
    joined = [spans[0]]
    for span in spans[1:]:
        before = joined[-1]
        pairs = [(bool(side[before].any()), bool(side[span].any())) for side in sides]
        if all(one != other for one, other in pairs):  # first the one split, then the other
            joined[-1] = slice(before.start, span.stop)
        else:
            joined.append(span)
    return joined


def _find_sides(plan: Plan) -> list[Pick]:
    train = plan.curves.get("train_loss") or plan.curves.get("batch_loss")
    return [pick for pick in (train, plan.curves.get("val_loss")) if pick is not None]


def _is_stacked(table: Table, plan: Plan, axis: Axis) -> bool:
    """Tell whether all rows of one split stand before all rows of the other."""
    if not axis.turns:
        return False
    sides = [np.flatnonzero(table.find_measured(pick, plan)) for pick in _find_sides(plan)]
    if len(sides) < 2 or not all(side.size for side in sides):
        return False
    first, second = sides
    return bool(first[-1] < second[0] or second[-1] < first[0])


def _drop_rows(table: Table, plan: Plan, notes: list[str]) -> Table:
    """Drop rows without any number; note them, single bad cells and unusual spellings."""
    words = {plan.split, *plan.groups}
    numbers = {at: cells for at, cells in table.columns.items() if at not in words}
    kinds = frozenset().union(*(cells.kinds for cells in numbers.values()))
    notes.extend(f"{sentence}." for kind, sentence in KINDS.items() if kind in kinds)
    empty = np.ones(next(iter(table.columns.values())).missing.size, dtype=bool)
    for cells in numbers.values():
        empty &= cells.missing
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
        values = table.add_up(pick)
        if not table.native:
            measured = _drop_placeholders(values, measured)
        if not is_whole:
            measured &= known
        whole = bool(measured.all())
        steps = axis.steps if whole else axis.steps[measured]
        values = values if whole else values[measured]
        if not (is_sorted or (steps[1:] > steps[:-1]).all()):
            order = _keep_last(steps)
            repeats += steps.size - order.size
            steps, values = steps[order], values[order]
        if steps.size:
            steps.setflags(write=False)
            values.setflags(write=False)
            label = table.label(pick) or name
            curves[name] = Curve(name=name, steps=steps, values=values, label=label)
        elif not table.native:  # the recorder names columns before it knows what comes
            notes.append(f'Column "{table.label(pick)}" holds no value.')
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
    if not measured.all():
        return measured
    nan = np.isnan(values)
    if 2 * np.count_nonzero(nan) < nan.size:
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
