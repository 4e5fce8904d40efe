"""The settings of a run: recorded or found beside its log, in every usual shape, and harmless."""

from __future__ import annotations

import contextlib
import json
import math
import pickle
import sqlite3
import struct
import time
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import fitdiag
from fitdiag.readers.scalars import MOST, flatten
from fitdiag.readers.settings import find_settings
from fitdiag.readers.yaml_text import YamlError, parse_yaml
from fitdiag.run import Source

#: what Lightning saves of a namespace with paths, tuples and devices in it
LIGHTNING = """\
# lightning.pytorch
args: !!python/object:argparse.Namespace
  lr: 1e-3
  betas: !!python/tuple
  - 0.9
  - 0.999
  device: !!python/object/apply:torch.device
  - cpu
  root: !!python/object/apply:pathlib.PosixPath
  - /
  - data
optimizer: &first {name: adamw, weight_decay: 0.05}
second: *first
activation: !!python/name:torch.nn.functional.relu ''
resume: null
note: "a: b # not a comment"   # a comment
text: |
  several
  lines: here
long: this goes on
  in the next line
"""


def write(path: Path, content: str | dict[str, Any]) -> Path:
    """Write a text, or JSON, and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def part(number: int, data: bytes | str) -> bytes:
    """Return a length-delimited field of a message."""
    data = data.encode() if isinstance(data, str) else data
    size = bytes([len(data)]) if len(data) < 128 else bytes([len(data) & 127 | 128, len(data) >> 7])
    return (
        bytes([number << 3 & 127 | 2 | (128 if number > 15 else 0)])
        + (bytes([number >> 4]) if number > 15 else b"")
        + size
        + data
    )


def wandb_file(path: Path) -> Path:
    """Write a W&B run: two settings at the start, one changed later, and twelve rows."""

    def item(name: str, value: object) -> bytes:
        return part(1, name) + part(16, json.dumps(value))

    first = part(1, item("lr", 0.1)) + part(1, item("net", {"width": 64}))
    records = [part(17, part(4, first) + part(8, "my run"))]
    records.append(part(5, part(1, item("lr", 0.01)) + part(1, item("_wandb", {"x": 1}))))
    for at in range(12):
        row = {"train_loss": 2.0 / (at + 1), "val_loss": 2.2 / (at + 1), "epoch": at}
        items = b"".join(part(1, item(name, value)) for name, value in row.items())
        records.append(part(2, items + part(2, bytes([8, at]))))
    data = b":W&B\xe1\xbe\x00"
    for record in records:
        checked = struct.pack("<I", zlib.crc32(b"\x01" + record))
        data += checked + struct.pack("<HB", len(record), 1) + record
    path.write_bytes(data)
    return path


def test_lightnings_file_is_read_without_making_objects(tmp_path: Path) -> None:
    """Namespaces, tuples, devices, names, anchors and long texts are plain data."""
    write(tmp_path / "version_0" / "hparams.yaml", LIGHTNING)
    found = find_settings(tmp_path / "version_0" / "metrics.csv")
    assert found == {
        "args.lr": 0.001,
        "args.betas": "[0.9, 0.999]",
        "args.device": "[cpu]",
        "args.root": "[/, data]",
        "optimizer.name": "adamw",
        "optimizer.weight_decay": 0.05,
        "second.name": "adamw",
        "second.weight_decay": 0.05,
        "activation": "torch.nn.functional.relu",
        "resume": None,
        "note": "a: b # not a comment",
        "text": "several lines: here",
        "long": "this goes on in the next line",
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("args.json", {"lr": 0.1, "net": {"width": 64}}),
        ("config.yaml", "lr: 0.1\nnet:\n  width: 64\n"),
        ("args.yaml", "lr: 0.1\nnet: {width: 64}\n"),
        (
            "config.yaml",
            "_wandb: {value: {v: 1}}\nlr: {desc: null, value: 0.1}\n"
            "net:\n  desc: null\n  value:\n    width: 64\n",
        ),
        (".hydra/config.yaml", "lr: 0.1\nnet: {width: 64}\n"),
        ("files/config.yaml", "lr: {desc: '', sort: 0, value: 0.1}\nnet: {value: {width: 64}}\n"),
        ("logs.yaml", "lr: 0.1\nnet.width: 64\n"),
        ("logs.config.json", {"lr": 0.1, "net": {"width": 64}}),
        ("../config.json", {"lr": 0.1, "net": {"width": 64}}),
    ],
)
def test_files_beside_the_log(tmp_path: Path, name: str, content: str | dict[str, Any]) -> None:
    """Each usual file beside, below or above the log is found, and flattened with dots."""
    log = write(tmp_path / "run" / "csv_logs" / "logs.csv", "step,epoch,train_loss\n")
    write(log.parent / name, content)
    assert find_settings(log) == {"lr": 0.1, "net.width": 64}


def test_order_of_what_is_found(tmp_path: Path) -> None:
    """What was recorded comes before a file, the log's own file first, the folder's name last."""
    folder = tmp_path / "lr=0.4,depth=3"
    log = write(folder / "logs.csv", "")
    write(folder / "logs.yaml", "lr: 0.2\nwidth: 2\n")
    write(folder / "hparams.yaml", "lr: 0.3\nwidth: 3\nheads: 3\n")
    write(folder / "config.json", {"other": 1})
    source = Source(path=str(log), config={"lr": 0.1})
    run = fitdiag.Run.from_arrays(train_loss=[1.0, 0.5], source=source)
    assert find_settings(run) == {"lr": 0.1, "width": 2, "heads": 3, "depth": 3}


def test_a_folder_above_is_looked_into_only_from_a_folder_of_logs(tmp_path: Path) -> None:
    """A configuration above a run's own folder belongs to something else."""
    write(tmp_path / "config.yaml", "lr: 0.1\n")
    assert find_settings(tmp_path / "mine" / "logs.csv") == {}
    log = write(tmp_path / "lightning_logs" / "version_3" / "metrics.csv", "")
    assert find_settings(log) == {"lr": 0.1}


