"""What befalls real trainings: forks, interrupts, dying terminals, full disks, new optimizers."""

from __future__ import annotations

import copy
import csv
import io
import os
import pickle
import sys
import threading
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 its usual name
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint

import fitdiag
from fitdiag.errors import UsageError
from fitdiag.recording import RecordingWarning
from fitdiag.recording.clip_watch import NAME
from fitdiag.recording.events import Loss
from fitdiag.recording.timeline import CROWD, Timeline
from fitdiag.recording.writer import LogWriter

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("one_thread")


class Loop:
    """Full-batch regression, the same each time."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        self.optimizer: Any = torch.optim.SGD(self.model.parameters(), lr=0.05)
        self.criterion: Any = nn.MSELoss()
        self.x = torch.randn(16, 3)
        self.y = self.x.sum(1, keepdim=True)

    def record(self, log: Path, **options: Any) -> Any:
        """Record this loop."""
        return fitdiag.record(self.model, self.optimizer, self.criterion, log=log, **options)

    def step(self) -> float:
        """Step once; return the loss."""
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def train(self, steps: int) -> None:
        """Step so often."""
        for _ in range(steps):
            self.step()

    def evaluate(self) -> float:
        """Evaluate without gradients; return the loss."""
        with torch.no_grad():
            return float(self.criterion(self.model(self.x), self.y))


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_steps(path: Path) -> list[int]:
    return [int(row["step"]) for row in read_rows(path)]


def close_to(values: object) -> Any:
    return pytest.approx(values, rel=1e-6)


# ---------------------------------------------------------------------- optimizers


def test_an_optimizer_made_anew_inside_takes_the_place_of_the_first(log: Path) -> None:
    """Each stage may make its own optimizer: no step is lost or doubled, and it is said once."""
    loop = Loop()
    with loop.record(log):
        loop.train(5)
        loop.optimizer = torch.optim.Adam(loop.model[2].parameters(), lr=0.001)
        with pytest.warns(RecordingWarning, match="another optimizer than the one given, Adam"):
            loop.train(5)
        loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.002)
        with pytest.warns(RecordingWarning, match="SGD"):
            loop.train(5)
    rows = read_rows(log)
    assert read_steps(log) == list(range(1, 16))
    assert [float(row["lr"]) for row in rows] == [0.05] * 5 + [0.001] * 5 + [0.002] * 5
    assert all(row["batch_loss"] and row["grad_norm"] for row in rows)


class Wrapper(torch.optim.Optimizer):
    """An optimizer around another, as look-ahead and sharding optimizers are."""

    def __init__(self, inner: torch.optim.Optimizer) -> None:
        super().__init__(inner.param_groups, {})
        self.inner = inner

    def step(self, closure: Any = None) -> Any:
        """Step the inner one."""
        return self.inner.step(closure)


@pytest.mark.parametrize("named", ["inner", "outer", None])
def test_an_optimizer_in_a_wrapper_counts_once(log: Path, named: str | None) -> None:
    """Whichever of the two was named, or none, a step of both is one step."""
    loop = Loop()
    inner, outer = loop.optimizer, Wrapper(loop.optimizer)
    named_one = {"inner": inner, "outer": outer, None: None}[named]
    loop.optimizer = outer
    with fitdiag.record(loop.model, named_one, loop.criterion, log=log):
        for _ in range(6):
            loop.step()
    assert read_steps(log) == list(range(1, 7))


def test_backward_passes_without_steps_do_not_pile_up() -> None:
    """Where no optimizer is ever seen memory is bounded, and the mean is that of all losses."""
    timeline = Timeline()
    count = 3 * CROWD
    for i in range(count):
        loss = Loss(float(i), 4)
        loss.backward = i
        timeline.feed([loss])
        assert len(timeline._window) <= CROWD
    (row,) = timeline.close(failed=False)
    assert row.step == count
    assert row.cells["batch_loss"] == pytest.approx((count - 1) / 2)


# ---------------------------------------------------------------------- processes and signals


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks on this system")
def test_a_fork_trains_on_without_a_word_in_the_log(log: Path, nursery: Any) -> None:
    """A child process leaves the log of its parent alone, however it ends."""
    script = """
