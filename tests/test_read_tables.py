"""Tables as people write them: small texts, and what must be read from each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

import fitdiag
from fitdiag.readers import files, grid

if TYPE_CHECKING:
    from pathlib import Path

NAN = float("nan")
INF = float("inf")


class Case(NamedTuple):
    """A text, and the curves that must be read from it."""

    text: str | bytes
    curves: dict[str, list[float]]
    unit: str = "epoch"
    steps: list[float] | None = None
    note: str = ""


TRAIN_VAL: dict[str, list[float]] = {"train_loss": [2.0, 1.0], "val_loss": [2.5, 1.5]}
ONE_TWO: list[float] = [1, 2]

CASES = {
    "plain": Case("epoch,train_loss,val_loss\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL, steps=ONE_TWO),
    "capitals and spaces": Case("Epoch,Train Loss,Val Loss\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL),
    "camel case": Case("Epoch,trainLoss,ValLoss\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL),
    "slashes": Case("epoch,train/loss,val/loss\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL),
    "keras": Case("epoch,loss,val_loss\n0,2,2.5\n1,1,1.5\n", TRAIN_VAL, steps=[0, 1]),
    "valid": Case("epoch,training_loss,valid_loss\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL),
    "eval": Case("epoch,tr_loss,eval_loss\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL),
    "chinese": Case("轮次,训练损失,验证损失\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL),
    "traditional chinese": Case("輪次,訓練損失,驗證損失\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL),
    "japanese": Case("エポック,学習ロス,検証ロス\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL),
    "korean": Case("에포크,학습 손실,검증 손실\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL),
    "spanish": Case(
        "época,pérdida de entrenamiento,pérdida de validación\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL
    ),
    "german": Case("Epoche,Trainingsverlust,Validierungsverlust\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL),
    "bare chinese": Case(
        "轮次,损失,学习率,梯度范数\n1,2,0.1,3\n", {"train_loss": [2], "lr": [0.1], "grad_norm": [3]}
    ),
    "byte-order mark": Case("\ufeffepoch,loss,val_loss\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL),
    "utf-16": Case("epoch,loss,val_loss\r\n1,2,2.5\r\n2,1,1.5\r\n".encode("utf-16"), TRAIN_VAL),
    "utf-16 unmarked": Case(
        "epoch,loss,val_loss\r\n1,2,2.5\r\n2,1,1.5\r\n".encode("utf-16-le"), TRAIN_VAL
    ),
    "gbk": Case("轮次,训练损失,验证损失\n1,2,2.5\n2,1,1.5\n".encode("gbk"), TRAIN_VAL),
    "big5": Case("輪次,訓練損失,驗證損失\n1,2,2.5\n2,1,1.5\n".encode("big5"), TRAIN_VAL),
    "latin-1": Case(
        "época,pérdida,pérdida de validación\n1,2,2.5\n2,1,1.5\n".encode("latin-1"), TRAIN_VAL
    ),
    "semicolons": Case("epoch;loss;val_loss\n1;2.0;2.5\n2;1.0;1.5\n", TRAIN_VAL),
    "decimal commas": Case("epoch;loss;val_loss\n1;2,0;2,5\n2;1,0;1,5\n", TRAIN_VAL),
    "decimal commas in quotes": Case(
        'epoch,loss,val_loss\n1,"2,0","2,5"\n2,"1,0","1,5"\n', TRAIN_VAL
    ),
    "decimal commas and tabs": Case("epoch\tloss\tval_loss\n1\t2,0\t2,5\n2\t1,0\t1,5\n", TRAIN_VAL),
    "tabs": Case("epoch\tTrain Loss\tVal Loss\n1\t2\t2.5\n2\t1\t1.5\n", TRAIN_VAL),
    "pipes": Case("epoch|loss|val_loss\n1|2|2.5\n2|1|1.5\n", TRAIN_VAL),
    "markdown": Case(
        "| epoch | loss | val_loss |\n|---|---|---|\n| 1 | 2 | 2.5 |\n| 2 | 1 | 1.5 |\n", TRAIN_VAL
    ),
    "white space": Case("epoch  loss  val_loss\n  1  2.0  2.5\n  2  1.0  1.5\n", TRAIN_VAL),
    "space after comma": Case("epoch, loss, val_loss\n1, 2, 2.5\n2, 1, 1.5\n", TRAIN_VAL),
    "padded": Case("   epoch,    loss, val_loss\n    1,   2, 2.5  \n   2,   1,  1.5 \n", TRAIN_VAL),
    "quoted": Case('"epoch","loss","val_loss"\n"1","2","2.5"\n"2","1","1.5"\n', TRAIN_VAL),
    "carriage returns": Case(b"epoch,loss,val_loss\r\r\n1,2,2.5\r\r\n2,1,1.5\r\r\n", TRAIN_VAL),
    "old macintosh": Case(b"epoch,loss,val_loss\r1,2,2.5\r2,1,1.5\r", TRAIN_VAL),
    "comments": Case("# lr 0.1\n# run 3\n\nepoch,loss,val_loss\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL),
    "savetxt header": Case("# epoch loss val_loss\n1 2.0 2.5\n2 1.0 1.5\n", TRAIN_VAL),
    "prose before": Case(
        "Results of the run\nstarted on Monday\n\nepoch,loss,val_loss\n1,2,2.5\n2,1,1.5\n",
        TRAIN_VAL,
    ),
    "blank lines": Case("epoch,loss,val_loss\n\n1,2,2.5\n\n\n2,1,1.5\n\n", TRAIN_VAL),
    "repeated header": Case(
        "epoch,loss,val_loss\n1,2,2.5\nepoch,loss,val_loss\n2,1,1.5\n",
        TRAIN_VAL,
        note="1 line that holds no number",
    ),
    "trailing delimiter": Case("epoch,loss,val_loss\n1,2,2.5,\n2,1,1.5,\n", TRAIN_VAL),
    "too few cells": Case(
        "epoch,loss,val_loss\n1,2,2.5\n2,1\n",
        {"train_loss": [2, 1], "val_loss": [2.5]},
        note="1 row has more or fewer than 3 cells",
    ),
    "too many cells": Case(
        "epoch,loss,val_loss\n1,2,2.5,9\n2,1,1.5\n", TRAIN_VAL, note="1 row has more or fewer"
    ),
    "percent": Case(
        "epoch,loss,acc,val_acc\n1,2,54.67%,50%\n",
        {"train_loss": [2], "train_accuracy": [0.5467], "val_accuracy": [0.5]},
        note="percent sign were divided by 100",
    ),
    "thousands": Case(
        'epoch,loss,val_loss\n1,"1,234.5",2.5\n2,1.0,1.5\n',
        {"train_loss": [1234.5, 1], "val_loss": [2.5, 1.5]},
        note="Thousands",
    ),
    "thousands with points": Case(
        "epoch;loss;val_loss\n1;1.234,5;2,5\n2;1,0;1,5\n",
        {"train_loss": [1234.5, 1], "val_loss": [2.5, 1.5]},
    ),
    "tensors": Case(
        "epoch,loss,val_loss\n1,tensor(2.),"
        "\"tensor([2.5, 1.], device='cuda:0')\"\n2,tensor(1.),1.5\n",
        TRAIN_VAL,
        note="tensor",
    ),
    "lists": Case('epoch,loss,lr\n1,2,"[1e-4, 1e-4]"\n', {"train_loss": [2], "lr": [1e-4]}),
    "not measured": Case(
        "epoch,loss,val_loss\n1,2,NA\n2,1,1.5\n3,0.5,None\n4,0.5,-\n",
        {"train_loss": [2, 1, 0.5, 0.5], "val_loss": [1.5]},
    ),
    "nan and inf": Case(
        "epoch,loss,val_loss\n1,2,2.5\n2,nan,inf\n3,1,-inf\n",
        {"train_loss": [2, NAN, 1], "val_loss": [2.5, INF, -INF]},
    ),
    "nan for not measured": Case(
        "epoch,loss,val_loss\n1,2,nan\n2,1,1.5\n3,1,nan\n4,1,1.25\n5,1,nan\n",
        {"train_loss": [2, 1, 1, 1, 1], "val_loss": [1.5, 1.25]},
    ),
    "nan to the end": Case(
        "epoch,loss,val_loss\n1,2,3\n2,nan,nan\n3,nan,nan\n4,nan,nan\n",
        {"train_loss": [2, NAN, NAN, NAN], "val_loss": [3, NAN, NAN, NAN]},
    ),
    "nan beside empty": Case(
        "epoch,loss,val_loss\n1,2,3\n2,2,\n3,2,nan\n4,2,\n5,2,4\n",
        {"train_loss": [2, 2, 2, 2, 2], "val_loss": [3, NAN, 4]},
    ),
    "all nan": Case("epoch,loss\n1,nan\n2,nan\n", {"train_loss": [NAN, NAN]}),
    "constant": Case("epoch,loss\n1,2\n2,2\n3,2\n", {"train_loss": [2, 2, 2]}),
    "one row": Case("epoch,loss,val_loss\n1,2,2.5\n", {"train_loss": [2], "val_loss": [2.5]}),
    "one column": Case("loss\n2\n1\n", {"train_loss": [2, 1]}, unit="row", steps=ONE_TWO),
    "no epoch": Case("loss,val_loss\n2,2.5\n1,1.5\n", TRAIN_VAL, unit="row", steps=ONE_TWO),
    "index": Case(",loss,val_loss\n0,2,2.5\n1,1,1.5\n", TRAIN_VAL, unit="row", steps=[0, 1]),
    "steps": Case("iter,loss,val_loss\n10,2,2.5\n20,1,1.5\n", TRAIN_VAL, "step", [10, 20]),
    "test as validation": Case(
        "epoch,Train Loss,Test Loss\n1,2,2.5\n2,1,1.5\n", TRAIN_VAL, note="read as the validation"
    ),
    "test beside validation": Case(
        "epoch,loss,val_loss,test_loss\n1,2,2.5,9\n2,1,1.5,9\n", TRAIN_VAL, note="not used"
    ),
    "decoys": Case(
        "epoch,best_val_loss,min_loss,val_loss_slope,Gate Loss,time,eta,memory,loss,val_loss\n"
        "1,7,7,7,7,7,7,7,2,2.5\n2,7,7,7,7,7,7,7,1,1.5\n",
        TRAIN_VAL,
        note="not used",
    ),
    "total beside plain": Case("epoch,loss,total_loss\n1,7,2\n", {"train_loss": [2]}),
    "lightning": Case(
        "epoch,step,train_loss_step,train_loss_epoch,val_loss\n"
        "0,49,2.25,,\n0,99,,,2.5\n0,99,,2,\n1,149,1.25,,\n1,199,,,1.5\n1,199,,1,\n",
        {**TRAIN_VAL, "batch_loss": [2.25, 1.25]},
        unit="step",
        steps=[99, 199],
    ),
    "long": Case(
        "epoch,phase,loss,acc\n1,train,2,.5\n1,val,2.5,.25\n2,train,1,.75\n2,val,1.5,.5\n",
        {**TRAIN_VAL, "train_accuracy": [0.5, 0.75], "val_accuracy": [0.25, 0.5]},
        steps=ONE_TWO,
        note="tells training from validation",
    ),
    "long with test": Case(
        "epoch,split,loss\n1,train,2\n1,test,2.5\n2,train,1\n2,test,1.5\n", TRAIN_VAL
    ),
    "metrics without a split": Case(
        "epoch,train_loss,valid_loss,accuracy\n1,2,2.5,.5\n2,1,1.5,.75\n",
        {**TRAIN_VAL, "val_accuracy": [0.5, 0.75]},
        note="Read as validation metrics",
    ),
    "step and batch losses": Case(
        "global_step,loss,train/loss,validation/loss\n1,3,,\n2,,2,2.5\n3,2.5,,\n4,,1,1.5\n",
        {**TRAIN_VAL, "batch_loss": [3, 2.5]},
        unit="step",
        steps=[2, 4],
    ),
    "rows within epochs": Case(
        "epoch,loss\n1,4\n1,3\n2,2\n2,1\n",
        {"train_loss": [4, 3, 2, 1]},
        "row",
        [1, 2, 3, 4],
        note="rows are counted",
    ),
    "steps within epochs": Case(
        "epoch,batch,loss\n1,0,4\n1,1,3\n2,0,2\n2,1,1\n",
        {"train_loss": [4, 3, 2, 1]},
        "row",
        [1, 2, 3, 4],
        note="start again in every epoch",
    ),
    "resumed": Case(
        "epoch,loss\n1,4\n2,3\n3,2\n2,2.5\n3,1\n",
        {"train_loss": [4, 2.5, 1]},
        steps=[1, 2, 3],
        note="go back once",
    ),
    "two runs": Case(
        "epoch,loss\n0,9\n1,8\n2,8\n0,4\n1,3\n",
        {"train_loss": [4, 3]},
        steps=[0, 1],
        note="holds 2 runs; this is the last.",
    ),
    "a run just begun": Case(
        "epoch,loss\n0,4\n1,3\n0,9\n",
        {"train_loss": [4, 3]},
        steps=[0, 1],
        note="this is number 1, the last complete one.",
    ),
    "newest first": Case("epoch,loss\n3,1\n2,2\n1,3\n", {"train_loss": [3, 2, 1]}, steps=[1, 2, 3]),
    "a torn last line": Case(
        "epoch,loss,val_loss\n1,2,2.5\n2,1,1.5\n3,0.", TRAIN_VAL, note="was not finished"
    ),
    "one bad cell": Case(
        "epoch,loss,val_loss\n1,2,2.5\n2,oops,1.5\n",
        {"train_loss": [2], "val_loss": [2.5, 1.5]},
        note="'oops' in row 2",
    ),
    "text columns": Case(
        "timestamp,epoch,loss,val_loss,notes\n2026-04-23 11:09,1,2,2.5,fine\n"
        "2026-04-23 11:19,2,1,1.5,saved\n",
        TRAIN_VAL,
    ),
    "zeros from a power failure": Case(
        b"epoch,loss,val_loss\n1,2,2.5\n2,1,1.5\n\0\0\0\0", TRAIN_VAL
    ),
    "the same column twice": Case(
        "epoch,loss,loss,val_loss\n1,2,2,2.5\n2,1,1,1.5\n", TRAIN_VAL, note="are the same"
    ),
    "epoch finer than step": Case(
        "step,epoch,loss\n0,1,2\n0,2,1\n0,3,0.5\n", {"train_loss": [2, 1, 0.5]}, steps=[1, 2, 3]
    ),
}


def check(run: fitdiag.Run, case: Case) -> None:
    """Compare a run with what its text must give."""
    found = {name: curve.values.tolist() for name, curve in run.curves.items()}
    assert set(found) == set(case.curves), run.source
    for name, values in case.curves.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-15)
    assert run.unit == case.unit
    if case.steps is not None:
        assert run.curves["train_loss"].steps.tolist() == case.steps
    assert case.note in " ".join(run.source.notes)


def write(path: Path, text: str | bytes) -> Path:
    """Write a case's text without changing its line ends."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


