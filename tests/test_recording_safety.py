"""The recorder is never in the way: results, faults, copies, and what is left behind."""

from __future__ import annotations

import copy
import csv
import gc
import io
import pickle
import subprocess
import sys
import time
import warnings
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 its usual name
from torch import nn

import fitdiag
from fitdiag.errors import ExtraError, UsageError, WriteError
from fitdiag.recording import RecordingWarning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("one_thread")


class Loop:
    """A small training with dropout and validation, the same each time."""

    def __init__(self, make: Callable[..., torch.optim.Optimizer], **options: Any) -> None:
        torch.manual_seed(3)
        self.x, self.y = torch.randn(24, 4), torch.randn(24, 1)
        self.model = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.3), nn.Linear(6, 1))
        self.optimizer = make(self.model.parameters(), **options)
        self.criterion = nn.MSELoss()
        self.losses: list[float] = []

    def compute(self) -> torch.Tensor:
        """Forward and backward."""
        self.optimizer.zero_grad()
        loss: torch.Tensor = self.criterion(self.model(self.x), self.y)
        torch.autograd.backward(loss)
        return loss

    def train(self, steps: int) -> None:
        """Step, and evaluate now and then."""
        step: Any = self.optimizer.step
        for i in range(steps):
            self.model.train()
            if isinstance(self.optimizer, torch.optim.LBFGS):
                self.losses.append(step(self.compute).item())
            else:
                self.losses.append(self.compute().item())
                step()
            if i % 10 == 9:
                self.model.eval()
                with torch.no_grad():
                    self.losses.append(self.criterion(self.model(self.x), self.y).item())

    def state(self) -> list[Any]:
        """Everything that the recorder must not have changed."""
        parameters = [p.detach().clone() for p in self.model.parameters()]
        gradients = [None if p.grad is None else p.grad.clone() for p in self.model.parameters()]
        return [*parameters, *gradients, torch.get_rng_state()]


OPTIMIZERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}),
    "adam": (torch.optim.Adam, {"lr": 0.01}),
    "fused": (torch.optim.AdamW, {"lr": 0.01, "fused": True}),
    "foreach": (torch.optim.RMSprop, {"lr": 0.01, "foreach": True}),
    "lbfgs": (torch.optim.LBFGS, {"lr": 0.1, "max_iter": 4}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_recorded_training_is_bit_identical(log: Path, name: str) -> None:
    """Losses, parameters, gradients and random state are the same bits after 200 steps."""
    kind, options = OPTIMIZERS[name]
    bare = Loop(kind, **options)
    bare.train(200)
    expected = bare.state()
    loop = Loop(kind, **options)
    with fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log, flush_seconds=0):
        loop.train(200)
    assert loop.losses == bare.losses
    assert all(torch.equal(a, b) for a, b in zip(loop.state(), expected, strict=True))


def test_hooks_are_gone_afterwards(log: Path) -> None:
    """After the with block model, criterion and optimizer carry nothing of ours."""
    loop = Loop(torch.optim.SGD, lr=0.1)
    with fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log) as run:
        loop.train(3)
        assert "recording" in repr(run)
    for module in (loop.model, loop.criterion):
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    assert not loop.optimizer._optimizer_step_pre_hooks
    assert not loop.optimizer._optimizer_step_post_hooks
    assert "closed" in repr(run)


