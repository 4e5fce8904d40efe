"""How long recognising a file's format takes: the median over the samples of all formats.

Usage: ``python benchmarks/readers/bench_sniff.py [PATH ...]``; with paths, those files are timed
in place of the samples, which hold 2,000 points a curve. Reading the head of a file is no part of
it, since a read needs that head anyway. Processor time, so that other work does not count.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from samples import write_samples

from fitdiag.readers import files, sniff

ROUNDS = 30
POINTS = 2000
LIMIT = 2e-3


def time_sniff(path: Path, rounds: int = ROUNDS) -> tuple[str, float]:
    """Return which reader recognises a file, and the median seconds of that."""
    head = b"" if path.is_dir() else files.read_head(path)
    seconds = []
    found = sniff(path, head)
    for _ in range(rounds):
        start = time.process_time()
        sniff(path, head)
        seconds.append(time.process_time() - start)
    return "-" if found is None else found.name, statistics.median(seconds)


def main() -> None:
    """Print a line for each file, the median of all and the slowest; exit 1 above the limit."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(each) for each in sys.argv[1:]] or list(
            write_samples(Path(folder), POINTS).values()
        )
        times = {path: time_sniff(path) for path in paths}
    for path, (name, seconds) in sorted(times.items(), key=lambda item: item[1][1]):
        print(f"{1e3 * seconds:8.3f} ms  {name:12} {path.name}")
    median = statistics.median(seconds for _, seconds in times.values())
    slowest = max(seconds for _, seconds in times.values())
    print(f"{len(times)} files: median {1e3 * median:.3f} ms, slowest {1e3 * slowest:.3f} ms")
    sys.exit(int(median > LIMIT))


if __name__ == "__main__":
    main()
