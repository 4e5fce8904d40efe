"""The parameters of one optimizer, and what is known of their gradients."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING
from weakref import ref

from fitdiag.recording.norms import is_plain, measure_norms, measure_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from torch.optim import Optimizer

    from fitdiag.recording.norms import Norms

__all__ = ["Roster"]

#: steps for which gradients are taken to be of one kind after they were found to be
TRUST = 64
#: norms that are left as single numbers until they are fetched; more are put together at once
LOOSE = 32
#: sets of parameters with a gradient that are remembered; a model has one or two
MOST_PLACES = 64
_has_graph = attrgetter("requires_grad")


class Roster:
    """The parameters of one optimizer, in its order; one object as long as they are the same.

    Parameters
    ----------
    optimizer : Optimizer
        Whose.
    parameters : sequence of Tensor
        All of them.

    Attributes
    ----------
    ids : tuple of int
        Their identities.
    """

    __slots__ = ("_count", "_optimizer", "_places", "_trust", "ids")

    def __init__(self, optimizer: Optimizer, parameters: Sequence[Tensor]) -> None:
        self.ids = tuple(map(id, parameters))
        self._optimizer = ref(optimizer)
        self._trust = 0  # steps for which gradients are still taken to be plain
        self._count = 0  # how many there are then
        self._places: dict[tuple[int, ...], tuple[int, ...]] = {}

    def is_of(self, optimizer: Optimizer, parameters: Sequence[Tensor]) -> bool:
        """Tell whether it is still that of an optimizer."""
        return self._optimizer() is optimizer and len(self.ids) == len(parameters)

    def measure(self, gradients: Sequence[Tensor | None]) -> Norms | None:
        """Measure the gradients, as :func:`~fitdiag.recording.norms.measure_norms` does.

        What kind of gradients there are is looked at only now and then.

        Parameters
        ----------
        gradients : sequence of Tensor or None
            Those of the parameters, in order.
        """
        present = [gradient for gradient in gradients if gradient is not None]
        if not self._trust or len(present) != self._count:
            self._trust = TRUST if present and is_plain(present) else 0
            self._count = len(present)
        if self._trust and True not in map(_has_graph, present):
            self._trust -= 1
            try:
                return self._keep_places(measure_plain(present, gradients, loose=LOOSE))
            except (RuntimeError, TypeError):  # no longer, such as sparse ones all of a sudden
                self._trust = 0
        norms = measure_norms(gradients)
        return norms and self._keep_places(norms)

    def _keep_places(self, norms: Norms) -> Norms:
        """Let norms of the same gradients share one tuple that says which they are."""
        if norms.places is None:
            return norms
        if len(self._places) >= MOST_PLACES:
            self._places.clear()
        return norms._replace(places=self._places.setdefault(norms.places, norms.places))
