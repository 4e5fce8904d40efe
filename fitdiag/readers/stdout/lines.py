"""From the bytes of a captured terminal to lines: carriage returns, backspaces, colours."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["clean_text", "read_lines"]

#: how many bytes are decoded at a time
BLOCK = 1 << 20

#: a longer line is cut: no logger writes one
LINE_LIMIT = 4096

#: what a frame of a progress bar holds
FRAMES = ("it/s", "s/it", "%|", "[=", "[>", "==", "ETA")

#: what a terminal takes as an order: colours, cursor moves, window titles
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_REDRAWN = re.compile(r"[\r\x08\x0b\x0c\x1b\0]")
_BREAKS = re.compile(r"[\r\x08\x0b\x0c]+")


def clean_text(text: str) -> str:
    r"""Return the text without colours; ``\r`` and backspaces begin a new line."""
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    if "\0" in text:
        text = text.replace("\0", "")
    return _BREAKS.sub("\n", text)


def read_lines(path: Path, encoding: str) -> Iterator[list[str]]:
    """Yield the lines of a file, some thousands at a time, in bounded memory.

    Of the frames of a progress bar that were drawn over each other, the last one is kept.

    Parameters
    ----------
    path : Path
        The file.
    encoding : str
        Its encoding; what is no text in it becomes a replacement character.
    """
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    rest = ""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            text = rest + decoder.decode(block)
            end = max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1))
            if end < 0:
                rest = text[:LINE_LIMIT]
                continue
            rest = text[end + 1 :]
            yield _cut_lines(text[:end])
    rest += decoder.decode(b"", final=True)
    if rest:
        yield _cut_lines(rest)


def _cut_lines(text: str) -> list[str]:
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if not _REDRAWN.search(text):
        return text.split("\n")
    lines = []
    for line in text.split("\n"):
        if _REDRAWN.search(line) is None:
            lines.append(line)
            continue
        frames = [frame for frame in clean_text(line).split("\n") if frame and not frame.isspace()]
        last = len(frames) - 1
        lines += [
            frame
            for at, frame in enumerate(frames)
            if at == last or not any(sign in frame for sign in FRAMES)
        ]
    return lines
