"""Tells a mistake: once, as a warning at the user's line, and as an observation in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitdiag.mistakes import ADVICE
from fitdiag.recording.hygiene.places import Place, name_place
from fitdiag.source import Observation

if TYPE_CHECKING:
    from collections.abc import Callable

    from fitdiag.recording.notices import Notices
    from fitdiag.recording.sidecar import Sidecar
    from fitdiag.source import Scalar

__all__ = ["Teller"]


class Teller:
    """Says each kind of mistake once.

    Parameters
    ----------
    notices : Notices
        Where it is said.
    sidecar : Sidecar
        Where it is kept.
    count_steps : callable
        Returns the optimizer step of the run.
    speaks : bool
        False in a process that writes no log, which stays silent.
    """

    def __init__(
        self,
        notices: Notices,
        sidecar: Sidecar,
        *,
        count_steps: Callable[[], int],
        speaks: bool,
    ) -> None:
        self.told: set[str] = set()
        self._notices = notices
        self._sidecar = sidecar
        self._count_steps = count_steps
        self._speaks = speaks

    def tell(
        self,
        code: str,
        message: str,
        place: Place | None,
        *,
        aloud: bool = True,
        **values: Scalar,
    ) -> None:
        """Tell a mistake, unless one of its kind has been told.

        Parameters
        ----------
        code : str
            Its rule.
        message : str
            What was seen, in one sentence.
        place : Place or None
            The line of the user's code.
        aloud : bool
            False to keep it for the report only.
        **values : str, int, float, bool or None
            Numbers that tell how bad it is.
        """
        if code in self.told:
            return
        self.told.add(code)
        where = name_place(place)
        step = self._count_steps()
        self._sidecar.observe(
            Observation(code=code, message=message, where=where, step=step, values=values)
        )
        if aloud and self._speaks:
            at = f"{where}: " if where else ""
            self._notices.say(f"{at}{message} {ADVICE[code][0]} (fitdiag explain {code})", place)

    def give_up(self, codes: tuple[str, ...], problem: Exception) -> None:
        """Say that something is watched no more, since watching it failed."""
        if self._speaks:
            reason = str(problem) or type(problem).__name__
            names = " and ".join(filter(None, (", ".join(codes[:-1]), codes[-1])))
            self._notices.say(
                f"{names} cannot be watched, the recording goes on. The reason: {reason}"
            )

    def publish(self, codes: tuple[str, ...]) -> None:
        """Keep in the log which kinds of mistakes were looked for."""
        self._sidecar.set("checks", sorted(codes))
