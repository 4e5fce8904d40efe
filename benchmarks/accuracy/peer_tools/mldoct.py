"""mldoct: a trained classifier over eleven features of a log, and a few limits beside it.

Driven by the function behind ``mldoctor diagnose LOG`` (one process instead of one a log), with the
classifier that the package brings. It wants a training loss, a validation loss and a gradient norm
in every row; its answer is one label, and sentences that begin with what they are about ("Overfit
Pinpointer": the last validation loss lies 15 % above the least). Where a log has no gradient norm
its cells stay empty, which the classifier takes.
"""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from typing import TYPE_CHECKING

from peer_tools.tool import Tool, answer, logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def ask(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Ask about each log: the label, and the headings of the sentences."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    tool = import_module("mldoctor.advisor")
    warnings.simplefilter("ignore")
    for path in logs(folder):
        try:
            found = tool.diagnose_csv(str(path))
        except (IndexError, ValueError):
            yield path.stem, ["refused"]
            continue
        headings = [insight.strip("*").split(":")[0] for insight in found["insights"]]
        yield path.stem, [f"label {found['label']}", *headings]


TOOL = Tool(
    name="mldoct",
    requirements=("torch==2.13.0", "mldoct==1.0.*"),
    layout="paired",
    verdicts={
        "refused": "inconclusive",
        "label exploding_gradients": "diverged",
        "label lr_too_high": "diverged",
        "label overfitting": "overfitting",
        "Overfit Pinpointer": "overfitting",
        "label underfitting": "no_learning",
        "label vanishing_gradients": "no_learning",
        "label lr_too_low": "no_learning",
    },
    alarms={
        "label exploding_gradients": "explosion",
        "label vanishing_gradients": "vanishing",
        "Exploding Gradients": "explosion",
        "Vanishing Gradients": "vanishing",
    },
    driven="Python, the function behind `mldoctor diagnose LOG`",
    limits="absolute limits on losses and norms; the public sets lack the norm that it wants",
)

if __name__ == "__main__":
    answer(ask)
