"""What is said of files and folders that cannot be read: one sentence, no traceback."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fitdiag
from fitdiag.errors import ColumnError, FormatError, UsageError
from fitdiag.readers import READERS, formats, sniff

TEXTS = {
    "empty": ("", "is empty"),
    "blank lines": ("\n\n  \n", "nothing but blank lines"),
    "header only": ("epoch,loss,val_loss\n", "has one line, 'epoch,loss,val_loss'"),
    "header twice": ("epoch,loss\nepoch,loss\n", "no numeric column"),
    "only words": ("name,colour\nfox,red\nhare,grey\n", "no numeric column"),
    "loss is text": ("epoch,loss\n1,low\n2,lower\n", "none of its columns says"),
    "no train loss": ("epoch,val_loss\n1,2\n", r'--map train_loss="'),
    "components only": ("epoch,d_loss,g_loss\n1,2,3\n", r'--map train_loss="d_loss"'),
    "best only": ("epoch,best_val_loss,time\n1,2,3\n", "none of its columns says"),
    "no header": ("1,2.5,3\n2,1.5,2\n", r"--map train_loss=1 --map val_loss=2"),
    "no header, one column": ("2.5\n1.5\n", r"one column of numbers .* --map train_loss=1\."),
    "two losses": ("epoch,loss,Loss\n1,2,3\n", "could be the train_loss and differ.*--map"),
    "the same name twice": ("epoch,loss,loss\n1,2,3\n", "rename one of them"),
    "two validation losses": ("loss,val_loss,Val Loss\n1,2,3\n", "could be the val_loss"),
    "all empty": ("epoch,loss\n1,\n2,\n", "holds no value"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_unusable_tables_are_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    """The sentence names the file and says what is wrong with it."""
    text, sentence = TEXTS[name]
    path = tmp_path / "history.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(fitdiag.ReadError, match=sentence) as caught:
        fitdiag.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


BYTES = {
    "zeros": (bytes(4000), "nothing but zero bytes"),
    "pickle": (b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94.", "never unpickles"),
    "old pickle": (b"(dp0\nS'loss'\np1\n(lp2\n", "never unpickles"),
    "lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
    "zip": (b"PK\x03\x04" + bytes(60), "ZIP"),
    "gzip": (b"\x1f\x8b\x08\x00" + bytes(60), "gzip"),
    "numpy": (b"\x93NUMPY\x01\x00" + bytes(60), "NumPy"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(60), "picture"),
    "sqlite": (b"SQLite format 3\x00" + bytes(60), "SQLite"),
    "noise": (bytes(range(256)) * 8, "binary"),
    "xml": (b"<?xml version='1.0'?><x/>", "in no format"),
}


@pytest.mark.parametrize("name", BYTES)
def test_binary_files_are_named_for_what_they_are(tmp_path: Path, name: str) -> None:
    """A file that is no text is refused before anything tries to read it."""
    data, sentence = BYTES[name]
    path = tmp_path / "history"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=sentence):
        fitdiag.read(path)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    """Nothing that a log folder holds is unpickled, whatever it is called."""
    path = tmp_path / "history.csv"
    target = tmp_path / "ran"
    path.write_bytes(b"cos\nsystem\n(S'touch " + os.fsencode(target) + b"'\ntR.")
    with pytest.raises(fitdiag.ReadError):
        fitdiag.read(path)
    assert not target.exists()


def test_missing_file_suggests_its_neighbours(tmp_path: Path) -> None:
    """A slip in a file name is answered with the names that are there."""
    (tmp_path / "history.csv").write_text("loss\n1\n", encoding="utf-8")
    with pytest.raises(fitdiag.ReadError, match=r"does not exist; did you mean .*history\.csv\?"):
        fitdiag.read(tmp_path / "histroy.csv")
    with pytest.raises(fitdiag.ReadError, match="neither does the folder"):
        fitdiag.read(tmp_path / "nowhere" / "history.csv")
    with pytest.raises(fitdiag.ReadError, match=r"does not exist: check the path\."):
        fitdiag.read(tmp_path / "zzzz")


def test_a_path_below_a_file_says_so(tmp_path: Path) -> None:
    """A path that goes through a file is named as such."""
    (tmp_path / "a.csv").write_text("loss\n1\n", encoding="utf-8")
    with pytest.raises(fitdiag.ReadError, match="below a file"):
        fitdiag.read(tmp_path / "a.csv" / "b.csv")


def test_unreadable_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read is answered with what to change."""
    path = tmp_path / "a.csv"
    path.write_text("loss\n1\n", encoding="utf-8")

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(fitdiag.ReadError, match="may not be read by this user"):
        fitdiag.read(path)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """Something that is no regular file is refused instead of waited for."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(fitdiag.ReadError, match="no regular file"):
        fitdiag.read(path)


def test_names_with_a_zero_are_refused() -> None:
    """A path that the system does not take is refused like any other."""
    with pytest.raises(fitdiag.ReadError, match="cannot be read"):
        fitdiag.read("a\0b.csv")


def test_unknown_format_lists_the_choices(tmp_path: Path) -> None:
    """A format that does not exist is a usage error with the formats that do."""
    with pytest.raises(UsageError, match="choose one of native, "):
        fitdiag.read(tmp_path, format="excel")


@pytest.mark.parametrize("name", ["loss", "train_los", "Train Loss", "val_", ""])
def test_unknown_curve_lists_the_choices(tmp_path: Path, name: str) -> None:
    """A curve name that does not exist is a usage error with the names that do."""
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UsageError, match="choose one of train_loss, val_loss"):
        fitdiag.read(path, columns={name: "a"})


def test_unknown_column_suggests_close_names(tmp_path: Path) -> None:
    """A slip in a column name is answered with the columns that are there."""
    path = tmp_path / "a.csv"
    path.write_text("epoch,my loss,other\n1,2,3\n", encoding="utf-8")
    with pytest.raises(ColumnError, match='did you mean "my loss"'):
        fitdiag.read(path, columns={"train_loss": "my los"})


def test_unknown_column_number_tells_the_range(tmp_path: Path) -> None:
    """Without a header, a column number out of range is answered with the range."""
    path = tmp_path / "a.csv"
    path.write_text("1,2.5\n2,1.5\n", encoding="utf-8")
    with pytest.raises(ColumnError, match="by number, 1 to 2"):
        fitdiag.read(path, columns={"train_loss": "3"})


def test_long_lists_of_columns_are_cut(tmp_path: Path) -> None:
    """A message names twelve columns and says how many more there are."""
    path = tmp_path / "a.csv"
    names = [f"col{number}" for number in range(40)]
    path.write_text(",".join(names) + "\n" + ",".join("1" * 40) + "\n", encoding="utf-8")
    with pytest.raises(ColumnError, match='"col11" and 28 more'):
        fitdiag.read(path)


def test_ten_thousand_columns_are_read(tmp_path: Path) -> None:
    """A very wide table is read, and only its losses are taken."""
    path = tmp_path / "wide.csv"
    names = ["epoch", "loss", "val_loss", *(f"layer{number}/weight" for number in range(9_997))]
    lines = [",".join(str(row + column) for column in range(10_000)) for row in range(20)]
    path.write_text("\n".join([",".join(names), *lines, ""]), encoding="utf-8")
    run = fitdiag.read(path)
    assert set(run.curves) == {"train_loss", "val_loss"}


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 10_000_000,
        b"1," * 5_000_000,
        b"epoch,loss\n1,2\n" + b"9" * 10_000_000,
        b"epoch,loss\n1," + b'"' + b"a" * 10_000_000,
        b"epoch,loss\n" + b"1," * 2_000_000 + b"\n2,3\n",
        b"epoch,loss\n1,2\n" + b"\0" * 5_000_000,
        b'epoch,loss\n1,"' + b"a" * 200_000 + b'"\n',
    ],
    ids=["line", "cells", "number", "quote", "row", "zeros", "field"],
)
def test_hostile_files_end(tmp_path: Path, data: bytes) -> None:
    """Huge lines, cells and gaps end in a run or a sentence."""
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with contextlib.suppress(fitdiag.ReadError):
        assert fitdiag.read(path).curves


def test_folder_takes_the_newest_log_with_both_losses(tmp_path: Path) -> None:
    """In a folder, the newest log with a validation loss is read and the others are named."""
    texts = {"old.csv": "loss,val_loss\n1,2\n", "new.csv": "loss,val_loss\n3,4\n"}
    texts |= {"train.csv": "loss\n5\n", "notes.txt": "hello\n", ".hidden.csv": "loss\n6\n"}
    for age, (name, text) in enumerate(texts.items()):
        (tmp_path / name).write_text(text, encoding="utf-8")
        os.utime(tmp_path / name, (1_000_000 + age, 1_000_000 + age))
    run = fitdiag.read(tmp_path)
    assert run.curves["train_loss"].values.tolist() == [3]
    assert run.source.path == str(tmp_path / "new.csv")
    assert run.source.notes[0].startswith("Read new.csv from the folder; also there: ")
    assert "old.csv" in run.source.notes[0]
    assert "hidden" not in run.source.notes[0]


def test_folder_prefers_usual_names(tmp_path: Path) -> None:
    """A file with the usual name of a log goes before newer ones without."""
    (tmp_path / "logs.csv").write_text("loss,val_loss\n1,2\n", encoding="utf-8")
    (tmp_path / "zzz.csv").write_text("loss,val_loss\n3,4\n", encoding="utf-8")
    os.utime(tmp_path / "logs.csv", (1_000_000, 1_000_000))
    assert fitdiag.read(tmp_path).curves["train_loss"].values.tolist() == [1]


def test_folder_with_a_train_loss_only_is_read(tmp_path: Path) -> None:
    """Where no log has a validation loss, one with a training loss is read."""
    (tmp_path / "a.csv").write_text("loss\n1\n", encoding="utf-8")
    assert fitdiag.read(tmp_path).curves["train_loss"].values.tolist() == [1]


def test_folder_without_logs_lists_what_it_saw(tmp_path: Path) -> None:
    """A folder without logs is refused with the names of its files, or why its one table fails."""
    with pytest.raises(fitdiag.ReadError, match="no files directly inside"):
        fitdiag.read(tmp_path)
    (tmp_path / "model.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(fitdiag.ReadError, match=r"there are model\.pt"):
        fitdiag.read(tmp_path)
    (tmp_path / "a.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    with pytest.raises(fitdiag.ReadError, match="--map train_loss"):
        fitdiag.read(str(tmp_path))


def test_formats_are_those_of_the_readers() -> None:
    """What ``fitdiag formats`` lists is what ``read`` tries, in that order."""
    assert [name for name, _, _ in formats()] == [reader.name for reader in READERS]
    assert all(description and example for _, description, example in formats())


def test_sniff_knows_tables_by_their_text_not_their_name() -> None:
    """A table is recognised whatever it is called, and prose is none."""
    found = sniff("training.log", b"epoch,accuracy,loss\n0,0.5,1.0\n")
    assert found is not None
    assert found.name == "csv"
    assert sniff("training.log", b"Chapter 1 is short.\nChapter 2 is long.\n") is None
    assert sniff("settings.toml", b"[model]\nlayers = 3\n") is None


def test_small_logs_are_read_without_pandas(tmp_path: Path) -> None:
    """Reading a small log loads neither pandas nor matplotlib nor torch."""
    path = tmp_path / "a.csv"
    path.write_text("epoch,loss\n1,2\n2,nan\n", encoding="utf-8")
    code = (
        "import sys, fitdiag; fitdiag.read(sys.argv[1]); "
        "print(sorted({'pandas', 'scipy', 'matplotlib', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
