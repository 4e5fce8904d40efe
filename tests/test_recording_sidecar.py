"""The file beside the log: settings and observations, written with it and read back with it."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import fitdiag
from fitdiag.errors import UsageError
from fitdiag.recording.settings import read_settings
from fitdiag.recording.sidecar import MOST_OBSERVATIONS, Sidecar
from fitdiag.run import Observation

if TYPE_CHECKING:
    from pathlib import Path


def record_something(log: Path, **options: Any) -> None:
    """Train a little, and observe the same thing in each step."""
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    criterion = nn.MSELoss()
    with fitdiag.record(model, optimizer, criterion, log=log, checks=False, **options) as run:
        run._session.sidecar.set("checks", ["LOP001", "LOP002"])
        for step in range(1, 6):
            optimizer.zero_grad()
            criterion(model(torch.ones(3, 2)), torch.ones(3, 1)).backward()
            optimizer.step()
            run._session.sidecar.observe(
                Observation(
                    code="LOP001", message="A leak.", where="a.py:3", step=step, values={"x": 1.5}
                )
            )


def test_settings_and_observations_come_back(log: Path) -> None:
    """What is set and observed while recording stands in the Run that the log is read into."""
    record_something(log, config={"lr": 0.1, "net": {"width": 3}})
    run = fitdiag.read(log)
    assert dict(run.source.config) == {"lr": 0.1, "net.width": 3}
    assert run.source.checks == ("LOP001", "LOP002")
    (seen,) = run.observations
    assert (seen.code, seen.where, seen.step, seen.count) == ("LOP001", "a.py:3", 1, 5)
    assert dict(seen.values) == {"x": 1.5}
    assert not run.source.notes


def test_no_sidecar_is_taken_for_a_run(log: Path) -> None:
    """A folder holds one run, whatever lies beside its log."""
    record_something(log)
    record_something(log.with_name("other.csv"))
    assert [path.name for path, _ in fitdiag.runs(log.parent)] == ["logs.csv", "other.csv"]
    assert fitdiag.read(log.parent).source.path.endswith(".csv")


def test_an_overwritten_log_loses_its_sidecar(log: Path) -> None:
    """Settings of an earlier recording never stand beside the log that replaced it."""
    record_something(log, config={"lr": 0.1})
    record_something(log, config={"seed": 3}, overwrite=True)
    assert dict(fitdiag.read(log).source.config) == {"seed": 3}


@pytest.mark.parametrize(
    ("data", "noted"),
    [
        (b"", True),
        (b"{", True),
        (b"[1]", True),
        (b"\xff\xfe\x00", True),
        (b'{"format": 2}', True),
        (b"[" * 100_000, True),
        (b'{"format": 1, "config": "' + b"x" * (5 << 20) + b'"}', True),
        (b'{"format": 1, "config": [3], "checks": {"a": 1}, "observations": "no"}', False),
        (b'{"format": 1, "config": {"a": [1], "b": 1e999, "c": NaN}, "checks": [1]}', False),
        (b'{"format": 1, "observations": [3, {}, {"code": 1, "message": 2}]}', False),
    ],
)
def test_a_damaged_sidecar_is_at_most_a_note(log: Path, data: bytes, noted: bool) -> None:
    """Whatever lies beside the log, the log is read; what cannot be used is left out and said."""
    record_something(log)
    log.with_name("logs.meta.json").write_bytes(data)
    run = fitdiag.read(log)
    assert len(run.curves["grad_norm"]) == 5
    assert not run.observations
    assert not run.source.config
    assert any("logs.meta.json" in note for note in run.source.notes) is noted


def test_wrong_types_in_an_observation_fall_back(log: Path) -> None:
    """An observation with odd fields keeps what can be used of it."""
    record_something(log)
    entry = {"code": "LOP001", "message": "m" * 9999, "step": "x", "count": -3, "where": 5}
    document = {"format": 1, "observations": [{**entry, "values": {"a": [1], "b": 2}}]}
    log.with_name("logs.meta.json").write_text(json.dumps(document))
    (seen,) = fitdiag.read(log).observations
    assert (len(seen.message), seen.step, seen.count, seen.where) == (1000, None, 1, "")
    assert dict(seen.values) == {"b": 2}


def test_the_sidecar_is_bounded_and_strict(log: Path) -> None:
    """It holds so many observations at most, no NaN, and is written only when it changed."""
    sidecar = Sidecar(log)
    for number in range(2 * MOST_OBSERVATIONS):
        values = {"worst": float("nan")}
        sidecar.observe(Observation(code="LOP001", message="", where=str(number), values=values))
    sidecar.write_if_changed()
    found = json.loads(sidecar.path.read_text(), parse_constant=pytest.fail)
    assert len(found["observations"]) == MOST_OBSERVATIONS
    sidecar.path.unlink()
    sidecar.set("config", None)
    sidecar.write_if_changed()
    assert not sidecar.path.exists()


@dataclass
class Settings:
    """Settings as a dataclass."""

    lr: float
    extra: Any


def test_settings_of_any_kind_become_flat() -> None:
    """Mappings, namespaces and dataclasses are flattened; what is no scalar stands as its text."""
    inner = argparse.Namespace(on=True, size=torch.tensor(3), rest=(1, 2), far=float("inf"))
    flat = read_settings(Settings(lr=0.1, extra={"a": inner, 3: 10**30}))
    expected = {"lr": 0.1, "extra.a.on": True, "extra.a.size": 3, "extra.a.rest": "(1, 2)"}
    assert flat == {**expected, "extra.a.far": "inf", "extra.3": str(10**30)}


def test_settings_that_are_none_are_refused() -> None:
    """A config that is no mapping, or one that holds itself, is refused before the training."""
    with pytest.raises(UsageError, match="config is a int"):
        read_settings(3)
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(UsageError, match="nested more than"):
        read_settings(endless)
