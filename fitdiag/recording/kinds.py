"""What a recorded norm is a norm of, in words that stand in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["UNKNOWN", "merge_kinds"]

#: what is said where nothing is known, as of a norm that the user logged
UNKNOWN = "unknown"

#: for each of clipping, scale and reach the words, the one that says most about a mixture first
_WORDS = (
    ("post-clip", UNKNOWN, "pre-clip", "as-stepped"),
    ("scaled", UNKNOWN, "unscaled"),
    ("local", UNKNOWN, "global"),
)


def merge_kinds(kinds: Iterable[tuple[str, ...]]) -> str:
    """Return one kind, in three words, for a mean over norms of several kinds.

    Examples
    --------
    >>> merge_kinds([("as-stepped", "unscaled", "global"), ("pre-clip", "unscaled", "global")])
    'pre-clip unscaled global'
    """
    parts = tuple(zip(*kinds, strict=False))
    if len(parts) < len(_WORDS):
        return UNKNOWN
    ranked = zip(parts, _WORDS, strict=False)
    return " ".join(min(set(part), key=words.index) for part, words in ranked)
