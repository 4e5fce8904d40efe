"""Whatever breaks, the training goes on with the same result, and one warning says what is lost."""

from __future__ import annotations

import importlib
import itertools
import os
import pkgutil
import shutil
import sys
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.data import DataLoader, TensorDataset

import fitdiag
import fitdiag.recording
from fitdiag.recording import RecordingWarning, clip_watch, scale_watch
from fitdiag.recording.hygiene import schedules
from fitdiag.recording.hygiene.leaks import LeakWatcher
from fitdiag.recording.hygiene.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCHS, STEPS = 2, 3

#: what torch or the user calls directly, and what guards all the rest: a fault in these few lines
#: themselves has nothing around it that could catch it
THIN = {
    *("Recorder", "WatchedLoss", "Epochs", "_CriterionEntry", "_CriterionExit", "_ModelExit"),
    *("_StepEntry", "_StepExit", "Loss.__call__", "Session.finish", "Session._guard"),
    "Session._end",
    *("fitdiag.recording.scale_watch._guard", "Session.note_epoch", "LoopWatch._note_backward"),
    *("fitdiag.recording.events.is_aside", "Intake.fail", "Session.give_up"),
    "fitdiag.recording.arguments.read_count",
}
#: what takes hooks away; broken, it cannot have done so
REMOVERS = {"detach", "remove", "_find_classes"}


pytestmark = pytest.mark.usefixtures("one_thread")


class Training:
    """A loop that uses whatever the recorder watches."""

    def __init__(self) -> None:
        torch.manual_seed(2)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.2), nn.Linear(4, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        self.criterion = nn.MSELoss()
        self.losses: list[float] = []

    def step(self, *, bad: bool = False) -> None:
        """Train on one batch, clipped in two ways, and scaled."""
        self.model.train()
        x = torch.randn(5, 3) * (float("nan") if bad else 1.0)
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(x), x.sum(1, keepdim=True))
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        clip_grad_value_(self.model.parameters(), 1.0)
        clip_grad_norm_(self.model.parameters(), 0.5)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.losses.append(loss.item())

    def evaluate(self) -> None:
        """Evaluate two batches."""
        self.model.eval()
        with torch.no_grad():
            for _ in range(2):
                x = torch.randn(5, 3)
                self.losses.append(float(self.criterion(self.model(x), x.sum(1, keepdim=True))))

    def run(self, recorder: Any = None, *, bad: bool = False) -> list[Any]:
        """Train some epochs; return what a recorder must not change."""
        for _ in range(EPOCHS) if recorder is None else recorder.epochs(EPOCHS):
            for _ in range(STEPS):
                self.step(bad=bad)
            self.evaluate()
            if recorder is not None:
                recorder.log(val_accuracy=0.5)
        weights = [p.detach().clone() for p in self.model.parameters()]
        return [weights, self.losses, torch.get_rng_state()]

    def record(self, log: Path, **options: Any) -> Any:
        """Record it."""
        options = {"every": 1, "flush_seconds": 0, **options}
        return fitdiag.record(self.model, self.optimizer, self.criterion, log=log, **options)


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two results are equal to the last bit."""
    if isinstance(one, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, torch.Tensor):
        return torch.equal(one.nan_to_num(7.5), other.nan_to_num(7.5))
    return bool(one == other or (one != one and other != other))  # noqa: PLR0124 NaN is not itself


def hangs_on(training: Training) -> bool:
    """Tell whether anything is left on the user's objects, or on torch."""
    hooks = [training.criterion._forward_hooks, training.criterion._forward_pre_hooks]
    for module in training.model.modules():
        hooks += [module._forward_hooks, module._forward_pre_hooks, module._backward_hooks]
    hooks += [training.optimizer._optimizer_step_pre_hooks]
    hooks += [training.optimizer._optimizer_step_post_hooks]
    patched: list[Any] = [torch.nn.utils.clip_grad, torch.amp.GradScaler]
    places = [vars(place).values() for place in patched]
    return any(hooks) or any(hasattr(value, "__fitdiag__") for place in places for value in place)


# ---------------------------------------------------------------------- a fault at every call


