"""The curve that a checkpoint is chosen by, and the direction in which it is better."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fitdiag.errors import UsageError

if TYPE_CHECKING:
    from fitdiag.run import Curve, Run

__all__ = ["Metric", "find_curve", "parse_metric"]

#: words within a name that tell which way is better
_LOWER = re.compile(
    "loss|error|err|perplexity|ppl|bpb|bpc|wer|cer|mae|mse|rmse|mape|smape|nll|nrmse|crps|fid"
    "|distance|divergence|entropy|regret"
)
_HIGHER = re.compile(
    "accuracy|acc|f1|auc|auroc|roc|ap|map|precision|recall|bleu|rouge|meteor|iou|miou|dice|score"
    "|kappa|mcc|r2|ndcg|mrr|psnr|ssim|reward|top1|top5|em|spearman|pearson"
)
DIRECTIONS = ("min", "max")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A curve to choose by.

    Parameters
    ----------
    name : str
        The curve's name in the run, or as the log itself calls it.
    direction : {"min", "max"}
        Whether its least or its largest value is the best.
    """

    name: str
    direction: str

    @property
    def sign(self) -> float:
        """Return what makes the best value the least: 1 or -1."""
        return 1.0 if self.direction == "min" else -1.0


def parse_metric(text: str) -> Metric:
    """Return the metric that a text such as ``"val_accuracy:max"`` names.

    Parameters
    ----------
    text : str
        A curve and, behind a colon, ``min`` or ``max``. Without it the name has to tell, as
        ``val_accuracy`` and ``val_loss`` do.

    Raises
    ------
    UsageError
        If there is no name, or no direction can be told.

    Examples
    --------
    >>> parse_metric("val_accuracy:max").direction, parse_metric("val_wer").direction
    ('max', 'min')
    """
    name, colon, direction = text.rpartition(":") if ":" in text else (text, "", "")
    name, direction = name.strip(), direction.strip().lower()
    if not name:
        raise UsageError(f"the metric {text!r} names no curve; write it as in val_accuracy:max")
    if colon and direction not in DIRECTIONS:
        raise UsageError(
            f"the metric {text!r} has the direction {direction!r}; the choices are min and max, "
            f"as in {name}:max"
        )
    direction = direction or _tell_direction(name)
    if not direction:
        raise UsageError(
            f"whether {name!r} is better small or large does not show in its name; "
            f"write {name}:min or {name}:max"
        )
    return Metric(name=name, direction=direction)


def _tell_direction(name: str) -> str:
    low = name.lower()
    words = set(re.split(r"[^a-z0-9]+", low)) | set(re.split(r"[^a-z]+", low))
    lower, higher = (any(map(told.fullmatch, words)) for told in (_LOWER, _HIGHER))
    if lower == higher:
        return ""
    return "min" if lower else "max"


def find_curve(run: Run, metric: Metric) -> Curve:
    """Return the curve of a run that a metric names.

    Raises
    ------
    UsageError
        If the run has no such curve, or nothing finite in it; it lists those that it has.
    """
    wanted = (metric.name, f"val_{metric.name}")
    curves = [curve for curve in run.curves.values() if len(curve)]
    for name in wanted:
        for curve in curves:
            if name in (curve.name, curve.label):
                return curve
    names = ", ".join(sorted(curve.name for curve in curves)) or "none"
    raise UsageError(f"the log has no curve {metric.name!r}; it has {names}")
