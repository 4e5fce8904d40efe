"""Writing reports: formats by suffix, whole files only, and no stranger overwritten."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import fitdiag
from fitdiag.errors import UsageError, WriteError
from fitdiag.report import FORMATS, SUFFIXES, destination, render, write_report

if TYPE_CHECKING:
    from fitdiag.diagnosis import Diagnosis


@pytest.fixture(scope="module")
def diagnosis() -> Diagnosis:
    """Return the diagnosis of a small run."""
    fall = 2.3 * np.exp(-np.arange(40) / 8)
    return fitdiag.diagnose(
        fitdiag.Run.from_arrays(train_loss=fall + 0.1, val_loss=fall + 0.2, grad_norm=fall + 1)
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_is_written_and_recognised_again(
    diagnosis: Diagnosis, tmp_path: Path, suffix: str
) -> None:
    """A report can be written over itself without force, since it says who wrote it."""
    path = tmp_path / f"report{suffix}"
    assert write_report(diagnosis, path) == path
    first = path.read_bytes()
    assert write_report(diagnosis, str(path)) == path
    assert path.read_bytes() == first
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_somebody_else_is_not_overwritten(
    diagnosis: Diagnosis, tmp_path: Path, suffix: str
) -> None:
    """Whatever the suffix, a stranger's file stays as it was unless force is given."""
    path = tmp_path / f"notes{suffix}"
    path.write_text("fitdiag and my own notes, on which a week was spent")
    with pytest.raises(WriteError, match="was not written by fitdiag; choose another name"):
        write_report(diagnosis, path)
    assert path.read_text().startswith("fitdiag and my own")
    write_report(diagnosis, path, force=True)
    assert not path.read_bytes().startswith(b"fitdiag and my own")


def test_the_same_diagnosis_gives_the_same_bytes(diagnosis: Diagnosis) -> None:
    """No format holds a date, a random number or a machine's name."""
    for form in FORMATS:
        assert render(diagnosis, form, width=80) == render(diagnosis, form, width=80)


def test_an_unknown_suffix_lists_the_choices(diagnosis: Diagnosis, tmp_path: Path) -> None:
    """A suffix that names no format is refused with those that do."""
    with pytest.raises(UsageError, match=r"'\.docx'.*\.html, \.htm, \.png"):
        write_report(diagnosis, tmp_path / "report.docx")
    with pytest.raises(UsageError, match="no suffix"):
        write_report(diagnosis, tmp_path / "report")
    with pytest.raises(UsageError, match="there is no format 'gif'"):
        render(diagnosis, "gif")
    with pytest.raises(UsageError, match="there is no format 'gif'"):
        write_report(diagnosis, tmp_path / "report", format="gif")
    assert not list(tmp_path.iterdir())


def test_a_format_can_be_named_for_a_file_without_suffix(
    diagnosis: Diagnosis, tmp_path: Path
) -> None:
    """The format argument decides where the suffix does not."""
    path = write_report(diagnosis, tmp_path / "report", format="json")
    assert path.read_text().startswith('{\n  "generator": "fitdiag ')


def test_only_a_diagnosis_becomes_a_report(tmp_path: Path) -> None:
    """A run handed in by mistake is refused with what to call first, and nothing is written."""
    run = fitdiag.Run.from_arrays(train_loss=[1.0, 2.0])
    with pytest.raises(UsageError, match=r"not of a Run; call fitdiag\.diagnose first"):
        write_report(run, tmp_path / "report.md")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(diagnosis: Diagnosis, tmp_path: Path) -> None:
    """A report into a folder that is not there names that folder."""
    with pytest.raises(WriteError, match=r"there is no folder .*nowhere; make it first"):
        write_report(diagnosis, tmp_path / "nowhere" / "report.md")


def test_a_file_is_no_folder(diagnosis: Diagnosis, tmp_path: Path) -> None:
    """A report below a file is refused, and the file that stands in the way is named."""
    (tmp_path / "log").write_text("x", encoding="utf-8")
    with pytest.raises(WriteError, match="log is a file, not a folder"):
        write_report(diagnosis, tmp_path / "log" / "report.md")


def test_a_folder_is_no_file(diagnosis: Diagnosis, tmp_path: Path) -> None:
    """A folder with a report's name is refused, not filled."""
    (tmp_path / "report.md").mkdir()
    with pytest.raises(WriteError, match="it is a folder"):
        write_report(diagnosis, tmp_path / "report.md")


def test_a_folder_that_cannot_be_written_to_is_named(
    diagnosis: Diagnosis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the right to write, the folder is named before anything is rendered."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(WriteError, match="is not writable"):
        write_report(diagnosis, tmp_path / "report.md")
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file_and_no_other(
    diagnosis: Diagnosis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up while a report is replaced leaves the old one whole."""
    path = write_report(diagnosis, tmp_path / "report.md")
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(WriteError, match="no space left on device"):
        write_report(diagnosis, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_nothing_behind(
    diagnosis: Diagnosis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of writing removes the temporary file and passes on."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_report(diagnosis, tmp_path / "report.md")
    assert not list(tmp_path.iterdir())


def test_a_link_is_followed(diagnosis: Diagnosis, tmp_path: Path) -> None:
    """A report written through a symbolic link replaces what it points at, and the link stays."""
    target, link = tmp_path / "target.md", tmp_path / "link.md"
    write_report(diagnosis, target)
    link.symlink_to(target)
    target.write_text("<!-- fitdiag 0.0.1 -->")
    write_report(diagnosis, link)
    assert link.is_symlink()
    assert len(target.read_text()) > 100


def test_a_file_that_cannot_be_read_is_not_overwritten(
    diagnosis: Diagnosis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nobody can tell whose file it is, the reason is said and the file stays."""
    path = tmp_path / "report.md"
    path.write_text("?")

    def refuse(*_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(destination, "is_own", refuse)
    with pytest.raises(WriteError, match="permission denied"):
        write_report(diagnosis, path)
    assert path.read_text() == "?"
