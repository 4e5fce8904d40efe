"""For those who write a reader: a check that it keeps the contract of all readers.

In the tests of a package that brings a reader as an entry point of the group ``fitdiag.readers``::

    from fitdiag.testing import check_reader

    def test_reader(tmp_path):
        sample = tmp_path / "run.mylog"
        write_a_small_log(sample)
        check_reader(MY_READER, sample)
"""

from __future__ import annotations

import random
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fitdiag.errors import FitdiagError, ReadError
from fitdiag.readers import READERS, Reader, files
from fitdiag.run import Run

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

__all__ = ["check_reader"]

#: how long recognising one file may take, in seconds; a reader that looks at bytes takes under 2 ms
RECOGNISED = 0.25

#: how often a damaged copy of the sample is read
DAMAGED = 60

#: how files begin that are no log of a new format
STRANGERS = (
    b"\0" * 64,
    b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    b"step,epoch,train_loss,val_loss\n1,1,2.0,2.5\n",
    b"Dear all,\n\nplease find the minutes of the meeting below.\n",
    b'{"name": "package", "version": "1.0.0"}',
)


def check_reader(reader: Reader, sample_path: str | os.PathLike[str]) -> None:
    """Check that a reader keeps the contract that fitdiag relies on.

    Parameters
    ----------
    reader : Reader
        What the entry point gives.
    sample_path : str or path
        A small log that it reads, with a training loss: a file, or a folder where the reader
        takes folders.

    Raises
    ------
    AssertionError
        With a sentence on what is wrong: its name is taken; it does not recognise the sample, or
        claims files of others; it is slow to tell; its runs are empty, do not name their source or
        differ from call to call; it writes; or a cut or damaged copy of the sample ends in
        anything but a Run or a :class:`~fitdiag.errors.ReadError`.

    Examples
    --------
    >>> from fitdiag.testing import check_reader
    >>> check_reader(MY_READER, "tests/sample.mylog")  # doctest: +SKIP
    """
    sample = Path(sample_path)
    _check_words(reader)
    _check_recognition(reader, sample)
    before = _photograph(sample)
    _check_runs(reader, sample)
    _check_columns(reader, sample)
    _claim(_photograph(sample) == before, f"{reader.name} changed {sample} while it read it")
    _check_damage(reader, sample)


def _claim(is_kept: bool, sentence: str) -> None:
    if not is_kept:
        raise AssertionError(f"{sentence}.")


def _check_words(reader: Reader) -> None:
    _claim(isinstance(reader, Reader), f"a fitdiag.readers.Reader is needed, not {reader!r}")
    _claim(
        re.fullmatch(r"[a-z][a-z0-9-]*", reader.name) is not None,
        f"the name {reader.name!r} must be lower-case letters, digits and hyphens",
    )
    others = {each.name for each in READERS if each is not reader}
    _claim(reader.name not in others, f"fitdiag itself has a reader called {reader.name!r}")
    _claim(
        bool(reader.description and reader.example), "description and example must say something"
    )


def _check_recognition(reader: Reader, sample: Path) -> None:
    head = b"" if sample.is_dir() else files.read_head(sample)
    _claim(not sample.is_dir() or reader.folders, f"{reader.name} takes no folders: folders=False")
    begin = time.perf_counter()
    is_own = reader.matches(sample, head)
    took = time.perf_counter() - begin
    _claim(is_own is True, f"matches() must be True for {sample}, and is {is_own!r}")
    _claim(took < RECOGNISED, f"matches() took {took:.2f} s: look at the first bytes only")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "stranger"
        for stranger in STRANGERS:
            place.write_bytes(stranger)
            is_own = reader.matches(place, stranger)
            _claim(is_own is False, f"matches() must be False for {stranger[:40]!r}, is {is_own!r}")
        if reader.folders:
            _claim(reader.matches(Path(folder), b"") is False, "matches() takes any folder")


def _read(reader: Reader, path: Path) -> list[Run]:
    found = reader.read(path, {})
    runs = [found] if isinstance(found, Run) else list(found)
    _claim(all(isinstance(run, Run) for run in runs), f"{reader.name} returned {runs!r}")
    return runs


def _check_runs(reader: Reader, sample: Path) -> None:
    runs, again = _read(reader, sample), _read(reader, sample)
    _claim(bool(runs), f"{reader.name} found no run in {sample}")
    _claim(
        any(run.train_loss is not None for run in runs),
        f"{reader.name} found no train_loss or batch_loss in {sample}",
    )
    _claim(len(runs) == len(again), f"{reader.name} found {len(runs)} runs, then {len(again)}")
    for run, other in zip(runs, again, strict=True):
        source = run.source
        _claim(bool(source.path), "source.path must name the log")
        _claim(source.format == reader.name, f"source.format must be {reader.name!r}")
        _claim(
            set(source.columns) == set(run.curves),
            "source.columns must name the log's own series for each curve",
        )
        _claim(all(map(len, run.curves.values())), "curves without values must be left out")
        _claim(_is_equal(run, other), f"{reader.name} gave two different runs for {sample}")


def _is_equal(run: Run, other: Run) -> bool:
    return run.curves.keys() == other.curves.keys() and all(
        np.array_equal(curve.steps, other.curves[name].steps)
        and np.array_equal(curve.values, other.curves[name].values, equal_nan=True)
        for name, curve in run.curves.items()
    )


def _check_columns(reader: Reader, sample: Path) -> None:
    try:
        reader.read(sample, {"val_loss": "no column is called like this"})
    except FitdiagError:
        return
    _claim(False, f"{reader.name} ignores columns: one that is not there must be an error")


def _photograph(sample: Path) -> list[tuple[str, int, bytes]]:
    places = sorted(sample.rglob("*")) if sample.is_dir() else [sample]
    return [
        (str(place), place.stat().st_mtime_ns, place.read_bytes() if place.is_file() else b"")
        for place in places
    ]


def _check_damage(reader: Reader, sample: Path) -> None:
    inner = sorted(sample.rglob("*")) if sample.is_dir() else [sample]
    targets = [place for place in inner if place.is_file()]
    chance = random.Random(0)  # noqa: S311  # the same damage each time
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / sample.name
        for number in range(DAMAGED):
            target = targets[number % len(targets)]
            if sample.is_dir():
                shutil.copytree(sample, copy, dirs_exist_ok=True)
                place = copy / target.relative_to(sample)
            else:
                place = copy
            place.write_bytes(_damage(target.read_bytes(), number, chance))
            _check_end(reader, copy, f"damage {number} to {target.name}")


def _damage(data: bytes, number: int, chance: random.Random) -> bytes:
    damages: tuple[Callable[[], bytes], ...] = (
        lambda: data[: chance.randrange(len(data) + 1)],
        lambda: bytes(_flip(data, chance)),
        lambda: data + data,
        lambda: data[:200] + chance.randbytes(2000),
    )
    return damages[number % len(damages)]()


def _flip(data: bytes, chance: random.Random) -> Iterator[int]:
    for byte in data:
        yield byte ^ (1 << chance.randrange(8)) if chance.random() < 0.01 else byte


def _check_end(reader: Reader, path: Path, what: str) -> None:
    try:
        _read(reader, path)
    except ReadError:
        return
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(
            f"{reader.name}, {what}: a ReadError or a Run is wanted, not {error!r}."
        ) from error
