"""TensorBoard event files are read as they were logged; the bytes are written here by hand.

The frames are length, masked CRC-32C, payload, masked CRC-32C. Comparing with files that the real
writers made belongs to the external tests: torch, tensorboardX, Lightning, Keras and transformers
each have their own layout, named in the cases below.
"""

from __future__ import annotations

import math
import struct
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fitdiag
from fitdiag.errors import ColumnError
from fitdiag.readers import READERS, sniff
from fitdiag.readers.tensorboard.checksum import checksum, checksum_rows
from fitdiag.readers.tensorboard.export import name_export
from fitdiag.run import StepUnit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

NAME = "events.out.tfevents.1700000000.host.1.0"
START = 1_700_000_000.0


def varint(number: int) -> bytes:
    """Encode a whole number; negative ones take ten bytes."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def message(number: int, body: bytes) -> bytes:
    """Encode a field that holds bytes."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def frame(payload: bytes) -> bytes:
    """Put lengths and checksums around a record."""

    def mask(data: bytes) -> bytes:
        found = checksum(data)
        rotated = (found >> 15 | found << 17) & 0xFFFFFFFF
        return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(payload))
    return length + mask(length) + payload + mask(payload)


def event(*, step: int = 0, wall: float = START, body: bytes = b"") -> bytes:
    """Encode one record."""
    number = b"\x10" + varint(step) if step else b""
    return frame(b"\x09" + struct.pack("<d", wall) + number + body)


def header(wall: float = START) -> bytes:
    """Encode the first record of a file."""
    return event(wall=wall, body=message(3, b"brain.Event:2"))


def simple(tag: str, value: float) -> bytes:
    """Encode a value as torch and tensorboardX do."""
    return message(5, message(1, message(1, tag.encode()) + b"\x15" + struct.pack("<f", value)))


def tensor(tag: str, code: int, content: bytes, plugin: str = "scalars") -> bytes:
    """Encode a value as TensorFlow does: a tensor with the data of a plug-in."""
    meta = message(9, message(1, message(1, plugin.encode())))
    body = b"\x08" + varint(code) + message(2, b"") + content
    return message(5, message(1, message(1, tag.encode()) + message(8, body) + meta))


def as_float(tag: str, value: float) -> bytes:
    """Encode a value as Keras does."""
    return tensor(tag, 1, message(4, struct.pack("<f", value)))


def log(
    tags: Mapping[str, Iterable[tuple[int, float]]],
    encode: Callable[[str, float], bytes] = simple,
    wall: float = START,
) -> bytes:
    """Encode a file: the tags' points, in turn, a second apart."""
    out = [header(wall)]
    rows = sorted(
        ((step, at, tag, value) for at, tag in enumerate(tags) for step, value in tags[tag]),
        key=lambda row: row[:2],
    )
    for at, (step, _, tag, value) in enumerate(rows):
        out.append(event(step=step, wall=wall + 1 + at, body=encode(tag, value)))
    return b"".join(out)


def fall(steps: Iterable[int], shift: float = 0.0) -> list[tuple[int, float]]:
    """Return points of a falling curve."""
    return [(step, shift + 1 / (step + 1)) for step in steps]


def write(path: Path, data: bytes) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def points(run: fitdiag.Run, name: str) -> list[tuple[float, float]]:
    """Return a curve as pairs."""
    curve = run.curves[name]
    return list(zip(curve.steps.tolist(), curve.values.tolist(), strict=True))


def both(steps: Iterable[int], shift: float = 0.0) -> dict[str, list[tuple[int, float]]]:
    """Return a training and a validation loss."""
    steps = list(steps)
    return {"train/loss": fall(steps, shift), "val/loss": fall(steps, shift + 1)}


def test_checksum_of_rows_is_that_of_each_row() -> None:
    """Rows of any length, short or of several blocks, have the checksum of their bytes."""
    assert checksum(b"123456789") == 0xE3069283
    rng = np.random.default_rng(0)
    for length, width in [(4, 4), (50, 50), (256, 256), (257, 512), (700, 1024), (4096, 4096)]:
        rows = np.zeros((3, width), dtype=np.uint8)
        rows[:, width - length :] = rng.integers(0, 256, (3, length))
        expected = [checksum(row[width - length :].tobytes()) for row in rows]
        assert checksum_rows(rows, np.full(3, length)).tolist() == expected, length


