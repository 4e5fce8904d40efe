"""JSON logs of every writer, read back: which numbers, at which steps, in which unit."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

import fitdiag
from fitdiag.errors import ColumnError, ReadError
from fitdiag.readers import sniff

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOSS = [3.0, 2.0, 1.5, 1.25]
VAL = [3.1, 2.2, 1.9, 1.8]


class Case(NamedTuple):
    """A log's text, and what must come out."""

    text: str
    format: str
    unit: str
    curves: dict[str, tuple[list[float], list[float]]]
    note: str = ""


def lines(*rows: object) -> str:
    """Write one JSON value a line."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def state(*rows: Mapping[str, object], **top: object) -> str:
    """Write a trainer's state."""
    history = {"best_metric": None, "epoch": 1.0, "global_step": 20, "log_history": list(rows)}
    return json.dumps({**history, **top}, indent=2)


EPOCHS = [1.0, 2.0, 3.0, 4.0]
TEN = [10.0, 20.0, 30.0, 40.0]

STATE = state(
    {"loss": 3.0, "learning_rate": 0.1, "grad_norm": 2.0, "epoch": 0.5, "step": 10},
    {"eval_loss": 3.1, "eval_wer": 50.0, "eval_runtime": 1.0, "epoch": 0.5, "step": 10},
    {"loss": "NaN", "learning_rate": 0.2, "grad_norm": float("nan"), "epoch": 1.0, "step": 20},
    {"eval_loss": 2.2, "eval_wer": 40.0, "eval_runtime": 1.0, "epoch": 1.0, "step": 20},
    {"train_loss": 9.9, "train_runtime": 5.0, "total_flos": 1e18, "epoch": 1.0, "step": 20},
)