def list_own() -> dict[types.CodeType, tuple[Any, str]]:
    """Return every function of the recorder by its code, with where it stands."""
    found: dict[types.CodeType, tuple[Any, str]] = {}
    for info in pkgutil.walk_packages(fitdiag.recording.__path__, "fitdiag.recording."):
        module = importlib.import_module(info.name)
        for name, value in list(vars(module).items()):
            if isinstance(value, types.FunctionType) and value.__module__ == info.name:
                found[value.__code__] = module, name
            if isinstance(value, type) and value.__module__ == info.name:
                for key, inner in vars(value).items():
                    function = inner.fget if isinstance(inner, property) else inner
                    if isinstance(function, types.FunctionType):
                        found[function.__code__] = value, key
    return found


def list_called(act: Callable[[], object]) -> set[types.CodeType]:
    """Return the code of everything of ours that is called while something is done."""
    called: set[types.CodeType] = set()
    own = str(Path(fitdiag.recording.__file__).parent)

    def note(frame: types.FrameType, event: str, _arg: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(own):
            called.add(frame.f_code)

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return called


def break_at(patch: pytest.MonkeyPatch, place: tuple[Any, str], armed: list[bool]) -> None:
    """Make a function of ours raise, once it is armed."""
    owner, name = place
    given = vars(owner)[name]
    original: Any = given.fget if isinstance(given, property) else given

    def broken(*args: Any, **kwargs: Any) -> Any:
        if armed[0]:
            raise ZeroDivisionError(f"a fault in {name}")
        return original(*args, **kwargs)

    if isinstance(owner, type):
        patch.setattr(owner, name, property(broken) if isinstance(given, property) else broken)
        return
    for module in [m for n, m in sys.modules.items() if n.startswith("fitdiag.recording")]:
        if vars(module).get(name) is original:
            patch.setattr(module, name, broken)


def put_back(run: Any) -> None:
    """Undo what a broken remover has left on torch."""
    for module in (clip_watch, scale_watch, schedules):
        module._listeners.clear()
    clip_watch.ClipWatch(run._session.intake).remove()
    scale_watch.ScaleWatch(run._session.intake, [], []).remove()
    schedules.ScheduleWatcher(run._session.watch._scene).remove()


def test_a_fault_at_any_call_of_ours_stays_ours(tmp_path: Path) -> None:
    """Each function that runs while a training is recorded may break: nobody notices but us."""
    expected = Training().run()
    own = list_own()
    log = tmp_path / "traced.csv"

    def record_once() -> None:
        training = Training()
        with training.record(log) as run:
            training.run(run)

    called = [own[code] for code in list_called(record_once) if code in own]
    assert len(called) > 100
    wrong = []
    for number, place in enumerate(sorted(called, key=lambda each: each[0].__name__ + each[1])):
        owner, name = place
        if {owner.__name__, f"{owner.__name__}.{name}"} & THIN:
            continue
        training = Training()
        armed = [False]
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                with training.record(tmp_path / f"{number}.csv") as run:
                    break_at(patch, place, armed)
                    armed[0] = True
                    result = training.run(run)
            except Exception as error:  # noqa: BLE001 this is what must not be
                wrong.append(f"{owner.__name__}.{name}: {error!r}")
                armed[0] = False
                run.close()
                continue
            armed[0] = False
        if not is_same(result, expected):
            wrong.append(f"{owner.__name__}.{name}: another result")
        if name in REMOVERS:
            put_back(run)
        elif hangs_on(training):
            wrong.append(f"{owner.__name__}.{name}: something hangs on the model still")
        ours = [str(each.message) for each in said if each.category is RecordingWarning]
        if len(ours) > 2 or len(ours) != len(said):
            wrong.append(f"{owner.__name__}.{name}: said {[str(each.message) for each in said]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "place", ["hooks.Hooks.attach_model", "hygiene.leaks.LeakWatcher.note_backward"]
)
def test_a_fault_where_torch_calls_us_is_said_once(
    log: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Hooks that cannot be hung, and a backward pass that we fail at, are no matter of the loop."""
    expected = Training().run()

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("no luck")

    monkeypatch.setattr(f"fitdiag.recording.{place}", fail)
    training = Training()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with training.record(log) as run:
            assert is_same(training.run(run), expected)
    (told,) = [str(each.message) for each in said]
    assert "no luck" in told
    assert not hangs_on(training)


def test_checks_that_fail_alike_are_named_in_one_sentence(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that all checks share gives one warning, with all their codes."""

    def fail(_: object) -> None:
        raise ZeroDivisionError("no luck")

    monkeypatch.setattr(Watcher, "close", fail)
    monkeypatch.setattr(LeakWatcher, "close", fail)
    training = Training()
    with pytest.warns(RecordingWarning) as said, training.record(log) as run:
        training.run(run)
    (told,) = [str(each.message) for each in said]
    assert "LOP001, LOP005" in told
    assert " and LOP" in told


# ---------------------------------------------------------------------- what else may happen


def test_nan_everywhere_is_recorded_and_changes_nothing(log: Path) -> None:
    """A training that is NaN from the start is the same with us, and its log says so."""
    training = Training()
    with training.record(log) as run:
        assert is_same(training.run(run, bad=True), Training().run(bad=True))
    read = fitdiag.read(log)
    assert read.curves["train_loss"].values.size == EPOCHS
    assert not (read.curves["train_loss"].values == read.curves["train_loss"].values).any()
    assert read.curves["skipped_steps"].values[-1] == EPOCHS * STEPS


def test_a_log_folder_that_turns_into_something_else(tmp_path: Path) -> None:
    """Where the folder becomes a file, the training ends as it would, and that is said once."""
    folder = tmp_path / "runs"
    training = Training()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with training.record(folder / "logs.csv") as run:
            shutil.rmtree(folder)
            folder.write_text("not a folder any more")
            assert is_same(training.run(run), Training().run())
    told = [str(each.message) for each in said]
    assert ["stopped" in sentence for sentence in told] == [False, True], told
    assert not hangs_on(training)


def test_workers_that_are_forked_leave_the_log_alone(log: Path) -> None:
    """Data may be loaded by processes that were forked while a run is recorded."""
    training = Training()
    data = TensorDataset(torch.ones(12, 3), torch.ones(12, 1))
    with training.record(log) as run:
        for _ in run.epochs(2):
            for x, y in DataLoader(
                data, batch_size=4, num_workers=2, multiprocessing_context="fork"
            ):
                training.optimizer.zero_grad()
                training.criterion(training.model(x), y).backward()
                training.optimizer.step()
    assert fitdiag.read(log).curves["grad_norm"].steps.tolist() == [1, 2, 3, 4, 5, 6]


def train_forever(log: Path, pipe: int) -> None:
    """Train and resume in a process that somebody kills; say each step."""
    model, criterion = nn.Linear(4, 1), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    options: Any = {"log": log, "flush_seconds": 0, "every": 1, "resume": True}
    with fitdiag.record(model, optimizer, criterion, **options) as run:
        for step in itertools.count():
            optimizer.zero_grad()
            criterion(model(torch.ones(8, 4)), torch.ones(8, 1)).backward()
            optimizer.step()
            if step % 7 == 3:
                run.log({f"val_{step % 4}": float(step)})
            os.write(pipe, b".")


KILLER = """
import os, pathlib, signal, sys
sys.path.insert(0, sys.argv[1])
import test_recording_faults as faults
faults.torch.set_num_threads(1)
for steps in (3, 40, 11):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        faults.train_forever(pathlib.Path(sys.argv[2]), writing)
    for _ in range(steps):
        os.read(reading, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    run = faults.fitdiag.read(sys.argv[2])
    print(*map(int, run.curves["grad_norm"].steps), flush=True)
    print(*run.source.notes)
"""


def test_a_run_that_is_killed_again_and_again_stays_one_run(log: Path, nursery: Any) -> None:
    """After each kill -9 the log reads; resumed each time, it holds every step that was flushed."""
    done = nursery.run(KILLER, Path(__file__).parent, log)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    seen = 0
    for steps, told, notes in zip((3, 40, 11), lines[::2], lines[1::2], strict=True):
        kept = [int(step) for step in told.split()]
        assert kept == list(range(1, len(kept) + 1))
        assert len(kept) >= seen + steps - 1
        assert "go back" not in notes
        seen = len(kept)
