"""fitdiag's own log: one wide CSV whose columns are named as the curves are."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from fitdiag.errors import FormatError, ReadError
from fitdiag.readers import files
from fitdiag.readers.dialect import Dialect
from fitdiag.readers.layers import attach_layers
from fitdiag.readers.reader import Reader
from fitdiag.readers.roles import Pick, Plan, find_column
from fitdiag.readers.sample import Sample
from fitdiag.readers.sidecar import attach_sidecar
from fitdiag.readers.table import read_columns
from fitdiag.readers.text import decode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["NATIVE", "read_native"]

_NAME = re.compile(r"[A-Za-z][\w./-]*")

#: the column that says in words what the gradient norms are, from its row on
KIND = "grad_norm_kind"
_KINDS = re.compile(rb",((?:pre-clip|as-stepped|post-clip|unknown)(?: [a-z]{1,12}){0,2})")
#: letters of which each first word has one, and no number, not even nan or inf
_LETTERS = (b"p", b"k")
#: bytes that are searched at a time
BLOCK = 1 << 20

#: a native log has one of these
LOSSES = frozenset({"train_loss", "batch_loss", "val_loss"})


def read_kinds(path: Path) -> dict[str, str]:
    """Return what a log says of its gradient norm, all its words with commas between them."""
    words: dict[str, None] = {}
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            block += file.readline(BLOCK)
            # the pattern stops at each comma, these searches at nothing that a number has
            for kind in _KINDS.findall(block) if any(one in block for one in _LETTERS) else ():
                words.update(dict.fromkeys(kind.decode().split()))
    return {"grad_norm": ", ".join(words)} if words else {}


def _find_header(head: bytes) -> list[str]:
    line = head[: 1 << 16].split(b"\n", 1)[0]
    return decode(line.rstrip(b"\r"), "utf-8").split(",")


def _matches(_path: Path, head: bytes) -> bool:
    header = _find_header(head)
    return (
        header[:2] == ["step", "epoch"]
        and bool(LOSSES & set(header))
        and all(map(_NAME.fullmatch, header))
        and len(set(header)) == len(header)
        and "loss" not in header
    )


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    return read_native(path, columns, files.read_head(path))


def read_native(path: Path, columns: Mapping[str, str], head: bytes) -> list[Run]:
    """Read all runs of a log that fitdiag wrote and whose first bytes are known."""
    files.check_text(path, head)
    header = _find_header(head)
    if header[:2] != ["step", "epoch"]:
        raise FormatError(
            f"{path} is no log written by fitdiag: its first line must start with step,epoch and "
            f"is {','.join(header)[:60]!r}; leave the format out to have it recognised."
        )
    if not head.partition(b"\n")[2].strip():
        raise ReadError(f"{path} has a header but no rows yet.")
    dialect = Dialect(delimiter=",", header=tuple(header), named=True, skip=1, quoted=False)
    sample = Sample(
        path=str(path), header=dialect.header, named=True, cells=(), numeric=(True,) * len(header)
    )
    mapped = {name: find_column(sample, column) for name, column in columns.items()}
    curves = {name: Pick(index=at) for at, name in enumerate(header) if at > 1 and name != KIND}
    curves.update({name: Pick(index=at) for name, at in mapped.items() if name not in header[:2]})
    plan = Plan(curves=curves, step=mapped.get("step", 0), epoch=mapped.get("epoch", 1))
    runs = read_columns(
        path, dialect, "utf-8", plan, name=NATIVE.name, native=True, data=files.keep_whole(head)
    )
    if KIND in header:
        provenance = read_kinds(path)
        runs = [replace(run, source=replace(run.source, provenance=provenance)) for run in runs]
    runs[-1:] = [attach_layers(run, path) for run in runs[-1:]]
    return [attach_sidecar(run, path) for run in runs]


NATIVE = Reader(
    name="native",
    description="the log that fitdiag.record writes: step,epoch,train_loss,val_loss,grad_norm,lr,…",
    example="logs.csv",
    matches=_matches,
    read=_read,
)
