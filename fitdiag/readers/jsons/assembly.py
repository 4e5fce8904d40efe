"""Records become runs: the axis, the runs one after the other, and their series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fitdiag.errors import ColumnError
from fitdiag.readers.jsons.axes import Rows, cut, lay_out
from fitdiag.readers.series import Series, make_run
from fitdiag.run import StepUnit, measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from fitdiag.readers.jsons.records import Records
    from fitdiag.readers.names import Name
    from fitdiag.run import Run

    Floats = NDArray[np.float64]

__all__ = ["build_runs", "find_main", "find_measured"]

_AXES = frozenset({"step", "epoch", "index", "split"})

#: steps that count calls of the logger, and are taken only where there are no others
COUNTERS = ("_step",)

#: kinds of columns that can be the training loss, best first
MAIN = ("loss", "batch_loss", "part")


def build_runs(
    records: Records,
    *,
    path: str,
    format: str,  # noqa: A002  # what the option is called everywhere
    columns: Mapping[str, str],
    notes: Sequence[str] = (),
) -> list[Run]:
    """Return the runs that rows hold, in their order.

    Raises
    ------
    ColumnError
        If the training loss cannot be told in any of them.
    """
    told = list(notes)
    kinds = records.kinds()
    rows, axes = _find_rows(records, kinds, columns, path)
    if not rows.main.any():
        rows.main = np.ones(records.count, dtype=bool)
    parts = cut(rows, told)
    runs, failure = [], None
    for part in parts:
        inner = list(told)
        series, clock = _make_series(records, rows, part, inner, axes)
        here = {key: name for key, name in columns.items() if key not in {"step", "epoch"}}
        try:
            run = make_run(
                series, path=path, format=format, columns=here, epochs=clock, notes=inner
            )
        except ColumnError as error:
            failure = error
        else:
            runs.append(run)
    if failure is not None and not runs:
        raise failure
    return _drop_stubs(runs)


def find_main(kinds: Mapping[str, Name]) -> str | None:
    """Return the column that is most clearly the training loss, or None."""
    for kind in MAIN:
        for splits in (("train",), ("",)):
            found = [name for name, told in kinds.items() if _fits(told, kind, splits)]
            if found:
                return min(found, key=lambda name: kinds[name].rank)
    return None


def _fits(told: Name, kind: str, splits: tuple[str, ...]) -> bool:
    return told.kind == kind and told.split in splits


def _find_rows(
    records: Records, kinds: Mapping[str, Name], columns: Mapping[str, str], path: str
) -> tuple[Rows, set[str]]:
    for name in columns.values():
        if name not in kinds:
            names = ", ".join(f'"{each}"' for each in list(kinds)[:20])
            raise ColumnError(f"{path} has no series {name!r}: it has {names}.")
    main = columns.get("train_loss") or find_main(kinds)
    flags = np.zeros(records.count, dtype=bool)
    if main is not None:
        flags[records.get(main)[0]] = True
    wanted = flags if flags.any() else np.ones(records.count, dtype=bool)
    step = columns.get("step") or _best_axis(records, kinds, "step", wanted)
    epoch = columns.get("epoch") or _best_axis(records, kinds, "epoch", wanted)
    nothing = np.full(records.count, np.nan)
    rows = Rows(
        main=flags,
        steps=nothing if step is None else records.spread(step),
        epochs=nothing if epoch is None else records.spread(epoch),
        counted=step in COUNTERS,
    )
    if rows.counted and np.isfinite(rows.epochs[wanted]).all():
        epochs = rows.epochs[wanted]
        if epochs.size and np.unique(epochs).size == epochs.size:
            rows.steps, rows.counted = nothing, False
    return rows, {name for name in (step, epoch) if name is not None}


def _best_axis(
    records: Records, kinds: Mapping[str, Name], kind: str, wanted: NDArray[np.bool_]
) -> str | None:
    """Return the clearest step or epoch column that most of the training rows have."""
    found = [name for name, told in kinds.items() if told.kind == kind]
    found.sort(key=lambda name: (name in COUNTERS, kinds[name].rank))
    for name in found:
        here = np.isfinite(records.spread(name)[wanted])
        if 2 * np.count_nonzero(here) >= here.size:
            return name
    return found[0] if found else None


def _make_series(
    records: Records, rows: Rows, part: slice, notes: list[str], axes: set[str]
) -> tuple[list[Series], Series | None]:
    steps, unit, epochs = lay_out(rows.select(part), notes)
    series = []
    for name, told in records.kinds().items():
        if told.kind in _AXES or name in axes:
            continue
        at, values = records.get(name)
        here = slice(*np.searchsorted(at, [part.start, part.stop]))
        at, values = at[here] - part.start, values[here]
        if _means_absent(told, values):
            continue
        keep = find_measured(values)
        made = _place(name, (at[keep], values[keep]), (steps, unit, epochs))
        series.append(made)
    clock = None
    if epochs is not None and unit is StepUnit.STEP:
        known = np.isfinite(steps) & np.isfinite(epochs)
        if known.any():
            at, last = np.unique(steps[known][::-1], return_index=True)
            clock = Series(name="epoch", steps=at, values=epochs[known][::-1][last])
    return series, clock


def _place(
    name: str,
    points: tuple[NDArray[np.int64], Floats],
    axis: tuple[Floats, StepUnit, Floats | None],
) -> Series:
    """Put a column on the axis that most of its rows know."""
    (at, values), (steps, unit, epochs) = points, axis
    here = steps[at]
    if epochs is not None and at.size and 2 * np.count_nonzero(np.isfinite(here)) < at.size:
        return Series(name=name, steps=epochs[at], values=values, unit=StepUnit.EPOCH)
    return Series(name=name, steps=here, values=values, unit=unit)


def _means_absent(told: Name, values: Floats) -> bool:
    """Tell whether a metric is -1 throughout, which stands for "does not apply"."""
    return told.kind == "metric" and bool(values.size) and bool((values == -1).all())


def find_measured(values: Floats) -> NDArray[np.bool_]:
    """Tell measured values from NaN that only says that nothing was measured in a row."""
    gaps = int(np.count_nonzero(np.isnan(values)))
    if 2 * gaps > values.size > gaps and gaps:
        return measured(values)
    return np.ones(values.size, dtype=bool)


def _drop_stubs(runs: list[Run]) -> list[Run]:
    """Leave out runs of a single training value, as a start that failed writes them."""
    whole = [run for run in runs if run.train_loss is not None and len(run.train_loss) > 1]
    return whole or runs
