"""Every number that the verdict depends on, each with what it means and where it was set."""

from __future__ import annotations

from dataclasses import dataclass

from fitdiag.run import FEW

__all__ = ["VerdictConfig"]


@dataclass(frozen=True, kw_only=True)
class VerdictConfig:
    """The limits of the verdict; each travels with the result.

    Parameters
    ----------
    min_points : int
        Finite points that the training and the validation loss each need to be judged.
    end_share : float
        Share of the run, at its end, whose median is "the end".
    noise_z : float
        Standard errors by which a change must exceed the noise to count.
    lost_share : float
        Diverged: share of what the training loss had gained that it lost again by the end.
    risen_share : float
        Diverged: relative rise of a training loss that never gained anything.
    fall_noise : float
        No learning: times the noise of single values by which validation loss must have fallen.
    fall_share : float
        No learning: relative fall of a positive validation loss below which it did not fall ...
    plateau_fall_share : float
        ... or below which it did not, where the fall was over early and nothing followed.
    plateau_early : float
        Share of the fall that lies in the first seventh of the run for it to be "over early".
    constant_band : float
        No learning: relative distance to ln C within which both losses end at a constant predictor
        of C classes; every such end must also be explained by a bad start, a fall that was over
        early, or a loss that had shot up before.
    constant_spacing : float
        The same as a share of the distance from ln C to ln (C + 1), if that is less: among many
        classes every loss lies near the logarithm of some number.
    constant_classes : int
        Classes up to which ``constant_band`` alone counts; beyond, both do.
    constant_fall : float
        Relative fall of validation loss that a bad start explains.
    constant_early : float
        Share of the fall in the beginning of the run from which it was over early.
    shot_up : float
        Times its start that the training loss must have reached to have shot up.
    memorised_share : float
        Overfitting: relative fall of a training loss whose validation loss never fell.
    follow_share : float
        Overfitting: fall of validation loss over that of training below which it did not follow.
    rise_share : float
        Overfitting: rise of validation loss above its minimum, over the mean fall of both losses.
    rise_z : float
        Overfitting: the same rise in standard errors.
    kept_share : float
        Overfitting: share of its fall that training loss made after validation turned.
    clear_z : float
        Overfitting: standard errors of the rise from which training need not have fallen on, as
        long as it did not rise as well.
    faint_share : float
        Inconclusive: relative fall of both losses below which a start worse than a constant
        prediction explains it as well as learning does ...
    faint_points : int
        ... in a run of fewer evaluations than this; over more of them such a start would be over.
    trust_base : float
        Confidence that validation follows, from a logistic regression fitted on the tune part of
        the zoo: the intercept.
    trust_gap : float
        Its weight of how far the gap lies from its limit, as a logarithm.
    trust_rise : float
        Its weight of how far the rise lies below its limit, as a logarithm.
    trust_fall : float
        Its weight of how far the smaller relative fall lies above ``faint_share``, as a logarithm.
    min_confidence : float
        Inconclusive: confidence below which the verdict is more likely wrong than right.
    gap_share : float
        Controlled gap: final gap over the fall of the training loss.
    growing : float
        Share of the final gap that opened in the second half of the run from which it is said to
        grow still.
    """

    min_points: int = FEW
    end_share: float = 0.05
    noise_z: float = 3.0
    lost_share: float = 0.5
    risen_share: float = 0.1
    fall_noise: float = 1.5
    fall_share: float = 0.025
    plateau_fall_share: float = 0.06
    plateau_early: float = 0.5
    constant_band: float = 0.004
    constant_spacing: float = 0.03
    constant_classes: int = 20
    constant_fall: float = 0.15
    constant_early: float = 0.97
    shot_up: float = 2.0
    memorised_share: float = 0.12
    follow_share: float = 0.2
    rise_share: float = 0.053
    rise_z: float = 2.0
    kept_share: float = 0.02
    clear_z: float = 5.0
    faint_share: float = 0.09
    faint_points: int = 30
    trust_base: float = -2.0
    trust_gap: float = 0.54
    trust_rise: float = 0.58
    trust_fall: float = 1.6
    min_confidence: float = 0.5
    gap_share: float = 0.15
    growing: float = 0.2
