"""Feed damaged and hostile logs to every reader, and count what comes of it.

Usage: ``python benchmarks/readers/fuzz.py --inputs 100000 --seed 1 [--only NAME] [--keep FOLDER]``

Valid small logs of every format are truncated, flipped, cut, spliced with each other, repeated, and
given hostile numbers, nesting and lengths. A reader may return a run or raise a fitdiag error;
anything else is a crash, more than a few seconds is a hang, and memory is bounded for the process
as a whole. Exits 1 if there was a crash or a hang; the inputs that did it are kept.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from samples import write_samples

import fitdiag
from fitdiag.errors import ReadError, UsageError
from fitdiag.readers import files

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

#: processor seconds after which a read counts as a hang
PATIENCE = 5

#: processor seconds that the reading of an input may take
SLOW = 1.0

#: address space that the process may use, in bytes
ROOM = 3 << 30

#: mutated inputs are cut to this
LARGEST = 1 << 16

NUMBER = re.compile(rb"[\d.]+")

TOKENS = [
    *(b"1e999", b"-1e-999", b"nan", b"-inf", b"NaN", b"Infinity", b"9" * 400, b"0x1p3", b"1e5e5"),
    *(b"[" * 3000, b"{" * 3000, b'{"a":' * 1500, b"(" * 500, b'"', b"'", b"\\u0000", b"\\ud800"),
    *(b"\0" * 64, b"\r", b"\r\r\n", b"\n\n\n", b"\x1b[31m", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe"),
    *(b"," * 2000, b"\t", b";", b"=" * 300, b"|" * 100, b": " * 200, b"loss: ", b"train_loss,"),
    *(b"\xff" * 10, b"\x80" * 12, b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff\xff\xff\xff\xff"),
    *(
        b"epoch",
        b"step",
        b"val_loss",
        b"null",
        b"[]",
        b"{}",
        b"true",
        b"tensor(",
        b"1,5",
        "损失".encode(),
    ),
    *(b"\x12" + b"\xff" * 9 + b"\x01", b"SQLite format 3\0", b"PK\x03\x04", b":W&B", b":SWL"),
]


@dataclass
class Tally:
    """What became of the inputs of one format."""

    inputs: int = 0
    runs: int = 0
    refused: int = 0
    slowest: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)


class HangError(BaseException):
    """A read took too long; not an Exception, so that no reader can catch it."""


def truncate(data: bytes, dice: random.Random, _: list[bytes]) -> bytes:
    return data[: dice.randrange(len(data) + 1)]


def flip(data: bytes, dice: random.Random, _: list[bytes]) -> bytes:
    out = bytearray(data)
    for _at in range(dice.choice((1, 1, 2, 8, 64))):
        out[dice.randrange(len(out))] ^= 1 << dice.randrange(8)
    return bytes(out)


def overwrite(data: bytes, dice: random.Random, _: list[bytes]) -> bytes:
    at = dice.randrange(len(data))
    new = dice.randbytes(dice.choice((1, 4, 16)))
    return data[:at] + new + data[at + len(new) :]


def cut(data: bytes, dice: random.Random, _: list[bytes]) -> bytes:
    first, last = sorted(dice.randrange(len(data) + 1) for _at in range(2))
    return data[:first] + data[last:]


def repeat(data: bytes, dice: random.Random, _: list[bytes]) -> bytes:
    first, last = sorted(dice.randrange(len(data) + 1) for _at in range(2))
    return data[:last] + data[first:last] * dice.choice((1, 1, 2, 20)) + data[last:]


def splice(data: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    other = dice.choice(others)
    return data[: dice.randrange(len(data) + 1)] + other[dice.randrange(len(other) + 1) :]


def insert(data: bytes, dice: random.Random, _: list[bytes]) -> bytes:
    at = dice.randrange(len(data) + 1)
    drop = dice.choice((0, 1, 4, 8))
    return data[:at] + dice.choice(TOKENS) + data[at + drop :]


def enlarge(data: bytes, dice: random.Random, _: list[bytes]) -> bytes:
    """Put a huge or negative number where a length may stand."""
    number = dice.choice((0, 1, 255, 65535, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1))
    new = struct.pack("<Q", number)[: dice.choice((1, 2, 4, 8))]
    at = dice.randrange(len(data))
    return data[:at] + new + data[at + len(new) :]


def replace_number(data: bytes, dice: random.Random, _: list[bytes]) -> bytes:
    """Put a hostile token in the place of a run of digits."""
    numbers = list(NUMBER.finditer(data))
    if not numbers:
        return data
    first, last = dice.choice(numbers).span()
    return data[:first] + dice.choice(TOKENS) + data[last:]


MUTATIONS: tuple[Callable[[bytes, random.Random, list[bytes]], bytes], ...] = (
    *(truncate, flip, overwrite, cut, repeat, splice, insert, enlarge, replace_number),
)


def mutate(data: bytes, dice: random.Random, others: list[bytes]) -> bytes:
    """Damage a log in one to four ways."""
    for _ in range(dice.choice((1, 1, 1, 2, 2, 3, 4))):
        data = dice.choice(MUTATIONS)(data or b"0", dice, others)[:LARGEST]
    return data


def try_read(path: Path, tally: Tally) -> str:
    """Read a damaged log, count the outcome, and name what failed, if anything did."""
    start = time.process_time()
    tally.inputs += 1
    failure = ""
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)
    try:
        run = fitdiag.read(path)
        if not run.curves:
            failure = "a run without curves"
        tally.runs += 1
    except (ReadError, UsageError) as error:
        tally.refused += 1
        if "\n" in str(error).rstrip() or len(str(error)) > 2000:
            failure = "a message of many lines or over 2000 characters"
    except HangError:
        failure = f"no answer within {PATIENCE} s"
    except Exception as error:  # noqa: BLE001  # what this looks for
        frame = traceback.extract_tb(error.__traceback__)[-1]
        failure = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    seconds = time.process_time() - start
    tally.slowest = max(tally.slowest, seconds)
    if seconds > SLOW and not failure:
        failure = f"slower than {SLOW} s"
    if failure:
        tally.failures[failure] += 1
    return failure


def fuzz(paths: dict[str, Path], inputs: int, dice: random.Random, keep: Path) -> dict[str, Tally]:
    """Read this many damaged logs, all formats in turn."""
    parts = {
        name: [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for name, path in paths.items()
    }
    whole = {part: part.read_bytes() for each in parts.values() for part in each}
    others = list(whole.values())
    tallies = {name: Tally() for name in paths}
    for path in paths.values():
        fitdiag.read(path)  # undamaged, it can be read; and what is imported late is imported now
    names = list(paths)
    for count in range(inputs):
        name = names[count % len(names)]
        part = dice.choice(parts[name])
        damaged = mutate(whole[part], dice, others)
        part.write_bytes(damaged)
        failure = try_read(paths[name], tallies[name])
        part.write_bytes(whole[part])
        if failure and tallies[name].failures[failure] <= 3:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{name}-{count}-{part.name}").write_bytes(damaged)
            print(f"{name}: {failure}: kept as {name}-{count}-{part.name}", flush=True)
    return tallies


def stop_reading(_: int, __: FrameType | None) -> None:
    raise HangError


def main() -> None:
    """Print a line a format and the totals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of the names of the samples to damage")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "fuzz_failures")
    parser.add_argument(
        "--large", action="store_true", help="read tables as those of many megabytes are read"
    )
    options = parser.parse_args()
    if options.large:
        files.HEAD_BYTES = 64
    resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))
    signal.signal(signal.SIGPROF, stop_reading)
    warnings.simplefilter("error")
    memory = Path("/dev/shm")  # noqa: S108  # a file system in memory, where there is one
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        samples = write_samples(Path(folder))
        paths = {name: path for name, path in samples.items() if options.only in name}
        start = time.perf_counter()
        tallies = fuzz(paths, options.inputs, random.Random(options.seed), options.keep)  # noqa: S311  # repeatable
        seconds = time.perf_counter() - start
    print(f"{'':28}{'inputs':>9}{'runs':>9}{'refused':>9}{'failed':>8}{'slowest':>10}")
    for name, each in tallies.items():
        failed = sum(each.failures.values())
        print(
            f"{name:28.28}{each.inputs:9}{each.runs:9}{each.refused:9}{failed:8}"
            f"{1e3 * each.slowest:7.0f} ms"
        )
    failures = sum((each.failures for each in tallies.values()), Counter[str]())
    for failure, count in failures.most_common():
        print(f"{count:6} x {failure}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = sum(each.inputs for each in tallies.values())
    print(
        f"{total:,} inputs, {sum(failures.values())} failures, {seconds:.0f} s, peak {peak:.0f} MiB"
    )
    sys.exit(int(bool(failures)))


if __name__ == "__main__":
    main()
