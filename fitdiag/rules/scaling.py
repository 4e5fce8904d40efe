"""Family GRD: clipping, loss scaling, and what kind of norm was recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitdiag.findings import Evidence, Severity
from fitdiag.rules.base import Case, Outcome, Rule
from fitdiag.run import Run, Source

__all__ = ["AlwaysClipped", "NormProvenance", "SkippedSteps"]

_FALL = np.exp(-0.1 * np.arange(60))
_LOSSES = {"train_loss": 0.3 + 2 * _FALL, "val_loss": 0.4 + 2 * _FALL}
_PASCANU = "Pascanu, Mikolov & Bengio (2013), On the difficulty of training RNNs, arXiv:1211.5063"


@dataclass(frozen=True, kw_only=True)
class AlwaysClipped(Rule):
    """Clipping always active."""

    share: float = 0.9

    code = "GRD008"
    name = "always-clipped"
    severity = Severity.INFO
    what = "Nearly every step was clipped."
    why = (
        "Clipping is meant for the rare outlier. When it acts on every step, only the direction "
        "of the gradient is used, and the limit takes over the part of the learning rate."
    )
    how = "The recorded clip coefficient is below 1 in more than share of the records."
    advice = (
        "Raise the limit to a little above the norm's usual value, or leave it and tune the "
        "learning rate with it in mind.",
    )
    references = (_PASCANU, "Zhang et al. (2020), Why Gradient Clipping Works, arXiv:1905.11881")

    def check(self, case: Case) -> Outcome:
        clip = case.facts.run.get("clip_coef")
        if clip is None:
            return self.skip("The log does not say what clipping did.")
        share = float(np.mean(clip.values < 1))
        if share <= self.share:
            return None
        return self.found(
            f"{share:.0%} of the recorded steps were clipped, to {np.nanmedian(clip.values):.2g} "
            "of their norm in the median.",
            Evidence(
                curve="clip_coef",
                start=float(clip.steps[0]),
                end=float(clip.steps[-1]),
                value=share,
                limit=self.share,
                label="clipped",
            ),
        )

    @staticmethod
    def firing() -> Run:
        return Run.from_arrays(_LOSSES, clip_coef=np.full(60, 0.2))

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(_LOSSES, clip_coef=np.append(np.full(5, 0.2), np.ones(55)))


@dataclass(frozen=True, kw_only=True)
class SkippedSteps(Rule):
    """Optimizer steps skipped by mixed precision."""

    share: float = 0.05

    code = "GRD009"
    name = "skipped-steps"
    severity = Severity.WARNING
    what = "Many optimizer steps were skipped because gradients overflowed."
    why = (
        "A few skips at the start are how GradScaler finds its scale. Many are lost work, and "
        "skips that never end mean that the gradients themselves are non-finite."
    )
    how = "More than share of the run's steps were skipped."
    advice = (
        "Use bfloat16 where the hardware has it: it needs no loss scale.",
        "Lower GradScaler's init_scale or growth_interval, and unscale before clipping.",
        "If the skips go on to the end, look for NaN in the data and the loss.",
    )
    references = ("Micikevicius et al. (2018), Mixed Precision Training, arXiv:1710.03740",)

    def check(self, case: Case) -> Outcome:
        skipped = case.facts.run.get("skipped_steps")
        if skipped is None:
            return self.skip("The log does not count skipped steps.")
        counts = skipped.values[np.isfinite(skipped.values)]
        count = float(counts.max()) if counts.size else 0.0
        share = count / max(1.0, case.facts.run.span[1])
        if not share > self.share:
            return None
        return self.found(
            f"{count:,.0f} optimizer steps, {share:.0%} of the run, were skipped.",
            Evidence(
                curve="skipped_steps",
                start=float(skipped.steps[0]),
                end=float(skipped.steps[-1]),
                value=share,
                limit=self.share,
                label="skipped",
            ),
        )

    @staticmethod
    def firing() -> Run:
        return Run.from_arrays(_LOSSES, skipped_steps=np.arange(60) // 2)

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(_LOSSES, skipped_steps=np.minimum(np.arange(60), 2))


@dataclass(frozen=True, kw_only=True)
class NormProvenance(Rule):
    """Norm of another kind."""

    code = "GRD010"
    name = "norm-provenance"
    severity = Severity.INFO
    what = "The gradient norm was measured after clipping, with the loss scale in it, or locally."
    why = (
        "After clipping no explosion shows; with the loss scale in it the norm jumps whenever the "
        "scale does; a local norm misses the other shards. Alarms on such a norm mean little."
    )
    how = "The log tells of its gradient norm that it is post-clip, scaled or local."
    advice = ("Record before clipping, after unscaling, over all shards, as fitdiag.record does.",)
    references = (_PASCANU,)

    def check(self, case: Case) -> Outcome:
        kind = case.facts.run.source.provenance.get("grad_norm", "")
        if case.facts.grad is None:
            return self.skip("The log has no gradient norm.")
        words = set(kind.split(", "))
        odd = [word for word in ("post-clip", "scaled", "local") if word in words]
        if not odd and (kind == "" or "unknown" in words):
            return self.skip("The log does not say how its gradient norm was measured.")
        if not odd:
            return None
        return self.found(f"The gradient norm is {' and '.join(odd)}.")

    @staticmethod
    def firing() -> Run:
        source = Source(provenance={"grad_norm": "post-clip, unscaled, global"})
        return Run.from_arrays(_LOSSES, grad_norm=0.5 + _FALL, source=source)

    @staticmethod
    def quiet() -> Run:
        source = Source(provenance={"grad_norm": "pre-clip, unscaled, global"})
        return Run.from_arrays(_LOSSES, grad_norm=0.5 + _FALL, source=source)
