"""From bytes to lines of text: which encoding a log is in, and where its lines end."""

from __future__ import annotations

import codecs
import re

from fitdiag.readers.names import count_known

__all__ = ["decode", "guess_encoding", "split_lines"]

_ENDS = re.compile(r"\r\n|\r|\n")
_HIGH = re.compile(rb"[\x80-\xff]+")

#: byte-order marks, longer first
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

#: multi-byte encodings of East Asian systems, most common in training logs first
EAST_ASIAN = ("gb18030", "big5", "cp932", "cp949")


def guess_encoding(head: bytes) -> str:
    """Return the name of the encoding that a file's first bytes are in.

    A byte-order mark decides, then zero bytes (UTF-16), then whether it is valid UTF-8. The rest
    is an East Asian encoding if its column names make sense in one or its high bytes come in
    pairs, and Latin-1 otherwise.
    """
    for mark, name in MARKS:
        if head.startswith(mark):
            return name
    sample = head[: 1 << 16]
    if 4 * sample[1::2].count(0) >= len(sample) > 1:
        return "utf-16-le"
    if 4 * sample[0::2].count(0) >= len(sample) > 1:
        return "utf-16-be"
    if _is_valid(head, "utf-8"):
        return "utf-8"
    fitting = [name for name in EAST_ASIAN if _is_valid(sample, name)]
    known = {name: count_known(sample.decode(name, "ignore")) for name in fitting}
    best = max(fitting, key=lambda name: known[name], default="latin-1")
    if best != "latin-1" and known[best]:
        return best
    runs = _HIGH.findall(sample)
    paired = sum(len(run) % 2 == 0 for run in runs)
    return "gb18030" if "gb18030" in fitting and 2 * paired > len(runs) else "latin-1"


def decode(data: bytes, encoding: str) -> str:
    """Return the text, with a replacement character for what is no text."""
    return data.decode(encoding, "replace").removeprefix("\ufeff")


def split_lines(text: str) -> list[str]:
    r"""Cut a text at ``\n``, ``\r\n`` and ``\r``, the way a text file opened with them is cut."""
    lines = _ENDS.split(text)
    if lines and not lines[-1]:
        lines.pop()
    return lines


def _is_valid(data: bytes, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        decoder.decode(data, final=False)
    except UnicodeDecodeError:
        return False
    return True
