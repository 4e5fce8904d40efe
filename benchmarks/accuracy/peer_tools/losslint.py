"""losslint: lints the logs of a folder for CI.

Driven as ``losslint check FOLDER --format json``. ``overfit_onset`` stands before ``stagnation``,
which only says that the last quarter of the run brought less than 1 %.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from peer_tools.tool import Tool, answer

if TYPE_CHECKING:
    from collections.abc import Iterator


def ask(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Ask about the whole folder: its checks, with the series where a value was not finite."""
    command = Path(sys.executable).with_name("losslint")
    done = subprocess.run(
        [str(command), "check", str(folder), "--format", "json"],
        capture_output=True,
        text=True,
        check=False,  # 1 means that something was found
    )
    report = json.loads(done.stdout)
    said: dict[str, list[str]] = {run["source"]: [] for run in report["runs"]}
    for finding in report["findings"]:
        series = finding["details"].get("series", "")
        said[finding["source"]].append(f"{finding['check']} {series}".strip())
    for source, words in said.items():
        yield Path(source).stem, words


TOOL = Tool(
    name="losslint",
    requirements=("losslint==0.4.*",),
    verdicts={
        "nan_inf loss": "diverged",
        "nan_inf eval_loss": "diverged",
        "divergence": "diverged",
        "overfit_onset": "overfitting",
        "stagnation": "no_learning",
    },
    alarms={"nan_inf grad_norm": "explosion"},
    driven="command line, `losslint check FOLDER --format json`",
    limits="no gradient check but for non-finite values; stagnation stands in for no learning",
)

if __name__ == "__main__":
    answer(ask)
