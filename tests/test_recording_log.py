"""The native log: what stands in the file, how it grows, and that rows come out in order."""

from __future__ import annotations

import csv
import itertools
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import fitdiag
from fitdiag.errors import UsageError
from fitdiag.recording import RecordingWarning
from fitdiag.recording.averages import Mean, Recipe, average_evaluation, combine
from fitdiag.recording.events import EpochMark, Logged, Loss, Step
from fitdiag.recording.timeline import Row, Timeline
from fitdiag.recording.transfer import count_settled, read_numbers
from fitdiag.recording.writer import COLUMNS, LogWriter, check_name

if TYPE_CHECKING:
    from pathlib import Path

    from fitdiag.recording.events import Event


def make_row(step: int, **cells: float) -> Row:
    row = Row(step, step - 1)
    row.cells.update(cells)
    return row


def make_loss(value: float, backward: int | None = None, **options: Any) -> Loss:
    loss = Loss(value, 4, grad=backward is not None, **options)
    loss.backward = backward
    return loss


def test_the_header_is_there_from_the_first_moment(tmp_path: Path) -> None:
    """A log begins with the words that the rest of fitdiag knows, step and epoch first."""
    writer = LogWriter(tmp_path / "deep" / "er" / "logs.csv")
    writer.begin()
    assert writer.path.read_bytes() == (",".join(COLUMNS) + "\n").encode()
    assert COLUMNS[:2] == ("step", "epoch")


def test_a_column_that_appears_late_widens_the_file(tmp_path: Path) -> None:
    """Rows written before a new column keep their cells, get an empty one, and nothing is lost."""
    writer = LogWriter(tmp_path / "logs.csv")
    writer.begin()
    writer.path.chmod(0o640)
    writer.write([make_row(1, train_loss=0.5), make_row(2, train_loss=math.nan)])
    writer.write([make_row(3, train_loss=-math.inf, val_accuracy=0.25)])
    writer.write([make_row(4, val_f1=1.0), make_row(5)])
    with writer.path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [*COLUMNS, "val_accuracy", "val_f1"]
    assert [row["train_loss"] for row in rows] == ["0.5", "nan", "-inf", "", ""]
    assert [row["val_accuracy"] for row in rows] == ["", "", "0.25", "", ""]
    assert writer.path.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["logs.csv"]


def test_a_late_column_in_a_real_run(tmp_path: Path) -> None:
    """A metric that is first logged after rows were flushed has its column in every row."""
    model, criterion = nn.Linear(2, 1), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.ones(4, 2), torch.ones(4, 1)
    log = tmp_path / "logs.csv"
    with fitdiag.record(model, optimizer, criterion, log=log, flush_seconds=0) as run:
        for epoch in run.epochs(6):
            torch.autograd.backward(criterion(model(x), y))
            optimizer.step()
            if epoch > 2:
                run.log(val_accuracy=epoch / 10)
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["val_accuracy"] for row in rows] == ["", "", "", "0.3", "0.4", "0.5"]
    assert [row["step"] for row in rows] == ["1", "2", "3", "4", "5", "6"]


