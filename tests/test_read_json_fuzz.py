"""Whatever happens to a JSON log, reading it ends in a run or in a sentence."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import fitdiag
from fitdiag.errors import ReadError


def load(name: str) -> Any:
    """Load a test module that stands beside this one, for the logs in it."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HEADS = [case.text.encode()[:4000] for case in load("test_read_json").CASES.values()]
TOKENS = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"'", b"NaN", b"null", b"-1", b"1e999", b"\n"]
TOKENS += [
    b"\0",
    b"\xff",
    b'"step"',
    b'"epoch"',
    b'"loss"',
    b'"value"',
    b"9" * 400,
    b"(",
    b"tensor(",
]

pieces = st.one_of(st.sampled_from(TOKENS), st.binary(max_size=6))
changes = st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 40), pieces), max_size=6)


def check(data: bytes) -> None:
    """Read bytes as a log; what comes out is a run that holds together, or a ReadError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.json"
        path.write_bytes(data)
        try:
            run = fitdiag.read(path)
        except ReadError as error:
            assert str(path) in str(error)  # noqa: PT017  # either outcome is right
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert run.train_loss is not None
            assert all(np.isfinite(curve.steps).all() for curve in run.curves.values())


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(HEADS), changes, st.integers(0, 4000))
def test_a_log_with_damage_is_read_or_refused(
    head: bytes, damage: list[tuple[int, int, bytes]], end: int
) -> None:
    """Bytes replaced, dropped and inserted, and the end cut off."""
    data = bytearray(head)
    for at, width, piece in damage:
        data[at : at + width] = piece
    check(bytes(data[: max(end, 1)]) if end < len(data) else bytes(data))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(HEADS), min_size=2, max_size=4), st.sampled_from(TOKENS))
def test_logs_behind_one_another_are_read_or_refused(heads: list[bytes], between: bytes) -> None:
    """Logs of different formats in one file, with anything between them."""
    check(between.join(heads))


names = st.sampled_from(["loss", "val_loss", "train", "val", "epoch", "step", "1", "2", "fold_1"])
numbers = st.one_of(st.none(), st.floats(), st.integers(), st.sampled_from(["nan", "", "x", True]))
values = st.recursive(
    st.one_of(numbers, st.lists(numbers, max_size=5)),
    lambda inner: st.one_of(
        st.dictionaries(names, inner, max_size=4), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(names, values, min_size=1, max_size=5), st.booleans())
def test_any_document_is_read_or_refused(document: dict[str, object], printed: bool) -> None:
    """JSON of any shape, and as Python prints it."""
    check((str(document) if printed else json.dumps(document)).encode())


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(names, values, max_size=5), min_size=2, max_size=8))
def test_any_lines_are_read_or_refused(rows: list[dict[str, object]]) -> None:
    """Rows of any shape, with steps that go anywhere."""
    check("".join(json.dumps(row) + "\n" for row in rows).encode())