def test_no_number_is_fetched_step_by_step(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """400 steps fetch numbers a few times in all, never by item(), cpu() or one each step."""
    calls = {"item": 0, "tolist": 0, "cpu": 0, "numpy": 0, "__float__": 0, "__bool__": 0}
    for name in calls:
        original = getattr(torch.Tensor, name)

        def count(self: Any, *args: Any, _name: str = name, _original: Any = original) -> Any:
            calls[_name] += 1
            return _original(self, *args)

        monkeypatch.setattr(torch.Tensor, name, count)
    model, criterion = nn.Linear(4, 1), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.ones(8, 4), torch.ones(8, 1)
    with fitdiag.record(model, optimizer, criterion, log=log):
        for _ in range(400):
            optimizer.zero_grad()
            torch.autograd.backward(criterion(model(x), y))
            optimizer.step()
    assert calls.pop("tolist") <= 4
    assert set(calls.values()) == {0}


def test_memory_is_not_held(log: Path) -> None:
    """No graph outlives its step because of the recorder, not even with a loss nobody uses."""
    model, criterion = nn.Linear(4, 1), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    inputs = []
    with fitdiag.record(model, optimizer, criterion, log=log):
        for used in (True, False):
            x = torch.ones(8, 4)
            loss = criterion(model(x), torch.ones(8, 1))
            if used:
                torch.autograd.backward(loss)
                optimizer.step()
            inputs.append(weakref.ref(x))
            del loss, x
            gc.collect()
            assert [reference() for reference in inputs] == [None] * len(inputs)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_passes_on_and_the_log_is_complete(
    log: Path, error: type[BaseException]
) -> None:
    """Whatever ends a loop early, every step before it is in the log."""
    loop = Loop(torch.optim.SGD, lr=0.1)

    def fail() -> None:
        with fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log):
            loop.train(25)
            raise error("stop")

    with pytest.raises(error, match="stop"):
        fail()
    lines = log.read_text().splitlines()
    assert lines[-1].startswith("25,")
    assert len(lines) == 26
    assert not loop.model._forward_hooks


def test_an_evaluation_that_was_cut_short_is_not_shown_as_one(log: Path) -> None:
    """Part of an evaluation has no place in the validation curve."""
    loop = Loop(torch.optim.SGD, lr=0.1)

    def fail() -> None:
        with fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log, every=0):
            for epoch in range(3):
                loop.compute()
                loop.optimizer.step()
                for _ in range(4 if epoch < 2 else 1):
                    with torch.no_grad():
                        loop.criterion(loop.model(loop.x), loop.y)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with log.open() as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["val_loss"]) for row in rows] == [True, True, False]
    assert all(row["train_loss"] for row in rows)


KILLED = """
import sys, time, torch, fitdiag
model, criterion = torch.nn.Linear(4, 1), torch.nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x, y = torch.ones(8, 4), torch.ones(8, 1)
with fitdiag.record(model, optimizer, criterion, log=sys.argv[1], flush_seconds=0.02, every=1):
    for step in range(10**9):
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
        print(step, flush=True)
        time.sleep(0.001)
"""


def test_kill_loses_only_what_was_not_flushed(log: Path, nursery: Any) -> None:
    """After kill -9 the log has whole lines, all but the last moments of them."""
    with nursery.kill(KILLED, log) as printed:
        for line in printed:
            if int(line) >= 300:
                break
    text = log.read_text()
    assert text.endswith("\n")
    steps = [int(line.split(",")[0]) for line in text.splitlines()[1:]]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= 250


FULL = """
import resource, sys, warnings, torch, fitdiag
model, criterion = torch.nn.Linear(4, 1), torch.nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x, y = torch.ones(8, 4), torch.ones(8, 1)
warnings.simplefilter("error")
with fitdiag.record(model, optimizer, criterion, log=sys.argv[1], flush_seconds=0, every=1):
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
    for step in range(100):
        criterion(model(x), y).backward()
        optimizer.step()
print("trained on")
"""


def test_a_full_disk_stops_the_recording_not_the_training(log: Path, nursery: Any) -> None:
    """When the disk takes no more, that is said once, even under -W error, and lines stay whole."""
    done = nursery.run(FULL, log)
    assert (done.code, done.out) == (0, "trained on\n")
    assert done.err.count("stopped, the training goes on") == 1
    text = log.read_text()
    assert text.endswith("\n")
    assert len(text) <= 500
    assert len({line.count(",") for line in text.splitlines()}) == 1


