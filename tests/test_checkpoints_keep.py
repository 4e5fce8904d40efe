"""Checkpoints that are kept while a training runs: which, what is in them, and what may befall."""

from __future__ import annotations

import errno
import json
import math
import re
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import fitdiag
from fitdiag.checkpoint_index import Entry, read_index
from fitdiag.errors import UsageError, WriteError
from fitdiag.recording import RecordingWarning
from fitdiag.recording.checkpoints import keeper, saving, shelf, storage
from fitdiag.recording.checkpoints.parts import Parts, complete
from fitdiag.recording.checkpoints.retention import choose
from fitdiag.recording.checkpoints.snapshot import Snapshot, is_finite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _steady(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have each evaluation get its checkpoint, however slow the disk of the machine is."""
    monkeypatch.setattr(saving, "ALLOWANCE", 300.0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ckpt"


class Loop:
    """A training whose validation loss is as told, and whose weight counts its steps."""

    def __init__(self, folder: Path | None, **options: Any) -> None:
        self.model = nn.Linear(2, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.0)
        log = folder.parent / "logs.csv" if folder else None
        self.options = {"checkpoints": folder, "log": log, "progress": False, **options}
        self.at: dict[int, torch.Tensor] = {}

    def step(self) -> None:
        """Make one step, after which the weight is one more."""
        self.optimizer.zero_grad()
        self.model(torch.ones(4, 2)).mean().backward()
        self.optimizer.step()
        with torch.no_grad():
            self.model.weight += 1

    def run(self, losses: list[float], *, each: Callable[[Any, int], None] | None = None) -> Any:
        """Train an epoch of two steps for each validation loss."""
        with fitdiag.record(self.model, self.optimizer, **self.options) as run:
            for epoch, loss in enumerate(losses):
                self.step()
                self.step()
                run.log(train_loss=2.0 * 0.9**epoch, val_loss=loss)
                self.at[2 * epoch + 2] = self.model.weight.detach().clone()
                if each is not None:
                    each(run, epoch)
        return run


def steps_of(folder: Path) -> list[int]:
    """Return the steps of the checkpoints, each of which loads."""
    for path in folder.glob("*.pt"):
        torch.load(path, weights_only=True)
    assert {path.name for path in folder.iterdir()} == {
        "index.json",
        *(entry.name for entry in read_index(folder)),
    }
    return [entry.step for entry in read_index(folder)]


def overfit(epochs: int = 30, turn: int = 12) -> list[float]:
    """Return validation losses that turn up."""
    return [0.4 + 1.5 * 0.7**k + 0.05 * max(k - turn, 0) for k in range(epochs)]


def load(folder: Path, step: int) -> Any:
    """Return what the file of a step holds."""
    (path,) = folder.glob(f"*step={step}.pt")
    return torch.load(path, weights_only=True)


def test_what_the_pick_chooses_is_there(folder: Path) -> None:
    """Of 30 epochs that overfit the last three and the pick stay, and the pick knows its file."""
    loop = Loop(folder)
    loop.run(overfit())
    kept = steps_of(folder)
    assert kept[-3:] == [56, 58, 60]
    assert len(kept) <= 9
    pick = fitdiag.diagnose(folder.parent / "logs.csv").checkpoint
    assert pick is not None
    assert pick.path == str(folder / f"epoch={pick.epoch:.0f}-step={pick.step:.0f}.pt")
    state = load(folder, int(pick.step))
    assert torch.equal(state["model"]["weight"], loop.at[int(pick.step)])
    assert (state["step"], state["epoch"]) == (pick.step, pick.epoch)
    assert state["val_loss"] == pytest.approx(overfit()[int(pick.step) // 2 - 1], rel=1e-6)


def test_keep_says_how_many_of_the_newest_stay(folder: Path) -> None:
    """With a loss that keeps falling, keep=2 leaves the last two and what may yet be chosen."""
    Loop(folder, keep=2).run([1.0 * 0.8**k for k in range(12)])
    kept = steps_of(folder)
    assert kept[-2:] == [22, 24]
    assert len(kept) <= 6


def test_the_best_by_another_metric_stays(folder: Path) -> None:
    """What a pick by accuracy would choose is kept, though the loss says otherwise."""
    accuracy = [0.5, 0.6, 0.9, *([0.7] * 17)]
    loop = Loop(folder)
    with fitdiag.record(loop.model, loop.optimizer, **loop.options) as run:
        for epoch, value in enumerate(accuracy):
            loop.step()
            run.log(train_loss=0.9**epoch, val_loss=0.9**epoch, val_accuracy=value, val_odd=1.0)
    by_accuracy = fitdiag.Config(metric="val_accuracy")
    pick = fitdiag.diagnose(loop.options["log"], by_accuracy).checkpoint
    assert pick is not None
    assert (pick.step, pick.path) == (3, str(folder / "epoch=3-step=3.pt"))
    assert len(steps_of(folder)) <= 8


def test_without_validation_each_epoch_that_is_counted_has_its_turn(folder: Path) -> None:
    """Where run.epochs() counts and nothing is evaluated, checkpoints are kept all the same."""
    loop = Loop(folder)
    with fitdiag.record(loop.model, loop.optimizer, **loop.options) as run:
        for _ in run.epochs(5):
            loop.step()
            run.log(train_loss=1.0)
    assert steps_of(folder)[-3:] == [3, 4, 5]


def test_the_last_state_is_kept_at_the_end(folder: Path) -> None:
    """Steps after the last evaluation are not lost where the training ends as it should."""
    loop = Loop(folder)
    with fitdiag.record(loop.model, loop.optimizer, **loop.options) as run:
        for epoch in range(2):
            loop.step()
            run.log(val_loss=1.0 - epoch / 10)
        loop.step()
    assert steps_of(folder) == [1, 2, 3]


def test_what_is_not_finite_is_never_the_best(folder: Path) -> None:
    """Checkpoints with NaN in weights or loss push out no good one, and are not resumed from."""

    def spoil(_: Any, epoch: int) -> None:
        if epoch >= 5:
            with torch.no_grad():
                loop.model.bias.fill_(math.nan if epoch % 2 else math.inf)

    loop = Loop(folder)
    loop.run([1.0, 0.8, 0.7, 0.6, 0.5, 0.01, math.nan, 0.02, 0.03], each=spoil)
    entries = read_index(folder)
    good = [entry.step for entry in entries if entry.finite]
    assert good[-3:] == [6, 8, 10]
    assert [entry.step for entry in entries if not entry.finite] == [18]
    other = Loop(folder)
    assert fitdiag.resume(folder, other.model, other.optimizer).step == 10


def test_weights_alone_and_the_whole_model(folder: Path) -> None:
    """A file may hold a plain state dict, or the module, which works where fitdiag is not."""
    loop = Loop(folder, what="weights")
    loop.run([1.0, 0.9])
    weights = load(folder, 4)
    assert set(weights) == {"weight", "bias"}
    loop.model.load_state_dict(weights)
    other = folder.parent / "models"
    loop = Loop(other, what="model", log=folder.parent / "other.csv")
    loop.run([1.0, 0.9])
    model = torch.load(other / "epoch=2-step=4.pt", weights_only=False)
    assert torch.equal(model.weight, loop.at[4])
    model(torch.ones(1, 2)).sum().backward()


def test_other_files_are_never_touched(folder: Path) -> None:
    """Files that fitdiag did not write stay, whatever their names, and are not overwritten."""
    folder.mkdir()
    strangers = ("epoch=1-step=2.pt", "epoch=2-step=4.pt", "best.pt", "notes.txt")
    for name in strangers:
        (folder / name).write_text("mine", encoding="utf-8")
    (folder / "index.json").write_text('{"mine": 1}', encoding="utf-8")
    Loop(folder).run(overfit(12))
    for name in strangers:
        assert (folder / name).read_text(encoding="utf-8") == "mine"
    assert json.loads((folder / "index.json.1").read_text(encoding="utf-8")) == {"mine": 1}
    assert (folder / read_index(folder)[0].name).exists()


def test_an_index_that_names_others_files_is_not_believed(folder: Path) -> None:
    """Entries with paths, and entries that are no entries, are left out of the index."""
    folder.mkdir()
    victim = folder.parent / "victim.pt"
    victim.write_text("mine", encoding="utf-8")
    names = ["../victim.pt", str(victim), "..", ".", "", "index.json", ".x", "a\0b", "x" * 300, 7]
    files = [{"name": name, "step": 1, "whole": True} for name in names]
    junk: list[object] = [
        None,
        3,
        [],
        {},
        {"name": "a.pt", "step": -1},
        {"name": "b.pt", "step": 1e9},
    ]
    text = json.dumps({"format": 1, "files": [*files, *junk, {"name": "ok.pt", "step": 3}]})
    (folder / "index.json").write_text(text, encoding="utf-8")
    assert [entry.name for entry in read_index(folder)] == ["ok.pt"]
    Loop(folder).run([1.0, 0.9])
    assert victim.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 2, "files": []}', "[" * 9999])
def test_a_damaged_index_is_an_empty_one(folder: Path, text: str) -> None:
    """Whatever stands in the index, reading it gives what can be used, and raises nothing."""
    folder.mkdir()
    (folder / "index.json").write_text(text, encoding="utf-8")
    assert read_index(folder) == []
    assert read_index(folder / "none") == []


def test_an_earlier_run_is_not_replaced_unasked(folder: Path) -> None:
    """Checkpoints of an earlier run are refused, before the training, unless overwrite=True."""
    Loop(folder).run(overfit(6))
    with pytest.raises(WriteError, match=r"holds \d checkpoints of an earlier run"):
        Loop(folder, log=folder.parent / "b.csv").run([1.0])
    assert steps_of(folder)[-1] == 12
    Loop(folder, overwrite=True).run([1.0, 0.9])
    assert steps_of(folder) == [2, 4]


def test_two_recordings_cannot_share_a_folder(folder: Path) -> None:
    """A folder that is being written to already is refused."""
    one, other = Loop(folder), Loop(folder, log=folder.parent / "b.csv")
    record = fitdiag.record(other.model, other.optimizer, **other.options)
    with (
        fitdiag.record(one.model, one.optimizer, **one.options),
        pytest.raises(WriteError, match="is being written to already"),
    ):
        record.__enter__()
    with fitdiag.record(one.model, one.optimizer, **{**one.options, "overwrite": True}):
        third = fitdiag.record(other.model, other.optimizer, **other.options)
        for record in (third, third):
            with pytest.raises(WriteError, match="is being written to already"):
                record.__enter__()


def test_a_link_to_a_folder_is_that_folder(folder: Path) -> None:
    """Two recordings cannot share a folder by two names."""
    folder.mkdir()
    link = folder.parent / "link"
    link.symlink_to(folder)
    one, other = Loop(folder), Loop(link, log=folder.parent / "b.csv")
    second = fitdiag.record(other.model, other.optimizer, **other.options)
    with (
        fitdiag.record(one.model, one.optimizer, **one.options) as run,
        pytest.raises(WriteError, match="is being written to already"),
    ):
        second.__enter__()
    run.close()


def test_the_copy_is_taken_before_the_training_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file holds what the weights were when it was due, however late it is written."""
    gate, write = threading.Event(), storage.write_file

    def late(content: object, path: Path) -> None:
        assert gate.wait(20)
        write(content, path)

    monkeypatch.setattr(shelf, "write_file", late)

    def open_gate(_: Any, epoch: int) -> None:
        if epoch == 1:
            assert not list(folder.glob("*.pt"))
            gate.set()

    loop = Loop(folder)
    loop.run([1.0, 0.9], each=open_gate)
    for step in steps_of(folder):
        assert torch.equal(load(folder, step)["model"]["weight"], loop.at[step])


def test_a_slow_disk_costs_checkpoints_and_no_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where evaluations come faster than files are written, some get none, which is said once."""
    gate, write = threading.Event(), storage.write_file

    def slow(content: object, path: Path) -> None:
        gate.wait(20)
        write(content, path)

    monkeypatch.setattr(shelf, "write_file", slow)
    monkeypatch.setattr(saving, "ALLOWANCE", 0.05)
    monkeypatch.setattr(saving, "SHARE", 0.0)
    loop = Loop(folder)
    with pytest.warns(RecordingWarning) as said:
        loop.run([1.0 - k / 20 for k in range(8)], each=lambda _, k: gate.set() if k == 7 else None)
    texts = [str(one.message) for one in said]
    assert len([text for text in texts if "come faster" in text]) == 1
    assert steps_of(folder)[-1] == 16


def test_a_full_disk_loses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without space there is one warning, the training goes on, and what is there stays whole."""
    full: list[int] = []
    write = storage.write_file

    def fail(content: object, path: Path) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(content, path)

    monkeypatch.setattr(shelf, "write_file", fail)
    loop = Loop(folder)
    with pytest.warns(RecordingWarning) as said:
        loop.run(overfit(9), each=lambda _, epoch: full.append(1) if epoch == 3 else None)
    (text,) = {str(one.message) for one in said if "checkpoint" in str(one.message)}
    assert re.search(r"epoch=[34]-step=[68]\.pt could not be kept: No space left on device\.", text)
    assert 0 < steps_of(folder)[-1] <= 6
    assert len(loop.at) == 9


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_training_that_breaks_off_leaves_whole_files(folder: Path, error: Any) -> None:
    """After Ctrl-C or an exception every file is whole, and none is of half an epoch."""

    def stop(_: Any, epoch: int) -> None:
        if epoch == 4:
            raise error

    with pytest.raises(error):
        Loop(folder).run(overfit(9), each=stop)
    assert steps_of(folder)[-1] == 8


def test_loaded_weights_are_not_taken_for_trained_ones(folder: Path) -> None:
    """Where the best weights are loaded after training, they do not stand as the last step's."""
    loop = Loop(folder)

    def load_best(_: Any, epoch: int) -> None:
        if epoch == 4:
            loop.model.load_state_dict({"weight": torch.zeros(1, 2), "bias": torch.zeros(1)})

    loop.run([1.0, 0.9, 0.8, 0.85, 0.95], each=load_best)
    assert steps_of(folder)[-1] == 8
    for step in steps_of(folder):
        assert torch.equal(load(folder, step)["model"]["weight"], loop.at[step])


def test_save_keeps_one_where_it_is_called(folder: Path) -> None:
    """run.save() adds to the folder, or writes a file of its own that nothing rotates away."""
    own = folder.parent / "deep" / "mine.pt"
    names = []

    def save(run: Any, epoch: int) -> None:
        if epoch == 1:
            names.extend([run.save(), run.save(own, what="weights")])

    loop = Loop(folder)
    loop.run(overfit(12), each=save)
    assert names == [folder / "epoch=2-step=4.pt", own]
    assert torch.equal(torch.load(own, weights_only=True)["weight"], loop.at[4])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"pass run\.save\(\) a file, or record\(checkpoints="),
        ({"path": "x", "what": "all"}, "what is 'all'"),
        ({"path": "folder/"}, "no file name"),
        ({"path": "x.pt", "scheduler": 3}, "scheduler is a int"),
    ],
)
def test_save_never_raises(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    """What run.save() cannot do is said as a warning, and gives None."""
    loop = Loop(None, log=tmp_path / "logs.csv")
    given = []
    with pytest.warns(RecordingWarning, match=message):
        loop.run([1.0], each=lambda run, _: given.append(run.save(**arguments)))
    assert given == [None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 0}, "keep is 0"),
        ({"keep": True}, "keep is True"),
        ({"what": "everything"}, "what is 'everything'"),
        ({"checkpoints": 3}, "checkpoints is 3"),
        ({"checkpoints": " "}, "checkpoints is ' '"),
        ({"scaler": "x"}, "scaler is a str"),
    ],
)
def test_wrong_arguments_are_refused_before_the_training(
    folder: Path, options: dict[str, Any], message: str
) -> None:
    """An argument of record() about checkpoints that makes no sense is a UsageError."""
    with pytest.raises(UsageError, match=message):
        Loop(folder, **options).run([])


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """A folder that is a file, or cannot be made, is refused before the training."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="a file: pass a folder"):
        Loop(tmp_path / "file").run([])
    with pytest.raises(WriteError, match="cannot hold checkpoints"):
        Loop(tmp_path / "file" / "below", log=tmp_path / "b.csv").run([])


def test_sharded_models_are_refused_in_words(folder: Path) -> None:
    """A model whose parameters are spread over processes is refused before the training."""
    loop = Loop(folder)
    loop.model.weight.to_local = lambda: None  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=r"parameter weight is spread .*distributed\.checkpoint"):
        loop.run([1.0])


def test_only_the_first_process_writes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of another rank nothing is written, and run.save() gives None."""
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    given = []
    Loop(folder).run([1.0], each=lambda run, _: given.append(run.save()))
    assert given == [None]
    assert not folder.exists()


