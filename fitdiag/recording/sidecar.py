"""What belongs to a recording and is neither numbers nor bulk: one small JSON file beside the log.

Nothing here is on the hot path: what is set or observed waits in memory until the log is flushed.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import fitdiag
from fitdiag.source import META, Observation, find_sibling

__all__ = ["MOST_OBSERVATIONS", "Sidecar"]

#: characters of a file that are read; more is not ours
MOST_CHARACTERS = 1 << 22
#: what each part of a run writes itself
_OWN = frozenset({"format", "fitdiag", "observations"})
#: different observations that are kept, the first ones; of the same one only the count grows
MOST_OBSERVATIONS = 200


class Sidecar:
    """Settings and observations of one recording, written beside its log when they changed.

    Parameters
    ----------
    log : Path
        The log; ``logs.meta.json`` lies beside ``logs.csv``.
    """

    def __init__(self, log: Path) -> None:
        self.path = find_sibling(log, META)
        self._log = log
        self._facts: dict[str, Any] = {}
        self._observations: dict[tuple[str, str], Observation] = {}
        self._changed = False

    def set(self, key: str, value: object) -> None:
        """Keep a fact under a name of its own; plain data, such as JSON holds.

        Parameters
        ----------
        key : str
            For example ``"config"`` or ``"checks"``.
        value : object
            Dicts, lists, strings, numbers; None takes it away again.
        """
        if self._facts.get(key) != value:
            self._facts[key] = value
            self._changed = True

    def get(self, key: str) -> Any:  # noqa: ANN401 what was set
        """Return a fact, or None."""
        return self._facts.get(key)

    def observe(self, observation: Observation) -> None:
        """Keep an observation; the same code at the same place is counted, not kept twice."""
        place = observation.code, observation.where
        known = self._observations.get(place)
        if known is None and len(self._observations) >= MOST_OBSERVATIONS:
            return
        count = observation.count + (known.count if known else 0)
        self._observations[place] = replace(known or observation, count=count)
        self._changed = True

    def write_if_changed(self) -> None:
        """Write the file in one move, if there is anything in it that is new.

        Raises
        ------
        OSError
            If the disk does not take it; the next call tries again.
        """
        if not self._changed:
            return
        text = self._format()
        handle, beside = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 takes a handle
                file.write(text)
            if self._log.exists():
                shutil.copymode(self._log, beside)
            Path(beside).replace(self.path)
        except BaseException:
            with suppress(OSError):
                Path(beside).unlink(missing_ok=True)
            raise
        self._changed = False

    def load(self) -> None:
        """Take over what an earlier part of the run left, but for what is known better by now."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8")[:MOST_CHARACTERS])
            facts = {key: value for key, value in found.items() if key not in _OWN}
            seen = [Observation(**entry) for entry in found.get("observations", [])]
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return  # damaged or gone, and written anew
        self._facts = {**facts, **self._facts}
        for observation in reversed(seen):
            place = observation.code, observation.where
            self._observations = {place: observation, **self._observations}

    def clear(self) -> None:
        """Remove the file of an earlier recording.

        Raises
        ------
        OSError
            If it cannot be removed.
        """
        self.path.unlink(missing_ok=True)

    def _format(self) -> str:
        facts = {key: value for key, value in self._facts.items() if value is not None}
        seen = [_list_fields(observation) for observation in self._observations.values()]
        document = {"format": 1, "fitdiag": fitdiag.__version__, **facts, "observations": seen}
        return json.dumps(_clean(document), indent=1, default=str) + "\n"


def _list_fields(observation: Observation) -> dict[str, Any]:
    plain = {field.name: getattr(observation, field.name) for field in fields(observation)}
    return {**plain, "values": dict(observation.values)}


def _clean(value: Any) -> Any:  # noqa: ANN401 plain data of any shape
    """Return plain data without NaN and infinity, for which strict JSON has no word."""
    if isinstance(value, dict):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    return value
