"""What a training loop printed: any text of key and value pairs, one or a few lines an epoch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fitdiag.readers import files
from fitdiag.readers.reader import Reader
from fitdiag.readers.stdout.assembly import NAME, build_runs
from fitdiag.readers.stdout.grids import find_grid, has_prefix
from fitdiag.readers.stdout.lines import clean_text
from fitdiag.readers.stdout.numerals import NUMBER
from fitdiag.readers.stdout.scan import scan
from fitdiag.readers.stdout.template import understand
from fitdiag.readers.text import guess_encoding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["STDOUT"]

#: words that a line with a loss holds, in lower case
NEEDLES = ("loss", "损失", "trl:", " mse", "損失", "verlust", "perte", "perda", " val ", " train ")

#: lines that are looked at, at most
LOOKS = 40

#: so much of a line is looked at, before and after such a word
LONGEST = 1000

#: how many characters are searched for them
SEARCHED = 1 << 19

_ASSIGNMENT = re.compile(r"\s*[A-Za-z_]\w*\s*=\s*[-\d.e]+\s*")
_JSON = re.compile(rb"\s*(?:\{\s*[\"}]|\[\s*(?:[\[{\"\]]|-?\d[\d.eE+-]*\s*[,\]]\s*-?[\d\[]))")


def _matches(_path: Path, head: bytes) -> bool:
    if _JSON.match(head[:200]):
        return False
    sample = head[:4096]
    marked = sample.startswith((b"\xff\xfe", b"\xfe\xff"))
    if b"\0" in sample and not marked and 4 * sample.count(0) < len(sample):
        return False
    encoding = guess_encoding(head[: 1 << 16])
    text = head[:SEARCHED].decode(encoding, "replace")
    first = text[:LONGEST].lstrip("\ufeff\r\n \t").partition("\n")[0].rstrip("\r")
    return any(_tells(line, first) for line in _find_lines(text))


def _find_lines(text: str) -> Iterator[str]:
    """Yield the lines that may hold a loss, each kind of them once."""
    lowered = text.lower()
    seen: set[str] = set()
    for needle in NEEDLES:
        at = lowered.find(needle)
        while at >= 0 and len(seen) < LOOKS:
            low, high = max(0, at - LONGEST), at + LONGEST
            start = max(text.rfind(mark, low, at) for mark in "\n\r\b")
            ends = [end for end in (text.find(mark, at, high) for mark in "\n\r") if end >= 0]
            end = min(ends, default=min(high, len(text)))
            line = text[max(start + 1, low) : end]
            if line[:24] not in seen:
                seen.add(line[:24])
                yield clean_text(line)
            at = lowered.find(needle, end + 1)


def _tells(line: str, first: str) -> bool:
    if find_grid(line) is not None:
        return line.strip() != first.strip() or has_prefix(line)  # else the file is a table
    if _ASSIGNMENT.fullmatch(line):
        return False
    template = understand(tuple(NUMBER.split(line)[::2]))
    clocked = template.epoch >= 0 or template.step >= 0
    return any(
        item.key.kind in {"loss", "batch_loss"}
        or (item.key.kind == "metric" and item.key.split)
        or (item.key.kind == "part" and clocked)
        for item in template.items
    )


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    head = files.read_head(path)
    files.check_text(path, head)
    scanner = scan(path, guess_encoding(head))
    return build_runs(scanner, str(path), columns)


STDOUT = Reader(
    name=NAME,
    description="what a training loop printed: Epoch 3, loss: 0.12, val loss: 0.23, and the like",
    example="train.log",
    matches=_matches,
    read=_read,
)