def test_a_log_folder_that_disappears_is_said_once(tmp_path: Path) -> None:
    """Losing the folder in the middle of a run costs what comes after it, not the run."""
    folder = tmp_path / "runs"
    loop = Loop(torch.optim.SGD, lr=0.1)
    parts: Any = (loop.model, loop.optimizer, loop.criterion)
    with fitdiag.record(*parts, log=folder / "logs.csv") as run:
        loop.train(5)
        (folder / "logs.csv").unlink()
        folder.rmdir()
        with pytest.warns(RecordingWarning, match="rows are kept") as said:
            loop.train(600)
        assert len(said) == 1
        with pytest.warns(RecordingWarning, match="stopped, the training goes on"):
            run.close()
    assert len(loop.losses) == 605 + 60


def test_a_log_that_is_deleted_begins_anew(log: Path) -> None:
    """A log deleted under the recorder comes back with a header, and that is said."""
    loop = Loop(torch.optim.SGD, lr=0.1)
    with fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log, flush_seconds=0):
        loop.train(5)
        log.unlink()
        with pytest.warns(RecordingWarning, match="removed while"):
            loop.train(5)
    lines = log.read_text().splitlines()
    assert lines[0].startswith("step,epoch")
    assert lines[-1].startswith("10,")


FAULTS = [
    "intake.find_batch_size",
    "intake.find_loss",
    "roster.is_plain",
    "flow.fetch",
    "timeline.combine",
    "writer.format_number",
]


@pytest.mark.parametrize("place", FAULTS)
def test_a_fault_of_ours_never_reaches_the_training(
    log: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever breaks inside a hook, the training ends with the same result and one warning."""
    bare = Loop(torch.optim.SGD, lr=0.1)
    bare.train(20)
    loop = Loop(torch.optim.SGD, lr=0.1)
    run = fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log)
    monkeypatch.setattr(f"fitdiag.recording.{place}", lambda *_, **__: 1 / 0)
    with pytest.warns(RecordingWarning, match="stopped, the training goes on") as said, run:
        loop.train(20)
    run.log(val_loss=1.0)
    assert len(said) == 1
    assert loop.losses == bare.losses
    assert not loop.model._forward_hooks


def test_values_that_are_no_numbers_are_passed_over(log: Path) -> None:
    """A value that cannot be logged costs that row and a warning, nothing else."""
    loop = Loop(torch.optim.SGD, lr=0.1)
    with fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log) as run:
        for bad in ({"val_x": "high"}, {"step,": 1}, {"val_z": torch.zeros(0)}):
            with pytest.warns(RecordingWarning, match="passed over"):
                run.log(bad)
        loop.train(3)
    assert len(log.read_text().splitlines()) == 4


def test_nothing_recorded_is_said(log: Path) -> None:
    """A recorder that saw nothing says so, instead of leaving an empty log to wonder about."""
    with (
        pytest.warns(RecordingWarning, match="nothing was recorded"),
        fitdiag.record(nn.Linear(1, 1), log=log),
    ):
        pass


def test_existing_logs_are_not_overwritten(log: Path) -> None:
    """A log with rows is kept unless overwrite=True; one with a bare header is nobody's loss."""
    loop = Loop(torch.optim.SGD, lr=0.1)
    arguments: Any = (loop.model, loop.optimizer, loop.criterion)
    log.write_text("step,epoch,train_loss,val_loss,batch_loss,grad_norm,grad_norm_max,lr\n")
    with fitdiag.record(*arguments, log=log):
        loop.train(2)
    kept = log.read_text()
    with pytest.raises(WriteError, match="overwrite=True"):
        fitdiag.record(*arguments, log=log)
    assert log.read_text() == kept
    with fitdiag.record(*arguments, log=log, overwrite=True) as run:
        loop.train(1)
    assert len(log.read_text().splitlines()) == 2
    with (
        pytest.raises(UsageError, match="recording already"),
        fitdiag.record(*arguments, log=log, overwrite=True) as run,
    ):
        run.__enter__()


def test_two_recorders_do_not_share_a_log(log: Path) -> None:
    """A log that is being written is refused to a second recorder, whatever it asks for."""
    loop = Loop(torch.optim.SGD, lr=0.1)
    with fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log):
        loop.train(1)
        second = fitdiag.record(loop.model, log=log, overwrite=True)
        with pytest.raises(WriteError, match="being recorded"):
            second.__enter__()
        second.close()
        with pytest.raises(WriteError, match="being recorded"):
            second.__enter__()
        loop.train(1)
    assert len(log.read_text().splitlines()) == 3


