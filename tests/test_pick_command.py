"""``fitdiag pick`` as a person and a script use it, and the file in every report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fitdiag import diagnose
from fitdiag.report import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Outcome

    Command = Callable[..., Outcome]


@pytest.fixture
def place(tmp_path: Path, sample_logs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a log whose pick is epoch 31, step 465, and two of its checkpoints."""
    shutil.copy(sample_logs / "overfitting_digits.csv", tmp_path / "logs.csv")
    (tmp_path / "ckpt").mkdir()
    for name in ("epoch=30-step=465.ckpt", "last.ckpt"):
        (tmp_path / "ckpt" / name).write_text(name, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("place")
def test_the_command_says_what_why_and_where(command: Command) -> None:
    """The text names the step, the reason, the regret, the file, the others and a command."""
    outcome = command("pick", "logs.csv")
    assert outcome.code == 0
    shown = " ".join(outcome.out.split())
    assert "Keep epoch 31 (step 465)" in shown
    assert "Why The gradient norm has settled" in shown
    assert "Regret It is the lowest raw value too." in shown
    assert "File It is in ckpt/epoch=30-step=465.ckpt." in shown
    assert "Last: epoch 100 (step 1,500), 1.524, ckpt/last.ckpt" in shown
    assert "Copy fitdiag pick logs.csv --checkpoints ckpt --copy-to best/" in shown


@pytest.mark.usefixtures("place")
def test_a_script_gets_the_path_alone(command: Command) -> None:
    """With --print-path there is one line on standard output, which is the file."""
    outcome = command("pick", "logs.csv", "--print-path")
    assert outcome.out == f"{Path('ckpt') / 'epoch=30-step=465.ckpt'}\n"
    assert outcome.err == ""


def test_odd_names_are_printed_to_the_byte_and_shown_without_escapes(
    command: Command, place: Path
) -> None:
    """A script gets a name as it is; a terminal gets nothing that it would obey."""
    shutil.rmtree(place / "ckpt")
    (place / "ckpt").mkdir()
    name = "epoch=30\n\x1b[31m-step=465.ckpt"
    (place / "ckpt" / name).touch()
    assert command("pick", "logs.csv", "--print-path").out == f"ckpt/{name}\n"
    outcome = command("pick", "logs.csv", "--copy-to", "best/")
    assert outcome.err.startswith("Copied ckpt/epoch=30")
    assert "\x1b" not in outcome.out + outcome.err
    assert outcome.err.count("\n") == 1


def test_the_file_is_copied_whole(command: Command, place: Path) -> None:
    """--copy-to makes the folder, copies the file, and does not overwrite without --force."""
    outcome = command("pick", "logs.csv", "--copy-to", "best/")
    target = place / "best" / "epoch=30-step=465.ckpt"
    assert outcome.code == 0
    assert target.read_text("utf-8") == "epoch=30-step=465.ckpt"
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    again = command("pick", "logs.csv", "--copy-to", "best/")
    assert again.code == 2
    assert "is there already; --force overwrites it" in again.err
    assert command("pick", "logs.csv", "--copy-to", "best/", "--force").code == 0


def test_a_folder_is_copied_too(command: Command, place: Path) -> None:
    """A checkpoint that is a folder is copied with what is in it."""
    shutil.rmtree(place / "ckpt")
    (place / "ckpt" / "checkpoint-465").mkdir(parents=True)
    (place / "ckpt" / "checkpoint-465" / "model.safetensors").touch()
    for more in ((), ("--force",)):
        assert command("pick", "logs.csv", "--copy-to", "best", *more).code == 0
    assert (place / "best" / "checkpoint-465" / "model.safetensors").exists()
    assert len(list((place / "best").iterdir())) == 1


def test_a_copy_that_cannot_be_written(command: Command, place: Path) -> None:
    """A place that takes no file is an error that names it, and nothing half is left."""
    (place / "best").write_text("a file", encoding="utf-8")
    outcome = command("pick", "logs.csv", "--copy-to", "best")
    assert outcome.code == 2
    assert "cannot copy" in outcome.err
    assert "best" in outcome.err


def test_no_file_holds_the_pick(command: Command, place: Path) -> None:
    """A script fails with the nearest file named, unless it takes that with --nearest."""
    kept = place / "ckpt" / "epoch=30-step=465.ckpt"
    kept.rename(kept.with_name("epoch=27-step=420.ckpt"))
    outcome = command("pick", "logs.csv", "--print-path")
    assert (outcome.code, outcome.out) == (3, "")
    assert "No file holds epoch 31; the nearest is" in outcome.err
    near = command("pick", "logs.csv", "--print-path", "--nearest")
    assert near.out.endswith("epoch=27-step=420.ckpt\n")
    assert "--nearest" in command("pick", "logs.csv").out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--checkpoints", "no"), 2, "does not exist"),
        (("--checkpoints", "logs.csv"), 2, "is a file, not a folder"),
        (("--metric", "val_bleu:max"), 2, "the log has no curve 'val_bleu'"),
        (("--metric", "lr"), 2, "write lr:min or lr:max"),
    ],
)
@pytest.mark.usefixtures("place")
def test_wrong_arguments(
    command: Command, arguments: tuple[str, ...], code: int, message: str
) -> None:
    """A wrong argument is one line that names it and what to do."""
    outcome = command("pick", "logs.csv", *arguments)
    assert outcome.code == code
    assert message in outcome.err
    assert outcome.out == ""


def test_without_any_folder(command: Command, place: Path) -> None:
    """Without checkpoints there is a pick all the same, and a script is told what is missing."""
    shutil.rmtree(place / "ckpt")
    outcome = command("pick", "logs.csv")
    assert outcome.code == 0
    assert "No folder of checkpoints is known" in outcome.out
    assert "Copy" not in outcome.out
    script = command("pick", "logs.csv", "--print-path")
    assert script.code == 3
    assert "name it with --checkpoints" in script.err


def test_nothing_to_choose_from(command: Command, place: Path) -> None:
    """A run without a finite loss is an error with the exit code for what cannot be judged."""
    rows = "".join(f"{epoch},nan,nan\n" for epoch in range(1, 9))
    (place / "bad.csv").write_text(f"epoch,train_loss,val_loss\n{rows}", encoding="utf-8")
    outcome = command("pick", "bad.csv")
    assert outcome.code == 3
    assert outcome.err.startswith("Error: ")


@pytest.mark.usefixtures("place")
def test_json_is_strict(command: Command) -> None:
    """The JSON holds the pick with its files and alternatives."""
    document = json.loads(command("pick", "logs.csv", "--format", "json").out)
    assert document["format"] == 1
    assert document["checkpoint"]["step"] == 465
    assert document["checkpoint"]["path"].endswith("epoch=30-step=465.ckpt")
    assert len(document["checkpoint"]["alternatives"]) == 3


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("form", ["text", "html", "md", "json"])
def test_every_report_names_the_file(form: str) -> None:
    """The file stands in every report, with a command where a person reads it."""
    document = str(render(diagnose("logs.csv"), form))
    assert "epoch=30-step=465.ckpt" in document
    if form != "json":
        assert "fitdiag pick logs.csv --checkpoints ckpt --copy-to best/" in document


def test_odd_names_are_never_put_into_a_command(place: Path) -> None:
    """A folder whose name a report has to change is shown, but not as a command to copy."""
    (place / "ckpt").rename(place / "ck\x1b[31mpt")
    document = str(render(diagnose("logs.csv", checkpoints="ck\x1b[31mpt"), "md"))
    assert "\x1b" not in document
    assert "--copy-to" not in document
