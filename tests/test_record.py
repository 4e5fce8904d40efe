"""Loops as people write them, recorded as they are, compared with what the loop itself saw."""

from __future__ import annotations

import csv
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 its usual name
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import fitdiag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

T_C = [0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0]
T_U = [35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def read_rows(path: Path) -> list[dict[str, float | None]]:
    """Read the numbers of a log with nothing but the csv module; empty cells are None."""
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    words = "grad_norm_kind"  # the one column of words
    return [{k: float(v) if v else None for k, v in row.items() if k != words} for row in found]


def read_column(path: Path, name: str) -> list[float]:
    """Return what was measured in a column, without its empty cells."""
    return [value for row in read_rows(path) if (value := row[name]) is not None]


def rows_with(path: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows in which a column was measured."""
    return [row for row in read_rows(path) if row[name] is not None]


def close_to(values: object) -> Any:
    return pytest.approx(values, rel=1e-6)


def make_network(inputs: int = 4, outputs: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, outputs))


def make_classes(count: int = 50) -> TensorDataset:
    x = torch.randn(count, 4)
    return TensorDataset(x, (x[:, 0] * x[:, 1] > 0).long())


def slow_norm(model: nn.Module) -> float:
    """Return the global gradient norm in float64, by hand."""
    squares = [
        (p.grad.double() ** 2).sum().item() for p in model.parameters() if p.grad is not None
    ]
    return math.sqrt(math.fsum(squares))


class Tutorial:
    """The loop of the official "Optimizing Model Parameters" tutorial, with its own bookkeeping."""

    def __init__(self, batch_size: int = 16) -> None:
        self.train_data = DataLoader(make_classes(50), batch_size=batch_size, shuffle=True)
        self.test_data = DataLoader(make_classes(22), batch_size=batch_size)
        self.model = make_network()
        self.loss_fn: Any = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.norms: list[float] = []
        self.batches: list[tuple[float, int]] = []
        self.accuracy = 0.0

    def train_loop(self) -> float:
        """Train for an epoch; return its loss, weighted by batch size."""
        self.model.train()
        seen: list[tuple[float, int]] = []
        for x, y in self.train_data:
            pred = self.model(x)
            loss = self.loss_fn(pred, y)
            loss.backward()
            self.norms.append(slow_norm(self.model))
            self.optimizer.step()
            self.optimizer.zero_grad()
            seen.append((loss.item(), len(x)))
        self.batches += seen
        return self.weigh(seen)

    def test_loop(self) -> float:
        """Evaluate; return the loss, weighted by batch size."""
        self.model.eval()
        seen = []
        correct = 0.0
        with torch.no_grad():
            for x, y in self.test_data:
                pred = self.model(x)
                seen.append((self.loss_fn(pred, y).item(), len(x)))
                correct += (pred.argmax(1) == y).type(torch.float).sum().item()
        self.accuracy = correct / 22
        return self.weigh(seen)

    @staticmethod
    def weigh(seen: list[tuple[float, int]]) -> float:
        """Average by batch size."""
        return sum(loss * n for loss, n in seen) / sum(n for _, n in seen)


def test_the_tutorial_loop_gives_one_row_an_epoch_with_the_losses_it_computed(log: Path) -> None:
    """Losses of the official tutorial's loop are the means by batch size that it would print."""
    loop = Tutorial()
    expected = []
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log, every=0) as run:
        for _ in range(5):
            expected.append((loop.train_loop(), loop.test_loop()))
            run.log(val_accuracy=loop.accuracy)
    rows = read_rows(log)
    assert [(row["train_loss"], row["val_loss"]) for row in rows] == [
        close_to(pair) for pair in expected
    ]
    assert [row["step"] for row in rows] == [4, 8, 12, 16, 20]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5]
    assert rows[-1]["val_accuracy"] == close_to(loop.accuracy)
    assert [row["batch_loss"] for row in rows] == [None] * 5


def test_gradient_norms_equal_a_slow_reference(log: Path) -> None:
    """Mean and peak of the norms in each row are those of a float64 norm computed by hand."""
    loop = Tutorial()
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log, every=0):
        for _ in range(3):
            loop.train_loop()
            loop.test_loop()
    by_epoch = [loop.norms[i : i + 4] for i in (0, 4, 8)]
    assert read_column(log, "grad_norm") == close_to([sum(norms) / 4 for norms in by_epoch])
    assert read_column(log, "grad_norm_max") == close_to([max(norms) for norms in by_epoch])
    assert read_column(log, "lr") == [0.1, 0.1, 0.1]


