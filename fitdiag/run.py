"""The facts of one training run: its curves, and where they come from.

Every log becomes a :class:`Run` at once, whatever its format; nothing downstream opens a file.
Curve names are the same words everywhere (log columns, Python, JSON, docs):

========================  ==============================================================
``train_loss``            training loss, usually the mean over an epoch
``val_loss``              validation loss
``batch_loss``            training loss of single batches or short windows of batches
``grad_norm``             global 2-norm of the gradients, before clipping unless noted
``grad_norm_max``         the largest such norm since the row before
``grad_norm/<layer>``     norm of one layer's gradient, in the order from input to output
``train_loss/<task>``     training loss of one of several tasks; ``val_loss/<task>`` likewise
``task_norm/<task>``      norm of one task's gradient on the parameters that all tasks share
``task_rate/<task>``      relative inverse training rate of one task; above 1 is slower
``task_weight/<task>``    weight of one task's loss in the whole
``clip_coef``             factor by which clipping scaled the gradient; 1 is not clipped
``skipped_steps``         optimizer steps skipped so far, as mixed precision does on overflow
``loss_scale``            what mixed precision multiplied the loss by
``lr``                    learning rate of the first parameter group
``train_<metric>``        a metric on training data, for example ``train_accuracy``
``val_<metric>``          a metric on validation data, for example ``val_accuracy``
========================  ==============================================================
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.errors import UsageError
from fitdiag.source import Observation, Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Curve", "Observation", "Run", "Source", "StepUnit", "measured"]


#: points from which a curve can be judged at all
FEW = 4
#: what the names of single layers' gradient norms begin with
LAYER = "grad_norm/"
#: what the names of single tasks' losses, gradient norms, training rates and weights begin with
TASK_LOSS = "train_loss/"
TASK_NORM = "task_norm/"
TASK_RATE = "task_rate/"
TASK_WEIGHT = "task_weight/"
_TASKS = (TASK_LOSS, "val_loss/", TASK_NORM, TASK_RATE, TASK_WEIGHT)
_NO_METRICS = frozenset(
    {
        "train_loss",
        "val_loss",
        "batch_loss",
        "grad_norm",
        "grad_norm_max",
        "clip_coef",
        "skipped_steps",
        "loss_scale",
        "lr",
    }
)


class StepUnit(str, enum.Enum):
    """What a run's steps count."""

    STEP = "step"
    """optimizer steps"""
    EPOCH = "epoch"
    """passes over the training data"""
    ROW = "row"
    """rows of the log, where it has neither a step nor an epoch column"""

    def __str__(self) -> str:
        return self.value


def _frozen(values: ArrayLike, what: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.flags.writeable or array.base is not None:
        array = array.copy()  # a read-only array is nobody's to change, and is shared
    if array.ndim != 1:
        raise UsageError(f"{what} must be one-dimensional, not of shape {array.shape}")
    array.setflags(write=False)
    return array


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """One measured quantity over the run, at its own steps.

    Parameters
    ----------
    name : str
        Canonical name, see the module's table.
    steps : array_like of float, shape (n,)
        Where each value was measured, strictly increasing and finite, in the run's step unit.
    values : array_like of float, shape (n,)
        What was measured. NaN and infinity are kept: they are evidence.
    label : str, optional
        How the log itself calls the curve. Default: the name.

    Raises
    ------
    UsageError
        If the two differ in length, or the steps are not finite and strictly increasing.

    Examples
    --------
    >>> import fitdiag
    >>> curve = fitdiag.Curve(name="train_loss", steps=[1, 2, 3], values=[0.9, 0.5, 0.4])
    >>> len(curve)
    3
    """

    name: str
    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    label: str = ""

    def __post_init__(self) -> None:
        steps = _frozen(self.steps, f"the steps of {self.name!r}")
        values = _frozen(self.values, f"the values of {self.name!r}")
        if steps.size != values.size:
            raise UsageError(f"curve {self.name!r} has {steps.size} steps but {values.size} values")
        if not np.isfinite(steps).all() or (steps[1:] <= steps[:-1]).any():
            raise UsageError(f"the steps of curve {self.name!r} must be finite and increasing")
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "label", self.label or self.name)

    def __len__(self) -> int:
        return int(self.steps.size)


