"""Bad input: one clear sentence, the right exit code, no traceback, nothing half-written."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

import fitdiag
from fitdiag.errors import FitdiagError, ReadError, UsageError, WriteError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Outcome

    Command = Callable[..., Outcome]

HEAD = "epoch,train_loss,val_loss\n"
GOOD = HEAD + "".join(
    f"{k},{0.05 + 2 * 0.88**k:.5f},{0.4 + 1.9 * 0.8**k + 0.02 * max(k - 12, 0):.5f}\n"
    for k in range(1, 31)
)
NOISE = b"".join(hashlib.sha256(b"%d" % k).digest() for k in range(120))

#: content of a log that cannot be read, and what the message has to name
UNREADABLE: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "empty file": (b"", ("is empty",)),
    "only blank lines": (b"\n\n\n", ("log.csv",)),
    "header only": (HEAD.encode(), ("epoch,train_loss,val_loss", "no row")),
    "binary": (NOISE, ("binary",)),
    "zeros": (bytes(4000), ("log.csv",)),
    "pickle": (b"\x80\x04\x95\x0f" + NOISE, ("pickle", "CSV")),
    "archive": (b"PK\x03\x04" + NOISE, ("ZIP",)),
    "no numeric column": (b"name,city\nbob,rome\nann,paris\n", ("name,city", "numeric")),
    "no train loss": (
        b"epoch,foo,bar\n" + b"".join(b"%d,%d,3\n" % (k, k * k) for k in range(1, 9)),
        ("training loss", '"foo"', "--map train_loss="),
    ),
    "duplicate columns that differ": (
        b"epoch,train_loss,train_loss\n"
        + b"".join(b"%d,%d,%d\n" % (k, 9 - k, 8 - k) for k in range(1, 9)),
        ("column 2", "column 3", "train_loss"),
    ),
    "prose": (b"Dear diary,\ntoday I trained a model.\nIt was nice.\n" * 20, ("log.csv",)),
}

#: content that is odd and readable, and words of the verdict
ODD: dict[str, tuple[str, set[str]]] = {
    "one row": (HEAD + "1,2.0,2.1\n", {"inconclusive"}),
    "NaN and infinity everywhere": (
        HEAD + "".join(f"{k},nan,inf\n" for k in range(1, 20)),
        {"diverged"},
    ),
    "constant curves": (HEAD + "".join(f"{k},0.5,0.6\n" for k in range(1, 30)), {"no_learning"}),
    "zero curves": (HEAD + "".join(f"{k},0,0\n" for k in range(1, 30)), {"no_learning"}),
    "ragged rows": (GOOD + "31,0.09\n32\n33,0.08,0.8,7,7\n", {"overfitting"}),
    "duplicate columns that agree": (
        "epoch,train_loss,val_loss,val_loss\n"
        + "".join(f"{k},{2 * 0.9**k},{3 * 0.9**k},{3 * 0.9**k}\n" for k in range(1, 40)),
        {"ideal", "controlled_gap"},
    ),
    "steps that go back": (GOOD + "".join(GOOD.splitlines(keepends=True)[20:]), {"overfitting"}),
    "a torn last line": (GOOD + "31,0.0", {"overfitting"}),
}


@pytest.fixture(params=UNREADABLE)
def unreadable(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, tuple[str, ...]]:
    """Write a log that cannot be read; return it with what the message has to name."""
    content, named = UNREADABLE[request.param]
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    return path, named


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, set[str]]:
    """Write a log that is odd and readable; return it with the verdicts it may get."""
    content, verdicts = ODD[request.param]
    path = tmp_path / "log.csv"
    path.write_text(content, encoding="utf-8")
    return path, verdicts


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def fails(done: Outcome, code: int, *named: str) -> None:
    """Assert that a command failed with one line that names these."""
    assert done.code == code, done.err
    assert done.err.startswith("Error: ")
    assert done.err.endswith(".\n") or done.err.endswith("?\n")
    assert done.err.count("\n") == 1
    for name in named:
        assert name in done.err


def test_unreadable_log_on_the_command_line(
    command: Command, unreadable: tuple[Path, tuple[str, ...]]
) -> None:
    """A log that cannot be read exits with 3 and a sentence that names it, from each command."""
    path, named = unreadable
    fails(command("report", path), 3, str(path), *named)
    fails(command("check", path), 3, str(path), *named)
    assert names_in(path.parent) == ["log.csv"]


def test_unreadable_log_in_python(unreadable: tuple[Path, tuple[str, ...]]) -> None:
    """A log that cannot be read raises a ReadError that names it."""
    path, named = unreadable
    for call in (fitdiag.read, fitdiag.diagnose):
        with pytest.raises(ReadError) as caught:
            call(path)
        assert all(name in str(caught.value) for name in (str(path), *named))


def test_odd_log_is_judged(command: Command, odd: tuple[Path, set[str]]) -> None:
    """An odd log that can be read gets a verdict and both files, and no warning."""
    path, verdicts = odd
    done = command("report", path)
    assert done.code == 0, done.err
    assert done.err == "Wrote log.report.html and log.report.png.\n"
    assert fitdiag.diagnose(path).verdict.value in verdicts


def test_odd_log_is_said_to_be_odd(command: Command, tmp_path: Path) -> None:
    """Steps that go back and rows that are cut are noted in the report."""
    for name in ("steps that go back", "ragged rows"):
        path = tmp_path / f"{name}.csv"
        path.write_text(ODD[name][0], encoding="utf-8")
        assert fitdiag.read(path).source.notes
        assert fitdiag.read(path).source.notes[0] in " ".join(
            command("report", path, "--format", "json").out.split()
        )


def test_missing_file_and_folder(command: Command, tmp_path: Path) -> None:
    """A missing file is named with its like, and an empty folder says what it lacks."""
    (tmp_path / "logs.csv").write_text(GOOD, encoding="utf-8")
    (tmp_path / "empty").mkdir()
    fails(command("report", tmp_path / "log.csv"), 3, "does not exist", "logs.csv")
    fails(command("report", tmp_path / "no" / "log.csv"), 3, "does not exist")
    fails(command("report", tmp_path / "logs.csv" / "x.csv"), 3, "below a file")
    fails(command("report", tmp_path / "empty"), 3, "no log")
    with pytest.raises(ReadError, match="does not exist"):
        fitdiag.read(tmp_path / "log.csv")
    with pytest.raises(ReadError, match="no log"):
        fitdiag.read(tmp_path / "empty")


def test_folder_with_a_log_is_read(command: Command, tmp_path: Path) -> None:
    """A folder stands for the log in it, and names the report's files."""
    folder = tmp_path / "run 1"
    folder.mkdir()
    (folder / "logs.csv").write_text(GOOD, encoding="utf-8")
    done = command("report", folder)
    assert done.code == 0, done.err
    assert (tmp_path / "run 1.report.html").exists()