def test_step_rows_tell_every_step_at_first(log: Path) -> None:
    """By default each early step has a row of its own, and none is written twice."""
    loop = Tutorial()
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log):
        for _ in range(2):
            loop.train_loop()
            loop.test_loop()
    rows = read_rows(log)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6, 7, 8]
    losses = [row["batch_loss"] for row in rows]
    batches = [loss for loss, _ in loop.batches]
    assert losses[:3] == close_to(batches[:3])
    assert losses[3] is None
    assert [row["grad_norm"] for row in rows] == close_to(loop.norms)


def test_every_n_steps_gives_means_over_these_steps(log: Path) -> None:
    """With every=3 each third step has a row: its own norm, the mean batch loss since the last."""
    loop = Tutorial(batch_size=5)
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log, every=3):
        loop.train_loop()
    rows = read_rows(log)
    assert [row["step"] for row in rows] == [3, 6, 9, 10]
    losses = [loss for loss, _ in loop.batches]
    assert rows[0]["batch_loss"] == close_to(sum(losses[:3]) / 3)
    assert rows[2]["grad_norm"] == close_to(loop.norms[8])
    assert rows[2]["grad_norm_max"] == close_to(loop.norms[8])


def make_thermometer() -> SimpleNamespace:
    order = torch.randperm(11, generator=torch.Generator().manual_seed(1))
    t_c, t_u = torch.tensor(T_C).unsqueeze(1)[order], 0.1 * torch.tensor(T_U).unsqueeze(1)[order]
    model = nn.Linear(1, 1)
    return SimpleNamespace(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=1e-2),
        loss_fn=nn.MSELoss(),
        train=(t_u[:9], t_c[:9]),
        val=(t_u[9:], t_c[9:]),
    )


@pytest.mark.parametrize("order", ["tvs", "vts", "tsv"])
@pytest.mark.parametrize("guard", [True, False])
def test_full_batch_loops_give_one_row_a_step_in_any_order(
    log: Path, order: str, guard: bool
) -> None:
    """Training and validation are told apart in any order, in train mode, even without no_grad."""
    set_up = make_thermometer()
    expected = []
    with fitdiag.record(set_up.model, set_up.optimizer, set_up.loss_fn, log=log):
        for _ in range(30):
            seen = {}
            for letter in order:
                if letter == "t":
                    loss = set_up.loss_fn(set_up.model(set_up.train[0]), set_up.train[1])
                    seen["t"] = loss.item()
                elif letter == "v":
                    with torch.set_grad_enabled(not guard):
                        seen["v"] = set_up.loss_fn(
                            set_up.model(set_up.val[0]), set_up.val[1]
                        ).item()
                else:
                    set_up.optimizer.zero_grad()
                    loss.backward()
                    set_up.optimizer.step()
            expected.append((seen["t"], seen["v"]))
    rows = rows_with(log, "train_loss")
    assert [row["step"] for row in rows] == list(range(1, 31))
    assert [row["train_loss"] for row in rows] == close_to([t for t, _ in expected])
    assert [row["epoch"] for row in rows] == list(range(1, 31))
    assert read_column(log, "val_loss") == close_to([v for _, v in expected])
    # validation that comes before a step stands on the row before it, the first at step 0
    assert len(read_rows(log)) == (31 if order == "vts" else 30)


