"""Family LOP: mistakes of the training loop, as ``fitdiag.record`` saw them happen."""

from __future__ import annotations

from fitdiag.rules.loop.data import ReusedTestSet, SamplesShared, UnequalBatches
from fitdiag.rules.loop.training import (
    GradientsNotZeroed,
    NeverAGradient,
    NotInOptimizer,
    SchedulerFirst,
    SmallNormBatches,
    TrainModeOff,
)
from fitdiag.rules.loop.validation import (
    ValidationInTrainMode,
    ValidationLeak,
    ValidationWithGradients,
)

__all__ = [
    "GradientsNotZeroed",
    "NeverAGradient",
    "NotInOptimizer",
    "ReusedTestSet",
    "SamplesShared",
    "SchedulerFirst",
    "SmallNormBatches",
    "TrainModeOff",
    "UnequalBatches",
    "ValidationInTrainMode",
    "ValidationLeak",
    "ValidationWithGradients",
]