def test_what_is_recorded_reads_back(tmp_path: Path) -> None:
    """fitdiag.read gives the curves that were recorded, at their steps."""
    model, criterion = nn.Linear(2, 1), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.ones(4, 2), torch.ones(4, 1)
    expected = []
    with fitdiag.record(model, optimizer, criterion, log=tmp_path / "logs.csv") as run:
        for _ in range(12):
            loss = criterion(model(x), y)
            with torch.no_grad():
                held_out = criterion(model(2 * x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            expected.append((loss.item(), held_out.item()))
    read = fitdiag.read(run.path)
    for name, values in zip(("train_loss", "val_loss"), zip(*expected, strict=True), strict=True):
        assert read.curves[name].values.tolist() == pytest.approx(list(values), rel=1e-6)
        assert read.curves[name].steps.tolist() == list(range(1, 13))
    assert len(read.curves["grad_norm"]) == len(read.curves["lr"]) == 12


@pytest.mark.parametrize("name", ["step", "epoch", "", " ", "a,b", 'a"b', "a\nb", "a;b"])
def test_names_that_would_break_the_header_are_refused(name: str) -> None:
    """A column is a word; the two first columns have one owner."""
    with pytest.raises(UsageError, match="cannot name a column"):
        check_name(name)


def test_unknown_batch_sizes_make_a_plain_mean() -> None:
    """One batch of unknown size makes the mean a plain one, rather than nearly ignoring it."""
    mean = Mean()
    for value, weight in ((1.0, 30), (2.0, None), (6.0, 10)):
        mean.add(value, weight)
    assert mean.value == 3.0


@pytest.mark.parametrize("scale", [1.0, 65536.0, -0.25])
def test_shares_in_a_sum_do_not_depend_on_its_scale(scale: float) -> None:
    """Gradient scalers, accumulation and signs leave the combined loss as the user wrote it."""
    losses = [make_loss(2.0, 1), make_loss(3.0, 1), make_loss(5.0, 1, source="output")]
    for loss, seed in zip(losses, (1.0, 0.5, -1.0), strict=True):
        loss.seed = seed * scale
    value, weight, recipe = combine(losses)
    assert (value, weight) == (-1.5, 4)
    assert recipe.parts == (("criterion", 1.0), ("criterion", 0.5), ("output", -1.0))
    assert not recipe.spread


def test_evaluations_before_any_training_add_up_within_a_forward_pass() -> None:
    """Before a step has shown how losses combine, those after one forward pass are one batch."""
    losses = [make_loss(v, forward=f) for v, f in ((1, 1), (2, 1), (3, 2), (4, 2))]
    assert average_evaluation(losses, None) == 5.0
    assert average_evaluation(losses[:2], None) == 1.5
    pair = Recipe((("criterion", 1.0),) * 2)
    assert average_evaluation([make_loss(v) for v in (1, 2, 3, 4)], pair) == 5.0
    assert average_evaluation([make_loss(v, forward=v) for v in (1, 2, 3, 4)], pair) == 2.5
    assert average_evaluation([make_loss(v, forward=v) for v in (1, 2, 3)], pair) == 2.0
    mixed = [make_loss(9, source="output"), make_loss(1)]
    assert average_evaluation(mixed, None) == 1.0
    assert average_evaluation(mixed, Recipe((("output", 1.0),))) == 9.0


def test_a_loss_that_may_still_be_trained_on_waits() -> None:
    """Events after a loss whose backward pass may be to come are not read before the next step."""
    waiting = Loss(torch.tensor(1.0), 4, grad=True)
    events: list[Event] = [make_loss(1.0, 1), make_loss(2.0), waiting, make_loss(3.0)]
    assert count_settled(events) == 2
    assert count_settled([*events, Step()]) == 5


def test_tensors_of_all_types_are_fetched_together() -> None:
    """Numbers of any type and shape come back in order, bfloat16 and bool among them."""
    tensors = [torch.tensor(1.5).bfloat16(), torch.ones(2), torch.tensor(True), torch.tensor([3])]
    assert read_numbers(tensors) == [1.5, [1.0, 1.0], True, [3]]


PASSES = itertools.count(1)


def make_event(kind: str, number: int) -> Event:
    """Make an event of a kind out of a number."""
    if kind == "train":
        return make_loss(float(number), next(PASSES))
    if kind == "val":
        return make_loss(float(number))
    if kind == "unused":
        return Loss(math.nan if number % 3 else 1.0, None, grad=True, training=number % 2 == 0)
    if kind == "log":
        return Logged({"val_x" if number % 2 else "train_x": float(number)})
    if kind == "epoch":
        return EpochMark(number)
    return Step(number % 3, norm=float(number) if number % 4 else None, lr=0.1, closure=number == 7)


KINDS = st.lists(
    st.tuples(
        st.sampled_from(["train", "val", "unused", "log", "epoch", "step", "step", "step"]),
        st.integers(0, 9),
    ),
    max_size=60,
)


@given(KINDS, st.sampled_from([None, 0, 1, 4]), st.booleans(), st.integers(1, 10))
def test_any_order_of_events_gives_rows_in_order(
    kinds: list[tuple[str, int]], every: int | None, failed: bool, flushes: int
) -> None:
    """Whatever a loop does, rows never repeat or go back, and no number is invented."""
    timeline = Timeline(every)
    rows: list[Row] = []
    started = False
    for i, (kind, number) in enumerate(kinds):
        started = started or kind == "step"
        if kind == "log" and not started:
            continue  # rows of a log without steps are numbered by themselves
        timeline.feed([make_event(kind, number)])
        if i % flushes == 0:
            rows += timeline.drain()
    rows += timeline.close(failed=failed)
    steps = [row.step for row in rows]
    assert steps == sorted(set(steps))
    epochs = [row.epoch for row in rows if row.epoch is not None]
    assert epochs == sorted(epochs)
    assert all(
        0 <= v <= 9 * math.sqrt(3) or math.isnan(v) for row in rows for v in row.cells.values()
    )


def test_a_name_that_cannot_be_a_column_costs_a_warning(tmp_path: Path) -> None:
    """A bad name in run.log is passed over while the good calls around it are kept."""
    with fitdiag.record(nn.Linear(1, 1), log=tmp_path / "logs.csv") as run:
        run.log(val_loss=1.0)
        with pytest.warns(RecordingWarning, match="cannot name a column"):
            run.log({"a,b": 1.0})
        run.log(val_loss=0.5)
    assert len(run.path.read_text().splitlines()) == 3
