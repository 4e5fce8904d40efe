"""Aim repositories, read by Aim itself from a copy: its RocksDB chunks are no format of their own.

Aim writes into a repository when it opens one, and finds a run that was not closed properly only
when it may write. So the folder ``.aim`` is copied to a temporary one, and the original is not
touched.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fitdiag.errors import ExtraError, FitdiagError, ReadError
from fitdiag.readers.folder import USUAL
from fitdiag.readers.reader import Reader
from fitdiag.readers.scalars import flatten
from fitdiag.readers.tracks import Origin, Track, collect_runs, make_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fitdiag.run import Run

__all__ = ["AIM"]

#: what a repository keeps its runs in
FOLDER = ".aim"

#: bytes that are copied, at most
LARGEST = 4 << 30

#: metrics that Aim takes of the machine
SYSTEM = "__system__"


def _find_store(path: Path) -> Path | None:
    store = path if path.name == FOLDER else path / FOLDER
    return store if (store / "meta").is_dir() and (store / "seqs").is_dir() else None


def _matches(path: Path, head: bytes) -> bool:
    if head or not path.is_dir() or _find_store(path) is None:
        return False
    return path.name == FOLDER or not any((path / name).exists() for name in USUAL)


def _read(path: Path, columns: Mapping[str, str]) -> list[Run]:
    store = _find_store(path)
    if store is None:
        raise ReadError(f"{path} is no Aim repository: it holds no .aim folder with meta and seqs.")
    if find_spec("aim") is None:
        raise ExtraError(
            f'{path} is an Aim repository, which only Aim can open: pip install "fitdiag[aim]", or '
            "run `aim up`, export the losses as CSV from its metrics explorer, and give that file"
        )
    _check_size(path, store)
    with tempfile.TemporaryDirectory(prefix="fitdiag-") as folder:
        try:
            shutil.copytree(store, Path(folder) / FOLDER, symlinks=True)
        except (OSError, shutil.Error) as error:
            raise ReadError(f"{path} cannot be copied to be read: {error}.") from None
        return _read_copy(path, Path(folder), columns)


def _check_size(path: Path, store: Path) -> None:
    total = 0
    for place, _, names in os.walk(store):
        total += sum(os.lstat(Path(place) / name).st_size for name in names)
        if total > LARGEST:
            raise ReadError(
                f"{path} is an Aim repository of more than {LARGEST >> 30} GiB: export the losses "
                "as CSV from its metrics explorer, and give that file."
            )


def _age(chunk: Path) -> tuple[float, str]:
    """Return when a run began, and its name."""
    made = chunk / "IDENTITY"
    return (made.stat().st_mtime if made.is_file() else 0.0), chunk.name


def _read_copy(path: Path, folder: Path, columns: Mapping[str, str]) -> list[Run]:
    import aim

    hashes = [each.name for each in sorted((folder / FOLDER / "meta/chunks").glob("*"), key=_age)]
    if not hashes:
        raise ReadError(f"{path} is an Aim repository without runs.")
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # what Aim says of its own copy is nobody's concern
    try:
        repo = aim.Repo(str(folder))

        def reading(name: str) -> Callable[[], Sequence[Run]]:
            return lambda: _read_run(repo, name, str(path), columns)

        found = collect_runs(path, [reading(name) for name in hashes], "an Aim repository")
        repo.close()
    except FitdiagError:
        raise
    except Exception as error:  # noqa: BLE001  # a damaged repository raises anything
        raise ReadError(f"{path} cannot be opened by Aim: {error}.") from None
    finally:
        logging.disable(level)
    return found


def _read_run(repo: Any, name: str, path: str, columns: Mapping[str, str]) -> Sequence[Run]:  # noqa: ANN401  # Aim has no types
    import aim

    try:
        run = aim.Run(
            name,
            repo=repo,
            system_tracking_interval=None,
            capture_terminal_logs=False,
        )
        tracks, clock = _take_metrics(run)
        title = f'Aim run {name}, experiment "{run.experiment}".'
        settings = run.get("hparams", {})
        run.close()
    except Exception as error:  # noqa: BLE001  # a damaged chunk raises anything
        raise ReadError(f"{path}: Aim cannot read the run {name}: {error}.") from None
    if not tracks:
        raise ReadError(f"{path}: the Aim run {name} holds no metrics.")
    origin = Origin(
        path=path,
        format=AIM.name,
        columns=columns,
        notes=(title,),
        config=flatten(settings) if isinstance(settings, Mapping) else {},
    )
    return make_runs(tracks, origin, clock=clock)


def _take_metrics(run: Any) -> tuple[list[Track], Track | None]:  # noqa: ANN401  # Aim has no types
    """Return the metrics as tracks in the order of logging, and the epochs beside them."""
    tracks: list[Track] = []
    clocks: list[Track] = []
    for metric in run.metrics():
        if metric.name.startswith(SYSTEM):
            continue
        steps, (values, epochs, times) = metric.data.items_list()
        rank = np.argsort(np.array(times, dtype=float), kind="stable")
        order = np.array(times, dtype=float)[rank]
        where = np.array(steps, dtype=float)[rank]
        subset = metric.context.to_dict().get("subset", "")
        name = f"{subset}/{metric.name}" if subset else metric.name
        what = np.array(values, dtype=float)[rank]
        tracks.append(Track(name=name, order=order, steps=where, values=what))
        known = np.array([np.nan if each is None else each for each in epochs], dtype=float)[rank]
        here = np.isfinite(known)
        clocks.append(Track(name="epoch", order=order, steps=where, values=known).take(here))
    clock = max(clocks, key=lambda each: each.values.size, default=None)
    return tracks, clock if clock is not None and clock.values.size else None


AIM = Reader(
    name="aim",
    description="Aim: a folder with an .aim repository in it (needs fitdiag[aim])",
    example=".aim",
    matches=_matches,
    read=_read,
    folders=True,
    text=False,
)
