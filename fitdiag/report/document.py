"""The diagnosis for programs: strict JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fitdiag.report.destination import GENERATOR

if TYPE_CHECKING:
    from fitdiag.diagnosis import Diagnosis

__all__ = ["render_json"]


def render_json(diagnosis: Diagnosis) -> str:
    """Return :meth:`Diagnosis.to_dict` as JSON with the generator added; no NaN, ASCII only.

    Names stand here in full: a program needs them as they are, and ASCII escapes leave nothing in
    them that a terminal or an editor could be misled by.
    """
    document = {"generator": GENERATOR, **diagnosis.to_dict()}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"
