"""Which column of a table is which curve: decided from the names, told in notes."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fitdiag.errors import ColumnError, UsageError
from fitdiag.readers.names import Name, classify, find_split, normalise
from fitdiag.readers.refusals import GROUPS, check_curves, explain_headless, explain_missing
from fitdiag.readers.sample import Sample, list_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Pick", "Plan", "check_targets", "find_column", "list_columns", "plan_curves"]

#: the names that --map takes besides train_<metric> and val_<metric>
TARGETS = (
    *("train_loss", "val_loss", "batch_loss", "grad_norm", "grad_norm_max", "lr", "step", "epoch"),
)


@dataclass(frozen=True, kw_only=True)
class Pick:
    """A column, or the rows of a column that belong to one split; with columns to add to it."""

    index: int
    split: str = ""
    more: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to read: canonical curve name to column, and the axes.

    Parameters
    ----------
    curves : dict of str to Pick
        By canonical name.
    step, epoch, index, split : int or None
        Columns that hold the optimizer step, the epoch, a row index, and the name of a split.
    groups : tuple of int
        Columns that name runs.
    notes : list of str
        What was decided.
    """

    curves: dict[str, Pick] = field(default_factory=dict)
    step: int | None = None
    epoch: int | None = None
    index: int | None = None
    split: int | None = None
    groups: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list)


def check_targets(columns: Mapping[str, str]) -> None:
    """Refuse names on the left of ``--map`` that are no curves.

    Raises
    ------
    UsageError
        Listing the choices.
    """
    for name in columns:
        prefix, _, word = name.partition("_")
        is_metric = prefix in {"train", "val"} and word != "" and name.isidentifier()
        is_slip = bool(difflib.get_close_matches(name, TARGETS, n=1, cutoff=0.85))
        if name not in TARGETS and (is_slip or not is_metric):
            choices = ", ".join(TARGETS)
            raise UsageError(
                f"cannot map {name!r}: choose one of {choices}, train_<metric>, val_<metric>."
            )


def plan_curves(sample: Sample, columns: Mapping[str, str]) -> Plan:
    """Decide which column is which curve.

    Parameters
    ----------
    sample : Sample
        Header and first rows.
    columns : mapping of str to str
        What the user said: canonical name to column name (or number, without a header).

    Returns
    -------
    Plan
        With a training loss.

    Raises
    ------
    ColumnError
        If the training loss cannot be told, or two columns claim one curve with other values.
    ReadError
        If the table holds one row for each run, which is no curve.
    """
    mapped = {target: find_column(sample, name) for target, name in columns.items()}
    if not sample.named and "train_loss" not in mapped and "batch_loss" not in mapped:
        raise ColumnError(explain_headless(sample))
    names = [classify(name) if sample.named else Name(kind="other") for name in sample.header]
    taken = set(mapped.values())
    free = [at for at in range(len(names)) if at not in taken]
    usable = [at for at in free if sample.numeric[at]]
    plan = _Planner(sample, names, usable).run(free, mapped)
    if not mapped:
        check_curves(sample, counted=plan.step is not None or plan.epoch is not None)
    if not {"train_loss", "batch_loss"} & set(plan.curves):
        raise ColumnError(explain_missing(sample))
    return plan


def find_column(sample: Sample, wanted: str) -> int:
    """Return the index of the column that the user named.

    Raises
    ------
    ColumnError
        With the closest names, if there is no such column.
    """
    wanted = str(wanted).strip()
    exact = [at for at, name in enumerate(sample.header) if name == wanted]
    if exact:
        return exact[-1]
    alike = [at for at, name in enumerate(sample.header) if normalise(name) == normalise(wanted)]
    if len(alike) == 1 and wanted:
        return alike[0]
    if not sample.named:
        count = len(sample.header)
        raise ColumnError(
            f"{sample.path} has no header, so columns go by number, 1 to {count}: "
            f"there is no column {wanted!r}."
        )
    close = difflib.get_close_matches(wanted, sample.header, n=3, cutoff=0.5)
    hint = "; did you mean " + " or ".join(f'"{name}"' for name in close) + "?" if close else "."
    raise ColumnError(
        f"{sample.path} has no column {wanted!r}: its columns are "
        f"{list_columns(sample.header)}{hint}"
    )