import os, sys, warnings, torch, fitdiag
warnings.simplefilter("error", RuntimeWarning)
torch.set_num_threads(1)
model, criterion = torch.nn.Linear(3, 1), torch.nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
def train(steps, run):
    for _ in range(steps):
        optimizer.zero_grad()
        criterion(model(torch.ones(4, 3)), torch.ones(4, 1)).backward()
        optimizer.step()
        with torch.no_grad():
            criterion(model(torch.ones(4, 3)), torch.ones(4, 1))
        run.log(val_x=1.0)
with fitdiag.record(model, optimizer, criterion, log=sys.argv[1], flush_seconds=0) as run:
    train(3, run)
    child = os.fork()
    if child == 0:
        train(100, run)
        assert "closed" in repr(run)
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    train(3, run)
"""
    done = nursery.run(script, log)
    assert (done.code, done.err) == (0, "")
    assert read_steps(log) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "place", ["flow.fetch", "timeline.combine", "timeline.Timeline.drain", "writer.format_number"]
)
def test_an_interrupt_within_a_flush_loses_nothing(
    log: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C that lands anywhere in a flush leaves a log with every step in it, once."""
    loop = Loop()
    module, _, name = place.rpartition(".")
    target = f"fitdiag.recording.{module}.{name}"
    owner: Any = import_module("fitdiag.recording." + module.split(".")[0])
    original = getattr(getattr(owner, "Timeline", owner) if "Timeline" in place else owner, name)
    calls = []

    def interrupt(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(target, interrupt)
    steps = 0

    def train() -> None:
        nonlocal steps
        with loop.record(log, flush_seconds=0, every=1):
            for _ in range(50):
                loop.optimizer.zero_grad()
                loop.criterion(loop.model(loop.x), loop.y).backward()
                steps += 1
                loop.optimizer.step()

    with pytest.raises(KeyboardInterrupt):
        train()
    assert len(calls) >= 3
    assert read_steps(log) == list(range(1, steps + 1))


EVALUATED = """
import sys, time, torch, fitdiag
torch.set_num_threads(1)
model, criterion = torch.nn.Linear(4, 1), torch.nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x, y = torch.ones(8, 4), torch.ones(8, 1)
counted = sys.argv[2] == "counted"
with fitdiag.record(model, optimizer, criterion, log=sys.argv[1], every=0) as run:
    for epoch in run.epochs(3) if counted else range(3):
        for _ in range(5):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        for _ in range(4):
            with torch.no_grad():
                loss = criterion(model(x), y).item()
    if counted:
        run.log(val_x=1.0)
    print(loss, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("way", ["counted", "told by its size"])
def test_an_evaluation_is_on_disk_at_its_end(log: Path, nursery: Any, way: str) -> None:
    """After kill -9 right after an evaluation its row is there, without a step to follow."""
    with nursery.kill(EVALUATED, log, way) as printed:
        loss = float(printed.readline())
    rows = read_rows(log)
    assert [(row["step"], row["epoch"]) for row in rows] == [("5", "1"), ("10", "2"), ("15", "3")]
    assert float(rows[-1]["val_loss"]) == close_to(loss)
    assert rows[-1]["train_loss"]


def test_the_first_evaluation_is_on_disk_as_training_goes_on(log: Path) -> None:
    """Its size is not known yet, so it is written with the next training loss, before its step."""
    loop = Loop()
    with loop.record(log, flush_seconds=1000, every=0):
        loop.train(3)
        for _ in range(4):
            held_out = loop.evaluate()
        loop.criterion(loop.model(loop.x), loop.y)
        (row,) = read_rows(log)
        assert row["step"] == "3"
        assert float(row["val_loss"]) == close_to(held_out)


def test_drafts_leave_no_trace(log: Path) -> None:
    """What was written early is replaced: the log is the same however often it was flushed."""
    texts = []
    for seconds in (0, 1000):
        loop = Loop()
        with loop.record(log, overwrite=True, flush_seconds=seconds, every=0) as run:
            for epoch in run.epochs(4):
                loop.step()
                for _ in range(3):
                    loop.evaluate()
                    if not seconds:
                        run._session.flow.flush()
                run.log({"val_x": epoch, "val_late": 1.5} if epoch > 1 else {"val_x": epoch})
        texts.append(log.read_text())
    assert texts[0] == texts[1]


# ---------------------------------------------------------------------- terminal and disk


class Terminal(io.StringIO):
    """A terminal that can go away."""

    dead = False

    def isatty(self) -> bool:
        """Say so."""
        return True

    def write(self, text: str) -> int:
        """Fail once it is gone."""
        if self.dead:
            raise OSError(5, "Input/output error")
        return super().write(text)


def test_a_terminal_that_dies_takes_only_its_bar_along(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the loop nor the recording ends because nobody can see the progress any more."""
    terminal, loop = Terminal(), Loop()
    monkeypatch.setattr(sys, "stderr", terminal)
    with loop.record(log, flush_seconds=0) as run:
        for epoch in run.epochs(5):
            loop.step()
            terminal.dead = epoch >= 2
    assert read_steps(log) == [1, 2, 3, 4, 5]


def test_the_cursor_comes_back_where_the_recording_broke_off(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar that was begun is ended, even when the recorder gave up before and the loop broke."""
    terminal, loop = Terminal(), Loop()
    monkeypatch.setattr(sys, "stderr", terminal)
    with loop.record(log) as run:
        for epoch in run.epochs(5):
            loop.step()
            if epoch == 2:
                with pytest.warns(RecordingWarning, match="stopped"):
                    run._session.give_up(ValueError("a fault"))
                break
    written = terminal.getvalue()
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")


def test_a_write_that_fails_once_costs_nothing(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that the disk did not take are written later, and one warning is all there is."""
    loop = Loop()
    original = LogWriter.write
    calls = []

    def write(self: LogWriter, rows: Any, draft: Any = ()) -> None:
        calls.append(len(rows))
        if 5 <= len(calls) < 9:
            raise PermissionError(13, "Permission denied")
        original(self, rows, draft)

    monkeypatch.setattr(LogWriter, "write", write)
    run = loop.record(log, flush_seconds=0, every=1)
    with pytest.warns(RecordingWarning, match="rows are kept") as said, run:
        loop.train(20)
    assert len(said) == 1
    assert read_steps(log) == list(range(1, 21))


def test_rows_wait_only_up_to_a_bound(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that never comes back ends the recording, so that memory is not filled instead."""
    monkeypatch.setattr("fitdiag.recording.delivery.BACKLOG", 10)
    loop = Loop()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LogWriter, "write", refuse)
    with loop.record(log, flush_seconds=0, every=1) as run:
        with pytest.warns(RecordingWarning) as said:
            loop.train(20)
        assert "closed" in repr(run)
    assert ["stopped" in str(warning.message) for warning in said] == [False, True]


# ---------------------------------------------------------------------- which losses are what


def test_sequences_of_different_length_compare_by_their_parts(log: Path) -> None:
    """Sums over ever different numbers of losses are means over them, in both curves."""
    loop = Loop()
    lengths = [3, 7, 5, 2, 9, 4]
    with loop.record(log, every=0):
        for _ in range(2):
            for length in lengths:
                loop.optimizer.zero_grad()
                sum(
                    loop.criterion(loop.model(loop.x * 0), loop.y) for _ in range(length)
                ).backward()
                for p in loop.model.parameters():
                    p.grad = None
                loop.optimizer.step()
            with torch.no_grad():
                for length in reversed(lengths):
                    for _ in range(length):
                        expected = float(loop.criterion(loop.model(loop.x * 0), loop.y))
    for row in read_rows(log):
        assert float(row["train_loss"]) == close_to(expected)
        assert float(row["val_loss"]) == close_to(expected)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_criterion_in_a_checkpoint_gives_training_losses(log: Path, *, reentrant: bool) -> None:
    """Activation checkpointing computes a loss twice: it is one, it is training, no epoch ends."""
    loop, seen = Loop(), []
    with loop.record(log):
        for i in range(9):
            loop.optimizer.zero_grad()
            loss = checkpoint(loop.criterion, loop.model(loop.x), loop.y, use_reentrant=reentrant)
            seen.append(float(loss.detach()))
            loss.backward()
            loop.optimizer.step()
            if i == 3:
                held_out = loop.evaluate()
    rows = read_rows(log)
    assert [
        float(row["batch_loss"] or row["train_loss"]) for row in rows if row["step"] != "4"
    ] == (close_to([loss for i, loss in enumerate(seen) if i != 3]))
    assert [float(row["val_loss"]) for row in rows if row["val_loss"]] == close_to([held_out])
    assert rows[-1]["epoch"] == "1"


def test_batches_that_are_skipped_are_no_validation(log: Path) -> None:
    """`if loss > 10: continue` makes no validation curve, ends no epoch and leaves the mean."""
    loop = Loop()
    seen = []
    with loop.record(log, every=0):
        for i in range(20):
            loss = loop.criterion(loop.model(loop.x * (50 if i % 5 == 4 else 1)), loop.y * i)
            if i % 5 == 4:
                continue
            loop.optimizer.zero_grad()
            loss.backward()
            loop.optimizer.step()
            seen.append(float(loss.detach()))
    (row,) = read_rows(log)
    assert row["val_loss"] == ""
    assert row["epoch"] == "0"
    assert float(row["train_loss"]) == close_to(sum(seen) / len(seen))


@pytest.mark.parametrize("seconds", [0, 1000])
def test_one_validation_batch_an_epoch_with_gradients_on_is_validation(
    log: Path, seconds: float
) -> None:
    """What a beginner writes gives a validation curve, but for the first where it was not known."""
    loop = Loop()
    losses = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with loop.record(log, every=0, flush_seconds=seconds):
            for _ in range(6):
                loop.train(5)
                losses.append(loop.criterion(loop.model(loop.x[:2]), loop.y[:2]).item())
    rows = [row for row in read_rows(log) if row["val_loss"]]
    late = 0 if seconds else 1
    assert [float(row["val_loss"]) for row in rows] == close_to(losses[late:])
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1 + late, 7)]
    assert any("LOP004" in str(each.message) for each in said) is not bool(seconds)


def test_a_short_run_that_validates_with_gradients_on_has_validation(log: Path) -> None:
    """Several batches in a row count from the first on, also where all is flushed at the end."""
    loop = Loop()
    losses = []
    with loop.record(log, every=0, flush_seconds=1000):
        for _ in range(3):
            loop.train(4)
            pair = [loop.criterion(loop.model(loop.x), loop.y).item() for _ in range(2)]
            losses.append(sum(pair) / 2)
    rows = read_rows(log)
    assert [float(row["val_loss"]) for row in rows] == close_to(losses)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]


@pytest.mark.parametrize("seconds", [0, 1000])
def test_training_that_stays_in_eval_mode_is_training(log: Path, seconds: float) -> None:
    """Where train mode is never switched back on, steps make training losses and epochs still."""
    loop = Loop()
    with loop.record(log, every=0, flush_seconds=seconds):
        for _ in range(4):
            seen = [loop.step() for _ in range(5)]
            loop.model.eval()
            with torch.no_grad():
                held_out = loop.criterion(loop.model(loop.x[:3]), loop.y[:3]).item()
    rows = read_rows(log)
    assert [(row["step"], row["epoch"]) for row in rows] == [
        (str(5 * epoch), str(epoch)) for epoch in range(1, 5)
    ]
    assert float(rows[-1]["train_loss"]) == close_to(sum(seen) / 5)
    assert float(rows[-1]["val_loss"]) == close_to(held_out)


def test_criteria_in_other_threads_do_not_hide_each_other(log: Path) -> None:
    """While one thread is inside the criterion, another one's loss is noted all the same."""
    loop = Loop()
    entered, leave = threading.Event(), threading.Event()

    class Slow(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            if threading.current_thread() is not threading.main_thread():
                entered.set()
                leave.wait(10)
            return ((a - b) ** 2).mean()

    loop.criterion = Slow()
    with loop.record(log, every=1):
        thread = threading.Thread(target=loop.evaluate)
        thread.start()
        entered.wait(10)
        seen = [loop.step() for _ in range(3)]
        leave.set()
        thread.join()
    found = [float(row["batch_loss"] or row["train_loss"] or 0) for row in read_rows(log)]
    assert found[:2] == close_to(seen[:2])


def test_transforms_and_nested_tensors_cost_only_their_own_loss(log: Path) -> None:
    """A loss inside vmap has no value to record; the next ordinary one has."""
    loop = Loop()
    values = {name: p.detach() for name, p in loop.model.named_parameters()}

    def compute(state: Any, x: torch.Tensor, y: torch.Tensor) -> Any:
        return loop.criterion(functional_call(loop.model, state, (x,)), y)

    with loop.record(log, every=1):
        seen = []
        for _ in range(3):
            vmap(grad(compute), in_dims=(None, 0, 0))(values, loop.x, loop.y)
            seen.append(loop.step())
    assert [float(row["batch_loss"]) for row in read_rows(log)] == close_to(seen)


# ---------------------------------------------------------------------- clipping


@pytest.mark.parametrize("way", ["list", "generator", "keyword", "twice"])
def test_clipping_leaves_the_norm_from_before_and_what_it_did(log: Path, way: str) -> None:
    """The norm is that before clipping, clip_coef the factor, and the training is the same."""
    states, norms = [], []
    for recorded in (False, True):
        loop = Loop()
        run = loop.record(log, every=1) if recorded else None
        with run or torch.enable_grad():
            for _ in range(6):
                loop.optimizer.zero_grad()
                loop.criterion(loop.model(loop.x), 5 * loop.y).backward()
                parameters: Any = list(loop.model.parameters())
                if way == "twice":
                    norms.append(torch.nn.utils.clip_grad_norm_(parameters, float("inf")).item())
                if way == "keyword":
                    norm = torch.nn.utils.clip_grad.clip_grad_norm_(
                        max_norm=3.0, parameters=parameters
                    )
                else:
                    given = (p for p in parameters) if way == "generator" else parameters
                    norm = torch.nn.utils.clip_grad_norm_(given, 3.0)
                if way != "twice":
                    norms.append(norm.item())
                loop.optimizer.step()
        states.append([p.detach().clone() for p in loop.model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))
    rows = read_rows(log)
    assert [float(row["grad_norm"]) for row in rows] == close_to(norms[6:])
    expected = [min(1.0, 3.0 / (norm + 1e-6)) for norm in norms[6:]]
    assert [float(row["clip_coef"]) for row in rows] == close_to(expected)
    assert min(expected) < 1


def test_gradients_that_changed_since_they_were_clipped_are_measured(log: Path) -> None:
    """What was clipped and then replaced is recorded as the optimizer gets it."""
    loop = Loop()
    with loop.record(log, every=1):
        for i in range(4):
            loop.optimizer.zero_grad()
            loop.criterion(loop.model(loop.x), loop.y).backward()
            parameters = list(loop.model.parameters())
            if i == 2:
                torch.nn.utils.clip_grad_norm_(parameters, 0.1)
                for p in parameters:
                    p.grad = None if p.grad is None else p.grad * 2
            squares = [p.grad.double().square().sum() for p in parameters if p.grad is not None]
            expected = float(sum(squares)) ** 0.5
            loop.optimizer.step()
            rows_expected = expected
    rows = read_rows(log)
    assert "clip_coef" not in rows[0]
    assert float(rows[-1]["grad_norm"]) == close_to(rows_expected)


def test_the_function_that_clips_is_put_back(tmp_path: Path) -> None:
    """Nested recordings share one wrapper, and the last to leave restores torch."""
    module: Any = torch.nn.utils.clip_grad
    scaler: Any = torch.amp.GradScaler
    public, step, unscale = torch.nn.utils.clip_grad_norm_, scaler.step, scaler.unscale_
    original = getattr(module, NAME)
    loop = Loop()
    with loop.record(tmp_path / "a.csv") as outer:
        wrapped = getattr(module, NAME)
        assert wrapped is not original
        assert torch.nn.utils.clip_grad_norm_ is public
        assert scaler.step is not step
        with loop.record(tmp_path / "b.csv"):
            loop.step()
        assert getattr(module, NAME) is wrapped
        outer.close()
        assert getattr(module, NAME) is original
        assert (scaler.step, scaler.unscale_) == (step, unscale)
    assert pickle.loads(pickle.dumps(public)) is public  # noqa: S301 our own bytes


# ---------------------------------------------------------------------- what the user passes


def test_a_recorder_records_one_run(log: Path) -> None:
    """Entering it again is refused before its log is touched."""
    loop = Loop()
    run = loop.record(log)
    with run:
        loop.step()
    kept = log.read_text()
    with pytest.raises(UsageError, match="has recorded its run"):
        run.__enter__()
    assert log.read_text() == kept


@pytest.mark.parametrize("bad", [None, 3, "", "a\0b", b"logs.csv"])
def test_a_log_that_is_no_file_name_is_refused(bad: Any) -> None:
    """What cannot name a file is a usage error with what to pass instead."""
    with pytest.raises(UsageError, match="pass the name of a file"):
        fitdiag.record(nn.Linear(1, 1), log=bad)


def test_a_script_module_is_refused(log: Path) -> None:
    """Torch cannot hook the calls of a compiled script, which is said where it is passed."""
    kind: Any = torch.jit.ScriptModule
    script = kind.__new__(kind)
    for arguments in ({"model": script}, {"model": nn.Linear(1, 1), "loss_fn": script}):
        with pytest.raises(UsageError, match="ScriptModule, whose calls cannot be seen"):
            fitdiag.record(**arguments, log=log)


def test_a_watched_function_keeps_its_name(log: Path) -> None:
    """What run.loss returns looks like the function, and a copy of the recorder is the recorder."""
    loop = Loop()
    with loop.record(log) as run:
        watched: Any = run.loss(F.mse_loss)
        assert watched.__name__ == "mse_loss"
        assert watched.__doc__ == F.mse_loss.__doc__
        assert watched.__wrapped__ is F.mse_loss
        assert copy.deepcopy(run) is run
        loop.step()


def test_steps_and_epochs_that_are_no_numbers_are_passed_over(log: Path) -> None:
    """Where a row belongs is checked like what stands in it; tensors of one number will do."""
    with fitdiag.record(nn.Linear(1, 1), log=log) as run:
        for bad in ({"step": "later"}, {"step": 1.5}, {"epoch": [1]}, {"epoch": float("nan")}):
            with pytest.warns(RecordingWarning, match="passed over"):
                run.log(train_loss=9.0, **bad)
        for i in range(3):
            run.log(train_loss=1.0 / (i + 1), step=torch.tensor(10 * i), epoch=torch.tensor(i))
    assert [(row["step"], row["epoch"]) for row in read_rows(log)] == [
        ("0", "0"),
        ("10", "1"),
        ("20", "2"),
    ]


def test_a_logged_loss_is_the_training_loss_and_layers_have_norms(log: Path) -> None:
    """What people log by its usual name can be judged, and names of layers may have slashes."""
    with fitdiag.record(nn.Linear(1, 1), log=log) as run:
        for i in range(4):
            norms = {"grad_norm/body.0.weight": 1.0, "val_Acc": 0.5}
            run.log(norms, loss=2.0 / (i + 1), val_loss=3.0 / (i + 1))
    read = fitdiag.read(log)
    assert read.source.format == "native"
    assert read.curves["train_loss"].values.tolist() == close_to([2, 1, 2 / 3, 0.5])
    assert list(read.layers()) == ["body.0.weight"]


def test_a_torn_last_line_of_a_log_is_left_out(log: Path) -> None:
    """A last line without its end may hold half a number, even with all its cells."""
    log.write_text("step,epoch,train_loss,lr\n1,1,0.5,0.01\n2,2,0.4,0.01\n3,3,0.3,0.0")
    run = fitdiag.read(log)
    assert run.curves["train_loss"].steps.tolist() == [1, 2]
    assert "The last line was not finished; it was left out." in run.source.notes
