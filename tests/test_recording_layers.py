"""The norms of single layers: which, how kept, how read back, and what is found by them."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

import fitdiag
from fitdiag.errors import UsageError
from fitdiag.recording import RecordingWarning
from fitdiag.recording.events import Step
from fitdiag.recording.layer_book import MOST_ROWS, LayerBook
from fitdiag.recording.layer_columns import MOST_COLUMNS, Columns, choose_columns
from fitdiag.recording.layer_file import LayerFile
from fitdiag.recording.roster import Roster
from fitdiag.report.depth import draw_depth
from fitdiag.report.figure import draw_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

torch.set_num_threads(1)


def make_net(act: Callable[[], nn.Module], depth: int) -> nn.Sequential:
    """Make a deep and narrow network."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(16, 16), act()]
    return nn.Sequential(*layers, nn.Linear(16, 4))


def train(log: Path, model: nn.Module, *, epochs: int = 12, **options: Any) -> list[list[float]]:
    """Train on a toy task and record; return each parameter's norm at each step, by hand."""
    torch.manual_seed(1)
    x = torch.randn(160, 16)
    y = x[:, :4].argmax(1)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    norms = []
    with fitdiag.record(model, optimizer, criterion, log=log, **options) as run:
        for _ in run.epochs(epochs):
            for i in range(0, 128, 16):
                optimizer.zero_grad()
                torch.autograd.backward(criterion(model(x[i : i + 16]), y[i : i + 16]))
                found = [p.grad for p in model.parameters() if p.grad is not None]
                norms.append([gradient.double().norm().item() for gradient in found])
                optimizer.step()
            with torch.no_grad():
                criterion(model(x[128:]), y[128:])
    return norms


def test_each_parameter_has_a_curve_from_input_to_output(tmp_path: Path) -> None:
    """Every parameter's norm at every step comes back, in the order of the model."""
    model = make_net(nn.ReLU, 2)
    norms = train(tmp_path / "logs.csv", model, epochs=3)
    run = fitdiag.read(tmp_path / "logs.csv")
    layers = run.layers()
    assert list(layers) == [name for name, _ in model.named_parameters()]
    for at, curve in enumerate(layers.values()):
        assert curve.steps.tolist() == list(range(1, 25))
        assert curve.values == pytest.approx([row[at] for row in norms], rel=1e-4)
    assert run.source.notes == ()


def test_a_network_whose_gradient_dies_is_told_from_its_healthy_twin(tmp_path: Path) -> None:
    """A recorded deep sigmoid network has vanishing gradients; with ReLU and He it has not."""
    sick = make_net(nn.Sigmoid, 10)
    train(tmp_path / "sick.csv", sick)
    healthy = make_net(nn.ReLU, 10)
    for parameter in healthy.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    train(tmp_path / "healthy.csv", healthy)
    found = fitdiag.diagnose(tmp_path / "sick.csv")
    quiet = fitdiag.diagnose(tmp_path / "healthy.csv")
    assert "GRD006" in {finding.code for finding in found.findings}
    assert not {"GRD006", "GRD007"} & {finding.code for finding in quiet.findings}
    assert {"GRD006", "GRD007"} <= set(quiet.passed)


class HalfDead(nn.Module):
    """A network with a branch that no gradient reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = nn.Linear(16, 4)
        self.dead = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply one branch by zero."""
        out: torch.Tensor = self.alive(x) + 0 * self.dead(x)
        return out


def test_a_layer_without_gradient_is_found(tmp_path: Path) -> None:
    """A branch that is multiplied by zero is named as dead."""
    train(tmp_path / "logs.csv", HalfDead(), layers="*")
    run = fitdiag.read(tmp_path / "logs.csv")
    assert list(run.layers()) == ["alive", "dead"]
    found = {finding.code: finding.message for finding in fitdiag.diagnose(run).findings}
    assert "No gradient reaches dead" in found["GRD007"]


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        (True, ["a.0.weight", "a.0.bias", "a.1.weight", "a.1.bias", "b.weight", "b.bias"]),
        ("*", ["a", "b"]),
        ("a.*", ["a.0", "a.1"]),
        (["b", "a.?.weight"], ["a.0.weight", "a.1.weight", "b"]),
        ("a.*.bias", ["a.0.bias", "a.1.bias"]),
    ],
)
def test_layers_are_chosen_by_patterns(layers: Any, names: list[str]) -> None:
    """A pattern names parameters or modules, piece by piece, and the model's order stays."""
    pair = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    model = nn.ModuleDict({"a": pair, "b": nn.Linear(1, 1)})
    columns = choose_columns([model], layers)
    assert columns is not None
    assert list(columns.names) == names


