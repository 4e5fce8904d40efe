"""Family LRN: learning rate and schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.findings import Evidence, Severity, Verdict
from fitdiag.rules.base import Case, Outcome, Rule
from fitdiag.run import Run
from fitdiag.signals import median, rank_correlation

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Diverged",
    "LossSpikes",
    "LowLearningRate",
    "NeverReduced",
    "Oscillation",
    "ZeroLearningRate",
]

_BENGIO = "Bengio (2012), Practical Recommendations for Gradient-Based Training, arXiv:1206.5533"
_NO_LR = "The log has no learning rate."


def _noisy(n: int, end: float, jumps: float) -> NDArray[np.float64]:
    fall: NDArray[np.float64] = end + (2.3 - end) * np.exp(-0.2 * np.arange(n))
    noise: NDArray[np.float64] = jumps * np.random.default_rng(0).normal(size=n)
    return fall + noise


@dataclass(frozen=True, kw_only=True)
class Diverged(Rule):
    """Diverged training."""

    code = "LRN001"
    name = "diverged"
    severity = Severity.ERROR
    what = "Training loss ended non-finite, or lost most of what it had gained."
    why = "The last state of the model is worthless; only a checkpoint from before is of use."
    how = "Follows the verdict diverged."
    advice = (
        "Lower the learning rate by a factor of 3 to 10.",
        "Warm the learning rate up over the first few hundred steps.",
        "Clip the gradient norm near its usual value.",
        "Resume from a checkpoint from before the break, with the lower rate.",
    )
    references = (_BENGIO, "Goyal et al. (2017), Accurate, Large Minibatch SGD, arXiv:1706.02677")

    def check(self, case: Case) -> Outcome:
        if case.judgement.verdict is Verdict.DIVERGED:
            return self.found(case.judgement.reason, *case.judgement.evidence)
        if case.facts.train is None:
            return self.skip("The log has no training loss.")
        return None

    @staticmethod
    def firing() -> Run:
        loss = _noisy(60, 0.4, 0.01)
        loss[40:] = 9.0
        return Run.from_arrays(train_loss=loss, val_loss=loss + 0.1)

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_noisy(60, 0.4, 0.01), val_loss=_noisy(60, 0.5, 0.01))


@dataclass(frozen=True, kw_only=True)
class Oscillation(Rule):
    """Learning rate too high: the losses swing together."""

    swing_share: float = 0.1
    together: float = 0.6
    min_points: int = 12

    code = "LRN002"
    name = "oscillation"
    severity = Severity.WARNING
    what = "Training and validation loss jump up and down together."
    why = (
        "The steps are too large for the model to settle into the valley it has found. Chance in "
        "the batches would move one of the two; a jump of the parameters moves both."
    )
    how = (
        "Where both losses have min_points: in the second half of the run both jump by more than "
        "swing_share of their whole fall, and the rank correlation of their jumps exceeds together."
    )
    advice = (
        "Lower the learning rate by a factor of 3 to 10.",
        "Let it decay: cosine schedule, or ReduceLROnPlateau on the validation loss.",
        "Use a larger batch size, or average the weights (EMA, SWA).",
    )
    references = (_BENGIO,)

    def check(self, case: Case) -> Outcome:
        train, val = case.facts.train, case.facts.val
        if train is None or val is None:
            return self.skip("Needs a training and a validation loss.")
        if min(len(train), len(val)) < self.min_points:
            return self.skip(f"Fewer than {self.min_points} points in a loss.")
        if case.judgement.verdict in {Verdict.DIVERGED, Verdict.NO_LEARNING}:
            return None
        half = len(val) // 2
        jump_val = np.diff(val.values[half:])
        jump_train = np.diff(np.interp(val.steps[half:], train.steps, train.values))
        sizes = [median(np.abs(jump)) for jump in (jump_train, jump_val)]
        falls = [float(np.ptp(signal.smooth)) for signal in (train, val)]
        shares = [size / fall if fall > 0 else 0.0 for size, fall in zip(sizes, falls, strict=True)]
        if min(shares) <= self.swing_share:
            return None
        if rank_correlation(jump_train, jump_val) <= self.together:
            return None
        return self.found(
            f"Training and validation loss jump together by {min(shares):.0%} of their whole fall "
            "from one point to the next.",
            Evidence(
                curve=train.name,
                start=float(val.steps[half]),
                end=float(val.steps[-1]),
                value=min(shares),
                limit=self.swing_share,
                label="swing",
            ),
        )

    @staticmethod
    def firing() -> Run:
        loss = _noisy(60, 1.0, 0.3)
        return Run.from_arrays(train_loss=loss, val_loss=loss + 0.1)

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(
            train_loss=_noisy(60, 0.4, 0.01), val_loss=_noisy(60, 0.5, 0.3)[::-1]
        )


@dataclass(frozen=True, kw_only=True)
class NeverReduced(Rule):
    """Learning rate never reduced on a plateau."""

    tail_share: float = 0.4
    flat_share: float = 0.01
    noise_share: float = 0.01

    code = "LRN003"
    name = "never-reduced"
    severity = Severity.INFO
    what = "The training loss ended on a noisy plateau, and the learning rate was never reduced."
    why = "On a plateau made by the size of the steps, a lower rate often brings a further drop."
    how = (
        "The learning rate is the same throughout, the denoised training loss fell by less than "
        "flat_share of its whole fall over the last tail_share of the run, and its noise there "
        "exceeds noise_share of that fall."
    )
    advice = (
        "Reduce the rate on the plateau: torch.optim.lr_scheduler.ReduceLROnPlateau, stepped with "
        "the validation loss, or a cosine schedule over the planned length.",
    )
    references = (_BENGIO,)

    def check(self, case: Case) -> Outcome:
        lr, train = case.facts.lr, case.facts.train
        if lr is None or train is None:
            return self.skip(_NO_LR)
        if case.judgement.verdict not in {Verdict.IDEAL, Verdict.CONTROLLED_GAP}:
            return None
        if len(train) < 10 or len(lr) < 2 or float(np.ptp(lr.values)) > 0:
            return None
        first, last = float(train.steps[0]), float(train.steps[-1])
        begin = last - self.tail_share * (last - first)
        whole = float(train.values[0] - train.smooth.min())
        late = train.steps >= begin
        fall = train.at(begin) - float(train.smooth[-1])
        noise = median(train.noise[late])
        if whole <= 0 or fall > self.flat_share * whole or noise <= self.noise_share * whole:
            return None
        return self.found(
            f"Training loss has been on a noisy plateau since {case.when(begin)} at the constant "
            f"learning rate {float(lr.values[0]):.3g}.",
            Evidence(
                curve=train.name,
                start=begin,
                end=last,
                value=fall,
                limit=self.flat_share * whole,
                label="plateau",
            ),
        )

    @staticmethod
    def firing() -> Run:
        return Run.from_arrays(
            train_loss=_noisy(80, 0.8, 0.05), val_loss=_noisy(80, 0.9, 0.05), lr=np.full(80, 0.1)
        )

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(
            train_loss=_noisy(80, 0.8, 0.05),
            val_loss=_noisy(80, 0.9, 0.05),
            lr=np.linspace(0.1, 0.0, 80),
        )


@dataclass(frozen=True, kw_only=True)
class ZeroLearningRate(Rule):
    """Learning rate of zero."""

    zero_share: float = 0.5

    code = "LRN004"
    name = "zero-learning-rate"
    severity = Severity.ERROR
    what = "The learning rate was zero for most of the run."
    why = "Nothing is learned while it is zero: a schedule that ended early, or a wrong unit in it."
    how = "More than zero_share of the recorded learning rates are exactly zero."
    advice = (
        "Check the scheduler: does it count epochs where you step it per batch, or is its length "
        "that of another run?",
        "Set the optimizer's lr above zero, and print it each epoch.",
    )
    references = (_BENGIO,)

    def check(self, case: Case) -> Outcome:
        lr = case.facts.lr
        if lr is None or not len(lr):
            return self.skip(_NO_LR)
        zero = lr.values == 0
        share = float(zero.mean())
        if share <= self.zero_share:
            return None
        return self.found(
            f"The learning rate was zero for {share:.0%} of the run.",
            Evidence(
                curve="lr",
                start=float(lr.steps[zero][0]),
                end=float(lr.steps[zero][-1]),
                value=share,
                limit=self.zero_share,
                label="zero",
            ),
        )

    @staticmethod
    def firing() -> Run:
        flat = 2.3 + 0.01 * np.sin(np.arange(40) * 2.4)
        return Run.from_arrays(train_loss=flat, val_loss=flat, lr=np.zeros(40))

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(
            train_loss=_noisy(60, 0.4, 0.01), val_loss=_noisy(60, 0.5, 0.01), lr=np.full(60, 0.1)
        )


@dataclass(frozen=True, kw_only=True)
class LowLearningRate(Rule):
    """Learning rate too low."""

    fall_share: float = 0.3
    straight: float = 0.1
    noise_z: float = 5.0

    code = "LRN005"
    name = "low-learning-rate"
    severity = Severity.WARNING
    what = "The training loss creeps down in a straight line and is hardly lower at the end."
    why = (
        "A loss that falls fast first and slowly later has found its way; one that falls by the "
        "same little each epoch is still at the top of the slope."
    )
    how = (
        "A positive training loss fell beyond noise_z of its noise but by less than fall_share of "
        "its start, and half of that in the first half of the run, to within straight."
    )
    advice = (
        "Raise the learning rate by a factor of 3 to 10, and again while the loss stays stable.",
        "Find the range with a sweep from 1e-6 to 1 over one epoch (learning-rate range test).",
        "Or train for much longer.",
    )
    references = (
        "Smith (2017), Cyclical Learning Rates for Training Neural Networks, arXiv:1506.01186",
        _BENGIO,
    )

    def check(self, case: Case) -> Outcome:
        train = case.facts.train
        if train is None or len(train) < 8:
            return self.skip("Fewer than eight points of training loss.")
        if case.judgement.verdict in {Verdict.DIVERGED, Verdict.OVERFITTING}:
            return None
        start, end = float(train.smooth[0]), float(train.smooth[-1])
        fall = start - end
        if end <= 0 or fall >= self.fall_share * start:
            return None
        if fall <= self.noise_z * median(train.noise):
            return None
        first, last = float(train.steps[0]), float(train.steps[-1])
        half = (start - train.at((first + last) / 2)) / fall
        if abs(half - 0.5) > self.straight:
            return None
        return self.found(
            f"Training loss creeps down in a straight line, from {start:.4g} to {end:.4g}, "
            f"{fall / start:.0%} in the whole run.",
            Evidence(
                curve=train.name,
                start=first,
                end=last,
                value=fall / start,
                limit=self.fall_share,
                label="slow fall",
            ),
        )

    @staticmethod
    def firing() -> Run:
        line = np.linspace(2.3, 2.1, 60)
        return Run.from_arrays(train_loss=line, val_loss=line + 0.01)

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_noisy(60, 0.4, 0.01), val_loss=_noisy(60, 0.5, 0.01))


@dataclass(frozen=True, kw_only=True)
class LossSpikes(Rule):
    """Loss spikes."""

    noise_z: float = 20.0
    gain_share: float = 0.3

    code = "LRN006"
    name = "loss-spikes"
    severity = Severity.WARNING
    what = "The training loss shot up for a moment and came back."
    why = (
        "Each spike is an update that was too large for where the model stood: the next one may "
        "not come back, and the steps until it has are lost."
    )
    how = (
        "Single values lie above the denoised curve by more than noise_z of its noise and by more "
        "than gain_share of what had been gained until then."
    )
    advice = (
        "Clip the gradient norm near its usual value.",
        "Lower the learning rate, or with Adam beta2 (to 0.95) so that it follows sooner.",
        "Look at the batches of these steps: outliers, wrong labels, very long sequences.",
    )
    references = (
        "Chowdhery et al. (2022), PaLM, section 5.1, arXiv:2204.02311",
        "Molybog et al. (2023), A Theory on Adam Instability, arXiv:2304.09871",
    )

    def check(self, case: Case) -> Outcome:
        train = case.facts.train
        if train is None or len(train) < 12:
            return self.skip("Fewer than twelve points of training loss.")
        if case.judgement.verdict in {Verdict.DIVERGED, Verdict.NO_LEARNING}:
            return None
        above = train.high - train.smooth
        gained = train.values[0] - np.minimum.accumulate(train.smooth)
        spikes = (above > self.noise_z * train.noise) & (above > self.gain_share * gained)
        spikes &= gained > self.gain_share * float(gained.max())
        where = train.steps[spikes]
        if not where.size:
            return None
        times = "once" if where.size == 1 else f"{where.size} times"
        return self.found(
            f"Training loss shot up and came back {times}, first at {case.when(float(where[0]))}.",
            *(
                Evidence(curve=train.name, start=float(step), end=float(step), label="spike")
                for step in where[:20]
            ),
        )

    @staticmethod
    def firing() -> Run:
        loss = _noisy(60, 0.4, 0.01)
        loss[35] += 1.5
        return Run.from_arrays(train_loss=loss, val_loss=_noisy(60, 0.5, 0.01))

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_noisy(60, 0.4, 0.01), val_loss=_noisy(60, 0.5, 0.01))
