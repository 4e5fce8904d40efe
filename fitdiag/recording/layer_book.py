"""The norms of single layers over the run, in a table of bounded size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fitdiag.recording.events import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from fitdiag.recording.layer_columns import Columns

    Array = NDArray[np.float64]
    Places = NDArray[np.intp]

__all__ = ["LayerBook"]

#: rows of the table, at most; then each two become one
MOST_ROWS = 256
#: what stands where a layer had no gradient
NONE = -1.0


class LayerBook:
    """Keeps the largest norm of each layer within windows of steps.

    The windows are one step long at first. When there are too many, each two become one, so that
    there are always between half of :data:`MOST_ROWS` and all of them, however long the run. Of a
    window the largest norm is kept: an explosion that lasted for one step stays to be seen, and a
    zero says that there was no gradient in all of it. A norm that is NaN makes its window NaN.

    Parameters
    ----------
    columns : Columns
        Which parameter belongs to which layer.

    Attributes
    ----------
    stride : int
        Steps of a window, a power of two.
    last : int
        The last step that was taken.
    """

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.stride = 1
        self.last = 0
        self._keys = np.zeros(0, dtype=np.int64)  # which window, in order
        self._table = np.zeros((0, len(columns.names)))

    def __len__(self) -> int:
        return int(self._keys.size)

    def list_rows(self, start: int = 0) -> list[tuple[int, list[float]]]:
        """Return the last step of each window from one on, and the norm of each layer."""
        ends = np.minimum((self._keys[start:] + 1) * self.stride, self.last)
        return list(zip(ends.tolist(), self._table[start:].tolist(), strict=True))

    def take(self, events: Iterable[object]) -> None:
        """Take the steps among these events, whose numbers are known, in order."""
        steps = [event for event in events if isinstance(event, Step) and _is_whole(event)]
        if not steps:
            return
        numbers = np.unique([step.number or 0 for step in steps])
        table = np.full((numbers.size, len(self.columns.names)), NONE)
        alike: dict[tuple[int, int], list[Step]] = {}
        for step in steps:
            alike.setdefault((id(step.roster), id(step.places)), []).append(step)
        for group in alike.values():
            self._fill(table, numbers, group)
        self._add(numbers, table)

    def _fill(self, table: Array, numbers: NDArray[np.int64], steps: Sequence[Step]) -> None:
        """Put steps of one optimizer, with gradients for the same parameters, into a table."""
        roster, places = steps[0].roster, steps[0].places
        ids = roster.ids if roster is not None else ()
        found = self._order(ids if places is None else [ids[at] for at in places])
        if found is None:
            return
        order, starts, columns = found
        norms = np.array([step.row for step in steps], dtype=np.float64)[:, order]
        if order.size > starts.size:  # several gradients share a column
            with np.errstate(over="ignore"):
                norms = np.sqrt(np.add.reduceat(norms**2, starts, axis=1))
        rows = np.searchsorted(numbers, [step.number or 0 for step in steps])
        at = np.ix_(rows, columns)
        before = table[at]  # another optimizer may have a part of the layer
        table[at] = np.where(before < 0, norms, np.hypot(before, norms))

    def _order(self, ids: Sequence[int]) -> tuple[Places, Places, Places] | None:
        """Return how the elements of a row are put together: sorted by column, and where cut."""
        places = self.columns.places
        columns = np.array([places.get(key, -1) for key in ids])
        order = np.argsort(columns, kind="stable")
        order = order[columns[order] >= 0]
        if not order.size:
            return None
        kept, starts = np.unique(columns[order], return_index=True)
        return order, starts, kept

    def _add(self, numbers: NDArray[np.int64], table: Array) -> None:
        """Take the norms of some steps, in order."""
        self.last = max(self.last, int(numbers[-1]))
        latest = int(self._keys[-1]) if self._keys.size else 0
        keys = np.maximum((numbers - 1) // self.stride, latest)
        self._merge(np.append(self._keys, keys), np.concatenate((self._table, table)))
        while len(self) > MOST_ROWS:
            self.stride *= 2
            self._merge(self._keys // 2, self._table)

    def _merge(self, keys: NDArray[np.int64], table: Array) -> None:
        """Make one row of all that belong to one window."""
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        self._keys, self._table = keys[starts], np.maximum.reduceat(table, starts, axis=0)

    def restore(self, rows: Sequence[tuple[int, Sequence[float]]], stride: int) -> None:
        """Begin with the windows of an earlier recording.

        Parameters
        ----------
        rows : sequence of (int, sequence of float)
            As :meth:`list_rows` gives them.
        stride : int
            Steps of a window.
        """
        if rows:
            ends = np.array([end for end, _ in rows], dtype=np.int64)
            self.stride, self.last = stride, int(ends[-1])
            self._merge((ends - 1) // stride, np.array([row for _, row in rows]))


def _is_whole(step: Step) -> bool:
    """Tell whether the norms of single layers are known here, and to which step they belong."""
    return bool(step.row) and bool(step.number) and step.weights is None
