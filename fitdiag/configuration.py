"""Limits from a file: ``fitdiag.toml``, or ``[tool.fitdiag]`` in ``pyproject.toml``.

::

    [tool.fitdiag]
    ignore = ["LOG004", "LRN"]          # codes or families not to be asked
    [tool.fitdiag.verdict]
    rise_share = 0.08                   # a limit of the verdict
    [tool.fitdiag.pick]
    own_share = 0.0                     # a limit of the checkpoint pick
    [tool.fitdiag.rules.GRD001]
    factor = 20                         # a limit of one rule

In ``fitdiag.toml`` the same tables stand without the ``tool.fitdiag`` in front. A misspelt key is
an error that names the file, the key and the choices.
"""

from __future__ import annotations

import math
import sys
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fitdiag.checkpoint import PickConfig
from fitdiag.diagnosis import Config
from fitdiag.errors import UsageError
from fitdiag.rules import RULES, Rule
from fitdiag.verdict import VerdictConfig

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["find_config", "load_config"]

#: limits of the verdict and the pick that switch something off when they are zero
_MAY_BE_ZERO = frozenset({"own_share", "tie_noise", "min_confidence", "fluctuation", "kept_share"})
_TINY, _MOST = 1e-6, 1e6

Limits = TypeVar("Limits", VerdictConfig, PickConfig, Rule)


def find_config(start: str | os.PathLike[str] = ".") -> Path | None:
    """Return the nearest configuration file in a folder or above it.

    Parameters
    ----------
    start : path, optional
        Where to begin. Default: the current folder.

    Returns
    -------
    Path or None
        ``fitdiag.toml``, or a ``pyproject.toml`` with a ``[tool.fitdiag]`` table.
    """
    folder = Path(start).resolve()
    for place in (folder, *folder.parents):
        if (place / "fitdiag.toml").is_file():
            return place / "fitdiag.toml"
        project = place / "pyproject.toml"
        if project.is_file() and _speaks_of_us(project):
            return project
    return None


def load_config(path: str | os.PathLike[str] | None = None) -> Config:
    """Return the limits of a configuration file.

    Parameters
    ----------
    path : path, optional
        The file. Default: what :func:`find_config` finds, or the built-in limits.

    Returns
    -------
    Config

    Raises
    ------
    UsageError
        If the file cannot be read, or a key or value in it is wrong; it names the choices.
    """
    file = find_config() if path is None else Path(path)
    if file is None:
        return Config()
    tables = _parse(file)
    if file.name == "pyproject.toml":
        tool = _table(file, "tool", tables.get("tool", {}))
        tables = dict(_table(file, "tool.fitdiag", tool.get("fitdiag", {})))
    elif "tool" in tables:
        raise UsageError(
            f"{file}: unknown key 'tool'; in this file the tables stand without tool.fitdiag in "
            "front: write [verdict] for [tool.fitdiag.verdict]"
        )
    _check(file, "", tables, ("select", "ignore", "verdict", "pick", "rules"))
    own = _table(file, "rules", tables.get("rules", {}))
    _check(file, "rules", own, [rule.code for rule in RULES])
    rules = _selected(file, tables)
    return Config(
        verdict=_changed(file, "verdict", VerdictConfig(), tables.get("verdict", {})),
        pick=_changed(file, "pick", PickConfig(), tables.get("pick", {})),
        rules=tuple(
            _changed(file, f"rules.{rule.code}", rule, own.get(rule.code, {})) for rule in rules
        ),
    )


def _speaks_of_us(project: Path) -> bool:
    """Tell whether a pyproject.toml has our table; one that is broken is somebody else's matter."""
    try:
        tool = _parse(project).get("tool")
    except UsageError:
        return False
    return isinstance(tool, dict) and "fitdiag" in tool


def _parse(file: Path) -> dict[str, Any]:
    try:
        tables: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not valid TOML: {error}") from error
    return tables


def _table(file: Path, where: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{file}: {where!r} must be a table, not {value!r}")
    return value


def _check(file: Path, where: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    known = list(known)
    for key in table:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = (
                f"; did you mean {close[0]!r}?" if close else f"; the keys are {', '.join(known)}"
            )
            place = f" in [{where}]" if where else ""
            raise UsageError(f"{file}: unknown key {key!r}{place}{hint}")


def _changed(file: Path, where: str, limits: Limits, value: object) -> Limits:
    """Return limits with those of a table in place of the built-in ones."""
    table = _table(file, where, value)
    _check(file, where, table, [item.name for item in fields(limits)])
    for key, number in table.items():
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise UsageError(f"{file}: {key!r} in [{where}] must be a number, not {number!r}")
        whole = isinstance(getattr(limits, key), int)
        if whole and not isinstance(number, int):
            raise UsageError(f"{file}: {key!r} in [{where}] must be a whole number, not {number!r}")
        least = _least(key, whole=whole, rule=isinstance(limits, Rule))
        if not math.isfinite(number) or number < least:
            raise UsageError(
                f"{file}: {key!r} in [{where}] must be a number of at least {least:g}, not {number}"
            )
    return replace(limits, **table)


def _least(key: str, *, whole: bool, rule: bool) -> float:
    """Return the least value that a limit can have."""
    if key.startswith("trust_"):
        return -_MOST
    if whole:
        return 1
    return 0.0 if rule or key in _MAY_BE_ZERO else _TINY


def _selected(file: Path, tables: Mapping[str, Any]) -> list[Rule]:
    """Return the rules that are selected and not ignored, by code or family."""
    chosen: dict[str, list[str]] = {}
    for key, default in (("select", [""]), ("ignore", [])):
        words = tables.get(key, default)
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise UsageError(f"{file}: {key!r} must be a list of codes or families, not {words!r}")
        for word in words:
            if not any(rule.code.startswith(word) for rule in RULES):
                families = ", ".join(dict.fromkeys(rule.code[:3] for rule in RULES))
                raise UsageError(
                    f"{file}: {key!r} names {word!r}, which is no code or family; "
                    f"the families are {families}"
                )
        chosen[key] = words
    return [
        rule
        for rule in RULES
        if rule.code.startswith(tuple(chosen["select"]))
        and not rule.code.startswith(tuple(chosen["ignore"]))
    ]
