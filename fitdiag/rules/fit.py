"""Family FIT: how validation follows training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.findings import Evidence, Severity, Verdict
from fitdiag.rules.base import Case, Outcome, Rule
from fitdiag.run import Run
from fitdiag.signals import median

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "ControlledGap",
    "LossMetricDisagree",
    "NoLearning",
    "NoisyValidation",
    "Overfitting",
    "ValidationBelowTraining",
]

_NO_VAL = "The log has no validation loss."
_BOOK = "Stevens, Antiga & Viehmann (2020), Deep Learning with PyTorch, section 5.5 and figure 5.14"


def _falling(start: float, end: float, n: int = 60, rate: float = 0.1) -> NDArray[np.float64]:
    curve: NDArray[np.float64] = end + (start - end) * np.exp(-rate * np.arange(n))
    return curve


@dataclass(frozen=True, kw_only=True)
class NoLearning(Rule):
    """No learning."""

    code = "FIT001"
    name = "no-learning"
    severity = Severity.ERROR
    what = "Neither the training nor the validation loss falls beyond its noise."
    why = (
        "The model is no better at the end than at the start, or no better than one that gives "
        "every class the same probability. No checkpoint of this run is worth keeping."
    )
    how = (
        "Follows the verdict no_learning: the fall of both denoised losses lies within their "
        "noise, or both end flat at ln C for a whole number of classes C."
    )
    advice = (
        "Try to overfit one small batch first: if the loss does not reach about zero there, look "
        "for a bug in data, labels, loss or the optimizer's parameter list.",
        "Check that loss.backward() and optimizer.step() run, and that zero_grad() does not "
        "stand between them.",
        "Try learning rates ten times larger and ten times smaller.",
        "Normalise the inputs, and look at a few of them next to their labels.",
    )
    references = (
        _BOOK,
        "Karpathy (2019), A Recipe for Training Neural Networks",
    )

    def check(self, case: Case) -> Outcome:
        return _follow_verdict(self, case, Verdict.NO_LEARNING)

    @staticmethod
    def firing() -> Run:
        wave = 0.01 * np.sin(np.arange(40) * 2.4)
        return Run.from_arrays(train_loss=2.30 + wave, val_loss=2.31 + wave[::-1])

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_falling(2.3, 0.4), val_loss=_falling(2.3, 0.5))


@dataclass(frozen=True, kw_only=True)
class Overfitting(Rule):
    """Overfitting."""

    code = "FIT002"
    name = "overfitting"
    severity = Severity.WARNING
    what = "Training loss falls on while validation loss turns up, or never improved at all."
    why = (
        "From the turn on the model learns what is particular to the training data. The last "
        "checkpoint is worse on new data than an earlier one."
    )
    how = (
        "Follows the verdict overfitting: the denoised validation loss ends above its minimum by "
        "more than its noise and by more than a share of what it had gained."
    )
    advice = (
        "Keep the picked checkpoint, not the last, and stop early next time.",
        "Get more training data, or augment what there is.",
        "Regularise: weight decay, dropout, label smoothing, or noise on the inputs.",
        "Use a smaller model; grow it until it fits, then shrink it until it stops overfitting.",
    )
    references = (
        _BOOK,
        "Prechelt (1998), Early Stopping - But When?, doi:10.1007/3-540-49430-8_3",
    )

    def check(self, case: Case) -> Outcome:
        return _follow_verdict(self, case, Verdict.OVERFITTING, _cost)

    @staticmethod
    def firing() -> Run:
        turn = np.maximum(np.arange(60) - 20, 0) * 0.01
        return Run.from_arrays(train_loss=_falling(2.3, 0.02), val_loss=_falling(2.3, 0.5) + turn)

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_falling(2.3, 0.4), val_loss=_falling(2.3, 0.5))


def _follow_verdict(
    rule: Rule, case: Case, verdict: Verdict, add: Callable[[Case], str] | None = None
) -> Outcome:
    """Return the finding that a verdict is, a skip where there is none, or nothing."""
    judgement = case.judgement
    if judgement.verdict is verdict:
        more = add(case) if add is not None else ""
        return rule.found(judgement.reason + more, *judgement.evidence)
    return rule.skip(judgement.reason) if judgement.verdict is Verdict.INCONCLUSIVE else None


def _cost(case: Case) -> str:
    """Say what the last checkpoint costs against the picked one."""
    picked = case.checkpoint
    if picked is None or picked.blind or case.facts.val is None:
        return ""
    last, kept = float(case.facts.val.smooth[-1]), case.facts.val.at(picked.step)
    if last <= kept:
        return ""
    share = f", {(last - kept) / kept:.0%} of it" if kept > 0 else ""
    return (
        f" The last checkpoint's validation loss is {last - kept:.3g} above the kept one's{share}."
    )


@dataclass(frozen=True, kw_only=True)
class ControlledGap(Rule):
    """Controlled gap."""

    code = "FIT003"
    name = "controlled-gap"
    severity = Severity.INFO
    what = "Validation loss follows training loss at a distance."
    why = (
        "A model does better on what it has seen; as long as validation does not turn up, the gap "
        "costs nothing. It says how much more data or regularisation could still bring; a gap "
        "that still grows says that more training of this kind brings little."
    )
    how = "Follows the verdict controlled_gap: the final gap exceeds a share of what was gained."
    advice = (
        "As long as validation does not turn up, nothing has to be done. To narrow the gap, add "
        "data or augmentation, or regularise more.",
    )
    references = (_BOOK,)

    def check(self, case: Case) -> Outcome:
        return _follow_verdict(self, case, Verdict.CONTROLLED_GAP)

    @staticmethod
    def firing() -> Run:
        return Run.from_arrays(train_loss=_falling(2.3, 0.2), val_loss=_falling(2.3, 0.9))

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_falling(2.3, 0.4), val_loss=_falling(2.3, 0.45))


@dataclass(frozen=True, kw_only=True)
class ValidationBelowTraining(Rule):
    """Validation below training."""

    below_share: float = 0.05
    noise_z: float = 3.0

    code = "FIT005"
    name = "validation-below-training"
    severity = Severity.INFO
    what = "Validation loss ends below training loss."
    why = (
        "Usually harmless: training loss is a mean over an epoch in which the model was still "
        "changing, with dropout and augmentation on. It can also mean that the validation set is "
        "easier, or that training samples stand in it."
    )
    how = (
        "The denoised validation loss ends below training by more than below_share of what was "
        "gained and by more than noise_z of the noise."
    )
    advice = (
        "If there is dropout, augmentation or label smoothing in training: expected, do nothing.",
        "Otherwise check that no training sample stands in the validation set.",
    )
    references = (_BOOK,)

    def check(self, case: Case) -> Outcome:
        train, val = case.facts.train, case.facts.val
        if val is None or train is None:
            return self.skip(_NO_VAL)
        if case.judgement.verdict in {Verdict.NO_LEARNING, Verdict.DIVERGED}:
            return None
        share = -case.judgement.feature("gap_share")
        below = float(train.smooth[-1] - val.smooth[-1]) if len(train) and len(val) else 0.0
        noise = median(np.append(train.noise, val.noise)) if len(val) else 0.0
        if not share > self.below_share or below <= self.noise_z * noise:
            return None
        return self.found(
            f"Validation loss ends {below:.3g} below training loss.",
            Evidence(
                curve="val_loss",
                start=float(val.steps[0]),
                end=float(val.steps[-1]),
                value=float(val.smooth[-1]),
                limit=float(train.smooth[-1]),
                label="below training",
            ),
        )

    @staticmethod
    def firing() -> Run:
        return Run.from_arrays(train_loss=_falling(2.3, 0.8), val_loss=_falling(2.3, 0.5))

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_falling(2.3, 0.4), val_loss=_falling(2.3, 0.5))


@dataclass(frozen=True, kw_only=True)
class NoisyValidation(Rule):
    """Validation too noisy."""

    noise_share: float = 0.2

    code = "FIT006"
    name = "noisy-validation"
    severity = Severity.WARNING
    what = "Validation loss jumps so much that single values say little."
    why = (
        "With so much noise the lowest value is luck. The best checkpoint by argmin is then "
        "often not the best model."
    )
    how = "The noise of the validation loss exceeds noise_share of its whole denoised range."
    advice = (
        "Use a larger validation set, or evaluate on several random splits.",
        "Choose by the denoised curve, as the pick does, not by the lowest single value.",
        "If training is as noisy, lower the learning rate or raise the batch size.",
    )
    references = ("Prechelt (1998), Early Stopping - But When?, doi:10.1007/3-540-49430-8_3",)

    def check(self, case: Case) -> Outcome:
        val = case.facts.val
        if val is None:
            return self.skip(_NO_VAL)
        if len(val) < 8:
            return self.skip("Fewer than eight validation points to see noise in.")
        spread = float(val.smooth.max() - val.smooth.min())
        noise = median(val.noise)
        if case.judgement.verdict is Verdict.NO_LEARNING or noise <= self.noise_share * spread:
            return None
        return self.found(
            f"Validation loss jumps by {noise:.3g} from one evaluation to the next, "
            f"while its trend spans only {spread:.3g}.",
            Evidence(
                curve="val_loss",
                start=float(val.steps[0]),
                end=float(val.steps[-1]),
                value=noise,
                limit=self.noise_share * spread,
                label="noise",
            ),
        )

    @staticmethod
    def firing() -> Run:
        noise = np.random.default_rng(0).normal(0, 0.5, 60)
        return Run.from_arrays(train_loss=_falling(2.3, 0.4), val_loss=_falling(2.3, 1.5) + noise)

    @staticmethod
    def quiet() -> Run:
        noise = np.random.default_rng(0).normal(0, 0.02, 60)
        return Run.from_arrays(train_loss=_falling(2.3, 0.4), val_loss=_falling(2.3, 0.5) + noise)


@dataclass(frozen=True, kw_only=True)
class LossMetricDisagree(Rule):
    """Loss and metric disagree."""

    late_share: float = 0.15
    gain_share: float = 0.02
    noise_z: float = 4.0

    code = "FIT007"
    name = "loss-metric-disagree"
    severity = Severity.INFO
    what = "Validation loss turns up while validation accuracy still rises."
    why = (
        "The model still gets better at deciding and worse at saying how sure it is: a matter of "
        "calibration. Which checkpoint is best depends on which of the two you need."
    )
    how = (
        "The verdict is overfitting, and the best denoised accuracy comes later than the onset by "
        "more than late_share of the run and is better than at the onset by more than gain_share "
        "and by noise_z of its standard errors."
    )
    advice = (
        "If only the decision counts, choose the checkpoint by accuracy.",
        "If probabilities count, keep the picked checkpoint, or calibrate by temperature scaling.",
    )
    references = ("Guo et al. (2017), On Calibration of Modern Neural Networks, arXiv:1706.04599",)

    def check(self, case: Case) -> Outcome:
        accuracy = case.facts.accuracy
        if accuracy is None:
            return self.skip("The log has no validation accuracy.")
        onset = case.judgement.onset
        if case.judgement.verdict is not Verdict.OVERFITTING or onset is None:
            return None
        best = int(np.argmax(accuracy.smooth))
        step, value = float(accuracy.steps[best]), float(accuracy.smooth[best])
        first, last = case.facts.run.span
        then = accuracy.at(onset)
        if step - onset <= self.late_share * (last - first):
            return None
        noise = self.noise_z * float(accuracy.error[best])
        if value - then <= max(self.gain_share * max(abs(then), abs(value)), noise):
            return None
        return self.found(
            f"Validation accuracy rose from {then:.4g} to {value:.4g} at {case.when(step)}, "
            f"long after validation loss turned at {case.when(onset)}.",
            Evidence(curve=accuracy.name, start=onset, end=step, value=value - then, label="rise"),
        )

    @staticmethod
    def firing() -> Run:
        turn = np.maximum(np.arange(60) - 15, 0) * 0.02
        return Run.from_arrays(
            train_loss=_falling(2.3, 0.02),
            val_loss=_falling(2.3, 0.5, rate=0.2) + turn,
            val_accuracy=np.linspace(0.3, 0.8, 60),
        )

    @staticmethod
    def quiet() -> Run:
        turn = np.maximum(np.arange(60) - 15, 0) * 0.02
        return Run.from_arrays(
            train_loss=_falling(2.3, 0.02),
            val_loss=_falling(2.3, 0.5, rate=0.2) + turn,
            val_accuracy=0.8 - 0.5 * np.exp(-0.4 * np.arange(60)) - turn / 10,
        )
