"""Family GRD: explosion, vanishing, spikes. Every alarm is gated on lost progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.findings import Evidence, Severity, Verdict
from fitdiag.rules.base import Case, Outcome, Rule
from fitdiag.run import Run
from fitdiag.signals import bursts, median

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fitdiag.signals import Signal

__all__ = ["Explosion", "LateRise", "NonFinite", "Spikes", "Vanishing"]

_NO_NORM = "The log has no gradient norm."
_PASCANU = "Pascanu, Mikolov & Bengio (2013), On the difficulty of training RNNs, arXiv:1211.5063"
_GLOROT = "Glorot & Bengio (2010), Understanding the difficulty of training deep networks, PMLR 9"

#: norms that differ by less than this share of a factor have none that is beyond it
_NARROW = 0.99


def _settled_run(n: int = 60) -> dict[str, NDArray[np.float64]]:
    fall = np.exp(-0.1 * np.arange(n))
    return {
        "train_loss": 0.3 + 2 * fall,
        "val_loss": 0.4 + 2 * fall,
        "grad_norm": 0.5 + fall,
    }


def _first_burst(norm: Signal, factor: float) -> tuple[float, float, float] | None:
    """Return step, value and limit of the first burst of a norm over its own past."""
    ratio = bursts(norm.high, transient=1)
    over = np.flatnonzero(ratio > factor)
    if not over.size:
        return None
    k = int(over[0])
    value = float(norm.high[k])
    return float(norm.steps[k]), value, value / float(ratio[k]) * factor


@dataclass(frozen=True, kw_only=True)
class Explosion(Rule):
    """Gradient explosion."""

    factor: float = 10.0

    code = "GRD001"
    name = "gradient-explosion"
    severity = Severity.ERROR
    what = "The gradient norm shot up or became non-finite, and the training broke with it."
    why = (
        "One oversized update can throw the parameters out of the region where they had learned "
        "something, often for good."
    )
    how = (
        "The verdict is diverged, and the norm exceeded its own running median by more than "
        "factor, or became non-finite. A large norm alone, while learning goes on, is no alarm."
    )
    advice = (
        "Clip the gradient norm: torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0) between "
        "backward() and step(), with a limit near the norm's usual value.",
        "Lower the learning rate by a factor of 3 to 10, or warm it up over the first steps.",
        "In deep or recurrent networks: normalisation layers, residual connections, or careful "
        "initialisation (He, Xavier, orthogonal).",
        "With float16, use GradScaler; or bfloat16, which does not overflow so early.",
    )
    references = (_PASCANU,)

    def check(self, case: Case) -> Outcome:
        norm = case.facts.grad_max or case.facts.grad
        if norm is None:
            return self.skip(_NO_NORM)
        if case.judgement.verdict is not Verdict.DIVERGED:
            return None
        burst = _first_burst(norm, self.factor) if len(norm) else None
        broken = norm.first_nonfinite
        if burst is None and broken is None:
            return None
        if burst is not None and (broken is None or burst[0] <= broken):
            step, value, limit = burst
            message = (
                f"The gradient norm shot up to {value:.3g} at {case.when(step)}, "
                f"{value / limit * self.factor:.0f} times its running median, and the training "
                "never recovered."
            )
        else:
            step, value, limit = broken or 0.0, float("nan"), float("nan")
            message = f"The gradient norm became non-finite at {case.when(step)}."
        return self.found(
            message,
            Evidence(
                curve=norm.name,
                start=step,
                end=case.facts.run.span[1],
                value=value if np.isfinite(value) else None,
                limit=limit if np.isfinite(limit) else None,
                label="explosion",
            ),
        )

    @staticmethod
    def firing() -> Run:
        curves = _settled_run()
        curves["grad_norm"][30:] = 500.0
        curves["train_loss"][31:] = 8.0
        curves["val_loss"][31:] = 8.0
        return Run.from_arrays(curves)

    @staticmethod
    def quiet() -> Run:
        curves = _settled_run()
        curves["grad_norm"][0:2] = 500.0
        return Run.from_arrays(curves)


@dataclass(frozen=True, kw_only=True)
class Vanishing(Rule):
    """Gradient vanishing."""

    share: float = 0.1

    code = "GRD002"
    name = "gradient-vanishing"
    severity = Severity.ERROR
    what = "The gradient norm died away while nothing had been learned."
    why = (
        "Without a gradient the optimizer cannot move the parameters: saturated sigmoids, dead "
        "ReLUs or a very deep network pass nothing back to the early layers."
    )
    how = (
        "The verdict is no_learning, and the norm ends below share of its largest early value. "
        "Small gradients of a run that has learned are convergence, and no alarm."
    )
    advice = (
        "Replace sigmoid and tanh in hidden layers by ReLU, GELU or similar.",
        "Initialise to the activation (He for ReLU, Xavier for tanh), and check the biases.",
        "Add normalisation layers or residual connections.",
        "In recurrent networks use LSTM or GRU, and shorter sequences.",
    )
    references = (_GLOROT, "He et al. (2015), Delving Deep into Rectifiers, arXiv:1502.01852")

    def check(self, case: Case) -> Outcome:
        norm = case.facts.grad
        if norm is None:
            return self.skip(_NO_NORM)
        if case.judgement.verdict is not Verdict.NO_LEARNING or len(norm) < 3:
            return None
        largest = float(norm.values[: max(1, len(norm) // 2)].max())
        limit = self.share * largest
        above = np.flatnonzero(norm.smooth > limit)
        if above.size and above[-1] >= len(norm) - 1:
            return None
        begin = int(above[-1]) + 1 if above.size else 0
        return self.found(
            f"The gradient norm died away from {largest:.3g} to {norm.smooth[-1]:.3g} by "
            f"{case.when(float(norm.steps[begin]))} and stayed there, with nothing learned.",
            Evidence(
                curve=norm.name,
                start=float(norm.steps[begin]),
                end=float(norm.steps[-1]),
                value=float(norm.smooth[-1]),
                limit=limit,
                label="vanished",
            ),
        )

    @staticmethod
    def firing() -> Run:
        flat = 2.3 + 0.005 * np.sin(np.arange(60) * 2.4)
        norm = 1e-4 + np.exp(-0.5 * np.arange(60))
        return Run.from_arrays(train_loss=flat, val_loss=flat[::-1], grad_norm=norm)

    @staticmethod
    def quiet() -> Run:
        curves = _settled_run()
        curves["grad_norm"] = 1e-4 + np.exp(-0.5 * np.arange(60))
        return Run.from_arrays(curves)


@dataclass(frozen=True, kw_only=True)
class NonFinite(Rule):
    """Non-finite values."""

    code = "GRD003"
    name = "non-finite"
    severity = Severity.WARNING
    what = "NaN or infinity in a loss or in the gradient norm."
    why = (
        "A single NaN that reaches the parameters stays there. If the run went on learning, the "
        "step was skipped (as mixed precision does on overflow) or only the evaluation was hit."
    )
    how = "Any measured non-finite value; an error if the training loss ended with one."
    advice = (
        "Find the first operation that makes it: torch.autograd.set_detect_anomaly(True) for a "
        "few steps before the first bad one.",
        "Guard logarithms, divisions and square roots with a small constant, or use the fused "
        "losses (CrossEntropyLoss, BCEWithLogitsLoss).",
        "Look for NaN or infinity in the inputs and labels.",
        "Lower the learning rate, clip the gradient norm, or use bfloat16 instead of float16.",
    )
    references = ("Micikevicius et al. (2018), Mixed Precision Training, arXiv:1710.03740",)

    def check(self, case: Case) -> Outcome:
        facts = case.facts
        hit = [s for s in (facts.train, facts.val, facts.grad) if s is not None and s.nonfinite]
        if not hit:
            return None
        ended = facts.train is not None and facts.train.ends_nonfinite
        parts = "; ".join(
            f"{s.nonfinite:,} of {s.count:,} values of {s.name}, first at "
            f"{case.when(s.first_nonfinite)}"
            for s in hit
        )
        last = facts.run.span[1]
        return self.found(
            f"NaN or infinity: {parts}.",
            *(
                Evidence(curve=s.name, start=s.first_nonfinite or 0.0, end=last, label="non-finite")
                for s in hit
            ),
            severity=Severity.ERROR if ended else self.severity,
        )

    @staticmethod
    def firing() -> Run:
        curves = _settled_run()
        curves["train_loss"][40:] = np.nan
        return Run.from_arrays(curves)

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(_settled_run())


@dataclass(frozen=True, kw_only=True)
class LateRise(Rule):
    """Late rise of the gradient norm."""

    code = "GRD004"
    name = "gradient-late-rise"
    severity = Severity.INFO
    what = "The gradient norm, once settled, rises again until the end."
    why = (
        "Often harmless: with batch normalisation and weight decay norms grow as weights shrink. "
        "Together with overfitting it marks the sharp region where the model memorises."
    )
    how = (
        "The smoothed norm ends above its later minimum by the pick's late_rise_factor, and the "
        "training loss had made most of its fall by that minimum."
    )
    advice = (
        "Prefer a checkpoint from before the rise, as the pick does when there is no validation.",
        "Lower the learning rate towards the end, or stop earlier.",
    )
    references = ("Zhao, Zhang & Hu (2022), Penalizing Gradient Norm, arXiv:2202.03599",)

    def check(self, case: Case) -> Outcome:
        norm, phases = case.facts.grad, case.phases
        if norm is None or phases is None:
            return self.skip(_NO_NORM if norm is None else "Too few gradient norms.")
        if phases.late_rise is None or case.judgement.verdict is Verdict.DIVERGED:
            return None
        low, end = norm.at(phases.late_rise), float(norm.smooth[-1])
        return self.found(
            f"The gradient norm rises again from {low:.3g} at {case.when(phases.late_rise)} to "
            f"{end:.3g} at the end.",
            Evidence(
                curve=norm.name,
                start=phases.late_rise,
                end=float(norm.steps[-1]),
                value=end,
                limit=low,
                label="late rise",
            ),
        )

    @staticmethod
    def firing() -> Run:
        curves = _settled_run()
        curves["grad_norm"] += np.maximum(np.arange(60) - 30, 0) * 0.1
        return Run.from_arrays(curves)

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(_settled_run())


@dataclass(frozen=True, kw_only=True)
class Spikes(Rule):
    """Gradient spikes that cost progress."""

    factor: float = 10.0
    lost_share: float = 0.5
    noise_z: float = 5.0

    code = "GRD005"
    name = "gradient-spikes"
    severity = Severity.WARNING
    what = "A spike of the gradient norm threw the training loss back, and it recovered."
    why = "Each such spike costs the time of learning again, and the next one may be the last."
    how = (
        "The norm exceeded its running median by more than factor, and the training loss right "
        "after it lost more than lost_share of what it had gained until then and rose by more than "
        "noise_z of its noise."
    )
    advice = (
        "Clip the gradient norm near its usual value.",
        "Lower the learning rate, or warm it up more slowly.",
        "Look at the batches of these steps: outliers or wrong labels.",
    )
    references = (_PASCANU, "Chowdhery et al. (2022), PaLM, section 5.1, arXiv:2204.02311")

    def check(self, case: Case) -> Outcome:
        norm, train = case.facts.grad_max or case.facts.grad, case.facts.train
        if norm is None or train is None:
            return self.skip(_NO_NORM)
        if case.judgement.verdict is Verdict.DIVERGED or len(train) < 8 or not len(norm):
            return None
        if _NARROW * self.factor * float(norm.high.min()) >= float(norm.high.max()):
            return None  # none can be so far above a median
        costly = [
            float(step)
            for step in norm.steps[bursts(norm.high) > self.factor]
            if self._thrown_back(train, float(step))
        ]
        if not costly:
            return None
        times = "once" if len(costly) == 1 else f"{len(costly)} times"
        return self.found(
            f"A spike of the gradient norm threw the training loss back {times}, "
            f"first at {case.when(costly[0])}.",
            *(
                Evidence(curve=norm.name, start=step, end=step, label="spike")
                for step in costly[:20]
            ),
        )

    def _thrown_back(self, train: Signal, step: float) -> bool:
        before = np.flatnonzero(train.steps < step)
        after = np.flatnonzero(train.steps >= step)[:3]
        if before.size < 2 or not after.size:
            return False
        low = float(train.smooth[before].min())
        gained = float(train.values[0]) - low
        lost = float(train.values[after].max()) - low
        noise = median(train.noise)
        return gained > 0 and lost > max(self.lost_share * gained, self.noise_z * noise)

    @staticmethod
    def firing() -> Run:
        curves = _settled_run()
        curves["grad_norm"][30] = 80.0
        curves["train_loss"][30:33] += [1.5, 0.9, 0.4]
        return Run.from_arrays(curves)

    @staticmethod
    def quiet() -> Run:
        curves = _settled_run()
        curves["grad_norm"][30] = 80.0
        return Run.from_arrays(curves)
