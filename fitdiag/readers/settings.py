"""The settings of a run: as they were recorded with it, or as they lie beside its log.

Nothing is executed or unpickled: configuration written in Python, and ``training_args.bin``, are
left alone. What cannot be read is no setting, and never an error: a run is judged without them.
"""

from __future__ import annotations

import json
import os
import re
from functools import lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from fitdiag.readers.scalars import MOST, flatten, read_text_value
from fitdiag.readers.yaml_text import parse_yaml
from fitdiag.run import Run
from fitdiag.source import META, find_sibling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fitdiag.source import Scalar

__all__ = ["find_settings"]

#: a larger file is no configuration
MOST_BYTES = 1 << 20

#: entries of a folder that are looked at, and parameters of an MLflow run
ENTRIES = 20_000

#: folders above the log's that are looked into while each is one in which only logs are kept
CLIMB = 3

#: what configuration files are called, the first that is there and holds anything wins
NAMES = (
    "hparams.yaml",
    "args.yaml",
    "args.json",
    "opt.yaml",
    "hyp.yaml",
    "config.yaml",
    "config.yml",
    "hparams.json",
    "config.json",
    "params.yaml",
    "params.json",
    "training_args.json",
)
#: places below the log's folder: Hydra, then W&B and SwanLab
BELOW = (".hydra/config.yaml", "files/config.yaml")

#: what follows a log's own name in the name of a configuration that is its alone
ENDINGS = (".yaml", ".yml", ".config.json", ".config.yaml", ".args.json", ".hparams.yaml")

#: endings of files, and names of folders, that may hold settings
_ENDINGS = (".yaml", ".yml", ".json")
_FOLDERS = frozenset({"params", ".hydra", "files"})

_LOG_FOLDER = re.compile(
    r"(csv_|lightning_|tb_|wandb_)?logs?|tensorboard|tb|runs?|events|metrics|version_\d+|train|val"
    r"|csv|checkpoints|output|summar(y|ies)",
    re.IGNORECASE,
)
_ASSIGNMENT = re.compile(r"([A-Za-z_][\w.+-]{0,60})=([^=,/]{1,100})")


def find_settings(run: Run | str | os.PathLike[str]) -> dict[str, Scalar]:
    """Return the settings of a run, as far as they are recorded with it or lie beside its log.

    Parameters
    ----------
    run : Run, str or path
        A run that was read, or where its log is: a file, or a folder that is one.

    Returns
    -------
    dict of str to str, int, float, bool or None
        Nested settings have names with dots between. What the log itself holds comes first; then
        what stands in ``logs.yaml`` beside ``logs.csv``; then the first of :data:`NAMES` in the
        log's folder, in ``.hydra`` or ``files`` below it, or above it where the folder only keeps
        logs, such as ``lightning_logs/version_0``; then MLflow's parameters; then ``lr=0.1`` in the
        folders' names. At most 300; names that promise a password or a key are left out.

    Examples
    --------
    >>> find_settings("sweep/lr=0.1,layers=2/logs.csv")
    {'lr': 0.1, 'layers': 2}
    """
    settings: dict[str, Scalar] = {}
    if isinstance(run, Run):
        _merge(settings, flatten(run.source.config))
        place = run.source.path
    else:
        place = os.fspath(run)
    if place and "\0" not in place and "://" not in place:
        path = Path(place)
        if path.name and not isinstance(run, Run):
            _merge(settings, _read_file(find_sibling(path, META)))
        for found in _look_around(path):
            _merge(settings, found)
        _merge(settings, _read_names(path))
    return dict(list(settings.items())[:MOST])


def _merge(settings: dict[str, Scalar], more: Mapping[str, Scalar]) -> None:
    for name, value in more.items():
        settings.setdefault(name, value)


def _look_around(path: Path) -> Iterator[Mapping[str, Scalar]]:
    """Yield what lies beside a log, the nearest first."""
    is_folder = path.is_dir()
    folder = path if is_folder else path.parent
    names = frozenset() if is_folder else _list_folder(folder)
    if names:
        stem = path.stem
        own = {stem + ending for ending in ENDINGS} - {path.name}
        for name in sorted(own & names):
            yield _read_file(folder / name)
    for _ in range(CLIMB + 1):
        found = _read_folder(folder)
        yield found
        if found or not _LOG_FOLDER.fullmatch(folder.name) or folder.parent == folder:
            return
        folder = folder.parent


