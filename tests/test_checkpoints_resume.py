"""A training that is stopped and resumed is the one that was not, bit by bit."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import fitdiag
from fitdiag.checkpoint_index import read_index, write_index
from fitdiag.errors import CheckpointError, UsageError
from fitdiag.recording import RecordingWarning
from fitdiag.recording.checkpoints import saving
from fitdiag.recording.checkpoints import state as state_module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EPOCHS = 6


@pytest.fixture(autouse=True)
def _steady(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have each evaluation get its checkpoint, however slow the disk of the machine is."""
    monkeypatch.setattr(saving, "ALLOWANCE", 300.0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Training:
    """A small net with dropout and batch normalisation, Adam, a schedule and shuffled data."""

    def __init__(self, seed: int = 0, width: int = 8) -> None:
        generator = torch.Generator().manual_seed(1)
        inputs = torch.randn(48, 3, generator=generator)
        data = TensorDataset(inputs, (inputs[:, 0] > 0).long())
        self.train, self.val = DataLoader(data, batch_size=12, shuffle=True), DataLoader(data, 24)
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 the state that a resumed training has to find again
        self.model = nn.Sequential(
            nn.Linear(3, width), nn.BatchNorm1d(width), nn.Dropout(0.3), nn.Linear(width, 2)
        )
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.02)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, 0.5)
        self.drawn: list[float] = []

    def epoch(self, loss_fn: nn.Module) -> None:
        """Train and evaluate, drawing from all three sources of random numbers."""
        self.model.train()
        for inputs, targets in self.train:
            self.optimizer.zero_grad()
            noisy = inputs + 0.01 * random.random()  # noqa: S311 augmentation
            loss_fn(self.model(noisy), targets).backward()
            self.optimizer.step()
            self.drawn.append(float(np.random.rand()))  # noqa: NPY002 as users draw
        self.model.eval()
        with torch.no_grad():
            for inputs, targets in self.val:
                loss_fn(self.model(inputs), targets)
        self.scheduler.step()

    def run(
        self, folder: Path, start: int, end: int, *, counted: bool = False, **options: Any
    ) -> None:
        """Train some epochs, keeping checkpoints in a folder of that name beside the log."""
        loss_fn = nn.CrossEntropyLoss()
        log = folder.parent / f"{folder.name}-{start}.csv"
        options = {"log": log, "checkpoints": folder, "progress": False, **options}
        with fitdiag.record(self.model, self.optimizer, loss_fn, **options) as run:
            for _ in run.epochs(end - start) if counted else range(start, end):
                self.epoch(loss_fn)

    def resume(self, source: Path, **options: Any) -> Any:
        """Resume from a folder or a file."""
        return fitdiag.resume(source, self.model, self.optimizer, self.scheduler, **options)

    def state(self) -> list[Any]:
        """Return everything that has to be the same, bit by bit."""
        moments = self.optimizer.state_dict()["state"].values()
        return [
            *self.model.state_dict().values(),
            *(value for state in moments for value in state.values()),
            torch.tensor(self.scheduler.get_last_lr()),
            torch.tensor(self.drawn[-4:]),
            torch.get_rng_state(),
        ]


def same(left: list[Any], right: list[Any]) -> bool:
    """Tell whether two states are the same."""
    return all(torch.equal(one, other) for one, other in zip(left, right, strict=True))


