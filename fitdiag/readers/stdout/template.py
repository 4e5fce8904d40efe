"""Lines that differ in nothing but their numbers are understood once, as a template."""

from __future__ import annotations

import re
from dataclasses import replace

from fitdiag.readers.stdout import phrases
from fitdiag.readers.stdout.keys import Key, find_key, find_label, is_filler
from fitdiag.readers.stdout.shapes import Item, Template

__all__ = ["understand"]

#: a line without any of these is a configuration or a message
KNOWN = frozenset({"loss", "batch_loss", "part", "metric", "lr", "grad_norm", "grad_norm_max"})

#: a line with more numbers is data, not a log line
NUMBERS = 60
#: characters before a value in which what opens it is looked for
OPENING = 80

_TOTAL = re.compile(r"\s*(?:/|of|out of)\s*")
_MEAN = re.compile(r"\s*\(\s*(?:avg|mean|ave|average)?\s*[:=]?\s*")
_BRACKET = re.compile(r"[\s\]),|:-]*[\[(]\s*")
_PHASED = re.compile(
    r"\b(epoch|iter|iteration)\s*\(\s*(train|val|test)\s*\)\s*\[\s*$", re.IGNORECASE
)
_ORDINAL = re.compile(r"(?:^|[^\w])\u7b2c\s*$")
_ORDINAL_EPOCH = re.compile(
    r"\s*(?:/\s*)?(?:\u4e2a)?(?:\u8f6e|\u8f2a|epoch|\u5468\u671f)", re.IGNORECASE
)
_TAIL = re.compile(r"(.*\S)\s*[(\[]\s*([^()\[\]]{1,30}?)\s*[)\]]")
_UNIT_WORDS = frozenset({"ms", "s", "sec", "secs", "seconds", "mb", "gb", "mib", "gib", "min", "h"})
_NAMED_BRACKET = re.compile(r"[^:\[]*?([A-Za-z][A-Za-z ]*)[\s:]*\[\s*")
_SPLIT_WORDS = frozenset({"train", "val", "valid", "validation", "test", "eval", "dev"})
_SPOKEN = re.compile(r"\s+[A-Za-z_]+\s+")
_START = re.compile(r"[A-Za-z\u00b5%]+(?:/[A-Za-z]+)?")


def understand(texts: tuple[str, ...]) -> Template:
    """Understand a line.

    Parameters
    ----------
    texts : tuple of str
        What stands before, between and behind its numbers: one more than there are numbers.

    Returns
    -------
    Template
    """
    whole = "0".join(texts)
    if len(texts) > NUMBERS + 1 or not whole.strip():
        return Template()
    if phrases.CODE.search(whole):
        return Template()
    return _Reading(texts, whole).read()


def _unclear(key: Key) -> Key:
    return replace(key, kind="part", text=f"{key.text} (unclear)")