class _Planner:
    """Collects candidates for each curve; one instance a table."""

    def __init__(self, sample: Sample, names: list[Name], usable: list[int]) -> None:
        self.sample = sample
        self.names = names
        self.usable = usable
        self.notes: list[str] = []

    def run(self, free: list[int], mapped: Mapping[str, int]) -> Plan:
        split = self._find_split_column(free)
        curves: dict[str, Pick] = {}
        if self.sample.named:
            self._pick_losses(curves, mapped, split)
            self._sum_parts(curves, mapped)
            self._pick_metrics(curves, mapped, split)
            self._pick_simple(curves)
        curves.update({name: Pick(index=at) for name, at in mapped.items()})
        curves.pop("step", None)
        curves.pop("epoch", None)
        plan = Plan(
            curves=curves,
            step=mapped.get("step", self._best("step")),
            epoch=mapped.get("epoch", self._best("epoch")),
            index=self._best("index"),
            split=split if any(pick.split for pick in curves.values()) else None,
            groups=tuple(at for at in free if self._names_runs(at)),
            notes=self.notes,
        )
        self._note_unused(plan)
        return plan

    def _of(self, kind: str, split: str | None = None) -> list[int]:
        """Return the usable columns of a kind, clearest name first."""
        found = [
            at
            for at in self.usable
            if self.names[at].kind == kind and split in {None, self.names[at].split}
        ]
        return sorted(found, key=lambda at: self.names[at].rank)

    def _best(self, kind: str, split: str | None = None) -> int | None:
        found = self._of(kind, split)
        if not found:
            return None
        self._settle_equals(found)
        return found[-1] if self._same_name(found) else found[0]

    def _same_name(self, found: list[int]) -> bool:
        return len({self.sample.header[at] for at in found}) == 1

    def _settle_equals(self, found: list[int]) -> None:
        first = self.names[found[0]]
        if first.kind not in {"loss", "step", "epoch"}:
            return
        header, cells = self.sample.header, self.sample.cells
        for other in found[1:]:
            if self.names[other].rank != first.rank:
                continue
            pair = " and ".join(f'"{header[at]}" (column {at + 1})' for at in (found[0], other))
            if cells[other] != cells[found[0]]:
                target = "train_loss" if first.split != "val" else "val_loss"
                target = first.kind if first.kind != "loss" else target
                raise ColumnError(
                    f"{self.sample.path}: columns {pair} both could be the {target} and differ; "
                    + self._tell_apart(target, found[0], other)
                )
            self._note(f"Columns {pair} are the same; one of them was used.")

    def _tell_apart(self, target: str, first: int, other: int) -> str:
        header = self.sample.header
        if header[first] == header[other]:
            return "rename one of them in the file."
        return f'say which with --map {target}="{header[first]}".'

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _find_split_column(self, free: list[int]) -> int | None:
        for at in free:
            if self.names[at].kind != "split" or self.sample.numeric[at]:
                continue
            splits = [find_split(cell) for cell in self.sample.cells[at] if cell.strip()]
            if "train" in splits and ({"val", "test"} & set(splits) or all(splits)):
                return at
        return None

    def _names_runs(self, at: int) -> bool:
        plain = normalise(self.sample.header[at])
        return self.sample.named and plain in GROUPS

    def _sum_parts(self, curves: dict[str, Pick], mapped: Mapping[str, int]) -> None:
        """Sum the parts of the loss where there is no total and the splits have the same parts."""
        if {"train_loss", "batch_loss"} & ({*curves} | {*mapped}):
            return
        parts = {
            split: {self.names[at].word: at for at in sorted(self._of("part", split))}
            for split in ("train", "val")
        }
        if not parts["train"] or parts["val"].keys() not in (set(), parts["train"].keys()):
            parts = {"train": self._find_only_loss()}
        for split, words in parts.items():
            if not words or f"{split}_loss" in curves or f"{split}_loss" in mapped:
                continue
            first, *more = words.values()
            curves[f"{split}_loss"] = Pick(index=first, more=tuple(more))
            names = list_columns([self.sample.header[at] for at in words.values()])
            what = f"the sum of its parts: {names}" if more else f"{names}, the only one"
            self._note(f"There is no total loss: the {split} loss is {what}.")

    def _find_only_loss(self) -> dict[str, int]:
        """Return the one column that is called after some loss, where there is only one."""
        parts = self._of("part")
        is_only = len(parts) == 1 and self.names[parts[0]].split == ""
        return {self.names[parts[0]].word: parts[0]} if is_only else {}

    def _pick_losses(
        self, curves: dict[str, Pick], mapped: Mapping[str, int], split: int | None
    ) -> None:
        bare, train = self._best("loss", ""), self._best("loss", "train")
        if split is not None and bare is not None and train is None:
            self._pick_long(curves, "loss", bare, split)
            return
        val, test = self._best("loss", "val"), self._best("loss", "test")
        if train is not None:
            curves["train_loss"] = Pick(index=train)
        elif bare is not None and "train_loss" not in mapped:
            curves["train_loss"] = Pick(index=bare)
        batch = self._best("batch_loss")
        says_loss = bare is not None and "cost" not in self.sample.header[bare].lower()
        if batch is None and train is not None and bare is not None and says_loss:
            batch = bare
            self._note(f'"{self.sample.header[bare]}" was read as the loss of single batches.')
        if batch is not None:
            curves["batch_loss"] = Pick(index=batch)
        if val is None and test is not None and "val_loss" not in mapped:
            val = test
            self._note(f'"{self.sample.header[test]}" was read as the validation loss.')
        if val is not None:
            curves["val_loss"] = Pick(index=val)

    def _pick_long(self, curves: dict[str, Pick], word: str, index: int, split: int) -> None:
        found = {find_split(cell) for cell in self.sample.cells[split]}
        curves[f"train_{word}"] = Pick(index=index, split="train")
        other = "val" if "val" in found or "test" not in found else "test"
        curves[f"val_{word}"] = Pick(index=index, split=other)
        self._note(
            f'Column "{self.sample.header[split]}" tells training from '
            f"{'test' if other == 'test' else 'validation'} rows."
        )

    def _pick_metrics(
        self, curves: dict[str, Pick], mapped: Mapping[str, int], split: int | None
    ) -> None:
        header = self.sample.header
        is_named = any(
            name.kind in {"loss", "part"} and name.split == "train" for name in self.names
        )
        has_val = "val_loss" in curves or "val_loss" in mapped
        measured: dict[tuple[str, str], int] = {}
        unsaid: dict[str, list[str]] = {}
        for at in reversed([*self._of("metric"), *self._of("part")]):
            measured[self.names[at].split, self.names[at].word] = at
        for (where, word), at in sorted(measured.items(), key=lambda item: item[1]):
            if where in {"train", "val"}:
                curves.setdefault(f"{where}_{word}", Pick(index=at))
            elif where == "test" and ("val", word) not in measured and not self._of("loss", "val"):
                curves.setdefault(f"val_{word}", Pick(index=at))
            elif where == "" and split is not None:
                self._pick_long(curves, word, at, split)
            elif where == "" and ("val", word) in measured:
                curves.setdefault(f"train_{word}", Pick(index=at))
            elif where == "":
                side = "val" if has_val and (is_named or ("train", word) in measured) else "train"
                curves.setdefault(f"{side}_{word}", Pick(index=at))
                unsaid.setdefault(side, []).append(header[at])
        for side, found in unsaid.items():
            split_name = "training" if side == "train" else "validation"
            self._note(
                f"Read as {split_name} metrics, since they do not say: {list_columns(found)}."
            )

    def _pick_simple(self, curves: dict[str, Pick]) -> None:
        for kind in ("lr", "grad_norm", "grad_norm_max"):
            best = self._best(kind)
            if best is not None:
                curves[kind] = Pick(index=best)

    def _note_unused(self, plan: Plan) -> None:
        used = {at for pick in plan.curves.values() for at in (pick.index, *pick.more)}
        used |= set(plan.groups)
        used |= {at for at in (plan.step, plan.epoch, plan.index, plan.split) if at is not None}
        rest = [name or "(unnamed)" for at, name in enumerate(self.sample.header) if at not in used]
        if rest and self.sample.named:
            self._note(f"Columns that were not used: {list_columns(rest)}.")
