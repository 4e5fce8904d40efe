"""Is this training run any good, what went wrong, and which checkpoint do I keep.

>>> import fitdiag
>>> run = fitdiag.read("sample_logs/overfitting_digits.csv")  # doctest: +SKIP
>>> fitdiag.diagnose(run).verdict  # doctest: +SKIP
<Verdict.OVERFITTING: 'overfitting'>

Every public name is loaded when it is first used, so that importing fitdiag costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fitdiag.diagnosis import Config, Diagnosis, diagnose
    from fitdiag.errors import FitdiagError, ReadError
    from fitdiag.findings import Checkpoint, Evidence, Finding, Severity, Skip, Verdict
    from fitdiag.readers import read, runs
    from fitdiag.recording import Recorder, record
    from fitdiag.report import write_report
    from fitdiag.run import Curve, Run, Source

__version__ = "0.1.0"

__all__ = [
    "Checkpoint",
    "Config",
    "Curve",
    "Diagnosis",
    "Evidence",
    "Finding",
    "FitdiagError",
    "ReadError",
    "Recorder",
    "Run",
    "Severity",
    "Skip",
    "Source",
    "Verdict",
    "__version__",
    "diagnose",
    "read",
    "record",
    "runs",
    "write_report",
]

_HOMES = {
    "Checkpoint": "findings",
    "Config": "diagnosis",
    "Curve": "run",
    "Diagnosis": "diagnosis",
    "Evidence": "findings",
    "Finding": "findings",
    "FitdiagError": "errors",
    "ReadError": "errors",
    "Recorder": "recording",
    "Run": "run",
    "Severity": "findings",
    "Skip": "findings",
    "Source": "run",
    "Verdict": "findings",
    "diagnose": "diagnosis",
    "read": "readers",
    "record": "recording",
    "runs": "readers",
    "write_report": "report",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'fitdiag' has no attribute {name!r}")
    value = getattr(import_module(f"fitdiag.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
