"""The rules: findings that stand beside the verdict. The tuple below is all of them."""

from __future__ import annotations

from fitdiag.errors import UsageError
from fitdiag.rules.base import Case, Outcome, Rule
from fitdiag.rules.fit import (
    ControlledGap,
    LossMetricDisagree,
    NoisyValidation,
    NoLearning,
    Overfitting,
    ValidationBelowTraining,
)
from fitdiag.rules.gradient import Explosion, LateRise, NonFinite, Spikes, Vanishing
from fitdiag.rules.layers import DeadLayers, DepthVanishing
from fitdiag.rules.learning import (
    Diverged,
    LossSpikes,
    LowLearningRate,
    NeverReduced,
    Oscillation,
    ZeroLearningRate,
)
from fitdiag.rules.log import (
    ConstantCurve,
    IdenticalLosses,
    MaskedNaN,
    NoValidation,
    ReaderNotes,
    ScaleMismatch,
    TooFewPoints,
)
from fitdiag.rules.loop import (
    GradientsNotZeroed,
    NeverAGradient,
    NotInOptimizer,
    ReusedTestSet,
    SamplesShared,
    SchedulerFirst,
    SmallNormBatches,
    TrainModeOff,
    UnequalBatches,
    ValidationInTrainMode,
    ValidationLeak,
    ValidationWithGradients,
)
from fitdiag.rules.scaling import AlwaysClipped, NormProvenance, SkippedSteps
from fitdiag.rules.tasks import TaskImbalance
from fitdiag.rules.trend import SecondDescent, Underfitting, Unfinished

__all__ = ["RETIRED", "RULES", "Case", "Outcome", "Rule", "find_rule"]

RULES: tuple[Rule, ...] = (
    NoLearning(),
    Overfitting(),
    ControlledGap(),
    Unfinished(),
    ValidationBelowTraining(),
    NoisyValidation(),
    LossMetricDisagree(),
    Underfitting(),
    SecondDescent(),
    Explosion(),
    Vanishing(),
    NonFinite(),
    LateRise(),
    Spikes(),
    DepthVanishing(),
    DeadLayers(),
    AlwaysClipped(),
    SkippedSteps(),
    NormProvenance(),
    TaskImbalance(),
    Diverged(),
    Oscillation(),
    NeverReduced(),
    ZeroLearningRate(),
    LowLearningRate(),
    LossSpikes(),
    ValidationLeak(),
    GradientsNotZeroed(),
    ValidationInTrainMode(),
    ValidationWithGradients(),
    TrainModeOff(),
    SmallNormBatches(),
    NotInOptimizer(),
    NeverAGradient(),
    SchedulerFirst(),
    SamplesShared(),
    UnequalBatches(),
    ReusedTestSet(),
    NoValidation(),
    TooFewPoints(),
    IdenticalLosses(),
    ReaderNotes(),
    ConstantCurve(),
    MaskedNaN(),
    ScaleMismatch(),
)

#: codes that once had a rule, and are never given to another
RETIRED: tuple[str, ...] = ()


def find_rule(code: str, rules: tuple[Rule, ...] = RULES) -> Rule:
    """Return the rule of a code or a name, whatever its case.

    Raises
    ------
    UsageError
        If there is none; the message lists the codes.
    """
    wanted = code.strip().lower().replace("_", "-")
    for rule in rules:
        if wanted in {rule.code.lower(), rule.name}:
            return rule
    codes = ", ".join(rule.code for rule in rules)
    raise UsageError(f"there is no rule {code!r}; the codes are {codes}")
