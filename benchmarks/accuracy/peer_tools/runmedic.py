"""runmedic: checks over a folder of logs, each explained with evidence.

Driven as ``runmedic diagnose FOLDER --json``. Its checks are the words; "mild overfitting" is the
same check as overfitting. Spikes of the gradient norm are its only gradient alarm, with a norm
that became non-finite.
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
    """Ask about the whole folder: its checks, with the metric where a value was not finite."""
    command = Path(sys.executable).with_name("runmedic")
    done = subprocess.run(
        [str(command), "diagnose", str(folder), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    for run in json.loads(done.stdout):
        yield (
            run["run"],
            [
                f"non_finite {finding['metric']}"
                if finding["check"] == "non_finite"
                else finding["check"]
                for finding in run["findings"]
            ],
        )


TOOL = Tool(
    name="runmedic",
    requirements=("runmedic==0.1.*",),
    verdicts={
        "no_learning": "no_learning",
        "non_finite train_loss": "diverged",
        "non_finite val_loss": "diverged",
        "divergence": "diverged",
        "overfitting": "overfitting",
    },
    alarms={"non_finite grad_norm": "explosion", "grad_spikes": "explosion"},
    driven="command line, `runmedic diagnose FOLDER --json`",
    limits="no check for vanishing gradients",
)

if __name__ == "__main__":
    answer(ask)
