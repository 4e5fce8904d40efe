"""How long reading an event file of many scalars takes, and how much memory, next to TensorBoard.

Run it with ``python benchmarks/readers/bench_events.py`` where ``tensorboard`` is installed; see
``--help``. It writes its own files with TensorBoard's writer: 100,000 steps of three tags, once as
plain values and once as tensors. Both read all of them: ``EventAccumulator`` is told to keep every
value. Memory is read from ``/proc``, so on Linux only.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import fitdiag

if TYPE_CHECKING:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.compat.proto.summary_pb2 import Summary

TAGS = ("train/loss", "val/loss", "train/learning_rate")

#: the most memory that a process has held, in MiB; unlike getrusage not inherited from its parent
PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
"""

READ = "import fitdiag; run = fitdiag.read({path!r})"
ACCUMULATE = """
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
accumulator = EventAccumulator({path!r}, size_guidance={{"scalars": 0, "tensors": 0}})
accumulator.Reload()
"""


def write_events(path: Path, steps: int, *, is_tensor: bool) -> None:
    """Write steps of every tag, as plain values or as tensors."""
    from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2
    from tensorboard.summary.writer.record_writer import RecordWriter

    def value(tag: str, number: float) -> Summary.Value:
        if not is_tensor:
            return summary_pb2.Summary.Value(tag=tag, simple_value=number)
        tensor = tensor_pb2.TensorProto(dtype="DT_FLOAT", float_val=[number])
        plugin = summary_pb2.SummaryMetadata.PluginData(plugin_name="scalars")
        metadata = summary_pb2.SummaryMetadata(plugin_data=plugin)
        return summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)

    with path.open("wb") as file:
        writer = RecordWriter(file)
        start = event_pb2.Event(wall_time=1.7e9, file_version="brain.Event:2")
        writer.write(start.SerializeToString())
        for step in range(steps):
            for at, tag in enumerate(TAGS):
                summary = summary_pb2.Summary(value=[value(tag, 1 / (1 + step) + at)])
                event = event_pb2.Event(wall_time=1.7e9 + step, step=step, summary=summary)
                writer.write(event.SerializeToString())
        writer.flush()


def accumulate(path: Path) -> EventAccumulator:
    """Read every scalar with TensorBoard."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    guidance = {"scalars": 0, "tensors": 0}
    accumulator = EventAccumulator(str(path), size_guidance=guidance)
    accumulator.Reload()
    return accumulator


def list_values(accumulator: EventAccumulator, tag: str) -> list[float]:
    """Return what TensorBoard has read under a tag."""
    from tensorboard.util import tensor_util

    if tag in accumulator.Tags()["scalars"]:
        return [each.value for each in accumulator.Scalars(tag)]
    arrays = [tensor_util.make_ndarray(each.tensor_proto) for each in accumulator.Tensors(tag)]
    return [float(array) for array in arrays]


def time_interleaved(path: Path, rounds: int) -> tuple[float, float]:
    """Return the median seconds of TensorBoard and of fitdiag, run in turn, imports excluded."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        begin = time.perf_counter()
        accumulator = accumulate(path)
        middle = time.perf_counter()
        run = fitdiag.read(path)
        end = time.perf_counter()
        if turn:
            seconds[0].append(middle - begin)
            seconds[1].append(end - middle)
        if not turn:
            for name, tag in zip(("train_loss", "val_loss", "lr"), TAGS, strict=True):
                assert run.curves[name].values.tolist() == list_values(accumulator, tag), tag
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def measure_peak(path: Path, small: Path, code: str) -> float:
    """Return by how many MiB a fresh process grows that has read a small file before."""
    warm = code.format(path=str(small))
    script = f"{PEAK}\n{warm}\nbefore = peak()\n{code.format(path=str(path))}\n"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script + "print(peak() - before)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def main() -> None:
    """Print two lines a file: seconds, ratio, MiB, ratio to the size of the arrays."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("simple_value", "tensor"):
            path = Path(folder) / kind / "events.out.tfevents.1700000000.host.1.0"
            small = Path(folder) / f"{kind}_small" / path.name
            for place, steps in ((path, options.steps), (small, 100)):
                place.parent.mkdir()
                write_events(place, steps, is_tensor=kind == "tensor")
            theirs, ours = time_interleaved(path, options.rounds)
            arrays = options.steps * len(TAGS) * 16 / 2**20
            size = path.stat().st_size / 2**20
            print(f"{kind}: {options.steps * len(TAGS):,} scalars, {size:.0f} MiB")
            for name, seconds, code in (
                ("EventAccumulator", theirs, ACCUMULATE),
                ("fitdiag.read", ours, READ),
            ):
                peak = measure_peak(path, small, code)
                print(
                    f"  {name:17} {seconds:6.3f} s  {theirs / seconds:5.1f} x as fast  "
                    f"{peak:5.0f} MiB  {peak / arrays:5.1f} x arrays"
                )


if __name__ == "__main__":
    main()
