"""Histories in pickles are read, and nothing that a pickle says is ever done."""

from __future__ import annotations

import collections
import os
import pickle
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fitdiag
from fitdiag.errors import ReadError
from fitdiag.readers.inert import Inert, PickleError, load

LOSSES = [3 / (at + 1) for at in range(12)]
HISTORY = {
    "loss": LOSSES,
    "val_loss": [1.1 * loss for loss in LOSSES],
    "accuracy": [at / 12 for at in range(12)],
    "val_accuracy": [at / 13 for at in range(12)],
}


class History:
    """Stands for the object that Keras returns from ``fit``."""

    def __init__(self) -> None:
        self.params = {"epochs": 12, "verbose": 1}
        self.epoch = list(range(12))
        self.history = HISTORY
        self.model = Path("model")  # anything that is no literal


class Rows(list[Any]):
    """A list of a class of its own."""


def shapes() -> dict[str, object]:
    arrays = {name: np.array(values) for name, values in HISTORY.items()}
    return {
        "lists": HISTORY,
        "tuples": {name: tuple(values) for name, values in HISTORY.items()},
        "arrays": arrays,
        "big-endian": {name: values.astype(">f8") for name, values in arrays.items()},
        "scalars": {name: list(values) for name, values in arrays.items()},
        "boxed": {name: [np.array(each) for each in values] for name, values in HISTORY.items()},
        "ordered": collections.OrderedDict(HISTORY),
        "default": collections.defaultdict(list, HISTORY),
        "rows of its own": {name: Rows(values) for name, values in HISTORY.items()},
        "history": {"history": HISTORY, "notes": "words", "model": os.getcwd},
        "object": History(),
        "array of one": np.array(HISTORY, dtype=object),
        "row of dictionaries": [
            {name: values[at] for name, values in HISTORY.items()} for at in range(12)
        ],
        "by split": {
            "train": {"loss": LOSSES, "accuracy": HISTORY["accuracy"]},
            "val": {"loss": HISTORY["val_loss"], "accuracy": HISTORY["val_accuracy"]},
        },
    }


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", sorted(shapes()))
def test_shapes(tmp_path: Path, name: str, protocol: int) -> None:
    """Every shape that people pickle gives the same curves, in every protocol."""
    path = tmp_path / "history"
    path.write_bytes(pickle.dumps(shapes()[name], protocol))
    run = fitdiag.read(path)
    assert (run.source.format, str(run.unit)) == ("pickle", "epoch")
    assert run.curves["train_loss"].values == pytest.approx(LOSSES)
    assert run.curves["val_loss"].values == pytest.approx(HISTORY["val_loss"])
    assert run.curves["val_accuracy"].values == pytest.approx(HISTORY["val_accuracy"])
    assert run.curves["train_loss"].steps[0] == (0 if name == "object" else 1)


@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "u1", "f2"])
def test_number_types(tmp_path: Path, kind: str) -> None:
    """Arrays of all number types come back as numpy has them."""
    values = np.arange(9, 0, -1).astype(kind)
    path = tmp_path / "history.pkl"
    path.write_bytes(pickle.dumps({"loss": values}, 2))
    assert np.array_equal(fitdiag.read(path).curves["train_loss"].values, values.astype(float))


def test_numpy_files(tmp_path: Path) -> None:
    """A dictionary that numpy saved is read, an array of numbers is refused."""
    np.save(tmp_path / "a.npy", HISTORY)  # type: ignore[arg-type]  # what people do
    assert len(fitdiag.read(tmp_path / "a.npy").curves["val_loss"]) == 12
    np.save(tmp_path / "b.npy", np.arange(9.0))
    with pytest.raises(ReadError, match="NumPy"):
        fitdiag.read(tmp_path / "b.npy")


def test_several_histories(tmp_path: Path) -> None:
    """A list of histories, such as those of folds, is as many runs."""
    path = tmp_path / "folds.pkl"
    path.write_bytes(pickle.dumps([HISTORY, {"loss": [5.0, 4.0], "val_loss": [5.5, 4.5]}]))
    assert fitdiag.read(path).curves["train_loss"].values[0] == 5
    assert fitdiag.read(path, run=1).curves["train_loss"].values[0] == 3