class Output(dict[str, Any]):
    """An output as Hugging Face models return it: a mapping with attributes."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(name)


class WithLoss(nn.Module):
    """A model that computes its own loss, by a criterion of its own."""

    def __init__(self, form: type) -> None:
        super().__init__()
        self.body = make_network()
        self.criterion = nn.CrossEntropyLoss()
        self.form = form

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor) -> Any:
        """Compute logits and loss."""
        logits = self.body(inputs)
        return self.form(loss=self.criterion(logits, labels), logits=logits)


@pytest.mark.parametrize("form", [Output, dict, SimpleNamespace])
@pytest.mark.parametrize("criterion", [True, False])
def test_a_loss_that_the_output_carries_is_recorded_once(
    log: Path, form: type, criterion: bool
) -> None:
    """Hugging Face style outputs are read, and not counted again when the inner criterion fires."""
    model = WithLoss(form)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    data = DataLoader(make_classes(20), batch_size=8)
    expected = []
    with fitdiag.record(model, optimizer, model.criterion if criterion else None, log=log, every=0):
        for _ in range(2):
            sums = [0.0, 0.0]
            for phase in (0, 1):
                model.train(phase == 0)
                for x, y in data:
                    with torch.set_grad_enabled(phase == 0):
                        output = model(inputs=x, labels=y)
                    loss = output.loss if hasattr(output, "loss") else output["loss"]
                    sums[phase] += loss.item() * len(x) / 20
                    if phase == 0:
                        optimizer.zero_grad()
                        loss.backward()
                        optimizer.step()
            expected.append(tuple(sums))
    rows = read_rows(log)
    assert [(row["train_loss"], row["val_loss"]) for row in rows] == [
        close_to(pair) for pair in expected
    ]


def test_an_own_criterion_wins_over_a_loss_in_the_output_that_is_not_trained_on(log: Path) -> None:
    """Where a loop trains on its own criterion, the output's loss is left alone in both phases."""
    model, criterion = WithLoss(Output), nn.CrossEntropyLoss(label_smoothing=0.3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = make_classes(20).tensors
    expected = []
    with fitdiag.record(model, optimizer, criterion, log=log, every=0):
        for _ in range(2):
            loss = criterion(model(x, y).logits, y)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                expected.append((loss.item(), criterion(model(x, y).logits, y).item()))
    assert [(r["train_loss"], r["val_loss"]) for r in read_rows(log)] == [
        close_to(pair) for pair in expected
    ]


def test_a_functional_loss_is_watched_through_its_wrapper(log: Path) -> None:
    """run.loss(F.cross_entropy) computes the same number, and both losses are recorded."""
    loop = Tutorial()
    expected = []
    with fitdiag.record(loop.model, loop.optimizer, log=log, every=0) as run:
        loop.loss_fn = run.loss(F.cross_entropy)
        expected += [(loop.train_loop(), loop.test_loop()) for _ in range(3)]
    assert [(r["train_loss"], r["val_loss"]) for r in read_rows(log)] == [
        close_to(pair) for pair in expected
    ]
    logits, labels = torch.randn(5, 2), torch.zeros(5, dtype=torch.long)
    assert torch.equal(loop.loss_fn(logits, labels), F.cross_entropy(logits, labels))


def test_a_module_given_to_run_loss_is_hooked_and_returned(log: Path) -> None:
    """run.loss(nn.Module) needs no change of type: the very module comes back, watched once."""
    loop = Tutorial()
    with fitdiag.record(loop.model, loop.optimizer, log=log, every=0) as run:
        assert run.loss(loop.loss_fn) is loop.loss_fn
        assert run.loss(loop.loss_fn) is loop.loss_fn
        expected = loop.train_loop(), loop.test_loop()
    assert [(r["train_loss"], r["val_loss"]) for r in read_rows(log)] == [close_to(expected)]


def test_validation_every_few_epochs_with_counted_epochs(log: Path) -> None:
    """run.epochs gives one row an epoch, with a validation loss where there was one."""
    loop = Tutorial()
    expected: list[float] = []
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log, every=0) as run:
        for epoch in run.epochs(6):
            loop.train_loop()
            if epoch % 3 == 2:
                expected.append(loop.test_loop())
    rows = read_rows(log)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows] == [4, 8, 12, 16, 20, 24]
    assert [row["val_loss"] is None for row in rows] == [True, True, False] * 2
    assert read_column(log, "val_loss") == close_to(expected)
    assert len(read_column(log, "train_loss")) == 6


def test_no_validation_with_counted_epochs(log: Path) -> None:
    """Without any validation run.epochs still gives each epoch its row."""
    loop = Tutorial()
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log, every=0) as run:
        expected = [loop.train_loop() for _ in run.epochs(4)]
    assert read_column(log, "train_loss") == close_to(expected)
    assert read_column(log, "val_loss") == []