def test_layers_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    """A pattern without a parameter, and what is no pattern, are errors before the training."""
    wrong: list[tuple[Any, str]] = [
        ("encoder.*", "fits no parameter: the model has, for example, weight"),
        (3, "layers is 3"),
        ([None], "pass patterns"),
    ]
    for layers, message in wrong:
        with pytest.raises(UsageError, match=message):
            fitdiag.record(nn.Linear(1, 1), log=tmp_path / "logs.csv", layers=layers)


def test_thousands_of_parameters_share_columns() -> None:
    """Where there are too many, modules, outer modules and at last neighbours share a column."""
    deep = nn.Sequential(*(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)) for _ in range(100)))
    flat = nn.ParameterList(torch.zeros(1) for _ in range(2000))
    by_module, by_run = choose_columns([deep], True), choose_columns([flat], True)
    assert by_module is not None
    assert by_run is not None
    assert by_module.names[:2] == ("0.0", "0.1")
    assert len(by_run.names) <= MOST_COLUMNS
    assert by_run.names[0] == "0..7"
    assert len(by_run.places) == 2000


def test_several_models_and_odd_names_have_columns_of_their_own() -> None:
    """Two models of one class do not share a column, and no name breaks the file."""
    odd = nn.ModuleDict({'a,"b\n': nn.Linear(1, 1, bias=False)})
    columns = choose_columns([odd, nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)], True)
    assert columns is not None
    assert columns.names == ("ModuleDict.a__b_.weight", "Linear.1.weight", "Linear.2.weight")


def test_no_file_without_layers(tmp_path: Path) -> None:
    """With layers=False there is no file, and one of an earlier run does not stay."""
    log = tmp_path / "logs.csv"
    train(log, make_net(nn.ReLU, 1), epochs=1)
    assert (tmp_path / "logs.layers.csv").exists()
    train(log, make_net(nn.ReLU, 1), epochs=1, layers=False, overwrite=True)
    assert not (tmp_path / "logs.layers.csv").exists()
    assert not fitdiag.read(log).layers()


def make_book(width: int) -> tuple[LayerBook, Roster]:
    """Make an empty book for so many layers, and the roster of their parameters."""
    parameters = [torch.zeros(1) for _ in range(width)]
    roster = Roster(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0), parameters)
    names = tuple(f"layer{at}" for at in range(width))
    return LayerBook(Columns(names, {id(p): at for at, p in enumerate(parameters)})), roster


def make_steps(roster: Roster, first: int, rows: Iterable[list[float]]) -> list[Step]:
    """Make steps as they are once their numbers are fetched."""
    steps = []
    for number, row in enumerate(rows, start=first):
        step = Step(roster=roster)
        step.row, step.number = row, number
        steps.append(step)
    return steps


def test_long_runs_stay_small_and_lose_no_extreme() -> None:
    """After 100,000 steps there are few windows; one explosion, NaN and zeros still stand out."""
    book, roster = make_book(3)
    rows = np.ones((100_000, 3))
    rows[70_000, 0] = 1e9
    rows[50_000:, 1] = 0.0
    rows[99_000, 2] = math.nan
    for at in range(0, 100_000, 250):
        book.take(make_steps(roster, at + 1, rows[at : at + 250].tolist()))
        assert len(book) <= MOST_ROWS
    kept = book.list_rows()
    table = np.array([row for _, row in kept])
    ends = [end for end, _ in kept]
    assert MOST_ROWS // 2 <= len(kept) <= MOST_ROWS
    assert ends[-1] == 100_000
    assert set(np.diff(ends[:-1])) == {book.stride}
    assert table[:, 0].max() == 1e9
    assert (table[:, 0] == 1e9).sum() == 1
    assert np.isclose((table[:, 1] == 0).mean(), 0.5, atol=0.01)
    assert np.isnan(table[:, 2]).sum() == 1


def test_parts_of_a_layer_in_two_optimizers_add_up() -> None:
    """A layer whose weight and bias have optimizers of their own has the norm of both."""
    weight, bias = torch.zeros(1), torch.zeros(1)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    book = LayerBook(Columns(("layer",), {id(weight): 0, id(bias): 0}))
    first = make_steps(Roster(optimizer, [weight]), 1, [[3.0], [6.0]])
    second = make_steps(Roster(optimizer, [bias]), 1, [[4.0], [8.0]])
    book.take([first[0], second[0], first[1], second[1]])
    assert book.list_rows() == [(1, [5.0]), (2, [10.0])]


