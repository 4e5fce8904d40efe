"""Files of checkpoints: refused, damaged, averaged; nothing in them is ever run."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import fitdiag
from fitdiag.errors import CheckpointError, UsageError
from fitdiag.recording.checkpoints import saving
from fitdiag.recording.checkpoints.storage import load_plain, write_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each evaluation get its checkpoint, however slow the disk of the machine is."""
    monkeypatch.setattr(saving, "ALLOWANCE", 300.0)


class Bomb:
    """A pickle that touches a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_a_hostile_file_is_refused_and_not_run(tmp_path: Path) -> None:
    """Code in a file, new format or old or a bare pickle, is refused by its name and not run."""
    mark = tmp_path / "run"
    new, old, bare = (tmp_path / name for name in ("new.pt", "old.pt", "bare.pt"))
    torch.save({"model": Bomb(mark)}, new)
    torch.save({"model": Bomb(mark)}, old, _use_new_zipfile_serialization=False)
    bare.write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(CheckpointError, match=r"new\.pt is refused: .*posix\.system among it"):
        load_plain(new)
    for path in (old, bare):
        with pytest.raises(CheckpointError, match=path.name):
            load_plain(path)
    for path in (new, old, bare):
        with pytest.raises(CheckpointError):
            fitdiag.resume(path, nn.Linear(1, 1))
        with pytest.raises(CheckpointError):
            fitdiag.average([path, path])
    assert not mark.exists()


def test_an_archive_that_is_larger_inside_is_refused(tmp_path: Path) -> None:
    """A compressed archive, which torch never writes, is refused before it is unpacked."""
    whole, packed = tmp_path / "whole.pt", tmp_path / "packed.pt"
    torch.save(torch.zeros(100_000), whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    with pytest.raises(CheckpointError, match=r"torch\.save\(\) writes no such archive"):
        load_plain(packed)


def test_a_file_cut_at_any_length_is_refused(tmp_path: Path) -> None:
    """A file that is cut short is an error that names it, wherever the cut is."""
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(50.0), "b": [1, "x"]}, buffer)
    whole, path = buffer.getvalue(), tmp_path / "cut.pt"
    for length in range(0, len(whole), 61):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"cut\.pt is (empty|damaged|refused)"):
            load_plain(path)


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    """A file whose numbers were changed on the disk is told from a whole one."""
    path = tmp_path / "flip.pt"
    torch.save({"a": torch.full((1000,), 3.0)}, path)
    data = bytearray(path.read_bytes())
    place = data.find(torch.full((2,), 3.0).numpy().tobytes()) + 400
    data[place] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match=r"flip\.pt is damaged"):
        load_plain(path)


def test_a_folder_or_nothing_is_an_error_with_the_name(tmp_path: Path) -> None:
    """What cannot be opened is an error that names it and says why."""
    with pytest.raises(CheckpointError, match=r"none\.pt cannot be read: No such file"):
        load_plain(tmp_path / "none.pt")
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory"):
        load_plain(tmp_path)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    """Where writing fails the file that was there is as it was, and nothing is left beside it."""
    path = tmp_path / "a.pt"
    write_file({"a": 1}, path)
    with pytest.raises(AttributeError):
        write_file({"a": lambda: None}, path)
    assert load_plain(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_an_average_is_the_mean_of_each_weight(tmp_path: Path) -> None:
    """Weights are averaged in double precision whatever the file is; counts are the last one's."""
    values = [1.0, 1.0 + 2**-20, 4.0]
    wrap: list[Callable[[Any], Any]] = [
        lambda weights: weights,
        lambda weights: {"state_dict": weights, "epoch": 3},
        lambda weights: {"model": weights, "optimizer": {"state": {}}},
    ]
    paths = []
    for k, value in enumerate(values):
        weights = {
            "half": torch.tensor([value], dtype=torch.float16),
            "single": torch.tensor([[value]]),
            "complex": torch.tensor([complex(value, -value)]),
            "count": torch.tensor(k),
        }
        paths.append(tmp_path / f"{k}.pt")
        torch.save(wrap[k](weights), paths[-1])
    mean = fitdiag.average(paths)
    exact = sum(values) / 3
    assert mean["single"].dtype == torch.float32
    assert mean["single"].item() == torch.tensor(exact, dtype=torch.float32).item()
    assert mean["half"].dtype == torch.float16
    assert mean["complex"].item() == pytest.approx(complex(exact, -exact), rel=1e-6)
    assert mean["count"].item() == 2


