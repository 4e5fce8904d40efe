"""Family FIT: the trend of a run, where it still goes and where it turned before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.findings import Evidence, Severity, Verdict
from fitdiag.rules.base import Case, Outcome, Rule
from fitdiag.run import Run
from fitdiag.signals import median, prominences

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fitdiag.signals import Signal

__all__ = ["SecondDescent", "Underfitting", "Unfinished"]

_BOOK = "Stevens, Antiga & Viehmann (2020), Deep Learning with PyTorch, section 5.5 and figure 5.14"


def _falling(start: float, end: float, n: int = 60, rate: float = 0.1) -> NDArray[np.float64]:
    curve: NDArray[np.float64] = end + (start - end) * np.exp(-rate * np.arange(n))
    return curve


def _late_fall(signal: Signal, share: float) -> tuple[float, float, float]:
    """Return where the last share of the run begins, the fall since, and its standard error."""
    begin = float(signal.steps[-1] - share * (signal.steps[-1] - signal.steps[0]))
    error = median(signal.noise) / math.sqrt(max(1.0, share * len(signal)))
    return begin, signal.at(begin) - float(signal.smooth[-1]), error


def _outlook(signal: Signal, share: float, gain: float) -> str:
    """Say what going on for as long again would gain if the fall goes on slowing as it did."""
    span = float(signal.steps[-1] - signal.steps[0])
    begin = float(signal.steps[-1]) - share * span
    before = signal.at(begin - share * span) - signal.at(begin)
    ratio = min(gain / before, 1.0) if before > 0 else 1.0
    return f" Another {share:.0%} at this pace would gain about {gain * ratio:.3g} more."


@dataclass(frozen=True, kw_only=True)
class Unfinished(Rule):
    """Unfinished training."""

    tail_share: float = 0.2
    gain_share: float = 0.03
    noise_z: float = 3.0

    code = "FIT004"
    name = "unfinished"
    severity = Severity.INFO
    what = "Validation loss (without one: training loss) was still falling when the run ended."
    why = "A longer run would probably have given a better model for the same setup."
    how = (
        "The denoised loss fell over the last tail_share of the run by more than gain_share of "
        "its whole fall, and by more than noise_z of its noise."
    )
    advice = (
        "Train longer: resume from the last checkpoint.",
        "If time is short, raise the learning rate or use a schedule that ends with the run.",
    )
    references = (_BOOK,)

    def check(self, case: Case) -> Outcome:
        verdict = case.judgement.verdict
        if verdict in {Verdict.DIVERGED, Verdict.NO_LEARNING, Verdict.OVERFITTING}:
            return None
        signal = case.facts.val or case.facts.train
        if signal is None or len(signal) < 5:
            return self.skip("Fewer than five points to see a trend in.")
        begin, gain, error = _late_fall(signal, self.tail_share)
        before, end = signal.at(begin), float(signal.smooth[-1])
        whole = float(signal.smooth[0]) - end
        if gain <= self.noise_z * error or gain <= self.gain_share * whole:
            return None
        which = "Validation" if signal is case.facts.val else "Training"
        return self.found(
            f"{which} loss was still falling at the end: from {before:.4g} to {end:.4g} "
            f"over the last {self.tail_share:.0%} of the run."
            + _outlook(signal, self.tail_share, gain),
            Evidence(
                curve=signal.name,
                start=begin,
                end=float(signal.steps[-1]),
                value=gain,
                limit=self.gain_share * whole,
                label="fall at the end",
            ),
        )

    @staticmethod
    def firing() -> Run:
        line = np.linspace(2.3, 1.0, 40)
        return Run.from_arrays(train_loss=line, val_loss=line + 0.05)

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_falling(2.3, 0.4), val_loss=_falling(2.3, 0.5))


@dataclass(frozen=True, kw_only=True)
class Underfitting(Rule):
    """Underfitting."""

    fall_share: float = 0.3
    tail_share: float = 0.3
    flat_share: float = 0.01

    code = "FIT008"
    name = "underfitting"
    severity = Severity.INFO
    what = "Both losses stopped falling early, at a level not far below where they began."
    why = (
        "Validation keeps up with training, so the model could take more: it is too small, too "
        "strongly regularised, or badly optimised. Or the rest of the loss cannot be learned, as "
        "with noisy labels or in language; only a larger model tells."
    )
    how = (
        "The verdict is ideal, a positive training loss fell by less than fall_share of its start, "
        "and by less than flat_share of that fall over the last tail_share of the run."
    )
    advice = (
        "Use a larger model until it overfits, then regularise.",
        "Weaken weight decay, dropout and augmentation.",
        "Try another learning rate and a schedule; look at whether the inputs say enough.",
    )
    references = (
        "Goodfellow, Bengio & Courville (2016), Deep Learning, section 5.2",
        "Karpathy (2019), A Recipe for Training Neural Networks",
    )

    def check(self, case: Case) -> Outcome:
        train = case.facts.train
        if train is None:
            return self.skip("The log has no training loss.")
        if case.judgement.verdict is not Verdict.IDEAL or len(train) < 8:
            return None
        start, end = float(train.values[0]), float(train.smooth[-1])
        begin, late, _ = _late_fall(train, self.tail_share)
        fall = start - end
        if end <= 0 or fall >= self.fall_share * start or late >= self.flat_share * fall:
            return None
        return self.found(
            f"Training loss stopped falling at {end:.4g}, only {fall / start:.0%} below its start, "
            "and validation keeps up: the model may be too small.",
            Evidence(
                curve=train.name,
                start=begin,
                end=float(train.steps[-1]),
                value=end,
                limit=(1 - self.fall_share) * start,
                label="plateau",
            ),
        )

    @staticmethod
    def firing() -> Run:
        return Run.from_arrays(
            train_loss=_falling(2.3, 1.9, rate=0.3), val_loss=_falling(2.3, 1.91, rate=0.3)
        )

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_falling(2.3, 0.4), val_loss=_falling(2.3, 0.5))


@dataclass(frozen=True, kw_only=True)
class SecondDescent(Rule):
    """Second descent."""

    hump_share: float = 0.1
    noise_z: float = 5.0

    code = "FIT009"
    name = "second-descent"
    severity = Severity.INFO
    what = "Validation loss rose for a while and then fell below its first minimum."
    why = (
        "An early stop at the first rise would have missed the better model. It happens with "
        "noisy labels and large models, at drops of the learning rate, and after warm restarts."
    )
    how = (
        "The denoised validation loss has a hump whose prominence exceeds hump_share of its whole "
        "fall and noise_z standard errors, and ends its second descent below the first minimum."
    )
    advice = (
        "Keep the checkpoint of the second minimum, as the pick does.",
        "Give early stopping a patience that spans the hump.",
    )
    references = ("Nakkiran et al. (2020), Deep Double Descent, arXiv:1912.02292",)

    def check(self, case: Case) -> Outcome:
        val = case.facts.val
        if val is None:
            return self.skip("The log has no validation loss.")
        smooth = val.smooth
        if len(val) < 8 or case.judgement.verdict in {Verdict.DIVERGED, Verdict.NO_LEARNING}:
            return None
        limit = self.hump_share * float(smooth[0] - smooth.min())
        above = smooth - np.minimum.accumulate(smooth)
        local = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:])
        peaks = np.flatnonzero(local & (above[1:-1] > limit)) + 1
        if not peaks.size:
            return None
        heights = prominences(smooth, peaks)
        best = int(np.argmax(heights))
        hump, height = int(peaks[best]), float(heights[best])
        first, second = float(smooth[:hump].min()), float(smooth[hump:].min())
        limit = max(limit, self.noise_z * float(val.error[hump]))
        if height <= limit or second >= first - float(val.error[hump]):
            return None
        return self.found(
            f"Validation loss rose to {smooth[hump]:.4g} at {case.when(float(val.steps[hump]))} "
            f"and then fell from there below its first minimum, {first:.4g}, to {second:.4g}.",
            Evidence(
                curve=val.name,
                start=float(val.steps[int(np.argmin(smooth[:hump]))]),
                end=float(val.steps[hump + int(np.argmin(smooth[hump:]))]),
                value=height,
                limit=limit,
                label="hump",
            ),
        )

    @staticmethod
    def firing() -> Run:
        hump = 0.9 * np.exp(-0.5 * ((np.arange(80) - 30) / 6) ** 2)
        return Run.from_arrays(
            train_loss=_falling(2.3, 0.1, 80, 0.05), val_loss=_falling(2.3, 0.4, 80, 0.05) + hump
        )

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_falling(2.3, 0.4), val_loss=_falling(2.3, 0.5))
