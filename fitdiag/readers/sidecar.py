"""The file beside fitdiag's own log: settings and observations; whatever is wrong is a note."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fitdiag.run import Observation
from fitdiag.source import META, Scalar, find_sibling

if TYPE_CHECKING:
    from pathlib import Path

    from fitdiag.run import Run

__all__ = ["attach_sidecar"]

#: a file larger than this was not written by the recorder
MOST_BYTES = 1 << 22
#: entries that are kept of a list or a mapping
MOST_ENTRIES = 1000
#: characters that are kept of a string
MOST_CHARACTERS = 1000


def attach_sidecar(run: Run, log: Path) -> Run:
    """Return a run with what stands beside its log: settings, watched checks, observations.

    Parameters
    ----------
    run : Run
        As its log gave it.
    log : Path
        The log.

    Returns
    -------
    Run
        The same where nothing stands there. A file that is damaged, too large or something else
        is left out, with a note; it never keeps the log from being read.
    """
    path = find_sibling(log, META)
    try:
        found = _load(path)
    except FileNotFoundError:
        return run
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else type(error).__name__
        note = f"{path.name} beside the log was left out: {reason}."
        source = replace(run.source, notes=(*run.source.notes, note))
        return replace(run, source=source)
    folder = found.get("checkpoints")
    source = replace(
        run.source,
        config=_read_scalars(found.get("config")),
        checks=_read_words(found),
        checkpoints=folder[:MOST_CHARACTERS] if isinstance(folder, str) else "",
    )
    return replace(run, source=source, observations=_read_observations(found))


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
    found = json.loads(data.decode("utf-8"))
    if not isinstance(found, dict) or found.get("format") != 1:
        raise ValueError("it is not what fitdiag writes there")
    return found


def _is_scalar(value: object) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if isinstance(value, int) and value.bit_length() > 64:
        return False
    return value is None or isinstance(value, (str, int, float))


def _cut(value: Scalar) -> Scalar:
    return value[:MOST_CHARACTERS] if isinstance(value, str) else value


def _read_scalars(found: object) -> dict[str, Scalar]:
    if not isinstance(found, dict):
        return {}
    kept = [(key, value) for key, value in found.items() if _is_scalar(value)][:MOST_ENTRIES]
    return {key[:MOST_CHARACTERS]: _cut(value) for key, value in kept}


def _read_words(found: dict[str, Any]) -> tuple[str, ...]:
    checks = found.get("checks")
    words = checks if isinstance(checks, list) else []
    return tuple(word for word in words if isinstance(word, str) and len(word) < 32)[:MOST_ENTRIES]


def _read_observations(found: dict[str, Any]) -> tuple[Observation, ...]:
    given = found.get("observations")
    entries = given[:MOST_ENTRIES] if isinstance(given, list) else []
    return tuple(map(_read_observation, filter(_is_observation, entries)))


def _is_observation(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    return all(isinstance(entry.get(name), str) for name in ("code", "message"))


def _read_observation(entry: dict[str, Any]) -> Observation:
    where, step, count = (entry.get(name) for name in ("where", "step", "count"))
    return Observation(
        code=entry["code"][:MOST_CHARACTERS],
        message=entry["message"][:MOST_CHARACTERS],
        where=where[:MOST_CHARACTERS] if isinstance(where, str) else "",
        step=step if type(step) is int and _is_scalar(step) else None,
        count=count if type(count) is int and 0 < count < 1 << 63 else 1,
        values=_read_scalars(entry.get("values")),
    )
