"""Which gradients stand in which column of the layers' file."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from fitdiag.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import nn

__all__ = ["Columns", "choose_columns"]

#: columns of the file, at most; where there are more parameters, neighbours share one
MOST_COLUMNS = 256
#: what wraps a model, and says nothing about its layers
_WRAPPERS = ("module.", "_orig_mod.")
_UNCLEAN = str.maketrans(dict.fromkeys(",;\"'\n\r\t", "_"))


class Columns(NamedTuple):
    """The columns of the layers' file."""

    #: in order, usually from input to output
    names: tuple[str, ...]
    #: id of a parameter to its column
    places: dict[int, int]


def choose_columns(models: Sequence[nn.Module], layers: object) -> Columns | None:
    """Choose the columns for the parameters of some models.

    Parameters
    ----------
    models : sequence of Module
        The names of several begin with that of their class.
    layers : bool, str or iterable of str
        False for none. True for a column for each parameter, or, where there are too many, for
        each module. A pattern such as ``"encoder.*"`` for a column for each part of that name:
        ``*`` stands for anything between two dots, and a part may be a parameter or a module.

    Raises
    ------
    UsageError
        If it is something else, or a pattern fits no parameter.
    """
    if layers is False:
        return None
    named = {id(parameter): name for name, parameter in _list_parameters(models)}
    if layers is True:
        return _number(_shorten(named))
    patterns = [layers] if isinstance(layers, str) else layers
    if not isinstance(patterns, Iterable):
        raise UsageError(f"layers is {layers!r}: pass True, False, a pattern or several")
    chosen: dict[int, str] = {}
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise UsageError(f"layers has {pattern!r} in it: pass patterns such as 'encoder.*'")
        found = {key: part for key, name in named.items() if (part := _match(name, pattern))}
        if not found:
            known = next(iter(named.values()), "no parameter at all")
            raise UsageError(
                f"layers={pattern!r} fits no parameter: the model has, for example, {known}"
            )
        chosen = {**found, **chosen}
    return _number(_shorten({key: chosen[key] for key in named if key in chosen}))


def _list_parameters(models: Sequence[nn.Module]) -> Iterator[tuple[str, nn.Parameter]]:
    kinds = [type(model).__name__ for model in models]
    for at, model in enumerate(models):
        prefix = ""
        if len(models) > 1:
            prefix = kinds[at] + (f".{at}." if kinds.count(kinds[at]) > 1 else ".")
        for name, parameter in model.named_parameters():
            short = name
            for wrapper in _WRAPPERS:
                short = short.removeprefix(wrapper)
            yield (prefix + short).translate(_UNCLEAN).strip() or "_", parameter


def _match(name: str, pattern: str) -> str:
    """Return the part of a name, from its beginning, that a pattern stands for, or nothing."""
    wanted = pattern.split(".")
    parts = name.split(".")[: len(wanted)]
    fits = len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
    return ".".join(parts) if fits else ""


def _shorten(named: dict[int, str]) -> dict[int, str]:
    """Let parameters share names until there are few enough: by module, by outer module."""
    depth = max((name.count(".") for name in named.values()), default=0)
    while len(set(named.values())) > MOST_COLUMNS and depth:
        named = {key: ".".join(name.split(".")[:depth]) for key, name in named.items()}
        depth -= 1
    names = [name for name, _ in groupby(named.values())]
    if len(names) <= MOST_COLUMNS:
        return named
    size = -(-len(names) // MOST_COLUMNS)
    runs = [names[at : at + size] for at in range(0, len(names), size)]
    shared = {name: f"{run[0]}..{run[-1]}" for run in runs for name in run}
    return {key: shared[name] for key, name in named.items()}


def _number(named: dict[int, str]) -> Columns:
    names = tuple(dict.fromkeys(named.values()))
    places = {name: at for at, name in enumerate(names)}
    return Columns(names, {key: places[name] for key, name in named.items()})
