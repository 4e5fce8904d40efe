"""Reading TensorBoard's event files without TensorBoard."""

from __future__ import annotations

from fitdiag.readers.tensorboard.export import TENSORBOARD_CSV, read_export
from fitdiag.readers.tensorboard.reader import TENSORBOARD

__all__ = ["TENSORBOARD", "TENSORBOARD_CSV", "read_export"]
