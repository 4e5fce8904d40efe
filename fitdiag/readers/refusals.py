"""Tables that hold no curve, or do not say which: how they are told, and what is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.errors import ColumnError, ReadError
from fitdiag.readers.cells import is_number
from fitdiag.readers.names import classify, normalise
from fitdiag.readers.sample import list_columns

if TYPE_CHECKING:
    from pathlib import Path

    from fitdiag.readers.roles import Plan
    from fitdiag.readers.sample import Sample

__all__ = [
    "GROUPS",
    "VALIDATION",
    "check_curves",
    "check_side",
    "explain_headless",
    "explain_missing",
]

#: columns that tell one run from another in a table that holds several
GROUPS = frozenset(
    {
        *("fold", "fold_id", "k_fold", "kfold", "cv_fold", "run", "run_id", "run_name", "trial"),
        *("trial_id", "experiment", "experiment_name", "exp", "exp_name", "model", "model_name"),
        *("seed", "repeat"),
    }
)

#: columns of settings, which differ between runs and not within one
SETTINGS = frozenset(
    {
        *("batch_size", "train_batch_size", "weight_decay", "dropout", "seed", "hidden_size"),
        *("hidden_dim", "num_train_epoch", "num_epoch", "max_epoch", "n_epoch", "optimizer"),
        *("max_seq_length", "depth", "heads", "dim", "patch", "mask_ratio", "num_layers", "wd"),
        *("patience", "warmup_steps", "momentum", "activation", "scheduler"),
    }
)

#: last words of a file's name that say what its losses were measured on
VALIDATION = frozenset({"val", "valid", "validation", "eval", "evaluation"})


def check_curves(sample: Sample, *, counted: bool) -> None:
    """Refuse a table with one row for each run.

    Parameters
    ----------
    sample : Sample
        Header and first rows.
    counted : bool
        Whether a column counts steps or epochs: then the rows are a curve.

    Raises
    ------
    ReadError
        If nothing counts, and the rows are told apart by names of runs or by their settings.
    """
    if counted or not sample.named or not sample.cells or len(sample.cells[0]) < 2:
        return
    names = [normalise(name) for name in sample.header]
    rows = len(sample.cells[0])
    varied = [at for at, cells in enumerate(sample.cells) if len(set(cells)) > 1]
    settings = [sample.header[at] for at in varied if names[at] in SETTINGS]
    named = [at for at in varied if names[at] in GROUPS]
    runs = [
        sample.header[at]
        for at in named
        if 2 * len(set(sample.cells[at])) > rows and not all(map(is_number, sample.cells[at]))
    ]
    if named and sum(name in SETTINGS for name in names) > 1:
        runs = [sample.header[at] for at in named]
    if runs or len(settings) > 1:
        raise ReadError(
            f"{sample.path} holds one row for each run ({list_columns([*runs, *settings][:4])} "
            "tell them apart): final values and no curve; give the log of a single run."
        )


def check_side(path: Path, sample: Sample, plan: Plan) -> None:
    """Refuse a file whose name says that it is the validation side of a run.

    Raises
    ------
    ColumnError
        If its only loss does not name its split, and the file or its folder is called after
        validation.
    """
    if "val_loss" in plan.curves or "train_loss" not in plan.curves:
        return
    label = sample.header[plan.curves["train_loss"].index]
    named = path.parent.name.lower() if path.stem.lower() == "loss" else ""
    word = normalise(path.stem).rpartition("_")[2]
    if classify(label).split or not {word, named} & VALIDATION:
        return
    raise ColumnError(
        f"{path} seems to hold the validation side of a run only: give it together with the "
        f'training side, or say --map train_loss="{label}" if it is that.'
    )


def explain_missing(sample: Sample) -> str:
    """Say that no column is the training loss, and which could be."""
    order = ("part", "other", "metric", "decoy")
    kinds = {
        name: classify(name).kind
        for at, name in enumerate(sample.header)
        if sample.numeric[at] and name
    }
    likely = sorted(
        (name for name, kind in kinds.items() if kind in order),
        key=lambda name: (
            "loss" not in normalise(name),
            "train" not in normalise(name),
            order.index(kinds[name]),
        ),
    )
    return (
        f"{sample.path}: none of its columns says that it is the training loss; they are "
        f"{list_columns(sample.header)}: say which it is with "
        f'--map train_loss="{likely[0] if likely else "my column"}".'
    )


def explain_headless(sample: Sample) -> str:
    """Say that columns without names have to be told by number."""
    count = len(sample.header)
    second = " --map val_loss=2" if count > 1 else ""
    columns = f"{count} columns" if count > 1 else "one column"
    stem = sample.path.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
    if count == 1 and VALIDATION & set(normalise(stem).split("_")):
        return (
            f"{sample.path} seems to hold the validation side of a run only: give it together "
            "with the training side, or say --map train_loss=1 if it is that."
        )
    return (
        f"{sample.path} has no header line, so nothing says what its {columns} of numbers mean; "
        f"say it by column number, for example --map train_loss=1{second}."
    )