def test_native_log(tmp_path: Path) -> None:
    """What ``record(config=...)`` wrote beside the log is found through the run."""
    rows = "".join(f"{at},{at},{1 / at}\n" for at in range(1, 9))
    log = write(tmp_path / "logs.csv", "step,epoch,train_loss\n" + rows)
    write(tmp_path / "logs.meta.json", {"format": 1, "config": {"lr": 0.1, "opt": "sgd"}})
    assert find_settings(fitdiag.read(log)) == find_settings(log) == {"lr": 0.1, "opt": "sgd"}


def test_wandb_run(tmp_path: Path) -> None:
    """The settings of a W&B run file are those of its start with later changes."""
    run = fitdiag.read(wandb_file(tmp_path / "run-abc.wandb"))
    assert find_settings(run) == {"lr": 0.01, "net.width": 64}


def test_mlflow_folder(tmp_path: Path) -> None:
    """Parameters of MLflow's folders are numbers and words again, also with slashes in names."""
    run = tmp_path / "mlruns" / "0" / ("a" * 32)
    write(run / "meta.yaml", "run_uuid: aaa\nrun_name: one\nstatus: 3\n")
    for name in ("train_loss", "val_loss"):
        write(run / "metrics" / name, "".join(f"{at} {1 / (at + 1)} {at}\n" for at in range(9)))
    for name, value in {"lr": "1e-4", "opt/name": "adam", "nesterov": "True", "x": "None"}.items():
        write(run / "params" / name, value)
    found = find_settings(fitdiag.read(tmp_path / "mlruns"))
    assert found == {"lr": 1e-4, "opt/name": "adam", "nesterov": True, "x": None}


def test_mlflow_database(tmp_path: Path) -> None:
    """Each of several runs in a database has its own parameters."""
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as store:
        store.executescript(
            "CREATE TABLE alembic_version (v TEXT);"
            "CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, lifecycle_stage TEXT,"
            " start_time INTEGER);"
            "CREATE TABLE metrics (run_uuid TEXT, key TEXT, value REAL, timestamp INTEGER,"
            " step INTEGER, is_nan INTEGER);"
            "CREATE TABLE params (run_uuid TEXT, key TEXT, value TEXT);"
        )
        for at, run in enumerate("ab"):
            store.execute("INSERT INTO runs VALUES (?, ?, 'FINISHED', 'active', ?)", (run, run, at))
            store.execute("INSERT INTO params VALUES (?, 'lr', ?)", (run, f"0.{at + 1}"))
            store.execute("INSERT INTO params VALUES (?, 'api_key', 'hidden')", (run,))
            store.executemany(
                "INSERT INTO metrics VALUES (?, 'train_loss', ?, ?, ?, 0)",
                [(run, 1 / (step + 1), step, step) for step in range(9)],
            )
        store.commit()
    runs = fitdiag.runs(tmp_path / "mlflow.db")
    assert [find_settings(run) for _, run in runs] == [{"lr": 0.1}, {"lr": 0.2}]


def test_trackio_project(tmp_path: Path) -> None:
    """The settings of each run of a trackio project are those that were given for it."""
    with closing(sqlite3.connect(tmp_path / "project.db")) as store:
        store.executescript(
            "CREATE TABLE configs (id INTEGER PRIMARY KEY, run_name TEXT, config TEXT);"
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp TEXT, run_name TEXT,"
            " step INTEGER, metrics TEXT);"
        )
        for at, run in enumerate("ab"):
            config = json.dumps({"lr": at + 1.0, "_Username": "someone"})
            store.execute("INSERT INTO configs VALUES (NULL, ?, ?)", (run, config))
            for step in range(9):
                cells = (run, step, json.dumps({"train_loss": 1 / (step + 1)}))
                store.execute("INSERT INTO metrics VALUES (NULL, 't', ?, ?, ?)", cells)
        store.commit()
    runs = fitdiag.runs(tmp_path / "project.db")
    assert [find_settings(run) for _, run in runs] == [{"lr": 1.0}, {"lr": 2.0}]


