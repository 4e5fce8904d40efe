"""The command line as a person uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fitdiag
from fitdiag import report
from fitdiag.cli.destinations import DEFAULT, DOCUMENTS, FORMATS
from fitdiag.findings import Verdict
from fitdiag.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Outcome

    Command = Callable[..., Outcome]


def written(folder: Path) -> set[str]:
    """Return the names below a folder that are no logs."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in files if path.suffix != ".csv"}


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``python -m fitdiag`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "fitdiag", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


def test_formats_are_those_of_the_reports() -> None:
    """The command line offers exactly the formats that a report has."""
    assert set(FORMATS) == set(report.FORMATS)
    assert set(DOCUMENTS) | {"png", "pdf"} == set(FORMATS)


def test_report_prints_a_summary_and_writes_page_and_picture(
    command: Command, overfitting_log: Path
) -> None:
    """Without options the summary is printed, and the two files lie in the current folder."""
    done = command("report", overfitting_log)
    assert done.code == 0
    assert "verfitting" in done.out
    assert "Wrote logs.report.html and logs.report.png." in done.err
    assert written(overfitting_log.parent) == {"logs.report.html", "logs.report.png"}
    assert (overfitting_log.parent / "logs.report.png").read_bytes().startswith(b"\x89PNG")


def test_summary_fits_one_screen(command: Command, overfitting_log: Path) -> None:
    """The summary has at most 40 lines of at most 100 characters, and no colour in a pipe."""
    lines = command("report", overfitting_log, "--format", "text").out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in "".join(lines)


def test_report_again_replaces_its_own_files(command: Command, overfitting_log: Path) -> None:
    """A second report replaces the files of the first without being forced."""
    assert command("report", overfitting_log).code == 0
    assert command("report", overfitting_log).code == 0


def test_output_folder_is_made(command: Command, overfitting_log: Path) -> None:
    """A destination that ends with a slash is a folder, made where it is missing."""
    done = command("report", overfitting_log, "-o", "deep/out/")
    assert done.code == 0
    assert written(overfitting_log.parent) == {
        f"deep/out/logs.report.{suffix}" for suffix in DEFAULT
    }


def test_output_into_a_folder_that_exists(command: Command, overfitting_log: Path) -> None:
    """A destination that is a folder needs no slash."""
    (overfitting_log.parent / "out").mkdir()
    assert command("report", overfitting_log, "-o", "out").code == 0
    assert len(written(overfitting_log.parent)) == 2


def test_output_files_by_suffix(command: Command, overfitting_log: Path) -> None:
    """Files that are named are written by their suffix, and nothing else is."""
    done = command("report", overfitting_log, "-o", "a.json", "-o", "b.md", "-o", "c.svg")
    assert done.code == 0
    assert written(overfitting_log.parent) == {"a.json", "b.md", "c.svg"}
    document = json.loads((overfitting_log.parent / "a.json").read_text(encoding="utf-8"))
    assert document["verdict"] == "overfitting"


def test_one_format_into_a_folder(command: Command, overfitting_log: Path) -> None:
    """With a format and a folder that format alone is written, and no summary is printed."""
    done = command("report", overfitting_log, "--format", "md", "-o", "out/")
    assert done.code == 0
    assert not done.out
    assert written(overfitting_log.parent) == {"out/logs.report.md"}


@pytest.mark.parametrize("form", DOCUMENTS)
def test_documents_go_to_standard_output(
    command: Command, overfitting_log: Path, form: str
) -> None:
    """A format without a destination is printed, alone, and writes nothing."""
    done = command("report", overfitting_log, "--format", form)
    assert done.code == 0
    assert done.out
    assert not done.err
    assert not written(overfitting_log.parent)
    assert done.out == command("report", overfitting_log, "--format", form, "-o", "-").out


def test_json_on_standard_output_is_the_diagnosis(command: Command, overfitting_log: Path) -> None:
    """What ``--format json`` prints is what ``to_dict`` returns."""
    done = command("report", overfitting_log, "--format", "json")
    assert json.loads(done.out)["verdict"] == "overfitting"


def test_picture_goes_into_a_pipe(overfitting_log: Path) -> None:
    """A picture is written to standard output where that is no terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "fitdiag", "report", overfitting_log, "--format", "png"],
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith(b"\x89PNG")


def test_picture_is_kept_off_a_terminal(
    command: Command, overfitting_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture is never printed on a terminal; the message names a file to write."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    done = command("report", overfitting_log, "--format", "png")
    assert done.code == 2
    assert "-o logs.report.png" in done.err


def test_quiet_prints_nothing(command: Command, overfitting_log: Path) -> None:
    """With --quiet only the files speak."""
    done = command("report", overfitting_log, "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_color_can_be_forced(command: Command, overfitting_log: Path) -> None:
    """Colour appears when it is asked for, even in a pipe."""
    plain = command("report", overfitting_log, "--format", "text")
    colored = command("report", overfitting_log, "--format", "text", "--color", "always")
    assert "\x1b[" in colored.out
    assert "\x1b[" not in plain.out


def test_no_color_is_respected(
    command: Command, overfitting_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal NO_COLOR switches colour off."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in command("report", overfitting_log, "-o", "-").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in command("report", overfitting_log, "-o", "-").out


def test_verbose_says_more(command: Command, overfitting_log: Path) -> None:
    """With --verbose the summary is longer."""
    short = command("report", overfitting_log, "-o", "-")
    long = command("report", overfitting_log, "-o", "-", "-v")
    assert len(long.out) > len(short.out)


def test_columns_are_mapped(command: Command, tmp_path: Path) -> None:
    """With --map columns of any name are read."""
    log = tmp_path / "other.csv"
    rows = [f"{k},{2 * 0.9**k:.5f},{0.3 + 2 * 0.9**k:.5f}" for k in range(40)]
    log.write_text("\n".join(["k,my loss,dev=x", *rows]), encoding="utf-8")
    mapping = ("--map", "train_loss=my loss", "--map", "val_loss=dev=x")
    done = command("report", log, *mapping, "--format", "json")
    assert done.code == 0
    columns = json.loads(done.out)["source"]["columns"]
    assert columns["train_loss"] == "my loss"
    assert columns["val_loss"] == "dev=x"


def test_limits_come_from_a_file(command: Command, ideal_log: Path) -> None:
    """Limits are read from the nearest fitdiag.toml, or from the file of --config."""
    (ideal_log.parent / "fitdiag.toml").write_text("[verdict]\ngap_share = 0.001\n")
    (ideal_log.parent / "lax.toml").write_text("[verdict]\ngap_share = 0.5\n")
    assert "verdict controlled_gap" in command("check", ideal_log).out
    assert "verdict ideal" in command("check", ideal_log, "--config", "lax.toml").out
    document = json.loads(command("report", ideal_log, "--format", "json").out)
    assert document["limits"]["verdict"]["gap_share"] == 0.001


def test_mistakes_in_a_limits_file_are_named(command: Command, ideal_log: Path) -> None:
    """A misspelt limit or a missing file is a usage error that names it."""
    (ideal_log.parent / "fitdiag.toml").write_text("[verdict]\ngap_shore = 0.001\n")
    done = command("report", ideal_log)
    assert done.code == 2
    assert "fitdiag.toml" in done.err
    assert "did you mean 'gap_share'?" in done.err
    assert "no.toml" in command("check", ideal_log, "--config", "no.toml").err


def test_unicode_survives_an_ascii_terminal(overfitting_log: Path) -> None:
    """A terminal that knows only ASCII gets a summary all the same."""
    done = subprocess.run(
        [sys.executable, "-m", "fitdiag", "report", overfitting_log, "-o", "-", "-v"],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.stdout.decode("ascii")


def test_check_fails_on_what_was_found(command: Command, overfitting_log: Path) -> None:
    """A run that overfits fails the check, on a line that says so."""
    done = command("check", overfitting_log)
    assert done.code == 1
    assert f"FAIL {overfitting_log}: verdict overfitting" in done.out
    assert len(done.out.splitlines()) == 1 + len(fitdiag.diagnose(overfitting_log).findings)


def test_check_passes_a_good_run(command: Command, ideal_log: Path) -> None:
    """A run without a fault passes."""
    done = command("check", ideal_log)
    assert done.code == 0
    assert done.out.startswith("pass")
    assert "FAIL" not in done.out


def test_check_cannot_judge(command: Command, tmp_path: Path) -> None:
    """A run that cannot be judged exits with 3, or with 1 when that was asked for."""
    log = tmp_path / "short.csv"
    log.write_text("epoch,train_loss,val_loss\n1,2,2\n2,1.5,1.6\n", encoding="utf-8")
    assert command("check", log).code == 3
    assert command("check", log, "--fail-on", "inconclusive").code == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("FIT002", 1),
        ("fit002", 1),
        ("overfitting", 1),
        ("warning", 1),
        ("info", 1),
        ("error", 0),
        ("no-learning,diverged", 0),
        ("no_learning,OVERFITTING", 1),
        (" error , overfitting ", 1),
    ],
)
def test_check_words(command: Command, overfitting_log: Path, words: str, code: int) -> None:
    """Verdicts, codes, names and severities (or worse) fail the check, in any case."""
    assert command("check", overfitting_log, "--fail-on", words).code == code


def test_check_refuses_unknown_words(command: Command, overfitting_log: Path) -> None:
    """A word that means nothing is a usage error that lists the choices."""
    done = command("check", overfitting_log, "--fail-on", "error,overfiting")
    assert done.code == 2
    assert "'overfiting'" in done.err
    assert "controlled_gap" in done.err
    assert "Did you mean overfitting" in done.err
    assert command("check", overfitting_log, "--fail-on", ",").code == 2


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_explain_tells_a_rule_by_code_and_name(command: Command, rule: fitdiag.Finding) -> None:
    """A rule is explained by its code and by its name."""
    by_code = command("explain", rule.code.lower())
    assert by_code.code == 0
    assert rule.code in by_code.out
    assert "What to do" in by_code.out
    assert by_code.out in command("explain", rule.name).out


@pytest.mark.parametrize("verdict", Verdict)
def test_explain_tells_a_verdict(command: Command, verdict: Verdict) -> None:
    """Every verdict is explained."""
    done = command("explain", verdict.value)
    assert done.code == 0
    assert done.out.startswith(f"verdict {verdict.value}")


def test_explain_guesses_a_typo(command: Command) -> None:
    """A word that is nearly right is guessed."""
    done = command("explain", "gradient-explosoin")
    assert done.code == 2
    assert "Did you mean gradient-explosion?" in done.err


def test_rules_lists_every_rule(command: Command) -> None:
    """Every code and name stands in the table."""
    done = command("rules")
    assert done.code == 0
    assert all(rule.code in done.out and rule.name in done.out for rule in RULES)


def test_formats_lists_every_reader(command: Command) -> None:
    """The native log and tables stand among the formats."""
    done = command("formats")
    assert done.code == 0
    assert "native" in done.out
    assert "csv" in done.out


def test_help_teaches(command: Command) -> None:
    """Help without and with the option is the same, and shows commands that can be copied."""
    done = command("--help")
    assert done.code == 0
    assert "fitdiag report logs.csv" in done.out
    assert command().out == done.out


@pytest.mark.parametrize("name", ["", "report", "check", "explain", "rules", "formats"])
def test_help_fits_eighty_columns(
    command: Command, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No help text is wider than a plain terminal, however wide the terminal is."""
    monkeypatch.setenv("COLUMNS", "200")
    done = command(*filter(None, [name, "--help"]))
    assert max(map(len, done.out.splitlines())) <= 80


def test_inconclusive_report_exits_with_0_and_says_so(command: Command, tmp_path: Path) -> None:
    """A report that cannot judge is no failure, and its help says where judging is."""
    (tmp_path / "log.csv").write_text("epoch,train_loss\n1,2.0\n2,1.0\n", encoding="utf-8")
    done = command("report", tmp_path / "log.csv", "-o", "-")
    assert done.code == 0
    assert "Cannot tell" in done.out
    assert "inconclusive too" in command("report", "--help").out


def test_folder_names_the_log_that_was_read(command: Command, overfitting_log: Path) -> None:
    """The summary of a folder begins with the log that was chosen, also without -v."""
    folder = overfitting_log.parent
    (folder / "notes.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    done = command("report", folder, "-o", "-")
    assert done.out.splitlines()[0].startswith("Read logs.csv from the folder")
    assert "from the folder" not in command("report", overfitting_log, "-o", "-").out
    assert "from the folder" not in command("report", folder, "--format", "json").err


def test_version_is_the_packages(command: Command) -> None:
    """The version is printed with the name."""
    assert command("--version").out == f"fitdiag {fitdiag.__version__}\n"


def test_typos_are_guessed(command: Command, overfitting_log: Path) -> None:
    """A misspelt command and a forgotten one are guessed, in one line."""
    assert "Did you mean report?" in command("reprot", overfitting_log).err
    assert f"fitdiag report {overfitting_log}" in command(overfitting_log).err
    for arguments in (("reprot",), ("report",), ("report", "--colour", "x"), ("--verson",)):
        done = command(*arguments)
        assert done.code == 2
        assert done.err.startswith("Error: ")
        assert done.err.count("\n") == 1


def test_broken_pipe_is_quiet() -> None:
    """A reader that leaves early gets no complaint."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from fitdiag.cli import main; main(['rules'])"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()


def test_interrupt_exits_with_130(overfitting_log: Path) -> None:
    """Ctrl-C ends a report with one line, code 130, and no file."""
    slow = (
        "import signal, time, fitdiag.readers as readers; from fitdiag.cli import main; "
        # a shell starts what runs in the background with interrupts ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "readers.read = lambda *a, **k: (print('reading', flush=True), time.sleep(60)); "
        f"main(['report', {str(overfitting_log)!r}])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", slow],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=overfitting_log.parent,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.strip() == "Error: interrupted; files are written whole or not at all."
    assert not written(overfitting_log.parent)


def test_module_runs_as_a_command(overfitting_log: Path) -> None:
    """``python -m fitdiag`` does what ``fitdiag`` does."""
    done = run("check", overfitting_log, cwd=overfitting_log.parent)
    assert done.returncode == 1
    assert "verdict overfitting" in done.stdout


def test_escapes_in_a_log_do_not_reach_the_terminal(tmp_path: Path) -> None:
    """A column or file name with terminal escapes is shown without them, in lines and errors."""
    path = tmp_path / "log.csv"
    path.write_text(
        'epoch,loss,val_loss,"a\x1b[2Jb"\n' + "1,2,2,x\n2,1,1,x\n" * 4, encoding="utf-8"
    )
    for arguments in (["check", str(path)], ["check", f"{path}\x1b[2J"]):
        done = subprocess.run(
            [sys.executable, "-m", "fitdiag", *arguments], capture_output=True, check=False
        )
        assert b"\x1b" not in done.stdout + done.stderr
        assert done.stdout + done.stderr


def test_a_full_disk_is_an_error_of_usage() -> None:
    """Output that cannot be written ends with 2 and a sentence, not with what `check` means."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fitdiag", "rules"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 2
    assert b"cannot be written" in done.stderr
    assert b"Traceback" not in done.stderr
