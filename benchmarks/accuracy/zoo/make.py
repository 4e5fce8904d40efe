"""Make the zoo from scratch: ``python benchmarks/accuracy/zoo/make.py``.

Every run is one file in the work folder, so an interrupted making goes on where it stopped;
``--collect`` writes the tables from what is there. The tables lie beside this script.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
WORK = Path(tempfile.gettempdir()) / "fitdiag_zoo"
sys.path.insert(0, str(HERE.parents[2]))

from benchmarks.accuracy.zoo.setups import Setup, plan  # noqa: E402 - needs the path


def _file(work: Path, setup: Setup) -> Path:
    return work / f"{setup.run_id}.npz"


def _train(job: tuple[Setup, Path]) -> tuple[str, float]:
    """Train one run and put its file in place in one move."""
    from benchmarks.accuracy.zoo.training import train_run

    setup, path = job
    began = time.perf_counter()
    arrays = train_run(setup)
    rough = path.with_suffix(f".{os.getpid()}.part")
    with rough.open("wb") as stream:
        np.savez_compressed(stream, setup=np.array(repr(setup)), **arrays)  # type: ignore[arg-type]
    rough.replace(path)
    return setup.run_id, time.perf_counter() - began


def _let_parent_stop() -> None:
    """Leave Ctrl-C to the parent process, which ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _is_done(path: Path, setup: Setup) -> bool:
    if not path.exists():
        return False
    with np.load(path) as arrays:
        return str(arrays["setup"]) == repr(setup)


def _train_all(setups: list[Setup], work: Path, processes: int) -> None:
    jobs = [(s, _file(work, s)) for s in setups if not _is_done(_file(work, s), s)]
    print(f"{len(setups)} runs, {len(jobs)} to train in {work}", flush=True)
    with multiprocessing.get_context("spawn").Pool(processes, _let_parent_stop) as pool:
        for done, (name, seconds) in enumerate(pool.imap_unordered(_train, jobs), 1):
            print(f"{done}/{len(jobs)} {name} {seconds:.1f} s", flush=True)


def main() -> None:
    """Train what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK, help="folder of single runs")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--collect", action="store_true", help="train nothing")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    setups = plan()
    if not options.collect:
        try:
            _train_all(setups, options.work, options.processes)
        except KeyboardInterrupt:
            print("stopped; the next call goes on from here")
            return
    from benchmarks.accuracy.zoo.tables import write_tables

    made = [(s, _file(options.work, s)) for s in setups if _is_done(_file(options.work, s), s)]
    write_tables(made, HERE)


if __name__ == "__main__":
    main()
