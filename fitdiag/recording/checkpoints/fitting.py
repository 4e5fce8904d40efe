"""Whether a checkpoint fits the live objects: all that differs, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from fitdiag.recording.checkpoints.parts import ROLES, Parts, unwrap

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

__all__ = ["compare_weights", "list_misfits", "show_text"]

#: names that are listed of each kind of difference
MOST = 5
#: characters of a name from a file that are shown
_SHOWN = 120
#: what optimizers of torch keep for each element of a parameter
_LIKE_PARAMETERS = {
    "ax",
    "exp_avg",
    "exp_avg_sq",
    "exp_inf",
    "max_exp_avg_sq",
    "momentum_buffer",
    "square_avg",
    "sum",
}


def list_misfits(parts: Parts, found: Mapping[str, Any]) -> str:
    """Return what keeps a state from fitting, in a few sentences; empty if it fits.

    Parameters
    ----------
    parts : Parts
        What it is to be loaded into.
    found : mapping
        What the file holds.
    """
    problems: list[str] = []
    for role in ROLES:
        things = getattr(parts, role)
        if not things:
            continue
        states = _list_states(found.get(role), len(things))
        if states is None:
            problems.append(_say_count(role, len(things), found.get(role)))
            continue
        kinds = found.get("kinds")
        named = kinds.get(role) if isinstance(kinds, Mapping) else None
        for place, (thing, state) in enumerate(zip(things, states, strict=True)):
            label = role if len(things) == 1 else f"{role} {place + 1}"
            kind = named[place] if isinstance(named, list) and len(named) == len(things) else None
            problems += _compare(role, label, thing, state, kind)
    return "; ".join(problems)


def _list_states(state: object, count: int) -> list[Mapping[str, Any]] | None:
    """Return as many states as there are things to load them into, or None."""
    states = [state] if count == 1 else state
    if not isinstance(states, list) or len(states) != count:
        return None
    return states if all(isinstance(one, Mapping) for one in states) else None


def _say_count(role: str, count: int, state: object) -> str:
    kept = "several" if isinstance(state, list) else "none" if state is None else "one"
    return f"{count} {role}{'s' if count > 1 else ''} to be restored, and {kept} in the file"


def _compare(
    role: str,
    label: str,
    thing: Any,  # noqa: ANN401 what has a state
    state: Mapping[str, Any],
    kind: object,
) -> list[str]:
    if role == "model":
        module: nn.Module = unwrap(thing)
        return [f"{label}: {one}" for one in compare_weights(module.state_dict(), state)]
    own = type(thing).__name__
    if isinstance(kind, str) and kind != own:
        return [f"{label} is a {own} here and a {show_text(kind)} in the file"]
    if role == "optimizer":
        return [f"{label}: {one}" for one in _compare_optimizer(thing, state)]
    missing = sorted(set(state) - set(thing.state_dict()))
    return [f"{label} ({own}) has no {_list_some(missing)}"] if missing else []


def compare_weights(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """Return how the weights in a file differ from those of a model, in a few sentences.

    Parameters
    ----------
    here, there : mapping of str to Tensor
        The model's own, and the file's.
    """
    problems = []
    for names, where in (
        ([name for name in here if name not in there], "only the model has"),
        ([name for name in there if name not in here], "only the file has"),
    ):
        if names:
            problems.append(f"{where} {_list_some(names)}")
    pairs = {name: (here[name], there[name]) for name in here if name in there}
    shapes = [
        f"{name} {_describe(one)} against {_describe(other)}"
        for name, (one, other) in pairs.items()
        if isinstance(one, Tensor) and _describe(one) != _describe(other)
    ]
    if shapes:
        problems.append(f"shapes differ (model against file): {_list_some(shapes)}")
    return problems


def _describe(value: object) -> str:
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    return "x".join(map(str, value.shape)) or "a single number"


def _list_some(names: Sequence[object]) -> str:
    shown = [show_text(name) for name in names[:MOST]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def show_text(text: object) -> str:
    """Return what stands in a file as it may be shown: short, on one line, without escapes."""
    whole = str(text)[:_SHOWN]
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in whole)


def _compare_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> list[str]:
    groups, kept = state.get("param_groups"), state.get("state")
    if not isinstance(groups, list) or not isinstance(kept, Mapping):
        return ["the file holds no state of an optimizer"]
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    given = [_read_places(group) for group in groups]
    if [len(places) for places in given] != sizes:
        there = [len(places) for places in given]
        return [f"groups of {sizes[:MOST]} parameters here and {there[:MOST]} in the file"]
    places = [place for group in given for place in group]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    wrong = [
        f"{name} of parameter {place} is {_describe(value)} for {_describe(parameter)}"
        for place, parameter in zip(places, parameters, strict=True)
        for name, value in _read_tensors(kept.get(place)).items()
        if name in _LIKE_PARAMETERS and value.shape != parameter.shape
    ]
    return [_list_some(wrong)] if wrong else []


def _read_places(group: object) -> list[Any]:
    places = group.get("params") if isinstance(group, Mapping) else None
    whole = isinstance(places, list) and all(isinstance(place, int) for place in places)
    return places if isinstance(places, list) and whole else []


def _read_tensors(state: object) -> dict[str, Tensor]:
    given = state if isinstance(state, Mapping) else {}
    return {str(name): value for name, value in given.items() if isinstance(value, Tensor)}
