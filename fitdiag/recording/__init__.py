"""Recording: the only rooms that import torch; everything that goes around a training loop.

The flow, hot to cold: ``intake`` (hooks append events, nothing is fetched) → ``transfer`` (device
numbers fetched in batches) → ``timeline`` (events become rows, plain Python) → ``delivery`` (rows
wait for the disk) → ``writer`` (rows become lines of the log). ``flow`` says when, and
:class:`~fitdiag.recording.recorder.Recorder` holds them together.
"""

from __future__ import annotations

from importlib.util import find_spec

from fitdiag.errors import ExtraError

if find_spec("torch") is None:
    raise ExtraError('recording needs PyTorch: pip install "fitdiag[torch]" and try again')

from fitdiag.recording.entrance import record
from fitdiag.recording.gradnorm import GradNorm
from fitdiag.recording.notices import RecordingWarning
from fitdiag.recording.recorder import Recorder

__all__ = ["GradNorm", "Recorder", "RecordingWarning", "record"]