def test_device_is_no_log(command: Command) -> None:
    """A device or a pipe is refused instead of read for ever."""
    fails(command("report", "/dev/zero"), 3, "/dev/zero", "regular file")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_other_encodings_are_read(command: Command, tmp_path: Path, encoding: str) -> None:
    """A log in another usual encoding is read, accents or not."""
    path = tmp_path / "log.csv"
    path.write_bytes(GOOD.replace("epoch", "époque").encode(encoding))
    done = command("report", path, "--format", "json")
    assert done.code == 0, done.err


def test_ten_thousand_columns(command: Command, tmp_path: Path) -> None:
    """A log of 10,000 further columns is read like any other."""
    lines = GOOD.splitlines()
    more = ",".join(f"x{k}" for k in range(10_000))
    body = [f"{line},{','.join(['1'] * 10_000)}" for line in lines[1:]]
    path = tmp_path / "log.csv"
    path.write_text("\n".join([f"{lines[0]},{more}", *body]), encoding="utf-8")
    done = command("report", path)
    assert done.code == 0, done.err
    assert (tmp_path / "log.report.html").stat().st_size < 3_000_000


@pytest.mark.parametrize(
    "output", ["logs.csv/out/", "logs.csv/x.json", "/proc/x.json", "/proc/out/", "no/such/x.json"]
)
def test_output_that_cannot_be_written(
    command: Command, overfitting_log: Path, output: str
) -> None:
    """A place that cannot be written to exits with 2, is named, and leaves nothing behind."""
    done = command("report", overfitting_log, "--quiet", "-o", output)
    fails(done, 2, output.rstrip("/"))
    assert names_in(overfitting_log.parent) == ["logs.csv"]


