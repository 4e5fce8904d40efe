"""What the name of a checkpoint's file says: a step, an epoch, or a word such as ``best``.

Nothing is ever opened here: a checkpoint may be a pickle, and a pickle may do anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Name", "read_name"]

#: endings of files that hold weights or a state
_ENDING = re.compile(
    r"(?:\.(?:pth|pt)\.tar|\.(?:pt|pth|ckpt|safetensors|bin|tar|h5|hdf5|keras|msgpack"
    r"|npz|pkl|pickle|model|weights|state))$",
    flags=re.IGNORECASE,
)
#: digits of a number that are read; longer ones are dates or hashes
_DIGITS = 12
_STEP = re.compile("steps?|globalstep|global|iters?|iterations?|it|updates?|batch|batches|nimg")
_EPOCH = re.compile("epochs?|ep")
_BEST = re.compile("best|top|bestmodel|modelbest")
_LAST = re.compile("last|latest|final|end|newest|current")
_CHECKPOINT = re.compile("checkpoint|ckpt|chkpt|cp|model|weights|net|network|state|snapshot|saved?")
#: words of files that lie beside the weights of a checkpoint, and are none
_BESIDE = re.compile(
    "optimizers?|optims?|schedulers?|scaler|rng|args|arguments|tokenizer|config|rank|shard|of|data"
)
#: words whose number is neither a step nor an epoch
_METRICS = re.compile("val|valid|validation|train|test|eval|loss|acc|accuracy|score|f1|v")
_TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?(?:e-\d+)?)(?P<thousands>k(?![a-z]))?|(?P<word>[a-z]+)",
    flags=re.IGNORECASE,
)
#: the folders of trainers, numbered by step
_TRAINER = re.compile(r"checkpoint-\d+", flags=re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Name:
    """What a name says.

    Parameters
    ----------
    step, epoch : float or None
        The numbers that stand beside those words.
    number : float or None
        A number beside no such word: a step or an epoch, which the whole folder has to tell.
    word : str
        ``"best"``, ``"last"`` or nothing.
    equals : bool
        Whether it is written ``epoch=12``, as tools do that count epochs from 0.
    """

    step: float | None = None
    epoch: float | None = None
    number: float | None = None
    word: str = ""
    equals: bool = False


def read_name(name: str, *, folder: bool = False) -> Name | None:
    """Return what a name says, or None where it is no checkpoint's.

    Parameters
    ----------
    name : str
        Name of a file or folder, without the path.
    folder : bool
        Whether it is a folder, which needs no ending.

    Examples
    --------
    >>> read_name("epoch=12-step=300.ckpt").step, read_name("epoch_12.pth").epoch
    (300.0, 12.0)
    >>> read_name("checkpoint-500", folder=True).step, read_name("ckpt_000300.pt").number
    (500.0, 300.0)
    >>> read_name("best.pt").word, read_name("notes.txt")
    ('best', None)
    """
    if name.startswith("."):
        return None
    stem = name if folder else _without_ending(name)
    if stem is None:
        return None
    tokens = list(_tokens(stem))
    words = [token for token in tokens if isinstance(token, str)]
    if _any(_BESIDE, words):
        return None
    step, epoch, number = _numbers(tokens)
    word = "best" if _any(_BEST, words) else "last" if _any(_LAST, words) else ""
    says_so = _any(_CHECKPOINT, words)
    if step is None and epoch is None and not word:
        known = says_so or not (words or folder)
        if number is None or not known:
            return None
    if folder and _TRAINER.search(name) and step is None and epoch is None:
        step, number = number, None
    return Name(step=step, epoch=epoch, number=number, word=word, equals="epoch=" in stem.lower())


def _without_ending(name: str) -> str | None:
    ending = _ENDING.search(name)
    return name[: ending.start()] if ending and ending.start() else None


def _any(pattern: re.Pattern[str], words: list[str]) -> bool:
    return any(pattern.fullmatch(word) for word in words)


def _tokens(stem: str) -> Iterator[str | float]:
    """Yield the words in lower case and the numbers of a name, in order."""
    for match in _TOKEN.finditer(stem):
        if match["word"]:
            yield match["word"].lower()
        elif len(match["number"]) <= _DIGITS:
            yield float(match["number"]) * (1000 if match["thousands"] else 1)


def _numbers(tokens: list[str | float]) -> tuple[float | None, float | None, float | None]:
    """Return step, epoch and a number of neither; a metric's value is none of them."""
    step = epoch = number = None
    before = ""
    for token in tokens:
        if isinstance(token, str):
            before = token
            continue
        whole = token.is_integer()
        if _EPOCH.fullmatch(before) and epoch is None:
            epoch = token
        elif _STEP.fullmatch(before) and step is None and whole:
            step = token
        elif whole and number is None and not _METRICS.fullmatch(before):
            number = token
        before = before if _METRICS.fullmatch(before) else ""
    return step, epoch, number