class _Reading:
    """Goes over one line, number by number."""

    def __init__(self, texts: tuple[str, ...], whole: str) -> None:
        self.texts = texts
        self.whole = whole
        self.template = Template(is_bar=phrases.BARS.search(whole) is not None)
        self.items: list[Item] = []
        self.label = "test" if phrases.EVALUATED.match(whole) else ""
        self.last = ""
        self.soft = ""
        self.spoken = ""
        self.stopped = False

    def read(self) -> Template:
        template = self.template
        for at in range(len(self.texts) - 1):
            before, after = self.texts[at], self.texts[at + 1]
            if self._cut(before):
                break
            self._read_number(at, before, after)
        template.items = tuple(self._settle_splits())
        if not any(item.key.kind in KNOWN for item in template.items):
            template.items = ()
        if not template.items:
            self._read_words()
        self._begin_with_step()
        template.label = template.label or self.label
        template.drives = template.is_header or any(
            item.key.kind in {"loss", "batch_loss"} and item.key.split in {"", "train"}
            for item in template.items
        )
        template.is_named = any(
            item.key.kind in {"loss", "batch_loss"} and item.key.split == "train"
            for item in template.items
        )
        if template.step < 0 and template.epoch < 0 and not self._has_loss():
            template.items = tuple(item for item in template.items if item.key.rank < 10)
        template.tells = bool(template.items or template.is_header or template.is_label) or (
            template.epoch >= 0 and not self.stopped
        )
        return template

    def _has_loss(self) -> bool:
        return any(item.key.kind in {"loss", "batch_loss", "part"} for item in self.template.items)

    def _begin_with_step(self) -> None:
        """Read ``39250 valbin_loss 2.96``: a bare number begins the line, then a name."""
        template = self.template
        if (
            template.items
            and template.step < 0
            and template.epoch < 0
            and not self.texts[0].strip()
            and template.items[0].at == 1
            and _SPOKEN.fullmatch(self.texts[1])
        ):
            template.step = 0

    def _cut(self, before: str) -> bool:
        """Tell whether the rest of the line is about something else; shorten the text."""
        if (
            self.stopped
            or phrases.CUTS.search(before)
            or (phrases.BEST.search(before) and not self.items)
        ):
            self.stopped = True
        return self.stopped

    def _read_number(self, at: int, before: str, after: str) -> None:
        template = self.template
        last, self.last = self.last, ""
        if _TOTAL.fullmatch(before) and last:
            if last == "step":
                template.total = at
            elif last == "epoch":
                template.epoch_total = at
            elif last == "item":
                self._divide(at)
            self.last = "total" if last != "epoch" else "epoch"
            return
        if last == "item" and _MEAN.fullmatch(before) and after.lstrip().startswith(")"):
            self.items[-1] = replace(self.items[-1], mean=at)
            self.last = "mean"
            return
        phased = _PHASED.search(before)
        if phased:
            self.label = find_label(phased[2])
            self._count(phased[1][:2].lower() == "ep", at)
            return
        named = _NAMED_BRACKET.fullmatch(before)
        if named and after.lstrip()[:1] == "/" and is_filler(named[1]) and find_label(named[1]):
            self.label = find_label(named[1])
            template.step, template.inner, self.last = at, True, "step"
            return
        if self._is_bracket(before, after, last):
            template.step, template.inner, self.last = at, True, "step"
            return
        if _ORDINAL.search(before) and _ORDINAL_EPOCH.match(after):
            self._count(True, at)
            return
        self._read_pair(at, before, after)

    def _is_bracket(self, before: str, after: str, last: str) -> bool:
        """Tell a counter in brackets that has no name of its own: ``[ 64/60000]``."""
        if self.template.step >= 0 or not _BRACKET.fullmatch(before) or "(" in before.strip()[-1:]:
            return False
        following = after.lstrip()[:1]
        if last == "epoch" and following in {"/", "]"}:
            return True
        return bool(last or self.items) and following == "/"

    def _divide(self, at: int) -> None:
        """Read ``Accuracy: 9843/10000`` as a fraction; of two losses it cannot be told which."""
        item = self.items[-1]
        if item.key.kind in {"loss", "batch_loss"}:
            self.items[-1] = replace(item, key=replace(item.key, kind="other"))
        else:
            self.items[-1] = replace(item, total=at)

    def _count(self, is_epoch: bool, at: int) -> None:  # internal
        self.last = "epoch" if is_epoch else "step"
        if is_epoch and self.template.epoch < 0:
            self.template.epoch = at
        elif not is_epoch and self.template.step < 0:
            self.template.step = at

    def _read_pair(self, at: int, before: str, after: str) -> None:
        if at and _START.match(before):  # the unit of the number before
            before = _START.sub("", before, count=1)
        key = self._find_key(before, at)
        if key is None:
            return
        self.label = key.label or self.label
        if after.lstrip().startswith("[") and is_filler(key.text) and find_label(key.text):
            self.label = find_label(key.text)  # Train: 3 [ 50/1251]
            self._count(True, at)
        elif key.kind == "epoch":
            self._count(True, at)
        elif key.kind == "step":
            self._count(False, at)
            self.template.counter = self.template.counter or key.text.lower()
        elif not phrases.UNITS.match(after):
            percent = after.lstrip().startswith(("%", "\uff05"))
            self.items.append(Item(key=self._own(key), at=at, percent=percent))
            self.last = "item"

    def _own(self, key: Key) -> Key:
        """Settle the split of a key from what stood before it in the line."""
        if key.split:
            self.soft = key.split
            return key
        if key.kind not in {"loss", "metric", "batch_loss", "part"}:
            return key
        if self.label:
            return replace(key, split=self.label, shown=self.label)
        if key.kind == "metric" and self.soft:
            return replace(key, split=self.soft, shown=self.soft)
        return key

    def _find_key(self, before: str, at: int) -> Key | None:
        head, tail = before[:-OPENING], before[-OPENING:]  # the search is quadratic in its text
        text = head + phrases.OPENERS.sub("", tail)
        separator = phrases.SEPARATOR.search(text)
        is_spoken = separator is not None and separator[0].strip().isalpha()
        if separator is not None:
            text = text[: separator.start()]
        text = text.rstrip(" \"'`*_")
        extra = ""
        bracketed = _TAIL.fullmatch(text)
        if bracketed is not None:
            text, extra = bracketed[1], bracketed[2]
            if extra.lower() in _UNIT_WORDS and extra.lower() != "h":
                return Key(text=text.strip(), kind="decoy") if separator else None
        pieces = [piece for piece in phrases.PIECES.split(text) if piece.strip()]
        if not pieces:
            return None
        for piece in pieces[:-1]:
            if is_filler(piece) and find_label(piece):
                self.label = find_label(piece)
        last = pieces[-1]
        if extra and (find_label(extra) or extra.lower() in {"avg", "mean", "epoch", "batch"}):
            last = f"{last} {extra}"
        if at == 1 and separator is None and not self.texts[0].strip() and find_label(last):
            return self._read_leading(last)
        if self.items and last.strip().lower() in _SPLIT_WORDS and self.items[-1].key.split:
            return self._repeat(last.strip())
        return find_key(last, separated=separator is not None and not is_spoken)

    def _repeat(self, word: str) -> Key | None:
        """Read ``loss train 2.5 val 2.7``: the second split of the quantity before."""
        key = self.items[-1].key
        split = find_label(word)
        own = [part for part in key.text.split() if find_label(part) != key.split]
        if key.shown or split == key.split or not own or key.kind not in {"loss", "metric"}:
            return None
        return replace(key, text=" ".join([*own, word]), split=split)

    def _read_leading(self, word: str) -> Key | None:
        """Read ``250 val 5.9``: a line that begins with the step and names only the split."""
        plain = word.strip().lower()
        if plain in {"train", "val", "valid", "test"}:
            return Key(text=word.strip(), kind="loss", split=find_label(plain), rank=1)
        return find_key(word, separated=False)

    def _settle_splits(self) -> list[Item]:
        """Settle whose a loss is that names no split, from the other names on the line."""
        losses = [item.key for item in self.items if item.key.kind == "loss"]
        has_bare = any(not key.split for key in losses)
        settled: list[Item] = []
        seen = ""
        for item in self.items:
            key = item.key
            if key.kind == "loss" and not key.split and seen in {"val", "test"}:
                before = [one.key for one in settled if one.key.kind == "loss"]
                is_second = any(one.split in {"", "train"} for one in before)
                has_val = any(one.split == seen for one in before)
                if is_second and not has_val:
                    key = replace(key, split=seen, shown=seen)
                elif len(losses) == 1 and " " in key.text + self.spoken:
                    key = _unclear(key)
            if item.key.split and not item.key.shown:
                seen, self.spoken = item.key.split, item.key.text
            settled.append(replace(item, key=key, beside=has_bare))
        return self._mark_twins(settled)

    def _mark_twins(self, items: list[Item]) -> list[Item]:
        """Mark losses of one line that have one name: which is which cannot be told."""
        names = [
            (item.key.text.lower(), item.key.split) for item in items if item.key.kind == "loss"
        ]
        twins = {name for name in names if names.count(name) > 1}
        return [
            replace(item, key=_unclear(item.key))
            if item.key.kind == "loss" and (item.key.text.lower(), item.key.split) in twins
            else item
            for item in items
        ]

    def _read_words(self) -> None:
        """Tell headers of epochs and of sections."""
        template = self.template
        if self.stopped or phrases.CUTS.search(self.whole) or phrases.BEST.search(self.whole):
            template.epoch = -1
            self.stopped = True
            return
        first = template.epoch if template.epoch >= 0 else -1
        rest = " ".join(self.texts[first + 1 :])
        if first >= 0:
            own = [piece for piece in phrases.PIECES.split(self.texts[first]) if piece.strip()]
            rest = f"{own[-1] if own else ''} {rest}"
        if len(rest) > 200 or not is_filler(rest):
            template.epoch = -1
            self.stopped = True
            return
        label = self.label or find_label(rest)
        if template.epoch >= 0:
            template.is_header, template.label = True, label
        elif label and not template.is_bar and len(self.texts) == 1:
            template.is_label, template.label = True, label
