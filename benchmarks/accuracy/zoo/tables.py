"""Gather single runs into the tables of the zoo, and derive the truth of each."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.accuracy.zoo.definitions import (
    BANDS,
    Evidence,
    end_of,
    judge,
    turning_point,
)
from benchmarks.accuracy.zoo.gradients import GradientTruth, judge_gradients
from benchmarks.accuracy.zoo.problems import PROBLEMS
from benchmarks.accuracy.zoo.training import BLANK, SEEN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.accuracy.zoo.setups import Setup

    Floats = NDArray[np.float64]
    Arrays = dict[str, Floats]

__all__ = ["write_tables"]

HIDDEN = ("step", "epoch", "train_eval_loss", "test_loss", "grad_norm_first", "grad_norm_last")
ROWS = 500
"""rows kept of one log by steps, about"""
STILL = 1e-6
"""a learning rate below moves nothing"""


def _thin(seen: Floats) -> Floats:
    """Drop rows that hold only batch values until a log by steps is of a bearable length."""
    evaluated = seen[:, SEEN.index("val_loss")] != BLANK
    every = max(1, int(np.ceil(len(seen) / ROWS)))
    if every == 1 or (seen[:, SEEN.index("batch_loss")] == BLANK).all():
        return seen
    kept: Floats = seen[evaluated | (np.arange(len(seen)) % every == 0)]
    return kept


def _visible(arrays: Arrays) -> tuple[Floats, Floats]:
    """Give training and validation loss where validation was measured, as a user pairs them."""
    columns = {name: arrays["seen"][:, k] for k, name in enumerate(SEEN)}
    at = np.flatnonzero(columns["val_loss"] != BLANK)
    if at.size and (columns["train_loss"][at] != BLANK).all():
        return columns["train_loss"][at], columns["val_loss"][at]
    train, before = [], 0
    for row in at:
        batch = columns["batch_loss"][before : row + 1]
        known = batch[batch != BLANK]
        train.append(float(known.mean()) if known.size else np.nan)
        before = row + 1
    return np.array(train), columns["val_loss"][at]


def _evidence(arrays: Arrays, train: Floats, test: Floats, unseen: str) -> Evidence:
    start = float(arrays["hidden"][0, 2])
    return Evidence(
        train=train,
        test=test,
        start_train=start if unseen == "test" else float(np.fmax(start, train[0])),
        start_test=float(arrays["hidden"][0, 3] if unseen == "test" else arrays["start_val"]),
        constant_train=float(arrays["constant_train"]),
        constant_test=float(arrays[f"constant_{unseen}"]),
        attainable=float(arrays["attainable"]),
        perfect=float(arrays["perfect"]),
    )


def _like_learning(hidden: Evidence, seen: Evidence, arrays: Arrays) -> set[str]:
    """Give what else to accept of a run without gain, as its start or the constant is not seen."""
    first, end = float(seen.train[0]), end_of(seen.train)
    fall = (first - end) / seen.scale
    worst = max(hidden.constant_train, hidden.start_train)
    above = end - worst
    if above > BANDS.above[0] * hidden.span:
        return {"ideal", "inconclusive"} if first > end + above else set()
    classes = float(arrays["classes"])
    whole = classes > 1 and abs(hidden.constant_train / np.log(classes) - 1) < 0.02
    settled = end < hidden.constant_train + BANDS.learned[1] * seen.scale
    if fall < BANDS.fallen[0] or (whole and settled):
        return set()
    return {"inconclusive"} if fall < BANDS.fallen[1] else {"ideal", "inconclusive"}


def _verdicts(setup: Setup, arrays: Arrays) -> tuple[set[str], set[str], set[str], str]:
    """Give what the hidden curves say, how the visible ones look, what is accepted, the truth."""
    curves = arrays["hidden"]
    whole = _evidence(arrays, curves[1:, 2], curves[1:, 3], "test")
    hidden = judge(whole)
    train, val = _visible(arrays)
    broken = not np.isfinite(curves[-1, 2])
    if val.size < BANDS.too_few:
        alone = hidden & {"diverged", "no_learning"} if broken or setup.blind else set()
        truth = "diverged" if broken else "" if alone else "inconclusive"
        return hidden, set(), alone | {"inconclusive"}, truth
    seen = _evidence(arrays, train, val, "val")
    looks = judge(seen)
    accepted = set(hidden)
    if not hidden & looks or setup.val <= BANDS.modest_val:
        accepted |= looks
    truth = next(iter(accepted)) if len(accepted) == 1 else ""
    if not broken and whole.train_gain < BANDS.learned[1]:
        accepted |= _like_learning(whole, seen, arrays)
        truth = "" if accepted - {truth, "inconclusive"} else truth
    if not hidden & looks or setup.val <= BANDS.small_val or val.size < BANDS.few:
        accepted |= {"inconclusive"}
    return hidden, looks, accepted, truth


def _truth_row(setup: Setup, arrays: Arrays) -> dict[str, object]:
    problem = PROBLEMS[setup.problem]
    hidden, looks, accepted, truth = _verdicts(setup, arrays)
    curves = arrays["hidden"]
    whole = _evidence(arrays, curves[1:, 2], curves[1:, 3], "test")
    onset, rise, _ = turning_point(whole)
    points = int(_visible(arrays)[1].size)
    gradients = _gradients(setup, arrays, hidden)
    numbers = {
        "val_points": points,
        "test_size": int(arrays["test_size"]),
        "onset_epoch": curves[onset + 1, 1],
        "overfit_cost": rise if np.isfinite(rise) else np.nan,
        **{
            name: float(arrays[name])
            for name in ("constant_train", "constant_val", "constant_test", "attainable", "perfect")
        },
    }
    return {
        "run_id": setup.run_id,
        "family": problem.family,
        "split": problem.split,
        "truth": truth,
        "accepted": "|".join(sorted(accepted)),
        "hidden_says": "|".join(sorted(hidden)),
        "visible_says": "|".join(sorted(looks)),
        **{name: _short(value) for name, value in numbers.items()},
        "gradient_truth": gradients.truth,
        "gradient_accepted": gradients.accepted,
        "gradient_onset": gradients.onset,
        **{key: value for key, value in asdict(setup).items() if key != "run_id"},
    }


def _gradients(setup: Setup, arrays: Arrays, hidden: set[str]) -> GradientTruth:
    return judge_gradients(
        arrays["losses"],
        arrays["norms"],
        arrays["hidden"][:, 4],
        hidden,
        per_epoch=int(arrays["per_epoch"]),
        constant=float(arrays["constant_train"]),
        span=float(arrays["constant_train"] - arrays["perfect"]),
        moves=setup.lr > STILL,
    )


def _short(value: float) -> str:
    return "" if value == BLANK else f"{value:.5g}"


def _write(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a table, packed where its name ends in .gz; the same rows give the same bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data, 9, mtime=0) if path.suffix == ".gz" else data)
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


def _rows(run_id: str, table: Floats) -> list[list[str]]:
    return [[run_id, *(_short(value) for value in row)] for row in table]


def write_tables(made: list[tuple[Setup, Path]], folder: Path) -> None:
    """Write what users see, the hidden curves, and the truth.

    Parameters
    ----------
    made : list of (Setup, Path)
        The trained runs and their files.
    folder : Path
        Where ``zoo.csv.gz``, ``zoo_truth_curves.csv.gz`` and ``zoo_truth.csv`` go.
    """
    seen, curves, truths = [], [], []
    for setup, path in sorted(made, key=lambda pair: pair[0].run_id):
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files if name != "setup"}
        seen += _rows(setup.run_id, _thin(arrays["seen"]))
        curves += _rows(setup.run_id, arrays["hidden"])
        truths.append(_truth_row(setup, arrays))
    _write(folder / "zoo.csv.gz", ["run_id", *SEEN], seen)
    _write(folder / "zoo_truth_curves.csv.gz", ["run_id", *HIDDEN], curves)
    _write(folder / "zoo_truth.csv", truths[0], [row.values() for row in truths])
    counts: dict[str, dict[str, int]] = {"tune": {}, "test": {}}
    for row in truths:
        part = counts[str(row["split"])]
        part[str(row["truth"]) or "(band)"] = part.get(str(row["truth"]) or "(band)", 0) + 1
    print(json.dumps(counts, indent=1, sort_keys=True))
