"""Following a log that grows: what is said, how often, and how it ends."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from fitdiag.cli import cli
from fitdiag.watching import Watch

SAMPLES = Path(__file__).parent.parent / "sample_logs"
OVERFITTING = (SAMPLES / "overfitting_digits.csv").read_text(encoding="utf-8").splitlines()


def write(path: Path, rows: int, *, torn: str = "") -> None:
    """Write the head of the overfitting sample, and perhaps half a line."""
    path.write_text("\n".join(OVERFITTING[: rows + 1]) + "\n" + torn, encoding="utf-8")


def test_nothing_is_said_twice(tmp_path: Path) -> None:
    """An alert comes once, after it the advice to stop, and no change is no news."""
    log = tmp_path / "logs.csv"
    watch = Watch([log])
    first = watch.look()
    assert first is not None
    assert first.diagnosis is None
    assert "not there yet" in first.reason
    assert watch.look() is None
    said: list[str] = []
    for rows in range(len(OVERFITTING)):
        write(log, rows, torn="12,3." if rows % 2 else "")
        news = watch.look()
        assert news is not None
        assert watch.look() is None
        said += [alert.key for alert in news.alerts]
    assert sorted(said) == sorted(set(said))
    assert {"overfitting", "stop"} <= set(said)


def test_stop_names_the_checkpoint_of_the_report(tmp_path: Path) -> None:
    """The advice to stop names an epoch that was evaluated, and the log's own unit."""
    log = tmp_path / "logs.csv"
    write(log, len(OVERFITTING))
    news = Watch([log]).look()
    assert news is not None
    assert news.diagnosis is not None
    assert news.diagnosis.checkpoint is not None
    (stop,) = (alert.message for alert in news.alerts if alert.key == "stop")
    assert stop.startswith("Stop now: the best checkpoint was at epoch ")
    assert f"{news.diagnosis.checkpoint.epoch:g}" in stop


def test_a_training_that_begins_again_is_followed(tmp_path: Path) -> None:
    """A log that is shorter than before is another run, and its alerts are told anew."""
    log = tmp_path / "logs.csv"
    watch = Watch([log])
    write(log, len(OVERFITTING))
    watch.look()
    write(log, 3)
    news = watch.look()
    assert news is not None
    assert [alert.key for alert in news.alerts] == ["restart"]
    assert news.diagnosis is not None
    assert len(news.diagnosis.run.curves["train_loss"]) <= 3
    write(log, len(OVERFITTING))
    again = watch.look()
    assert again is not None
    assert "overfitting" in {alert.key for alert in again.alerts}


def test_a_folder_is_followed(tmp_path: Path) -> None:
    """A log that appears in a folder is found, and its growth is noticed."""
    watch = Watch([tmp_path])
    assert watch.look() is not None
    write(tmp_path / "logs.csv", 5)
    early = watch.look()
    write(tmp_path / "logs.csv", 20)
    late = watch.look()
    assert early is not None
    assert late is not None
    assert early.diagnosis is not None
    assert late.diagnosis is not None
    assert len(late.diagnosis.run.curves["train_loss"]) > len(
        early.diagnosis.run.curves["train_loss"]
    )


def test_it_ends_with_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle for long enough, it writes page and picture; the live page reloads itself no more."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "logs.csv", len(OVERFITTING))
    told = tmp_path / "told.sh"
    told.write_text('#!/bin/sh\necho "$FITDIAG_ALERT|$FITDIAG_LOG|$1" >> told.txt\n')
    told.chmod(0o755)
    arguments = ["watch", "logs.csv", "--every", "0.05", "--until-idle", "0.1"]
    result = CliRunner().invoke(cli, [*arguments, "--html", "live.html", "--notify", str(told)])
    assert result.exit_code == 0, result.output
    assert "ALERT overfitting: Validation loss turned" in result.output
    assert Path("logs.report.html").stat().st_size > 10_000
    assert Path("logs.report.png").stat().st_size > 10_000
    assert 'http-equiv="refresh"' not in Path("live.html").read_text(encoding="utf-8")
    lines = Path("told.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split("|")[:2] for line in lines] == [
        ["overfitting", "logs.csv"],
        ["stop", "logs.csv"],
    ]


def test_ctrl_c_ends_with_the_report(tmp_path: Path) -> None:
    """An interrupt is how it is meant to end: a report, exit code 0, no traceback."""
    write(tmp_path / "logs.csv", 20)
    command = [sys.executable, "-m", "fitdiag", "watch", "logs.csv", "--every", "0.1"]
    page = ["--html", "live.html", "-o", "end.json"]
    with subprocess.Popen(
        [*command, *page], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        live = tmp_path / "live.html"
        end = time.monotonic() + 60
        while not live.exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert 'http-equiv="refresh" content="5"' in live.read_text(encoding="utf-8")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert "Wrote end.json." in errors


def test_a_terminal_shows_the_summary(tmp_path: Path) -> None:
    """On a terminal the summary stands on the screen, with the alerts below it."""
    write(tmp_path / "logs.csv", len(OVERFITTING))
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "fitdiag", "watch", "logs.csv", "--no-report"]
    environment = {**os.environ, "COLUMNS": "80", "LINES": "40", "TERM": "xterm"}
    process = subprocess.Popen(
        [*command, "--every", "0.1", "--until-idle", "0.3"],
        cwd=tmp_path,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environment,
    )
    os.close(follower)
    shown = b""
    while select.select([leader], [], [], 60)[0]:
        try:
            block = os.read(leader, 65536)
        except OSError:  # the other side is closed
            break
        shown += block
    assert process.wait(60) == 0
    text = shown.decode()
    os.close(leader)
    assert "Overfitting" in text
    assert "Stop now: the best checkpoint was at epoch" in text
    assert "Ctrl-C ends it" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--notify", "no-such-command-here"], "there is no command 'no-such-command-here'"),
        (["--notify", "'"], "is no command"),
        (["--every", "0"], "0.0 is not in the range"),
        (["-o", "x.docx"], "names no format"),
    ],
)
def test_wrong_arguments_are_told_before_it_begins(
    tmp_path: Path, arguments: list[str], sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """What cannot work is refused at once, in a sentence."""
    from fitdiag.cli import main

    with pytest.raises(SystemExit) as end:
        main(["watch", str(tmp_path / "logs.csv"), "--until-idle", "0", *arguments])
    assert end.value.code == 2
    assert sentence in capfd.readouterr().err
