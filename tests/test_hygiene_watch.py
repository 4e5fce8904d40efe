"""How a loop is watched: seldom, without a trace in the results, and never in the way."""

from __future__ import annotations

import copy
import io
import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

import fitdiag
from fitdiag.errors import UsageError
from fitdiag.mistakes import ADVICE, DATA_CHECK
from fitdiag.recording import RecordingWarning
from fitdiag.recording.hygiene import WATCHERS
from fitdiag.recording.hygiene.leaks import LeakWatcher
from fitdiag.recording.hygiene.places import Place, find_place, name_place
from fitdiag.recording.hygiene.samples import ELEMENTS, SampleWatcher, fingerprint
from fitdiag.recording.hygiene.watch import LoopWatch
from fitdiag.recording.hygiene.watcher import Watcher
from fitdiag.report import write_report
from fitdiag.rules.loop.observed import NOT_WATCHED

HYGIENE = sorted(ADVICE)


pytestmark = pytest.mark.usefixtures("one_thread")


class Loop:
    """A training that is the same each time; batches of four make batch-norm a mistake."""

    def __init__(self, *, size: int = 16) -> None:
        torch.manual_seed(5)
        self.net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3))
        self.net.append(nn.Linear(8, 2))
        self.loss_fn = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.05, momentum=0.9)
        self.x, self.y = torch.randn(40, size, 6), torch.randint(0, 2, (40, size))

    def record(self, log: Path, **options: Any) -> fitdiag.Recorder:
        """Record it."""
        return fitdiag.record(self.net, self.optimizer, self.loss_fn, log=log, **options)

    def train(self, *, zero: bool = True, epochs: int = 3) -> None:
        """Train, and validate in whatever mode the network is in."""
        for _ in range(epochs):
            for x, y in zip(self.x, self.y, strict=True):
                if zero:
                    self.optimizer.zero_grad()
                self.loss_fn(self.net(x), y).backward()
                self.optimizer.step()
            with torch.no_grad():
                for x, y in zip(self.x[:3], self.y[:3], strict=True):
                    self.loss_fn(self.net(x), y)

    def state(self) -> list[torch.Tensor]:
        """Return what must not depend on being watched."""
        return [*self.net.state_dict().values(), torch.get_rng_state()]


def hear(loop: Loop, log: Path, *, zero: bool = True, **options: Any) -> list[str]:
    """Return what is said during a recording."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with loop.record(log, **options):
            loop.train(zero=zero)
    assert all(one.category is RecordingWarning for one in heard)
    return [str(one.message) for one in heard]


@pytest.mark.parametrize("checks", [True, "data"])
@pytest.mark.parametrize("zero", [True, False])
def test_results_do_not_depend_on_being_watched(
    log: Path, *, zero: bool, checks: bool | str
) -> None:
    """Parameters, statistics and random state are the same to the bit, mistakes or none."""
    bare, watched = Loop(size=4), Loop(size=4)
    torch.manual_seed(6)
    bare.train(zero=zero)
    expected = bare.state()
    torch.manual_seed(6)
    assert hear(watched, log, zero=zero, checks=checks)
    assert all(map(torch.equal, expected, watched.state()))


def test_all_mistakes_of_a_loop_are_told(log: Path) -> None:
    """A loop with four mistakes is told of each, once, and what was looked for is in the log."""
    said = hear(Loop(size=4), log, zero=False, checks="data")
    assert len(said) == 4
    run = fitdiag.read(log)
    assert sorted(one.code for one in run.observations) == ["LOP002", "LOP003", "LOP006", "LOP010"]
    assert {"LOP001", "LOP004", "LOP005", "LOP007", "LOP008"} <= set(run.source.checks)


def test_nothing_is_watched_unless_wanted(log: Path) -> None:
    """With checks=False nothing is said, kept or claimed."""
    assert not hear(Loop(size=4), log, zero=False, checks=False)
    run = fitdiag.read(log)
    assert not run.observations
    assert not run.source.checks
    skipped = {s.code: s.reason for s in fitdiag.diagnose(run).skipped}
    assert {skipped[code] for code in HYGIENE} == {NOT_WATCHED}


def test_samples_are_compared_only_when_asked(log: Path) -> None:
    """Without checks="data" the rule is skipped, and its reason says how to ask."""
    hear(Loop(), log)
    skipped = {s.code: s.reason for s in fitdiag.diagnose(log).skipped}
    assert 'checks="data"' in skipped[DATA_CHECK]
    assert "LOP001" not in skipped


@pytest.mark.parametrize("checks", [None, "all", 1, ["LOP001"]])
def test_other_checks_are_refused(log: Path, checks: Any) -> None:
    """What checks= cannot be is refused before the training, with the choices."""
    with pytest.raises(UsageError, match="'data' to compare"):
        Loop().record(log, checks=checks)


@pytest.mark.parametrize("call", ["note_loss", "note_step", "close", "begin"])
def test_a_fault_of_a_watcher_ends_it_alone(
    log: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A watcher that raises is given up with one notice; the others and the log go on."""

    def fail(*_: object) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(LeakWatcher, call, fail)
    bare, watched = Loop(), Loop()
    torch.manual_seed(6)
    bare.train(zero=False)
    expected = bare.state()
    torch.manual_seed(6)
    said = hear(watched, log, zero=False)
    assert all(map(torch.equal, expected, watched.state()))
    assert [one for one in said if "cannot be watched" in one] == [
        "fitdiag: LOP001 and LOP005 cannot be watched, the recording goes on. The reason: no luck"
    ]
    assert sum("fitdiag explain LOP002" in one for one in said) == 1
    run = fitdiag.read(log)
    assert "LOP001" not in run.source.checks
    assert "LOP002" in run.source.checks
    assert run.span[1] == 120


