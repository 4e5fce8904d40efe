"""What a callback for a trainer is: a recording of each training, one after another."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fitdiag.errors import ExtraError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from fitdiag.recording.framework import FrameworkRun

__all__ = ["TrainerCallback", "derive", "find_package", "name_metrics"]


def find_package(names: Sequence[str], extra: str) -> str:
    """Return the first of these packages that is installed.

    Raises
    ------
    ExtraError
        If none is; the message says how to get it.
    """
    found = next((name for name in names if find_spec(name) is not None), None)
    if found is None or find_spec("torch") is None:
        raise ExtraError(
            f"this callback needs {' or '.join(names)}, which is not installed: "
            f'pip install "fitdiag[{extra}]" and try again'
        )
    return found


@cache
def derive(kind: type, bases: tuple[type, ...]) -> type:
    """Return a class that is both ours and the framework's, which is loaded by then only."""
    return type(kind.__name__, (kind, *bases), {"__module__": kind.__module__})


def name_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics of a validation by column: ``val_loss``, ``val_accuracy`` and so on.

    Parameters
    ----------
    metrics : mapping of str to number
        As the framework calls them, such as ``valid/acc`` or ``eval_loss``.
    """
    classify = import_module("fitdiag.readers.names").classify
    named: dict[str, tuple[int, Any]] = {}
    for name, value in metrics.items():
        told = classify(name)
        if told.split != "val" or told.kind not in {"loss", "metric", "part"}:
            continue
        column = "val_loss" if told.kind == "loss" else f"val_{told.word}"
        if column not in named or told.rank < named[column][0]:
            named[column] = told.rank, value
    return {column: value for column, (_, value) in named.items()}


class TrainerCallback:
    """Begins a recording with each training of a framework, and ends it with it.

    Parameters
    ----------
    log : str or path
        The log of the first training; those after it, unless they continue it, go into
        ``logs-2.csv`` and so on beside it.
    **options
        Further keywords of :func:`fitdiag.record`.
    """

    _kind: type

    def __new__(cls, *_args: Any, **_options: Any) -> TrainerCallback:  # noqa: PYI034 typing.Self begins with Python 3.11
        """Make a callback that also is one of the framework, which is loaded by now."""
        bases = cls._find_bases()
        kind = cls if issubclass(cls, bases) else derive(cls, bases)  # type: ignore[arg-type]
        made: TrainerCallback = object.__new__(kind)
        made._kind = cls
        return made

    @staticmethod
    def _find_bases() -> tuple[type, ...]:
        """Return the framework's own class of callbacks."""
        raise NotImplementedError

    def __init__(self, log: str | os.PathLike[str] = "logs.csv", **options: Any) -> None:
        self._log = log
        self._options = options
        self._number = 0
        self._run: FrameworkRun | None = None

    @property
    def recorder(self) -> Any:
        """The :class:`fitdiag.Recorder` of the training that runs or ran last; None before one."""
        return None if self._run is None else self._run.recorder

    def _begin(self, model: Any, optimizers: Any, *, step: int, epoch: int) -> None:
        """Begin to record a training that has so many steps and epochs behind it."""
        framework = import_module("fitdiag.recording.framework")
        self._end(failed=False)
        self._number += 1 if not step or not self._number else 0
        self._run = framework.FrameworkRun(
            model,
            optimizers,
            log=framework.name_log(self._log, self._number),
            step=step,
            epoch=epoch,
            options=self._options,
        )

    def _end(self, *, failed: bool) -> None:
        if self._run is not None:
            self._run.finish(failed=failed)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how a copy in another process is made: it records nothing of this one."""
        return _remake, (self._kind, self._log, self._options)


def _remake(kind: type, log: str, options: dict[str, Any]) -> object:
    return kind(log, **options)
