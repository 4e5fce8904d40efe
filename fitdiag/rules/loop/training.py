"""Family LOP: how the loop trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fitdiag.findings import Severity
from fitdiag.mistakes import ADVICE, SMALL_BATCH
from fitdiag.rules.base import Case, Outcome, Rule
from fitdiag.rules.loop.observed import find_observation, make_run, report_observation
from fitdiag.source import Observation

if TYPE_CHECKING:
    from fitdiag.run import Run

__all__ = [
    "GradientsNotZeroed",
    "NeverAGradient",
    "NotInOptimizer",
    "SchedulerFirst",
    "SmallNormBatches",
    "TrainModeOff",
]

_ZERO = "PyTorch documentation, torch.optim.Optimizer.zero_grad"
_ADJUST = "PyTorch documentation, torch.optim: How to adjust learning rate"
_TUTORIAL = "PyTorch tutorials, Optimizing Model Parameters: The Optimization Loop"


@dataclass(frozen=True, kw_only=True)
class GradientsNotZeroed(Rule):
    """Gradients that add up over steps."""

    code = "LOP002"
    name = "gradients-not-zeroed"
    severity = Severity.ERROR
    what = "Gradients are not zeroed between two optimizer steps."
    why = (
        "Each step uses the sum of the gradients of all batches so far: a momentum without end "
        "that grows with the run, overshoots and often diverges."
    )
    how = (
        "Twice in a row, a backward pass began with the very gradients that the step before had "
        "used, not zero, and nothing zeroed them before the next step of the same optimizer. "
        "Several backward passes before one step are accumulation, and fine."
    )
    advice = ADVICE["LOP002"]
    references = (_ZERO,)

    def check(self, case: Case) -> Outcome:
        return report_observation(self, case)

    @staticmethod
    def firing() -> Run:
        return make_run("LOP002", "Gradients were not zeroed between two optimizer steps.")

    @staticmethod
    def quiet() -> Run:
        return make_run("LOP002")


@dataclass(frozen=True, kw_only=True)
class TrainModeOff(Rule):
    """Training that goes on in evaluation mode."""

    code = "LOP005"
    name = "train-mode-off"
    severity = Severity.WARNING
    what = "After an evaluation, training goes on in evaluation mode."
    why = (
        "From then on dropout does nothing, so that the model overfits sooner, and batch-norm uses "
        "statistics that no longer follow the weights."
    )
    how = (
        "An optimizer that stepped in training mode makes two steps after an evaluation with the "
        "model, and its dropout and batch-norm layers, in evaluation mode."
    )
    advice = ADVICE["LOP005"]
    references = (_TUTORIAL,)

    def check(self, case: Case) -> Outcome:
        return report_observation(self, case)

    @staticmethod
    def firing() -> Run:
        return make_run("LOP005", "After an evaluation the training went on in evaluation mode.")

    @staticmethod
    def quiet() -> Run:
        return make_run("LOP005")


@dataclass(frozen=True, kw_only=True)
class SmallNormBatches(Rule):
    """Batch normalisation over few samples."""

    min_batch: int = SMALL_BATCH

    code = "LOP006"
    name = "small-norm-batches"
    severity = Severity.INFO
    what = "Batch-norm is trained with batches that are too small for its statistics."
    why = (
        "Mean and variance over a handful of samples are noisy, and differ from the running ones "
        "that validation uses. On ImageNet the error rises from batches of 16 downwards."
    )
    how = (
        "The first batch-norm layer is given fewer than min_batch samples a batch, in the median; "
        "SyncBatchNorm counts those of all processes."
    )
    advice = ADVICE["LOP006"]
    references = (
        "Wu & He (2018), Group Normalization, arXiv:1803.08494",
        "Ioffe (2017), Batch Renormalization, arXiv:1702.03275",
    )

    def check(self, case: Case) -> Outcome:
        seen = find_observation(self, case)
        batch = seen.values.get("batch") if isinstance(seen, Observation) else None
        if isinstance(batch, (int, float)) and batch >= self.min_batch:
            return None
        return report_observation(self, case)

    @staticmethod
    def firing() -> Run:
        return make_run("LOP006", "Batch-norm takes its statistics from batches of 4.", batch=4)

    @staticmethod
    def quiet() -> Run:
        return make_run("LOP006", "Batch-norm takes its statistics from batches of 32.", batch=32)


@dataclass(frozen=True, kw_only=True)
class NotInOptimizer(Rule):
    """Trainable parameters without an optimizer."""

    code = "LOP007"
    name = "not-in-optimizer"
    severity = Severity.WARNING
    what = "Parameters of the model get gradients, and no optimizer holds them."
    why = (
        "They stay as they were initialised, while the rest of the model learns around them. "
        "Often the optimizer was made before a layer was added, replaced or unfrozen."
    )
    how = (
        "At two looks, at steps that double, parameters with requires_grad have a gradient, are in "
        "none of the optimizers that were seen, and have not changed in between."
    )
    advice = ADVICE["LOP007"]
    references = ("PyTorch documentation, torch.optim: Constructing it",)

    def check(self, case: Case) -> Outcome:
        return report_observation(self, case)

    @staticmethod
    def firing() -> Run:
        return make_run("LOP007", "No optimizer holds head.weight.", parameters=1)

    @staticmethod
    def quiet() -> Run:
        return make_run("LOP007")


@dataclass(frozen=True, kw_only=True)
class NeverAGradient(Rule):
    """Parameters that cannot learn."""

    code = "LOP008"
    name = "never-a-gradient"
    severity = Severity.WARNING
    what = "Parameters that the optimizer holds never get a gradient."
    why = (
        "They cannot learn: a part of forward() is not used, or is cut off by detach(), no_grad() "
        "or a conversion to numpy. Weight decay passes over them, and DDP refuses them."
    )
    how = (
        "Over the first steps of their optimizer, each looked at until there is one, their "
        "gradient was None; frozen parameters are left out."
    )
    advice = ADVICE["LOP008"]
    references = ("PyTorch documentation, Autograd mechanics: Setting requires_grad",)

    def check(self, case: Case) -> Outcome:
        return report_observation(self, case)

    @staticmethod
    def firing() -> Run:
        return make_run("LOP008", "In 100 optimizer steps pooler.weight never gets a gradient.")

    @staticmethod
    def quiet() -> Run:
        return make_run("LOP008")


@dataclass(frozen=True, kw_only=True)
class SchedulerFirst(Rule):
    """A schedule that steps before its optimizer."""

    code = "LOP009"
    name = "scheduler-first"
    severity = Severity.WARNING
    what = "scheduler.step() was called before the first optimizer.step()."
    why = (
        "The first learning rate of the schedule is never used and every later one comes a step "
        "or an epoch too soon: a warm-up starts too high, a decay too early."
    )
    how = (
        "One call of scheduler.step() came before the first step of its optimizer. Several in a "
        "row, which wind an interrupted schedule forward, and steps that a gradient scaler skipped "
        "are not meant."
    )
    advice = ADVICE["LOP009"]
    references = (_ADJUST,)

    def check(self, case: Case) -> Outcome:
        return report_observation(self, case, curve="lr")

    @staticmethod
    def firing() -> Run:
        return make_run("LOP009", "scheduler.step() was called before optimizer.step().")

    @staticmethod
    def quiet() -> Run:
        return make_run("LOP009")
