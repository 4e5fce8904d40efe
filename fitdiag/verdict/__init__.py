"""The one place where the verdict is computed.

Measure, judge, tell: :mod:`fitdiag.verdict.features` turns two loss curves into scale-free
numbers, :mod:`fitdiag.verdict.decision` compares them with the limits of :class:`VerdictConfig`,
:mod:`fitdiag.verdict.wording` says it in a sentence and points at the evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.verdict.config import VerdictConfig
from fitdiag.verdict.decision import decide
from fitdiag.verdict.wording import word

if TYPE_CHECKING:
    from fitdiag.findings import Judgement
    from fitdiag.signals import Facts

__all__ = ["VerdictConfig", "judge"]


def judge(facts: Facts, config: VerdictConfig | None = None) -> Judgement:
    """Return the verdict of a run with its confidence, its reason and its evidence.

    Parameters
    ----------
    facts : Facts
        The run's signals.
    config : VerdictConfig, optional
        The limits.

    Returns
    -------
    Judgement
    """
    return word(facts, decide(facts, config or VerdictConfig()))
