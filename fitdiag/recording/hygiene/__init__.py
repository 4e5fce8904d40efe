"""Mistakes of the training loop, told while they happen: once, with the line of the user's code.

``watch`` says who looks when, each watcher looks for one mistake, ``teller`` tells it, and
``places`` knows which line is the user's. Nothing here is asked at an ordinary training step after
the first few, but for a few steps at each power of two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.errors import UsageError
from fitdiag.mistakes import DATA_CHECK
from fitdiag.recording.hygiene.batches import BatchWatcher
from fitdiag.recording.hygiene.evaluations import EvaluationWatcher
from fitdiag.recording.hygiene.gradients import ZeroingWatcher
from fitdiag.recording.hygiene.leaks import LeakWatcher
from fitdiag.recording.hygiene.means import MeanWatcher
from fitdiag.recording.hygiene.parameters import IdleWatcher, OrphanWatcher
from fitdiag.recording.hygiene.rehearsals import RehearsalWatcher
from fitdiag.recording.hygiene.samples import SampleWatcher
from fitdiag.recording.hygiene.schedules import ScheduleWatcher
from fitdiag.recording.hygiene.teller import Teller
from fitdiag.recording.hygiene.watch import LoopWatch
from fitdiag.recording.hygiene.watcher import Scene, Watcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn
    from torch.optim import Optimizer

    from fitdiag.recording.intake import Intake
    from fitdiag.recording.notices import Notices
    from fitdiag.recording.sidecar import Sidecar

__all__ = ["WATCHERS", "LoopWatch", "check_checks", "watch_loop"]

WATCHERS: tuple[type[Watcher], ...] = (
    LeakWatcher,
    ZeroingWatcher,
    EvaluationWatcher,
    BatchWatcher,
    OrphanWatcher,
    IdleWatcher,
    ScheduleWatcher,
    SampleWatcher,
    MeanWatcher,
    RehearsalWatcher,
)


def check_checks(checks: object) -> None:
    """Check what is asked to be looked for.

    Raises
    ------
    UsageError
        If it is neither True, False nor ``"data"``.
    """
    if checks is not True and checks is not False and checks != "data":
        raise UsageError(
            f"checks is {checks!r}: pass True for the usual ones, 'data' to compare the samples of "
            "training and validation too, or False for none"
        )


def watch_loop(
    models: Sequence[nn.Module],
    optimizers: Sequence[Optimizer],
    *,
    intake: Intake,
    notices: Notices,
    sidecar: Sidecar,
    speaks: bool,
    checks: bool | str,
) -> LoopWatch | None:
    """Make what watches a loop; None if nothing is to be watched.

    Parameters
    ----------
    models, optimizers : sequence
        What is recorded.
    intake, notices, sidecar
        What was counted, where it is said, and where it is kept.
    speaks : bool
        False in a process that writes no log.
    checks : bool or str
        As :func:`fitdiag.record` was asked.
    """
    if checks is False:
        return None
    teller = Teller(notices, sidecar, count_steps=lambda: intake.rounds, speaks=speaks)
    scene = Scene(models=models, intake=intake, teller=teller, optimizers=list(optimizers))
    wanted = [kind for kind in WATCHERS if checks == "data" or DATA_CHECK not in kind.codes]
    return LoopWatch(scene, [kind(scene) for kind in wanted])
