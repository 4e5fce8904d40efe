"""Let atheris look for logs that crash a reader, guided by which lines of the readers run.

Usage: ``python benchmarks/readers/fuzz_guided.py -runs=100000 -max_total_time=600`` (after ``pip
install atheris``; all arguments are libFuzzer's). It begins with a small log of every format. A
reader may return a run or raise a fitdiag error; anything else stops it, and keeps the input.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fitdiag"]):
    import fitdiag
    from fitdiag.errors import ReadError, UsageError

    fitdiag.read  # noqa: B018  # loads the readers while imports are instrumented

from samples import write_samples

MEMORY = Path("/dev/shm")  # noqa: S108  # a file system in memory, where there is one

#: file names that some formats are told by, and one that tells nothing
NAMES = ("log", "a.csv", "a.json", "train.log", "a.db", "run-a.wandb", "history.pkl", "results.txt")


def main() -> None:
    """Write the first inputs, then fuzz until libFuzzer's arguments are satisfied."""
    warnings.simplefilter("ignore")
    base = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=base) as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for at, path in enumerate(write_samples(Path(folder)).values()):
            files = (
                [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
            )
            for number, file in enumerate(files):
                (corpus / f"{at}-{number}").write_bytes(b"\0" + file.read_bytes()[: 1 << 14])
        places = [Path(folder) / f"input-{name}" / name for name in NAMES]
        for place in places:
            place.parent.mkdir()

        def read_one(data: bytes) -> None:
            place = places[data[0] % len(places)] if data else places[0]
            place.write_bytes(data[1:])
            try:
                fitdiag.read(place)
            except (ReadError, UsageError):
                return

        atheris.Setup([*sys.argv, "-max_len=16384", "-timeout=10", str(corpus)], read_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
