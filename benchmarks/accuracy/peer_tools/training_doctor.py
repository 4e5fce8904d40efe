"""training-doctor: detectors that follow a training run, live or from its log.

Driven as its README analyses existing logs: ``Doctor().load(LOG)`` and ``analyze()``, which replays
the log and returns every diagnosis on the way. "Learning rate too high" is its name for NaN, spikes
and divergence, "learning rate too low" and plateaus for no progress. It wants the training loss
under two names: ``loss`` for most detectors, ``train_loss`` for the one on overfitting.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from peer_tools.tool import Tool, answer, logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def ask(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Ask about each log: the detectors that spoke, with what they saw."""
    tool = import_module("training_doctor")
    for path in logs(folder):
        found = tool.Doctor().load(path).analyze()
        words = []
        for diagnosis in found:
            words.append(diagnosis.detector_name)
            words += [
                f"{diagnosis.detector_name}: {' '.join(evidence.observation.split()[:2])}"
                for evidence in diagnosis.evidence
            ]
        yield path.stem, sorted(set(words))


TOOL = Tool(
    name="training-doctor",
    requirements=("training-doctor==0.1.*",),
    columns={
        "loss": "train_loss",
        "train_loss": "train_loss",
        "eval_loss": "val_loss",
        "grad_norm": "grad_norm",
        "lr": "lr",
    },
    verdicts={
        "overfitting": "overfitting",
        "lr_too_high: NaN or": "diverged",
        "lr_too_high: Loss increasing": "diverged",
        "lr_too_low": "no_learning",
        "plateau": "no_learning",
    },
    alarms={
        "gradient_instability: NaN/Inf gradients": "explosion",
        "gradient_instability: Exploding gradients": "explosion",
        "gradient_instability: Vanishing gradients": "vanishing",
    },
    driven="Python, `Doctor().load(LOG).analyze()`",
    limits="no learning from 100, plateau from 200, overfitting from 50 logged points on",
)

if __name__ == "__main__":
    answer(ask)
