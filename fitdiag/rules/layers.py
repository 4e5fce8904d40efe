"""Family GRD: the gradient along the depth of the network, where single layers were recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.findings import Evidence, Severity, Verdict
from fitdiag.rules.base import Case, Outcome, Rule
from fitdiag.run import LAYER, Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fitdiag.findings import Judgement
    from fitdiag.signals import Signal

__all__ = ["DeadLayers", "DepthVanishing"]

_NO_LAYERS = "The log has no gradient norms of single layers."


def _curves(first: float, *, learns: bool) -> dict[str, NDArray[np.float64]]:
    fall = np.exp(-0.1 * np.arange(60)) if learns else 0.004 * np.sin(2.4 * np.arange(60)) ** 2
    return {
        "train_loss": 0.3 + 2 * fall if learns else 2.3 + fall,
        "val_loss": 0.4 + 2 * fall if learns else 2.31 + fall,
        f"{LAYER}first": np.full(60, first),
        f"{LAYER}last": np.full(60, 1.0),
    }


def _median(signal: Signal, share: float) -> float:
    """Return the median over the first share of a signal; 0 without points."""
    count = max(1, int(share * len(signal)))
    return float(np.median(signal.values[:count])) if len(signal) else 0.0


@dataclass(frozen=True, kw_only=True)
class DepthVanishing(Rule):
    """Gradient vanishing along the depth."""

    ratio: float = 1e-3
    early_share: float = 0.3
    progress_share: float = 0.15

    code = "GRD006"
    name = "depth-vanishing"
    severity = Severity.ERROR
    what = "The gradient dies on its way from the last layer to the first, and nothing is learned."
    why = (
        "The global norm is made by the last layers and looks healthy; the first layers hardly "
        "move, and the network above them has nothing to work with."
    )
    how = (
        "The verdict is no_learning, or validation loss fell by less than progress_share, and over "
        "the first early_share of the run the first layer's norm is below ratio of the global "
        "norm. A run that learns all the same is no alarm."
    )
    advice = (
        "Replace sigmoid and tanh in hidden layers by ReLU, GELU or similar.",
        "Initialise to the activation (He for ReLU, Xavier for tanh).",
        "Add normalisation layers or residual connections, or take layers away.",
    )
    references = (
        "Glorot & Bengio (2010), Understanding the difficulty of training deep networks, PMLR 9",
        "Hochreiter (1998), The Vanishing Gradient Problem, doi:10.1142/S0218488598000094",
    )

    def check(self, case: Case) -> Outcome:
        layers = case.facts.layers
        if len(layers) < 2:
            return self.skip(_NO_LAYERS)
        if not self._stuck(case.judgement):
            return None
        sizes = {name: _median(signal, self.early_share) for name, signal in layers.items()}
        name, first = next(iter(sizes.items()))
        whole = case.facts.grad
        largest = max(*sizes.values(), 0.0 if whole is None else _median(whole, self.early_share))
        if largest <= 0 or first >= self.ratio * largest:
            return None
        signal = layers[name]
        return self.found(
            f"The gradient norm of the first layer, {name}, is {first:.2g}, "
            f"{first / largest:.1e} of the whole network's, and nothing was learned.",
            Evidence(
                curve=signal.name,
                start=float(signal.steps[0]),
                end=float(signal.steps[-1]),
                value=first,
                limit=self.ratio * largest,
                label="first layer",
            ),
        )

    def _stuck(self, judgement: Judgement) -> bool:
        if judgement.verdict in {Verdict.IDEAL, Verdict.CONTROLLED_GAP, Verdict.INCONCLUSIVE}:
            return judgement.feature("val_fall_share") < self.progress_share
        return judgement.verdict is Verdict.NO_LEARNING

    @staticmethod
    def firing() -> Run:
        return Run.from_arrays(_curves(1e-6, learns=False))

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(_curves(1e-6, learns=True))


@dataclass(frozen=True, kw_only=True)
class DeadLayers(Rule):
    """Dead layers."""

    tail_share: float = 0.5

    code = "GRD007"
    name = "dead-layers"
    severity = Severity.WARNING
    what = "A layer gets no gradient at all while others do."
    why = (
        "It is dead (every ReLU behind it is off), cut off (detach, no_grad, an unused branch), "
        "or frozen without being told so. Its parameters cannot learn any more."
    )
    how = "A layer's norm is exactly zero over the last tail_share of the run and another's is not."
    advice = (
        "If the layer was frozen on purpose: set requires_grad to False, and ignore this.",
        "Look for detach(), no_grad() or a branch of forward() that is never taken.",
        "For dead ReLUs: lower the learning rate, initialise biases to zero, or use LeakyReLU.",
    )
    references = ("Lu et al. (2020), Dying ReLU and Initialization, arXiv:1903.06733",)

    def check(self, case: Case) -> Outcome:
        layers = case.facts.layers
        if len(layers) < 2:
            return self.skip(_NO_LAYERS)
        late = {
            name: signal.high[int((1 - self.tail_share) * len(signal)) :]
            for name, signal in layers.items()
            if len(signal) >= 3
        }
        dead = [name for name, values in late.items() if not values.any()]
        if not dead or len(dead) == len(late):
            return None
        named = ", ".join(dead[:3]) + (f" and {len(dead) - 3} more" if len(dead) > 3 else "")
        return self.found(
            f"No gradient reaches {named}: the norm is exactly zero in the later part of the run.",
            *(
                Evidence(
                    curve=layers[name].name,
                    start=float(layers[name].steps[int((1 - self.tail_share) * len(layers[name]))]),
                    end=float(layers[name].steps[-1]),
                    value=0.0,
                    label="no gradient",
                )
                for name in dead[:20]
            ),
        )

    @staticmethod
    def firing() -> Run:
        return Run.from_arrays(_curves(0.0, learns=True))

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(_curves(0.1, learns=True))
