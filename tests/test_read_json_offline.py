"""What ClearML, Comet, Neptune and Sacred leave offline, written as they write it."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

import fitdiag
from fitdiag.errors import ReadError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEPS = [10.0, 20.0, 30.0]
LOSS = [3.0, 2.0, 1.5]
VAL = [3.1, 2.2, 1.9]


def clearml() -> dict[str, str]:
    """Write a ClearML session: arrays of events, one array a flush."""
    event = {"type": "training_stats_scalar", "task": "offline-1", "timestamp": 1}
    flushes = [
        [
            {**event, "metric": "loss", "variant": "train", "iter": step, "value": loss},
            {**event, "metric": "loss", "variant": "validation", "iter": step, "value": val},
            {**event, "metric": "lr", "variant": "lr", "iter": step, "value": 0.1},
            {**event, "metric": ":monitor:gpu", "variant": "loss", "iter": step, "value": 5},
            {"type": "plot", "metric": "confusion", "variant": "train", "iter": 1},
        ]
        for step, loss, val in zip(STEPS, LOSS, VAL, strict=True)
    ]
    lines = "".join(json.dumps(flush) + "\n" for flush in flushes)
    return {"task.json": "{}", "metrics.jsonl": lines, "log.jsonl": ""}


def comet() -> dict[str, str]:
    """Write a Comet session: one message a line, the split in its context."""
    messages: list[object] = [{"type": "parameter_msg", "payload": {"param": {"name": "lr"}}}]
    for at, (step, loss, val) in enumerate(zip(STEPS, LOSS, VAL, strict=True)):
        for context, name, value in (
            ("train", "loss", loss),
            ("validate", "loss", val),
            (None, "lr", 0.1),
            (None, "sys.gpu.0.loss", 1),
        ):
            metric = {"metricName": name, "metricValue": value, "step": step, "epoch": at + 1}
            payload = {"context": context, "local_timestamp": 1, "metric": metric}
            messages.append({"type": "metric_msg", "payload": payload})
    lines = "".join(json.dumps(message) + "\n" for message in messages)
    return {"experiment.json": "{}", "messages.json": lines}


def neptune() -> dict[str, str]:
    """Write a Neptune session: one operation a line."""
    operations: list[object] = [
        {"obj": {"type": "AssignString", "path": ["name"], "value": "x"}, "version": 1}
    ]
    for step, loss, val in zip(STEPS, LOSS, VAL, strict=True):
        for path, value in ((["train", "loss"], loss), (["val", "loss"], val), (["lr"], 0.1)):
            point = {"value": value, "step": str(step), "ts": 1.7e9}
            obj = {"type": "LogFloats", "path": path, "values": [point]}
            operations.append({"obj": obj, "version": len(operations) + 1})
    return {"data-1.log": "".join(json.dumps(operation) + "\n" for operation in operations)}


def sacred() -> dict[str, str]:
    """Write a Sacred run: an object of steps, values and timestamps for each metric."""
    series = {
        "training.loss": {"steps": STEPS, "timestamps": ["t"] * 3, "values": LOSS},
        "validation.loss": {
            "steps": STEPS,
            "timestamps": ["t"] * 3,
            "values": [{"dtype": "float64", "value": value} for value in VAL],
        },
        "lr": {"steps": STEPS, "timestamps": ["t"] * 3, "values": [0.1] * 3},
    }
    text = json.dumps(series, indent=2)
    return {"metrics.json": text, "run.json": "{}", "config.json": "{}", "cout.txt": "loss: 9\n"}


SESSIONS: dict[str, Callable[[], dict[str, str]]] = {
    "clearml": clearml,
    "comet": comet,
    "neptune": neptune,
    "sacred": sacred,
}

#: the file that may also be given alone
MAIN = {
    "clearml": "metrics.jsonl",
    "comet": "messages.json",
    "neptune": "data-1.log",
    "sacred": "metrics.json",
}


def write_folder(folder: Path, files: dict[str, str]) -> Path:
    """Write a session as a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def write_zip(path: Path, files: dict[str, str], inside: str = "") -> Path:
    """Write a session as an archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(inside + name, text)
    return path


def check(run: fitdiag.Run, name: str) -> None:
    """Check the curves that all sessions hold."""
    assert run.source.format == name
    assert run.curves["train_loss"].steps.tolist() == STEPS
    assert run.curves["train_loss"].values.tolist() == LOSS
    assert run.curves["val_loss"].values.tolist() == VAL
    assert run.curves["lr"].values.tolist() == [0.1] * 3
    assert str(run.unit) == "step"


@pytest.mark.parametrize("name", SESSIONS)
def test_an_offline_session_is_read_from_its_folder(tmp_path: Path, name: str) -> None:
    """Its curves are those that were logged; system load and plots are none."""
    place = ".neptune/offline/run__1" if name == "neptune" else "session"
    folder = write_folder(tmp_path / place, SESSIONS[name]())
    check(fitdiag.read(folder), name)
    check(fitdiag.read(folder / MAIN[name]), name)


@pytest.mark.parametrize("name", ["clearml", "comet"])
@pytest.mark.parametrize("inside", ["", "offline-1/"])
def test_an_offline_session_is_read_from_its_archive(
    tmp_path: Path, name: str, inside: str
) -> None:
    """The archive is not unpacked to the disk."""
    path = write_zip(tmp_path / "session.zip", SESSIONS[name](), inside)
    check(fitdiag.read(path), name)
    assert [each.name for each in tmp_path.iterdir()] == ["session.zip"]


def test_an_epoch_beside_each_scalar_is_kept(tmp_path: Path) -> None:
    """Comet writes both; without steps the epochs are the axis."""
    files = comet()
    run = fitdiag.read(write_folder(tmp_path / "both", files))
    assert run.epoch_at(20) == 2
    lines = [json.loads(line) for line in files["messages.json"].splitlines()]
    for line in lines[1:]:
        line["payload"]["metric"]["step"] = None
    files["messages.json"] = "".join(json.dumps(line) + "\n" for line in lines)
    run = fitdiag.read(write_folder(tmp_path / "epochs", files))
    assert str(run.unit) == "epoch"
    assert run.curves["val_loss"].steps.tolist() == [1, 2, 3]


def test_neptune_runs_in_one_folder_are_several_runs(tmp_path: Path) -> None:
    """Operations of one run may lie in several files; they are read in their order."""
    text = neptune()["data-1.log"]
    rows = text.splitlines(keepends=True)
    for run in ("run__1", "run__2"):
        folder = tmp_path / ".neptune" / "offline" / run
        files = {"data-1.log": "".join(rows[:5]), "data-6.log": "".join(rows[5:])}
        write_folder(folder, files)
    check(fitdiag.read(tmp_path / ".neptune"), "neptune")
    check(fitdiag.read(tmp_path, run=2), "neptune")


def test_what_was_printed_is_read_where_sacred_logged_nothing(tmp_path: Path) -> None:
    """An empty metrics.json sends the reader to cout.txt beside it."""
    files = {**sacred(), "metrics.json": "{}", "cout.txt": "epoch,loss\n1,3\n2,2\n"}
    folder = write_folder(tmp_path / "1", files)
    assert fitdiag.read(folder).curves["train_loss"].values.tolist() == [3, 2]
    assert fitdiag.read(folder / "metrics.json").curves["train_loss"].values.tolist() == [3, 2]
    (folder / "cout.txt").write_text("", encoding="utf-8")
    with pytest.raises(ReadError, match="logged no metric with Sacred"):
        fitdiag.read(folder)


REFUSALS: dict[str, tuple[dict[str, str], str]] = {
    "clearml": ({"task.json": "{}", "metrics.jsonl": "[]\n"}, "holds no logged scalar"),
    "comet": ({"experiment.json": "{}", "messages.json": "null\n"}, "holds no logged scalar"),
    "neptune": ({"data-1.log": '{"obj": {"path": 3}}\n'}, "holds no logged scalar"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_session_without_scalars_is_refused(tmp_path: Path, name: str) -> None:
    """The sentence says what was in it instead."""
    files, sentence = REFUSALS[name]
    place = tmp_path / (".neptune" if name == "neptune" else "session")
    with pytest.raises(ReadError, match=sentence):
        fitdiag.read(write_folder(place, files))


@pytest.mark.parametrize("at", [3, 40, 200, -30, -5])
def test_a_damaged_archive_is_refused(tmp_path: Path, at: int) -> None:
    """No byte of it leads to anything but a run or a sentence."""
    path = write_zip(tmp_path / "session.zip", clearml())
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(bytes(data))
    try:
        check(fitdiag.read(path), "clearml")
    except ReadError as error:
        assert str(path) in str(error)  # noqa: PT017  # either outcome is right


def test_an_archive_that_unpacks_to_far_too_much_is_refused(tmp_path: Path) -> None:
    """Eighty megabytes of spaces pack to eighty kilobytes."""
    files = {**clearml(), "metrics.jsonl": " " * (80 << 20)}
    path = write_zip(tmp_path / "bomb.zip", files)
    with pytest.raises(ReadError, match="unpacks to 80 MiB"):
        fitdiag.read(path)
