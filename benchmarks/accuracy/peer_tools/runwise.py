"""runwise: summaries of W&B runs, with anomaly detection.

Driven by its exported function ``detect_anomalies`` on the whole history: its command line thins a
run to 200 rows first, and its checks for overfitting and plateaus want 500, so it could never
speak of either. Two of its documented settings are turned down for logs of epochs: the plateau
check may begin at 200 rows (below, it never can), the overfitting check at ten, whose baseline is
then the first quarter of the run. With the defaults it says next to nothing about the zoo.
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
    """Ask about each log: the types of its anomalies, for gradients with their first word."""
    tool = import_module("runwise")
    config = tool.AnomalyConfig(overfit_baseline_steps=(0, 10), plateau_min_steps=200)
    for path in logs(folder):
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [
                {name: float(cell) for name, cell in row.items() if cell}
                for row in csv.DictReader(stream)
            ]
        found = tool.detect_anomalies(rows, config=config, loss_key="train_loss")
        yield (
            path.stem,
            [
                anomaly.message.split(":")[0] if anomaly.type == "gradient" else anomaly.type
                for anomaly in found
            ],
        )


TOOL = Tool(
    name="runwise",
    requirements=("runwise==0.4.*",),
    verdicts={"nan": "diverged", "overfit": "overfitting", "plateau": "no_learning"},
    alarms={"Gradient explosion": "explosion", "Vanishing gradients": "vanishing"},
    driven="Python, `runwise.detect_anomalies(history)`, made to begin at 10 and 200 rows",
    limits="by default silent below 500 logged points; no divergence but NaN",
)

if __name__ == "__main__":
    answer(ask)
