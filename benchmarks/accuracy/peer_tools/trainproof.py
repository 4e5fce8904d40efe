"""trainproof: a linter of training logs with fixed thresholds.

Driven as ``trainproof epoch LOG --json``, one call a log through the entry point of its command
line. A log that passes while its report lists the overfitting check as skipped (fewer than four
validation losses) is `inconclusive`, since its report says that it cannot tell. A loss that is
exactly zero from some point on ("the run died") has no counterpart and is passed over: in these
logs it is a memorised training set, rounded.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from peer_tools.tool import Tool, answer, logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def ask(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Ask about each log: the ids of its findings, and which checks it skipped."""
    command = import_module("trainproof.cli")
    for path in logs(folder):
        sys.argv = ["trainproof", "epoch", str(path), "--json"]
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            command.main()
        found = json.loads(out.getvalue())
        reports = found.get("reports", [found])
        words = [finding["id"] for report in reports for finding in report["findings"]]
        skipped = [group for report in reports for group in report["checks"]["skipped"]]
        yield path.stem, words + [f"skipped {group}" for group in skipped]


TOOL = Tool(
    name="trainproof",
    requirements=("trainproof==0.22.*",),
    verdicts={
        "TP-OVERFIT": "overfitting",
        "TP-NAN": "diverged",
        "TP-DIVERGE": "diverged",
        "TP-FLAT": "no_learning",
        "TP-DEAD-RUN": "no_learning",
        "TP-ZERO-LR": "no_learning",
        "TP-ZERO-GRAD": "no_learning",
        "TP-ZERO-LOSS": "no_learning",
        "TP-NO-LOSS": "inconclusive",
        "TP-NOT-CHECKED": "inconclusive",
        "skipped overfit": "inconclusive",
    },
    alarms={
        "TP-NAN-GRAD": "explosion",
        "TP-GRAD-SPIKE": "explosion",
        "TP-ZERO-GRAD": "vanishing",
    },
    driven="command line, `trainproof epoch LOG --json`",
    limits="vanishing only where every norm is exactly zero",
)

if __name__ == "__main__":
    answer(ask)
