"""Loops with one mistake each: it is told once, by its code, and at the line where it is made."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 its usual name
from torch import Tensor, nn
from torch.optim import lr_scheduler

import fitdiag
from fitdiag.recording import RecordingWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EPOCHS, BATCHES, SIZE = 4, 26, 16
SOURCE = Path(__file__)

Batch = tuple[Tensor, Tensor]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def make_batches(count: int = BATCHES, size: int = SIZE) -> list[Batch]:
    """Return batches of random samples."""
    return [(torch.randn(size, 8), torch.randint(0, 3, (size,))) for _ in range(count)]


class Run:
    """A network with dropout and batch-norm, and the usual ways to train and to evaluate it."""

    def __init__(self, *, norm: bool = True, size: int = SIZE) -> None:
        self.train, self.val = make_batches(size=size), make_batches(4)
        layers = [nn.Linear(8, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.2)]
        body = layers if norm else layers[::2]
        self.net = nn.Sequential(*body, nn.Linear(12, 3))
        self.loss_fn = nn.CrossEntropyLoss()
        self.optimizer: torch.optim.Optimizer = torch.optim.SGD(self.net.parameters(), lr=0.05)

    def record(self, log: Path, **options: Any) -> fitdiag.Recorder:
        """Record it."""
        return fitdiag.record(self.net, self.optimizer, self.loss_fn, log=log, **options)

    def step(self, batch: Batch) -> None:
        """Make one step."""
        self.optimizer.zero_grad()
        self.loss_fn(self.net(batch[0]), batch[1]).backward()
        self.optimizer.step()

    def evaluate(self) -> list[Tensor]:
        """Return the validation losses."""
        self.net.eval()
        with torch.no_grad():
            return [self.loss_fn(self.net(x), y) for x, y in self.val]

    def epoch(self) -> None:
        """Train on every batch, and evaluate."""
        self.net.train()
        for batch in self.train:
            self.step(batch)
        self.evaluate()


def leak_by_copy(log: Path) -> None:
    """The training loop copied for validation, with its backward and its step."""
    run = Run()
    with run.record(log):
        for _ in range(EPOCHS):
            run.net.train()
            for batch in run.train:
                run.step(batch)
            run.net.eval()
            for x, y in run.val:
                run.optimizer.zero_grad()
                run.loss_fn(run.net(x), y).backward()
                run.optimizer.step()  # here: LOP001


def leak_in_phase(log: Path) -> None:
    """A network without modes, whose phase of validation is declared."""
    run = Run(norm=False)
    with run.record(log) as recorder:
        for _ in range(EPOCHS):
            for batch in run.train:
                run.step(batch)
            with recorder.phase("val"):
                for x, y in run.val:
                    run.optimizer.zero_grad()
                    run.loss_fn(run.net(x), y).backward()
                    run.optimizer.step()  # here: LOP001


def never_zeroed(log: Path) -> None:
    """No call of zero_grad at all."""
    run = Run()
    with run.record(log):
        for _ in range(EPOCHS):
            run.net.train()
            for x, y in run.train:
                run.loss_fn(run.net(x), y).backward()
                run.optimizer.step()  # here: LOP002
            run.evaluate()


def zeroed_once_an_epoch(log: Path) -> None:
    """The call of zero_grad stands outside the loop over batches; one optimizer of two."""
    run = Run()
    parts = list(run.net.parameters())
    good = torch.optim.SGD(parts[2:], lr=0.01, momentum=0.9)
    bad = torch.optim.SGD(parts[:2], lr=0.01)
    with fitdiag.record(run.net, [good, bad], run.loss_fn, log=log):
        for _ in range(EPOCHS):
            run.net.train()
            bad.zero_grad()
            for x, y in run.train:
                good.zero_grad()
                run.loss_fn(run.net(x), y).backward()
                good.step()
                bad.step()  # here: LOP002
            run.evaluate()


def validation_in_train_mode(log: Path) -> None:
    """No call of eval before validation."""
    run = Run()
    with run.record(log):
        for _ in range(EPOCHS):
            for batch in run.train:
                run.step(batch)
            with torch.no_grad():
                for x, y in run.val:
                    run.loss_fn(run.net(x), y)  # here: LOP003


def one_validation_batch(log: Path) -> None:
    """The same with a single batch of validation."""
    run = Run()
    with run.record(log):
        for _ in range(EPOCHS):
            for batch in run.train:
                run.step(batch)
            with torch.no_grad():
                x, y = run.val[0]
                run.loss_fn(run.net(x), y)  # here: LOP003


def validation_with_gradients(log: Path) -> None:
    """Neither no_grad nor inference_mode around validation."""
    run = Run()
    with run.record(log):
        for _ in range(EPOCHS):
            run.net.train()
            for batch in run.train:
                run.step(batch)
            run.net.eval()
            for x, y in run.val:
                run.loss_fn(run.net(x), y)  # here: LOP004


def validation_with_gradients_without_modes(log: Path) -> None:
    """The same with a network that has no modes and is never switched."""
    run = Run(norm=False)
    with run.record(log, flush_seconds=0):
        for _ in range(EPOCHS):
            for batch in run.train:
                run.step(batch)
            for x, y in run.val:
                run.loss_fn(run.net(x), y)  # here: LOP004


def mode_left_off(log: Path) -> None:
    """The call of train stands before the loop over epochs."""
    run = Run()
    run.net.train()
    with run.record(log):
        for _ in range(EPOCHS):
            for x, y in run.train:
                run.optimizer.zero_grad()
                run.loss_fn(run.net(x), y).backward()
                run.optimizer.step()  # here: LOP005
            run.evaluate()


def small_batches(log: Path) -> None:
    """Batches of four under batch-norm."""
    run = Run(size=4)
    with run.record(log):
        for _ in range(EPOCHS):
            run.net.train()
            for x, y in run.train:
                run.optimizer.zero_grad()
                out = run.net(x)  # here: LOP006
                run.loss_fn(out, y).backward()
                run.optimizer.step()
            run.evaluate()


def layer_forgotten(log: Path) -> None:
    """A head that was replaced after the optimizer was made."""
    run = Run()
    run.net[4] = nn.Linear(12, 3)
    with run.record(log):
        for _ in range(EPOCHS):
            run.net.train()
            for x, y in run.train:
                run.net.zero_grad()
                run.loss_fn(run.net(x), y).backward()
                run.optimizer.step()  # here: LOP007
            run.evaluate()


def unfrozen_in_vain(log: Path) -> None:
    """Layers that are unfrozen midway, and that the optimizer was never given."""
    run = Run()
    body = list(run.net[0].parameters())
    for p in body:
        p.requires_grad = False
    run.optimizer = torch.optim.SGD([p for p in run.net.parameters() if p.requires_grad], lr=0.05)
    with run.record(log):
        for epoch in range(EPOCHS + 1):
            for p in body:
                p.requires_grad = epoch > 0
            run.net.train()
            for x, y in run.train:
                run.net.zero_grad()
                run.loss_fn(run.net(x), y).backward()
                run.optimizer.step()  # here: LOP007
            run.evaluate()


class Cut(nn.Module):
    """A network whose first layer is cut off from the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(8, 12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Compute it."""
        out: Tensor = self.head(F.relu(self.body(x)).detach())
        return out


def cut_off(log: Path) -> None:
    """A detach in the middle of the network."""
    run = Run()
    model = Cut()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with fitdiag.record(model, optimizer, run.loss_fn, log=log):
        for _ in range(EPOCHS):
            for x, y in run.train:
                optimizer.zero_grad()
                run.loss_fn(model(x), y).backward()
                optimizer.step()  # here: LOP008


def schedule_before_epoch(log: Path) -> None:
    """The order of the old days: the schedule steps at the start of an epoch."""
    run = Run()
    schedule = lr_scheduler.ExponentialLR(run.optimizer, 0.5)
    with fitdiag.record(run.net, None, run.loss_fn, log=log):
        for _ in range(EPOCHS):
            schedule.step()  # here: LOP009
            run.epoch()


def schedule_before_step(log: Path) -> None:
    """The schedule steps between backward and step, over several batches."""
    run = Run()
    schedule = lr_scheduler.CosineAnnealingLR(run.optimizer, 100)
    with run.record(log):
        for _ in range(EPOCHS):
            run.net.train()
            for x, y in run.train:
                run.optimizer.zero_grad()
                for _ in range(2):
                    run.loss_fn(run.net(x), y).backward()
                schedule.step()  # here: LOP009
                run.optimizer.step()
            run.evaluate()


def samples_in_both(log: Path) -> None:
    """A few batches of training data among those of validation."""
    run = Run()
    mixed = torch.cat([run.train[3][0][:5], run.train[20][0][:5], torch.randn(6, 8)])
    run.val[2] = mixed, torch.randint(0, 3, (16,))
    with run.record(log, checks="data"):
        for _ in range(EPOCHS):
            run.net.train()
            for batch in run.train:
                run.step(batch)
            run.net.eval()
            with torch.no_grad():
                for x, y in run.val:
                    run.loss_fn(run.net(x), y)  # here: LOP010


def unequal_batches(log: Path) -> None:
    """The plain mean over batches, the last of which is smaller."""
    run = Run()
    run.val[-1] = run.val[-1][0][:3] * 4, run.val[-1][1][:3]
    with run.record(log) as recorder:
        for _ in range(EPOCHS):
            run.net.train()
            for batch in run.train:
                run.step(batch)
            mean = sum(float(loss) for loss in run.evaluate()) / len(run.val)
            recorder.log(val_loss=mean)  # here: LOP011


def looked_at_each_epoch(log: Path) -> None:
    """A test set that is looked at after each epoch."""
    run = Run()
    with run.record(log) as recorder:
        for _ in range(EPOCHS):
            run.epoch()
            with recorder.phase("test"):  # here: LOP012
                run.evaluate()


LOOPS: tuple[Any, ...] = (
    leak_by_copy,
    leak_in_phase,
    never_zeroed,
    zeroed_once_an_epoch,
    validation_in_train_mode,
    one_validation_batch,
    validation_with_gradients,
    validation_with_gradients_without_modes,
    mode_left_off,
    small_batches,
    layer_forgotten,
    unfrozen_in_vain,
    cut_off,
    schedule_before_epoch,
    schedule_before_step,
    samples_in_both,
    unequal_batches,
    looked_at_each_epoch,
)


def find_mark(loop: Callable[[Path], None]) -> tuple[str, int]:
    """Return the code that a loop should bring about, and the line that is marked with it."""
    lines = SOURCE.read_text(encoding="utf-8").splitlines()
    begin = loop.__code__.co_firstlineno
    for number, line in enumerate(lines[begin:], begin + 1):
        if "# here: LOP" in line:
            return line.split("# here: ")[1], number
    raise AssertionError(loop.__name__)


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
def test_a_mistake_is_told_once_and_at_its_line(
    loop: Callable[[Path], None], tmp_path: Path
) -> None:
    """A mistake is one warning at its line, one observation in the log and one finding."""
    log = tmp_path / "logs.csv"
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        loop(log)
    code, line = find_mark(loop)
    (said,) = [one for one in heard if issubclass(one.category, RecordingWarning)]
    assert Path(said.filename) == SOURCE
    assert said.lineno == line
    assert f"(fitdiag explain {code})" in str(said.message)
    assert f"{SOURCE.name}:{line}: " in str(said.message)
    (seen,) = fitdiag.read(log).observations
    assert seen.code == code
    assert seen.where.endswith(f"{SOURCE.name}:{line}")
    assert seen.step is not None
    found = [f for f in fitdiag.diagnose(log).findings if f.code.startswith("LOP")]
    assert [finding.code for finding in found] == [code]
    assert found[0].message.startswith(seen.where)
    assert found[0].advice


def test_every_mistake_has_a_loop() -> None:
    """No rule of the family is without a loop that shows it."""
    shown = {find_mark(loop)[0] for loop in LOOPS}
    assert shown == {rule.code for rule in fitdiag.Config().rules if rule.code[:3] == "LOP"}


def test_two_mistakes_are_told_apart(tmp_path: Path) -> None:
    """Validation in training mode and with gradients on is both."""
    run = Run()
    log = tmp_path / "logs.csv"
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with run.record(log, flush_seconds=0):
            for _ in range(EPOCHS):
                for batch in run.train:
                    run.step(batch)
                for x, y in run.val:
                    run.loss_fn(run.net(x), y)
    assert len(heard) == 2
    assert {seen.code for seen in fitdiag.read(log).observations} == {"LOP003", "LOP004"}


@pytest.mark.parametrize("whole", [True, False])
def test_monte_carlo_dropout_is_only_noted(tmp_path: Path, *, whole: bool) -> None:
    """Dropout that samples at evaluation is a note in the report, and no warning."""
    run = Run(norm=False)
    run.net.append(nn.Dropout(0.1))
    log = tmp_path / "logs.csv"
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with run.record(log):
            for _ in range(EPOCHS):
                run.net.train()
                for batch in run.train:
                    run.step(batch)
                run.net.train(whole)
                run.net[-1].train()
                with torch.no_grad():
                    for x, y in run.val:
                        several = torch.stack([run.net(x) for _ in range(8)])
                        run.loss_fn(several.mean(0), y)
    assert not heard
    (found,) = [f for f in fitdiag.diagnose(log).findings if f.code.startswith("LOP")]
    assert (found.code, found.severity) == ("LOP003", fitdiag.Severity.INFO)
