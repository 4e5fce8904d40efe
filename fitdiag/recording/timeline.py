"""From events to rows: epochs, means, and what goes on which line of the log. Plain Python.

A run is read as *windows*: everything between two optimizer steps. A loss that a backward pass
reached is a training loss, whatever the mode of the model; one that no backward pass can or did
reach is a validation loss. The order of the two within a window does not matter. An epoch ends
where training goes on after an evaluation, or where the user says so.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from typing import TYPE_CHECKING

from fitdiag.recording.averages import Mean, NormWindow, Recipe, combine
from fitdiag.recording.evaluation import Evaluation
from fitdiag.recording.events import EpochMark, Event, Logged, Loss, Scaled, Step
from fitdiag.recording.leftovers import Leftovers, is_unused
from fitdiag.recording.rows import Row
from fitdiag.recording.scaling import LossScale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Row", "Timeline"]

#: backward passes without a step from where on they are no longer kept one by one
CROWD = 4096
#: without ``every=``, the steps between two rows are at most this share of the steps so far
SPACING = 100


class Timeline:
    """Turns events into rows.

    Parameters
    ----------
    every : int or None
        Optimizer steps from one step row to the next; 0 for none; None for rows that thin out.
    """

    def __init__(self, every: int | None = None) -> None:
        self.every = every
        self.step = self._start = 0
        self.epoch = 0
        self.latest: dict[str, float] = {}  # the newest value of each column, for a progress bar
        self._rows: list[Row] = []
        self._open: Row | None = None
        self._finished = False  # a row has been finished
        self._queue: deque[Event] = deque()  # events that are still to be taken
        self._window: list[list[Loss]] = []  # training losses since the last step, by backward
        self._folded = 0  # backward passes of the window that are in the means already
        self._train = Mean()
        self._batch = Mean()
        self._norms = NormWindow()
        self._scaling = LossScale()
        self._lr: float | None = None
        self._recipe: Recipe | None = None
        self._evaluated: dict[str, Evaluation] = {}  # by phase
        self._sizes: dict[str, set[int]] = {}  # lengths of the evaluations so far
        self._validated = False  # the user logged a validation value
        self._explicit: set[str] = set()
        self._held: list[Logged] = []  # logged while a step was under way
        self._stepped: set[int] = set()  # optimizers that are part of the present step
        self._exact = False  # epochs come from the user
        self._captured = False  # a hook has fired at least once
        self._epoch_step = 0  # where the last epoch ended
        self._epoch_length = 0  # how many steps it had
        self._last_row = 0
        self._fresh = True  # without optimizer steps: the next logged values begin a row
        self._leftovers = Leftovers()
        self._part_counts: dict[tuple[int | None, int], int] = {}  # losses summed, by place
        self._varies = False  # sums are over ever different numbers of losses
        self._trained_in_train_mode = False

    def go_on(self, step: int, epoch: int, skipped: int) -> None:
        """Count on from where an interrupted run is continued."""
        self.step = self._start = self._epoch_step = self._last_row = step
        self.epoch = epoch
        self._scaling.skipped = skipped

    # ------------------------------------------------------------------ events in

    def feed(self, events: Sequence[Event]) -> None:
        """Take events, whose numbers have been fetched, in order."""
        self._queue.extend(events)
        trained = {e.source for e in self._queue if isinstance(e, Loss) and e.backward is not None}
        trained |= {source for source, _ in (self._recipe.parts if self._recipe else ())}
        self._look_ahead(events)
        while self._queue:  # what an interrupt leaves here is taken the next time
            event = self._queue.popleft()
            if isinstance(event, Loss):
                if not (is_unused(event) and self._is_passed_over(event, trained)):
                    self._take_loss(event, self._classify(event))
            elif isinstance(event, Step):
                self._take_step(event)
            elif isinstance(event, Logged):
                self._take_logged(event)
            elif isinstance(event, Scaled):
                self._scaling.take(event)
            else:
                self._take_mark(event)

    def _look_ahead(self, events: Sequence[Event]) -> None:
        """Tell what losses are that nothing uses, before any of them is taken."""
        known = self._leftovers.are_validation
        missed = self._leftovers.look(events, stepped=self._has_steps())
        if not known and not self._exact:
            self.epoch += missed

    def _is_passed_over(self, unused: Loss, trained: set[str]) -> bool:
        """Tell whether a loss that nothing used is neither validation nor a sign of divergence."""
        if trained and unused.source not in trained:
            return True
        return (
            unused.phase is None
            and not self._leftovers.are_validation
            and math.isfinite(unused.value)
        )

    def _classify(self, loss: Loss) -> str | None:
        """Return the phase that a loss was evaluated in, or None for a training loss."""
        if loss.phase is not None:
            return None if loss.phase == "train" and loss.grad else loss.phase
        if not loss.grad:
            return "val"
        if loss.backward is not None:
            self._trained_in_train_mode = self._trained_in_train_mode or loss.training
            attacked = not loss.training and self._trained_in_train_mode
            return "val" if attacked and not loss.stepped else None
        if not loss.training:
            return "val"
        return "val" if self._leftovers.are_validation else None

    def _take_loss(self, loss: Loss, phase: str | None) -> None:
        self._captured = True
        if phase is not None:
            evaluation = self._evaluated.setdefault(phase, Evaluation())
            evaluation.add(loss, self._recipe, each=self._varies)
            return
        last = self._window[-1] if self._window else None
        if last is not None and loss.backward is not None and last[0].backward == loss.backward:
            last.append(loss)
            return
        if self.is_evaluating():
            self._end_stretch()
        self._window.append([loss])
        if len(self._window) >= CROWD:
            self._folded += len(self._window) - 1
            self._fold(self._window[:-1], None)
            del self._window[:-1]

    def _take_step(self, event: Step) -> None:
        self._captured = True
        if event.found_inf:
            self._scaling.skipped += 1
            return
        if self.is_evaluating() and not self._window:
            self._end_stretch()
        joined = bool(self._stepped) and event.optimizer not in self._stepped
        if not joined:
            self._begin_step()
        self._stepped.add(event.optimizer)
        event.number = self.step
        if event.closure:
            del self._window[1:]  # the loss where the step began, as the closure returned it
        self._settle_window(event.optimizer)
        if event.norm is not None:
            self._norms.add(event.norm, joined=joined, clip_coef=event.clip_coef, kind=event.kind)
        if event.lr is not None and (event.optimizer == 0 or self._lr is None):
            self._lr = event.lr
        self._place_held()

    def _begin_step(self) -> None:
        if self._has_steps():
            self._add_step_row_if_due()
        elif self._open is not None and not self._finished:
            self.step = self._open.step = self._start  # logged before training began
        self._stepped.clear()
        self.step += 1

    def _take_logged(self, event: Logged) -> None:
        self._validated = self._validated or any(name.startswith("val_") for name in event.values)
        self._explicit.update(event.values)
        self._held.append(event)
        if not (self._window or event.ahead):
            self._place_held()

    def _take_mark(self, event: EpochMark) -> None:
        self._exact = True
        if event.done > self.epoch:
            self._end_stretch(done=event.done)

    # ------------------------------------------------------------------ bookkeeping

    def _has_steps(self) -> bool:
        return bool(self._stepped)

    def is_evaluating(self) -> bool:
        """Tell whether an evaluation is under way whose row is still to come."""
        return bool(self._evaluated) or self._validated

    def _settle_window(self, optimizer: int | None = None) -> None:
        self._fold(self._window, optimizer)
        if not self._has_steps():  # no optimizer to be seen: one step a backward pass
            self.step += self._folded + len(self._window)
        self._folded = 0
        self._window.clear()

    def _fold(self, window: Sequence[list[Loss]], optimizer: int | None) -> None:
        """Put training losses into the means."""
        for place, losses in enumerate(window):
            parts = len(losses)
            self._varies |= self._part_counts.setdefault((optimizer, place), parts) != parts
            value, weight, self._recipe = combine(losses)
            self._train.add(value, weight, parts)
            self._batch.add(value, weight, parts)

    def _read_mean(self, mean: Mean) -> float:
        return mean.value_each if self._varies else mean.value

    def _place_held(self) -> None:
        for event in self._held:
            if not self._has_steps():
                self._number(event)
            self._put(event.values, given=True, epoch=event.epoch)
        self._held.clear()

    def _number(self, event: Logged) -> None:
        """Choose the step of a logged row where no optimizer step was ever seen."""
        row = self._open
        if event.step is not None and math.isfinite(event.step):
            self.step = int(event.step)
        elif self._fresh or (row is not None and not row.cells.keys().isdisjoint(event.values)):
            self.step += 1
        self._fresh = False

    # ------------------------------------------------------------------ rows out

    def _end_stretch(self, done: int | None = None) -> None:
        """Write the row of a stretch of training and its evaluation; it may complete an epoch."""
        before = self.step
        self._settle_window()
        self._place_held()
        if done is not None:
            self.epoch = done
        elif self._captured and not self._exact and self.step > self._epoch_step:
            self.epoch += 1
        if done is not None or not self._exact:
            self._epoch_length, self._epoch_step = self.step - self._epoch_step, self.step
        cells = {f"{phase}_loss": self._average(phase) for phase in self._evaluated}
        if self._train.count:
            cells.setdefault("train_loss", self._read_mean(self._train))
        if not self._has_steps() and done is not None and cells and self.step == before:
            self.step += int(self._fresh)
        self._put(cells)
        self._fresh = True
        self._evaluated.clear()
        self._validated = False
        self._train = Mean()
        self._batch = Mean()
        self._last_row = self.step

    def _average(self, phase: str) -> float:
        losses = self._evaluated[phase]
        self._sizes.setdefault(phase, set()).add(len(losses))
        return losses.average(self._recipe, each=self._varies)

    def _add_step_row_if_due(self) -> None:
        since = self.step - self._last_row
        if self.every is None:
            due = since * SPACING >= self.step
        else:
            due = self.every > 0 and since > 0 and self.step % self.every == 0
        if due:
            self._add_step_row()

    def _add_step_row(self) -> None:
        self._put({"batch_loss": self._read_mean(self._batch)} if self._batch.count else {})
        self._batch = Mean()
        self._last_row = self.step

    def _put(
        self, cells: Mapping[str, float], *, given: bool = False, epoch: float | None = None
    ) -> None:
        """Put cells on the row of the present step; what was given wins over what was captured."""
        row = self._open
        if row is None or row.step != self.step:
            self._finish_row()
            row = self._open = Row(self.step, None)
        if epoch is not None and math.isfinite(epoch):
            row.epoch, row.epoch_given = epoch, True
        elif not row.epoch_given and (self._exact or self._captured):
            row.epoch = self.epoch
        for name, value in cells.items():
            if given or (name not in self._explicit and name not in row.cells):
                row.cells[name] = value
        if "grad_norm" not in row.cells and "grad_norm" not in self._explicit:
            norms = self._norms.take()
            row.kind = self._norms.kind if norms else row.kind
            row.cells.update({n: v for n, v in norms.items() if n not in self._explicit})
        for name, value in self._scaling.list_cells().items():
            if name not in self._explicit:
                row.cells[name] = value
        if self._lr is not None and "lr" not in self._explicit:
            row.cells["lr"] = self._lr

    def _finish_row(self) -> None:
        if self._open is not None and self._open.cells:
            self._rows.append(self._open)
            self._finished = True
            self.latest.update(self._open.cells)
        self._open = None

    def drain(self) -> list[Row]:
        """Return the rows that are complete, and forget them."""
        if self._open is not None and self._open.step < self.step:
            self._finish_row()
        rows, self._rows = self._rows, []
        return rows

    def draft(self, *, ended: bool) -> list[Row]:
        """Return the row that is not complete yet, as far as it is known; nothing here changes.

        Parameters
        ----------
        ended : bool
            Whether an evaluation that is under way is known to be over.
        """
        if not (self.is_evaluating() or self._open is not None):
            return []
        told = all(len(ls) in self._sizes.get(phase, ()) for phase, ls in self._evaluated.items())
        if not self.is_evaluating() or not (ended or told) or self._window:
            row = copy.deepcopy(self._open)
            return [row] if row is not None and row.cells else []
        twin = copy.deepcopy(self)
        twin._rows = []  # noqa: SLF001 a copy of this very object
        twin._end_stretch()  # noqa: SLF001 a copy of this very object
        twin._finish_row()  # noqa: SLF001 a copy of this very object
        return twin._rows  # noqa: SLF001 a copy of this very object

    def close(self, *, failed: bool) -> list[Row]:
        """Return all the rows that are left, at the end of a run or where it broke off."""
        if failed:
            self._drop_unfinished()
        self._settle_window()
        self._place_held()
        since = 0 if failed else self.step - self._epoch_step
        if self._exact and since:
            self._end_stretch(done=self.epoch + 1)
        elif self.is_evaluating() or (since and since == self._epoch_length):
            self._drop_overlong()
            self._end_stretch()
        elif since and self.every == 0:
            self._end_stretch(done=self.epoch)
        elif self.step > self._last_row:
            self._add_step_row()
        self._finish_row()
        return self.drain()

    def _drop_unfinished(self) -> None:
        """Forget a training loss that led to no step, and an evaluation that was cut short."""
        if self._has_steps():
            self._window.clear()
        for phase, losses in list(self._evaluated.items()):
            if self._sizes.get(phase) and len(losses) < min(self._sizes[phase]):
                del self._evaluated[phase]
                self._validated = True

    def _drop_overlong(self) -> None:
        """Cut what was evaluated after the last epoch's own evaluation, such as a test set."""
        for phase, losses in self._evaluated.items():
            sizes = self._sizes.get(phase, set())
            if len(sizes) == 1:
                losses.cut(min(sizes))