def measured(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell the cells of a column that were measured from those that are only empty.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        A column in which both "not measured" and "measured as NaN" are NaN.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for every number and infinity; also for the NaN after the last of them, if there are
        more than two and more than twice as many as ever stood in a row before; True throughout
        if all is NaN.
    """
    known = ~np.isnan(values)
    where = np.flatnonzero(known)
    if not where.size:
        return np.ones(values.size, dtype=bool)
    longest = int(np.max(np.diff(where, prepend=-1))) - 1
    trailing = values.size - 1 - int(where[-1])
    if trailing > max(2 * longest, 2):
        known[where[-1] + 1 :] = True
    return known


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One training run: immutable curves, a step unit, an optional map to epochs, a source.

    Parameters
    ----------
    curves : mapping of str to Curve
        Keyed by canonical name.
    unit : StepUnit, optional
        What the steps count. Default: optimizer steps.
    epochs : Curve, optional
        The run's own epoch at some of its steps; None when unknown.
    source : Source, optional
        Where it was read from.
    observations : tuple of Observation, optional
        What was seen while it was recorded, besides the curves.
    """

    curves: Mapping[str, Curve]
    unit: StepUnit = StepUnit.STEP
    epochs: Curve | None = None
    source: Source = field(default_factory=Source)
    observations: tuple[Observation, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "curves", MappingProxyType(dict(self.curves)))

    @classmethod
    def from_arrays(
        cls,
        curves: Mapping[str, ArrayLike] | None = None,
        *,
        steps: ArrayLike | None = None,
        epochs: ArrayLike | None = None,
        unit: StepUnit | str = StepUnit.STEP,
        source: Source | None = None,
        **values: ArrayLike,
    ) -> Run:
        """Make a run from arrays that share one step axis; NaN means "not measured there".

        Parameters
        ----------
        curves : mapping of str to array_like of float, shape (n,), optional
            Curves by name; ``**values`` adds to them.
        steps : array_like of float, shape (n,), optional
            Default: ``1 … n``.
        epochs : array_like of float, shape (n,), optional
            The epoch at each step.
        unit : {"step", "epoch", "row"}, optional
            What the steps count.
        source : Source, optional
            Where the arrays come from.
        **values : array_like of float, shape (n,)
            ``train_loss=…``, ``val_loss=…``, ``grad_norm=…`` and so on.

        Returns
        -------
        Run
            NaN means "not measured" before, between and shortly after a curve's finite values,
            as in a validation loss every tenth row. A stretch of NaN at the end that is more than
            twice as long as any before it is kept in a loss: that is a run whose loss became NaN.

        Examples
        --------
        >>> import fitdiag
        >>> run = fitdiag.Run.from_arrays(train_loss=[3.0, 2.0, 1.5], val_loss=[3.1, 2.2, 1.8])
        >>> sorted(run.curves)
        ['train_loss', 'val_loss']
        """
        columns = {**(curves or {}), **values}
        length = max((np.size(value) for value in columns.values()), default=0)
        axis = np.arange(1, length + 1, dtype=float) if steps is None else np.asarray(steps, float)
        made = []
        for name, value in columns.items():
            array = np.asarray(value, dtype=float)
            keep = measured(array) if name.endswith("loss") else ~np.isnan(array)
            made.append(Curve(name=name, steps=axis[: array.size][keep], values=array[keep]))
        return cls(
            curves={curve.name: curve for curve in made},
            unit=StepUnit(unit),
            epochs=None
            if epochs is None
            else Curve(name="epoch", steps=axis, values=np.asarray(epochs, dtype=float)),
            source=source or Source(),
        )

    @classmethod
    def from_frame(
        cls, frame: object, *, columns: Mapping[str, str] | None = None, run: int | None = None
    ) -> Run:
        """Make a run from a pandas DataFrame; its columns are told by their names.

        Parameters
        ----------
        frame : pandas.DataFrame, shape (n, columns)
            One row for each epoch, step or log call, wide or long, as in a CSV log. An index with
            a name counts as a column. NaN means what it means in :meth:`from_arrays`.
        columns : mapping of str to str, optional
            Canonical curve name to column, where the names do not tell.
        run : int, optional
            Which of several runs in the frame, as for :func:`fitdiag.read`.

        Returns
        -------
        Run

        Raises
        ------
        ReadError
            If the frame is empty, or no column can be told to be the training loss.

        Examples
        --------
        >>> import fitdiag, pandas
        >>> frame = pandas.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0], "val_loss": [2.5, 2.0]})
        >>> fitdiag.Run.from_frame(frame).val_loss.values.tolist()
        [2.5, 2.0]
        """
        made: Run = import_module("fitdiag.readers.frames").make_from_frame(frame, columns, run)
        return made

    @classmethod
    def from_history(
        cls, history: object, *, columns: Mapping[str, str] | None = None, run: int | None = None
    ) -> Run:
        """Make a run from a history that lies in memory.

        Parameters
        ----------
        history : keras.callbacks.History, dict of lists, or list of dicts
            What ``model.fit`` returns, its ``history``, or what a loop collected: a list for each
            curve, or a dict for each epoch. Dicts within are read with a slash between the names.
            A list that is shorter by a whole factor was measured every so many epochs.
        columns : mapping of str to str, optional
            Canonical curve name to key, where the keys do not tell.
        run : int, optional
            Which of several runs in it, as for :func:`fitdiag.read`.

        Returns
        -------
        Run

        Raises
        ------
        ReadError
            If it is empty, its lists do not fit together, or no key can be told to be the
            training loss.

        Examples
        --------
        >>> import fitdiag
        >>> run = fitdiag.Run.from_history({"loss": [2.0, 1.0], "val_loss": [2.5, 2.0]})
        >>> run.train_loss.values.tolist()
        [2.0, 1.0]
        """
        made: Run = import_module("fitdiag.readers.frames").make_from_history(history, columns, run)
        return made

    def get(self, *names: str) -> Curve | None:
        """Return the first of these curves that the run has and that is not empty, or None."""
        for name in names:
            curve = self.curves.get(name)
            if curve is not None and len(curve):
                return curve
        return None

    @property
    def train_loss(self) -> Curve | None:
        """The training loss: ``train_loss``, or ``batch_loss`` where that has too few points."""
        train, batch = self.get("train_loss"), self.get("batch_loss")
        few = train is None or len(train) < FEW
        use_batch = few and batch is not None and (train is None or len(batch) >= FEW)
        return batch if use_batch else train

    @property
    def val_loss(self) -> Curve | None:
        """The validation loss."""
        return self.get("val_loss")

    @property
    def span(self) -> tuple[float, float]:
        """First and last step of any curve; ``(0, 0)`` for a run without points."""
        ends = [(curve.steps[0], curve.steps[-1]) for curve in self.curves.values() if len(curve)]
        if not ends:
            return 0.0, 0.0
        return float(min(first for first, _ in ends)), float(max(last for _, last in ends))

    def epoch_at(self, step: float) -> float | None:
        """Return the epoch at a step, or None where the log does not tell."""
        if self.unit is StepUnit.EPOCH:
            return float(step)
        if self.epochs is None or not len(self.epochs):
            return None
        return float(np.interp(step, self.epochs.steps, self.epochs.values))

    def moment(self, step: float) -> str:
        """Name a step as a person would: by epoch where that is known, else by the step unit."""
        epoch = self.epoch_at(step)
        if epoch is None:
            return f"{self.unit} {step:,.0f}"
        if epoch.is_integer() or epoch >= 100:
            return f"epoch {epoch:,.0f}"
        return f"epoch {epoch:.1f}"

    def metrics(self) -> Sequence[Curve]:
        """Return the curves that are neither losses, gradient norms nor learning rates."""
        return [
            curve
            for name, curve in self.curves.items()
            if name not in _NO_METRICS and not name.startswith((LAYER, *_TASKS)) and len(curve)
        ]

    def layers(self) -> Mapping[str, Curve]:
        """Return the gradient norms of single layers by layer, in the order of the log."""
        return {
            name.removeprefix(LAYER): curve
            for name, curve in self.curves.items()
            if name.startswith(LAYER) and len(curve)
        }

    def tasks(self, kind: str = TASK_NORM) -> Mapping[str, Curve]:
        """Return the curves of single tasks by task: those whose names begin with ``kind``."""
        return {
            name.removeprefix(kind): curve
            for name, curve in self.curves.items()
            if name.startswith(kind) and len(curve)
        }
