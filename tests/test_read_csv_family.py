"""Tables as trackers and frameworks write them: what is cut, joined, summed, refused."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fitdiag
from fitdiag.errors import ColumnError, ReadError, UsageError
from fitdiag.readers import READERS, files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.conftest import Outcome

    Floats = NDArray[np.float64]

Curves = dict[str, list[float]]


class Case(NamedTuple):
    """A file's name and text, and the runs that must be read from it."""

    name: str
    text: str
    runs: list[Curves]
    format: str = "csv"
    note: str = ""


def pad(cells: str, width: int = 23) -> str:
    """Pad cells as Ultralytics did before 2024."""
    return "\n".join(
        ",".join(cell.rjust(width) for cell in line.split(",")) for line in cells.split("\n")
    )


V8 = (
    "epoch,train/box_loss,train/cls_loss,train/dfl_loss,metrics/precision(B),metrics/recall(B),"
    "metrics/mAP50(B),metrics/mAP50-95(B),val/box_loss,val/cls_loss,val/dfl_loss,lr/pg0,lr/pg1\n"
    "1,1,2,3,.1,.2,.3,.4,2,3,4,.01,.02\n2,.5,1,2,.2,.3,.4,.5,1,2,inf,.001,.002\n"
)
YOLO = (
    "      0/99     4.54G    0.1    0.2   0.3    0.6    78    640   .1  .2  .3  .4  .2  .3  .4\n"
    "      1/99     4.57G    0.05   0.1   0.2    0.35   88    640   .2  .3  .4  .5  .1  .2  .3\n"
)
LIGHTNING = (
    "epoch,lr-Adam,step,train_loss_epoch,train_loss_step,val_loss\r\n,0.1,0,,,\r\n"
    "0,,49,,2.25,\r\n0,,99,,,2.5\r\n0,,99,2,,\r\n,0.01,100,,,\r\n1,,149,,1.25,\r\n"
    "1,,199,,,1.5\r\n1,,199,1,,\r\n"
)
FASTAI = (
    "epoch,train_loss,valid_loss,accuracy,time\n0,9.5758,00:13\n"
    "epoch,train_loss,valid_loss,accuracy,time\n0,3,3.5,.1,00:10\n1,2,2.5,.2,00:11\n"
    "epoch,train_loss,valid_loss,accuracy,time\n0,2,2.25,.3,1:00:12\n1,1,1.5,.4,00:12\n"
)
WANDB = (
    '"Step","bright-sun-1 - train/loss","bright-sun-1 - train/loss__MIN",'
    '"bright-sun-1 - train/loss__MAX","bright-sun-1 - eval/loss"\n'
    '"10","2","1.9","2.1",""\n"20","1","0.9","1.1","1.5"\n'
)

