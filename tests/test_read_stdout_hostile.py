"""Printed output that is torn, spoiled or long: a Run or a worded refusal, and nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fitdiag.errors import ReadError
from fitdiag.readers.selection import select_run
from fitdiag.readers.stdout import STDOUT
from fitdiag.readers.stdout.lines import LINE_LIMIT, read_lines
from fitdiag.readers.stdout.template import understand

LOGS = [
    "Epoch [{e}/9], Loss: {v}, Val Loss: 0.23\n",
    "Epoch {e}/9\n\r1/3 [=>..] - loss: 3\b\b\r3/3 [====] - 3s - loss: {v} - val_loss: 1e-3\n",
    "{{'loss': {v}, 'grad_norm': nan, 'learning_rate': 2e-05, 'epoch': {e}.44}}\n",
    "s:{e} tel:{v}\ns:{e} trl:{v} lr:0.1 norm:1.2\n",
    "Train Epoch: {e} [64/600 (1%)]\tLoss: {v}\nTest set: Average loss: 1, Accuracy: 5/10 (50%)\n",
    "Epoch: [{e}][5/100]\tLoss 7.0 ({v})\nTest: [ 0/10]\tLoss 6.0 ({v})\n",
    "x\n[2020/01/22 12:41:11] - Epoch \t LR \t Train Loss \t Test Loss\n"
    "[2020/01/22 12:41:11] - {e} \t 0.1 \t {v} \t 2\n",
    " iteration  {e}/ 100 | lm loss: {v} | grad norm: 9.8 |\n",
    "Validation:\n loss: {v}\nstep {e} loss {v}\n轮次: {e} 训练损失\uff1a{v}\n",
]

TOKENS = st.sampled_from(
    [
        *"0123456789.,:=|/[]()%-+\r\n\b\t ",
        "loss",
        "epoch",
        "val ",
        "train ",
        "step",
        "nan",
        "inf",
        "Fold",
    ]
)


def check(data: bytes) -> None:
    """Read some bytes; anything but runs or a ReadError that names the file fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.log"
        path.write_bytes(data or b"\n")
        STDOUT.matches(path, path.read_bytes()[: 1 << 20])
        try:
            found = STDOUT.read(path, {})
            run = select_run(list(found), None, path)  # type: ignore[arg-type]
            assert all(np.isfinite(curve.steps).all() for curve in run.curves.values())
        except ReadError as error:
            if "x.log" not in str(error):
                raise


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(LOGS), min_size=1, max_size=3),
    st.lists(st.sampled_from(["0.5", "nan", "inf", "1e308", "-3", "1,5", "0,25"]), min_size=1),
    st.integers(0, 2000),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
    st.binary(max_size=40),
)
def test_spoiled_logs(
    patterns: list[str], values: list[str], end: int, flips: list[tuple[int, int]], tail: bytes
) -> None:
    """Truncated, bit-flipped and concatenated logs, and random bytes behind a valid head."""
    text = "".join(
        pattern.format(e=at + 1, v=value) for pattern in patterns for at, value in enumerate(values)
    )
    data = bytearray(text.encode()[: end or None])
    for at, value in flips:
        if at < len(data):
            data[at] = value
    check(bytes(data) + tail)


@settings(max_examples=150, deadline=None)
@given(st.lists(TOKENS, max_size=80))
def test_random_words(tokens: list[str]) -> None:
    """Any sequence of a log's usual words and marks."""
    check("".join(tokens).encode())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=8))
def test_any_line_is_understood(texts: list[str]) -> None:
    """No line makes the tokenizer fail, and its values are numbers of the line."""
    template = understand(tuple(texts))
    for item in template.items:
        assert 0 <= item.at < len(texts) - 1


def test_long_lines_are_cut(tmp_path: Path) -> None:
    """A file that is one endless line is read in bounded memory."""
    path = tmp_path / "x.log"
    path.write_bytes(b"loss: 0.5 " * 700_000)
    kept = [line for block in read_lines(path, "utf-8") for line in block]
    assert sum(map(len, kept)) < (1 << 20) + 2 * LINE_LIMIT