@pytest.mark.parametrize("output", ["logs.csv/x.json", "/proc/x.json", "no/such/x.json"])
def test_output_that_cannot_be_written_in_python(
    overfitting_log: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Python such a place is a WriteError that names it."""
    monkeypatch.chdir(overfitting_log.parent)
    with pytest.raises(WriteError) as caught:
        fitdiag.write_report(fitdiag.diagnose(overfitting_log), output)
    assert output in str(caught.value)


@pytest.mark.parametrize("form", ["html", "png", "svg", "pdf", "json", "md"])
def test_no_stranger_is_overwritten(command: Command, overfitting_log: Path, form: str) -> None:
    """A file that fitdiag did not write stays as it is, unless --force is given."""
    place = overfitting_log.parent / f"mine.{form}"
    place.write_text("mine", encoding="utf-8")
    done = command("report", overfitting_log, "--quiet", "-o", place.name)
    fails(done, 2, place.name, "--force")
    assert place.read_text(encoding="utf-8") == "mine"
    assert command("report", overfitting_log, "-q", "-o", place.name, "--force").code == 0
    assert command("report", overfitting_log, "-q", "-o", place.name).code == 0


@pytest.mark.parametrize("destination", [(), ("-o", "./"), ("-o", "logs.report.html")])
def test_a_stranger_in_the_way_is_told_before_the_summary(
    command: Command, overfitting_log: Path, destination: tuple[str, ...]
) -> None:
    """What cannot be written later on is said at once, with no summary and no file before it."""
    place = overfitting_log.parent / "logs.report.html"
    place.write_text("mine", encoding="utf-8")
    done = command("report", overfitting_log, *destination)
    fails(done, 2, "logs.report.html", "--force")
    assert not done.out
    assert names_in(overfitting_log.parent) == ["logs.csv", "logs.report.html"]


def test_the_log_itself_is_never_overwritten(command: Command, overfitting_log: Path) -> None:
    """The log cannot be taken for the report."""
    before = overfitting_log.read_bytes()
    fails(command("report", overfitting_log, "--format", "md", "-o", overfitting_log), 2)
    assert overfitting_log.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-o", "x.bmp"], (".bmp", ".html", ".png", ".json")),
        (["-o", "noend"], ("noend", "for a folder write noend/", ".html")),
        (["--format", "bmp"], ("bmp", "html", "png")),
        (["--input-format", "foo"], ("foo", "native", "csv")),
        (["--map", "train_loss"], ("train_loss", "NAME")),
        (["--map", "=x"], ("NAME",)),
        (["--map", "my loss=train_loss"], ("other way round", 'train_loss="my loss"')),
        (["--map", "acc=val_accuracy"], ("other way round", 'val_accuracy="acc"')),
        (["--map", "loss=x"], ("loss", "train_loss", "val_loss")),
        (["-o", "x.json", "--format", "md"], ("x.json", "md")),
        (["--color", "blue"], ("blue", "auto")),
        (["--nope"], ("--nope",)),
    ],
)
def test_wrong_arguments(
    command: Command, overfitting_log: Path, arguments: list[str], named: tuple[str, ...]
) -> None:
    """A wrong argument exits with 2, names the value and lists the choices."""
    done = command("report", overfitting_log, *arguments)
    fails(done, 2, *named)
    assert not done.out
    assert names_in(overfitting_log.parent) == ["logs.csv"]


def test_mapped_column_that_is_missing(command: Command, overfitting_log: Path) -> None:
    """A mapping to a column that is not there lists those that are."""
    done = command("report", overfitting_log, "--map", "train_loss=los")
    fails(done, 3, "'los'", '"train_loss"', '"val_loss"')


def test_wrong_arguments_in_python(overfitting_log: Path) -> None:
    """In Python the same mistakes are errors that list the choices."""
    diagnosis = fitdiag.diagnose(overfitting_log)
    with pytest.raises(UsageError, match=r"\.html"):
        fitdiag.write_report(diagnosis, "x.bmp")
    with pytest.raises(UsageError, match="native"):
        fitdiag.read(overfitting_log, format="foo")
    with pytest.raises(UsageError, match="val_loss"):
        fitdiag.read(overfitting_log, columns={"loss": "x"})
    with pytest.raises(FitdiagError, match="Diagnosis"):
        fitdiag.write_report(fitdiag.read(overfitting_log), "x.html")  # type: ignore[arg-type]