@pytest.mark.parametrize("name", CASES)
def test_reads_tables_as_people_write_them(tmp_path: Path, name: str) -> None:
    """Every way of writing a table gives the curves that it means."""
    case = CASES[name]
    check(fitdiag.read(write(tmp_path / "history.csv", case.text), format="csv"), case)


@pytest.mark.parametrize("arrow", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_large_files_are_read_alike(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, *, arrow: bool
) -> None:
    """What pyarrow or pandas cuts is the same as what the csv module cuts, notes included."""
    if not arrow:
        monkeypatch.setattr(grid, "can_take", lambda _: False)
    path = write(tmp_path / "history.csv", CASES[name].text)
    small = fitdiag.read(path, format="csv")
    size = path.stat().st_size
    monkeypatch.setattr(files, "HEAD_BYTES", size - 1)
    monkeypatch.setattr(files.read_head, "__defaults__", (size,))
    large = fitdiag.read(path, format="csv")
    assert large.source == small.source
    assert large.unit == small.unit
    assert set(large.curves) == set(small.curves)
    for curve in small.curves.values():
        np.testing.assert_array_equal(large.curves[curve.name].values, curve.values)
        np.testing.assert_array_equal(large.curves[curve.name].steps, curve.steps)


def test_pyarrow_takes_plain_large_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large table of plain numbers needs no pandas; NaN is a value, an empty cell is none."""
    path = write(tmp_path / "a.csv", "step,loss,val_loss\n1,2.5,\n2,nan,3.25\n3,-inf,\n")
    monkeypatch.setattr(files, "HEAD_BYTES", 10)
    monkeypatch.setattr(grid, "_read_chunks", None)
    run = fitdiag.read(path, format="csv")
    np.testing.assert_array_equal(run.curves["train_loss"].values, [2.5, np.nan, -np.inf])
    assert run.curves["val_loss"].steps.tolist() == [2]


@pytest.mark.parametrize("arrow", [True, False])
def test_large_rows_that_are_longer_than_the_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, arrow: bool
) -> None:
    """Cells that no column names are ignored, and said, in a large file too."""
    path = write(tmp_path / "a.csv", "epoch,loss\n" + "1,2.5,9,9\n2,1.5,9,9\n")
    if not arrow:
        monkeypatch.setattr(grid, "can_take", lambda _: False)
    monkeypatch.setattr(files, "HEAD_BYTES", 10)
    run = fitdiag.read(path, format="csv")
    assert run.curves["train_loss"].values.tolist() == [2.5, 1.5]
    assert any("2 rows have more or fewer than 2 cells" in note for note in run.source.notes)


def test_source_names_the_logs_own_columns(tmp_path: Path) -> None:
    """The source says which column each curve was read from."""
    path = write(tmp_path / "a.csv", "Epoch,Train Loss,Val Acc\n1,2,3\n")
    run = fitdiag.read(path)
    assert run.source.columns == {"train_loss": "Train Loss", "val_accuracy": "Val Acc"}
    assert run.source.format == "csv"
    assert run.source.path == str(path)


def test_epochs_are_kept_beside_steps(tmp_path: Path) -> None:
    """Where steps are the axis, the run can still tell the epoch of a step."""
    run = fitdiag.read(write(tmp_path / "a.csv", "step,epoch,loss\n10,1,2\n20,1.5,1\n30,2,1\n"))
    assert run.unit == "step"
    assert run.epoch_at(20) == 1.5


@pytest.mark.parametrize(
    ("text", "columns", "curves"),
    [
        ("epoch,a,b\n1,2,2.5\n2,1,1.5\n", {"train_loss": "a", "val_loss": "b"}, TRAIN_VAL),
        ("epoch,a,val_loss\n1,2,2.5\n2,1,1.5\n", {"train_loss": "A "}, TRAIN_VAL),
        ("1,2,2.5\n2,1,1.5\n", {"epoch": "1", "train_loss": "2", "val_loss": "3"}, TRAIN_VAL),
        ("2,2.5\n1,1.5\n", {"train_loss": "1", "val_loss": "2"}, TRAIN_VAL),
        ("epoch,d_loss,g_loss\n1,2,3\n", {"train_loss": "g_loss"}, {"train_loss": [3]}),
    ],
)
def test_columns_can_be_mapped(
    tmp_path: Path, text: str, columns: dict[str, str], curves: dict[str, list[float]]
) -> None:
    """What the user says about columns goes before what their names say."""
    run = fitdiag.read(write(tmp_path / "a.csv", text), columns=columns)
    for name, values in curves.items():
        assert run.curves[name].values.tolist() == values


def test_mapped_epoch_is_the_axis(tmp_path: Path) -> None:
    """A mapped epoch column is the axis, in a table without a header too."""
    path = write(tmp_path / "a.csv", "5,2,2.5\n6,1,1.5\n")
    run = fitdiag.read(path, columns={"epoch": "1", "train_loss": "2"})
    assert run.unit == "epoch"
    assert run.curves["train_loss"].steps.tolist() == [5, 6]
