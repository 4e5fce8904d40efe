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
    from fitdiag.fleet import scan, to_frame
    from fitdiag.readers import read, runs
    from fitdiag.recording import GradNorm, Recorder, record
    from fitdiag.recording.checkpoints.averaging import average
    from fitdiag.recording.checkpoints.resuming import resume
    from fitdiag.recording.early_stopping import EarlyStopping
    from fitdiag.report import write_report
    from fitdiag.report.picture import plot
    from fitdiag.run import Curve, Run, Source

__version__ = "0.1.0"

__all__ = [
    "Checkpoint",
    "Config",
    "Curve",
    "Diagnosis",
    "EarlyStopping",
    "Evidence",
    "Finding",
    "FitdiagError",
    "GradNorm",
    "ReadError",
    "Recorder",
    "Run",
    "Severity",
    "Skip",
    "Source",
    "Verdict",
    "__version__",
    "average",
    "diagnose",
    "plot",
    "read",
    "record",
    "resume",
    "runs",
    "scan",
    "to_frame",
    "write_report",
]

_HOMES = {
    "Checkpoint": "findings",
    "Config": "diagnosis",
    "Curve": "run",
    "Diagnosis": "diagnosis",
    "EarlyStopping": "recording.early_stopping",
    "Evidence": "findings",
    "Finding": "findings",
    "FitdiagError": "errors",
    "GradNorm": "recording",
    "ReadError": "errors",
    "Recorder": "recording",
    "Run": "run",
    "Severity": "findings",
    "Skip": "findings",
    "Source": "run",
    "Verdict": "findings",
    "average": "recording.checkpoints.averaging",
    "diagnose": "diagnosis",
    "plot": "report.picture",
    "read": "readers",
    "record": "recording",
    "resume": "recording.checkpoints.resuming",
    "runs": "readers",
    "scan": "fleet",
    "to_frame": "fleet",
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
