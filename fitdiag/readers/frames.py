"""Runs from what lies in memory: a data frame, a history, a list of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fitdiag.errors import ReadError, UsageError
from fitdiag.readers.assembly import Table, build_runs
from fitdiag.readers.cells import Cells, parse_cells, parse_splits, parse_words
from fitdiag.readers.roles import check_targets, plan_curves
from fitdiag.readers.sample import Sample
from fitdiag.readers.selection import select_run
from fitdiag.readers.table import SAMPLE_ROWS, list_wanted
from fitdiag.run import measured

if TYPE_CHECKING:
    from fitdiag.run import Run

__all__ = ["make_from_frame", "make_from_history"]

#: deeper nesting is no history
DEEPEST = 4


def make_from_frame(frame: Any, columns: Mapping[str, str] | None, run: int | None) -> Run:  # noqa: ANN401  # pandas is not imported for it
    """Make a run of a data frame, see :meth:`fitdiag.Run.from_frame`."""
    if not hasattr(frame, "iloc") or not hasattr(frame, "columns"):
        raise UsageError(f"a pandas DataFrame is needed, not {type(frame).__name__}.")
    named = [name for name in frame.index.names if name is not None]
    if named:
        frame = frame.reset_index()
    table: dict[str, Any] = {}
    for at, name in enumerate(frame.columns):
        label = "/".join(map(str, name)) if isinstance(name, tuple) else str(name)
        table[_make_unique(label, table)] = frame.iloc[:, at].to_numpy()
    return _make_run(table, columns, run, what="the data frame", format="frame")


def make_from_history(history: Any, columns: Mapping[str, str] | None, run: int | None) -> Run:  # noqa: ANN401  # whatever a trainer gives
    """Make a run of a history, see :meth:`fitdiag.Run.from_history`."""
    epochs = getattr(history, "epoch", None)
    inner = getattr(history, "history", history)
    notes: list[str] = []
    if isinstance(inner, Mapping):
        table = _even_out(_flatten(inner), notes)
        if epochs is not None and "epoch" not in table and len(epochs) == _count(table):
            table = {"epoch": np.asarray(epochs, dtype=float), **table}
    elif isinstance(inner, Sequence) and not isinstance(inner, str):
        table = _stack([_flatten_row(row) for row in inner])
    else:
        raise UsageError(
            "a Keras History, a dict of lists or a list of dicts is needed, "
            f"not {type(history).__name__}."
        )
    return _make_run(table, columns, run, what="the history", format="history", notes=notes)


def _make_run(
    table: Mapping[str, Any],
    columns: Mapping[str, str] | None,
    number: int | None,
    *,
    what: str,
    format: str,  # noqa: A002  # what the option is called everywhere
    notes: Sequence[str] = (),
) -> Run:
    columns = dict(columns or {})
    check_targets(columns)
    if not table or not _count(table):
        raise ReadError(f"{what} is empty: it holds no values.")
    header = tuple(table)
    cells = [_to_cells(values, absent=format == "frame") for values in table.values()]
    shown = [tuple(map(_show, values[:SAMPLE_ROWS])) for values in table.values()]
    sample = Sample(
        path=what,
        header=header,
        named=True,
        cells=shown,
        numeric=tuple(
            2 * one.bad_rows.size <= (~one.missing).sum() + one.bad_rows.size for one in cells
        ),
    )
    plan = plan_curves(sample, columns)
    plan.notes.extend(notes)
    wanted = {at: cells[at] for at in list_wanted(plan)}
    if plan.split is not None:
        wanted[plan.split] = parse_splits(list(table[header[plan.split]]))
    for at in plan.groups:
        wanted[at] = parse_words([_show(value) for value in table[header[at]]])
    whole = Table(path="", format=format, header=header, columns=wanted)
    return select_run(build_runs(whole, plan), number, what)


def _to_cells(values: Any, *, absent: bool) -> Cells:  # noqa: ANN401  # an array of any kind
    """Return the numbers of a column, in which NaN may stand for what is absent."""
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        numbers = array.astype(np.float64)
        missing = ~measured(numbers) if absent else np.zeros(numbers.size, dtype=bool)
        return Cells(values=numbers, missing=missing)
    return parse_cells([_show(value) for value in values])


def _show(value: object) -> str:
    """Return a value as a cell; what is no text and no number is not measured."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        number = float(value)  # type: ignore[arg-type]  # that is what is found out
    except (TypeError, ValueError, RuntimeError):
        return str(value)
    return repr(number)


def _flatten(inner: Mapping[Any, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Return nested dicts of lists as one, with a slash between the names."""
    flat: dict[str, Any] = {}
    for key, value in inner.items():
        label = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if depth < DEEPEST:
                flat.update(_flatten(value, f"{label}/", depth + 1))
        elif isinstance(value, str) or not hasattr(value, "__len__"):
            continue
        else:
            flat[label] = [_take_number(one) for one in value]
    return flat


def _flatten_row(row: object) -> dict[str, object]:
    if not isinstance(row, Mapping):
        raise UsageError(f"a list of dicts is needed, not a list with {type(row).__name__} in it.")
    flat: dict[str, object] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}/{name}": inner for name, inner in value.items()})
        else:
            flat[str(key)] = value
    return flat


def _take_number(value: object) -> object:
    if value is None or isinstance(value, str):
        return value
    try:
        return float(value)  # type: ignore[arg-type]  # tensors and numpy scalars have a float
    except (TypeError, ValueError, RuntimeError):
        return None


def _stack(rows: Sequence[Mapping[str, object]]) -> dict[str, list[object]]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}


def _even_out(table: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Put lists that are shorter by a whole factor at every so many epochs."""
    longest = _count(table)
    for name, values in table.items():
        size = len(values)
        every = longest // size if size else 0
        if size in {0, longest}:
            continue
        if longest // every != size:
            raise ReadError(
                f"the history has {longest} values in its longest list and {size} in {name!r}: "
                "give both their steps, for example with fitdiag.Curve."
            )
        spread: list[object] = [None] * longest
        spread[every - 1 :: every] = values[: len(spread[every - 1 :: every])]
        table[name] = spread
        notes.append(f'"{name}" was taken to be measured every {every} rows, as it is that short.')
    return {name: values for name, values in table.items() if len(values)}


def _count(table: Mapping[str, Any]) -> int:
    return max((len(values) for values in table.values()), default=0)


def _make_unique(label: str, table: Mapping[str, Any]) -> str:
    return label if label not in table else f"{label}.{len(table)}"