def test_optimizer_schedule_and_scaler_are_found(folder: Path) -> None:
    """What nobody named is found in memory: it belongs to the state of the training."""
    loop = Loop(folder)
    loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.5, momentum=0.9)
    inner: list[Any] = [torch.optim.lr_scheduler.StepLR(loop.optimizer, 3) for _ in range(2)]
    whole = torch.optim.lr_scheduler.SequentialLR(loop.optimizer, inner, [4])
    scaler = torch.amp.GradScaler("cpu")
    found = complete(Parts(model=[loop.model]), lambda _: None)
    assert [list(one) for one in (found.optimizer, found.scheduler)] == [[loop.optimizer], [whole]]
    assert scaler in found.scaler
    other = torch.optim.lr_scheduler.ExponentialLR(loop.optimizer, 0.9)
    said: list[str] = []
    assert not complete(Parts(model=[loop.model]), said.append).scheduler
    assert "one of several schedulers" in said[0]
    assert other.last_epoch == 0


def test_what_no_file_can_hold_is_named(folder: Path) -> None:
    """A part of a state that only code could bring back is left out, with its name."""

    class Odd:
        def state_dict(self) -> dict[str, Any]:
            return {"count": 3, "function": print}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.found = state

    with pytest.warns(RecordingWarning, match=r"without scheduler\.function \(builtin"):
        Loop(folder, scheduler=Odd()).run([1.0])
    other, odd = Loop(folder), Odd()
    fitdiag.resume(folder, other.model, other.optimizer, odd)
    assert odd.found == {"count": 3}


