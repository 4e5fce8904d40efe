"""Several processes: every one of them knows the global norm, and only the first writes."""

from __future__ import annotations

import json
import os
import socket
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fitdiag

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 12
LIMIT = 0.15


def find_port() -> int:
    """Return a port that is free."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def build() -> Any:
    """Return a small model, the same in every process."""
    import torch
    from torch import nn

    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))


def train(model: Any, log: Path, rank: int, world: int, *, clip: bool) -> list[float]:
    """Train on this process's part of each batch; return the norms that the recorder knows."""
    import torch

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    criterion = torch.nn.MSELoss()
    norms: list[float] = []
    with fitdiag.record(model, optimizer, criterion, log=log, every=1, overwrite=True) as run:
        for step in range(STEPS):
            generator = torch.Generator().manual_seed(step)
            x = torch.randn(8, 5, generator=generator).chunk(world)[rank]
            optimizer.zero_grad()
            criterion(model(x), x[:, :3].sin()).backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), LIMIT)
            optimizer.step()
        if world > 1:
            for _ in range(2):  # leave what there is, then take what the others have left
                run._session.flow.flush()
                torch.distributed.barrier()
            run._session.flow.flush()
            norms = [run._session.timeline.latest.get("grad_norm", 0.0)]
    return norms


def shard(model: Any) -> Any:
    """Shard each layer, and what is left."""
    from torch.distributed.fsdp import fully_shard

    for layer in (model[0], model[2]):
        fully_shard(layer)
    fully_shard(model)
    return model


def replicate(model: Any) -> Any:
    """Keep the whole model in each process."""
    import torch

    return torch.nn.parallel.DistributedDataParallel(model)


KINDS: dict[str, Callable[[Any], Any]] = {"ddp": replicate, "fsdp": shard}


def run_all(folder: Path) -> None:
    """Run every case in this process, and leave what it knows."""
    import torch

    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    known = {}
    for name, wrap in KINDS.items():
        for clip in (False, True):
            case = f"{name}-{'clipped' if clip else 'plain'}"
            model = wrap(build())
            log = folder / f"{case}-{world}.csv"
            known[case] = train(model, log, rank, world, clip=clip)
    (folder / f"{world}-{rank}.json").write_text(json.dumps(known))
    torch.distributed.destroy_process_group()


def lose_one(folder: Path) -> None:
    """Train sharded; the last process dies in the middle, and the others say when they noticed."""
    import torch

    rank = int(os.environ["RANK"])
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    model = shard(build())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    begun = time.monotonic()
    try:
        with fitdiag.record(model, optimizer, log=folder / "lost.csv", every=1, flush_seconds=0):
            for step in range(STEPS):
                if rank == 1 and step == STEPS // 2:
                    os._exit(9)
                optimizer.zero_grad()
                begun = time.monotonic()
                model(torch.ones(2, 5)).sum().backward()
                optimizer.step()
    except RuntimeError:
        seconds = time.monotonic() - begun
        (folder / f"lost-{rank}.json").write_text(json.dumps(seconds))
    os._exit(0)


CASES: dict[str, Callable[[Path], None]] = {"all": run_all, "lose": lose_one}


def launch(case: str, folder: Path, world: int) -> list[int]:
    """Fork so many processes of one training, and return how each has ended."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(find_port()), WORLD_SIZE=str(world))
    children = []
    for rank in range(world):
        child = os.fork()
        if child:
            children.append(child)
            continue
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
        try:
            CASES[case](folder)
        except BaseException:  # noqa: BLE001 whatever it is, it is told, and the process ends
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


ALONE = """
import pathlib, sys, warnings
warnings.simplefilter("error", RuntimeWarning)
sys.path.insert(0, sys.argv[1])
import test_recording_ranks as ranks
ranks.run_alone(pathlib.Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def ended(
    tmp_path_factory: pytest.TempPathFactory, nursery: Any
) -> tuple[Path, dict[str, list[int]]]:
    """Run everything that needs several processes, and return where, and how they ended."""
    folder = tmp_path_factory.mktemp("ranks")
    told = nursery.run(ALONE, Path(__file__).parent, folder)
    assert told.code == 0, told.err
    return folder, json.loads(told.out.splitlines()[-1])


Ended = tuple[Path, dict[str, list[int]]]


@pytest.mark.parametrize("world", [2, 4])
def test_every_process_knows_the_norm_of_the_whole(
    ended: Ended, tmp_path: Path, world: int
) -> None:
    """DDP and sharded parameters give the norms of one process; the first process writes them."""
    folder, codes = ended
    assert codes[f"all of {world}"] == [0] * world
    for clip in (False, True):
        alone = tmp_path / "alone.csv"
        train(build(), alone, 0, 1, clip=clip)
        expected = fitdiag.read(alone)
        norms = expected.curves["grad_norm"].values
        for name in KINDS:
            case = f"{name}-{'clipped' if clip else 'plain'}"
            run = fitdiag.read(folder / f"{case}-{world}.csv")
            assert run.curves["grad_norm"].values == pytest.approx(norms, rel=1e-4), case
            kind = f"{'pre-clip' if clip else 'as-stepped'}, unscaled, global"
            assert run.source.provenance["grad_norm"] == kind, case
            if clip:
                coefs = expected.curves["clip_coef"].values
                assert run.curves["clip_coef"].values == pytest.approx(coefs, rel=1e-4)
                assert coefs.min() < 1
            for rank in range(world):
                known = json.loads((folder / f"{world}-{rank}.json").read_text())[case]
                assert known == pytest.approx([norms[-2]], rel=1e-4), (case, rank)


def test_a_process_that_dies_is_not_waited_for(ended: Ended) -> None:
    """The others get the error of the training itself, and no wait of ours on top."""
    folder, codes = ended
    assert codes["lose of 2"] == [0, 9]
    assert json.loads((folder / "lost-0.json").read_text()) < 5
    assert len(fitdiag.read(folder / "lost.csv").curves["grad_norm"]) >= STEPS // 2 - 1


def run_alone(folder: Path) -> None:
    """Import what all need once, and fork from there."""
    import torch.distributed.fsdp
    import torch.nn.parallel

    assert torch.distributed.is_available()
    plan = (("all", 2), ("all", 4), ("lose", 2))
    print(json.dumps({f"{case} of {n}": launch(case, folder, n) for case, n in plan}))  # noqa: T201 the answer