def test_faults_of_the_hooks_stay_there(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails within a hook on the model, or as a schedule steps, does not reach the loop."""

    def fail(*_: object) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(SampleWatcher, "_read", fail)
    monkeypatch.setattr("fitdiag.recording.hygiene.schedules._count", fail)
    loop = Loop()
    schedule = lr_scheduler.StepLR(loop.optimizer, 1)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with loop.record(log, checks="data"):
            schedule.step()
            loop.train(epochs=1)
    said = [str(one.message) for one in heard if one.category is RecordingWarning]
    assert sum("LOP009 cannot be watched" in one for one in said) == 1
    assert sum("LOP010 cannot be watched" in one for one in said) == 1
    assert len(fitdiag.read(log).curves) > 1


def test_nothing_is_left_behind(log: Path) -> None:
    """After the recording, or an error in it, no hook and no stand-in of a method is left."""
    kinds = (lr_scheduler.LRScheduler, lr_scheduler.CosineAnnealingWarmRestarts)
    before = [vars(kind)["step"] for kind in kinds]
    loop = Loop(size=4)

    def interrupt() -> None:
        with loop.record(log, checks="data", overwrite=True):
            assert [vars(kind)["step"] for kind in kinds] != before
            with loop.record(log.with_name("inner.csv"), overwrite=True):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert [vars(kind)["step"] for kind in kinds] == before
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        with loop.record(log, checks="data", overwrite=True):
            loop.train(epochs=2)
    assert [vars(kind)["step"] for kind in kinds] == before
    for module in loop.net.modules():
        assert not module._forward_pre_hooks
        assert not module._forward_hooks


def test_a_warning_of_torch_stays_at_its_line(log: Path) -> None:
    """Torch's own words on a schedule that steps too early still point at the user's line."""
    loop = Loop()
    schedule = lr_scheduler.StepLR(loop.optimizer, 1)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with loop.record(log):
            schedule.step()
            loop.train(epochs=1)
    files = {one.category: Path(one.filename) for one in heard}
    assert files[UserWarning] == files[RecordingWarning] == Path(__file__)


def test_a_watched_model_is_copied_and_saved_without_its_hooks(log: Path) -> None:
    """A copy of the model that is made while its batches are counted calls nobody."""
    loop = Loop(size=4)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        with loop.record(log, checks="data") as run:
            for x, y in zip(loop.x[:7], loop.y[:7], strict=True):
                loop.loss_fn(loop.net(x), y).backward()
                loop.optimizer.step()
            assert any(module._forward_pre_hooks for module in loop.net.modules())
            twin = copy.deepcopy(loop.net)
            torch.save(loop.net, buffer)
            seen = len(run._session.intake.events)
            twin(loop.x[0])
            buffer.seek(0)
            torch.load(buffer, weights_only=False)(loop.x[0])
            assert len(run._session.intake.events) == seen
    pickle.dumps(twin)


def test_training_steps_are_watched_ever_more_rarely(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 2000 steps fewer than fifty are looked at, and as few losses."""
    calls = {"note_loss": 0, "note_step": 0}
    for name in calls:
        original = getattr(LoopWatch, name)

        def count(self: Any, *given: Any, _name: str = name, _original: Any = original) -> None:
            calls[_name] += 1
            _original(self, *given)

        monkeypatch.setattr(LoopWatch, name, count)
    model, loss_fn = nn.Linear(2, 1), nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with fitdiag.record(model, optimizer, loss_fn, log=log):
        for _ in range(2000):
            optimizer.zero_grad()
            loss_fn(model(torch.ones(4, 2)), torch.ones(4, 1)).backward()
            optimizer.step()
    assert 20 < calls["note_loss"] < 50
    assert 20 < calls["note_step"] < 50


def test_every_watcher_says_what_it_finds() -> None:
    """Each code has one watcher, and one piece of advice at least."""
    codes = [code for kind in WATCHERS for code in kind.codes]
    assert sorted(codes) == HYGIENE
    assert all(ADVICE.values())
    assert not [name for name in vars(Watcher) if name.startswith("_") and name[1] != "_"]


def test_places_are_the_users_own() -> None:
    """The innermost line that is neither ours nor torch's is found, and named shortly."""
    seen: list[Place | None] = []

    class Probe(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """See who calls."""
            seen.append(find_place())
            return x

    nn.Sequential(Probe())(torch.ones(1))
    (place,) = seen
    assert place is not None
    assert place.file == __file__
    assert name_place(place) == f"{Path(__file__).name}:{place.line}" or "/" in name_place(place)
    assert name_place(Place("/tmp/ipykernel_7/1.py", 3)) == "notebook cell:3"  # noqa: S108 a name
    assert name_place(Place("/elsewhere/train.py", 31)) == "train.py:31"
    assert name_place(None) == ""


def test_fingerprints_tell_samples_apart() -> None:
    """Equal samples have equal fingerprints in any batch and type, and others do not."""
    weights = torch.arange(1, 2 * ELEMENTS, 2)
    state = torch.get_rng_state()
    x = torch.linspace(-1, 1, 5 * 30).reshape(5, 2, 15)
    prints = fingerprint(x, weights)
    assert len(set(prints.tolist())) == 5
    assert torch.equal(fingerprint(x.flip(0), weights).flip(0), prints)
    long = torch.arange(4 * 5000).reshape(4, 5000)
    assert len(set(fingerprint(long, weights).tolist())) == 4
    assert torch.equal(torch.get_rng_state(), state)


def test_samples_that_are_alike_anyway_are_no_sign(log: Path) -> None:
    """Where many validation samples equal each other, equality with training means nothing."""
    loop = Loop()
    loop.x = loop.x.sign()[:, :, :1].expand(-1, -1, 6).contiguous()
    said = hear(loop, log, checks="data")
    assert not [one for one in said if DATA_CHECK in one]
    assert DATA_CHECK not in fitdiag.read(log).source.checks


def test_a_process_that_writes_nothing_says_nothing(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several processes of a training only the one that writes the log speaks."""
    monkeypatch.setattr("fitdiag.recording.session.is_writing_rank", lambda: False)
    assert not hear(Loop(size=4), log, zero=False)


def test_a_log_that_nobody_watched_says_so_in_one_line(
    overfitting_log: Path, tmp_path: Path
) -> None:
    """The rules of the family share one reason, and their codes are told by the ends."""
    write_report(fitdiag.diagnose(overfitting_log), tmp_path / "report.md")
    lines = (tmp_path / "report.md").read_text().splitlines()
    assert [line for line in lines if "LOP" in line] == [f"- LOP001-LOP012: {NOT_WATCHED}"]


def test_a_finding_is_drawn_wherever_it_was_seen(log: Path) -> None:
    """What stands beside a log is evidence within the run, even if its step is not."""
    log.write_text("step,epoch,train_loss,val_loss,batch_loss,grad_norm,grad_norm_max,lr\n")
    with log.open("a") as file:
        file.writelines(f"{i},{i},{1 / i},{1.1 / i},,,,\n" for i in range(1, 31))
    seen = {"code": "LOP001", "message": "A leak", "where": "", "step": 10**9, "values": {}}
    beside = {"format": 1, "checks": ["LOP001"], "observations": [seen, {**seen, "code": "X"}]}
    log.with_name("logs.meta.json").write_text(json.dumps(beside))
    (found,) = [f for f in fitdiag.diagnose(log).findings if f.code == "LOP001"]
    assert found.message == "A leak."
    assert [(part.curve, part.start, part.end) for part in found.evidence] == [("val_loss", 30, 30)]
