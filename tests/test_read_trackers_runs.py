"""W&B and SwanLab run files, written here byte by byte as the libraries write them."""

from __future__ import annotations

import io
import json
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fitdiag
from fitdiag.errors import FormatError, ReadError
from fitdiag.readers import protobuf
from fitdiag.readers.leveldb_log import BLOCK, Damage, iterate_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

WANDB = b":W&B\xe1\xbe\x00"
SWAN_JSON = b":SWL\xd6\xe1\x01"
SWAN_WIRE = b":SWL\xd6\xe1\x02"
EXIT = b"\x92\x01\x00"


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def part(number: int, value: bytes | str | float) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def pack(header: bytes, records: Iterable[bytes]) -> bytes:
    found = bytearray(header)
    for whole in records:
        record, begun = whole, False
        while True:
            room = BLOCK - len(found) % BLOCK
            if room < 7:
                found += bytes(room)
                continue
            piece, record = record[: room - 7], record[room - 7 :]
            kind = (3 if begun else 2) if record else (4 if begun else 1)
            crc = zlib.crc32(piece, zlib.crc32(bytes([kind])))
            found += struct.pack("<IHB", crc, len(piece), kind) + piece
            begun = True
            if not record:
                break
    return bytes(found)


def history(row: Mapping[str, object], step: int) -> bytes:
    items = b"".join(
        part(1, part(1, name) + part(16, json.dumps(value))) for name, value in row.items()
    )
    return part(2, items + part(2, part(1, step)))