def test_the_file_is_appended_to_and_equals_one_written_at_once(tmp_path: Path) -> None:
    """However the windows come, and whoever truncates the file between, it ends the same."""
    chance = random.Random(0)  # noqa: S311 no secret
    book, roster = make_book(2)
    file = LayerFile(tmp_path / "logs.csv", book)
    step = 1
    while step < 1500:
        count = chance.randint(1, 60)
        book.take(make_steps(roster, step, [[float(s), 0.5] for s in range(step, step + count)]))
        step += count
        if chance.random() < 0.05:
            file.path.write_text("step\n")
        file.write_if_changed()
    whole = LayerFile(tmp_path / "other.csv", book)
    whole.write_if_changed()
    assert file.path.read_text() == whole.path.read_text()
    assert len(file.path.read_text().splitlines()) == len(book) + 1


def test_a_resumed_recording_goes_on_in_the_file(tmp_path: Path) -> None:
    """What was recorded up to the step to resume from stays, and the windows keep their width."""
    rows = [[float(step), 1.0] for step in range(1, 2001)]
    book, roster = make_book(2)
    file = LayerFile(tmp_path / "logs.csv", book)
    book.take(make_steps(roster, 1, rows[:1300]))
    file.write_if_changed()
    again, roster = make_book(2)
    file = LayerFile(tmp_path / "logs.csv", again)
    file.resume(1200)
    assert again.last <= 1200
    again.take(make_steps(roster, 1201, rows[1200:]))
    file.write_if_changed()
    ends = [end for end, _ in again.list_rows()]
    assert again.stride == book.stride == 8
    assert ends == [*range(8, 2000, 8), 2000]
    assert [row[0] for _, row in again.list_rows()] == ends


def test_clipped_gradients_are_kept_as_they_were_before(tmp_path: Path) -> None:
    """Where clipping is seen, the layers' norms are those before it, as the global one is."""
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))]
    model = nn.ParameterList(parameters)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with fitdiag.record(model, optimizer, log=tmp_path / "logs.csv") as run:
        for scale in (1.0, 100.0, 0.0):
            parameters[0].grad = torch.tensor([3.0, 4.0]) * scale
            parameters[1].grad = torch.tensor([12.0]) * scale
            torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            optimizer.step()
            run.log(train_loss=1.0)
    layers = fitdiag.read(tmp_path / "logs.csv").layers()
    assert layers["0"].values == pytest.approx([5.0, 500.0, 0.0])
    assert layers["1"].values == pytest.approx([12.0, 1200.0, 0.0])


def test_a_frozen_layer_has_no_curve(tmp_path: Path) -> None:
    """A parameter without gradient is not measured as zero: it has no points, and is not dead."""
    model = make_net(nn.ReLU, 1)
    model[0].requires_grad_(requires_grad=False)
    train(tmp_path / "logs.csv", model, epochs=2)
    run = fitdiag.read(tmp_path / "logs.csv")
    assert list(run.layers()) == ["2.weight", "2.bias"]
    model[0].requires_grad_()
    train(tmp_path / "two.csv", model, epochs=1)
    assert len(fitdiag.read(tmp_path / "two.csv").layers()) == 4


KILLED = """
import sys, torch, fitdiag
torch.set_num_threads(1)
model, criterion = torch.nn.Linear(4, 1), torch.nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x, y = torch.ones(8, 4), torch.ones(8, 1)
with fitdiag.record(model, optimizer, criterion, log=sys.argv[1], flush_seconds=0.002) as run:
    for step in range(10**9):
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
        if step % 100 == 99:
            print(step, flush=True)
"""


def test_kill_leaves_a_file_that_reads(tmp_path: Path, nursery: Any) -> None:
    """After kill -9 at some moment the layers read without a note, but for a torn last line."""
    with nursery.kill(KILLED, tmp_path / "logs.csv") as printed:
        for line in printed:
            if int(line) >= 600:
                break
    run = fitdiag.read(tmp_path / "logs.csv")
    assert list(run.layers()) == ["weight", "bias"]
    assert len(run.layers()["bias"]) > 64
    assert all("layers" not in note or "1 line" in note for note in run.source.notes)


