"""Means over many steps: weighted losses, norms with their peak, evaluations batch by batch."""

from __future__ import annotations

import math
from statistics import median_low
from typing import TYPE_CHECKING, NamedTuple

from fitdiag.recording.kinds import merge_kinds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitdiag.recording.events import Loss

__all__ = ["Mean", "NormWindow", "Recipe", "average_evaluation", "combine"]


#: clip coefficients of which the median is taken, at most; of more, every second one
MOST_COEFS = 10_000


class Recipe(NamedTuple):
    """How the losses of one backward pass make up what is minimised."""

    #: for each of them, in order: what it came from, and its share
    parts: tuple[tuple[str, float], ...]
    #: whether they come from several forward passes, as in a sum over the steps of a sequence
    spread: bool = False


class Mean:
    """A mean weighted by batch size, or plain where any batch size is unknown."""

    __slots__ = ("_known", "_parts", "_plain", "_weight", "_weighted", "_weighted_parts", "count")

    def __init__(self) -> None:
        self.count = 0
        self._parts = 0
        self._plain = 0.0
        self._weight = 0.0
        self._weighted = 0.0
        self._weighted_parts = 0.0
        self._known = True

    def add(self, value: float, weight: int | None, parts: int = 1) -> None:
        """Take one more value, which is a sum of so many parts."""
        self.count += 1
        self._parts += parts
        self._plain += value
        self._known = self._known and bool(weight)
        if self._known and weight:
            self._weighted += value * weight
            self._weight += weight
            self._weighted_parts += parts * weight

    @property
    def value(self) -> float:
        """The mean so far."""
        return self._weighted / self._weight if self._known else self._plain / self.count

    @property
    def value_each(self) -> float:
        """The mean so far of the parts."""
        return self._weighted / self._weighted_parts if self._known else self._plain / self._parts


class NormWindow:
    """Gradient norms of the steps since they were last taken: their mean and their peak."""

    __slots__ = (
        "_after",
        "_coef",
        "_coefs",
        "_count",
        "_kinds",
        "_last",
        "_peak",
        "_total",
        "kind",
    )

    def __init__(self) -> None:
        self._last: float | None = None  # norm of the last step so far
        self._after = 0.0  # and what clipping left of it
        self._coef: float | None = None  # None where nothing was clipped
        self.kind = ""  # of the norms that were last taken
        self._clear()

    def _clear(self) -> None:
        self._count = 0
        self._total = 0.0
        self._peak = -math.inf
        self._coefs: list[float] = []
        self._kinds: set[tuple[str, ...]] = set()

    def add(
        self,
        norm: float,
        *,
        joined: bool,
        clip_coef: float | None = None,
        kind: tuple[str, ...] = (),
    ) -> None:
        """Take the norm of one more step, or of another optimizer's part of the same step."""
        self._kinds.add(kind)
        after = norm if clip_coef is None else norm * clip_coef
        if joined and self._last is not None:
            norm, after = math.hypot(self._last, norm), math.hypot(self._after, after)
            clip_coef = self._coef if clip_coef is None else clip_coef
        else:
            self._settle()
        self._last, self._after, self._coef = norm, after, clip_coef

    def _settle(self) -> None:
        if self._last is None:
            return
        self._count += 1
        self._total += self._last
        if self._coef is not None:
            known = self._last > 0 and math.isfinite(self._last)
            self._coefs.append(self._after / self._last if known else self._coef)
            if len(self._coefs) > MOST_COEFS:
                del self._coefs[::2]
        if not (self._last <= self._peak or math.isnan(self._peak)):
            self._peak = self._last
        self._last = None

    def take(self) -> dict[str, float]:
        """Return the cells for a row, and begin anew."""
        self._settle()
        if not self._count:
            return {}
        cells = {"grad_norm": self._total / self._count, "grad_norm_max": self._peak}
        if self._coefs:  # the middle one is below 1 only where most steps were clipped
            cells["clip_coef"] = median_low(self._coefs)
        self.kind = merge_kinds(self._kinds)
        self._clear()
        return cells


def read_value(loss: Loss) -> float:
    """Return a loss as it is compared: a sum over a batch of known size as a mean over it."""
    value = float(loss.value)
    return value / loss.weight if loss.divide and loss.weight else value


def combine(losses: Sequence[Loss]) -> tuple[float, int | None, Recipe]:
    """Combine the losses of one backward pass into what was minimised, up to its scale.

    Each loss counts by the gradient with which the backward pass reached it, relative to the
    largest, so ``(a + 0.5 * b).backward()`` gives ``a + 0.5 * b`` and dividing the whole by
    the number of accumulated batches, or multiplying it by a gradient scale, changes nothing.

    Returns
    -------
    value : float
        The combined loss.
    weight : int or None
        The largest batch size among them.
    recipe : Recipe
        Source and share of each.
    """
    if len(losses) == 1:
        return read_value(losses[0]), losses[0].weight, Recipe(((losses[0].source, 1.0),))
    seeds = [1.0 if loss.seed is None else float(loss.seed) for loss in losses]
    largest = max(seeds, key=abs)
    usable = math.isfinite(largest) and largest and all(loss.seed is not None for loss in losses)
    shares = [seed / largest if usable else 1.0 for seed in seeds]
    value = sum(share * read_value(loss) for share, loss in zip(shares, losses, strict=True))
    weights = [loss.weight for loss in losses if loss.weight is not None]
    parts = tuple((loss.source, share) for loss, share in zip(losses, shares, strict=True))
    spread = len({loss.forward for loss in losses}) > 1
    return value, max(weights, default=None), Recipe(parts, spread)


def average_evaluation(
    losses: Sequence[Loss],
    recipe: Recipe | None,
    *,
    each: bool = False,
    into: Mean | None = None,
) -> float:
    """Average an evaluation over its batches, combining losses in the way that training does.

    Parameters
    ----------
    losses : sequence of Loss
        Those of one evaluation, in order; at least one.
    recipe : Recipe or None
        How the last training step combined its losses; None before the first one.
    each : bool, optional
        Whether steps sum over ever different numbers of losses, as over sequences of different
        length: then the mean of the single losses compares. Default: no.
    into : Mean, optional
        What earlier losses of the same evaluation came to; it takes these too.
    """
    mean = into or Mean()
    parts = recipe.parts if recipe else ()
    wanted = {source for source, _ in parts} or {"criterion"}
    kept = [loss for loss in losses if loss.source in wanted] or list(losses)
    for batch in [[loss] for loss in kept] if each else _group(kept, recipe):
        shares = [share for _, share in parts] if len(parts) == len(batch) else [1.0] * len(batch)
        value = sum(share * read_value(loss) for share, loss in zip(shares, batch, strict=True))
        mean.add(value, batch[0].weight)
    return mean.value


def _group(losses: Sequence[Loss], recipe: Recipe | None) -> list[Sequence[Loss]]:
    """Put together the losses that belong to one batch."""
    alone: list[Sequence[Loss]] = [[loss] for loss in losses]
    size = len(recipe.parts) if recipe else 0
    batches: dict[int, list[Loss]] = {}
    for loss in losses:
        batches.setdefault(loss.forward, []).append(loss)
    if size == 1 or (not size and len(batches) == 1):
        return alone
    if len(batches) > 1 and not (recipe and recipe.spread):
        alike = all(len(batch) == size for batch in batches.values()) or not size
        return list(batches.values()) if alike else alone
    if len(losses) % size == 0:
        return [losses[i : i + size] for i in range(0, len(losses), size)]
    return alone
