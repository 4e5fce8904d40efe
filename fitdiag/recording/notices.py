"""What the recorder says while a training runs: once, and never as an exception."""

from __future__ import annotations

import sys
import warnings

__all__ = ["Notices", "RecordingWarning"]


class RecordingWarning(RuntimeWarning):
    """The recorder could not do its work, or not all of it; the training goes on regardless."""


class Notices:
    """Says each sentence once, as a warning, or on stderr where warnings are errors."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, sentence: str) -> None:
        """Say it, unless it has been said."""
        if sentence in self._said:
            return
        self._said.add(sentence)
        try:
            warnings.warn(f"fitdiag: {sentence}", RecordingWarning, stacklevel=3)
        except RecordingWarning:
            self._print(sentence)

    @staticmethod
    def _print(sentence: str) -> None:
        try:
            sys.stderr.write(f"fitdiag: {sentence}\n")
        except (OSError, ValueError, AttributeError):
            return  # no stderr to speak of: a training matters more than our words