BROKEN: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 0),
    "binary": (bytes(range(256)) * 9, 0),
    "another table": (b"epoch,loss\n1,2\n", 0),
    "only a header": (b"step,a,b\n", 0),
    "torn": (b"step,a,b\n1,1,2\n2,1,2\n3,1", 2),
    "words": (b"step,a,b\n1,1,2\n2,x,2\n3,1,2\n", 2),
    "backwards": (b"step,a,b\n2,1,2\n1,1,2\n3,1,2\nnan,1,2\n", 2),
    "ragged": (b"step,a,b\n2,1,2,3\n3,1,2\n\n4,,5\n", 2),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_costs_a_note(tmp_path: Path, kind: str) -> None:
    """Whatever stands beside the log, the log reads; what is good of the layers is kept."""
    data, count = BROKEN[kind]
    (tmp_path / "logs.csv").write_text("step,epoch,train_loss\n1,1,2\n2,2,1\n3,3,0.5\n")
    (tmp_path / "logs.layers.csv").write_bytes(data)
    run = fitdiag.read(tmp_path / "logs.csv")
    assert len(run.curves["train_loss"]) == 3
    assert len(run.layers()) == count
    assert len(run.source.notes) == (0 if kind == "only a header" else 1)


def test_a_hostile_file_is_bounded(tmp_path: Path) -> None:
    """A giant file beside the log is left out, and a folder of that name does not matter."""
    (tmp_path / "logs.csv").write_text("step,epoch,train_loss\n1,1,2\n2,2,1\n3,3,0.5\n")
    beside = tmp_path / "logs.layers.csv"
    with beside.open("wb") as file:
        file.truncate(1 << 25)
    assert "larger than" in fitdiag.read(tmp_path / "logs.csv").source.notes[0]
    beside.unlink()
    beside.mkdir()
    assert fitdiag.read(tmp_path / "logs.csv").source.notes == ()


def test_folders_do_not_take_the_layers_for_a_run(tmp_path: Path) -> None:
    """In a folder there is one run, the log, with the layers that belong to it."""
    train(tmp_path / "logs.csv", make_net(nn.ReLU, 1), epochs=2)
    found = list(fitdiag.runs(tmp_path))
    assert [path.name for path, _ in found] == ["logs.csv"]
    assert len(found[0][1].layers()) == 4
    assert len(fitdiag.read(tmp_path).layers()) == 4


def test_a_disk_that_does_not_take_the_layers_costs_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the layers cannot be written, or fail in any way, the log itself is complete."""

    def fail(_self: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(LayerFile, "write_if_changed", fail)
    with pytest.warns(RecordingWarning, match="cannot be written") as said:
        train(tmp_path / "one.csv", make_net(nn.ReLU, 1), epochs=3)
    assert len(said) == 1
    assert len(fitdiag.read(tmp_path / "one.csv").curves["train_loss"]) == 3
    monkeypatch.undo()
    monkeypatch.setattr(LayerBook, "take", lambda *_: 1 / 0)
    with pytest.warns(RecordingWarning, match="no longer recorded") as said:
        train(tmp_path / "two.csv", make_net(nn.ReLU, 1), epochs=3)
    assert len(said) == 1
    assert len(fitdiag.read(tmp_path / "two.csv").curves["train_loss"]) == 3


def test_the_report_shows_the_depth(tmp_path: Path) -> None:
    """Page and picture of a run with layers have the grid; one without has none."""
    train(tmp_path / "logs.csv", make_net(nn.ReLU, 2), epochs=4)
    train(tmp_path / "bare.csv", make_net(nn.ReLU, 2), epochs=4, layers=False)
    for name, shown in (("logs", True), ("bare", False)):
        diagnosis = fitdiag.diagnose(tmp_path / f"{name}.csv")
        for ending in ("html", "svg", "png"):
            fitdiag.write_report(diagnosis, tmp_path / f"{name}.{ending}")
        page = (tmp_path / f"{name}.html").read_text()
        assert ("Gradient norm by layer" in page) is shown
        assert ("data:image/png;base64" in page) is shown
    assert (tmp_path / "logs.svg").stat().st_size > (tmp_path / "bare.svg").stat().st_size


def test_the_grid_tells_zero_broken_and_missing_apart() -> None:
    """Larger norms are paler; zero, NaN and what was not measured have colours of their own."""
    nan = math.nan
    run = fitdiag.Run.from_arrays(
        {
            "train_loss": [3.0, 2.0, 1.0, 0.5],
            "grad_norm/first": [1e-6, 1e-6, 0.0, 0.0],
            "grad_norm/last": [1.0, 1.0, math.inf, 1.0],
            "grad_norm/late": [nan, nan, 1e-3, 1e-3],
        }
    )
    figure = draw_up(fitdiag.diagnose(run))
    depth = draw_depth(run, figure.axis, figure.start, figure.end)
    assert depth is not None
    assert depth.layers == ("first", "last", "late")
    first, last, late = depth.cells
    assert (first[0], first[-1]) == (0, 250)
    assert (last[0], last[-1]) == (249, 249)
    assert 251 in last
    assert (late[0], late[-1]) == (252, 124)
    assert (depth.low, depth.high) == (1e-6, 1.0)