def test_a_fault_is_said_and_never_raised(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails while a checkpoint is taken, the training goes on and its log is whole."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("something odd")

    monkeypatch.setattr(keeper, "collect", fail)
    with pytest.warns(RecordingWarning, match="something odd. The training goes on"):
        Loop(folder).run(overfit(5))
    assert len((folder.parent / "logs.csv").read_text(encoding="utf-8").splitlines()) > 5


def test_a_copy_is_independent_and_ties_stay_tied() -> None:
    """What is copied does not change with the original, twice over, and shares what was shared."""
    weight = nn.Parameter(torch.ones(3))
    state = {"a": weight, "b": weight, "deep": [{"n": 1, "t": (weight[:2], torch.float16)}]}
    snapshot = Snapshot()
    for value in (1.0, 5.0):
        with torch.no_grad():
            weight.fill_(value)
        copied = snapshot.take(state)
        with torch.no_grad():
            weight.fill_(-1.0)
        assert copied["a"] is copied["b"]
        assert copied["a"].tolist() == [value] * 3
        assert copied["deep"][0]["t"][0].tolist() == [value] * 2
        assert not copied["a"].requires_grad


@pytest.mark.parametrize(
    ("tensor", "finite"),
    [
        (torch.tensor([1.0, math.nan]), False),
        (torch.tensor([math.inf], dtype=torch.bfloat16), False),
        (torch.tensor([1.0, -2.0], dtype=torch.float16), True),
        (torch.tensor([complex(1, math.inf)]), False),
        (torch.tensor([complex(1, 2)]), True),
        (torch.tensor([1, 2]), True),
        (torch.empty(0), True),
        (torch.tensor([1.0]).to(torch.float8_e4m3fn), True),
        (torch.tensor([math.nan]).to(torch.float8_e4m3fn), False),
        (torch.tensor([1.0, 0.0]).to_sparse(), True),
    ],
)
def test_finite_numbers_are_told(tensor: torch.Tensor, *, finite: bool) -> None:
    """Any type of tensor is told to be finite or not."""
    assert is_finite({"x": [tensor]}) is finite


def test_a_mask_of_infinity_is_no_break_down(folder: Path) -> None:
    """A buffer that holds minus infinity does not keep a model from being the best; NaN does."""
    loop = Loop(folder)
    loop.model.register_buffer("mask", torch.tensor([0.0, -math.inf]))
    loop.run(overfit(4))
    assert all(entry.finite for entry in read_index(folder))
    assert not is_finite({"mask": torch.tensor([math.nan])}, {"mask"})


def test_retention_never_deletes_the_newest_or_the_lowest() -> None:
    """Whatever the run looks like, the newest files and the lowest value stay."""
    values = [1.0, 0.2, 0.6, 0.7, math.nan, 0.5, 0.9]
    files = [
        Entry(name=str(k), step=k + 1, value=value, finite=math.isfinite(value))
        for k, value in enumerate(values)
    ]
    assert choose([], None, 3) == set()
    assert choose(files, None, 2) == {"1", "5", "6"}
    run = fitdiag.Run.from_arrays(val_loss=values, train_loss=values)
    assert {"1", "5", "6"} <= choose(files, run, 2)


def test_nothing_is_said_where_nothing_is_wrong(folder: Path) -> None:
    """Keeping checkpoints is silent."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Loop(folder).run(overfit(4))
