"""trainpulse: a monitor that is fed step by step.

Driven as its README's full training loop does it, with ``Monitor().log`` for the loss, the gradient
norm and the learning rate of each row. A plateau (100 logged points without a new best loss) is the
nearest that it says to no learning. Validation losses are not among its signals.
"""

from __future__ import annotations

import csv
from importlib import import_module
from typing import TYPE_CHECKING

from peer_tools.tool import Tool, answer, logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def ask(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Ask about each log: detectors that raised an alert, and on what."""
    tool = import_module("trainpulse")
    for path in logs(folder):
        monitor = tool.Monitor()
        with path.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                for name in ("loss", "grad_norm", "learning_rate"):
                    if row.get(name):
                        monitor.log(name, int(float(row["step"])), float(row[name]))
        yield path.stem, sorted({_word(alert) for alert in monitor.report().alerts})


def _word(alert: object) -> str:
    detector, message = str(vars(alert)["detector"]), str(vars(alert)["message"])
    if detector == "nan_detector":
        return f"non-finite {vars(alert)['metric_name']}"
    return message.partition(":")[0] if detector == "gradient" else detector


TOOL = Tool(
    name="trainpulse",
    requirements=("trainpulse==0.4.*",),
    columns={"loss": "train_loss", "grad_norm": "grad_norm", "learning_rate": "lr"},
    verdicts={"non-finite loss": "diverged", "plateau": "no_learning"},
    alarms={
        "non-finite grad_norm": "explosion",
        "Gradient explosion": "explosion",
        "Vanishing gradient": "vanishing",
    },
    driven="Python, `trainpulse.Monitor().log(...)` row by row",
    limits="does not look at validation losses, so nothing on overfitting",
)

if __name__ == "__main__":
    answer(ask)
