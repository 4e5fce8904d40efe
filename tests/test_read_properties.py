"""What holds for every table and every file, tried on many made at random."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fitdiag
from fitdiag.readers.cells import parse_cells
from fitdiag.readers.names import classify, normalise

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1")
NAMES = (("train_loss", "val_loss"), ("loss", "val_loss"), ("Train Loss", "Valid Loss"))

numbers = st.floats(allow_nan=False, allow_infinity=True, width=64)
cells = st.one_of(st.none(), numbers)


class Style(NamedTuple):
    """How a table is written."""

    delimiter: str
    decimal: str
    encoding: str
    ends: str
    missing: str
    names: tuple[str, str]


styles = st.builds(
    Style,
    delimiter=st.sampled_from([";", "\t", "|", ","]),
    decimal=st.sampled_from([".", ","]),
    encoding=st.sampled_from(ENCODINGS),
    ends=st.sampled_from(["\n", "\r\n", "\r\r\n"]),
    missing=st.sampled_from(["", "NA", "None", "null", "N/A"]),
    names=st.sampled_from(NAMES),
)


def write_number(value: float | None, style: Style) -> str:
    """Write a cell in a style, quoted where the decimal sign is the delimiter."""
    if value is None:
        return style.missing
    text = repr(value)
    if style.decimal == ",":
        text = text.replace(".", ",")
        return f'"{text}"' if style.delimiter == "," else text
    return text


def write_table(style: Style, rows: list[tuple[float | None, float | None]]) -> bytes:
    """Write epoch, train and validation loss as bytes."""
    lines = [style.delimiter.join(["epoch", *style.names])]
    lines += [
        style.delimiter.join([str(epoch), write_number(train, style), write_number(val, style)])
        for epoch, (train, val) in enumerate(rows)
    ]
    return "".join(line + style.ends for line in lines).encode(style.encoding)


def read_bytes(data: bytes) -> fitdiag.Run:
    """Read bytes as a log."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.csv"
        path.write_bytes(data)
        return fitdiag.read(path)


@settings(max_examples=150, deadline=None)
@given(style=styles, rows=st.lists(st.tuples(numbers, cells), min_size=1, max_size=12))
def test_what_is_written_is_read(
    style: Style, rows: list[tuple[float | None, float | None]]
) -> None:
    """A table is read back equal, however it was written."""
    run = read_bytes(write_table(style, rows))
    for at, name in enumerate(("train_loss", "val_loss")):
        expected = {epoch: row[at] for epoch, row in enumerate(rows) if row[at] is not None}
        curve = run.curves.get(name)
        found = {} if curve is None else dict(zip(curve.steps, curve.values, strict=True))
        assert found == expected, run.source.notes


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400))
@example(data=b"epoch,loss\n1,\x00\n")
@example(data=b'"\n1')
@example(data=b"\xff\xfe")
@example(data=b"\xff\xfe\x00")
@example(data=b"loss\n\xef\xbb\xbf1\n")
def test_random_bytes_give_a_run_or_a_read_error(data: bytes) -> None:
    """No file can raise anything but a read error."""
    try:
        run = read_bytes(data)
    except fitdiag.ReadError:
        return
    assert run.curves


texts = st.text(alphabet="0123456789.,;-+eE%\"'#|\t \nlossvaltrinpchNAif()[]\r", max_size=300)


@settings(max_examples=300, deadline=None)
@given(text=texts, header=st.sampled_from(["", "epoch,loss\n", "loss;val_loss\n", "step loss\n"]))
def test_random_tables_give_a_run_or_a_read_error(text: str, header: str) -> None:
    """No table, however odd, can raise anything but a read error."""
    try:
        run = read_bytes((header + text).encode())
    except fitdiag.ReadError:
        return
    assert all(len(curve) for curve in run.curves.values())


@given(value=st.floats(allow_nan=False))
def test_numbers_survive_being_written(value: float) -> None:
    """A cell that Python wrote is read as the same number."""
    found = parse_cells([repr(value), f" {value!r} "]).values
    assert found.tolist() == [value, value]


@given(value=st.floats(min_value=0, max_value=1e6))
def test_percent_is_a_hundredth(value: float) -> None:
    """A percent sign divides by a hundred."""
    assert math.isclose(parse_cells([f"{value:f}%"]).values[0], round(value, 6) / 100)


@given(name=st.text(max_size=300))
def test_any_name_is_classified(name: str) -> None:
    """Every string has a normal form in lower case, and a kind."""
    plain = normalise(name)
    assert plain == plain.lower()
    assert classify(name).kind


def test_missing_words_are_no_numbers() -> None:
    """Words for "not measured" are missing; nan and inf are values."""
    found = parse_cells(["", "NA", "n/a", "None", "null", "-", "nan", "inf", "-inf", "1.#QNAN"])
    assert found.missing.tolist() == [True] * 6 + [False] * 4
    np.testing.assert_array_equal(found.values[6:], [np.nan, np.inf, -np.inf, np.nan])
