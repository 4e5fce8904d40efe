"""Epochs that are counted, and a bar that shows them on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Epochs", "Progress"]

_SHOWN = (("train", "train_loss"), ("val", "val_loss"), ("norm", "grad_norm"))


class Epochs(Iterator[int]):
    """Yields epoch numbers, and calls back where each begins or ends.

    Parameters
    ----------
    count : int
        How many.
    tell : callable
        Called before the first epoch and after each: ``count - first + 1`` times in all.
    first : int, optional
        The first of them. Default: 0.
    """

    def __init__(self, count: int, tell: Callable[[], None], *, first: int = 0) -> None:
        self._count = count
        self._tell = tell
        self._first = self._next = first

    def __len__(self) -> int:
        return self._count - self._first

    def __next__(self) -> int:
        if self._next <= self._count:
            self._tell()
        if self._next >= self._count:
            self._next = self._count + 1
            raise StopIteration
        self._next += 1
        return self._next - 1


class Progress:
    """Shows how many epochs are complete, how long the rest takes, and the newest numbers.

    Parameters
    ----------
    total : int
        Epochs in all.
    show : bool or None
        Whether to draw; None to draw where stderr is a terminal.
    """

    def __init__(self, total: int, *, show: bool | None = None) -> None:
        self._bar: Any = None
        terminal = sys.stderr is not None and sys.stderr.isatty()
        if total > 0 and (terminal if show is None else show and terminal):
            from click import progressbar  # only where there is something to draw on

            self._bar = progressbar(
                length=total,
                label="epochs",
                file=sys.stderr,
                show_pos=True,
                item_show_func=lambda text: text,
                update_min_steps=max(1, total // 1000),
            )
            self._bar.__enter__()

    def advance(self, numbers: Mapping[str, float]) -> None:
        """Count one more epoch and show these numbers; a terminal that fails is left alone."""
        if self._bar is None:
            return
        try:
            parts = (f"{word} {numbers[name]:.4g}" for word, name in _SHOWN if name in numbers)
            self._bar.update(1, " ".join(parts))
        except Exception:  # noqa: BLE001 a bar is not worth a training
            self.close()

    def close(self) -> None:
        """Leave the terminal in order, with its cursor, as far as it answers."""
        bar, self._bar = self._bar, None
        if bar is not None:
            with suppress(Exception):
                bar.__exit__(None, None, None)