def test_secrets_and_internals_are_left_out() -> None:
    """Passwords, tokens and keys are no settings; counts of tokens are."""
    secret = {"password": 1, "HF_TOKEN": 1, "wandb.api_key": 1, "client_secret": 1, "apikey": 1}
    kept = {"max_tokens": 1, "tokenizer": "bpe", "key_dim": 2, "token_dropout": 0.1}
    assert flatten({**secret, **kept, "_target_": "x"}) == kept


def test_values_are_bounded_and_plain() -> None:
    """Long texts are cut, long lists and huge numbers left out, and only so many are kept."""
    wide = {f"s{at}": at for at in range(5000)}
    assert len(flatten(wide)) == MOST
    found = flatten({"a": "x" * 5000, "b": list(range(100)), "c": 10**400, "d": math.nan, "e": [1]})
    assert {key: str(value) for key, value in found.items()} == {
        "a": "x" * 200,
        "d": "nan",
        "e": "[1]",
    }
    deep: dict[str, Any] = {"lr": 1}
    for _ in range(5000):
        deep = {"in": deep}
    assert flatten(deep) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"{" * 100_000,
        b"[" * 100_000,
        b"- " * 50_000 + b"x",
        b"a: [" + b"[" * 5000,
        b"a: '" + b"x\n" * 5000,
        b"a: &a [*a]\n",
        b"".join(b"a%d: &a%d [*a%d, *a%d, *a%d]\n" % (n + 1, n + 1, n, n, n) for n in range(60)),
        b"!!python/object/apply:os.system ['touch pwned']\n",
        b"x: !!python/object/new:os.system\n  args: [touch pwned]\n",
        b"? [complex]\n: key\n",
        b"\xff\xfe\x00\x00" * 50,
        b"a: " + b"9" * 100_000,
        b"a" * 900_000 + b": 1",
        b"x: 1\n  y: 2\n z: 3\n",
        pickle.dumps({"lr": 0.1}),
        b"".join(b" " * n + b"k:\n" for n in range(900)),
    ],
    ids=range(18),
)
@pytest.mark.parametrize("name", ["config.yaml", "config.json"])
def test_hostile_files_are_no_settings(tmp_path: Path, content: bytes, name: str) -> None:
    """Bombs, objects, endless nesting and garbage give few settings, at once, and run nothing."""
    (tmp_path / name).write_bytes(content)
    started = time.perf_counter()
    found = find_settings(tmp_path / "logs.csv")
    assert time.perf_counter() - started < 2.0
    assert len(found) <= MOST
    assert all(len(str(value)) <= 200 for value in found.values())
    assert not (tmp_path / "pwned").exists()
    assert not Path("pwned").exists()


def test_what_cannot_be_opened_is_no_setting(tmp_path: Path) -> None:
    """Folders, links that lead nowhere, huge files and impossible paths are passed over."""
    (tmp_path / "config.yaml").mkdir()
    (tmp_path / "hparams.yaml").symlink_to(tmp_path / "nowhere.yaml")
    (tmp_path / "args.yaml").write_text("a: 1\n" + "#" * (1 << 21))
    assert find_settings(tmp_path / "logs.csv") == {}
    assert find_settings("no\0path") == find_settings("s3://bucket/logs.csv") == {}
    assert find_settings("") == find_settings(fitdiag.Run.from_arrays(train_loss=[1.0])) == {}


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    """What is kept of a folder and a file holds only as long as they are the same."""
    log = write(tmp_path / "logs.csv", "")
    assert find_settings(log) == {}
    write(tmp_path / "args.json", {"lr": 0.1})
    assert find_settings(log) == {"lr": 0.1}
    write(tmp_path / "args.json", {"lr": 0.25})
    assert find_settings(log) == {"lr": 0.25}


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False),
    st.text("abc:#-?!&*|>%@`'\"{}[], \\é", max_size=40),
    st.sampled_from(["x: y", "- 1", "null", "0x1f", "1_000", "yes", "word " * 30]),
)
KEYS = st.text("abcdef_.", min_size=1, max_size=6).filter(lambda key: not key.startswith("."))


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        KEYS,
        st.recursive(
            SCALARS,
            lambda inner: st.one_of(
                st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)
            ),
            max_leaves=8,
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([None, True, False]),
)
def test_yaml_is_read_as_by_a_library(data: dict[str, Any], flow: bool | None) -> None:
    """What PyYAML writes in any style is read as PyYAML reads it, but for the spaces in texts."""

    def squeeze(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: squeeze(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [squeeze(inner) for inner in value]
        return " ".join(value.split()) if isinstance(value, str) else value

    text = yaml.safe_dump(data, default_flow_style=flow)
    assert squeeze(parse_yaml(text)) == squeeze(yaml.safe_load(text))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text("ab:-[]{}'\"#&*!|>?, \n\t\\1.~", max_size=120))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the YAML reader fail otherwise than by its own error."""
    with contextlib.suppress(YamlError):
        parse_yaml(text)
