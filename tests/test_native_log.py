"""fitdiag's own log, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import fitdiag
from fitdiag.readers import sniff

if TYPE_CHECKING:
    from pathlib import Path

LOG = """step,epoch,train_loss,val_loss,batch_loss,grad_norm,grad_norm_max,lr,val_accuracy
1,0.1,,,2.5,1.5,1.5,0.01,
2,0.2,,,2.25,nan,inf,0.01,
2,1,2.4,2.6,,,,,0.5
4,2,inf,,,,,0.01,
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Write a small native log."""
    path = tmp_path / "logs.csv"
    path.write_text(LOG, encoding="utf-8")
    return path


def test_reads_every_curve_at_its_own_steps(log: Path) -> None:
    """Empty cells are not measured; each curve keeps the steps at which it was."""
    run = fitdiag.read(log)
    assert run.source.format == "native"
    assert run.unit == "step"
    assert run.curves["batch_loss"].steps.tolist() == [1, 2]
    assert run.curves["train_loss"].steps.tolist() == [2, 4]
    assert run.curves["val_loss"].values.tolist() == [2.6]
    assert run.curves["val_accuracy"].values.tolist() == [0.5]
    assert run.source.notes == ()


def test_keeps_values_that_are_not_finite(log: Path) -> None:
    """NaN and infinity are evidence and stay values, however sparse their column is."""
    run = fitdiag.read(log)
    assert np.isnan(run.curves["grad_norm"].values[1])
    assert run.curves["grad_norm_max"].values.tolist() == [1.5, np.inf]
    assert run.curves["train_loss"].values.tolist() == [2.4, np.inf]


def test_epochs_come_from_the_epoch_column(log: Path) -> None:
    """The last epoch written for a step is that step's epoch."""
    run = fitdiag.read(log)
    assert run.epochs is not None
    assert run.epochs.steps.tolist() == [1, 2, 4]
    assert run.epochs.values.tolist() == [0.1, 1, 2]


def test_torn_last_line_is_read_over(log: Path) -> None:
    """A line that a kill cut short is left out, and it is said."""
    log.write_text(LOG + "5,2,1.", encoding="utf-8")
    run = fitdiag.read(log)
    assert run.curves["train_loss"].steps.tolist() == [2, 4]
    assert any("not finished" in note for note in run.source.notes)


def test_torn_number_is_left_out(log: Path) -> None:
    """A last cell that is no number is not measured, and it is said."""
    log.write_text(LOG + "5,2,1.5,,,,,1e-", encoding="utf-8")
    run = fitdiag.read(log)
    assert run.curves["lr"].steps.tolist() == [1, 2, 4]
    assert any("not finished" in note for note in run.source.notes)


def test_later_value_wins_where_steps_go_back(tmp_path: Path) -> None:
    """A resumed run overwrites what it repeats, and keeps what it does not."""
    path = tmp_path / "logs.csv"
    path.write_text(
        "step,epoch,train_loss\n1,1,3.0\n2,2,2.0\n3,3,1.0\n2,2,2.5\n3,3,1.5\n4,4,1.25\n",
        encoding="utf-8",
    )
    run = fitdiag.read(path)
    assert run.curves["train_loss"].steps.tolist() == [1, 2, 3, 4]
    assert run.curves["train_loss"].values.tolist() == [3.0, 2.5, 1.5, 1.25]
    assert any("go back once" in note for note in run.source.notes)


def read_or_explain(path: Path) -> fitdiag.Run | str:
    """Return the run, or the sentence that says why there is none."""
    try:
        return fitdiag.read(path)
    except fitdiag.ReadError as error:
        return str(error)


def test_any_truncation_gives_a_run_or_one_sentence(log: Path) -> None:
    """Wherever a log breaks off, it is read up to there or refused in a sentence."""
    full = LOG.splitlines()[1:]
    for length in range(len(LOG)):
        log.write_text(LOG[:length], encoding="utf-8")
        run = read_or_explain(log)
        if isinstance(run, str):
            assert str(log) in run
            continue
        lines = LOG[:length].splitlines()[1:]
        whole = sum(line == full[at] for at, line in enumerate(lines))
        steps = {float(line.split(",")[0]) for line in full[: whole + 1]}
        assert all(set(curve.steps.tolist()) <= steps for curve in run.curves.values())


def test_header_only_says_so(tmp_path: Path) -> None:
    """A log without rows is refused as one that holds nothing yet."""
    path = tmp_path / "logs.csv"
    path.write_text("step,epoch,train_loss,val_loss\n", encoding="utf-8")
    with pytest.raises(fitdiag.ReadError, match="no rows yet"):
        fitdiag.read(path)


def test_rows_without_a_value_say_so(tmp_path: Path) -> None:
    """A log whose rows hold nothing but steps has no curve to judge."""
    path = tmp_path / "logs.csv"
    path.write_text("step,epoch,train_loss,val_loss\n1,,,\n2,,,\n", encoding="utf-8")
    with pytest.raises(fitdiag.ReadError, match="holds no value"):
        fitdiag.read(path)


def test_forcing_the_format_on_another_file_is_refused(tmp_path: Path) -> None:
    """The native reader says what the first line of its logs must be."""
    path = tmp_path / "other.csv"
    path.write_text("epoch,loss\n1,2\n", encoding="utf-8")
    with pytest.raises(fitdiag.ReadError, match="must start with step,epoch"):
        fitdiag.read(path, format="native")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("step,epoch,train_loss,val_loss", "native"),
        ("step,epoch,train_loss,my_metric", "native"),
        ("step,epoch,loss,val_loss", "csv"),
        ("step,epoch,Train Loss", "csv"),
        ("epoch,step,train_loss", "csv"),
    ],
)
def test_only_logs_in_canonical_names_are_native(header: str, name: str) -> None:
    """A table of another tool that starts with step and epoch goes to the table reader."""
    head = f"{header}\n1,1,2,3\n".encode()
    reader = sniff("logs.csv", head)
    assert reader is not None
    assert reader.name == name


def test_columns_can_be_mapped(tmp_path: Path) -> None:
    """What the user says about a column goes before its name."""
    path = tmp_path / "logs.csv"
    path.write_text("step,epoch,train_loss,other\n1,1,2,3\n2,2,1,2\n", encoding="utf-8")
    run = fitdiag.read(path, columns={"val_loss": "other"})
    assert run.curves["val_loss"].values.tolist() == [3, 2]
    assert run.source.columns["val_loss"] == "other"


def test_the_kind_of_norm_is_found_wherever_it_changes(tmp_path: Path) -> None:
    """What the norms are is read from all of a long log, in the order of its rows."""
    path = tmp_path / "long.csv"
    kinds = {3: "unknown", 60_000: "pre-clip unscaled global", 89_999: "as-stepped scaled"}
    rows = [f"{i},,{1 + i:.9g},nan,{kinds.get(i, '')}" for i in range(90_000)]
    path.write_text("\n".join(["step,epoch,train_loss,lr,grad_norm_kind", *rows]) + "\n", "utf-8")
    kind = fitdiag.read(path).source.provenance["grad_norm"]
    assert kind == "unknown, pre-clip, unscaled, global, as-stepped, scaled"
    assert path.stat().st_size > 1 << 20
