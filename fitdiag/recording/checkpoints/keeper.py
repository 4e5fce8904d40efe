"""Keeps checkpoints while a training runs: takes them, hands them on, and never raises."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fitdiag.checkpoint_index import Entry, name_file
from fitdiag.errors import UsageError, WriteError
from fitdiag.recording.checkpoints.parts import Parts, complete, list_stateful, unwrap
from fitdiag.recording.checkpoints.plan import check_kind
from fitdiag.recording.checkpoints.saving import PLACES, Background, Budget
from fitdiag.recording.checkpoints.shelf import Shelf
from fitdiag.recording.checkpoints.snapshot import Snapshot, is_finite
from fitdiag.recording.checkpoints.state import collect, collect_weights
from fitdiag.recording.checkpoints.storage import write_file
from fitdiag.recording.checkpoints.watch import Watch

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from torch import nn
    from torch.optim import Optimizer

    from fitdiag.recording.checkpoints.plan import Plan
    from fitdiag.run import Run

__all__ = ["Keeper", "Moment"]

#: folders that are written to in this process
_keeping: set[Path] = set()


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Where a training is: as the row of the log says that is being written."""

    step: int
    epoch: float | None
    value: float | None


class Keeper:
    """Takes the checkpoints of one recording.

    Parameters
    ----------
    plan : Plan
        What the user asked for.
    models, optimizers : sequence
        As the user gave them.
    look : callable
        Returns the present :class:`Moment`, given whether there was an evaluation; None where
        nothing is recorded any more.
    judge : callable
        Returns the run so far, or None.
    say : callable
        Says what is amiss, once.

    Attributes
    ----------
    watch : Watch
        What tells when a checkpoint is due.
    offset : tuple of int
        Steps and epochs that the training had behind it when the log began.
    """

    def __init__(
        self,
        plan: Plan,
        models: Sequence[nn.Module],
        optimizers: Sequence[Optimizer],
        *,
        look: Callable[[bool], Moment | None],
        judge: Callable[[], Run | None],
        say: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._parts = Parts(
            model=models, optimizer=optimizers, scheduler=plan.scheduler, scaler=plan.scaler
        )
        self._claimed = False  # the folder is ours to write to
        self._complete = False  # what nobody named has been looked for
        self._look = look
        self._judge = judge
        self._say = say
        self._shelf = Shelf(plan.folder, plan.keep) if plan.folder else None
        self._background = Background()
        self._snapshots = [Snapshot() for _ in range(PLACES)]
        self._last_step = -1
        self._log = ""
        self._budget = Budget()
        self._problems: list[str] = []
        self._reasons: set[str] = set()  # why some could not be kept, each said once
        self.offset = (0, 0)
        self.watch = Watch(models, self._save_due, random=plan.what == "state")

    # ------------------------------------------------------------------ begin and end

    def begin(self, log: str, *, overwrite: bool, resumed: int | None) -> None:
        """Claim the folder and hang the hooks.

        Parameters
        ----------
        log : str
            The log, as a path from the folder.
        overwrite : bool
            Whether checkpoints of an earlier run may be replaced.
        resumed : int or None
            The step from which an earlier run is taken up.

        Raises
        ------
        WriteError
            If the folder cannot be written to, or its checkpoints may not be replaced.
        UsageError
            If the model is spread over processes.
        """
        if self._shelf is None:
            return
        self._parts.refuse_sharded()
        if self._shelf.folder.resolve() in _keeping:
            raise WriteError(f"{self._shelf.folder} is being written to already: pass another")
        self._shelf.begin(overwrite=overwrite, resumed=resumed)
        _keeping.add(self._shelf.folder.resolve())
        self._claimed = True
        self._log = log
        self._budget = Budget()
        self.watch.attach()

    def finish(self, *, failed: bool) -> None:
        """Keep the last state, unless the training broke off; wait until every file is whole."""
        self.watch.detach()
        try:
            if self._claimed and not failed and not self.watch.replaced:
                self._save_due(now=True, last=True)
        finally:
            self._background.wait()
            self._speak()
            if self._shelf is not None and self._claimed:
                _keeping.discard(self._shelf.folder.resolve())
                self._claimed = False

    @property
    def best(self) -> Path | None:
        """The best file so far that is whole; None where none can be told."""
        self._background.wait()
        shelf = self._shelf
        return shelf.folder / shelf.best.name if shelf is not None and shelf.best else None

    # ------------------------------------------------------------------ saving

    def note_epoch(self) -> None:
        """Keep a checkpoint where an epoch is known to end."""
        if not self.watch.replaced:
            self._save_due(now=True)

    def _save_due(self, *, now: bool = False, last: bool = False) -> None:
        """Keep a checkpoint, if it does not hold up the training for too long."""
        shelf = self._shelf
        if shelf is None:
            return
        if not (last or self._has_time()):
            self.watch.pending = False
            return
        try:
            with self._budget.spent():
                moment = self._find_moment()
            if moment is not None and moment.step > max(self._last_step, 0):
                self._save(moment, shelf, self._plan.what, now=now)
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            self._complain(problem)
        self._speak()

    def save(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        what: str | None = None,
        scheduler: object = None,
        scaler: object = None,
    ) -> Path | None:
        """Keep a checkpoint now; return its file, or None where that cannot be done."""
        try:
            kind = check_kind(what or self._plan.what)
            place = self._place(path)
            given = {"scheduler": scheduler, "scaler": scaler}
            named = {
                role: list_stateful(one, role) for role, one in given.items() if one is not None
            }
            self._parts = replace(self._parts, **named)
            self._parts.refuse_sharded()
            moment = self._find_moment()
            return None if moment is None else self._save(moment, place, kind, now=True)
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            self._complain(problem)
            return None
        finally:
            self._speak()

    def _place(self, path: str | os.PathLike[str] | None) -> Path | Shelf:
        """Return where a checkpoint goes."""
        if path is None:
            if self._shelf is None:
                raise UsageError("pass run.save() a file, or record(checkpoints=...) a folder")
            return self._shelf
        target = Path(path).absolute()
        if target.is_dir() or not target.suffix:
            raise UsageError(f"{path} is no file name: pass one such as last.pt")
        return target

    def _find_moment(self) -> Moment | None:
        """Return where the training is; what was evaluated before is taken note of by this."""
        moment = self._look(self.watch.pending)
        self.watch.pending = False
        if moment is None or not any(self.offset):
            return moment
        steps, epochs = self.offset
        epoch = None if moment.epoch is None else moment.epoch + epochs
        return replace(moment, step=moment.step + steps, epoch=epoch)

    def _has_time(self) -> bool:
        """Tell whether there is time for a checkpoint, waiting for the disk as long as there is."""
        left = self._budget.left()
        with self._budget.spent():
            free = left > 0 and self._background.wait(places=1, seconds=left)
        if not free:
            self._say(
                "evaluations come faster than checkpoints can be written without holding up the "
                "training: not each of them gets one"
            )
        return free

    def _save(self, moment: Moment, place: Path | Shelf, what: str, *, now: bool) -> Path:
        """Take a copy, and have it written; return the file."""
        self._background.wait(places=1)
        entry = Entry(
            name=name_file(moment.step, moment.epoch),
            step=moment.step,
            epoch=moment.epoch,
            what=what,
            value=moment.value,
            finite=moment.value is None or math.isfinite(moment.value),
            log=self._log,
        )
        snapshot, run = self._snapshots.pop(), None
        try:
            with self._budget.spent():
                content = self._copy(snapshot, moment, what, now=now)
            if isinstance(place, Shelf):
                entry, run = place.name(entry), self._judge()
                self._last_step = moment.step
        except BaseException:
            self._snapshots.append(snapshot)
            raise
        self._background.submit(partial(self._write, content, entry, place, run, snapshot))
        return place.folder / entry.name if isinstance(place, Shelf) else place

    def _copy(self, snapshot: Snapshot, moment: Moment, what: str, *, now: bool) -> Any:  # noqa: ANN401 what a file holds
        random = self.watch.take_random(now=now)
        if what == "model":
            models = [copy.deepcopy(unwrap(model)).cpu() for model in self._parts.model]
            return models[0] if len(models) == 1 else models
        if what == "weights":
            return snapshot.take(collect_weights(self._parts))
        if not self._complete:
            self._complete = True
            self._parts = complete(self._parts, self._say)
        best = self._shelf.best if self._shelf else None
        told = {"step": best.step, "epoch": best.epoch, "val_loss": best.value} if best else None
        state = collect(
            self._parts,
            step=moment.step,
            epoch=moment.epoch,
            value=moment.value,
            best=told,
            rng=random,
        )
        content = snapshot.take(state)
        if snapshot.left_out:
            self._say(
                f"checkpoints are without {', '.join(snapshot.left_out[:4])}, which only code "
                "could bring back"
            )
        return content

    # ------------------------------------------------------------------ in the background

    def _write(
        self,
        content: Any,  # noqa: ANN401 what a file holds
        entry: Entry,
        place: Path | Shelf,
        run: Run | None,
        snapshot: Snapshot,
    ) -> None:
        """Write a file, in the thread that does so; what goes wrong is said in the loop's own."""
        try:
            weights = content.get("model", content) if entry.what != "model" else _weigh(content)
            finite = entry.finite and is_finite(weights, self._parts.list_buffers())
            entry = replace(entry, finite=finite)
            if isinstance(place, Shelf):
                place.store(content, entry, run)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                write_file(content, place)
        except Exception as problem:  # noqa: BLE001 whatever it is, the training goes on
            target = place.folder / entry.name if isinstance(place, Shelf) else place
            self._complain(problem, f"the checkpoint {target}")
        finally:
            self._snapshots.append(snapshot)

    def _complain(self, problem: Exception, what: str = "a checkpoint") -> None:
        reason = str(problem) or type(problem).__name__
        if isinstance(problem, OSError):
            reason = problem.strerror or reason
        if reason in self._reasons:
            return
        self._reasons.add(reason)
        self._problems.append(
            f"{what} could not be kept: {reason}. The training goes on, and the checkpoints that "
            "are there stay"
        )

    def _speak(self) -> None:
        while self._problems:
            self._say(self._problems.pop(0))


def _weigh(models: Any) -> list[Any]:  # noqa: ANN401 one module or several
    listed = models if isinstance(models, list) else [models]
    return [model.state_dict() for model in listed]