@pytest.mark.parametrize("counted", [False, True], ids=["plain", "run.epochs"])
def test_a_resumed_training_is_bit_identical(tmp_path: Path, *, counted: bool) -> None:
    """Stopped after half its epochs and resumed, a training ends where an unbroken one does."""
    whole = Training()
    whole.run(tmp_path / "whole", 0, EPOCHS, counted=counted)
    expected = whole.state()
    Training().run(tmp_path / "half", 0, EPOCHS // 2, counted=counted)
    other = Training(seed=7)
    start = other.resume(tmp_path / "half")
    assert (start.epoch, start.step, start.notes) == (3, 12, ())
    other.run(tmp_path / "half", start.epoch, EPOCHS, counted=counted)
    assert same(other.state(), expected)
    names = [entry.name for entry in read_index(tmp_path / "half")]
    assert names[-1] == "epoch=6-step=24.pt"


def test_the_log_goes_on_with_the_training(tmp_path: Path) -> None:
    """A resumed training whose log goes on has one log and one folder, which know each other."""
    folder, log = tmp_path / "ckpt", tmp_path / "logs.csv"
    loss_fn = nn.CrossEntropyLoss()
    options: dict[str, Any] = {"log": log, "checkpoints": folder, "progress": False}
    one = Training()
    with fitdiag.record(one.model, one.optimizer, loss_fn, **options):
        for _ in range(3):
            one.epoch(loss_fn)
    other = Training(seed=5)
    start = other.resume(folder)
    with fitdiag.record(other.model, other.optimizer, loss_fn, resume=True, **options):
        for _ in range(start.epoch, EPOCHS):
            other.epoch(loss_fn)
    run = fitdiag.read(log)
    assert run.val_loss is not None
    assert run.val_loss.steps.tolist() == [4, 8, 12, 16, 20, 24]
    last = fitdiag.diagnose(run).checkpoint
    assert last is not None
    assert last.alternatives[1].path == str(folder / "epoch=6-step=24.pt")


def test_keeping_changes_nothing(tmp_path: Path) -> None:
    """A training whose checkpoints are kept gives the very numbers of one without."""
    kept, plain = Training(), None
    kept.run(tmp_path / "kept", 0, 3)
    expected = kept.state()
    plain = Training()
    for _ in range(3):
        plain.epoch(nn.CrossEntropyLoss())
    assert same(plain.state(), expected)


KILLED = """
    import os, pathlib, sys
    import torch
    from test_checkpoints_resume import Training
    torch.set_num_threads(1)
    def die(part, path):
        if "step=20" in path.name:
            os._exit(9)
        os.replace(part, path)
    from fitdiag.recording.checkpoints import storage
    storage.put_in_place = die
    Training().run(pathlib.Path(sys.argv[1]), 0, 6)
"""


def test_a_kill_between_writing_and_renaming_loses_one_epoch(tmp_path: Path) -> None:
    """Killed with a file not yet in its place, a training resumes exactly, and leaves no litter."""
    folder = tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(folder)],
        env={**os.environ, "PYTHONPATH": os.path.dirname(__file__)},  # noqa: PTH120 a string
        check=False,
        capture_output=True,
    )
    assert done.returncode == 9, done.stderr.decode()
    assert (folder / ".epoch=5-step=20.pt.part").exists()
    other = Training(seed=7)
    start = other.resume(folder)
    assert start.epoch == 4
    other.run(folder, start.epoch, EPOCHS)
    whole = Training()
    whole.run(tmp_path / "whole", 0, EPOCHS)
    expected = whole.state()
    assert same(other.state()[:-1], expected[:-1])
    assert not list(folder.glob(".*"))


def test_a_damaged_file_is_passed_over_aloud(tmp_path: Path) -> None:
    """Where the newest file of a folder is cut short, the one before is taken, with a warning."""
    folder = tmp_path / "ckpt"
    Training().run(folder, 0, 3)
    newest = folder / "epoch=3-step=12.pt"
    newest.write_bytes(newest.read_bytes()[:-2000])
    with pytest.warns(RecordingWarning, match=r"epoch=3-step=12.pt is damaged or cut short"):
        start = Training().resume(folder)
    assert start.epoch == 2
    assert "passed over" in start.notes[0]
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        Training().resume(newest)


def test_another_model_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    """Names and shapes that differ are listed, and nothing of the live objects has changed."""
    folder = tmp_path / "ckpt"
    Training().run(folder, 0, 1)
    other = Training(seed=3, width=5)
    before = [value.clone() for value in other.model.state_dict().values()]
    with pytest.raises(CheckpointError, match=r"0\.weight 5x3 against 8x3.* and 2 more") as caught:
        other.resume(folder)
    assert "nothing was restored" in str(caught.value)
    assert same(list(other.model.state_dict().values()), before)
    named = nn.Sequential(nn.Linear(3, 8), nn.LayerNorm(8))
    with pytest.raises(CheckpointError, match=r"only the file has 1\.running_mean"):
        fitdiag.resume(folder, named)


def test_a_folder_that_is_begun_anew_is_not_gone_on_with(tmp_path: Path) -> None:
    """A folder that was resumed once, and emptied since, begins at the first epoch again."""
    folder, log = tmp_path / "ckpt", tmp_path / "logs.csv"
    for _ in range(2):
        for epochs in (1, 2):
            training = Training()
            start = training.resume(folder, missing_ok=True)
            assert start.epoch == epochs - 1
            training.run(folder, start.epoch, epochs, log=log, resume=True)
        assert [entry.step for entry in read_index(folder)] == [4, 8]
        shutil.rmtree(folder)
        log.unlink()


