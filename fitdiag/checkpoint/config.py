"""The limits of the pick and of the gradient phases, each written once."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PickConfig"]


@dataclass(frozen=True, kw_only=True)
class PickConfig:
    """The limits of the pick; each travels with the result.

    Parameters
    ----------
    peak_factor : float
        Factor by which the smoothed norm must stand above the valleys on both its sides.
    peak_errors : float
        Standard errors by which it must do so.
    transient_share : float
        Share of the run within which the peak of the transient is looked for.
    settled_checks : int
        Checks in a row over which the norm must fall for the run to have settled.
    fluctuation : float
        Relative rise from one such check to the next that still counts as falling.
    baseline_share : float
        Share of its starting baseline that the training loss must be under to have settled.
    late_rise_factor : float
        Factor over its later minimum by which the smoothed norm must end to "rise late".
    late_share : float
        Share of its whole fall that the training loss must have made by then: a norm that rises
        while learning is only starting does not rise late.
    at_stake : float
        Share of the curve's whole fall by which a value must lie beneath both its neighbours to
        be an isolated dip. On the zoo and on AlgoPerf's runs nearly all smaller ones were real.
    own_share : float
        Share of the rest of such a dip that is taken for a better model; what is left is taken for
        the chance of its evaluation.
    early_errors : float
        Standard errors by which an evaluation from before the norm settled must be better than
        all that follow for the settling to limit nothing.
    tie_noise : float
        Share of the noise within which two points tie, and the earlier wins. By default only
        equal ones do.
    memorised : float
        Without validation: share of its peak that the denoised norm must have fallen under for
        the end of the training to count as memorising.
    memorised_fall : float
        Share of the training loss's fall at which such a run is picked; one that does not
        memorise is picked at the end of the fall.
    """

    peak_factor: float = 1.25
    peak_errors: float = 3.0
    transient_share: float = 0.5
    settled_checks: int = 3
    fluctuation: float = 0.03
    baseline_share: float = 0.95
    late_rise_factor: float = 1.5
    late_share: float = 0.5
    at_stake: float = 0.03
    own_share: float = 0.9
    early_errors: float = 0.5
    tie_noise: float = 0.0
    memorised: float = 0.1
    memorised_fall: float = 0.85