CASES = {
    "trainer_state.json": Case(
        STATE,
        "trainer_state",
        "step",
        {
            "train_loss": ([10, 20], [3.0, math.nan]),
            "val_loss": ([10, 20], [3.1, 2.2]),
            "grad_norm": ([10, 20], [2.0, math.nan]),
            "lr": ([10, 20], [0.1, 0.2]),
            "val_wer": ([10, 20], [50.0, 40.0]),
        },
    ),
    "several evaluation sets": Case(
        state(
            {"eval_books_loss": 4.0, "eval_web_loss": 5.0, "step": 0, "epoch": 0},
            {"loss": 3.0, "step": 10, "epoch": 0.5},
            {"eval_books_loss": 3.0, "eval_web_loss": 4.0, "step": 10, "epoch": 0.5},
        ),
        "trainer_state",
        "step",
        {"train_loss": ([10], [3.0]), "val_loss": ([0, 10], [4.0, 3.0])},
        'the others are "eval_web_loss"',
    ),
    "mmengine": Case(
        lines(
            {"lr": 0.1, "data_time": 0.1, "loss": 3.0, "epoch": 1, "iter": 50, "step": 50},
            {"lr": 0.1, "data_time": 0.1, "loss": 2.0, "epoch": 1, "iter": 100, "step": 100},
            {"coco/bbox_mAP": 0.1, "coco/bbox_mAP_s": -1.0, "data_time": 0.1, "step": 1},
            {"lr": 0.1, "data_time": 0.1, "loss": 1.5, "epoch": 2, "iter": 200, "step": 200},
            {"coco/bbox_mAP": 0.2, "coco/bbox_mAP_s": -1.0, "data_time": 0.1, "step": 2},
        ),
        "jsonl",
        "step",
        {
            "train_loss": ([50, 100, 200], [3.0, 2.0, 1.5]),
            "val_coco_bbox_map": ([100, 200], [0.1, 0.2]),
        },
    ),
    "mmcv": Case(
        lines(
            {"env_info": "sys.platform: linux\n" * 900, "config": "model = dict()", "seed": 0},
            {"mode": "train", "epoch": 1, "iter": 50, "lr": 0.1, "loss": 3.0, "top1_acc": 0.1},
            {"mode": "train", "epoch": 1, "iter": 100, "lr": 0.1, "loss": 2.0, "top1_acc": 0.2},
            {"mode": "val", "epoch": 1, "iter": 7, "lr": 0.1, "top1_acc": 0.3, "loss": 4.0},
            {"mode": "train", "epoch": 2, "iter": 50, "lr": 0.1, "loss": 1.5, "top1_acc": 0.4},
            {"mode": "train", "epoch": 2, "iter": 100, "lr": 0.1, "loss": 1.2, "top1_acc": 0.5},
            {"mode": "val", "epoch": 2, "iter": 7, "lr": 0.1, "top1_acc": 0.6, "loss": 3.5},
        ),
        "jsonl",
        "step",
        {
            "train_loss": ([50, 100, 150, 200], [3.0, 2.0, 1.5, 1.2]),
            "val_loss": ([100, 200], [4.0, 3.5]),
            "train_top1_accuracy": ([50, 100, 150, 200], [0.1, 0.2, 0.4, 0.5]),
            "val_top1_accuracy": ([100, 200], [0.3, 0.6]),
        },
        "counted through, with 100",
    ),
    "mmcv by iterations": Case(
        lines(
            {"mode": "train", "epoch": 1, "iter": 50, "lr": 0.1, "decode.loss_ce": 2, "loss": 3.0},
            {"mode": "train", "epoch": 1, "iter": 100, "lr": 0.1, "decode.loss_ce": 2, "loss": 2.0},
            {"mode": "val", "epoch": 1, "iter": 25, "lr": 0.1, "mIoU": 0.3},
            {"mode": "train", "epoch": 2, "iter": 150, "lr": 0.1, "decode.loss_ce": 2, "loss": 1.5},
            {"mode": "val", "epoch": 2, "iter": 25, "lr": 0.1, "mIoU": 0.4},
        ),
        "jsonl",
        "step",
        {"train_loss": ([50, 100, 150], [3.0, 2.0, 1.5]), "val_miou": ([100, 150], [0.3, 0.4])},
    ),
    "detectron2": Case(
        lines(
            {"eta_seconds": 9, "iteration": 19, "total_loss": 3.0, "loss_cls": 2.0, "lr": 0.1},
            {"eta_seconds": 8, "iteration": 39, "total_loss": 2.0, "loss_cls": 1.0, "lr": 0.1},
            {"bbox/AP": float("nan"), "iteration": 39},
        ),
        "jsonl",
        "step",
        {"train_loss": ([19, 39], [3.0, 2.0]), "val_bbox_ap": ([39], [math.nan])},
    ),
    "DeiT log.txt": Case(
        lines(
            *(
                {
                    "train_lr": 0.1,
                    "train_loss": loss,
                    "test_loss": val,
                    "test_acc1": 50 + epoch,
                    "test_coco_eval_bbox": [0.1, 0.2, 0.3],
                    "epoch": epoch,
                    "n_parameters": 5,
                }
                for epoch, (loss, val) in enumerate(zip(LOSS, VAL, strict=True))
            )
        ),
        "jsonl",
        "epoch",
        {
            "train_loss": ([0, 1, 2, 3], LOSS),
            "val_loss": ([0, 1, 2, 3], VAL),
            "val_acc1": ([0, 1, 2, 3], [50, 51, 52, 53]),
        },
        '"test_loss" was read as the validation loss',
    ),
    "LLaMA-Factory": Case(
        lines(
            {"current_steps": 5, "total_steps": 20, "loss": 3.0, "accuracy": 0.5, "lr": 0.1},
            {"current_steps": 10, "total_steps": 20, "loss": 2.0, "accuracy": 0.7, "lr": 0.1},
            {"current_steps": 10, "total_steps": 20, "eval_loss": 2.5, "loss": None},
        ),
        "jsonl",
        "step",
        {
            "train_loss": ([5, 10], [3.0, 2.0]),
            "val_loss": ([10], [2.5]),
            "train_accuracy": ([5, 10], [0.5, 0.7]),
        },
    ),
    "nanoGPT lines": Case(
        lines(
            {"step": 1, "loss": 3.0, "gradient_norm": 5.0},
            {"step": 50, "loss": 2.0, "gradient_norm": 4.0, "best_val_loss": 1.0},
            {"step": 50, "val_loss": 2.5},
        ),
        "jsonl",
        "step",
        {
            "train_loss": ([1, 50], [3.0, 2.0]),
            "val_loss": ([50], [2.5]),
            "grad_norm": ([1, 50], [5, 4]),
        },
    ),
    "W&B history": Case(
        lines(
            {"_step": 0, "_runtime": 1, "train/loss": 3.0, "train/global_step": 10},
            {"_step": 1, "_runtime": 2, "eval/loss": 3.1, "train/global_step": 10},
            {"_step": 2, "_runtime": 3, "train/loss": 2.0, "train/global_step": 20},
        ),
        "jsonl",
        "step",
        {"train_loss": ([10, 20], [3.0, 2.0]), "val_loss": ([10], [3.1])},
    ),
    "W&B history without steps": Case(
        lines({"_step": 3, "loss": 3.0}, {"_step": 5, "loss": 2.0}),
        "jsonl",
        "row",
        {"train_loss": ([3, 5], [3.0, 2.0])},
    ),
    "nested rows": Case(
        lines(
            {"epoch": 1, "train": {"loss": 3.0}, "val": {"loss": 3.1, "acc": 0.1}},
            {"epoch": 2, "train": {"loss": 2.0}, "val": {"loss": 2.2, "acc": 0.2}},
        ),
        "jsonl",
        "epoch",
        {
            "train_loss": ([1, 2], [3.0, 2.0]),
            "val_loss": ([1, 2], [3.1, 2.2]),
            "val_accuracy": ([1, 2], [0.1, 0.2]),
        },
    ),
    "one name and value a row": Case(
        lines(
            *(
                {"key": key, "value": value, "step": step, "timestamp": 1.7e12}
                for step, loss, val in zip(TEN, LOSS, VAL, strict=True)
                for key, value in (("train/loss", loss), ("val/loss", val))
            )
        ),
        "jsonl",
        "step",
        {"train_loss": (TEN, LOSS), "val_loss": (TEN, VAL)},
    ),
    "validation rows without a step": Case(
        lines({"step": 10, "loss": 3.0}, {"val_loss": 3.1}, {"step": 20, "loss": 2.0}),
        "jsonl",
        "step",
        {"train_loss": ([10, 20], [3.0, 2.0]), "val_loss": ([10], [3.1])},
    ),
    "validation rows by epoch": Case(
        lines(
            {"step": 10, "epoch": 1, "loss": 3.0},
            {"step": 20, "epoch": 1, "loss": 2.0},
            {"step": 30, "epoch": 2, "loss": 1.5},
            {"epoch": 1, "val_loss": 3.1},
            {"epoch": 2, "val_loss": 2.2},
        ),
        "jsonl",
        "step",
        {"train_loss": ([10, 20, 30], [3.0, 2.0, 1.5]), "val_loss": ([20, 30], [3.1, 2.2])},
    ),
    "batches within epochs, no steps": Case(
        lines(*({"epoch": 1 + at // 3, "loss": 6.0 - at} for at in range(6))),
        "jsonl",
        "row",
        {"train_loss": ([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1])},
        "rows are counted",
    ),
    "resumed": Case(
        lines(*({"step": step, "loss": float(step)} for step in [10, 20, 30, 40, 50, 40, 50, 60])),
        "jsonl",
        "step",
        {"train_loss": ([10, 20, 30, 40, 50, 60], [10, 20, 30, 40, 50, 60])},
        "the later value",
    ),
    "torn rows": Case(
        '{"step": 1, "loss": 3.0}\n{"step": 2, "lo{"step": 3, "loss": 2.0}\n'
        '{"step": 4, "loss": 1.5}{"step": 5, "loss": 1.4}\n{"step": 6, "lo',
        "jsonl",
        "step",
        {"train_loss": ([1, 3, 4, 5], [3.0, 2.0, 1.5, 1.4])},
        "2 lines were no complete JSON and left out (line 2, 4)",
    ),
    "Keras history": Case(
        json.dumps({"loss": LOSS, "accuracy": LOSS, "val_loss": VAL, "val_accuracy": VAL}),
        "history",
        "epoch",
        {
            "train_loss": (EPOCHS, LOSS),
            "val_loss": (EPOCHS, VAL),
            "val_accuracy": (EPOCHS, VAL),
        },
    ),
    "PyTorch history": Case(
        json.dumps({"train_losses": LOSS, "val_losses": VAL, "best_val_loss": 1.8}, indent=4),
        "history",
        "row",
        {"train_loss": (EPOCHS, LOSS), "val_loss": (EPOCHS, VAL)},
    ),
    "epochs key": Case(
        json.dumps({"epochs": TEN, "loss": LOSS, "val_loss": VAL}),
        "history",
        "epoch",
        {"train_loss": (TEN, LOSS), "val_loss": (TEN, VAL)},
    ),
    "own steps of each split": Case(
        json.dumps(
            {"train_steps": TEN, "train_loss": LOSS, "val_steps": TEN[1::2], "val_loss": VAL[1::2]}
        ),
        "history",
        "step",
        {"train_loss": (TEN, LOSS), "val_loss": (TEN[1::2], VAL[1::2])},
    ),
    "pandas columns": Case(
        json.dumps(
            {
                "loss": {str(at): value for at, value in enumerate(LOSS)},
                "val_loss": {str(at): value for at, value in enumerate([3.1, None, None, 1.8])},
            }
        ),
        "history",
        "epoch",
        {"train_loss": ([0, 1, 2, 3], LOSS), "val_loss": ([0, 3], [3.1, 1.8])},
    ),
    "pandas split": Case(
        json.dumps(
            {
                "columns": ["epoch", "train_loss", "val_loss"],
                "index": [0, 1],
                "data": [[1, 3.0, 3.1], [2, 2.0, 2.2]],
            }
        ),
        "history",
        "epoch",
        {"train_loss": ([1, 2], [3.0, 2.0]), "val_loss": ([1, 2], [3.1, 2.2])},
    ),
    "nested by split": Case(
        json.dumps({"train": {"loss": LOSS, "acc": LOSS}, "val": {"loss": VAL}, "args": {"lr": 1}}),
        "history",
        "row",
        {
            "train_loss": (EPOCHS, LOSS),
            "val_loss": (EPOCHS, VAL),
            "train_accuracy": (EPOCHS, LOSS),
        },
    ),
    "nested by quantity": Case(
        json.dumps({"history": {"loss": {"train": LOSS, "val": VAL}}}),
        "history",
        "row",
        {"train_loss": (EPOCHS, LOSS), "val_loss": (EPOCHS, VAL)},
    ),
    "nested by epoch": Case(
        json.dumps(
            {
                "metrics": {
                    "train": {f"epoch_{at}": {"loss_epoch": LOSS[at - 60]} for at in (61, 60, 62)},
                    "val": {f"epoch_{at}": {"loss": VAL[at - 60]} for at in (60, 61, 62)},
                }
            }
        ),
        "history",
        "epoch",
        {"train_loss": ([60, 61, 62], LOSS[:3]), "val_loss": ([60, 61, 62], VAL[:3])},
    ),
    "list of epochs": Case(
        json.dumps(
            [
                {"epoch": epoch, "train_loss": loss, "val_loss": val}
                for epoch, loss, val in zip(EPOCHS, LOSS, VAL, strict=True)
            ],
            indent=1,
        ),
        "history",
        "epoch",
        {"train_loss": (EPOCHS, LOSS), "val_loss": (EPOCHS, VAL)},
    ),
    "lists of epochs by split": Case(
        json.dumps({"train": [{"loss": x} for x in LOSS], "valid": [{"loss": x} for x in VAL]}),
        "history",
        "row",
        {"train_loss": (EPOCHS, LOSS), "val_loss": (EPOCHS, VAL)},
    ),
    "lists of batch losses": Case(
        json.dumps({"train_loss": [[3.5, 2.5], [2.5, 1.5]], "val_loss": [3.1, 2.2]}),
        "history",
        "row",
        {"train_loss": ([1, 2], [3.0, 2.0]), "val_loss": ([1, 2], [3.1, 2.2])},
        "the mean of each was taken",
    ),
    "steps in pairs": Case(
        json.dumps({"train_loss": [[10, 3.0], [20, 2.0]], "val_loss": [[1.7e9, 20, 2.2]]}),
        "history",
        "step",
        {"train_loss": ([10, 20], [3.0, 2.0]), "val_loss": ([20], [2.2])},
    ),
    "batches counted from zero": Case(
        lines(
            *({"epoch": e, "batch": b, "loss": 3.0 - e - b / 4} for e in (0, 1) for b in (0, 1, 2)),
            {"epoch": 1, "val_loss": 2.5},
        ),
        "jsonl",
        "step",
        {"train_loss": (list(range(6)), [3, 2.75, 2.5, 2, 1.75, 1.5]), "val_loss": ([6], [2.5])},
        "with 3 in each",
    ),
    "validation less often": Case(
        json.dumps({"train_loss": LOSS * 3, "val_loss": VAL[:2]}),
        "history",
        "row",
        {"train_loss": (list(range(1, 13)), LOSS * 3), "val_loss": ([6, 12], VAL[:2])},
        "spread evenly",
    ),
    "validation before the training": Case(
        json.dumps({"train_loss": LOSS, "val_loss": [9.0, *VAL]}),
        "history",
        "row",
        {"train_loss": (EPOCHS, LOSS), "val_loss": ([0, *EPOCHS], [9.0, *VAL])},
        "its first was taken to precede",
    ),
    "steps and values": Case(
        json.dumps(
            {
                "training.loss": {"steps": TEN, "values": LOSS, "timestamps": ["2020"] * 4},
                "validLoss": {"steps": TEN[::2], "values": VAL[::2], "timestamps": ["2020"] * 2},
            }
        ),
        "sacred",
        "step",
        {"train_loss": (TEN, LOSS), "val_loss": (TEN[::2], VAL[::2])},
    ),
    "printed dictionary": Case(
        "{'loss': [3.0, nan, tensor(1.5, device='cuda:0'), np.float32(1.25)],\n"
        " 'val_loss': array([3.1, 2.2, inf, 1.8], dtype=float32), 'note': \"it's\", }",
        "history",
        "epoch",
        {
            "train_loss": (EPOCHS, [3.0, math.nan, 1.5, 1.25]),
            "val_loss": (EPOCHS, [3.1, 2.2, math.inf, 1.8]),
        },
    ),
    "printed defaultdict": Case(
        "defaultdict(<class 'list'>, {'train_loss': [3.0, 2.0], 'val_loss': (3.1, 2.2)})",
        "history",
        "row",
        {"train_loss": ([1, 2], [3.0, 2.0]), "val_loss": ([1, 2], [3.1, 2.2])},
    ),
    "loss.txt": Case(
        str(LOSS), "history", "row", {"train_loss": (EPOCHS, LOSS)}, "one list of numbers"
    ),
    "NaN where nothing was measured": Case(
        '[{"epoch": 1, "loss": 3, "val_loss": NaN}, {"epoch": 2, "loss": 2, "val_loss": NaN},'
        ' {"epoch": 3, "loss": 1, "val_loss": 4}, {"epoch": 4, "loss": 1, "val_loss": NaN},'
        ' {"epoch": 5, "loss": 1, "val_loss": NaN}, {"epoch": 6, "loss": NaN, "val_loss": 3}]',
        "history",
        "epoch",
        {
            "train_loss": ([1, 2, 3, 4, 5, 6], [3, 2, 1, 1, 1, math.nan]),
            "val_loss": ([3, 6], [4.0, 3.0]),
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_json_log_is_read_back(tmp_path: Path, name: str) -> None:
    """Format, unit, steps and values are those that were written; decoys are no curves."""
    case = CASES[name]
    path = tmp_path / (name if "." in name else "log.json")
    path.write_text(case.text, encoding="utf-8")
    run = fitdiag.read(path)
    assert run.source.format == case.format
    assert str(run.unit) == case.unit
    for curve, (steps, values) in case.curves.items():
        np.testing.assert_allclose(run.curves[curve].steps, steps, err_msg=curve)
        np.testing.assert_allclose(run.curves[curve].values, values, err_msg=curve)
    assert not {"val_runtime", "val_best_val_loss"} & set(run.curves)
    if "val_loss" not in case.curves:
        assert run.val_loss is None
    assert case.note in " ".join(run.source.notes)


REFUSALS = {
    "predict.jsonl": (
        lines(*({"current_steps": step, "total_steps": 9, "percentage": 1} for step in (1, 2))),
        "log of a prediction run",
    ),
    "all_results.json": ('{"epoch": 3.0, "train_loss": 1.2}', "final values only, no curve"),
    "config.json": ('{"hidden": 8, "name": "bert"}', "settings perhaps, but no training log"),
    "empty.json": ("{}", "is an empty JSON document"),
    "no_history.json": (state(), "has an empty log_history"),
    "only_eval.json": (
        state({"eval_loss": 1.0, "step": 1}),
        "holds evaluations but no training loss",
    ),
    "cut.json": ('{"loss', "stops in the middle"),
    "broken.json": ('{"loss": [1, 2}, "val_loss": [3, 4]}', "no complete JSON: Expecting"),
    "deep.json": ('{"loss":' + "[" * 100_000, "nested too deeply"),
    "deep.jsonl": ('{"loss":' + "[" * 100_000 + "}\n{}\n", "nested too deeply"),
    "python.txt": ("{'loss': " + "(" * 100_000, "no complete JSON"),
    "values.txt": ("[1.0, 2.0, 3.0]", 'they are "values": say which'),
    "no_loss.jsonl": (lines({"step": 1, "reward": 1}, {"step": 2, "reward": 2}), "none of its"),
    "values.json": ('{"a": [1, 2], "b": [2, 3]}', "none of its series says"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_json_without_a_curve_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    """The sentence names the file, and says what it is and what to do."""
    text, sentence = REFUSALS[name]
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReadError, match=sentence) as caught:
        fitdiag.read(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"loss": [3, 2, 1.5, 0.', [3, 2, 1.5]),
        ('{"loss": [3, 2], "val_loss": [4, 3], "note": "a, [{', [3, 2]),
        ('{"train": {"loss": [3, 2, 1]}, "val": {"loss": [4, 3.5, 3', [3, 2, 1]),
        (STATE[: STATE.index("eval_loss") + 12], [3]),
        (STATE[: STATE.index("total_flos")], [3, math.nan]),
        ('{"loss": [3, 2, 1', [3, 2]),
    ],
)
def test_a_document_that_stops_in_the_middle_is_read_up_to_there(
    tmp_path: Path, text: str, values: list[float]
) -> None:
    """What stands complete is read, no half number is, and the run says so."""
    path = tmp_path / "history.json"
    path.write_text(text, encoding="utf-8")
    run = fitdiag.read(path)
    np.testing.assert_array_equal(run.curves["train_loss"].values, values)
    assert any("stops in the middle" in note for note in run.source.notes)


def test_runs_appended_to_one_file_are_told_apart(tmp_path: Path) -> None:
    """A restart is a run of its own, a start with a single value is none."""
    rows = [{"iteration": step, "total_loss": 9.0 - run} for run in (1, 2, 3) for step in (19, 39)]
    path = tmp_path / "metrics.json"
    path.write_text(
        lines(*rows[:3], {"iteration": 15, "eta_seconds": 1.0}, *rows[4:]), encoding="utf-8"
    )
    assert fitdiag.read(path).curves["train_loss"].values.tolist() == [6.0, 6.0]
    assert fitdiag.read(path, run=1).curves["train_loss"].values.tolist() == [8.0, 8.0]


def test_two_processes_that_write_one_log_are_noticed(tmp_path: Path) -> None:
    """Steps that go back and forth all the time are one run, and said."""
    steps = [step for at in range(10, 400, 10) for step in (at, at + 10, at)]
    path = tmp_path / "trainer_log.jsonl"
    path.write_text(lines(*({"current_steps": at, "loss": 1 / at} for at in steps)), "utf-8")
    run = fitdiag.read(path)
    assert run.curves["train_loss"].steps.tolist() == list(range(10, 410, 10))
    assert "two processes write one log" in " ".join(run.source.notes)


def test_several_histories_in_one_document_are_several_runs(tmp_path: Path) -> None:
    """Folds and models are runs; what is nested but names a split or quantity is not."""
    path = tmp_path / "folds.json"
    folds = {f"fold_{at}": {"train_loss": [at + x for x in LOSS], "val_loss": VAL} for at in (1, 2)}
    path.write_text(json.dumps(folds), encoding="utf-8")
    assert fitdiag.read(path, run=1).curves["train_loss"].values[0] == 4.0
    run = fitdiag.read(path)
    assert run.curves["train_loss"].values[0] == 5.0
    assert "It stands under fold_2." in run.source.notes
    path.write_text(lines(*folds.values()), encoding="utf-8")
    assert fitdiag.read(path, run=1).curves["train_loss"].values[0] == 4.0
    path.write_text(json.dumps(list(folds.values())), encoding="utf-8")
    assert fitdiag.read(path, run=1).curves["train_loss"].values[0] == 4.0


def test_a_labelled_history_names_its_curves_itself(tmp_path: Path) -> None:
    """The keys train_metric and monitor_metric say which lists are meant."""
    path = tmp_path / "labelled.json"
    named = {"train_metric": "cost_a", "monitor_metric": "cost_b", "cost_a": LOSS, "cost_b": VAL}
    path.write_text(json.dumps(named), encoding="utf-8")
    run = fitdiag.read(path)
    assert run.curves["train_loss"].label == "cost_a"
    assert run.curves["val_loss"].label == "cost_b"


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        (json.dumps({"a": LOSS, "b": VAL, "c": TEN}), {"train_loss": "a", "step": "c"}),
        (lines(*({"a": x, "c": c} for x, c in zip(LOSS, TEN, strict=True))), {"train_loss": "a"}),
    ],
)
def test_a_series_is_chosen_by_name(tmp_path: Path, text: str, columns: dict[str, str]) -> None:
    """What the user says counts; a name that is not there is refused with those that are."""
    path = tmp_path / "log.json"
    path.write_text(text, encoding="utf-8")
    run = fitdiag.read(path, columns={**columns, "step": "c"})
    assert run.curves["train_loss"].values.tolist() == LOSS
    assert run.curves["train_loss"].steps.tolist() == TEN
    with pytest.raises(ColumnError, match=r'has no series .none.*"a"'):
        fitdiag.read(path, columns={"train_loss": "none"})


def test_the_state_of_the_last_checkpoint_is_read_from_a_run_folder(tmp_path: Path) -> None:
    """The longest history counts, in the folder itself or in a checkpoint."""
    for step in (9, 10, 100):
        place = tmp_path / f"checkpoint-{step}"
        place.mkdir()
        rows = [{"loss": 1.0, "step": at} for at in range(1, step + 1)]
        (place / "trainer_state.json").write_text(state(*rows), encoding="utf-8")
    run = fitdiag.read(tmp_path)
    assert len(run.curves["train_loss"]) == 100
    assert "checkpoint-100/trainer_state.json" in run.source.notes[0]
    assert len(fitdiag.read(tmp_path / "checkpoint-9").curves["train_loss"]) == 9
    (tmp_path / "trainer_state.json").write_text(
        state(*({"loss": 1.0, "step": at} for at in range(1, 121))), encoding="utf-8"
    )
    assert len(fitdiag.read(tmp_path).curves["train_loss"]) == 120


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("name", ["Keras history", "nanoGPT lines"])
def test_the_encoding_of_json_does_not_matter(tmp_path: Path, encoding: str, name: str) -> None:
    """PowerShell writes UTF-16, and some editors a byte-order mark."""
    path = tmp_path / "log.json"
    path.write_text(CASES[name].text, encoding=encoding)
    expected = CASES[name].curves["train_loss"][1]
    assert fitdiag.read(path).curves["train_loss"].values.tolist() == expected


def test_zeros_after_a_power_failure_are_passed_over(tmp_path: Path) -> None:
    """The rows before them are read."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(CASES["nanoGPT lines"].text.encode() + b"\0" * 300)
    assert fitdiag.read(path).curves["train_loss"].values.tolist() == [3.0, 2.0]


def test_hostile_lines_cost_little(tmp_path: Path) -> None:
    """Huge integers and lines of megabytes are bounded in time, and the rest is read."""
    path = tmp_path / "log.jsonl"
    start = '{"step": 1, "loss": 3.0}\n'
    many = '{"step": 2, "loss": 2.0, ' + ", ".join(f'"k{at}": 1' for at in range(200_000)) + "}\n"
    path.write_text(f'{start}{many}{{"step": 3, "x": {"9" * 1_000_000}, "loss": 1.5}}\n', "utf-8")
    before = time.perf_counter()
    run = fitdiag.read(path)
    assert time.perf_counter() - before < 5
    assert run.curves["train_loss"].values.tolist() == [3.0, 2.0, 1.5]


@pytest.mark.parametrize(
    "text",
    [
        "[2026-02-24 18:50:22] Epoch 1: train_loss=0.8, val_loss=0.9\n",
        "[epoch: 0] train_loss: 2.5 lr: 0.1\n",
        "[INFO] loss 1\n",
        "{'loss': 2.1, 'epoch': 0.1}\n{'loss': 2.0, 'epoch': 0.2}\n",
        "{'loss': 2.1, 'epoch': 0.1}\n  1%|  | 1/100\n",
        "epoch,loss\n1,2\n",
        "",
    ],
)
def test_printed_text_is_not_taken_for_json(tmp_path: Path, text: str) -> None:
    """A bracket at the start makes no JSON document."""
    reader = sniff(tmp_path / "log.json", text.encode())
    assert reader is None or reader.name not in {"jsonl", "history", "trainer_state", "sacred"}


def test_json_is_recognised_in_no_time(tmp_path: Path) -> None:
    """A megabyte of any shape costs under two milliseconds."""
    heads = [
        (CASES["nanoGPT lines"].text * 20_000).encode()[: 1 << 20],
        b'{"loss": [' + b"1.0, " * 200_000,
        b"{" * (1 << 20),
        b"[" * (1 << 20),
        b" " * (1 << 20),
        b'{"' + b"a" * (1 << 20),
        b"[" + b"1" * (1 << 20),
    ]
    from fitdiag.readers.jsons import JSON_READERS

    for head in heads:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            for reader in JSON_READERS:
                reader.matches(tmp_path / "log", head)
            times.append(time.perf_counter() - start)
        assert min(times) < 2e-3, head[:20]