def wandb_run(path: Path, rows: Sequence[Mapping[str, object]], *more: bytes) -> Path:
    records = [part(17, part(1, "abc") + part(8, "my run") + part(13, "secret-host"))]
    records += [part(26, part(4, "/home/secret/train.py") + part(13, "secret@mail.org")), *more]
    records += [history(row, at) for at, row in enumerate(rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pack(WANDB, [*records, EXIT]))
    return path


def by_epoch(count: int = 12) -> list[dict[str, object]]:
    return [
        {"epoch": at, "train_loss": 2 / (at + 1), "val_loss": 2.2 / (at + 1), "best_val_loss": 0.1}
        for at in range(count)
    ]


def values(run: fitdiag.Run, name: str) -> list[float]:
    return [float(value) for value in run.curves[name].values]


def steps(run: fitdiag.Run, name: str) -> list[float]:
    return [float(value) for value in run.curves[name].steps]


def test_wandb_by_epoch(tmp_path: Path) -> None:
    """Rows that each name their epoch are a run by epoch, and what was best is no curve."""
    run = fitdiag.read(wandb_run(tmp_path / "run-abc.wandb", by_epoch()))
    assert (run.source.format, str(run.unit)) == ("wandb", "epoch")
    assert set(run.curves) == {"train_loss", "val_loss"}
    assert values(run, "val_loss") == [2.2 / (at + 1) for at in range(12)]


def test_wandb_says_nothing_private(tmp_path: Path) -> None:
    """Host, user, e-mail and program stand in the file and nowhere in the run."""
    run = fitdiag.read(wandb_run(tmp_path / "run-abc.wandb", by_epoch()))
    assert "secret" not in repr(run.source)
    assert 'W&B run "my run".' in run.source.notes


def declared(name: str, step: str) -> bytes:
    return part(12, part(1, name) + part(4, step))


@pytest.mark.parametrize(
    ("more", "axis"),
    [
        ((), "train/global_step"),
        ((declared("train/loss", "my_count"),), "my_count"),
        ((part(12, part(2, "train/*") + part(4, "my_count")),), "my_count"),
        ((part(12, part(1, "my_count")), part(12, part(1, "train/loss") + part(5, 1))), "my_count"),
    ],
)
def test_wandb_axis(tmp_path: Path, more: tuple[bytes, ...], axis: str) -> None:
    """The declared step counts, then a global step; rows without it take the last one."""
    rows: list[dict[str, object]] = []
    for at in range(1, 41):
        rows.append({"train/loss": 1 / at, "my_count": 3 * at, "train/global_step": 10 * at})
        if at % 10 == 0:
            rows.append({"eval/loss": 2 / at})
    run = fitdiag.read(wandb_run(tmp_path / "run-a.wandb", rows, *more))
    scale = 3 if axis == "my_count" else 10
    assert steps(run, "train_loss") == [scale * at for at in range(1, 41)]
    assert steps(run, "val_loss") == [scale * at for at in (10, 20, 30, 40)]
    assert f'"{axis}" was read as the step.' in run.source.notes


def test_wandb_own_step(tmp_path: Path) -> None:
    """Without any count the tracker's own step is the axis, and that is said."""
    rows = [{"loss": 1 / (at + 1), "epoch": at / 10} for at in range(20)]
    run = fitdiag.read(wandb_run(tmp_path / "run-a.wandb", rows))
    assert steps(run, "train_loss") == list(range(20))
    assert any("W&B's own" in note for note in run.source.notes)
    assert run.epochs is not None
    assert run.epoch_at(10) == pytest.approx(1.0)


@pytest.mark.parametrize("typed", [False, True])
def test_wandb_values(tmp_path: Path, typed: bool) -> None:
    """Typed values, JSON, nested names, NaN and infinity are read; pictures and texts are not."""

    def item(names: Sequence[str], value: float) -> bytes:
        key = part(1, names[0]) if len(names) == 1 else b"".join(part(2, name) for name in names)
        return part(1, key + (part(6, value) if typed else part(16, json.dumps(value))))

    losses = [1.0, 0.5, math.nan, math.inf]
    records = [
        part(
            2,
            item(["train", "loss"], loss)
            + part(1, part(1, "val_loss") + (part(5, 6) if typed else part(16, "3")))
            + part(1, part(1, "picture") + part(16, '{"_type": "image", "loss": 1}'))
            + part(1, part(1, "text") + part(7, "words"))
            + part(2, part(1, at)),
        )
        for at, loss in enumerate(losses)
    ]
    path = tmp_path / "run-a.wandb"
    path.write_bytes(pack(WANDB, records))
    run = fitdiag.read(path)
    assert run.curves["train_loss"].label == "train.loss"
    assert np.array_equal(run.curves["train_loss"].values, losses, equal_nan=True)
    assert values(run, "val_loss") == [3.0] * 4
    assert any("no exit record" in note for note in run.source.notes)


def test_wandb_summary_is_no_curve(tmp_path: Path) -> None:
    """The mean that a trainer logs once at the end does not take the place of the curve."""
    rows: list[dict[str, object]] = [{"train_loss": 0.7}]
    rows += [{"train/loss": 1 / at, "train/global_step": at} for at in range(1, 20)]
    run = fitdiag.read(wandb_run(tmp_path / "run-a.wandb", rows))
    assert run.curves["train_loss"].label == "train/loss"
    assert len(run.curves["train_loss"]) == 19


def test_wandb_resumed_inside(tmp_path: Path) -> None:
    """A training that went back to a checkpoint keeps what it logged last."""
    went = [*range(10, 110, 10), *range(55, 155, 10)]
    rows = [{"train/loss": at + 0.5, "train/global_step": step} for at, step in enumerate(went)]
    run = fitdiag.read(wandb_run(tmp_path / "run-a.wandb", rows))
    assert steps(run, "train_loss") == [10, 20, 30, 40, 50, *range(55, 155, 10)]
    assert any("resumed" in note for note in run.source.notes)


def test_wandb_restarted_inside(tmp_path: Path) -> None:
    """A training that began again under one name is two runs, of which the last is taken."""
    rows = [{"loss": 1.0 + at, "global_step": step} for at, step in enumerate([*range(9)] * 2)]
    path = wandb_run(tmp_path / "run-a.wandb", rows)
    assert values(fitdiag.read(path), "train_loss") == [1.0 + at for at in range(9, 18)]
    assert values(fitdiag.read(path, run=1), "train_loss") == [1.0 + at for at in range(9)]


def test_wandb_folders(tmp_path: Path) -> None:
    """A folder with several runs holds each once, in order; one resumed in a second is joined."""
    wandb = tmp_path / "wandb"
    first = wandb / "run-20250101_000000-a"
    wandb_run(first / "run-a.wandb", by_epoch())
    wandb_run(wandb / "offline-run-20250103_000000-b" / "run-b.wandb", by_epoch(5))
    more = [{"epoch": at, "train_loss": 9.0, "val_loss": 9.0} for at in range(10, 15)]
    wandb_run(wandb / "run-20250102_000000-a" / "run-a.wandb", more)
    (wandb / "latest-run").symlink_to(first)
    for folder in (tmp_path, wandb):
        assert len(fitdiag.read(folder).curves["val_loss"]) == 5
        joined = fitdiag.read(folder, run=1)
        assert steps(joined, "train_loss") == list(range(15))
        assert values(joined, "train_loss")[9:] == [0.2, *[9.0] * 5]
    assert len(fitdiag.read(wandb / "latest-run").curves["val_loss"]) == 12
    assert len(list(fitdiag.runs(tmp_path))) == 2


@pytest.mark.parametrize(
    ("rows", "words"), [([], "without a history row"), ([{"a": "b"}], "single logged number")]
)
def test_wandb_without_rows(tmp_path: Path, rows: list[Any], words: str) -> None:
    """A run that logged nothing is refused with these words."""
    with pytest.raises(ReadError, match=words):
        fitdiag.read(wandb_run(tmp_path / "run-a.wandb", rows))


def test_wandb_killed(tmp_path: Path) -> None:
    """Of a file cut anywhere, all rows before the cut are read."""
    path = wandb_run(tmp_path / "run-a.wandb", by_epoch(2000))
    whole = path.read_bytes()
    for size in (3 * BLOCK, 3 * BLOCK + 3, 3 * BLOCK + 9, len(whole) - 5):
        path.write_bytes(whole[:size])
        run = fitdiag.read(path)
        count = len(run.curves["train_loss"])
        assert 2000 * size // len(whole) - 20 <= count <= 2000
        assert values(run, "train_loss") == [2 / (at + 1) for at in range(count)]
        assert any("no exit record" in note for note in run.source.notes)


def test_wandb_damaged_block(tmp_path: Path) -> None:
    """Behind a damaged record reading goes on at the next block, and it is said."""
    path = wandb_run(tmp_path / "run-a.wandb", by_epoch(2000))
    data = bytearray(path.read_bytes())
    data[BLOCK + 5000] ^= 0xFF
    path.write_bytes(data)
    run = fitdiag.read(path)
    found = steps(run, "train_loss")
    assert found[-1] == 1999
    assert 1000 < len(found) < 2000
    assert any("damaged" in note for note in run.source.notes)


def test_records_over_blocks() -> None:
    """Records of all lengths come back as they went in, whatever blocks they straddle."""
    records = [bytes([at % 251]) * (at * 977 % 90_000) for at in range(40)]
    damage = Damage()
    assert list(iterate_records(io.BytesIO(pack(WANDB, records)), 7, damage)) == records
    assert damage == Damage()


@pytest.mark.parametrize("number", [0, 1, -1, 127, 128, 2**31, 2**63 - 1, -(2**63)])
def test_numbers_of_the_wire(number: int) -> None:
    """Whole numbers come back from both ways of writing them."""
    ((_, _, plain),) = protobuf.walk(part(1, number))
    assert protobuf.as_signed(plain) == number
    assert protobuf.as_zigzag(((number << 1) ^ (number >> 63)) & ((1 << 64) - 1)) == number


def swan_scalar(name: str, step: int, value: float) -> bytes:
    wrapped = part(1, value) if value else b""
    return part(13, part(1, name) + (part(2, step) if step else b"") + part(5, wrapped))


def swan_json(name: str, step: int, value: object) -> bytes:
    data = {"key": name, "step": step, "epoch": step, "metric": {"index": step, "data": value}}
    return json.dumps({"model_type": "Scalar", "data": data}).encode()


def swan_records(version: int) -> list[bytes]:
    scalar = swan_scalar if version == 2 else swan_json
    found = [part(10, part(1, "p") + part(4, "e")) if version == 2 else b'{"model_type": "Header"}']
    for at in range(20):
        found.append(scalar("train/loss", 10 * at, 1 / (at + 1)))
        found.append(scalar("lr", 10 * at, 0.0 if at == 3 else 0.1))
        found.append(scalar("__swanlab__.cpu", at, 3.0))
        if at % 4 == 0:
            found.append(scalar("val/loss", 10 * at, math.nan if at > 12 else 1.2 / (at + 1)))
    return found


@pytest.mark.parametrize(("header", "name"), [(SWAN_JSON, "backup"), (SWAN_WIRE, "run-x")])
def test_swanlab_files(tmp_path: Path, header: bytes, name: str) -> None:
    """Both kinds of run file give the same curves, zeros and NaN included."""
    path = tmp_path / "run-1-x" / f"{name}.swanlab"
    path.parent.mkdir()
    path.write_bytes(pack(header, swan_records(header[-1])))
    for place in (path, path.parent, tmp_path):
        run = fitdiag.read(place)
        assert run.source.format == "swanlab"
        assert steps(run, "train_loss") == [10.0 * at for at in range(20)]
        assert values(run, "lr")[3] == 0
        assert np.array_equal(
            run.curves["val_loss"].values, [1.2, 0.24, 1.2 / 9, 1.2 / 13, math.nan], equal_nan=True
        )


def test_swanlab_of_the_future(tmp_path: Path) -> None:
    """A version that is not known is refused by its number."""
    path = tmp_path / "run-x.swanlab"
    path.write_bytes(pack(SWAN_WIRE[:-1] + b"\x07", swan_records(2)))
    with pytest.raises(FormatError, match="version 7"):
        fitdiag.read(path)


def test_swanlab_empty(tmp_path: Path) -> None:
    """A run without a number is refused with these words."""
    path = tmp_path / "run-x.swanlab"
    path.write_bytes(pack(SWAN_WIRE, swan_records(2)[:1]))
    with pytest.raises(ReadError, match="without a single logged number"):
        fitdiag.read(path)


SEEDS = {
    "run-a.wandb": pack(WANDB, [*(history(row, at) for at, row in enumerate(by_epoch(40))), EXIT]),
    "backup.swanlab": pack(SWAN_JSON, swan_records(1)),
    "run-x.swanlab": pack(SWAN_WIRE, swan_records(2)),
}


@given(
    name=st.sampled_from(sorted(SEEDS)),
    cut=st.integers(0, 4000),
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8),
    tail=st.binary(max_size=60),
    mend=st.booleans(),
)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_hostile_run_files(  # noqa: PLR0917  # hypothesis fills them
    tmp_path: Path, name: str, cut: int, flips: list[tuple[int, int]], tail: bytes, mend: bool
) -> None:
    """Whatever happened to a file, it gives a run or a worded refusal."""
    data = bytearray(SEEDS[name])
    for at, byte in flips:
        data[7 + at % (len(data) - 7)] = byte
    if mend:  # records that are whole, with the damage inside of them
        records = [bytes(data[at : at + 40]) for at in range(7, len(data), 40)]
        data = bytearray(pack(bytes(data[:7]), records))
    path = tmp_path / name
    path.write_bytes(bytes(data[: len(data) - cut % len(data)]) + tail)
    try:
        found = fitdiag.read(path)
    except ReadError as error:
        assert str(path) in str(error)  # noqa: PT017  # either of the two may come
    else:
        assert found.train_loss is not None
