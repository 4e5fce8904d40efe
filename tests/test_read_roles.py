"""Which column is which: names and numbers that could be taken for something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import fitdiag

if TYPE_CHECKING:
    from pathlib import Path

ROWS = "1,3.2,2,3\n2,6.4,1,2\n3,7.0,0.5,1.5\n"
LOSSES = {"train_loss": [2, 1, 0.5], "val_loss": [3, 2, 1.5]}


def curves(path: Path, text: str) -> dict[str, list[float]]:
    path.write_text(text, encoding="utf-8")
    return {name: curve.values.tolist() for name, curve in fitdiag.read(path).curves.items()}


@pytest.mark.parametrize("decoy", ["cost", "prev_train_loss", "val_loss_change", "best_val_loss"])
def test_decoys_are_no_curves(tmp_path: Path, decoy: str) -> None:
    """A cost in money, an earlier loss or a change of one is no loss of this epoch."""
    text = f"epoch,{decoy},train_loss,val_loss\n{ROWS}"
    assert curves(tmp_path / "log.csv", text) == LOSSES


def test_short_names_of_splits(tmp_path: Path) -> None:
    """`tr` and `va` tell the splits apart."""
    text = "epoch,loss_tr,loss_va\n1,2,3\n2,1,2\n3,0.5,1.5\n"
    assert curves(tmp_path / "log.csv", text) == LOSSES


def test_decimal_commas_with_three_digits(tmp_path: Path) -> None:
    """Between semicolons a comma before three digits is a decimal one."""
    text = "epoch;train_loss;val_loss\n1;10,000;11,000\n2;5,500;6,000\n3;4,000;4,500\n"
    assert curves(tmp_path / "log.csv", text) == {
        "train_loss": [10, 5.5, 4],
        "val_loss": [11, 6, 4.5],
    }
