"""Weights averaged over several checkpoints: :func:`average`.

The mean of weights along a run lies nearer to the middle of a flat region than its last point
(stochastic weight averaging, Izmailov et al. 2018, doi:10.48550/arXiv.1803.05407).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fitdiag.errors import CheckpointError, UsageError
from fitdiag.recording.checkpoints.fitting import compare_weights
from fitdiag.recording.checkpoints.storage import load_plain

__all__ = ["average", "has_batch_norm", "read_weights"]

#: where files of others keep the weights
_PLACES = ("model", "state_dict", "model_state_dict", "module", "weights")
_WIDE = {True: torch.complex128, False: torch.float64}


def average(paths: Iterable[str | os.PathLike[str]]) -> dict[str, Any]:
    """Average the weights of several checkpoints, each with the same weight.

    The statistics of batch normalisation are averaged too, which is not what they would be for
    the averaged weights: recompute them with
    ``torch.optim.swa_utils.update_bn(loader, model)`` once the weights are loaded.

    Parameters
    ----------
    paths : iterable of path
        Two files or more, of the same model: checkpoints that the recorder kept, or others that
        hold weights as they are, or under ``"model"`` or ``"state_dict"``. Nothing in them is run.

    Returns
    -------
    dict of str to Tensor
        What ``model.load_state_dict`` takes, on the host: means are taken in double precision
        and have the type that the weights have; whole numbers, such as counts of batches, are
        those of the last file.

    Raises
    ------
    CheckpointError
        If one cannot be loaded or holds no weights, the average would not be a number, or they
        are not of one model: names and shapes that differ are listed.
    UsageError
        If there are not two.

    Examples
    --------
    >>> import tempfile, torch, fitdiag
    >>> folder = tempfile.TemporaryDirectory()
    >>> for number in (1.0, 2.0, 6.0):
    ...     torch.save({"weight": torch.tensor([number])}, f"{folder.name}/{number}.pt")
    >>> fitdiag.average([f"{folder.name}/{number}.pt" for number in (1.0, 2.0, 6.0)])
    {'weight': tensor([3.])}
    >>> folder.cleanup()
    """
    if isinstance(paths, (str, os.PathLike)) or not isinstance(paths, Iterable):
        raise UsageError(f"paths is {paths!r}: pass two files or more, as a list")
    files = [Path(path) for path in paths]
    if len(files) < 2:
        raise UsageError(f"{len(files)} files to be averaged: pass two or more")
    first = read_weights(files[0])
    sums = {name: _widen(value) for name, value in first.items() if _is_averaged(value)}
    last = first
    for path in files[1:]:
        last = read_weights(path)
        misfits = compare_weights(first, last)
        if misfits:
            raise CheckpointError(
                f"{path} is of another model than {files[0]}: {'; '.join(misfits)}".replace(
                    "only the model has", f"only {files[0].name} has"
                ).replace("model against file", f"{files[0].name} against {path.name}")
            )
        for name in sums:
            sums[name] += last[name]
    broken = [name for name, value in sums.items() if bool(value.isnan().any())]
    if broken:
        raise CheckpointError(
            f"{broken[0]} of the average of {', '.join(map(str, files))} would be NaN: leave out "
            "the files of a training that broke down"
        )
    return {
        name: (sums[name] / len(files)).to(first[name].dtype) if name in sums else value
        for name, value in last.items()
    }


def _is_averaged(value: object) -> bool:
    return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())


def _widen(value: Tensor) -> Tensor:
    return value.to(_WIDE[value.is_complex()], copy=True)


def read_weights(path: Path) -> dict[str, Any]:
    """Return the weights that a file holds.

    Raises
    ------
    CheckpointError
        If it cannot be loaded, or holds none.
    """
    found = load_plain(path)
    for place in _PLACES:
        if isinstance(found, Mapping) and isinstance(found.get(place), Mapping):
            found = found[place]
            break
    named = isinstance(found, Mapping) and all(isinstance(name, str) for name in found)
    if not named or not any(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(
            f"{path} holds no weights of one model: neither as they are, nor under "
            f"{', '.join(_PLACES)}"
        )
    return dict(found)


def has_batch_norm(weights: Mapping[str, Any]) -> bool:
    """Tell whether weights hold statistics of batch normalisation, by their names."""
    return any(name.endswith("running_mean") for name in weights)
