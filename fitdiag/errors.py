"""Every error that fitdiag raises on purpose, as one tree.

::

    FitdiagError
    ├── ReadError            a log that cannot be read            exit code 3
    │   ├── FormatError      no reader knows this file            exit code 3
    │   └── ColumnError      the columns cannot be told apart     exit code 3
    ├── CheckpointError      a checkpoint that cannot be loaded   exit code 3
    ├── JudgeError           nothing in the run can be judged     exit code 3
    ├── WriteError           a report that cannot be written      exit code 2
    └── UsageError           an argument that makes no sense      exit code 2
        └── ExtraError       an optional package is missing       exit code 2

A message names the thing, the value and the choices, in one sentence a person can act on.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "CheckpointError",
    "ColumnError",
    "ExtraError",
    "FitdiagError",
    "FormatError",
    "JudgeError",
    "ReadError",
    "UsageError",
    "WriteError",
]


class FitdiagError(Exception):
    """Base of all errors that fitdiag raises on purpose; catching it catches them all."""

    #: what the command line exits with when this error ends a command
    exit_code: ClassVar[int] = 2


class ReadError(FitdiagError):
    """A log that cannot be read: missing, empty, binary, or without a usable curve."""

    exit_code = 3


class FormatError(ReadError):
    """A file whose format no reader recognises."""


class ColumnError(ReadError):
    """A table whose columns cannot be told apart: no train loss, or two columns that claim it."""


class CheckpointError(FitdiagError):
    """A checkpoint that cannot be loaded: missing, damaged, refused, or of another model."""

    exit_code = 3


class JudgeError(FitdiagError):
    """A run in which nothing can be judged."""

    exit_code = 3


class WriteError(FitdiagError):
    """A report that cannot be written, or that would overwrite a file fitdiag did not write."""


class UsageError(FitdiagError):
    """An argument or option that makes no sense; the message lists the choices."""


class ExtraError(UsageError):
    """An optional package that is needed here and not installed; the message says how to get it."""
