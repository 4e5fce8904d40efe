"""Record the sample logs again: ``python sample_logs/record.py [NAME...] [--list] [--out DIR]``.

Each log comes from a training of its own, an ordinary loop in ``trainings/`` with fitdiag's one
line around it. A rerun on the same machine, with the same versions, gives the same bytes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from fitdiag.source import is_sibling  # noqa: E402 needs the path
from sample_logs.trainings import (  # noqa: E402 needs the path
    broken,
    following,
    layouts,
    notes,
    overfitting,
    stuck,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: seed of every training, so that one alone gives the same log as all in a row
SEED = 1

#: every training by the name of its log, in the order of the README
TRAININGS: Mapping[str, Callable[[Path], None]] = {
    training.__name__: training
    for room in (notes, overfitting, following, stuck, broken, layouts)
    for training in room.TRAININGS
}


def record_log(name: str, folder: Path) -> Path:
    """Run one training and put its log into a folder, in one move at the end.

    Parameters
    ----------
    name : str
        A name in :data:`TRAININGS`.
    folder : Path
        Where ``<name>.csv`` is to stand, and what belongs to it; a log that is there is replaced.
    """
    torch.manual_seed(SEED)
    place = folder / f"{name}.csv"
    with tempfile.TemporaryDirectory(dir=folder) as rough:
        log = Path(rough) / place.name
        TRAININGS[name](log)
        for sibling in log.parent.glob(f"{name}.*"):
            if is_sibling(sibling.name):
                sibling.replace(folder / sibling.name)
        return log.replace(place)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; unknown names end the program with the list of those there are."""
    parser = argparse.ArgumentParser(description="Record the sample logs again.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (default: all)")
    parser.add_argument("--list", action="store_true", help="list the names, and record nothing")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="default: here")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in TRAININGS]
    if unknown:
        parser.error(f"there is no log {unknown[0]!r}; the names are {', '.join(TRAININGS)}")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Record the logs that the command line names, with a line for each."""
    options = parse(arguments)
    names = options.names or list(TRAININGS)
    if options.list:
        for name in names:
            print(f"{name:26} {TRAININGS[name].__doc__}")
        return
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        began = time.perf_counter()
        place = record_log(name, options.out)
        content = place.read_bytes()
        rows, size = content.count(b"\n") - 1, len(content) / 1000
        seconds = time.perf_counter() - began
        print(f"{place.name:30} {rows:5,} rows {size:6.1f} kB {seconds:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
