"""One run of a fleet as one row of plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

from fitdiag.findings import Severity, Verdict
from fitdiag.report.decimation import decimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from fitdiag.diagnosis import Diagnosis
    from fitdiag.signals import Signal
    from fitdiag.source import Scalar

__all__ = ["FLAT", "Row", "short_name", "sort_rows", "to_frame"]

#: points of a small curve, at the most
CURVE_POINTS = 40

#: digits that the values of a small curve keep
CURVE_DIGITS = 4

#: findings that say what was wrong with the gradients
_EXPLOSIONS = frozenset({"GRD001"})
_VANISHINGS = frozenset({"GRD002", "GRD006"})

_SEVERITIES = [severity.value for severity in Severity]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a fleet keeps of one run.

    Losses are denoised, such that a lucky evaluation does not win a ranking; steps are in the
    run's own unit. What a log does not tell is None.

    Parameters
    ----------
    path : str
        The log, as it was found: a file, or a folder that is one log.
    run : int
        Which of the log's runs, from 1.
    name : str
        A short name: the part of the path that tells runs apart.
    format : str
        The reader that read it; empty where none could.
    status : {"ok", "inconclusive", "error"}
        Whether there is a verdict.
    reason : str
        Why there is none; empty where there is one.
    note : str
        What is worth knowing of a row that is whole, such as a file that grew while it was read.
    verdict : str or None
        As in :class:`fitdiag.Verdict`; None where the log cannot be read.
    confidence : float or None
        0 to 1; None without a verdict that says something.
    codes : tuple of str
        Codes of what was found, the most severe first.
    severities : tuple of {"error", "warning", "info"}
        How severe each of them is.
    worst : {"error", "warning", "info", ""}
        The most severe of them; empty where nothing was found.
    epochs, steps : float or None
        Where the run ends.
    unit : str
        What its steps count.
    points : int
        Points of the training loss.
    train_final, val_final : float or None
        Denoised loss at the end.
    val_best, val_best_step : float or None
        Lowest denoised validation loss, and where.
    val_noise : float or None
        Standard deviation of single validation losses around the denoised curve.
    gap : float or None
        ``val_final`` less ``train_final``.
    onset : float or None
        Step from which validation loss rose, or the training broke.
    pick_step, pick_epoch, pick_loss : float or None
        The checkpoint to keep: where it is, and the loss that it was chosen by.
    pick_path : str or None
        The file that holds it, where that is known.
    regret : float or None
        What the pick gives away, as in :class:`fitdiag.Checkpoint`.
    gradient : {"healthy", "explosion", "vanishing", "non-finite", "unknown"}
        How the gradients were.
    modified : float
        When the log was last written, in seconds since 1970.
    size : int
        Its size in bytes.
    config : mapping of str to scalar
        The run's settings, where they were recorded or found.
    curves : mapping of str to (steps, values)
        ``"train"`` and ``"val"``: about 40 points each, rounded, for small pictures.
    """

    path: str
    run: int = 1
    name: str = ""
    format: str = ""
    status: Literal["ok", "inconclusive", "error"] = "ok"
    reason: str = ""
    note: str = ""
    verdict: str | None = None
    confidence: float | None = None
    codes: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    worst: str = ""
    epochs: float | None = None
    steps: float | None = None
    unit: str = ""
    points: int = 0
    train_final: float | None = None
    val_best: float | None = None
    val_best_step: float | None = None
    val_final: float | None = None
    val_noise: float | None = None
    gap: float | None = None
    onset: float | None = None
    pick_step: float | None = None
    pick_epoch: float | None = None
    pick_loss: float | None = None
    pick_path: str | None = None
    regret: float | None = None
    gradient: str = "unknown"
    modified: float = 0.0
    size: int = 0
    config: Mapping[str, Scalar] = field(default_factory=dict)
    curves: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = field(default_factory=dict)

    @classmethod
    def from_diagnosis(
        cls,
        diagnosis: Diagnosis,
        *,
        path: str | None = None,
        run: int = 1,
        name: str = "",
        modified: float = 0.0,
        size: int = 0,
        config: Mapping[str, Scalar] | None = None,
        note: str = "",
    ) -> Row:
        """Make the row of a run that was diagnosed.

        Parameters
        ----------
        diagnosis : Diagnosis
            What :func:`fitdiag.diagnose` returned.
        path : str, optional
            The log. Default: where the run was read from.
        run : int
            Which of the log's runs, from 1.
        name : str, optional
            Default: the log's folder and file.
        modified : float
            When the log was last written.
        size : int
            Its size in bytes.
        config : mapping, optional
            The run's settings.
        note : str
            What is worth knowing of the row.
        """
        source, judgement, pick = diagnosis.run.source, diagnosis.judgement, diagnosis.checkpoint
        place = source.path if path is None else path
        vague = judgement.verdict is Verdict.INCONCLUSIVE
        severities = tuple(finding.severity.value for finding in diagnosis.findings)
        last = diagnosis.run.span[1]
        return cls(
            path=place,
            run=run,
            name=name or short_name(place, run),
            format=source.format,
            status="inconclusive" if vague else "ok",
            reason=judgement.reason if vague else "",
            note=note,
            verdict=judgement.verdict.value,
            confidence=judgement.confidence,
            codes=tuple(finding.code for finding in diagnosis.findings),
            severities=severities,
            worst=min(severities, key=_SEVERITIES.index, default=""),
            epochs=_known(diagnosis.run.epoch_at(last)),
            steps=_known(last),
            unit=diagnosis.run.unit.value,
            onset=_known(judgement.onset),
            pick_step=None if pick is None else _known(pick.step),
            pick_epoch=None if pick is None else _known(pick.epoch),
            pick_loss=None if pick is None else _known(pick.value),
            pick_path=None if pick is None else pick.path,
            regret=None if pick is None else _known(pick.regret),
            gradient=_gradient_of(diagnosis),
            modified=modified,
            size=size,
            config=dict(config or {}),
            **_losses_of(diagnosis),
        )

    @classmethod
    def from_error(
        cls,
        path: str,
        reason: str,
        *,
        name: str = "",
        format: str = "",  # noqa: A002  # what the column is called
        modified: float = 0.0,
        size: int = 0,
    ) -> Row:
        """Make the row of a log that cannot be read, with the reason why."""
        return cls(
            path=path,
            name=name or short_name(path, 1),
            format=format,
            status="error",
            reason=" ".join(reason.split()),
            modified=modified,
            size=size,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain data that strict JSON can hold."""
        return {
            **vars(self),
            "codes": list(self.codes),
            "severities": list(self.severities),
            "config": dict(self.config),
            "curves": {name: [list(x), list(y)] for name, (x, y) in self.curves.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Row:
        """Make a row of what :meth:`to_dict` returned, also after JSON; other keys are ignored."""
        known = {item.name: data[item.name] for item in fields(cls) if item.name in data}
        for key in ("codes", "severities"):
            known[key] = tuple(known.get(key) or ())
        known["curves"] = {
            name: (tuple(steps), tuple(values))
            for name, (steps, values) in (known.get("curves") or {}).items()
        }
        return cls(**known)


#: the columns of a table of rows; settings follow as ``config.<name>``
FLAT = tuple(item.name for item in fields(Row) if item.name not in {"config", "curves"})


def to_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Return rows as a table.

    Parameters
    ----------
    rows : iterable of Row
        As :func:`fitdiag.scan` yields them.

    Returns
    -------
    pandas.DataFrame, one row each
        Codes and severities are joined by spaces; settings are columns ``config.<name>``; the
        small curves are left out.

    Examples
    --------
    >>> import fitdiag
    >>> from fitdiag.fleet.rows import Row
    >>> fitdiag.to_frame([Row(path="a.csv", verdict="ideal", config={"lr": 0.1})])["config.lr"][0]
    np.float64(0.1)
    """
    import pandas as pd

    kept = list(rows)
    data: dict[str, list[Any]] = {key: [getattr(row, key) for row in kept] for key in FLAT}
    for key in ("codes", "severities"):
        data[key] = [" ".join(cell) for cell in data[key]]
    for key in sorted({key for row in kept for key in row.config}):
        data[f"config.{key}"] = [row.config.get(key) for row in kept]
    frame: pd.DataFrame = pd.DataFrame(data)
    return frame


def short_name(path: str, run: int) -> str:
    """Return the last two parts of a path, and which of several runs where it is not the first."""
    parts = PurePath(path).parts[-2:]
    name = "/".join(part for part in parts if part not in {"/", "\\"})
    return f"{name} #{run}" if run > 1 else name


def _known(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _losses_of(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return what the two losses come to, and both as small curves."""
    signals = diagnosis.signals
    train = signals.get(diagnosis.run.train_loss.name) if diagnosis.run.train_loss else None
    val = signals.get("val_loss")
    found: dict[str, Any] = {"points": 0 if train is None else train.count, "curves": {}}
    for name, signal in (("train", train), ("val", val)):
        if signal is None or not len(signal):
            continue
        found[f"{name}_final"] = _known(float(signal.smooth[-1]))
        found["curves"][name] = _small(signal)
        if name == "val":
            lowest = int(signal.smooth.argmin())
            found["val_best"] = _known(float(signal.smooth[lowest]))
            found["val_best_step"] = _known(float(signal.steps[lowest]))
            found["val_noise"] = _known(sorted(signal.noise.tolist())[len(signal) // 2])
    ends = found.get("train_final"), found.get("val_final")
    if ends[0] is not None and ends[1] is not None and math.isfinite(ends[1] - ends[0]):
        found["gap"] = ends[1] - ends[0]
    return found


def _small(signal: Signal) -> tuple[tuple[float, ...], tuple[float, ...]]:
    x, y = decimate(signal.steps, signal.values, CURVE_POINTS - 2)
    return tuple(x.tolist()), tuple(float(f"{value:.{CURVE_DIGITS}g}") for value in y.tolist())


def _gradient_of(diagnosis: Diagnosis) -> str:
    codes = {finding.code for finding in diagnosis.findings}
    norms = [diagnosis.signals.get(name) for name in ("grad_norm", "grad_norm_max")]
    if codes & _EXPLOSIONS:
        return "explosion"
    if codes & _VANISHINGS:
        return "vanishing"
    if any(norm is not None and norm.nonfinite for norm in norms):
        return "non-finite"
    return "unknown" if not any(norm is not None and norm.count for norm in norms) else "healthy"


def sort_rows(rows: Iterable[Row]) -> Sequence[Row]:
    """Return rows in the order of their paths."""
    return sorted(rows, key=lambda row: (row.path, row.run))
