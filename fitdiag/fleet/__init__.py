"""The fleet: every run below some folders, diagnosed, one row each.

:mod:`~fitdiag.fleet.finding` lists what may be a log, :mod:`~fitdiag.fleet.examination` reads and
judges one of them, :mod:`~fitdiag.fleet.pool` does so in processes and
:mod:`~fitdiag.fleet.cluster` on many machines, :mod:`~fitdiag.fleet.cache` keeps what did not
change, and :mod:`~fitdiag.fleet.scanning` puts them together.
"""

from __future__ import annotations

from fitdiag.fleet.rows import Row, to_frame
from fitdiag.fleet.scanning import scan

__all__ = ["Row", "scan", "to_frame"]