@pytest.mark.parametrize("encode", [simple, as_float])
def test_scalars_come_back_as_logged(tmp_path: Path, encode: Callable[[str, float], bytes]) -> None:
    """Every step and value of a file comes back, in both ways of writing a number."""
    tags = {
        "train/loss": fall(range(0, 3000, 2)),
        "val/loss": fall(range(0, 3000, 500)),
        "train/grad_norm": fall(range(0, 3000, 10)),
    }
    run = fitdiag.read(write(tmp_path / NAME, log(tags, encode)))
    for name, tag in {"train_loss": "train/loss", "val_loss": "val/loss"}.items():
        assert run.curves[name].label == tag
        np.testing.assert_allclose(points(run, name), tags[tag], rtol=1e-6)
    assert len(run.curves["grad_norm"]) == 300
    assert run.source.format == "tensorboard"


NUMBERS = {
    "float content": (1, message(4, struct.pack("<f", -1.5)), -1.5),
    "float packed": (1, message(5, struct.pack("<f", -1.5)), -1.5),
    "float unpacked": (1, b"\x2d" + struct.pack("<f", -1.5), -1.5),
    "double content": (2, message(4, struct.pack("<d", 0.1)), 0.1),
    "double packed": (2, message(6, struct.pack("<d", 0.1)), 0.1),
    "double unpacked": (2, b"\x31" + struct.pack("<d", 0.1), 0.1),
    "int packed": (3, message(7, varint(-7)), -7.0),
    "int unpacked": (3, b"\x38" + varint(-7), -7.0),
    "long content": (9, message(4, struct.pack("<q", -7)), -7.0),
    "long packed": (9, message(10, varint(300)), 300.0),
    "half content": (19, message(4, struct.pack("<e", 0.5)), 0.5),
    "half packed": (19, message(13, varint(0x3800)), 0.5),
    "half unpacked": (19, b"\x68" + varint(0x3800), 0.5),
    "bfloat16 content": (14, message(4, b"\xc0\x3f"), 1.5),
    "bfloat16 packed": (14, message(13, varint(0x3FC0)), 1.5),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_every_kind_of_tensor_is_read(tmp_path: Path, case: str) -> None:
    """Tensors of one number are read in every type, packed or not, one by one and all at once."""
    code, content, value = NUMBERS[case]
    body = tensor("train/loss", code, content)
    data = header() + b"".join(event(step=step, body=body) for step in range(5))
    run = fitdiag.read(write(tmp_path / NAME, data))
    assert points(run, "train_loss") == [(step, value) for step in range(5)]


def test_values_that_are_no_numbers_stay(tmp_path: Path) -> None:
    """NaN and infinity are read as they are, and a negative step too."""
    logged = [(-1, 2.0), (0, 1.0), (1, math.inf), (2, math.nan), (3, -math.inf)]
    run = fitdiag.read(write(tmp_path / NAME, log({"loss": logged})))
    np.testing.assert_array_equal(points(run, "train_loss"), logged)


def test_large_things_that_are_no_scalars_are_passed_over(tmp_path: Path) -> None:
    """Pictures, graphs, texts and histograms do not hinder, wherever they are in the file."""
    image = message(5, message(1, message(1, b"picture") + message(4, bytes(3_000_000))))
    text = tensor("note", 7, message(8, b"hello"), plugin="text")
    curve = tensor("roc", 1, message(4, bytes(80)), plugin="pr_curves")
    data = log({"train/loss": fall(range(50))})
    data += event(body=message(4, bytes(5000))) + event(step=3, body=image)
    data += event(step=4, body=text) + event(step=4, body=curve)
    data += event(step=50, body=simple("train/loss", 0.25))
    run = fitdiag.read(write(tmp_path / NAME, data))
    assert points(run, "train_loss")[-1] == (50, 0.25)
    assert list(run.curves) == ["train_loss"]
    assert not run.source.notes


def test_several_values_in_one_record(tmp_path: Path) -> None:
    """A record may hold several tags at one step, as older writers make it."""
    rows = [
        event(step=at, body=simple("train/loss", at / 2) + simple("val/loss", at / 4))
        for at in range(1, 9)
    ]
    run = fitdiag.read(write(tmp_path / NAME, header() + b"".join(rows)))
    assert points(run, "train_loss") == [(at, at / 2) for at in range(1, 9)]
    assert points(run, "val_loss") == [(at, at / 4) for at in range(1, 9)]


def test_many_tags_of_one_length(tmp_path: Path) -> None:
    """Records of one length but of many tags are each read under their own tag."""
    tags = {f"layer/{at:03}/w": [(1, float(at)), (2, float(at))] for at in range(400)}
    run = fitdiag.read(
        write(tmp_path / NAME, log({"train/loss": fall([1, 2]), **tags})),
        columns={"val_loss": "layer/377/w"},
    )
    assert points(run, "val_loss") == [(1, 377.0), (2, 377.0)]


LAYOUTS: dict[str, tuple[dict[str, bytes], str, str]] = {
    "two writers": (
        {"train/": log({"loss": fall(range(9))}), "val/": log({"loss": fall(range(9), 1)})},
        *("train/loss", "val/loss"),
    ),
    "Keras": (
        {
            "train/": log({"epoch_loss": fall(range(9)), "epoch_learning_rate": fall(range(9))}),
            "validation/": log(
                {"epoch_loss": fall(range(9), 1), "evaluation_loss_vs_iterations": fall([99, 199])}
            ),
        },
        *("train/epoch_loss", "validation/epoch_loss"),
    ),
    "torch add_scalars": (
        {
            "": log({"lr": fall(range(9))}),
            "Loss_all_train/": log({"Loss/all": fall(range(9))}),
            "Loss_all_valid/": log({"Loss/all": fall(range(9), 1)}),
        },
        *("Loss/all/train", "Loss/all/valid"),
    ),
    "tensorboardX add_scalars": (
        {
            "data/loss/train/": log({"data/loss": fall(range(9))}),
            "data/loss/val/": log({"data/loss": fall(range(9), 1)}),
        },
        *("data/loss/train", "data/loss/val"),
    ),
    "Hugging Face": (
        {
            "runs/a/": log(
                {"train/loss": fall(range(9)), "train/train_loss": [(9, 0.5)], "train/epoch": []}
            ),
            "runs/a/x.": log({"eval/loss": fall(range(9), 1)}, wall=START + 99),
            "runs/a/1700000001.5/": log({"hparam/loss": [(0, 1.0)]}),
        },
        *("train/loss", "eval/loss"),
    ),
    "Lightning": (
        {
            "lightning_logs/version_0/": log(
                {
                    "train_loss_step": fall(range(0, 90, 5)),
                    "hp_metric": [(0, -1.0)],
                    "train_loss_epoch": fall(range(9, 90, 10)),
                    "val_loss": fall(range(9, 90, 10), 1),
                }
            )
        },
        *("train_loss_epoch", "val_loss"),
    ),
    "Guild": ({".guild/runs/ab/.guild/": log(both(range(9)))}, "train/loss", "val/loss"),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_layouts_of_writers(tmp_path: Path, case: str) -> None:
    """Each writer's folders give one run, with the training and the validation loss of its own."""
    files, train, val = LAYOUTS[case]
    for at, (place, data) in enumerate(files.items()):
        write(tmp_path / f"{place}{NAME}{at}", data)
    run = fitdiag.read(tmp_path)
    assert run.curves["train_loss"].label.removesuffix(" + ") == train
    assert run.curves["val_loss"].label == val
    assert len(run.curves["train_loss"]) == len(run.curves["val_loss"]) == 9
    assert run.curves["val_loss"].values[0] > run.curves["train_loss"].values[0]
    assert not any("The log holds" in note for note in run.source.notes)


def test_epochs_of_keras(tmp_path: Path) -> None:
    """What Keras logs by epoch counts epochs; what it logs by batch is left out, and said."""
    files, _, _ = LAYOUTS["Keras"]
    for place, data in files.items():
        write(tmp_path / place / NAME, data)
    run = fitdiag.read(tmp_path)
    assert run.unit is StepUnit.EPOCH
    assert "lr" in run.curves
    assert any("evaluation_loss_vs_iterations" in note for note in run.source.notes)


def test_epoch_tag_maps_steps(tmp_path: Path) -> None:
    """A tag that tells the epoch becomes the run's map of steps to epochs."""
    tags = {
        "train/loss": fall(range(0, 100, 10)),
        "train/epoch": [(at, at / 50) for at in range(0, 100, 10)],
    }
    run = fitdiag.read(write(tmp_path / NAME, log(tags)))
    assert run.epoch_at(50) == pytest.approx(1.0)


def test_validation_by_epoch_is_placed_by_time(tmp_path: Path) -> None:
    """Validation that counts epochs beside training that counts steps is placed when it came."""
    data = [header()]
    for step in range(100):
        data.append(event(step=step, wall=START + step, body=simple("train/loss", 1.0 + step)))
        if step % 20 == 19:
            body = simple("val/loss", float(step))
            data.append(event(step=step // 20, wall=START + step + 0.5, body=body))
    run = fitdiag.read(write(tmp_path / NAME, b"".join(data)))
    assert points(run, "val_loss") == [(at, at) for at in (19, 39, 59, 79, 99)]
    assert run.epoch_at(99) == 4
    assert any("time of logging" in note for note in run.source.notes)


def test_steps_that_begin_again_in_each_epoch(tmp_path: Path) -> None:
    """A training loss logged by batch within the epoch is put in the order of logging."""
    data = [header()]
    for at in range(100):
        body = simple("train/loss", 1.0 + at)
        data.append(event(step=at % 20, wall=START + at, body=body))
        if at % 20 == 19:
            body = simple("val/loss", float(at))
            data.append(event(step=at // 20, wall=START + at + 0.5, body=body))
    run = fitdiag.read(write(tmp_path / NAME, b"".join(data)))
    assert points(run, "train_loss") == [(at, 1.0 + at) for at in range(100)]
    assert points(run, "val_loss") == [(at, at) for at in (19, 39, 59, 79, 99)]


def test_values_without_a_step_are_numbered(tmp_path: Path) -> None:
    """A loss that was logged without a step is numbered, and that is said."""
    tags = {"train/loss": [(0, 3.0), (0, 2.0), (0, 1.0)]}
    run = fitdiag.read(write(tmp_path / NAME, log(tags)))
    assert points(run, "train_loss") == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert any("without a step" in note for note in run.source.notes)


@pytest.mark.parametrize("is_told", [True, False])
def test_resumed_runs_are_joined(tmp_path: Path, is_told: bool) -> None:
    """A later file replaces what it logs again, whether or not it says from which step."""
    later = log(both(range(12, 15), 5), wall=START + 500)
    if is_told:
        start = event(step=12, wall=START + 500, body=message(7, b"\x08\x01"))
        later = header(START + 500) + start + later[len(header()) :]
    write(tmp_path / NAME, log(both(range(20))))
    write(tmp_path / NAME.replace("170", "171"), later)
    run = fitdiag.read(tmp_path)
    assert [step for step, _ in points(run, "train_loss")] == list(range(15))
    assert points(run, "train_loss")[-1][1] > 5
    assert any("resumed: 16 points" in note for note in run.source.notes)


def test_separate_runs_in_one_folder(tmp_path: Path) -> None:
    """Runs that each begin anew stay apart, and their splits are paired by when they began."""
    for at in range(3):
        wall = START + 1000 * at
        train = log({"loss": fall(range(9), at)}, wall=wall)
        write(tmp_path / "train" / f"{NAME}{at}", train)
        if at != 1:
            val = log({"loss": fall(range(9), 10 + at)}, wall=wall + 5)
            write(tmp_path / "validation" / f"{NAME}{at}", val)
    last = fitdiag.read(tmp_path)
    assert last.curves["train_loss"].values[0] == pytest.approx(3.0)
    assert last.curves["val_loss"].values[0] == pytest.approx(13.0)
    assert "The log holds 3 runs" in last.source.notes[0]
    middle = fitdiag.read(tmp_path, run=2)
    assert "val_loss" not in middle.curves
    assert fitdiag.read(tmp_path, run=1).curves["val_loss"].values[0] == pytest.approx(11.0)


def test_folds_in_one_file_are_cut(tmp_path: Path) -> None:
    """Where all steps of one writer begin anew together, each time is a run of its own."""
    later = (log(both(range(9), at), wall=START + 100 * at)[len(header()) :] for at in (1, 2))
    path = write(tmp_path / NAME, log(both(range(9))) + b"".join(later))
    assert fitdiag.read(path).curves["train_loss"].values[0] == pytest.approx(3.0)
    assert fitdiag.read(path, run=1).curves["val_loss"].values[0] == pytest.approx(2.0)


def test_runs_of_a_folder_come_in_order_of_time(tmp_path: Path) -> None:
    """Of several folders of runs the newest is read, the others can be chosen, and all are said."""
    for at in (1, 0, 2):
        data = log(both(range(9), at), wall=START + 1000 * at)
        write(tmp_path / f"version_{2 - at}" / NAME, data)
    run = fitdiag.read(tmp_path)
    assert run.curves["train_loss"].values[0] == pytest.approx(3.0)
    assert "Read from version_0." in run.source.notes
    assert fitdiag.read(tmp_path, run=1).curves["train_loss"].values[0] == pytest.approx(1.0)


def test_damage_is_passed_over_and_said(tmp_path: Path) -> None:
    """A flipped byte costs one point, a damaged length or a torn end the rest, and each is said."""
    data = log({"train/loss": fall(range(100))})
    size = len(data) - len(log({"train/loss": fall(range(99))}))
    flipped = bytearray(data)
    flipped[-10 * size + 25] ^= 0x40
    run = fitdiag.read(write(tmp_path / "a" / NAME, bytes(flipped)))
    assert len(run.curves["train_loss"]) == 99
    assert "1 record with a wrong checksum left out" in run.source.notes[0]
    broken = bytearray(data)
    broken[-10 * size] ^= 0x40
    run = fitdiag.read(write(tmp_path / "b" / NAME, bytes(broken)))
    assert len(run.curves["train_loss"]) == 90
    assert f"the {10 * size:,} bytes from there on were left out" in run.source.notes[0]
    run = fitdiag.read(write(tmp_path / "c" / NAME, data[:-7]))
    assert len(run.curves["train_loss"]) == 99
    assert f"{size - 7} bytes were left out" in run.source.notes[0]


HPARAMS = tensor("_hparams_/experiment", 0, b"", plugin="hparams")
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "pointer": (
        NAME,
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "git lfs pull",
    ),
    "header": (NAME, header(), "only its header"),
    "profile": (f"{NAME}.profile-empty", header(), "profiler"),
    "hparams": (NAME, header() + event(body=HPARAMS), "hyper-parameters but no scalars"),
    "graph": (NAME, header() + event(body=message(4, b"")), "a graph but no scalars"),
    "summary": (NAME, log({"train/train_loss": [(9, 0.5)]}), "final values only"),
    "unnamed": (NAME, log({"y=2x": fall(range(9))}), "y=2x.*--map"),
    "damaged": (NAME, header()[:-1] + b"\0", "damaged"),
    "text": (NAME, b"epoch,loss,val_loss\n", "."),
    "empty": (NAME, b"", "empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_files_without_curves_are_refused_by_name(tmp_path: Path, case: str) -> None:
    """A file without a curve is refused in one sentence that says what it is."""
    name, data, expected = REFUSED[case]
    path = write(tmp_path / name, data)
    for place in (path, tmp_path):
        with pytest.raises(fitdiag.ReadError, match=expected) as caught:
            fitdiag.read(place, format="tensorboard")
        assert NAME in str(caught.value) or str(tmp_path) in str(caught.value)


def test_folders_without_event_files(tmp_path: Path) -> None:
    """A folder without event files is not taken for one, and refused if it is said to be one."""
    assert not _tensorboard().matches(tmp_path, b"")
    with pytest.raises(fitdiag.ReadError, match="holds no TensorBoard event files"):
        fitdiag.read(tmp_path, format="tensorboard")


def test_what_could_not_be_read_is_said(tmp_path: Path) -> None:
    """Files of a folder that cannot be read are named beside the run that can."""
    write(tmp_path / NAME, log(both(range(9))))
    write(tmp_path / "b" / NAME, b"version https://git-lfs.github.com/spec/v1\n")
    assert any("git lfs pull" in note for note in fitdiag.read(tmp_path).source.notes)


def test_the_other_split_beside_is_named(tmp_path: Path) -> None:
    """A run read from the folder of one split names the folder of the other."""
    write(tmp_path / "train" / NAME, log({"loss": fall(range(9))}))
    write(tmp_path / "validation" / NAME, log({"loss": fall(range(9))}))
    run = fitdiag.read(tmp_path / "train" / NAME)
    assert run.curves["train_loss"].label == "train/loss"
    assert any("Beside this folder is validation" in note for note in run.source.notes)


def _tensorboard() -> Any:
    return next(reader for reader in READERS if reader.name == "tensorboard")


def test_recognised_by_content_in_no_time(tmp_path: Path) -> None:
    """A file is known by its first bytes whatever its name, and that takes under 2 ms."""
    data = log(both(range(100)))
    found = sniff(tmp_path / "x.bin", data)
    assert found is not None
    assert found.name == "tensorboard"
    assert not _tensorboard().matches(tmp_path / "data.tfrecord", frame(b"an example"))
    seconds = []
    for _ in range(20):
        begin = time.perf_counter()
        _tensorboard().matches(tmp_path / NAME, data)
        seconds.append(time.perf_counter() - begin)
    assert min(seconds) < 0.002


def test_downloads_from_the_page(tmp_path: Path) -> None:
    """A downloaded CSV is one tag, whose name is in the name of the file."""
    path = tmp_path / "run-train-tag-epoch_loss.csv"
    path.write_text("Wall time,Step,Value\n1.0,0,2.5\n2.0,1,nan\n3.0,2,0.5\n", encoding="utf-8")
    run = fitdiag.read(path)
    assert run.source.format == "tensorboard-csv"
    assert run.curves["train_loss"].label == "train/epoch_loss"
    np.testing.assert_array_equal(points(run, "train_loss"), [(0, 2.5), (1, math.nan), (2, 0.5)])
    val = path.rename(tmp_path / "run-validation-tag-epoch_loss (1).csv")
    assert name_export(val) == "validation/epoch_loss"
    with pytest.raises(ColumnError, match="--map"):
        fitdiag.read(val)


VALID = log({**both(range(0, 60, 2)), "epoch": [(0, 0.0), (50, 1.0)]}) + log(
    both(range(0, 60, 2)), as_float
)


def _mutate(data: bytes, flips: list[tuple[int, int]], cut: int) -> bytes:
    changed = bytearray(data)
    for at, bit in flips:
        changed[at % len(changed)] ^= 1 << bit
    return bytes(changed[: max(cut % (len(changed) + 1), 1)])


MUTATED = st.builds(
    _mutate,
    st.just(VALID),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 7)), max_size=6),
    st.integers(0, 1 << 16),
)
FRAMED = st.lists(st.binary(max_size=60) | st.binary(max_size=60).map(lambda b: message(5, b)))
HOSTILE = st.one_of(
    MUTATED,
    st.lists(MUTATED, min_size=2, max_size=3).map(b"".join),
    st.binary(max_size=400).map(lambda tail: VALID[:3000] + tail),
    FRAMED.map(lambda bodies: header() + b"".join(map(frame, bodies))),
    FRAMED.map(lambda bodies: header() + b"".join(event(step=1, body=body) for body in bodies)),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=HOSTILE)
def test_any_bytes_give_a_run_or_a_refusal(tmp_path: Path, data: bytes) -> None:
    """Damaged, joined and hostile files give a run or a worded refusal, and nothing else."""
    path = write(tmp_path / NAME, data)
    message_ = ""
    try:
        run = fitdiag.read(path, format="tensorboard")
    except fitdiag.ReadError as error:
        message_ = str(error)
    assert str(path) in message_ or run.train_loss is not None
