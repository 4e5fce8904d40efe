"""Logs in the shape of libraries that need weights or data to run, written line by line."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.external.conftest import Truth

EPOCHS = 30


def write_rows(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    """Write a table as the csv module does, which ends lines with carriage return and feed."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        writer.writerows(rows)


def fall(epoch: int, start: float, rate: float = 0.9) -> float:
    """Return a loss that falls, at six significant digits as these libraries print."""
    return float(f"{start * rate**epoch + 0.1:.6g}")


@pytest.mark.parametrize("every", [1, 5])
def test_timm_summary(tmp_path: Path, truth: Truth, every: int) -> None:
    """The summary.csv of timm reads back, also where only every fifth epoch was evaluated."""
    rows = []
    for epoch in range(0, EPOCHS, every):
        train, val, lr = fall(epoch, 2.0), fall(epoch, 2.2), 1e-3 * 0.95**epoch
        truth.add(epoch, train_loss=train, val_loss=val, lr=lr, val_top1=90 - train)
        rows.append([epoch, train, val, 90 - train, 99 - train, lr])
    write_rows(tmp_path / "summary.csv", "epoch,train_loss,eval_loss,eval_top1,eval_top5,lr", rows)
    truth.check_log(tmp_path / "summary.csv", "epoch")


def test_fastai_history(tmp_path: Path, truth: Truth) -> None:
    """The history.csv of fastai with clock times reads back, and its last fit where it has two."""
    header = "epoch,train_loss,valid_loss,accuracy,time"
    lines = [header, *(f"{k},{9.5 - k / 10},{9.6 - k / 10},0.1,00:13" for k in range(3)), header]
    for epoch in range(EPOCHS):
        train, val = fall(epoch, 1.5), fall(epoch, 1.6)
        truth.add(epoch, train_loss=train, val_loss=val)
        lines.append(f"{epoch},{train},{val},{1 - val / 3:.6f},01:{epoch:02d}")
    (tmp_path / "history.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    truth.check_log(tmp_path / "history.csv", "epoch")


@pytest.mark.parametrize("padding", [0, 23])
@pytest.mark.parametrize("parts", [("box", "cls", "dfl"), ("box", "seg", "cls", "dfl")])
def test_ultralytics_results(
    tmp_path: Path, truth: Truth, parts: tuple[str, ...], padding: int
) -> None:
    """results.csv of Ultralytics reads back with its parts summed, padded cells or not."""
    names = ["epoch", *(f"train/{part}_loss" for part in parts)]
    names += ["metrics/precision(B)", "metrics/recall(B)", "metrics/mAP50(B)"]
    names += [*(f"val/{part}_loss" for part in parts), "lr/pg0", "lr/pg1", "lr/pg2"]
    lines = [",".join(name.rjust(padding) for name in names)]
    for epoch in range(1, EPOCHS + 1):
        train = [fall(epoch, 1.0 + at) for at in range(len(parts))]
        val = [fall(epoch, 1.2 + at) for at in range(len(parts))]
        lr = float(f"{0.01 * (1 - epoch / 40):.6g}")
        truth.add(epoch, train_loss=sum(train), val_loss=sum(val), lr=lr)
        cells = [epoch, *train, 0.5, 0.4, 0.45, *val, lr, lr, lr]
        lines.append(",".join(f"{cell:.6g}".rjust(padding) for cell in cells))
    (tmp_path / "results.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    truth.check_log(tmp_path / "results.csv", "epoch")


def test_ultralytics_classify(tmp_path: Path, truth: Truth) -> None:
    """results.csv of a classifier, which has one loss a split, reads back."""
    rows = []
    for epoch in range(1, EPOCHS + 1):
        train, val = fall(epoch, 1.0), fall(epoch, 1.1)
        truth.add(epoch, train_loss=train, val_loss=val, lr=0.01)
        rows.append([epoch, 3.5 * epoch, train, 0.9, 0.99, val, 0.01, 0.01, 0.01])
    header = "epoch,time,train/loss,metrics/accuracy_top1,metrics/accuracy_top5,val/loss"
    write_rows(tmp_path / "results.csv", header + ",lr/pg0,lr/pg1,lr/pg2", rows)
    truth.check_log(tmp_path / "results.csv", "epoch")
