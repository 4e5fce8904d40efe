"""What gradient clipping did, to which gradients, and what their norms were before.

Clipping by norm multiplies by one factor, which is known, so that it can be undone in the numbers.
Clipping by value cannot be undone: there the gradients are measured before.
"""

from __future__ import annotations

import math
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.optim import Optimizer

    from fitdiag.recording.norms import Norms

__all__ = ["ClipBook", "ClipCall", "Clipping", "list_parameters"]

#: gradients whose clipping is remembered until an optimizer steps with them, at most
MOST_MARKS = 1 << 16
#: what torch adds to a norm before it divides a limit by it
NUDGE = 1e-6


def list_parameters(optimizer: Optimizer) -> list[Tensor]:
    """Return all the parameters that an optimizer holds."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


class ClipCall:
    """One call that clipped gradients.

    Parameters
    ----------
    limit : float
        The largest norm, or value, that is let through.
    total : Tensor or None
        The norm by which it was decided; None where it is not that, or not known here.
    squared : bool
        Whether that is the 2-norm.
    before : Norms or None
        What the gradients measured before, where the call cannot be undone otherwise.
    """

    __slots__ = (
        "before",
        "count",
        "is_global",
        "limit",
        "number",
        "scale",
        "squared",
        "total",
        "where",
    )

    def __init__(
        self,
        limit: float,
        total: Tensor | None = None,
        *,
        squared: bool = False,
        before: Norms | None = None,
    ) -> None:
        self.limit = limit
        self.total: Any = total
        self.squared = squared
        self.before = before
        self.count = 0  # gradients that it clipped
        self.number = 0  # of all the calls
        self.is_global = False  # whether its norm is surely one over all processes
        self.scale: Any = None  # what the gradients were multiplied by then, and are no more
        self.where: dict[int, int] = {}  # gradient id to its place in ``before``

    def read_factor(self) -> float | None:
        """Return by what the gradients were multiplied, once fetched; None if not one factor."""
        if self.total is None:
            return None
        factor = self.limit / (float(self.total) + NUDGE)
        return 1.0 if factor > 1 else factor


class Clipping:
    """What happened to the gradients of one optimizer step.

    Parameters
    ----------
    calls : sequence of ClipCall
        In order.
    members : sequence
        For each call the positions of its gradients among the optimizer's parameters, each with
        its place in the call's own measurement; None where it clipped all that there are.
    is_all : bool
        Whether the first call clipped these gradients and no others.
    """

    __slots__ = ("calls", "is_all", "members")

    def __init__(
        self,
        calls: Sequence[ClipCall],
        members: Sequence[Sequence[tuple[int, int]] | None],
        *,
        is_all: bool,
    ) -> None:
        self.calls = calls
        self.is_all = is_all
        self.members = members

    @property
    def total(self) -> Any:  # noqa: ANN401 a tensor first, a float once fetched
        """The 2-norm of all the gradients before any clipping, where a call told it."""
        first = self.calls[0]
        return first.total if first.squared and self.is_all else None

    @property
    def kind(self) -> str:
        """What the norms are that can be worked out: of before, or of after."""
        known = all(call.total is not None or call.before is not None for call in self.calls)
        return "pre-clip" if known else "post-clip"

    @property
    def factor(self) -> float | None:
        """By what all the gradients were multiplied; None if not all by the same."""
        factors = [call.read_factor() for call in self.calls]
        if any(members is not None for members in self.members) or None in factors:
            return None
        return math.prod(factor for factor in factors if factor is not None)

    def read_coefficient(
        self, after: Sequence[float] | None, before: Sequence[float] | None
    ) -> float | None:
        """Return how much of the global norm was left; None if that is not known.

        Parameters
        ----------
        after, before : sequence of float, or None
            The norms of single gradients, as the optimizer got them and before.
        """
        whole = self.factor
        if whole is not None or after is None or before is None:
            return whole
        norm = math.hypot(*before)
        if self.kind != "pre-clip" or math.isnan(norm):
            return None
        return min(1.0, math.hypot(*after) / norm) if norm else 1.0

    def undo(self, row: Sequence[float], places: Sequence[int] | None) -> list[float]:
        """Return the norms of single gradients as they were before.

        Parameters
        ----------
        row : sequence of float, shape (n,)
            Their norms as the optimizer got them.
        places : sequence of int, shape (n,), or None
            The position of each; None if they are numbered.
        """
        whole = self.factor
        if whole is not None:
            return [norm / whole if whole else math.nan for norm in row]
        divisors: dict[int, float] = {}
        measured: dict[int, list[float]] = {}
        positions = range(len(row)) if places is None else places
        for call, given in zip(self.calls, self.members, strict=True):
            factor = call.read_factor()
            members = zip(set(positions), repeat(-1)) if given is None else given
            for position, at in members:
                if position in measured:
                    continue
                divisor = divisors.get(position, 1.0)
                if factor is not None:
                    divisors[position] = divisor * factor if factor else math.nan
                elif call.before is not None:
                    divisor *= float(call.scale or 1.0)
                    measured[position] = [n / divisor for n in _read_norms(call.before, at)]
        for values in measured.values():
            values.reverse()
        return [
            measured[position].pop() if measured.get(position) else norm / divisors.get(position, 1)
            for position, norm in zip(positions, row, strict=True)
        ]


def _read_norms(norms: Norms, at: int) -> list[float]:
    """Return what was measured of one gradient: one number, or one for each of its pieces."""
    row: list[float] = []
    for part in norms.vectors:  # fetched by now
        numbers: Any = part
        row += numbers if isinstance(numbers, list) else [numbers]
    if norms.places is None:
        return [row[at]]
    return [value for place, value in zip(norms.places, row, strict=True) if place == at]


class ClipBook:
    """Remembers which gradients were clipped, until an optimizer steps with them."""

    def __init__(self) -> None:
        self._marks: dict[int, tuple[int, tuple[ClipCall, ...]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._marks)

    def note(self, call: ClipCall, gradients: Sequence[Tensor], changes: int) -> None:
        """Note a call that is about to clip.

        Parameters
        ----------
        call : ClipCall
            What it does.
        gradients : sequence of Tensor
            To which gradients.
        changes : int
            How often it writes into each of them.
        """
        if len(self._marks) > MOST_MARKS:
            self._marks.clear()
        self._count += 1
        call.count, call.number = len(gradients), self._count
        alone = (call,)
        if not self._marks and not any(
            hasattr(kind, "to_local") for kind in set(map(type, gradients))
        ):
            # the usual case, in the fastest way
            self._marks = {id(g): (g._version + changes, alone) for g in gradients}  # noqa: SLF001 no public name
            return
        for gradient in gradients:
            version = gradient._version  # noqa: SLF001 no public name
            known = self._marks.get(id(gradient))
            calls = (*known[1], call) if known and known[0] == version else alone
            after = version if hasattr(gradient, "to_local") else version + changes
            self._marks[id(gradient)] = after, calls

    def unscale(self, gradients: Sequence[Tensor | None], scale: object) -> None:
        """Note that gradients are no longer multiplied by a scale, as they were when clipped."""
        for gradient in gradients:
            mark = self._marks.get(id(gradient))
            for call in mark[1] if mark else ():
                call.squared, call.scale = False, scale

    def match(self, gradients: Sequence[Tensor | None]) -> Clipping | None:
        """Return what happened to these gradients, if they are still as clipping left them.

        Parameters
        ----------
        gradients : sequence of Tensor or None
            Those that an optimizer is about to use.
        """
        pop = self._marks.pop
        hits: list[tuple[int, Tensor, tuple[ClipCall, ...]]] = []
        present = 0
        for position, gradient in enumerate(gradients):
            if gradient is None:
                continue
            present += 1
            mark = pop(id(gradient), None)
            if mark is not None and mark[0] == gradient._version:  # noqa: SLF001 no public name
                hits.append((position, gradient, mark[1]))
        return _sort_hits(hits, present) if hits else None


def _sort_hits(hits: Sequence[tuple[int, Tensor, tuple[ClipCall, ...]]], present: int) -> Clipping:
    """Put together what was found, by call."""
    first = hits[0][2]
    is_all = len(hits) == present
    if (
        is_all
        and first[0].before is None
        and len(first) == 1
        and all(c is first for _, _, c in hits)
    ):
        return Clipping(first, (None,), is_all=first[0].count == present)
    found: dict[ClipCall, list[tuple[int, int]]] = {}
    for position, gradient, calls in hits:
        for call in calls:
            found.setdefault(call, []).append((position, call.where.get(id(gradient), -1)))
    ordered = sorted(found, key=attrgetter("number"))
    members = [
        None if len(found[call]) == present and call.before is None else found[call]
        for call in ordered
    ]
    whole = ordered[0].count == present == len(found[ordered[0]])
    return Clipping(ordered, members, is_all=whole)