def test_validation_first_in_each_counted_epoch_shares_the_row_before(log: Path) -> None:
    """Validating before training puts the loss where it was measured: at the step before."""
    loop = Tutorial()
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log, every=0) as run:
        expected = [(loop.test_loop(), loop.train_loop()) for _ in run.epochs(3)]
    rows = read_rows(log)
    assert [row["step"] for row in rows] == [0, 4, 8, 12]
    assert [row["val_loss"] for row in rows[:3]] == close_to([val for val, _ in expected])
    assert [row["train_loss"] for row in rows[1:]] == close_to([train for _, train in expected])


def test_no_validation_and_no_epochs_leaves_batch_losses(log: Path) -> None:
    """A bare training loop gives step rows, all of them in the end."""
    loop = Tutorial()
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log):
        for _ in range(3):
            loop.train_loop()
    assert read_column(log, "batch_loss") == close_to([loss for loss, _ in loop.batches])
    assert read_column(log, "train_loss") == []


def test_an_early_stop_completes_the_epoch_it_stopped_after(log: Path) -> None:
    """Breaking out of run.epochs after a validation keeps that epoch's row."""
    loop = Tutorial()
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log, every=0) as run:
        for epoch in run.epochs(10):
            loop.train_loop()
            loop.test_loop()
            if epoch == 2:
                break
    assert [row["epoch"] for row in read_rows(log)] == [1, 2, 3]


def test_a_test_set_after_the_last_epoch_does_not_mix_with_validation(log: Path) -> None:
    """What is evaluated once more after training ended leaves the last validation loss alone."""
    loop = Tutorial()
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log, every=0) as run:
        expected = [(loop.train_loop(), loop.test_loop()) for _ in range(3)]
        with torch.no_grad(), run.phase("test"):
            test = loop.loss_fn(loop.model(torch.ones(3, 4)), torch.ones(3, dtype=torch.long))
        loop.loss_fn(loop.model(100 * torch.ones(3, 4)), torch.ones(3, dtype=torch.long))
    assert read_column(log, "val_loss") == close_to([val for _, val in expected])
    assert read_column(log, "test_loss") == close_to([test.item()])


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_a_sum_of_losses_is_recorded_as_the_sum(log: Path, share: float) -> None:
    """Losses of one backward pass add up with their shares, in validation as in training."""
    model, criterion = make_network(4, 4), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, a, b = torch.randn(16, 4), torch.randn(16, 4), torch.randn(16, 4)
    expected = []
    with fitdiag.record(model, optimizer, criterion, log=log, every=0):
        for _ in range(3):
            model.train()
            pred = model(x)
            loss = criterion(pred, a)
            loss += 0.5 * criterion(pred, b)  # in place, as many loops do
            optimizer.zero_grad()
            (loss * share).backward()
            optimizer.step()
            model.eval()
            held_out = 0.0
            with torch.no_grad():
                for _ in range(2):
                    pred = model(x)
                    held_out += (criterion(pred, a) + 0.5 * criterion(pred, b)).item() / 2
            expected.append((loss.item(), held_out))
    assert [(r["train_loss"], r["val_loss"]) for r in read_rows(log)] == [
        close_to(pair) for pair in expected
    ]


@pytest.mark.parametrize("way", ["divided", "in place", "whole"])
def test_accumulated_losses_are_averaged(log: Path, way: str) -> None:
    """Several backward passes before one step are a mean, however the loop divides."""
    loop = Tutorial(batch_size=10)
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log, every=1):
        expected, norms = [], []
        for _ in range(3):
            losses = []
            for x, y in loop.train_data:
                loss = loop.loss_fn(loop.model(x), y)
                losses.append(loss.item())
                if way == "in place":
                    loss /= 5
                (loss / 5 if way == "divided" else loss).backward()
            norms.append(slow_norm(loop.model))
            loop.optimizer.step()
            loop.optimizer.zero_grad()
            expected.append(sum(losses) / 5)
    rows = read_rows(log)
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert [row["batch_loss"] for row in rows] == close_to(expected)
    assert [row["grad_norm"] for row in rows] == close_to(norms)


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_other_reductions_are_means_over_the_batch(log: Path, reduction: str) -> None:
    """A sum is divided by its batch size and an unreduced loss averaged, so batches compare."""
    model, criterion = nn.Linear(4, 1), nn.MSELoss(reduction=reduction)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    x, y = torch.randn(20, 4), torch.randn(20, 1)
    with fitdiag.record(model, optimizer, criterion, log=log, every=0) as run:
        for _ in run.epochs(1):
            expected = F.mse_loss(model(x), y).item()
            for part in (slice(0, 15), slice(15, 20)):
                criterion(model(x[part]), y[part]).sum().backward()
            optimizer.step()
    assert read_column(log, "train_loss") == close_to([expected])


