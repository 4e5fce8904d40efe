"""Folders: the log that is in them, all runs below them, and runs from memory."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import fitdiag
from fitdiag.errors import ReadError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

NAN = float("nan")
BOTH = "epoch,loss,val_loss\n1,{0},3\n2,1,2\n"


def write(path: Path, text: str) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def values(run: fitdiag.Run, name: str = "train_loss") -> list[float]:
    """Return the values of a curve."""
    found: list[float] = run.curves[name].values.tolist()  # noqa: PD011  # no frame's values
    return found


def firsts(folder: Path) -> list[float]:
    """Return the first training loss of each run below a folder."""
    return [values(run)[0] for _, run in fitdiag.runs(folder)]


def test_all_runs_below_a_folder_are_found(tmp_path: Path) -> None:
    """Every log in a tree is found, in the order of names with numbers counted."""
    for number in (10, 9, 1):
        write(tmp_path / f"run_{number}" / "history.csv", BOTH.format(number))
    write(tmp_path / "readme.md", "# notes\n")
    write(tmp_path / "run_1" / "notes.txt", "nothing here\n")
    write(tmp_path / "run_1" / "model.pt", BOTH.format(99))
    write(tmp_path / ".cache" / "history.csv", BOTH.format(99))
    write(tmp_path / ".guild" / "history.csv", BOTH.format(7))
    assert firsts(tmp_path) == [7, 1, 9, 10]
    paths = [path.parent.name for path, _ in fitdiag.runs(tmp_path)]
    assert paths == [".guild", "run_1", "run_9", "run_10"]


def test_a_log_with_several_runs_comes_several_times(tmp_path: Path) -> None:
    """Each run of a log is yielded, one after the other, and nothing is read ahead of need."""
    write(tmp_path / "a.csv", "epoch,loss\n0,9\n1,8\n0,4\n1,3\n")
    found = fitdiag.runs(tmp_path)
    assert values(next(found)[1]) == [9, 8]
    assert values(next(found)[1]) == [4, 3]
    assert next(found, None) is None


def test_loops_of_links_end(tmp_path: Path) -> None:
    """A link to a folder above is not followed again, and a broken one is passed over."""
    write(tmp_path / "a" / "log.csv", BOTH.format(5))
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "gone").symlink_to(tmp_path / "nothing")
    assert firsts(tmp_path) == [5]


def test_what_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that may not be listed is named in a warning, and the rest is found."""
    write(tmp_path / "a" / "log.csv", BOTH.format(5))
    write(tmp_path / "b" / "log.csv", BOTH.format(6))
    list_folder: Any = os.scandir

    def refuse(path: object) -> object:
        if str(path).endswith("a"):
            raise PermissionError(13, "Permission denied")
        return list_folder(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.warns(UserWarning, match="a cannot be listed: Permission denied"):
        assert firsts(tmp_path) == [6]


def test_runs_of_one_format(tmp_path: Path) -> None:
    """With a format only its logs are found; what does not exist is an error at once."""
    write(tmp_path / "a.csv", BOTH.format(5))
    write(tmp_path / "b.csv", "step,epoch,train_loss,val_loss\n1,1,6,7\n2,2,5,6\n")
    (run,) = [run for _, run in fitdiag.runs(tmp_path, format="native")]
    assert values(run) == [6, 5]
    with pytest.raises(ReadError, match="does not exist"):
        list(fitdiag.runs(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="unknown format"):
        fitdiag.runs(tmp_path, format="excel")


def test_report_of_an_experiment_folder(tmp_path: Path) -> None:
    """The newest complete run below a folder is read, and the others are named."""
    for age, name in enumerate(("old", "new")):
        path = write(tmp_path / name / "history.csv", BOTH.format(age + 5))
        os.utime(path, (1_000_000 + age, 1_000_000 + age))
    write(tmp_path / "newest" / "history.csv", "epoch,loss\n1,9\n2,8\n")
    run = fitdiag.read(tmp_path)
    assert values(run) == [6, 1]
    assert run.source.notes[0].startswith("Read new/history.csv from the folder; also there: ")
    assert "old/history.csv" in run.source.notes[0]
    assert values(fitdiag.read(tmp_path, run=3))[0] == 5
    with pytest.raises(UsageError, match="holds 3 runs"):
        fitdiag.read(tmp_path, run=4)


def test_dvclive_folders(tmp_path: Path) -> None:
    """A DVCLive folder is one run: steps of each file are kept, final values are no curves."""
    tree = tmp_path / "dvclive" / "plots" / "metrics"
    write(tree / "loss.tsv", "step\tloss\n0\t3\n2\t2\n4\t1\n")
    write(tree / "train" / "loss.tsv", "step\tloss\n4\t2\n")
    write(tree / "eval" / "loss.tsv", "timestamp\tstep\tloss\n9\t1\t4\n9\t3\t3\n")
    write(tree / "learning_rate.tsv", "step\tlearning_rate\n0\t0.1\n2\t0.01\n")
    write(tree / "epoch.tsv", "step\tepoch\n0\t0.5\n1\t0.5\n2\t1\n3\t1\n4\t1.5\n")
    write(tree / "step.tsv", "step\n1\n2\n")
    for place in (tmp_path, tmp_path / "dvclive", tree):
        run = fitdiag.read(place)
        assert run.source.format == "dvclive"
        assert values(run) == [3, 2, 1]
        assert run.curves["val_loss"].steps.tolist() == [1, 3]
        assert values(run, "lr") == [0.1, 0.01]
        assert run.epoch_at(4) == 1.5
        assert "final values" in " ".join(run.source.notes)


def test_dvclive_final_values_are_no_curve(tmp_path: Path) -> None:
    """Without the plots a DVCLive folder holds no curve, and says where the curves are."""
    write(tmp_path / "dvclive" / "metrics.json", '{"loss": 0.4, "step": 3}')
    with pytest.raises(ReadError, match="final values of a DVCLive run only"):
        fitdiag.read(tmp_path / "dvclive")


def lightning(epochs: range, start: float) -> str:
    """Return a metrics.csv of some epochs of a hundred steps each."""
    lines = ["epoch,step,train_loss_epoch,val_loss"]
    for epoch in epochs:
        lines.append(f"{epoch},{100 * epoch + 99},,{start + 1 - epoch / 10}")
        lines.append(f"{epoch},{100 * epoch + 99},{start - epoch / 10},")
    return "\n".join(lines) + "\n"


def test_lightning_versions(tmp_path: Path) -> None:
    """Versions are runs in the order of their numbers, and a resumed one is joined."""
    logs = tmp_path / "lightning_logs"
    write(logs / "version_0" / "metrics.csv", lightning(range(6), 3))
    write(logs / "version_2" / "metrics.csv", lightning(range(3), 7))
    write(logs / "version_10" / "metrics.csv", lightning(range(4, 9), 2))
    write(logs / "version_1" / "hparams.yaml", "lr: 0.1\n")
    found = [run for _, run in fitdiag.runs(logs)]
    assert [values(run)[0] for run in found] == [7, 3]
    joined = fitdiag.read(logs)
    assert joined.curves["train_loss"].steps.tolist() == [100 * epoch + 99 for epoch in range(9)]
    assert values(joined, "val_loss")[4] == pytest.approx(2.6)
    assert joined.epoch_at(899) == 8
    assert "goes on from at step 499" in " ".join(joined.source.notes)


def test_files_for_each_metric(tmp_path: Path) -> None:
    """A folder with a file for the loss and one for the validation loss is one run."""
    write(tmp_path / "epoch_loss.txt", "3\n2\n1\n")
    write(tmp_path / "epoch_val_loss.txt", "4\n3\n2\n")
    write(tmp_path / "readme.txt", "the losses of the run\n")
    run = fitdiag.read(tmp_path)
    assert values(run) == [3, 2, 1]
    assert values(run, "val_loss") == [4, 3, 2]


def test_frames(tmp_path: Path) -> None:
    """A data frame gives the run that its CSV gives."""
    text = "epoch,Train Loss,Val Loss,lr\n1,3,4,.1\n2,2,,.1\n3,1,2,.01\n"
    path = write(tmp_path / "log.csv", text)
    run, same = fitdiag.Run.from_frame(pd.read_csv(path)), fitdiag.read(path)
    assert run.unit == same.unit
    assert run.source.columns == same.source.columns
    for name, curve in same.curves.items():
        np.testing.assert_array_equal(run.curves[name].steps, curve.steps)
        np.testing.assert_array_equal(values(run, name), values(same, name))


def test_frames_of_other_shapes() -> None:
    """A named index is an axis, a long frame is taken apart, a diverged loss stays NaN."""
    frame = pd.DataFrame({"loss": [3.0, NAN, NAN, NAN]}, index=pd.Index([5, 6, 7, 8], name="epoch"))
    run = fitdiag.Run.from_frame(frame)
    assert run.curves["train_loss"].steps.tolist() == [5, 6, 7, 8]
    long = pd.DataFrame(
        {"epoch": [1, 1, 2, 2], "phase": ["train", "val"] * 2, "loss": [3, 4, 2, 3]}
    )
    assert values(fitdiag.Run.from_frame(long), "val_loss") == [4, 3]
    folds = pd.DataFrame({"epoch": [1, 2, 1, 2], "fold": list("aabb"), "loss": [3, 2, 5, 4]})
    assert values(fitdiag.Run.from_frame(folds, run=2)) == [5, 4]
    mine = pd.DataFrame({"mine": [2.0, 1.0]})
    assert fitdiag.Run.from_frame(mine, columns={"train_loss": "mine"}).train_loss is not None
    with pytest.raises(ReadError, match="the data frame is empty"):
        fitdiag.Run.from_frame(pd.DataFrame({"loss": []}))
    with pytest.raises(UsageError, match="DataFrame is needed, not dict"):
        fitdiag.Run.from_frame({"loss": [1]})


HISTORIES = {
    "keras": SimpleNamespace(epoch=[0, 1], history={"loss": [2.0, 1.0], "val_loss": [3.0, 2.0]}),
    "dict": {"loss": [2.0, 1.0], "val_loss": [3.0, 2.0]},
    "numpy": {"loss": np.array([2, 1]), "val_loss": [np.float32(3), np.float64(2)]},
    "nested": {"train": {"loss": [2, 1]}, "val": {"loss": [3, 2]}, "name": "run"},
    "rows": [{"epoch": 1, "loss": 2, "val_loss": 3}, {"epoch": 2, "loss": 1, "val_loss": 2}],
    "nested rows": [
        {"train": {"loss": 2}, "val": {"loss": 3}},
        {"train": {"loss": 1}, "val": {"loss": 2}},
    ],
}


@pytest.mark.parametrize("name", HISTORIES)
def test_histories(name: str) -> None:
    """What Keras and loops keep in memory is a run."""
    run = fitdiag.Run.from_history(HISTORIES[name])
    assert values(run) == [2, 1]
    assert values(run, "val_loss") == [3, 2]


def test_histories_with_gaps() -> None:
    """A shorter list was measured every so many epochs; one that fits nowhere is refused."""
    run = fitdiag.Run.from_history({"loss": [4, 3, 2, 1], "val_loss": [4, NAN]})
    assert run.curves["val_loss"].steps.tolist() == [2, 4]
    assert np.isnan(values(run, "val_loss")[1])
    rows = [{"epoch": 1, "loss": 2}, {"epoch": 2, "loss": NAN, "val_loss": 1}]
    assert fitdiag.Run.from_history(rows).curves["val_loss"].steps.tolist() == [2]
    with pytest.raises(ReadError, match="give both their steps"):
        fitdiag.Run.from_history({"loss": [5, 4, 3, 2, 1], "val_loss": [4, 3, 2]})
    empty: list[Any] = [{}, {"loss": []}, []]
    for nothing in empty:
        with pytest.raises(ReadError, match="the history is empty"):
            fitdiag.Run.from_history(nothing)
    for strange in ("loss", 3, [1, 2]):
        with pytest.raises(UsageError, match="list of dicts is needed"):
            fitdiag.Run.from_history(strange)
