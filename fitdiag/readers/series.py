"""Named scalar series, as trackers and JSON logs hold them, become a run.

A format that is no table parses its file into :class:`Series` and hands them to :func:`make_run`,
which decides by name which one is which curve, brings all to one axis, sums the parts of a loss
where there is no total, and notes what it decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.errors import ColumnError
from fitdiag.readers.names import Name, classify
from fitdiag.readers.sample import list_columns
from fitdiag.run import Curve, Run, Source, StepUnit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = ["Series", "make_run"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """One named quantity at its own steps, in the order of the file.

    Parameters
    ----------
    name : str
        As the log calls it, its split included: ``"train/loss"``, ``"eval_loss"``.
    steps, values : array_like of float, shape (n,)
        A step that comes again, or goes back, is settled by :func:`make_run`: the later value wins.
    unit : StepUnit
        What these steps count; series of one run may differ.
    """

    name: str
    steps: ArrayLike
    values: ArrayLike
    unit: StepUnit = StepUnit.STEP


def make_run(
    series: Iterable[Series],
    *,
    path: str,
    format: str,  # noqa: A002  # what the option is called everywhere
    columns: Mapping[str, str],
    epochs: Series | None = None,
    notes: Sequence[str] = (),
) -> Run:
    """Return a run of named series.

    Parameters
    ----------
    series : iterable of Series
        All that the log holds; what is no curve is left out, and noted.
    path, format : str
        For the source.
    columns : mapping of str to str
        What the user said: canonical curve name to the series' name.
    epochs : Series, optional
        The epoch at some of the steps; brings series by epoch and by step to one axis.
    notes : sequence of str, optional
        What the format's own reader had to decide.

    Returns
    -------
    Run

    Raises
    ------
    ColumnError
        If no training loss can be told, or ``columns`` names a series that is not there.
    """
    told = list(notes)
    cleaned = {item.name: _settled(item, told) for item in series}
    chosen = _choose(list(cleaned), columns, cleaned, path, told)
    clock = None if epochs is None else _settled(epochs, told)
    unit, axes = _one_axis({name: cleaned[key] for name, key in chosen.items()}, clock, told)
    curves = {
        name: Curve(name=name, steps=steps, values=values, label=chosen[name])
        for name, (steps, values) in axes.items()
    }
    return Run(
        curves=curves,
        unit=unit,
        epochs=None
        if clock is None or unit is not StepUnit.STEP
        else Curve(name="epoch", steps=clock[0], values=clock[1]),
        source=Source(path=path, format=format, columns=dict(chosen), notes=tuple(told)),
    )


Settled = tuple["Floats", "Floats", StepUnit]


def _settled(item: Series, notes: list[str]) -> Settled:
    """Return steps and values sorted, the later of two at one step, steps that are finite."""
    steps = np.asarray(item.steps, dtype=np.float64)
    values = np.asarray(item.values, dtype=np.float64)
    known = np.isfinite(steps)
    steps, values = steps[known], values[known]
    if steps.size and (np.diff(steps) <= 0).any():
        note = "Steps went back or came twice: the later value was taken."
        if note not in notes:
            notes.append(note)
        unique, last = np.unique(steps[::-1], return_index=True)
        steps, values = unique, values[::-1][last]
    return steps, values, item.unit


def _choose(
    names: list[str],
    columns: Mapping[str, str],
    cleaned: dict[str, Settled],
    path: str,
    notes: list[str],
) -> dict[str, str]:
    """Return canonical curve name to series name."""
    for target, name in columns.items():
        if name not in cleaned:
            raise ColumnError(
                f"{path} has no series {name!r} for {target}: it has {list_columns(names)}."
            )
    chosen = dict(columns)
    kinds = {name: classify(name) for name in names if cleaned[name][0].size}
    _choose_losses(kinds, chosen, cleaned, notes)
    for kind in ("lr", "grad_norm", "grad_norm_max"):
        best = _best(kinds, kind)
        if best is not None:
            chosen.setdefault(kind, best)
    _choose_metrics(kinds, chosen, cleaned)
    if not {"train_loss", "batch_loss"} & set(chosen):
        raise ColumnError(
            f"{path}: none of its series says that it is the training loss; they are "
            f'{list_columns(names)}: say which with --map train_loss="NAME".'
        )
    return chosen


#: kinds of names that are losses, whole or in parts
_LOSSES = frozenset({"loss", "part"})


def _choose_metrics(
    kinds: Mapping[str, Name], chosen: dict[str, str], cleaned: Mapping[str, Settled]
) -> None:
    """Choose the metrics; one without a split goes with the loss that it was measured beside."""
    found = {name: told for name, told in kinds.items() if told.kind == "metric"}
    measured = {(told.split, told.word) for told in found.values()}
    loss = chosen.get("train_loss", chosen.get("batch_loss", ""))
    is_named = any(told.split == "train" for told in kinds.values() if told.kind in _LOSSES)
    taken = set(chosen.values())
    for name, told in found.items():
        if name in taken:
            continue
        split = {"test": "val"}.get(told.split, told.split)
        if not split:
            beside = loss in cleaned and np.array_equal(cleaned[name][0], cleaned[loss][0])
            doubt = is_named or ("train", told.word) in measured
            is_val = not beside or ("val_loss" in chosen and doubt)
            of_both = {("val", told.word), ("test", told.word)} & measured
            split = "val" if is_val and not of_both else "train"
        chosen.setdefault(f"{split}_{told.word}", name)


def _best(kinds: Mapping[str, Name], kind: str, split: str | None = None) -> str | None:
    found = [
        name for name, told in kinds.items() if told.kind == kind and split in {None, told.split}
    ]
    return min(found, key=lambda name: kinds[name].rank) if found else None


def _choose_losses(
    kinds: Mapping[str, Name],
    chosen: dict[str, str],
    cleaned: dict[str, Settled],
    notes: list[str],
) -> None:
    bare, train = _best(kinds, "loss", ""), _best(kinds, "loss", "train")
    val = _best(kinds, "loss", "val")
    if val is None:
        val = _best(kinds, "loss", "test")
        if val is not None:
            notes.append(f'"{val}" was read as the validation loss.')
    batch = _best(kinds, "batch_loss")
    for target, name in (("train_loss", train or bare), ("val_loss", val), ("batch_loss", batch)):
        if name is not None:
            chosen.setdefault(target, name)
    if "train_loss" not in chosen and "batch_loss" not in chosen:
        _sum_parts(kinds, chosen, cleaned, notes)


def _sum_parts(
    kinds: Mapping[str, Name],
    chosen: dict[str, str],
    cleaned: dict[str, Settled],
    notes: list[str],
) -> None:
    """Sum the parts of a loss where there is no total, and both splits have the same parts."""
    parts = {
        split: {told.word: name for name, told in kinds.items() if _is_part(told, split)}
        for split in ("train", "val")
    }
    if not parts["train"] or (parts["val"] and parts["val"].keys() != parts["train"].keys()):
        return
    for split, words in parts.items():
        names = list(words.values())
        if names and all(np.array_equal(cleaned[name][0], cleaned[names[0]][0]) for name in names):
            label = " + ".join(names)
            steps, _, unit = cleaned[names[0]]
            total = np.sum([cleaned[name][1] for name in names], axis=0)
            cleaned[label] = (steps, total, unit)
            chosen[f"{split}_loss"] = label
            notes.append(f"The {split} loss is the sum of its parts: {list_columns(names)}.")


def _is_part(told: Name, split: str) -> bool:
    return told.kind == "part" and told.split == split


def _one_axis(
    picked: Mapping[str, Settled], clock: Settled | None, notes: list[str]
) -> tuple[StepUnit, dict[str, tuple[Floats, Floats]]]:
    """Bring all series to one unit: steps where the epochs are known, else as they are."""
    units = {unit for _, _, unit in picked.values()}
    if len(units) == 1:
        return units.pop(), {name: (steps, values) for name, (steps, values, _) in picked.items()}
    unit = StepUnit.STEP if StepUnit.STEP in units else StepUnit.EPOCH
    axes: dict[str, tuple[Floats, Floats]] = {}
    for name, (steps, values, own) in picked.items():
        if own is unit:
            axes[name] = (steps, values)
        elif clock is not None and unit is StepUnit.STEP and own is StepUnit.EPOCH:
            epochs, first = np.unique(clock[1][::-1], return_index=True)
            axes[name] = _increasing(np.interp(steps, epochs, clock[0][::-1][first]), values)
        else:
            notes.append(f"{name} counts in {own}s and was left out: the others count in {unit}s.")
    return unit, axes


def _increasing(steps: Floats, values: Floats) -> tuple[Floats, Floats]:
    unique, last = np.unique(steps[::-1], return_index=True)
    return unique, values[::-1][last]
