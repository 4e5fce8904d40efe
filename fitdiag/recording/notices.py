"""What the recorder says while a training runs: once, and never as an exception."""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Notices", "RecordingWarning"]


class RecordingWarning(RuntimeWarning):
    """The recorder could not do its work, or not all of it; the training goes on regardless."""


class Notices:
    """Says each sentence once, as a warning, or on stderr where warnings are errors."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, sentence: str, place: tuple[str, int] | None = None) -> None:
        """Say it, unless it has been said; of the line of a file, if that is given."""
        if sentence in self._said:
            return
        self._said.add(sentence)
        try:
            if place is not None:
                warnings.warn_explicit(f"fitdiag: {sentence}", RecordingWarning, *place)
                return
            warnings.warn(f"fitdiag: {sentence}", RecordingWarning, stacklevel=3)
        except Exception:  # noqa: BLE001 an error by a filter, or a fault of what shows warnings
            self._print(sentence)

    def tell_log(self, path: Path, *, failed: bool) -> None:
        """Tell where the log is and how it is read, where stderr is a terminal.

        Parameters
        ----------
        path : Path
            The log, absolute.
        failed : bool
            Whether the training was ended by an exception.
        """
        if sys.stderr is None or not sys.stderr.isatty():
            return
        near = os.path.relpath(path)
        name = str(path) if near.startswith(os.pardir) else near
        what = "the log is complete up to here:" if failed else "the log is"
        self._print(f"{what} {name}; read it by: fitdiag report {shlex.quote(name)}")

    @staticmethod
    def _print(sentence: str) -> None:
        try:
            sys.stderr.write(f"fitdiag: {sentence}\n")
        except (OSError, ValueError, AttributeError):
            return  # no stderr to speak of: a training matters more than our words
