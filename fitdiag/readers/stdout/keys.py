"""What the words before a number say: which curve, which data, or which counter."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace

from fitdiag.readers import vocabulary
from fitdiag.readers.names import Name, classify, normalise
from fitdiag.readers.stdout import phrases

__all__ = ["CURVES", "Key", "find_key", "find_label"]

#: kinds of names that become curves
CURVES = frozenset({"loss", "batch_loss", "metric", "lr", "grad_norm", "grad_norm_max"})

#: and those that count
COUNTERS = frozenset({"epoch", "step"})

_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, kw_only=True)
class Key:
    """What the words before a number say.

    Parameters
    ----------
    text : str
        As they stand in the log.
    kind : str
        As :class:`~fitdiag.readers.names.Name` has it.
    split : str
        ``train``, ``val``, ``test``, or nothing.
    rank : int
        How clearly the words say it; 0 is clearest.
    label : str
        The split that words before the key name.
    shown : str
        What stands before the text in the curve's name: the split that the line names.
    """

    text: str
    kind: str
    split: str = ""
    rank: int = 0
    label: str = ""
    shown: str = ""

    def with_split(self, split: str) -> Key:
        """Return the key with a split, where its own words name none."""
        return replace(self, split=split) if split and not self.split else self


@functools.lru_cache(maxsize=4096)
def find_key(text: str, *, separated: bool) -> Key | None:
    """Tell what a piece of text before a number is.

    Parameters
    ----------
    text : str
        From the last delimiter to the number.
    separated : bool
        Whether a colon, an equals sign or an arrow stands between them.

    Returns
    -------
    Key or None
        None for text that is no key.
    """
    text = text.strip(" .-_/@&%+")
    words = text.split()
    if not words or len(words) > 10 or len(text) > 100:
        return None
    if not separated and words[-1].lower() in phrases.COUNTING:
        return None
    for first in range(len(words)):
        rest = " ".join(words[first:])
        dropped = words[:first]
        if dropped and not _may_drop(dropped):
            return None if not separated else Key(text=text, kind="other")
        name = classify_phrase(rest)
        if name.kind in COUNTERS or _is_curve(name, rest, separated=separated):
            label = find_label(" ".join(dropped)) if dropped else ""
            return Key(text=rest, kind=name.kind, split=name.split, rank=name.rank, label=label)
        if first == 0 and separated and name.kind in {"part", "decoy"}:
            return Key(text=rest, kind=name.kind, split=name.split)
    return Key(text=text, kind="other") if separated else None


def _is_curve(name: Name, text: str, *, separated: bool) -> bool:
    if name.kind not in CURVES:
        return False
    if name.kind != "metric" or separated:
        return name.kind != "grad_norm" or separated or "norm" in text.lower()
    return name.rank < 10 or name.word in vocabulary.METRICS


def _may_drop(words: list[str]) -> bool:
    plain = [normalise(word) for word in words]
    return all(
        word in phrases.KEEPERS or word in vocabulary.SPLITS or word in phrases.LABELS
        for part in plain
        for word in part.split("_")
        if word
    )


@functools.lru_cache(maxsize=4096)
def classify_phrase(text: str) -> Name:
    """Classify a name, after the programmes' own abbreviations."""
    plain = normalise(text)
    if plain == "s":
        return Name(kind="step")
    found = classify(phrases.ALIASES.get(plain, text))
    if found.kind == "part" and plain.endswith("loss"):  # "test set loss"
        kept = [word for word in plain.split("_") if word not in phrases.INNER_FILLERS]
        return classify("_".join(kept))
    return found


@functools.lru_cache(maxsize=4096)
def find_label(text: str) -> str:
    """Return the split that a text names first: ``train``, ``val``, ``test`` or nothing."""
    for word in normalise(text).split("_"):
        if word in phrases.LABELS:
            return phrases.LABELS[word]
        if word in vocabulary.SPLITS:
            return vocabulary.SPLITS[word][0]
    return ""


def is_filler(text: str) -> bool:
    """Tell whether a text holds nothing but words that say nothing, and names of splits."""
    for word in _WORD.findall(normalise(text)):
        known = word in phrases.FILLERS or word in vocabulary.SPLITS or word in phrases.LABELS
        if not known and word.isascii():
            return False
    return True
