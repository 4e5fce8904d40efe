"""The files of a pick: names of many tools, counted from 0 or 1, and never opened."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fitdiag import Run, diagnose
from fitdiag.checkpoint import attach_files, say_command
from fitdiag.checkpoint.folder import File, find_folder, list_files, place_files
from fitdiag.checkpoint.names import read_name
from fitdiag.checkpoint_index import Entry, write_index
from fitdiag.errors import UsageError
from fitdiag.run import Source

if TYPE_CHECKING:
    from fitdiag.findings import Checkpoint

#: ten epochs of 50 steps; the least validation loss is at epoch 6, step 300
VAL = [2.0, 1.5, 1.2, 1.0, 0.9, 0.85, 0.95, 1.1, 1.3, 1.5]
TRAIN = [2.0, 1.4, 1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2]


def make_run(path: str = "", *, unit: str = "step") -> Run:
    """Return a run that overfits from epoch 6 on."""
    steps = range(50, 550, 50) if unit == "step" else range(1, 11)
    return Run.from_arrays(
        steps=list(steps),
        epochs=list(range(1, 11)),
        unit=unit,
        train_loss=TRAIN,
        val_loss=VAL,
        source=Source(path=path),
    )


def pick_in(folder: Path, *names: str, unit: str = "step") -> Checkpoint:
    """Return the pick with the files of a folder that are named so."""
    folder.mkdir(exist_ok=True)
    for name in names:
        if name.endswith("/"):
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(b"\x80\x04never read")
    picked = diagnose(make_run(unit=unit), checkpoints=folder).checkpoint
    assert picked is not None
    assert picked.epoch == 6
    return picked


@pytest.mark.parametrize(
    ("name", "step", "epoch", "number", "word"),
    [
        ("epoch=12-step=300.ckpt", 300, 12, None, ""),
        ("epoch=12-step=300-v1.ckpt", 300, 12, None, ""),
        ("epoch=3-val_loss=0.31.ckpt", None, 3, None, ""),
        ("epoch=12.5-step=350.pt", 350, 12.5, None, ""),
        ("step=300.pt", 300, None, None, ""),
        ("epoch_12.pth", None, 12, None, ""),
        ("model_epoch12.pt", None, 12, None, ""),
        ("iter_4000.pth", 4000, None, None, ""),
        ("ckpt_000300.pt", None, None, 300, ""),
        ("checkpoint_7.pth.tar", None, None, 7, ""),
        ("weights.05-0.31.hdf5", None, None, 5, ""),
        ("12.pt", None, None, 12, ""),
        ("model-1e-3-12.pt", None, None, 12, ""),
        ("model_12k.pt", None, None, 12_000, ""),
        ("best.pt", None, None, None, "best"),
        ("model_best.pth.tar", None, None, None, "best"),
        ("best_val_loss_0.31.pt", None, None, None, "best"),
        ("last.ckpt", None, None, None, "last"),
        ("last-v1.ckpt", None, None, None, "last"),
    ],
)
def test_names_of_other_tools(
    name: str, step: float | None, epoch: float | None, number: float | None, word: str
) -> None:
    """A name tells its step, its epoch, a number that may be either, or a word."""
    said = read_name(name)
    assert said is not None
    assert (said.step, said.epoch, said.word) == (step, epoch, word)
    if step is None and epoch is None and not word:
        assert said.number == number


@pytest.mark.parametrize(
    ("name", "step"), [("checkpoint-500", 500.0), ("global_step1000", 1000.0), ("step_20", 20.0)]
)
def test_folders_are_checkpoints_too(name: str, step: float) -> None:
    """The folders of trainers tell their step, and need no ending."""
    said = read_name(name, folder=True)
    assert said is not None
    assert said.step == step


def test_folders_that_are_only_numbered_may_be_of_epochs(tmp_path: Path) -> None:
    """Folders such as checkpoint_5, one an epoch, are found by what fits the log."""
    picked = pick_in(tmp_path, *(f"checkpoint_{epoch}/" for epoch in range(10)))
    assert picked.path == str(tmp_path / "checkpoint_5")


@pytest.mark.parametrize(
    "name",
    [
        "model-00001-of-00002.safetensors",
        "rng_state_0.pth",
        "optimizer_epoch_5.pt",
        "mp_rank_00_model_states.pt",
        "notes.txt",
        "logs.csv",
        ".epoch_1.pt.part",
        "optimizer.json",
        "data.pt",
        "events.out.1.pt",
    ],
)
def test_other_names_are_no_checkpoints(name: str) -> None:
    """What does not look like a checkpoint is none."""
    assert read_name(name) is None


@pytest.mark.parametrize("name", ["2019", "run-3", "logs", "version_0"])
def test_other_folders_are_no_checkpoints(name: str) -> None:
    """A folder with just a number, or of another kind, is no checkpoint."""
    assert read_name(name, folder=True) is None


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("epoch=4-step=250.ckpt", "epoch=5-step=300.ckpt"), "epoch=5-step=300.ckpt"),
        (("checkpoint-250/", "checkpoint-300/"), "checkpoint-300"),
        (("ckpt_000250.pt", "ckpt_000300.pt", "last.ckpt"), "ckpt_000300.pt"),
        (tuple(f"epoch_{k}.pth" for k in range(1, 11)), "epoch_6.pth"),
        (tuple(f"epoch_{k}.pth" for k in range(10)), "epoch_5.pth"),
        (tuple(f"epoch={k}.ckpt" for k in (3, 5)), "epoch=5.ckpt"),
        (tuple(f"model_{k}.pt" for k in range(1, 11)), "model_6.pt"),
        (tuple(f"model_{k}.pt" for k in range(10)), "model_5.pt"),
        (("step=299.pt",), "step=299.pt"),
    ],
)
def test_the_file_of_the_pick(tmp_path: Path, names: tuple[str, ...], wanted: str) -> None:
    """The right file is found whichever way its tool counts."""
    picked = pick_in(tmp_path / "ckpt", *names)
    assert picked.path == str(tmp_path / "ckpt" / wanted)
    assert picked.nearest == picked.path
    assert wanted in picked.files


@pytest.mark.parametrize("first", [0, 1])
def test_epochs_of_a_log_without_steps(tmp_path: Path, first: int) -> None:
    """Where the log counts epochs, names by epoch are matched, from 0 or from 1."""
    names = [f"epoch_{k}.pth" for k in range(first, first + 10)]
    picked = pick_in(tmp_path / "ckpt", *names, unit="epoch")
    assert picked.path == str(tmp_path / "ckpt" / f"epoch_{first + 5}.pth")


def test_no_file_holds_the_pick(tmp_path: Path) -> None:
    """The nearest file is named with its epoch, and the best of those that are there."""
    picked = pick_in(tmp_path / "ckpt", "checkpoint-100/", "checkpoint-350/", "checkpoint-200/")
    assert picked.path is None
    assert picked.nearest == str(tmp_path / "ckpt" / "checkpoint-350")
    assert picked.nearest_step == 350
    assert "No file holds epoch 6; the nearest is" in picked.files
    assert "epoch 7" in picked.files
    assert "--nearest" in say_command(picked, "logs.csv")


def test_the_best_of_the_files_is_named_where_it_is_not_the_nearest(tmp_path: Path) -> None:
    """A nearer file from after the turn does not hide a better one from before."""
    picked = pick_in(tmp_path / "ckpt", "checkpoint-400/", "checkpoint-150/", "checkpoint-220/")
    assert picked.nearest is not None
    assert picked.nearest.endswith("checkpoint-220")
    assert "The best of the files by val_loss is" in picked.files
    assert "checkpoint-400" in picked.files


def test_alternatives_have_files_too(tmp_path: Path) -> None:
    """The last and the lowest are found by step, or by the words of their tools."""
    picked = pick_in(tmp_path / "ckpt", "best.pt", "last.pt", "epoch_3.pt")
    paths = {other.rule: other.path for other in picked.alternatives}
    assert paths["last"] == str(tmp_path / "ckpt" / "last.pt")
    assert paths["argmin"] == str(tmp_path / "ckpt" / "best.pt")
    assert picked.path is None
    assert "another tool called its best" in picked.files


def test_the_list_of_the_recorder_counts_more_than_names(tmp_path: Path) -> None:
    """What fitdiag's own index says is taken; half-written and broken files are left out."""
    names = ["epoch=6-step=300.pt", "odd name.pt", "epoch=7-step=350.pt"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    entries = [
        Entry(name=names[0], step=300, epoch=6.0, whole=False),
        Entry(name=names[1], step=300, epoch=6.0),
        Entry(name=names[2], step=350, epoch=7.0, finite=False),
    ]
    write_index(tmp_path, entries)
    picked = diagnose(make_run(), checkpoints=tmp_path).checkpoint
    assert picked is not None
    assert picked.path == str(tmp_path / "odd name.pt")


def test_files_of_another_run_are_told(tmp_path: Path) -> None:
    """Files that the recorder kept for another log are not taken unasked, and said to be so."""
    folder, other = tmp_path / "ckpt", tmp_path / "other.csv"
    folder.mkdir()
    (folder / "epoch=6-step=300.pt").touch()
    write_index(
        folder, [Entry(name="epoch=6-step=300.pt", step=300, epoch=6.0, log="../other.csv")]
    )
    run = make_run(str(tmp_path / "logs.csv"))
    assert find_folder(run) == folder  # the other log is not there: it may be this one, renamed
    other.touch()
    assert find_folder(run) is None
    asked = diagnose(run, checkpoints=folder).checkpoint
    assert asked is not None
    assert asked.files.endswith("But it was saved by another run, that of other.csv.")
    own = diagnose(make_run(str(other))).checkpoint
    assert own is not None
    assert own.files.endswith("epoch=6-step=300.pt.")


def test_the_sentence_says_how_a_name_counts(tmp_path: Path) -> None:
    """Where the number in a name is not the epoch that is told, the sentence says why."""
    assert "epoch 8, since its name counts epochs from 0" in pick_in(tmp_path, "epoch=7.ckpt").files


def test_steps_say_nothing_to_a_log_of_epochs(tmp_path: Path) -> None:
    """Where names count steps and the log has epochs alone, that is said."""
    said = pick_in(tmp_path, "checkpoint-300/", "checkpoint-350/", unit="epoch").files
    assert "they count steps, and the log has epochs alone" in said


def test_a_huge_folder_is_placed_quickly() -> None:
    """Thousands of files and evaluations take neither their product in memory nor long."""
    count = 5000
    run = Run.from_arrays(
        steps=list(range(1, count + 1)),
        epochs=[step / 10 for step in range(1, count + 1)],
        unit="step",
        val_loss=[1.0] * count,
    )
    files = [
        File(path=Path(name), name=said)
        for name in (f"model_{number}.pt" for number in range(1, count + 1))
        if (said := read_name(name)) is not None
    ]
    tracemalloc.start()
    placed = place_files(files, run, run.curves["val_loss"].steps)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [file.step for file in placed] == list(range(1, count + 1))
    assert most < 20e6


def test_a_folder_beside_the_log_is_found(tmp_path: Path) -> None:
    """Without being told, a folder with a usual name beside the log is looked into."""
    log = tmp_path / "logs.csv"
    log.write_text("", encoding="utf-8")
    assert find_folder(make_run(str(log))) is None
    (tmp_path / "checkpoints").mkdir()
    assert find_folder(make_run(str(log))) is None
    (tmp_path / "checkpoints" / "epoch_6.pt").touch()
    assert find_folder(make_run(str(log))) == tmp_path / "checkpoints"
    picked = diagnose(make_run(str(log))).checkpoint
    assert picked is not None
    assert picked.path == str(tmp_path / "checkpoints" / "epoch_6.pt")


def test_files_in_the_log_s_own_folder_are_found(tmp_path: Path) -> None:
    """The folders that a trainer makes beside its log are found too."""
    (tmp_path / "checkpoint-300").mkdir()
    assert find_folder(make_run(str(tmp_path / "log.csv"))) == tmp_path
    assert find_folder(make_run(str(tmp_path))) == tmp_path
    assert find_folder(make_run("\0")) is None


def test_a_log_within_a_checkpoint(tmp_path: Path) -> None:
    """The log that a trainer keeps within each checkpoint leads to the folder of all of them."""
    for step in (250, 300):
        (tmp_path / f"checkpoint-{step}").mkdir()
    log = tmp_path / "checkpoint-300" / "trainer_state.json"
    log.touch()
    (log.parent / "model.safetensors").touch()
    assert find_folder(make_run(str(log))) == tmp_path
    picked = diagnose(make_run(str(log))).checkpoint
    assert picked is not None
    assert picked.path == str(tmp_path / "checkpoint-300")


def test_what_the_recorder_noted_is_found(tmp_path: Path) -> None:
    """The folder that the recorder noted is looked into before any other."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "ckpt").mkdir()
    for place in ("kept", "ckpt"):
        (tmp_path / place / "step=300.pt").touch()
    run = make_run()
    source = Source(path=str(tmp_path / "logs.csv"), checkpoints="kept")
    noted = Run(curves=run.curves, epochs=run.epochs, source=source)
    assert find_folder(noted) == tmp_path / "kept"


def test_a_run_without_a_folder_stays_as_it_is() -> None:
    """A run that was made in Python has no files, and nothing is said of them."""
    picked = diagnose(make_run()).checkpoint
    assert picked is not None
    assert attach_files(picked, make_run()) == picked
    assert picked.files == ""
    assert say_command(picked, "logs.csv") == ""


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    """A folder that is missing, a file, empty or holds no checkpoint is an error that says so."""
    with pytest.raises(UsageError, match="does not exist"):
        list_files(tmp_path / "no")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file, not a folder"):
        list_files(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="is empty"):
        list_files(tmp_path / "empty")
    (tmp_path / "empty" / "notes.txt").touch()
    with pytest.raises(UsageError, match=r"epoch=12-step=300\.ckpt"):
        list_files(tmp_path / "empty")
    with pytest.raises(UsageError, match=r"cannot be read|does not exist"):
        list_files("a\0b")


def test_hostile_names_do_no_harm(tmp_path: Path) -> None:
    """Long digits, odd characters and dangling links neither raise nor are taken for a step."""
    folder = tmp_path / "ckpt"
    folder.mkdir()
    for name in ("epoch_" + "9" * 200 + ".pt", "epoch_\x1b[31m.pt", "step_٣.pt", "epoch_6.pt"):
        (folder / name).touch()
    (folder / "epoch_5.pt").symlink_to("nowhere")
    run = make_run()
    files = place_files(list_files(folder), run, run.curves["val_loss"].steps)
    assert {file.path.name: file.step for file in files}["epoch_6.pt"] == 300
    assert all(file.step is None or file.step < 1e6 for file in files)


def test_commands_are_quoted(tmp_path: Path) -> None:
    """A folder with a blank in its name is quoted in the command that copies the file."""
    picked = pick_in(tmp_path / "my ckpt", "epoch_6.pt")
    assert f"--checkpoints '{tmp_path / 'my ckpt'}'" in say_command(picked, "my logs.csv")
    assert "'my logs.csv'" in say_command(picked, "my logs.csv")