def test_a_training_that_changes_its_folder_keeps_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative log stays where it was begun, wherever the training goes."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    loop = Loop(torch.optim.SGD, lr=0.1)
    with fitdiag.record(loop.model, loop.optimizer, loop.criterion, log="logs.csv"):
        monkeypatch.chdir(tmp_path / "elsewhere")
        loop.train(3)
    assert len((tmp_path / "logs.csv").read_text().splitlines()) == 4


def test_nested_recorders_each_see_the_loop(tmp_path: Path) -> None:
    """Two recorders around one loop write the same log twice."""
    loop = Loop(torch.optim.SGD, lr=0.1)
    parts: Any = (loop.model, loop.optimizer, loop.criterion)
    with (
        fitdiag.record(*parts, log=tmp_path / "a.csv") as outer,
        fitdiag.record(*parts, log=tmp_path / "b.csv") as inner,
    ):
        loop.train(30)
    assert outer.path.read_text() == inner.path.read_text()


@pytest.mark.parametrize("place", ["folder", "under a file"])
def test_places_that_cannot_be_written_are_refused_before_training(
    tmp_path: Path, place: str
) -> None:
    """A path that cannot hold a log is an error at the with, with the path in it."""
    (tmp_path / "file").write_text("")
    path = tmp_path if place == "folder" else tmp_path / "file" / "logs.csv"
    with pytest.raises(WriteError, match=str(path)):
        fitdiag.record(nn.Linear(1, 1), log=path).__enter__()


def test_arguments_are_checked_before_training(log: Path) -> None:
    """Each argument that makes no sense is refused by name, with what to pass instead."""
    model: Any = nn.Linear(1, 1)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"model": F.relu}, "model is a"),
        ({"optimizer": model}, "optimizer is a Linear"),
        ({"loss_fn": F.mse_loss}, r"run.loss\(mse_loss\)"),
        ({"loss_fn": 3}, "loss_fn is a int"),
        ({"every": -1}, "every is -1"),
        ({"flush_seconds": -1}, "flush_seconds is -1"),
    ]
    for arguments, message in wrong:
        with pytest.raises(UsageError, match=message):
            fitdiag.record(**{"model": model, "log": log} | arguments)
    assert not log.exists()


def test_copies_and_files_of_a_recorded_model_are_clean(log: Path) -> None:
    """Deep copies, pickles and checkpoints made while recording work, and record nothing."""
    loop = Loop(torch.optim.Adam, lr=0.01)
    buffer = io.BytesIO()
    with fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log) as run:
        watched = run.loss(F.mse_loss)
        loop.train(3)
        torch.save(loop.model, buffer)
        torch.save({"model": loop.model.state_dict(), "loss": loop.compute()}, io.BytesIO())
        twin, criterion = copy.deepcopy((loop.model, loop.criterion))
        optimizer = copy.deepcopy(loop.optimizer)
        assert pickle.loads(pickle.dumps(optimizer)).param_groups  # noqa: S301 our own bytes
        function = pickle.loads(pickle.dumps(watched))  # noqa: S301 our own bytes
        for _ in range(5):
            criterion(twin(loop.x), loop.y)
            function(loop.x, loop.x)
            optimizer.step()
    steps = [line.split(",")[0] for line in log.read_text().splitlines()[1:]]
    assert steps == ["1", "2", "3"]
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    assert torch.equal(loaded.eval()(loop.x), loop.model.eval()(loop.x))
    assert b"fitdiag" not in buffer.getvalue()