def test_without_its_old_log_the_best_file_stays(tmp_path: Path) -> None:
    """Where a training goes on with a new log, what the list knows to be the best is kept."""
    folder = tmp_path / "ckpt"
    training = Training()
    training.run(folder, 0, 5, keep=1)
    entries = read_index(folder)
    best = entries[0]
    assert best.step < entries[-1].step
    write_index(folder, [replace(best, value=0.0), *entries[1:]])
    again = Training()
    again.resume(folder)
    again.run(folder, 5, 5, keep=1)
    assert (folder / best.name).is_file()


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("rng",), {}, "KeyError"),
        (("rng", "python"), "text", "values to unpack"),
        (("rng", "torch"), torch.zeros(3), "RNG state"),
        (("epoch",), float("nan"), "no whole state"),
        (("epoch",), -1.0, "no whole state"),
        (("step",), -1, "no whole state"),
        (("model", "0.weight"), torch.ones(8, 3, device="meta"), "0.weight"),
        (("optimizer", "param_groups", 0, "params"), [[0]], r"and \[0\] in the file"),
        (("kinds", "optimizer"), ["\x1b[31m\nAdam"], r"and a \\x1b\[31m\\nAdam in"),
    ],
)
def test_a_state_that_is_damaged_within_restores_nothing(
    tmp_path: Path, place: tuple[Any, ...], value: object, said: str
) -> None:
    """Whatever is wrong in a file, the error says so, and all is as it was before."""
    folder = tmp_path / "ckpt"
    Training().run(folder, 0, 1)
    state = torch.load(next(folder.glob("*.pt")), weights_only=True)
    inner = state
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    torch.save(state, tmp_path / "bad.pt")
    other = Training(seed=3)
    before = other.state()
    with pytest.raises(CheckpointError, match=said):
        other.resume(tmp_path / "bad.pt")
    assert same(other.state(), before)


def test_another_optimizer_or_schedule_is_refused(tmp_path: Path) -> None:
    """Kinds that differ, groups that differ and parts that were not kept are named."""
    folder = tmp_path / "ckpt"
    Training().run(folder, 0, 1)
    one = Training()
    with pytest.raises(CheckpointError, match="optimizer is a SGD here and a Adam in the file"):
        fitdiag.resume(folder, one.model, torch.optim.SGD(one.model.parameters(), lr=0.1))
    halves = [
        {"params": list(layer.parameters())} for layer in one.model if list(layer.parameters())
    ]
    with pytest.raises(CheckpointError, match=r"groups of \[2, 2, 2\] parameters here and \[6\]"):
        fitdiag.resume(folder, one.model, torch.optim.Adam(halves))
    with pytest.raises(CheckpointError, match="1 scaler to be restored, and none in the file"):
        one.resume(folder, scaler=torch.amp.GradScaler("cpu"))
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(one.optimizer, 10)
    with pytest.raises(CheckpointError, match="scheduler is a CosineAnnealingLR here and a StepLR"):
        fitdiag.resume(folder, one.model, one.optimizer, cosine)


def test_no_folder_is_an_error_unless_it_may_be_missing(tmp_path: Path) -> None:
    """A folder that is not there is refused, or begins at epoch 0 where that was asked for."""
    one = Training()
    with pytest.raises(CheckpointError, match="none here does not exist"):
        one.resume(tmp_path / "none here")
    start = one.resume(tmp_path / "none here", missing_ok=True)
    assert (start.epoch, start.step, start.path) == (0, 0, None)
    with pytest.raises(CheckpointError, match="holds no checkpoint of a whole state"):
        one.resume(tmp_path)
    with pytest.raises(UsageError, match="scheduler is a int, which has no state"):
        fitdiag.resume(tmp_path, one.model, one.optimizer, 3)


def test_weights_alone_cannot_be_resumed(tmp_path: Path) -> None:
    """A file of bare weights is no state of a training, and the message says how to load it."""
    path = tmp_path / "w.pt"
    torch.save(Training().model.state_dict(), path)
    with pytest.raises(CheckpointError, match=r"model\.load_state_dict"):
        Training().resume(path)


def test_a_folder_without_its_index_is_resumed_by_names(tmp_path: Path) -> None:
    """Where the index is lost or damaged, the newest file is told by the step in its name."""
    folder = tmp_path / "ckpt"
    Training().run(folder, 0, 3)
    (folder / "index.json").write_text("{", encoding="utf-8")
    assert Training().resume(folder).path == folder / "epoch=3-step=12.pt"


def test_wrapped_models_have_the_names_of_what_they_wrap(tmp_path: Path) -> None:
    """A state kept from a wrapped model is restored into a bare one."""
    one = Training()
    bare, one.model = one.model, nn.DataParallel(one.model)  # type: ignore[assignment]
    one.run(tmp_path / "ckpt", 0, 1)
    other = Training(seed=5)
    other.resume(tmp_path / "ckpt")
    assert same(list(other.model.state_dict().values()), list(bare.state_dict().values()))


def test_random_numbers_of_another_process_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of another rank the kept random numbers are not taken, and that is said."""
    kept = state_module.capture_random()
    monkeypatch.setattr(state_module, "_is_distributed", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    before = torch.get_rng_state()
    assert "not kept" in str(state_module.restore_random(kept))
    assert torch.equal(torch.get_rng_state(), before)