def _read_folder(folder: Path) -> Mapping[str, Scalar]:
    """Return the settings of the first configuration in a folder that holds any."""
    names = _list_folder(folder)
    if not names:
        return {}
    for name in (*(name for name in NAMES if name in names), *BELOW):
        if "/" in name and name.partition("/")[0] not in names:
            continue
        found = _read_file(folder / name)
        if found:
            return found
    return _read_parameters(folder / "params") if "params" in names else {}


def _list_folder(folder: Path) -> frozenset[str]:
    """Return the names in a folder that may hold settings."""
    try:
        return _list_once(str(folder), folder.stat().st_mtime_ns)
    except (OSError, ValueError):
        return frozenset()


@lru_cache(maxsize=64)
def _list_once(folder: str, modified: int) -> frozenset[str]:  # noqa: ARG001  # part of the key
    """List a folder; kept while it does not change, since many runs may lie in it."""
    kept = set()
    with os.scandir(folder) as entries:
        for _, entry in zip(range(ENTRIES), entries, strict=False):
            name = entry.name
            if name.endswith(_ENDINGS) or name in _FOLDERS:
                kept.add(name)
    return frozenset(kept)


def _read_file(path: Path) -> Mapping[str, Scalar]:
    """Return the settings in a file; nothing where it holds none or cannot be read."""
    try:
        status = path.stat()
        if not path.is_file() or status.st_size > MOST_BYTES:
            return {}
        return _read_once(str(path), status.st_mtime_ns, status.st_size)
    except (OSError, ValueError):
        return {}


@lru_cache(maxsize=32)
def _read_once(path: str, modified: int, size: int) -> Mapping[str, Scalar]:  # noqa: ARG001  # key
    with Path(path).open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    text = data.decode("utf-8", "replace")
    try:
        content = json.loads(text) if path.endswith(".json") else parse_yaml(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return flatten(_unwrap(content))


def _unwrap(content: dict[Any, Any]) -> dict[Any, Any]:
    """Return the values of a W&B or SwanLab configuration, or the settings within a document."""
    inner = content.get("config")
    if content.get("format") == 1 and isinstance(inner, dict):  # fitdiag's own
        return inner
    values = {key: each for key, each in content.items() if _is_wrapped(each)}
    if values:
        return {key: each["value"] for key, each in values.items() if key != "_wandb"}
    return content


def _is_wrapped(value: object) -> bool:
    keys = value.keys() if isinstance(value, dict) else set()
    return "value" in keys and keys <= {"desc", "value", "sort"}


def _read_parameters(folder: Path) -> dict[str, Scalar]:
    """Return the parameters of an MLflow run: a file each, named as the parameter."""
    settings: dict[str, Scalar] = {}
    for at, path in enumerate(_walk(folder, 6)):
        if at >= MOST:
            break
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                settings[path.relative_to(folder).as_posix()] = read_text_value(file.read(1000))
        except OSError:
            continue
    return flatten(settings)


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            listed = [entry for _, entry in zip(range(ENTRIES), entries, strict=False)]
    except OSError:
        return
    for entry in sorted(listed, key=lambda entry: entry.name):
        if entry.is_file():
            yield folder / entry.name
        elif depth and entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name, depth - 1)


def _read_names(path: PurePath) -> dict[str, Scalar]:
    """Return what folders are named after, as Hydra names those of a sweep: ``lr=0.1,layers=2``."""
    found: dict[str, Scalar] = {}
    for part in path.parts[-6:]:
        if "=" not in part:
            continue
        for piece in part.removesuffix(path.suffix if part == path.name else "").split(","):
            match = _ASSIGNMENT.fullmatch(piece.strip())
            if match:
                found[match[1].lstrip("+")] = read_text_value(match[2])
    return flatten(found)
