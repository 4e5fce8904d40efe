"""Family LOP: how validation is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fitdiag.findings import Severity
from fitdiag.mistakes import ADVICE
from fitdiag.rules.base import Case, Outcome, Rule
from fitdiag.rules.loop.observed import find_observation, make_run, report_observation
from fitdiag.source import Observation

if TYPE_CHECKING:
    from fitdiag.run import Run

__all__ = ["ValidationInTrainMode", "ValidationLeak", "ValidationWithGradients"]

_KAPOOR = (
    "Kapoor & Narayanan (2023), Leakage and the reproducibility crisis, "
    "doi:10.1016/j.patter.2023.100804"
)
_LOCAL = "PyTorch documentation, Autograd mechanics: Locally disabling gradient computation"


@dataclass(frozen=True, kw_only=True)
class ValidationLeak(Rule):
    """Training on validation data."""

    code = "LOP001"
    name = "validation-leak"
    severity = Severity.ERROR
    what = "An optimizer step used the gradient of a validation loss."
    why = (
        "The model is trained on the data that should judge it. Its validation loss is too good, "
        "every choice that is made by it is wrong, and nothing in the curves shows it."
    )
    how = (
        "A backward pass reached only losses that were computed under run.phase('val') and the "
        "optimizer stepped; or the same optimizer steps by turns on losses of training mode and "
        "of evaluation mode, without an evaluation before the latter."
    )
    advice = ADVICE["LOP001"]
    references = (_KAPOOR,)

    def check(self, case: Case) -> Outcome:
        return report_observation(self, case, curve="val_loss")

    @staticmethod
    def firing() -> Run:
        return make_run("LOP001", "An optimizer step used the gradient of a validation loss.")

    @staticmethod
    def quiet() -> Run:
        return make_run("LOP001")


@dataclass(frozen=True, kw_only=True)
class ValidationInTrainMode(Rule):
    """Validation in training mode."""

    code = "LOP003"
    name = "validation-in-train-mode"
    severity = Severity.WARNING
    what = "Validation ran with dropout or batch-norm in training mode."
    why = (
        "Dropout makes the validation loss higher and noisy; batch-norm makes it depend on how "
        "the batches are composed, and takes the validation data into its running statistics."
    )
    how = (
        "At two losses without gradients, from forward passes of their own, a dropout or "
        "batch-norm layer was in training mode. Where several passes were averaged, or only some "
        "layers were switched on, as for Monte Carlo dropout, it is only noted."
    )
    advice = ADVICE["LOP003"]
    references = (
        "Srivastava et al. (2014), Dropout, JMLR 15(56)",
        "Ioffe & Szegedy (2015), Batch Normalization, arXiv:1502.03167",
        "Gal & Ghahramani (2016), Dropout as a Bayesian Approximation, arXiv:1506.02142",
    )

    def check(self, case: Case) -> Outcome:
        seen = find_observation(self, case)
        sampled = isinstance(seen, Observation) and seen.values.get("sampled") is True
        severity = Severity.INFO if sampled else None
        return report_observation(self, case, curve="val_loss", severity=severity)

    @staticmethod
    def firing() -> Run:
        return make_run("LOP003", "The validation loss was computed in training mode.")

    @staticmethod
    def quiet() -> Run:
        return make_run("LOP003")


@dataclass(frozen=True, kw_only=True)
class ValidationWithGradients(Rule):
    """Validation that builds a graph for nothing."""

    code = "LOP004"
    name = "validation-with-gradients"
    severity = Severity.INFO
    what = "Validation ran with gradients on, and nothing used them."
    why = (
        "Every activation is kept for a backward pass that never comes: validation takes more "
        "memory and time, or runs out of memory. The numbers are right all the same."
    )
    how = (
        "Two or more losses in a row, from forward passes of their own, could be trained on and "
        "were not before the next step; in training mode this has to happen twice. Losses that "
        "depend on gradients of the inputs are left out."
    )
    advice = ADVICE["LOP004"]
    references = (_LOCAL,)

    def check(self, case: Case) -> Outcome:
        return report_observation(self, case, curve="val_loss")

    @staticmethod
    def firing() -> Run:
        return make_run("LOP004", "The validation loss was computed with gradients on.")

    @staticmethod
    def quiet() -> Run:
        return make_run("LOP004")
