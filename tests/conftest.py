"""What the tests share: where things are, small logs, and the command line run in this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Nursery:
    """Runs scripts that record, each in a process of its own, without importing torch for each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._server: subprocess.Popen[str] | None = None

    def _ask(self, **asked: Any) -> int:
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", str(Path(__file__).with_name("nursery.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def _begin(self, script: str, given: tuple[object, ...]) -> tuple[int, Path, Path]:
        self._count += 1
        out, err = (self._folder / f"{self._count}.{name}" for name in ("out", "err"))
        os.mkfifo(out)
        os.mkfifo(err)
        child = self._ask(script=script, given=[*map(str, given)], out=str(out), err=str(err))
        return child, out, err

    def run(self, script: str, *given: object) -> Outcome:
        """Run a script to its end."""
        child, out, err = self._begin(script, given)
        with out.open(encoding="utf-8") as printed, err.open(encoding="utf-8") as told:
            texts = printed.read(), told.read()
        return Outcome(self._ask(wait=child), *texts)

    @contextmanager
    def kill(self, script: str, *given: object) -> Iterator[TextIO]:
        """Run a script, give what it prints, and kill it by SIGKILL at the end of the block."""
        child, out, err = self._begin(script, given)
        with out.open(encoding="utf-8") as printed, err.open():
            yield printed
            os.kill(child, signal.SIGKILL)
            self._ask(wait=child)

    def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.communicate()


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Return what runs scripts in processes of their own, many times as fast as a new Python."""
    made = Nursery(tmp_path_factory.mktemp("nursery"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder that holds README.md, docs and sample_logs."""
    return ROOT


@pytest.fixture(scope="session")
def sample_logs() -> Path:
    """Return the folder of recorded sample logs."""
    return ROOT / "sample_logs"


def table(epochs: int = 40, **columns: Any) -> str:
    """Return a CSV of epoch, train_loss and val_loss, with further columns by function of epoch."""
    functions: dict[str, Callable[[int], object]] = {
        "train_loss": lambda k: round(0.05 + 2.0 * 0.88**k, 6),
        "val_loss": lambda k: round(0.40 + 1.9 * 0.80**k + 0.02 * max(k - 12, 0), 6),
        **columns,
    }
    lines = [",".join(["epoch", *functions])]
    lines += [
        ",".join([str(k + 1), *(str(value(k)) for value in functions.values())])
        for k in range(epochs)
    ]
    return "\n".join(lines) + "\n"


@pytest.fixture
def overfitting_log(tmp_path: Path) -> Path:
    """Write a small log of a run that overfits from epoch 13 on."""
    path = tmp_path / "logs.csv"
    path.write_text(table(), encoding="utf-8")
    return path


@pytest.fixture
def ideal_log(tmp_path: Path) -> Path:
    """Write a small log of a run in which both losses fall together."""
    path = tmp_path / "ideal.csv"
    text = table(val_loss=lambda k: round(0.07 + 2.0 * 0.88**k, 6))
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Return a function that runs ``fitdiag`` with arguments in the test's own folder."""
    from fitdiag.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        sys.stdout.flush()
        captured = capfd.readouterr()
        code = exit_.value.code
        return Outcome(code if isinstance(code, int) else 1, captured.out, captured.err)

    return run


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return where a log is to be written."""
    return tmp_path / "logs.csv"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Keep torch to one thread, as is quickest for small networks."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
