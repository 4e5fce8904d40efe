"""What a column's name says: which split it was measured on, and what it is."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from fitdiag.readers import vocabulary as words

__all__ = ["Name", "classify", "count_known", "find_split", "normalise"]

#: longer names are cut, so that a hostile header cannot cost time
NAME_LIMIT = 200

_PHRASES = re.compile("|".join(sorted(words.PHRASES, key=len, reverse=True)))
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ACRONYMS = re.compile(r"mAP|mIoU|mIOU|IoU")
_APART = re.compile(r"[\W_]+")
_INDEX = frozenset({"", "unnamed_0", "index", "idx", "row", "id", "no", "nr"})


@dataclass(frozen=True, kw_only=True)
class Name:
    """What one column name says.

    Parameters
    ----------
    kind : str
        ``loss``, ``batch_loss``, ``metric``, ``lr``, ``grad_norm``, ``grad_norm_max``, ``step``,
        ``epoch``, ``index``, ``split`` (a column that names splits), ``part`` (one part of a
        loss), ``decoy`` or ``other``.
    split : str
        ``train``, ``val``, ``test`` or empty.
    word : str
        For a metric or a part: its name without the split.
    rank : int
        How clearly the name says it; 0 is clearest.
    """

    kind: str
    split: str = ""
    word: str = ""
    rank: int = 0


def normalise(name: str) -> str:
    """Return a column name in lower-case English words joined by underscores.

    >>> normalise("Train Loss"), normalise("valLoss"), normalise("验证损失")
    ('train_loss', 'val_loss', 'val_loss')
    """
    text = unicodedata.normalize("NFKC", name[:NAME_LIMIT]).strip()
    if not text.isascii():
        text = _PHRASES.sub(lambda match: f" {words.PHRASES[match[0]]} ", text)
        letters = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in letters if not unicodedata.combining(letter))
    text = _ACRONYMS.sub(lambda match: match[0].lower(), text)
    text = _CAMEL.sub("_", text).lower()
    parts = [words.WORDS.get(part, part) for part in _APART.split(text) if part]
    joined = "_".join(words.GLUED.get(part, part) for part in parts)
    for long, short in words.TRIES:
        if long in joined:
            joined = joined.replace(long, short)
    return joined


def count_known(text: str) -> int:
    """Return how many of the phrases of other scripts a text holds; tells encodings apart."""
    return len(set(_PHRASES.findall(text)))


def find_split(cell: str) -> str:
    """Return which split a cell of a long table names: train, val, test or nothing."""
    for part in normalise(cell).split("_"):
        if part in words.SPLITS:
            return words.SPLITS[part][0]
    return ""


def classify(name: str) -> Name:
    """Tell what a column is from its name alone."""
    plain = normalise(name)
    if plain in _INDEX:
        return Name(kind="index")
    if plain in words.STEPS:
        return Name(kind="step", rank=words.STEPS.index(plain))
    if plain in words.EPOCHS:
        return Name(kind="epoch", rank=words.EPOCHS.index(plain))
    if plain in words.SPLIT_COLUMNS:
        return Name(kind="split")
    skipped = {*words.PARTS_OF_SPEECH, "metrics", "metric"}
    parts = [part for part in plain.split("_") if part not in skipped]
    return _classify_gradient(parts) or _classify_rate(parts) or _classify_measure(parts)


def _classify_gradient(parts: list[str]) -> Name | None:
    rest = [part for part in parts if part not in {"grad", "norm"}]
    if parts in (["norm"], ["grad", "rms"]):
        return Name(kind="grad_norm", rank=20)
    if "grad" not in parts or "norm" not in parts:
        return None
    if parts == ["grad", "norm", "max"]:
        return Name(kind="grad_norm_max")
    known = {"total", "global", "train", "mean", "avg", "pre", "clip", "unclipped", "2", "0", "l2"}
    if not set(rest) <= {*known, "epoch", "step"} or ("clip" in rest and "pre" not in rest):
        return Name(kind="decoy")
    return Name(kind="grad_norm", rank=len(rest))


def _classify_rate(parts: list[str]) -> Name | None:
    if parts and re.fullmatch(r"lr\d*|lrs", parts[-1]):
        return Name(kind="lr", rank=len(parts) - 1)
    if "lr" in parts and not words.DECOYS & set(parts) and "loss" not in parts:
        return Name(kind="lr", rank=len(parts))
    return None


def _classify_measure(parts: list[str]) -> Name:
    splits = [words.SPLITS[part] for part in parts if part in words.SPLITS]
    rest = [part for part in parts if part not in words.SPLITS]
    if words.DECOYS & set(rest) or len({split for split, _ in splits}) > 1:
        return Name(kind="decoy")
    split, clarity = splits[0] if splits else ("", 0)
    if "loss" in rest:
        return _classify_loss(split, clarity, [part for part in rest if part != "loss"])
    if {"step", "batch", "iteration"} & set(rest):
        return Name(kind="other")
    word = "_".join(part for part in rest if part not in words.MEANS)
    known = bool(words.METRICS & set(rest))
    if not word or not (known or split):
        return Name(kind="other", word=word)
    return Name(kind="metric", split=split, word=word, rank=clarity + (0 if known else 10))


def _classify_loss(split: str, clarity: int, rest: list[str]) -> Name:
    batch = [part for part in rest if part in {"step", "batch", "iteration"}]
    other = [part for part in rest if part not in words.NEUTRAL and part not in batch]
    if other:
        return Name(kind="part", split=split, word="_".join([*other, "loss"]), rank=clarity)
    rank = 10 * clarity + sum(1 + words.NEUTRAL[part] for part in rest if part not in batch)
    if {"epoch", "total", "overall"} & set(rest):
        rank -= 2  # clearer than the bare word
    if batch and split in {"", "train"}:
        return Name(kind="batch_loss", split="train", rank=rank)
    return Name(kind="loss", split=split, rank=rank)