class Trap:
    """Would do something when it is unpickled."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, exec, os.mkdir, Path.touch])
def test_nothing_is_called(tmp_path: Path, function: Any, protocol: int) -> None:
    """A trap beside a history, inside it or in place of it is not sprung."""
    target = tmp_path / "sprung"
    source = {
        os.system: f"touch {target}",
        os.mkdir: str(target),
        Path.touch: target,
    }.get(function, f"__import__('os').mkdir({str(target)!r})")
    trap = Trap(function, source)
    path = tmp_path / "history.pkl"
    content: object
    for content in ({**HISTORY, "x": trap}, {"x": [trap, trap], **HISTORY}):
        path.write_bytes(pickle.dumps(content, protocol))
        assert len(fitdiag.read(path).curves["train_loss"]) == 12
    for content in (trap, Trap(getattr, trap, "x"), Trap(map, os.system, [source])):
        path.write_bytes(pickle.dumps(content, protocol))
        with pytest.raises(ReadError, match="never unpickles"):
            fitdiag.read(path)
    assert not target.exists()


def nested(depth: int) -> bytes:
    return b"\x80\x04" + b"]" * depth + b"a" * (depth - 1) + b"."


BOMBS = {
    "deep lists": nested(400_000),
    "deep tuples as a key": b"\x80\x04})" + b"\x85" * 400_000 + b"K\x01s.",
    "doubled tuples as a key": b"\x80\x04})" + b"2\x86" * 200 + b"K\x01s.",
    "itself": b"\x80\x04}q\x00X\x04\x00\x00\x00losss.",
    "a list in itself": b"\x80\x04]q\x00h\x00a.",
    "a dictionary in itself": b"\x80\x04}q\x00X\x07\x00\x00\x00historyh\x00s.",
    "memo far away": b"\x80\x04]r\xff\xff\xff\xff.",
    "huge text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"x.",
    "huge bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"x.",
    "huge frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N.",
    "negative text": b"\x80\x02T\xff\xff\xff\xffx.",
    "many digits": b"\x80\x02L" + b"9" * 3_000_000 + b"L\n.",
    "endless": b"\x80\x04" + b"N0" * 3_000_000,
    "no stack": b"\x80\x04.",
    "only a mark": b"\x80\x04(.",
    "torch": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
    "huge array": pickle.dumps(np.zeros(3), 2).replace(b"K\x03\x85", b"J\xff\xff\xff\x7f\x85"),
    "array of fields": b"\x80\x02cnumpy\ndtype\nX\x04\x00\x00\x00i4,O\x85R.",
    "zipped by joblib": b"x\x9c" + bytes(50),
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_bombs(tmp_path: Path, name: str) -> None:
    """What would exhaust time or memory is refused, quickly and in words."""
    path = tmp_path / "history.pkl"
    path.write_bytes(BOMBS[name])
    began = time.perf_counter()
    with pytest.raises(ReadError, match=r"history\.pkl"):
        fitdiag.read(path)
    assert time.perf_counter() - began < 10


def test_shared_lists_are_opened_once_each(tmp_path: Path) -> None:
    """Dictionaries that hold each other many times over are opened to a limit."""
    level: dict[str, object] = {"loss": [1.0, 2.0]}
    for _ in range(30):
        level = dict.fromkeys("abcdefgh", level)
    path = tmp_path / "history.pkl"
    path.write_bytes(pickle.dumps(level))
    with pytest.raises(ReadError, match="history"):
        fitdiag.read(path)


def test_large_files_are_not_opened(tmp_path: Path) -> None:
    """Above 50 MiB it is no history."""
    path = tmp_path / "weights.pkl"
    with path.open("wb") as file:
        file.write(b"\x80\x04")
        file.truncate(60 << 20)
    with pytest.raises(ReadError, match="60 MiB"):
        fitdiag.read(path)


def test_objects_stay_inert() -> None:
    """What a pickle names is remembered, not imported."""
    found = load(pickle.dumps(Trap(os.system, "true"), 2))
    assert isinstance(found, Inert)
    assert found.name.endswith("system")
    assert found.args == ("true",)
    with pytest.raises(PickleError, match="damaged"):
        load(b"\x80\x04h\x05.")


SEEDS = [pickle.dumps(shape, protocol) for shape in shapes().values() for protocol in (0, 2, 5)]


@given(
    seed=st.sampled_from(SEEDS),
    flips=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 3000),
    tail=st.binary(max_size=40),
)
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_hostile_pickles(
    tmp_path: Path, seed: bytes, flips: list[tuple[int, int]], cut: int, tail: bytes
) -> None:
    """A damaged pickle gives a run or a worded refusal."""
    data = bytearray(seed)
    for at, byte in flips:
        data[at % len(data)] = byte
    path = tmp_path / "history.pkl"
    path.write_bytes(bytes(data[: len(data) - cut % len(data)]) + tail)
    try:
        found = fitdiag.read(path, format="pickle")
    except ReadError as error:
        assert str(path) in str(error)  # noqa: PT017  # either of the two may come
    else:
        assert found.train_loss is not None


def test_one_list_many_times(tmp_path: Path) -> None:
    """A list that stands under thousands of names costs no more memory than the limit."""
    shared = [float(at) for at in range(100_000)]
    path = tmp_path / "history.pkl"
    path.write_bytes(pickle.dumps({f"x{at} loss": shared for at in range(4000)}))
    with pytest.raises(ReadError):
        fitdiag.read(path)
    path.write_bytes(pickle.dumps([dict.fromkeys(map(str, range(3000)), 1.0)] * 3000))
    with pytest.raises(ReadError):
        fitdiag.read(path)


def test_one_text_many_times(tmp_path: Path) -> None:
    """A text that is encoded again and again is refused."""
    text = b"X" + struct.pack("<I", 1 << 20) + b"x" * (1 << 20) + b"q\x00"
    call = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R"
    path = tmp_path / "history.pkl"
    path.write_bytes(b"\x80\x02" + text + call * 500 + b".")
    with pytest.raises(ReadError, match="again and again"):
        fitdiag.read(path)