def test_compiled_models_are_recorded_and_compiled_criteria_do_no_harm(log: Path) -> None:
    """A model under torch.compile is recorded; a compiled step runs on, and its loss is missed."""
    loop = Loop(torch.optim.SGD, lr=0.1)
    compiled: Any = torch.compile(loop.model, backend="eager")
    with fitdiag.record(compiled, loop.optimizer, loop.criterion, log=log) as run:
        for _ in run.epochs(2):
            loop.optimizer.zero_grad()
            torch.autograd.backward(loop.criterion(compiled(loop.x), loop.y))
            loop.optimizer.step()

    @torch.compile(backend="eager", fullgraph=True)
    def compute(x: torch.Tensor, y: torch.Tensor) -> Any:
        return loop.criterion(loop.model(x), y)

    run = fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log, overwrite=True)
    with run:
        compute(loop.x, loop.y).backward()
        loop.optimizer.step()
        with pytest.warns(RecordingWarning, match=r"torch\.compile"):
            run.close()
    (row,) = list(csv.DictReader(io.StringIO(log.read_text())))
    assert float(row["grad_norm"]) > 0


def test_the_log_is_on_disk_while_training(log: Path) -> None:
    """An evaluation is on disk one step after it, and step rows within flush_seconds."""
    loop = Loop(torch.optim.SGD, lr=0.1)
    with fitdiag.record(
        loop.model, loop.optimizer, loop.criterion, log=log, every=0, flush_seconds=60
    ):
        loop.train(10)
        time.sleep(0.11)
        loop.train(1)
        assert len(log.read_text().splitlines()) == 2
    with fitdiag.record(
        loop.model, loop.optimizer, loop.criterion, log=log, flush_seconds=0.05, overwrite=True
    ):
        loop.train(3)
        time.sleep(0.06)
        loop.train(1)
        assert len(log.read_text().splitlines()) >= 3


def test_warnings_as_errors_do_not_turn_ours_into_one(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where warnings raise, what the recorder has to say goes to stderr instead."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fitdiag.record(nn.Linear(1, 1), log=log):
            pass
    assert "nothing was recorded" in capsys.readouterr().err


def test_only_the_first_of_several_processes_writes(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a launcher, ranks other than the first train on and write nothing."""
    for name, value in (("RANK", "1"), ("LOCAL_RANK", "1"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    loop = Loop(torch.optim.SGD, lr=0.1)
    with fitdiag.record(loop.model, loop.optimizer, loop.criterion, log=log):
        loop.train(3)
    assert not log.exists()


def test_progress_is_drawn_in_a_terminal_only(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar shows epochs and losses on a terminal's stderr, and nothing anywhere else."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    drawn = []
    for stream, progress in ((Terminal(), None), (Terminal(), False), (io.StringIO(), True)):
        monkeypatch.setattr(sys, "stderr", stream)
        loop = Loop(torch.optim.SGD, lr=0.1)
        with fitdiag.record(
            loop.model,
            loop.optimizer,
            loop.criterion,
            log=log,
            overwrite=True,
            progress=progress,
            flush_seconds=0,
        ) as run:
            epochs = run.epochs(3)
            assert len(epochs) == 3
            for _ in epochs:
                loop.train(2)
        drawn.append(stream.getvalue())
    assert "3/3" in drawn[0]
    assert "train " in drawn[0]
    assert drawn[1:] == ["", ""]


def test_without_torch_the_way_to_get_it_is_told() -> None:
    """Where torch is missing, fitdiag.record says what to install and nothing else breaks."""
    code = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
        "import fitdiag\n"
        "try:\n    fitdiag.record\nexcept fitdiag.FitdiagError as error:\n    print(repr(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ExtraError.__name__ in done.stdout
    assert 'pip install "fitdiag[torch]"' in done.stdout
