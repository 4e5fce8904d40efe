"""Where a run comes from, and what was noted about it besides its curves."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "LAYERS",
    "META",
    "SUPERSEDED",
    "Observation",
    "Scalar",
    "Source",
    "find_sibling",
    "is_sibling",
]

#: what a setting or a number in an observation may be
Scalar = str | int | float | bool | None

#: ending of the file beside a log that holds its settings and observations
META = ".meta.json"
#: ending of the file beside a log that holds the norms of single layers
LAYERS = ".layers.csv"
#: ending of the file beside a log that holds the rows that a resumed training did again
SUPERSEDED = ".superseded.csv"


def find_sibling(log: Path, ending: str) -> Path:
    """Return the path of a file that belongs to a log: ``logs.meta.json`` beside ``logs.csv``.

    Examples
    --------
    >>> from pathlib import Path
    >>> find_sibling(Path("out/logs.csv"), META).as_posix()
    'out/logs.meta.json'
    """
    return log.with_name((log.stem or log.name) + ending)


def is_sibling(name: str) -> bool:
    """Tell whether a file belongs to a log by its name, and is no log itself."""
    return name.endswith((META, LAYERS, SUPERSEDED))


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Something that was seen while a training ran, and that no curve shows.

    Parameters
    ----------
    code : str
        The rule that it belongs to, for example ``"LOP001"``.
    message : str
        What was seen, in one sentence.
    where : str, optional
        File and line of the user's code, for example ``"train.py:31"``.
    step : int, optional
        Optimizer step at which it was first seen.
    count : int, optional
        How often it was seen. Default: 1.
    values : mapping of str to str, int, float, bool or None, optional
        Numbers that tell how bad it is.
    """

    code: str
    message: str
    where: str = ""
    step: int | None = None
    count: int = 1
    values: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a run comes from, and what had to be decided while it was read.

    Parameters
    ----------
    path : str, optional
        The file or folder as it was given; empty for a run made in Python.
    format : str, optional
        Name of the reader, for example ``"native"`` or ``"csv"``.
    columns : mapping of str to str, optional
        Canonical curve name to the log's own column.
    notes : tuple of str, optional
        One sentence for each thing a reader had to decide or drop.
    provenance : mapping of str to str, optional
        Of what kind a curve's values are, by canonical name, in words such as ``"pre-clip"``,
        ``"post-clip"``, ``"scaled"``, ``"local"``; nothing where the log does not tell.
    config : mapping of str to str, int, float, bool or None, optional
        The settings of the training, as ``record(config=...)`` was told them.
    checks : tuple of str, optional
        Codes of the checks that watched the training; empty where nothing watched.
    checkpoints : str, optional
        The folder of the training's checkpoints, as a path from the log; empty where none is known.
    """

    path: str = ""
    format: str = "python"
    columns: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Scalar] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    checkpoints: str = ""