def test_an_average_of_a_recorded_training_can_be_loaded(tmp_path: Path) -> None:
    """Files that the recorder kept are averaged into weights that the model takes."""
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = []
    log, folder = tmp_path / "logs.csv", tmp_path / "ckpt"
    with fitdiag.record(model, optimizer, log=log, checkpoints=folder, progress=False) as run:
        for _ in run.epochs(3):
            optimizer.zero_grad()
            model(torch.ones(2, 3)).mean().backward()
            optimizer.step()
            seen.append(model.weight.detach().clone())
    model.load_state_dict(fitdiag.average(sorted(folder.glob("*.pt"))))
    assert torch.allclose(model.weight, sum(seen) / 3)  # type: ignore[arg-type]


def test_different_models_are_not_averaged(tmp_path: Path) -> None:
    """Names and shapes that differ are listed, and too few files are refused."""
    one, other = tmp_path / "one.pt", tmp_path / "other.pt"
    torch.save(nn.Linear(2, 3).state_dict(), one)
    torch.save(nn.Linear(2, 4, bias=False).state_dict(), other)
    with pytest.raises(CheckpointError, match=r"only one\.pt has bias; .*weight 3x2 against 4x2"):
        fitdiag.average([one, other])
    with pytest.raises(UsageError, match="1 files to be averaged"):
        fitdiag.average([one])
    with pytest.raises(UsageError, match="as a list"):
        fitdiag.average(str(one))
    torch.save([1, 2], other)
    with pytest.raises(CheckpointError, match="holds no weights of one model"):
        fitdiag.average([one, other])


def test_the_command_averages(tmp_path: Path, command: Callable[..., Any]) -> None:
    """``fitdiag average`` writes a file, speaks of batch norm, and overwrites nothing unasked."""
    torch.manual_seed(0)
    models = [nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)) for _ in range(2)]
    for k, model in enumerate(models):
        torch.save(model.state_dict(), tmp_path / f"{k}.pt")
    done = command("average", "0.pt", "1.pt", "-o", "out/avg.pt")
    assert done.code == 0
    assert "2 checkpoints averaged" in done.err
    assert "update_bn" in done.err
    mean = torch.load(tmp_path / "out" / "avg.pt", weights_only=True)
    weights = [model.state_dict()["0.weight"] for model in models]
    assert torch.allclose(mean["0.weight"], (weights[0] + weights[1]) / 2)
    again = command("average", "0.pt", "1.pt", "-o", "out/avg.pt")
    assert (again.code, "--force" in again.err) == (2, True)
    assert command("average", "0.pt", "1.pt", "-o", "out/avg.pt", "--force").code == 0
    assert command("average", "0.pt", "1.pt", "-o", "out").code == 2
    assert command("average", "0.pt", "none.pt", "-o", "x.pt").code == 3


def test_an_average_that_is_no_number_is_refused(tmp_path: Path) -> None:
    """A file with NaN in its weights is not averaged into the others."""
    for name, value in (("a", 1.0), ("b", float("nan"))):
        torch.save({"weight": torch.tensor([value])}, tmp_path / f"{name}.pt")
    with pytest.raises(CheckpointError, match=r"weight of the average of .*b\.pt would be NaN"):
        fitdiag.average([tmp_path / "a.pt", tmp_path / "b.pt"])
