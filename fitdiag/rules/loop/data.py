"""Family LOP: the data that the loop judges by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fitdiag.findings import Severity
from fitdiag.mistakes import ADVICE, MEAN_DIFFERENCE, SHARED_SAMPLES
from fitdiag.rules.base import Case, Outcome, Rule
from fitdiag.rules.loop.observed import find_observation, make_run, report_observation
from fitdiag.source import Observation

if TYPE_CHECKING:
    from fitdiag.run import Run

__all__ = ["ReusedTestSet", "SamplesShared", "UnequalBatches"]


@dataclass(frozen=True, kw_only=True)
class SamplesShared(Rule):
    """The same samples in training and validation."""

    min_share: float = SHARED_SAMPLES

    code = "LOP010"
    name = "samples-shared"
    severity = Severity.ERROR
    what = "Samples of the validation data stand in the training data too."
    why = (
        "The model is judged by what it has learned by heart. Validation loss follows training "
        "loss down while the error on new data may rise."
    )
    how = (
        'With checks="data": fingerprints of the inputs of the first epochs are compared, and at '
        "least min_share of the validation samples are equal, bit by bit, to one that was trained "
        "on. Augmented copies are not seen; data in which many samples are alike are left out."
    )
    advice = ADVICE["LOP010"]
    references = (
        "Barz & Denzler (2020), Do We Train on Test Data?, doi:10.3390/jimaging6060041",
        "Kapoor & Narayanan (2023), Leakage and the reproducibility crisis, "
        "doi:10.1016/j.patter.2023.100804",
    )

    def check(self, case: Case) -> Outcome:
        seen = find_observation(self, case)
        share = seen.values.get("share") if isinstance(seen, Observation) else None
        if isinstance(share, (int, float)) and share < self.min_share:
            return None
        return report_observation(self, case, curve="val_loss")

    @staticmethod
    def firing() -> Run:
        return make_run("LOP010", "40% of the validation samples are in training.", share=0.4)

    @staticmethod
    def quiet() -> Run:
        return make_run("LOP010", "0.1% of the validation samples are in training.", share=0.001)


@dataclass(frozen=True, kw_only=True)
class UnequalBatches(Rule):
    """A mean over batches that are not equal."""

    min_difference: float = MEAN_DIFFERENCE

    code = "LOP011"
    name = "unequal-batches"
    severity = Severity.INFO
    what = "The logged validation loss is a plain mean over batches of unequal size."
    why = (
        "Samples of the last, smaller batch count more than others: the number is noisier, depends "
        "on the batch size, and does not compare with runs that use another."
    )
    how = (
        "The val_loss given to run.log() is the mean of the batches' losses, and differs by at "
        "least min_difference, relatively, from their mean weighted by batch size."
    )
    advice = ADVICE["LOP011"]
    references = ("Cochran (1977), Sampling Techniques, chapter 5: Stratified Random Sampling",)

    def check(self, case: Case) -> Outcome:
        seen = find_observation(self, case)
        values = seen.values if isinstance(seen, Observation) else {}
        logged, weighted = values.get("logged"), values.get("weighted")
        if isinstance(logged, (int, float)) and isinstance(weighted, (int, float)):
            size = max(abs(logged), abs(weighted))
            if abs(logged - weighted) < self.min_difference * size:
                return None
        return report_observation(self, case, curve="val_loss")

    @staticmethod
    def firing() -> Run:
        message = "The logged val_loss is the mean over batches of unequal size."
        return make_run("LOP011", message, logged=0.52, weighted=0.5)

    @staticmethod
    def quiet() -> Run:
        message = "The logged val_loss is the mean over batches of unequal size."
        return make_run("LOP011", message, logged=0.50001, weighted=0.5)


@dataclass(frozen=True, kw_only=True)
class ReusedTestSet(Rule):
    """A test set that is used again and again."""

    code = "LOP012"
    name = "test-reused"
    severity = Severity.WARNING
    what = "The test set is evaluated again and again while the model is trained."
    why = (
        "Whatever is chosen by looking at it, be it an epoch or a setting, is fitted to it. Its "
        "result is no longer one on unseen data."
    )
    how = (
        "run.phase('test') was entered after different steps more often than a few times; once at "
        "the end is what it is for."
    )
    advice = ADVICE["LOP012"]
    references = (
        "Dwork et al. (2015), The reusable holdout, doi:10.1126/science.aaa9375",
        "Hastie, Tibshirani & Friedman (2009), Elements of Statistical Learning, 7.2",
    )

    def check(self, case: Case) -> Outcome:
        return report_observation(self, case, curve="val_loss")

    @staticmethod
    def firing() -> Run:
        return make_run("LOP012", "The test set was evaluated 4 times while training.")

    @staticmethod
    def quiet() -> Run:
        return make_run("LOP012")