CASES = {
    "ultralytics 8": Case(
        "results.csv",
        V8,
        [
            {
                "train_loss": [6, 3.5],
                "val_loss": [9, float("inf")],
                "val_map50_b": [0.3, 0.4],
                "lr": [0.01, 0.001],
            }
        ],
        note="the train loss is the sum of its parts",
    ),
    "ultralytics 8 padded": Case(
        "results.csv", pad(V8), [{"train_loss": [6, 3.5], "val_loss": [9, float("inf")]}]
    ),
    "ultralytics 5": Case(
        "results.csv",
        pad(
            "epoch,train/box_loss,train/obj_loss,train/cls_loss,metrics/mAP_0.5,val/box_loss,"
            "val/obj_loss,val/cls_loss,x/lr0\n0,1,2,0,.1,2,3,0,.1\n1,.5,1,0,.2,1,2,0,.01",
            20,
        ),
        [{"train_loss": [3, 1.5], "val_loss": [5, 3], "lr": [0.1, 0.01]}],
    ),
    "ultralytics classify": Case(
        "results.csv",
        "epoch,time,train/loss,metrics/accuracy_top1,val/loss\n1,9,2,.5,2.5\n2,18,1,.6,1.5\n",
        [{"train_loss": [2, 1], "val_loss": [2.5, 1.5], "val_accuracy_top1": [0.5, 0.6]}],
    ),
    "yolo results.txt": Case(
        "results.txt",
        YOLO,
        [{"train_loss": [0.6, 0.35], "val_loss": [0.9, 0.6], "val_map50": [0.3, 0.4]}],
        "yolo-txt",
    ),
    "yolo results.txt twice": Case(
        "results.txt",
        YOLO + YOLO,
        [{"train_loss": [0.6, 0.35]}, {"train_loss": [0.6, 0.35]}],
        "yolo-txt",
    ),
    "parts that differ": Case(
        "log.csv",
        "epoch,loss,train_task_loss,train_domain_loss,val_task_loss\n1,2,1,9,3\n2,1,.5,8,2\n",
        [{"train_loss": [2, 1]}],
    ),
    "lightning": Case(
        "metrics.csv",
        LIGHTNING,
        [
            {
                "train_loss": [2, 1],
                "batch_loss": [2.25, 1.25],
                "val_loss": [2.5, 1.5],
                "lr": [0.1, 0.01],
            }
        ],
    ),
    "keras restarts": Case(
        "training.log",
        "epoch,accuracy,loss,val_accuracy,val_loss\r\n0,.1,3,.1,NA\r\n1,.2,2,.2,2.5\r\n"
        "0,.1,5,.1,6\r\n1,.2,4,.2,5\r\n2,.3,3,.3,4\r\n",
        [
            {"train_loss": [3, 2], "val_loss": [2.5]},
            {"train_loss": [5, 4, 3], "val_loss": [6, 5, 4]},
        ],
        note="The log holds 2 runs; this is the last.",
    ),
    "keras on windows": Case(
        "log.csv", "epoch,loss,val_loss\r\r\n0,2,3\r\r\n1,1,2\r\r\n", [{"val_loss": [3, 2]}]
    ),
    "transposed history": Case(
        "history.csv",
        ",0,1,2\nloss,3,2,1\naccuracy,.1,.2,.3\nval_loss,4,,2\n",
        [{"train_loss": [3, 2, 1], "val_loss": [4, 2], "train_accuracy": [0.1, 0.2, 0.3]}],
        "csv-rows",
        note="lies on its side",
    ),
    "timm": Case(
        "summary.csv",
        "epoch,train_loss,eval_loss,eval_top1,train_lr\n"
        '0,3,2,10,"[1e-4, 1e-5]"\n2,2,1,20,"[1e-5, 0]"\n',
        [{"train_loss": [3, 2], "val_loss": [2, 1], "val_top1": [10, 20], "lr": [1e-4, 1e-5]}],
    ),
    "fastai": Case(
        "history.csv",
        FASTAI,
        [
            {"train_loss": [3, 2], "val_loss": [3.5, 2.5]},
            {"train_loss": [2, 1], "val_loss": [2.25, 1.5]},
        ],
    ),
    "w&b export": Case(
        "wandb_export_2026.csv",
        WANDB,
        [{"train_loss": [2, 1], "val_loss": [1.5]}],
        "wandb-csv",
        note='the run "bright-sun-1"',
    ),
    "w&b export of two runs": Case(
        "wandb_export_2026.csv",
        '"Step","a - b - train/loss","c - train/loss"\n"1","2","3"\n"2","1","2"\n',
        [{"train_loss": [2, 1]}, {"train_loss": [3, 2]}],
        "wandb-csv",
    ),
    "folds": Case(
        "folds.csv",
        "epoch,fold,loss,val_loss\n1,A,3,4\n1,B,5,6\n2,A,2,3\n2,B,4,5\n",
        [{"train_loss": [3, 2], "val_loss": [4, 3]}, {"train_loss": [5, 4], "val_loss": [6, 5]}],
        note='Column "fold" tells 2 runs apart',
    ),
    "stacked splits": Case(
        "long.csv",
        "phase,epoch,loss\ntrain,1,3\ntrain,2,2\ntrain,3,1\nval,1,4\nval,2,3\nval,3,2\n",
        [{"train_loss": [3, 2, 1], "val_loss": [4, 3, 2]}],
    ),
    "resumed": Case(
        "log.csv",
        "step,loss,val_loss\n10,5,6\n20,4,5\n30,9,9\n40,9,9\n25,3,4\n35,2,3\n",
        [{"train_loss": [5, 4, 3, 2], "val_loss": [6, 5, 4, 3]}],
        note="left out 2 rows that were done again",
    ),
    "resumed within epochs": Case(
        "log.csv",
        "epoch,loss\n1,9\n1,8\n2,7\n2,6\n3,5\n3,4\n2,6.5\n2,5.5\n3,4.5\n3,3.5\n4,3\n4,2\n",
        [{"train_loss": [9, 8, 6.5, 5.5, 4.5, 3.5, 3, 2]}],
    ),
    "counter and numbers": Case(
        "log.txt", "0,3\n1,2\n2,1\n", [{"train_loss": [3, 2, 1]}], note="does not name its columns"
    ),
    "numbers in a file called loss": Case(
        "epoch_loss.txt",
        "3\n2\n1\n",
        [{"train_loss": [3, 2, 1]}],
        note="column 1 as the train loss",
    ),
    "only one loss": Case(
        "log.csv", "TimeX,LossLogFY\n-1,3\n-2,2\n", [{"train_loss": [3, 2]}], note="the only one"
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_tables_of_trackers(tmp_path: Path, name: str) -> None:
    """Each shape gives the runs that it holds, in order, and the last complete one by default."""
    case = CASES[name]
    path = tmp_path / case.name
    path.write_bytes(case.text.encode())
    found = [run for _, run in fitdiag.runs(path)]
    assert len(found) == len(case.runs)
    for run, curves in zip(found, case.runs, strict=True):
        assert run.source.format == case.format
        for curve, values in curves.items():
            np.testing.assert_allclose(run.curves[curve].values, values, rtol=1e-15)
    chosen = fitdiag.read(path)
    assert case.note in " ".join(chosen.source.notes)
    assert chosen.curves.keys() >= case.runs[-1].keys()


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.format == "csv"])
def test_large_files_hold_the_same_runs(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pandas reads in pieces is cut into the same runs as what the csv module reads."""
    path = tmp_path / CASES[name].name
    path.write_bytes(CASES[name].text.encode())
    small = [run for _, run in fitdiag.runs(path)]
    size = path.stat().st_size
    monkeypatch.setattr(files, "HEAD_BYTES", size - 1)
    monkeypatch.setattr(files.read_head, "__defaults__", (size,))
    large = [run for _, run in fitdiag.runs(path)]
    assert [run.source for run in large] == [run.source for run in small]
    for run, other in zip(large, small, strict=True):
        for curve in other.curves.values():
            np.testing.assert_array_equal(run.curves[curve.name].values, curve.values)
            np.testing.assert_array_equal(run.curves[curve.name].steps, curve.steps)


def test_each_run_can_be_chosen(tmp_path: Path) -> None:
    """`run=` counts from 1, or from -1 at the end; a number too high is answered with the range."""
    path = tmp_path / "training.log"
    path.write_text("epoch,loss\n0,9\n1,8\n0,4\n1,3\n0,2\n", encoding="utf-8")
    assert fitdiag.read(path).train_loss.values.tolist() == [4, 3]  # type: ignore[union-attr]
    assert fitdiag.read(path, run=1).train_loss.values.tolist() == [9, 8]  # type: ignore[union-attr]
    assert fitdiag.read(path, run=-1).train_loss.values.tolist() == [2]  # type: ignore[union-attr]
    for number in (0, 4, -4):
        with pytest.raises(UsageError, match="holds 3 runs: choose one from 1 to 3"):
            fitdiag.read(path, run=number)


def test_rows_of_a_run_are_named(tmp_path: Path) -> None:
    """A run says which rows of the file it is."""
    path = tmp_path / "training.log"
    path.write_text("epoch,loss\n0,9\n1,8\n0,4\n1,3\n", encoding="utf-8")
    assert "this run is rows 1 to 2" in " ".join(fitdiag.read(path, run=1).source.notes)


REFUSED = {
    "sweep": (
        "summary.csv",
        "run_name,lr,batch_size,best_val_loss,final_train_loss\na,.1,8,1,2\nb,.2,16,1,2\n",
        "one row for each run",
    ),
    "trials": (
        "trainlog.csv",
        "Experiment,Loss,Eval_Loss,Learning_Rate\nx,1,2,.1\ny,1,2,.1\nz,1,2,.2\n",
        "one row for each run",
    ),
    "parts of a game": ("log.csv", "d_adv_loss,f_slf_loss\n1,2\n2,3\n", "--map train_loss"),
    "only validation": (
        "wandb_export.csv",
        '"Step","a - eval/loss"\n"1","2"\n"2","1"\n',
        "none of its series says that it is the training loss",
    ),
    "validation side": ("loss_val.tsv", "step\tloss\n1\t2\n2\t1\n", "the validation side"),
    "numbers of unknown meaning": ("x.csv", "3,2,4,1\n2,1,3,1\n", "no header line"),
    "shares that rise": ("x.csv", "0,0.1\n1,0.5\n2,0.9\n", "no header line"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_curve_is_refused(tmp_path: Path, name: str) -> None:
    """Final values, parts without a total and nameless numbers are refused in one sentence."""
    file, text, sentence = REFUSED[name]
    path = tmp_path / file
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReadError, match=sentence):
        fitdiag.read(path)


PAIRS: dict[str, dict[str, str]] = {
    "by column": {"a.csv": "epoch,train_loss\n1,2\n2,1\n", "b.csv": "epoch,val_loss\n1,3\n2,2\n"},
    "by file": {"train.csv": "epoch,loss\n1,2\n2,1\n", "val.csv": "epoch,loss\n1,3\n2,2\n"},
    "numbers alone": {"epoch_loss.txt": "2\n1\n", "epoch_val_loss.txt": "3\n2\n"},
    "numbers by split": {"x_train.txt": "2\n1\n", "x_val.txt": "3\n2\n"},
    "w&b": {
        "wandb_export_1.csv": '"Step","r-1 - train/loss"\n"1","2"\n"2","1"\n',
        "wandb_export_2.csv": '"Step","r-1 - eval/loss"\n"1","3"\n"2","2"\n',
    },
    "tensorboard": {
        "run-train-tag-epoch_loss.csv": "Wall time,Step,Value\n9,0,2\n9,1,1\n",
        "run-validation-tag-epoch_loss.csv": "Wall time,Step,Value\n9,0,3\n9,1,2\n",
    },
}


@pytest.mark.parametrize("name", PAIRS)
def test_several_tables_are_one_run(tmp_path: Path, name: str) -> None:
    """Tables given together are one run; what their columns leave open, their names tell."""
    for file, text in PAIRS[name].items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    run = fitdiag.read([tmp_path / file for file in PAIRS[name]])
    assert run.curves["train_loss"].values.tolist() == [2, 1]
    assert run.curves["val_loss"].values.tolist() == [3, 2]


def test_tables_together_keep_their_steps(tmp_path: Path) -> None:
    """Training and validation keep the steps at which each was measured."""
    (tmp_path / "loss.tsv").write_text("step\tloss\n0\t3\n2\t2\n4\t1\n", encoding="utf-8")
    (tmp_path / "eval_loss.tsv").write_text("step\tloss\n1\t4\n3\t3\n", encoding="utf-8")
    run = fitdiag.read([tmp_path / "loss.tsv", tmp_path / "eval_loss.tsv"])
    assert run.unit == "step"
    assert run.curves["train_loss"].steps.tolist() == [0, 2, 4]
    assert run.curves["val_loss"].steps.tolist() == [1, 3]


def test_several_runs_over_several_exports(tmp_path: Path) -> None:
    """Exports of two charts with the same two runs give both runs."""
    for name, metric in (("1", "train/loss"), ("2", "eval/loss")):
        text = f'"Step","a - {metric}","b - {metric}"\n"1","4","3"\n"2","2","1"\n'
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    paths = [tmp_path / "1.csv", tmp_path / "2.csv"]
    assert fitdiag.read(paths, run=1).curves["val_loss"].values.tolist() == [4, 2]
    assert fitdiag.read(paths, run=2).curves["train_loss"].values.tolist() == [3, 1]


def test_tables_together_need_a_training_loss(tmp_path: Path) -> None:
    """Two tables without a training loss, no table, or another format are refused."""
    (tmp_path / "a.csv").write_text("epoch,val_loss\n1,2\n2,1\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("epoch,val_acc\n1,.2\n2,.1\n", encoding="utf-8")
    with pytest.raises(ColumnError, match="none of its series"):
        fitdiag.read([tmp_path / "a.csv", tmp_path / "b.csv"])
    with pytest.raises(UsageError, match="no log was given"):
        fitdiag.read([])
    with pytest.raises(UsageError, match="takes one log, not 2"):
        fitdiag.read([tmp_path / "a.csv", tmp_path / "b.csv"], format="native")
    with pytest.raises(ReadError, match="does not exist"):
        fitdiag.read([tmp_path / "a.csv", tmp_path / "c.csv"])


def test_the_command_line_chooses_runs_and_joins_tables(
    tmp_path: Path, command: Callable[..., Outcome]
) -> None:
    """`--run` chooses a run of a log, several logs are one run, and a folder will do."""
    folder = tmp_path / "many"
    folder.mkdir()
    losses = "".join(f"{epoch},{2 / (epoch + 1)}\n" for epoch in range(12))
    (folder / "log.csv").write_text("epoch,loss\n" + losses + "0,7\n1,6\n", encoding="utf-8")
    for name in ("train", "val"):
        (tmp_path / f"{name}.csv").write_text("epoch,loss\n" + losses, encoding="utf-8")
    done = command("report", folder / "log.csv", "--run", 1, "--format", "json")
    assert json.loads(done.out)["source"]["notes"][0].endswith("Choose another with --run.")
    assert command("check", folder / "log.csv", "--run", 3).code == 2
    done = command("report", "train.csv", "val.csv", "--format", "json")
    assert {finding["code"] for finding in json.loads(done.out)["findings"]} >= {"LOG003"}
    assert command("report", folder, "-o", "out/").code == 0
    assert (tmp_path / "out" / "many.report.html").is_file()


def test_many_runs_are_bounded(tmp_path: Path) -> None:
    """A column that goes to and fro all the time does not become a run for each turn."""
    text = "epoch,loss\n" + "0,2\n1,1\n" * 3000
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    assert len(list(fitdiag.runs(tmp_path / "log.csv"))) == 1000
    assert "Of 3,000 runs" in " ".join(fitdiag.read(tmp_path / "log.csv").source.notes)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_tables_end_in_a_run_or_a_sentence(tmp_path: Path, data: st.DataObject) -> None:
    """Cut, flipped, doubled and continued with noise, each shape is a run or a ReadError."""
    case = CASES[data.draw(st.sampled_from(sorted(CASES)))]
    text = bytearray(case.text.encode())
    cut = data.draw(st.integers(0, len(text)))
    for _ in range(data.draw(st.integers(0, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    tail = data.draw(st.sampled_from([b"", bytes(text), b"\0" * 40]) | st.binary(max_size=200))
    path = tmp_path / case.name
    path.write_bytes(bytes(text[:cut]) + tail)
    head = path.read_bytes()
    for reader in READERS:
        if not reader.folders and reader.name in {"csv", "csv-rows", "wandb-csv", "yolo-txt"}:
            assert reader.matches(path, head) in {True, False}
            with contextlib.suppress(ReadError):
                assert fitdiag.read(path, format=reader.name).curves


def test_only_a_constant_ratio_is_a_scale() -> None:
    """A sum beside a mean is found whichever it is; a gap that grows with overfitting is not."""
    fall = 0.4 + 2 * np.exp(-0.1 * np.arange(40))

    def codes(train: Floats, val: Floats) -> set[str]:
        run = fitdiag.Run.from_arrays(train_loss=train, val_loss=val)
        return {finding.code for finding in fitdiag.diagnose(run).findings}

    assert "LOG007" in codes(fall, 30 * fall + 1)
    assert "LOG007" in codes(500 * fall, fall)
    overfit = 2 * np.exp(-0.3 * np.arange(40)) + 1e-4
    assert "LOG007" not in codes(overfit, fall)
    assert "LOG007" not in codes(fall, 5 * fall)
    assert "LOG007" not in codes(fall - 2, 30 * fall)