def test_modes_that_a_loop_forgets_do_not_confuse_it(log: Path) -> None:
    """Evaluation in eval mode without no_grad, and training in eval mode, are both seen through."""
    loop = Tutorial()
    x, y = loop.test_data.dataset.tensors  # type: ignore[attr-defined]
    expected = []
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log, every=0):
        for _ in range(2):
            loop.model.eval()
            loss = loop.loss_fn(loop.model(x), y)
            loss.backward()
            loop.optimizer.step()
            loop.optimizer.zero_grad()
            held_out = loop.loss_fn(loop.model(x), y)
            expected.append((loss.item(), held_out.item()))
    assert [(r["train_loss"], r["val_loss"]) for r in read_rows(log)] == [
        close_to(pair) for pair in expected
    ]


def test_phases_that_the_user_declares_win(log: Path) -> None:
    """run.phase says which evaluation is which, and restores the phase before."""
    loop = Tutorial()
    x, y = loop.test_data.dataset.tensors  # type: ignore[attr-defined]
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log, every=0) as run:
        for _ in run.epochs(1):
            loop.train_loop()
            loop.model.eval()
            with torch.no_grad():
                with run.phase("train"):
                    train = loop.loss_fn(loop.model(x), y)
                with run.phase("test"):
                    test = loop.loss_fn(loop.model(x[:9]), y[:9])
                val = loop.loss_fn(loop.model(x[9:]), y[9:])
    (row,) = read_rows(log)
    found = row["train_loss"], row["val_loss"], row["test_loss"]
    assert found == close_to((train.item(), val.item(), test.item()))


def test_logged_values_alone_give_one_row_a_call(log: Path) -> None:
    """Without anything to capture each call of run.log is a row, and a mapping is fine too."""
    with fitdiag.record(nn.Linear(1, 1), log=log) as run:
        for epoch in range(3):
            run.log(train_loss=1 / (epoch + 1), val_loss=torch.tensor(2.0))
        run.log({"val_accuracy": 0.5}, step=40, epoch=9)
    rows = read_rows(log)
    assert [row["step"] for row in rows] == [1, 2, 3, 40]
    assert [row["train_loss"] for row in rows] == [1, 0.5, close_to(1 / 3), None]
    assert rows[-1]["epoch"] == 9


def test_logged_values_share_the_row_of_their_step_and_win(log: Path) -> None:
    """Numbers logged at one step merge, and a logged curve is no longer captured."""
    loop = Tutorial()
    values: Mapping[str, Any] = {"train_loss": 7, "val_loss": torch.tensor([1.0, 3.0])}
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log, every=0) as run:
        for _ in range(2):
            loop.train_loop()
            run.log(values)
            run.log(val_accuracy=0.25)
    rows = read_rows(log)
    assert [(r["step"], r["epoch"]) for r in rows] == [(4, 1), (8, 2)]
    assert [(r["train_loss"], r["val_loss"], r["val_accuracy"]) for r in rows] == [(7, 2, 0.25)] * 2
    assert rows[0]["grad_norm"] is not None


def test_values_logged_within_a_full_batch_step_belong_to_it(log: Path) -> None:
    """What is logged between forward and step stands on that step's row."""
    set_up = make_thermometer()
    with fitdiag.record(set_up.model, set_up.optimizer, set_up.loss_fn, log=log) as run:
        for epoch in range(3):
            loss = set_up.loss_fn(set_up.model(set_up.train[0]), set_up.train[1])
            with torch.no_grad():
                set_up.loss_fn(set_up.model(set_up.val[0]), set_up.val[1])
            run.log(val_error=float(epoch))
            set_up.optimizer.zero_grad()
            loss.backward()
            set_up.optimizer.step()
    rows = read_rows(log)
    assert [(row["step"], row["val_error"]) for row in rows] == [(1, 0), (2, 1), (3, 2)]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_kept(log: Path, bad: float) -> None:
    """NaN and infinity are evidence: they stand in the log as nan, inf and -inf."""
    model, criterion = nn.Linear(1, 1), nn.L1Loss(reduction="none")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with fitdiag.record(model, optimizer, criterion, log=log) as run:
        for i in range(3):
            loss = criterion(model(torch.ones(2, 1)), torch.ones(2, 1)).sum()
            (loss * bad if i == 1 else loss).backward()
            run.log(val_score=bad if i == 1 else 1.0)
            optimizer.step()
    assert repr(read_column(log, "val_score")[1]) == repr(bad)
    assert not math.isfinite(read_column(log, "grad_norm")[1])
    assert not math.isfinite(read_column(log, "grad_norm")[2])
    losses = read_column(log, "train_loss") + read_column(log, "batch_loss")
    assert not math.isfinite(losses[-1])


