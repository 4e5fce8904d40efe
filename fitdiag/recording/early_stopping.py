"""Early stopping for any loop: the judgement of :mod:`fitdiag.stopping` over the best weights."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch

from fitdiag.errors import UsageError
from fitdiag.stopping import Decision, StopConfig, Stopper, StopReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Says when to stop, and puts the best weights back.

    ``patience="auto"`` needs no number: it stops soon where validation worsens in a straight line,
    late where it goes up and down, and hardly ever on a plateau that waits for a lower learning
    rate. In distributed training ask it in one process and send the answer to the others.

    Parameters
    ----------
    patience : "auto" or int, optional
        Or the number of evaluations without improvement after which to stop.
    min_delta : float, optional
        By how much a value must be better than the best to count as an improvement. Default: 0.
    relative : float, optional
        The same as a share of the best value's size; the larger of the two counts. Default: 0.
    mode : {"min", "max"}, optional
        Whether small values are good, as of a loss, or large ones, as of an accuracy.
    restore_best : Module, optional
        A model whose weights are copied to the host's memory at each improvement, and put back
        when it is time to stop, or by :meth:`restore`.
    config : StopConfig, optional
        The limits of ``"auto"``.

    Attributes
    ----------
    decision : Decision
        The last one in full: best value, waited evaluations, how near to stopping, advice.

    Raises
    ------
    UsageError
        If an argument is not what it should be.

    Examples
    --------
    >>> import fitdiag
    >>> stopping = fitdiag.EarlyStopping(patience=3)
    >>> for epoch, val_loss in enumerate([1.0, 0.7, 0.6, 0.62, 0.65, 0.7, 0.8]):
    ...     if stopping.update(val_loss):
    ...         break
    >>> epoch, stopping.reason.value, stopping.best
    (5, 'patience', 0.6)
    >>> stopping.message
    'No improvement in 3 evaluations: the best was 0.6 at evaluation 3.'
    """

    def __init__(
        self,
        patience: str | int = "auto",
        *,
        min_delta: float = 0.0,
        relative: float = 0.0,
        mode: str = "min",
        restore_best: nn.Module | None = None,
        config: StopConfig | None = None,
    ) -> None:
        if restore_best is not None and not isinstance(restore_best, torch.nn.Module):
            raise UsageError(
                "restore_best must be the model whose weights are to be restored, not "
                f"{restore_best!r}"
            )
        self._stopper = Stopper(
            patience, min_delta=min_delta, relative=relative, mode=mode, config=config
        )
        self._model = restore_best
        self._weights: dict[str, Any] | None = None

    def update(self, value: float | Tensor, step: float | None = None) -> bool:
        """Take an evaluation; tell whether to stop.

        Parameters
        ----------
        value : float or Tensor
            The metric, on data that is not trained on.
        step : float, optional
            Where, to be named in the message. Default: the evaluation's number, from 1.

        Raises
        ------
        UsageError
            If the value is no number.
        """
        before = self._stopper.decision.stop
        try:
            number = float(value.detach() if isinstance(value, torch.Tensor) else value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UsageError(
                f"the value is {value!r}: pass one number, such as the mean validation loss"
            ) from error
        decision = self._stopper.update(number, step)
        if decision.improved and self._model is not None:
            self._weights = _copy(self._model, self._weights)
        if decision.stop and not before:
            self.restore()
        return decision.stop

    __call__ = update

    @property
    def decision(self) -> Decision:
        """The last decision in full."""
        return self._stopper.decision

    @property
    def should_stop(self) -> bool:
        """Whether it is time to stop."""
        return self.decision.stop

    @property
    def reason(self) -> StopReason:
        """Why, as a closed set of words."""
        return self.decision.reason

    @property
    def message(self) -> str:
        """Why, in one sentence."""
        return self.decision.message

    @property
    def best(self) -> float | None:
        """The best value so far."""
        return self.decision.best

    def restore(self) -> bool:
        """Put the best weights back into the model; tell whether there were any."""
        if self._model is None or self._weights is None:
            return False
        self._model.load_state_dict(self._weights)
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return what has to be saved to go on after an interruption; plain numbers."""
        return self._stopper.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned; the best weights are not part of it."""
        self._stopper.load_state_dict(state)


def _copy(model: nn.Module, into: dict[str, Any] | None) -> dict[str, Any]:
    """Return a model's state in the host's memory, in the tensors that are there already."""
    copied: dict[str, Any] = {}
    for name, value in model.state_dict().items():
        held = None if into is None else into.get(name)
        if not isinstance(value, torch.Tensor):
            copied[name] = deepcopy(value)
        elif isinstance(held, torch.Tensor) and held.shape == value.shape:
            copied[name] = held.copy_(value.detach())
        else:
            copied[name] = value.detach().to("cpu", copy=True)
    return copied
