"""Which files stay: the last few, and all that the pick could still choose."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fitdiag.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitdiag.checkpoint_index import Entry
    from fitdiag.findings import Checkpoint, GradientPhases
    from fitdiag.run import Run
    from fitdiag.signals import Signal

__all__ = ["choose", "find_best"]

#: files beside the best one that are next to it: what comes later may move them to the front
RUNNERS_UP = 1
#: share of a point's own deviation from the denoised curve that is taken for a better or worse
#: model; the pick weighs as it finds right at the end, and this lies between its extremes
OWN_SHARE = 0.5
#: without validation: shares of the training loss's fall at which the first files stay, since a
#: model may turn out to have memorised from there on
FALLS = (0.5, 0.7, 0.8, 0.9, 0.95)
#: other metrics of validation by which the pick may be asked to choose, of which the best stay
METRICS = 3


def choose(files: Sequence[Entry], run: Run | None, keep: int) -> set[str]:
    """Return the names of the files that stay.

    Parameters
    ----------
    files : sequence of Entry
        All that are there, by step.
    run : Run or None
        The run so far, as the engine judges it; None where there is none.
    keep : int
        How many of the newest stay whatever they are worth.

    Returns
    -------
    set of str
        The newest; the newest ``keep`` with finite numbers; and of the finite ones those that the
        pick may yet choose: what it would choose now and the alternatives to it; the best and the
        runner-up by denoised loss of all, of those since the run has settled, and of its later
        half; the lowest raw values; the best by other metrics of validation. Without validation
        the training loss takes its place, and files stay from where it had made some shares of its
        fall.
    """
    if not files:
        return set()
    finite = [entry for entry in files if entry.finite]
    kept = {entry.name for entry in finite[max(0, len(finite) - keep) :]}
    kept.add(files[-1].name)
    valued = [entry for entry in finite if entry.value is not None]
    lowest = sorted(valued, key=lambda entry: entry.value or 0.0)[: 1 + RUNNERS_UP]
    kept |= {entry.name for entry in lowest}
    view = _look(run) if run is not None and finite else None
    if view is not None:
        kept |= {entry.name for entry in view.list_candidates(finite)}
    return kept


def find_best(files: Sequence[Entry], run: Run | None) -> Entry | None:
    """Return the file that holds what the engine would pick now; None where none can be told."""
    finite = [entry for entry in files if entry.finite]
    view = _look(run) if run is not None and finite else None
    return None if view is None else view.find(finite, view.pick.step)


def _look(run: Run) -> _View | None:
    """Return how the engine sees the run now."""
    # judging lies above recording; only what the pick would choose reaches up to it
    engine: Any = import_module("fitdiag.checkpoint")
    facts = import_module("fitdiag.signals").measure(run)
    phases = engine.find_phases(facts)
    pick = engine.pick(facts, phases)
    if pick is None:
        return None
    signal = facts.train if pick.blind else facts.val
    by_metric = (engine.pick(facts, phases, metric=metric) for metric in _list_metrics(run))
    steps = {
        step
        for one in by_metric
        if one is not None
        for step in (one.step, *(other.step for other in one.alternatives))
    }
    return _View(pick=pick, phases=phases, signal=signal, by_metric=tuple(sorted(steps)))


def _list_metrics(run: Run) -> list[Any]:
    """Return the metrics of validation besides the loss whose direction shows in their names."""
    parse = import_module("fitdiag.checkpoint").parse_metric
    found = []
    for name in sorted(run.curves):
        if name.startswith("val_") and name != "val_loss" and len(run.curves[name]):
            with suppress(UsageError):
                found.append(parse(name))
    return found[:METRICS]


@dataclass(frozen=True, kw_only=True)
class _View:
    """What the engine would pick now, and the denoised curve that it picks by."""

    pick: Checkpoint
    phases: GradientPhases | None
    signal: Signal
    by_metric: tuple[float, ...] = ()  # the steps that other metrics would have it pick

    def _score(self, entry: Entry) -> float:
        smooth = self.signal.at(entry.step)
        if entry.value is None or self.pick.blind:
            return smooth
        return smooth + OWN_SHARE * (entry.value - smooth)

    def find(self, files: Sequence[Entry], step: float) -> Entry | None:
        """Return the file of a step; else the best of those in the stretch that it stands for.

        A run that is followed live has its points merged: one stands for the stretch before it.
        """
        steps = self.signal.steps
        start = max((float(s) for s in steps if s < step), default=float("-inf"))
        return min((e for e in files if start < e.step <= step), key=self._score, default=None)

    def list_candidates(self, files: Sequence[Entry]) -> list[Entry]:
        """Return the files that may yet be picked."""
        middle = (files[0].step + files[-1].step) / 2
        groups = [list(files), [entry for entry in files if entry.step >= middle]]
        if self.phases is not None and self.phases.settled is not None:
            settled = self.phases.settled
            groups.append([entry for entry in files if entry.step >= settled])
        if self.phases is not None and self.phases.late_rise is not None and self.pick.blind:
            rise = self.phases.late_rise
            groups.append([entry for entry in files if entry.step <= rise])
        found = [e for group in groups for e in sorted(group, key=self._score)[: 1 + RUNNERS_UP]]
        others = (other.step for other in self.pick.alternatives)
        wanted = (self.pick.step, *others, *self.by_metric)
        named = [self.find(files, step) for step in wanted]
        if self.pick.blind:
            top, least = float(self.signal.smooth[0]), float(self.signal.smooth.min())
            levels = [top - share * (top - least) for share in FALLS]
            named += [next((e for e in files if self._score(e) <= lv), None) for lv in levels]
        return found + [entry for entry in named if entry is not None]