def test_a_skipped_batch_with_a_broken_loss_is_training_not_validation(log: Path) -> None:
    """A loop that skips NaN batches shows them in the training loss and ends no epoch by them."""
    model, criterion = nn.Linear(1, 1), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with fitdiag.record(model, optimizer, criterion, log=log, every=1):
        for i in range(4):
            x = torch.full((2, 1), math.nan if i == 2 else 1.0)
            loss = criterion(model(x), torch.zeros(2, 1))
            if torch.isfinite(loss):
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    rows = read_rows(log)
    assert [(row["step"], row["epoch"]) for row in rows] == [(1, 0), (2, 0), (3, 0)]
    assert math.isnan(rows[2]["batch_loss"] or 0)
    assert read_column(log, "val_loss") == []


def test_lbfgs_with_its_closure(log: Path) -> None:
    """A step with a closure has one loss, where it began, and the norm of its last evaluation."""
    model, criterion = nn.Linear(4, 1), nn.MSELoss()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5)
    x, y = torch.randn(20, 4), torch.randn(20, 1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = criterion(model(x), y)
        torch.autograd.backward(loss)
        return loss

    with fitdiag.record(model, optimizer, criterion, log=log):
        step: Any = optimizer.step
        expected = [(step(closure).item(), slow_norm(model)) for _ in range(4)]
    rows = read_rows(log)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert [row["batch_loss"] for row in rows] == close_to([loss for loss, _ in expected])
    assert [row["grad_norm"] for row in rows] == close_to([norm for _, norm in expected])


def test_a_sequence_in_pieces_is_a_sum_in_training_and_validation(log: Path) -> None:
    """A loss summed over the time steps of an RNN is that sum in both curves."""
    cell, head, criterion = nn.RNNCell(3, 4), nn.Linear(4, 1), nn.MSELoss()
    optimizer = torch.optim.SGD([*cell.parameters(), *head.parameters()], lr=0.01)
    sequence = torch.randn(5, 8, 3)

    def run_through() -> torch.Tensor:
        state = torch.zeros(8, 4)
        loss = torch.zeros(())
        for x in sequence:
            state = cell(x, state)
            loss = loss + criterion(head(state), x[:, :1])
        return loss

    expected = []
    with fitdiag.record((cell, head), optimizer, criterion, log=log, every=0):
        for _ in range(3):
            loss = run_through()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            with torch.no_grad():
                expected.append((loss.item(), (run_through() + run_through()).item() / 2))
    assert [(r["train_loss"], r["val_loss"]) for r in read_rows(log)] == [
        close_to(pair) for pair in expected
    ]


@pytest.mark.parametrize("kind", ["plain", "fused"])
def test_gradient_scalers_leave_the_norm_unscaled(log: Path, kind: str) -> None:
    """Under a gradient scaler norms are unscaled, and a skipped step leaves no finite one."""
    model, criterion = nn.Linear(4, 1), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, fused=kind == "fused")
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    x, y = torch.randn(16, 4), torch.randn(16, 1)
    norms = []
    with fitdiag.record(model, optimizer, criterion, log=log):
        for i in range(4):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = criterion(model(x), y)
            scaler.scale(loss * (math.inf if i == 2 else 1)).backward()
            if i != 2:
                norms.append(slow_norm(model) / scaler.get_scale())
            scaler.step(optimizer)
            scaler.update()
    found = [norm for norm in read_column(log, "grad_norm") if math.isfinite(norm)]
    assert found == close_to(norms)


