"""The words of a diagnosis: verdicts, findings, skips, picks. Plain, frozen, nothing judged."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = [
    "Alternative",
    "Checkpoint",
    "Evidence",
    "Finding",
    "GradientPhases",
    "Judgement",
    "Severity",
    "Skip",
    "Verdict",
]


class Verdict(str, enum.Enum):
    """What happened in a run, after Deep Learning with PyTorch (Stevens et al. 2020), fig. 5.14."""

    NO_LEARNING = "no_learning"
    """neither loss falls beyond its noise"""
    OVERFITTING = "overfitting"
    """training loss falls on while validation loss turns up, or never improved at all"""
    IDEAL = "ideal"
    """both losses fall together with a small gap"""
    CONTROLLED_GAP = "controlled_gap"
    """both follow the same trend, validation higher by a stable amount"""
    DIVERGED = "diverged"
    """training loss ended non-finite, or lost most of what it had gained"""
    INCONCLUSIVE = "inconclusive"
    """too few points, no validation curve, or evidence within the noise"""

    def __str__(self) -> str:
        return self.value


class Severity(str, enum.Enum):
    """How much a finding matters, most first."""

    ERROR = "error"
    """the run is not usable as it is"""
    WARNING = "warning"
    """the run is worth less than it could be"""
    INFO = "info"
    """worth knowing"""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A part of a curve that supports a finding, such that it can be drawn.

    Parameters
    ----------
    curve : str
        Canonical curve name.
    start, end : float
        First and last step of the part.
    value : float or None
        What was measured there.
    limit : float or None
        What it was compared with.
    label : str
        What the value is, in a few words.
    """

    curve: str
    start: float
    end: float
    value: float | None = None
    limit: float | None = None
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found in a run.

    Parameters
    ----------
    code : str
        For ever, for example ``"FIT002"``; ``fitdiag explain FIT002`` tells all about it.
    name : str
        The rule's name, for example ``"overfitting"``.
    severity : Severity
        How much it matters here.
    message : str
        One sentence with numbers.
    advice : tuple of str
        What to do, most useful first.
    evidence : tuple of Evidence
        What can be drawn of it.
    """

    code: str
    name: str
    severity: Severity
    message: str
    advice: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Skip:
    """One thing that could not be judged, and why."""

    code: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict with what it rests on.

    Parameters
    ----------
    verdict : Verdict
        What happened.
    confidence : float or None
        How often a verdict given with this confidence is right, 0 to 1; None if inconclusive.
    reason : str
        One sentence with numbers.
    onset : float or None
        Step from which validation loss rose, for overfitting; first bad step for diverged.
    evidence : tuple of Evidence
        What can be drawn of it.
    features : tuple of (str, float)
        The scale-free numbers the verdict was made from, by name.
    """

    verdict: Verdict
    confidence: float | None
    reason: str
    onset: float | None = None
    evidence: tuple[Evidence, ...] = ()
    features: tuple[tuple[str, float], ...] = ()

    def feature(self, name: str) -> float:
        """Return one of the numbers by name; NaN when it was not computed."""
        return dict(self.features).get(name, float("nan"))


@dataclass(frozen=True, kw_only=True)
class GradientPhases:
    """The gradient norm's early peak and the settled region after it.

    Parameters
    ----------
    peak : float or None
        Step of the prominent peak of the smoothed norm; None when there is none.
    peak_value : float or None
        Smoothed norm there.
    settled : float or None
        First step of the settled region; None when the run never settles.
    late_rise : float or None
        Step from which the smoothed norm rises again for the rest of the run; None if it does not.
    reason : str
        One sentence.
    """

    peak: float | None
    peak_value: float | None
    settled: float | None
    late_rise: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """A checkpoint that another rule would have kept.

    Parameters
    ----------
    rule : str
        ``"argmin"``, ``"last"`` or ``"first settled"``.
    step : float
        Its step.
    epoch : float or None
        Its epoch, where known.
    value : float or None
        The curve's raw value there.
    path : str or None
        The file that holds it, where known.
    """

    rule: str
    step: float
    epoch: float | None
    value: float | None
    path: str | None = None


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The checkpoint to keep.

    Parameters
    ----------
    step : float
        Its step, in the run's step unit.
    epoch : float or None
        Its epoch, where known.
    path : str or None
        The file or folder that holds it; None when no such file is known.
    curve : str
        The curve that it was chosen by, for example ``"val_loss"``.
    value : float or None
        The value of that curve there as it was compared: raw, or less good where it stands alone.
    reason : str
        Why this one, in a sentence or two.
    regret : float or None
        Raw value there above the curve's raw minimum, relative to the curve's range; None if blind.
    blind : bool
        True when there was no validation curve to choose by.
    alternatives : tuple of Alternative
        What other rules would have kept.
    direction : {"min", "max"}
        Whether small or large values of that curve are good.
    folder : str or None
        The folder of checkpoints that was looked into; None when none is known.
    nearest : str or None
        The file that holds it, or the one that was saved nearest to it.
    nearest_step : float or None
        The step of that file.
    files : str
        One sentence about the files; empty when no folder is known.
    """

    step: float
    epoch: float | None
    path: str | None
    curve: str
    value: float | None
    reason: str
    regret: float | None
    blind: bool
    alternatives: tuple[Alternative, ...]
    direction: str = "min"
    folder: str | None = None
    nearest: str | None = None
    nearest_step: float | None = None
    files: str = ""
