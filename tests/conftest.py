"""What the tests share: where things are, small logs, and the command line run in this process."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


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