def test_a_gan_is_recorded_without_a_fault(log: Path) -> None:
    """Two models, two optimizers and three losses a round: one step a round, every norm kept."""
    maker, judge, criterion = nn.Linear(2, 3), nn.Linear(3, 1), nn.BCEWithLogitsLoss()
    optimizers = [torch.optim.Adam(m.parameters(), lr=0.01) for m in (judge, maker)]
    real, ones, zeros = torch.randn(8, 3), torch.ones(8, 1), torch.zeros(8, 1)
    losses = []
    with fitdiag.record([maker, judge], optimizers, criterion, log=log):
        for _ in range(5):
            fake = maker(torch.randn(8, 2))
            optimizers[0].zero_grad()
            judging = criterion(judge(real), ones) + criterion(judge(fake.detach()), zeros)
            judging.backward()
            optimizers[0].step()
            optimizers[1].zero_grad()
            making = criterion(judge(fake), ones)
            making.backward()
            optimizers[1].step()
            losses.append((judging.item() + making.item()) / 2)
    rows = read_rows(log)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["batch_loss"] for row in rows] == close_to(losses)
    assert all(row["grad_norm"] for row in rows)


def test_inference_mode_and_frozen_parameters(log: Path) -> None:
    """Validation under inference_mode is read, and parameters without gradients have no norm."""
    loop = Tutorial()
    for parameter in loop.model[0].parameters():
        parameter.requires_grad_(False)
    expected = []
    with fitdiag.record(loop.model, loop.optimizer, loop.loss_fn, log=log, every=0):
        for _ in range(3):
            train = loop.train_loop()
            with torch.inference_mode():
                expected.append((train, loop.test_loop()))
    assert [(r["train_loss"], r["val_loss"]) for r in read_rows(log)] == [
        close_to(pair) for pair in expected
    ]
    assert read_column(log, "grad_norm_max")[0] == close_to(max(loop.norms[:4]))


def test_two_optimizers_that_share_each_step_count_once(log: Path) -> None:
    """Two optimizers stepping in turn make one step, with the norm over the parameters of both."""
    model, criterion = make_network(), nn.CrossEntropyLoss()
    halves = list(model.parameters())[:2], list(model.parameters())[2:]
    optimizers = torch.optim.SGD(halves[0], lr=0.1), torch.optim.Adam(halves[1], lr=0.01)
    x, y = make_classes(20).tensors
    norms = []
    with fitdiag.record(model, optimizers, criterion, log=log):
        for _ in range(3):
            model.zero_grad()
            criterion(model(x), y).backward()
            norms.append(slow_norm(model))
            for optimizer in optimizers:
                optimizer.step()
    rows = read_rows(log)
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert [row["grad_norm"] for row in rows] == close_to(norms)
    assert [row["lr"] for row in rows] == [0.1] * 3


def test_optimizers_of_the_model_are_found_when_none_is_named(log: Path) -> None:
    """Without an optimizer those that hold the model's parameters count, and no others."""
    loop, other = Tutorial(), nn.Linear(1, 1)
    stranger = torch.optim.SGD(other.parameters(), lr=9.0)
    with fitdiag.record(loop.model, None, loop.loss_fn, log=log, every=0):
        loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.2)
        for _ in range(2):
            loop.train_loop()
            stranger.step()
            loop.test_loop()
    rows = read_rows(log)
    assert [(row["step"], row["lr"]) for row in rows] == [(4, 0.2), (8, 0.2)]


def test_the_learning_rate_follows_a_schedule(log: Path) -> None:
    """The rate in each row is the one that the step used, also when it is a tensor."""
    model, criterion = nn.Linear(4, 2), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=torch.tensor(0.5))
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    x, y = make_classes(20).tensors
    with fitdiag.record(model, optimizer, criterion, log=log):
        for _ in range(3):
            criterion(model(x), y).backward()
            optimizer.step()
            schedule.step()
    assert read_column(log, "lr") == [0.5, 0.25, 0.125]


def test_long_runs_have_few_step_rows(log: Path) -> None:
    """Rows thin out: 20,000 steps make at most 100 + 100 ln(200) of them, dense at the start."""
    parameter = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=1e-9)
    with fitdiag.record(nn.Linear(1, 1), optimizer, log=log):
        parameter.grad = torch.ones(1)
        for _ in range(20_000):
            optimizer.step()
    steps = read_column(log, "step")
    assert steps[:100] == list(range(1, 101))
    assert 500 < len(steps) <= 100 + 100 * math.log(200) + 1
    assert steps[-1] == 20_000
