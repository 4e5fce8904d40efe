"""Family LOG: what the log itself lacks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitdiag.findings import Evidence, Severity
from fitdiag.rules.base import Case, Outcome, Rule
from fitdiag.run import Run, Source
from fitdiag.signals import median

__all__ = [
    "ConstantCurve",
    "IdenticalLosses",
    "MaskedNaN",
    "NoValidation",
    "ReaderNotes",
    "ScaleMismatch",
    "TooFewPoints",
]

_FALL = 0.4 + 2 * np.exp(-0.1 * np.arange(60))


@dataclass(frozen=True, kw_only=True)
class NoValidation(Rule):
    """No validation loss."""

    code = "LOG001"
    name = "no-validation"
    severity = Severity.WARNING
    what = "The log has no validation loss."
    why = (
        "Training loss alone cannot tell learning from memorising, so there is no verdict on the "
        "fit, and a checkpoint can only be chosen blind."
    )
    how = "No column or hook gave a finite validation loss."
    advice = (
        "Hold back a part of the data, and evaluate on it under model.eval() and torch.no_grad() "
        "after each epoch; fitdiag.record captures it without a further line.",
        "If the log has such a column under another name: --map val_loss=COLUMN.",
    )
    references = ("Hastie, Tibshirani & Friedman (2009), Elements of Statistical Learning, 7.2",)

    def check(self, case: Case) -> Outcome:
        val = case.facts.val
        if val is not None and len(val):
            return None
        return self.found("The log has no validation loss; the fit cannot be judged.")

    @staticmethod
    def firing() -> Run:
        return Run.from_arrays(train_loss=_FALL)

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_FALL, val_loss=_FALL + 0.1)


@dataclass(frozen=True, kw_only=True)
class TooFewPoints(Rule):
    """Too few points."""

    min_points: int = 8

    code = "LOG002"
    name = "too-few-points"
    severity = Severity.INFO
    what = "A loss has so few points that noise and trend can hardly be told apart."
    why = "A verdict from a handful of points rests on the size of single changes only."
    how = "The training or the validation loss has fewer than min_points finite points."
    advice = (
        "Evaluate more often: several times an epoch when there are few epochs.",
        "Record every few steps: fitdiag.record(..., every=10).",
    )
    references = ("Prechelt (1998), Early Stopping - But When?, doi:10.1007/3-540-49430-8_3",)

    def check(self, case: Case) -> Outcome:
        losses = [s for s in (case.facts.train, case.facts.val) if s is not None]
        few = [s for s in losses if len(s) < self.min_points]
        if not few:
            return None
        counts = " and ".join(f"{s.name} has {len(s)}" for s in few)
        return self.found(f"Too few finite points to see the noise: {counts}.")

    @staticmethod
    def firing() -> Run:
        return Run.from_arrays(train_loss=_FALL[:5], val_loss=_FALL[:5] + 0.1)

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_FALL, val_loss=_FALL + 0.1)


@dataclass(frozen=True, kw_only=True)
class IdenticalLosses(Rule):
    """Training and validation loss are the same numbers."""

    share: float = 0.9

    code = "LOG003"
    name = "identical-losses"
    severity = Severity.WARNING
    what = "Training and validation loss are the same numbers."
    why = "One of the two columns is a copy, or validation runs on the training data."
    how = "More than share of the values at common steps are exactly equal."
    advice = (
        "Check that the validation loader reads other data than the training loader.",
        "Check that the loop logs the two losses under their own names.",
    )
    references = (
        "Kapoor & Narayanan (2023), Leakage and the reproducibility crisis, "
        "doi:10.1016/j.patter.2023.100804",
    )

    def check(self, case: Case) -> Outcome:
        train, val = case.facts.run.train_loss, case.facts.run.val_loss
        if train is None or val is None:
            return self.skip("Needs a training and a validation loss.")
        ours, theirs = train.values, val.values
        if not np.array_equal(train.steps, val.steps):
            _, left, right = np.intersect1d(train.steps, val.steps, return_indices=True)
            ours, theirs = ours[left], theirs[right]
        if ours.size < 3:
            return self.skip("The two losses share fewer than three steps.")
        same = float((ours == theirs).mean())
        if same <= self.share or bool((theirs == theirs[0]).all()):
            return None
        return self.found(
            f"{same:.0%} of the validation losses equal the training loss to the last digit.",
            Evidence(
                curve="val_loss",
                start=float(val.steps[0]),
                end=float(val.steps[-1]),
                value=same,
                limit=self.share,
                label="identical",
            ),
        )

    @staticmethod
    def firing() -> Run:
        return Run.from_arrays(train_loss=_FALL, val_loss=_FALL)

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_FALL, val_loss=_FALL + 0.1)


@dataclass(frozen=True, kw_only=True)
class ReaderNotes(Rule):
    """Something had to be decided while reading."""

    code = "LOG004"
    name = "reader-notes"
    severity = Severity.INFO
    what = "The log was not plain: steps went back, rows were torn, or a column had to be guessed."
    why = "If a decision was wrong, the verdict is about another run than you think."
    how = "The reader left a note for each thing that it decided or dropped."
    advice = (
        "Read the notes; where one is wrong, name the column with --map.",
        "Write one log for each run, and continue a resumed run in its own.",
    )
    references = ("RFC 4180, Common Format and MIME Type for CSV Files",)

    def check(self, case: Case) -> Outcome:
        notes = case.facts.run.source.notes
        if not notes:
            return None
        more = "" if len(notes) == 1 else f" And {len(notes) - 1} more."
        return self.found(f"{notes[0].rstrip('.')}.{more}")

    @staticmethod
    def firing() -> Run:
        source = Source(notes=("Steps went back at line 12; the later values were taken.",))
        return Run.from_arrays(train_loss=_FALL, val_loss=_FALL + 0.1, source=source)

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_FALL, val_loss=_FALL + 0.1)


@dataclass(frozen=True, kw_only=True)
class ConstantCurve(Rule):
    """A loss that never changes."""

    min_points: int = 4

    code = "LOG005"
    name = "constant-curve"
    severity = Severity.WARNING
    what = "A loss is the same number throughout."
    why = "A loss that is measured has noise; a constant is a placeholder, or nothing was updated."
    how = "All finite values of a loss with at least min_points points are equal."
    advice = (
        "Check that the loop logs the value of each epoch, and not one computed before it.",
        "Check that optimizer.step() runs, and that the learning rate is not zero.",
    )
    references = ("Karpathy (2019), A Recipe for Training Neural Networks",)

    def check(self, case: Case) -> Outcome:
        losses = [s for s in (case.facts.train, case.facts.val) if s is not None]
        flat = [s for s in losses if len(s) >= self.min_points and not np.ptp(s.values)]
        if not flat:
            return None
        parts = " and ".join(f"{s.name} is {s.values[0]:.4g}" for s in flat)
        return self.found(
            f"{parts} from start to end.",
            *(
                Evidence(
                    curve=s.name,
                    start=float(s.steps[0]),
                    end=float(s.steps[-1]),
                    value=float(s.values[0]),
                    label="constant",
                )
                for s in flat
            ),
        )

    @staticmethod
    def firing() -> Run:
        return Run.from_arrays(train_loss=_FALL, val_loss=np.full(60, 0.7))

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_FALL, val_loss=_FALL + 0.1)


@dataclass(frozen=True, kw_only=True)
class MaskedNaN(Rule):
    """NaN masked as zero."""

    share: float = 0.5

    code = "LOG006"
    name = "masked-nan"
    severity = Severity.WARNING
    what = "Single losses of exactly zero stand between ordinary ones."
    why = (
        "Some trainers replace a NaN or infinite loss by zero before they log it. The zeros look "
        "like a perfect model and hide that the run is breaking."
    )
    how = (
        "A loss is exactly zero while both its neighbours are larger than share of the median "
        "loss of the run, which is not itself zero."
    )
    advice = (
        "With the Hugging Face Trainer: set logging_nan_inf_filter=False.",
        "Look at the batches of these steps, and at the gradient norm around them.",
    )
    references = ("Hugging Face transformers, TrainingArguments.logging_nan_inf_filter",)

    def check(self, case: Case) -> Outcome:
        found = []
        for curve in (case.facts.run.train_loss, case.facts.run.val_loss):
            if curve is None or curve.values.all() or np.isfinite(curve.values).sum() < 5:
                continue  # there is no zero, or next to nothing
            values = curve.values
            ordinary = self.share * median(np.abs(values[np.isfinite(values)]))
            with np.errstate(invalid="ignore"):
                alone = (
                    (ordinary > 0)
                    & (values[1:-1] == 0)
                    & (values[:-2] > ordinary)
                    & (values[2:] > ordinary)
                )
            found += [(curve, float(step)) for step in curve.steps[1:-1][alone]]
        if not found:
            return None
        curve, step = found[0]
        times = "once" if len(found) == 1 else f"{len(found)} times"
        return self.found(
            f"{curve.name} is exactly zero between ordinary values {times}, first at "
            f"{case.when(step)}: probably a NaN that was masked.",
            *(
                Evidence(curve=c.name, start=where, end=where, value=0.0, label="zero")
                for c, where in found[:20]
            ),
        )

    @staticmethod
    def firing() -> Run:
        loss = _FALL.copy()
        loss[20] = 0.0
        return Run.from_arrays(train_loss=loss, val_loss=_FALL + 0.1)

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_FALL, val_loss=_FALL + 0.1)


@dataclass(frozen=True, kw_only=True)
class ScaleMismatch(Rule):
    """One loss is a sum, the other a mean."""

    ratio: float = 20.0
    drift: float = 3.0

    code = "LOG007"
    name = "scale-mismatch"
    severity = Severity.WARNING
    what = "Training and validation loss are on different scales, as a sum and a mean are."
    why = (
        "The gap between a loss that is summed over batches and one that is averaged says nothing "
        "about the fit; only whether each of them falls can be judged."
    )
    how = (
        "One loss is more than ratio times the other from the first quarter on, and the two move "
        "together: their ratio changes by less than a factor of drift (5th to 95th percentile). "
        "In overfitting the ratio starts near one and grows."
    )
    advice = (
        "Average both losses in the same way: over samples, weighted by the size of each batch.",
        "Divide the summed loss by the number of batches before it is logged.",
    )
    references = ("PyTorch, torch.nn.CrossEntropyLoss: reduction='mean' and reduction='sum'",)

    def check(self, case: Case) -> Outcome:
        train, val = case.facts.train, case.facts.val
        if train is None or val is None or len(val) < 4 or len(train) < 4:
            return self.skip("Needs a training and a validation loss of four points each.")
        paired = np.interp(val.steps, train.steps, train.values)
        if (paired <= 0).any() or (val.values <= 0).any():
            return None
        levels = np.log(paired / val.values)
        same_side = bool(levels[0] > 0)
        levels = levels if same_side else -levels
        early = levels[: max(len(val) // 4, 2)]
        factor = float(np.exp(median(levels)))
        if min(factor, float(np.exp(median(early)))) <= self.ratio or levels.min() <= 0:
            return None
        low, high = np.quantile(levels, [0.05, 0.95])
        if np.exp(high - low) >= self.drift:
            return None
        summed = "training" if same_side else "validation"
        return self.found(
            f"The {summed} loss is {factor:,.3g} times the other throughout, and both move "
            "together: it is probably summed over batches while the other is averaged.",
            Evidence(
                curve=("train" if same_side else "val") + "_loss",
                start=float(val.steps[0]),
                end=float(val.steps[-1]),
                value=factor,
                limit=self.ratio,
                label="other scale",
            ),
        )

    @staticmethod
    def firing() -> Run:
        return Run.from_arrays(train_loss=400 * _FALL, val_loss=_FALL + 0.1)

    @staticmethod
    def quiet() -> Run:
        return Run.from_arrays(train_loss=_FALL, val_loss=_FALL + 0.1)
