"""What the report of each run is called."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fitdiag.fleet.rows import Row

__all__ = ["report_name"]

#: characters of a run's name that its report's name keeps
LONGEST = 60


def report_name(row: Row) -> str:
    """Return the file name of a run's report: readable, and unlike that of any other run.

    Examples
    --------
    >>> from fitdiag.fleet.rows import Row
    >>> report_name(Row(path="runs/a/logs.csv", name="a/logs.csv"))
    'a-logs.csv-2dfc088b7b.html'
    """
    words = re.sub(r"[^A-Za-z0-9._]+", "-", row.name).strip("-.")[-LONGEST:]
    digest = hashlib.blake2b(f"{row.path}\n{row.run}".encode(), digest_size=5).hexdigest()
    return f"{words or 'run'}-{digest}.html"
