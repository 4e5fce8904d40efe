"""sk-autod: ten detectors over two arrays, training and validation loss by epoch.

Driven by its documented function ``diagnose(train_loss, val_loss)``. It refuses values that are not
finite, so such epochs are left out; fewer than five epochs it refuses too (`inconclusive`). Its
detectors see losses only: "exploding gradient" is a loss that trebles in one epoch. Overfitting is
"classic overfitting" or "missed early stopping" (an earlier validation minimum, 5 % lower).
"""

from __future__ import annotations

import csv
import math
from importlib import import_module
from typing import TYPE_CHECKING

from peer_tools.tool import Tool, answer, logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def ask(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Ask about each log: the names of the detectors that fired, or that it refused."""
    tool = import_module("sk_autod")
    for path in logs(folder):
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [
                (float(row["train_loss"] or "nan"), float(row["val_loss"] or "nan"))
                for row in csv.DictReader(stream)
            ]
        pairs = [pair for pair in rows if all(map(math.isfinite, pair))]
        try:
            report = tool.diagnose([train for train, _ in pairs], [val for _, val in pairs])
        except ValueError:
            yield path.stem, ["refused"]
        else:
            yield path.stem, [finding.detector_name for finding in report.findings]


TOOL = Tool(
    name="sk-autod",
    requirements=("sk-autod==0.1.*",),
    layout="paired",
    verdicts={
        "refused": "inconclusive",
        "Exploding gradient": "diverged",
        "Underfitting": "no_learning",
        "Dying ReLU proxy": "no_learning",
        "LR too low": "no_learning",
        "Missed early stopping": "overfitting",
        "Classic overfitting": "overfitting",
    },
    alarms={"Exploding gradient": "explosion"},
    driven="Python, `sk_autod.diagnose(train_loss, val_loss)`",
    limits="absolute limits on the loss (0.5 to 0.8); sees no gradients, no values but finite ones",
)

if __name__ == "__main__":
    answer(ask)
