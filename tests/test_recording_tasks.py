"""Several tasks: their losses, the norms of their gradients on what they share, their balance."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 its usual name
from torch.utils.checkpoint import checkpoint

import fitdiag
from fitdiag.errors import UsageError
from fitdiag.recording import RecordingWarning
from fitdiag.recording.tasks import APART, measure_task_norms
from fitdiag.report.figure import draw_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Compute on one thread, from one seed."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


class Net(nn.Module):
    """Two heads on one trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 8), nn.Tanh())
        self.heads = nn.ModuleDict({name: nn.Linear(8, 1) for name in ("ctr", "cvr")})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return each head's answer."""
        hidden = self.trunk(x)
        return {name: head(hidden) for name, head in self.heads.items()}


def batches(count: int, *, scale: float = 10.0, noise: float = 0.5) -> Iterator[Any]:
    """Yield inputs and noisy targets; the loss of cvr is scale squared times that of ctr."""
    own = torch.Generator().manual_seed(1)
    base, *extra = (torch.randn(6, 1, generator=own) for _ in range(3))
    weights = {name: 0.5 * base + 0.2 * e for name, e in zip(("ctr", "cvr"), extra, strict=True)}
    sizes = {"ctr": 1.0, "cvr": scale}
    for _ in range(count):
        x = torch.randn(16, 6, generator=own)
        errors = {name: noise * torch.randn(16, 1, generator=own) for name in weights}
        clean = {name: torch.tanh(x @ weight) for name, weight in weights.items()}
        yield x, {name: sizes[name] * (clean[name] + errors[name]) for name in weights}


def train(
    model: Net,
    steps: int,
    *,
    run: Any = None,
    balance: Any = None,
    criterion: Callable[..., Tensor] = F.mse_loss,
    seen: list[dict[str, float]] | None = None,
    **options: Any,
) -> list[dict[str, float]]:
    """Train on the sum of two losses, or a balanced one, and return each step's losses."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
    history = []
    for x, y in batches(steps):
        answers = model(x)
        losses = {name: criterion(answers[name], y[name]) for name in y}
        history.append({name: loss.item() for name, loss in losses.items()})
        if seen is not None:
            parameters = list(model.trunk.parameters())
            seen.append(
                {
                    name: torch.cat(
                        [
                            g.double().flatten()
                            for g in torch.autograd.grad(loss, parameters, retain_graph=True)
                        ]
                    )
                    .norm()
                    .item()
                    for name, loss in losses.items()
                }
            )
        if run is not None:
            weights = {} if balance is None else {"weights": balance.weights}
            how = {**weights, **options.get("how", {})}
            run.tasks(losses, shared=options.get("shared", model.trunk), **how)
        total: Any = balance(losses) if balance is not None else sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return history


def test_columns_hold_losses_norms_and_rates(tmp_path: Path) -> None:
    """With every=1 each step has each task's loss, its norm on the trunk, and its rate."""
    model, log = Net(), tmp_path / "logs.csv"
    seen: list[dict[str, float]] = []
    with fitdiag.record(model, log=log, every=1) as run:
        history = train(
            model, 12, run=run, criterion=run.loss(F.mse_loss), seen=seen, how={"every": 1}
        )
    read = fitdiag.read(log)
    assert read.source.format == "native"
    first = history[0]
    left = {name: np.array([one[name] / first[name] for one in history]) for name in first}
    mean = sum(left.values()) / 2
    for name in ("ctr", "cvr"):
        kinds = ("train_loss/", "task_norm/", "task_rate/")
        loss, norm, rate = (read.tasks(kind)[name] for kind in kinds)
        assert list(loss.steps) == list(norm.steps) == list(rate.steps) == list(range(1, 13))
        np.testing.assert_allclose(loss.values, [one[name] for one in history], rtol=1e-6)
        np.testing.assert_allclose(norm.values, [one[name] for one in seen], rtol=1e-5)
        np.testing.assert_allclose(rate.values, left[name] / mean, rtol=1e-5)
    assert not any("/" in curve.name for curve in read.metrics())


@pytest.mark.parametrize("shared", ["module", "parameters", "found"])
def test_what_is_shared_is_said_or_found(tmp_path: Path, shared: str) -> None:
    """A module, its parameters, and what both losses reach give the same norms."""
    model, log = Net(), tmp_path / "logs.csv"
    seen: list[dict[str, float]] = []
    given: dict[str, Any] = {
        "module": model.trunk,
        "parameters": list(model.trunk.parameters()),
        "found": None,
    }
    with fitdiag.record(model, log=log, every=1) as run:
        criterion = run.loss(F.mse_loss)
        how = {"shared": given[shared], "how": {"every": 1}}
        train(model, 5, run=run, criterion=criterion, seen=seen, **how)
    norm = fitdiag.read(log).tasks()["cvr"]
    np.testing.assert_allclose(norm.values, [one["cvr"] for one in seen], rtol=1e-5)


def test_weights_scale_the_norms_and_are_kept(tmp_path: Path) -> None:
    """Norms are those of the weighted losses, and the weights stand beside them."""
    model, log = Net(), tmp_path / "logs.csv"
    seen: list[dict[str, float]] = []
    weights = {"ctr": 3.0, "cvr": torch.tensor(0.5)}
    with fitdiag.record(model, log=log, every=1) as run:
        how = {"how": {"every": 1, "weights": weights}}
        train(model, 5, run=run, criterion=run.loss(F.mse_loss), seen=seen, **how)
    read = fitdiag.read(log)
    np.testing.assert_allclose(read.tasks()["ctr"].values, [3 * s["ctr"] for s in seen], rtol=1e-5)
    assert set(read.tasks("task_weight/")["cvr"].values) == {0.5}


def test_measurements_thin_out(tmp_path: Path) -> None:
    """By default each measurement comes after a fifth of the calls so far, 50 at the most."""
    model, log = Net(), tmp_path / "logs.csv"
    with fitdiag.record(model, log=log) as run:
        history = train(model, 300, run=run, criterion=run.loss(F.mse_loss))
    loss = fitdiag.read(log).tasks("train_loss/")["ctr"]
    gaps = np.diff(loss.steps)
    assert list(loss.steps[:9]) == list(range(1, 10))
    assert (gaps <= np.clip(loss.steps[1:] // 5, 1, APART)).all()
    assert gaps[-1] == APART
    part = [one["ctr"] for one in history[int(loss.steps[-2]) : int(loss.steps[-1])]]
    assert loss.values[-1] == pytest.approx(np.mean(part), rel=1e-5)


def copy_gradients(model: Net) -> list[Tensor]:
    """Return copies of all gradients, an empty tensor for none."""
    gradients = (parameter.grad for parameter in model.parameters())
    return [torch.empty(0) if one is None else one.clone() for one in gradients]


def test_training_is_the_same_with_and_without(tmp_path: Path) -> None:
    """Parameters, losses, random state and .grad are bit-identical with dropout and batch norm."""
    results = []
    for is_recorded in (False, True):
        torch.manual_seed(0)
        model = Net()
        model.trunk = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        losses_seen = []
        log = tmp_path / "logs.csv"
        with fitdiag.record(model, optimizer, log=log) if is_recorded else nullcontext() as run:
            for x, y in batches(200):
                hidden = checkpoint(model.trunk, x, use_reentrant=False)
                losses = {n: F.mse_loss(head(hidden), y[n]) for n, head in model.heads.items()}
                if run is not None:
                    before = copy_gradients(model)
                    run.tasks(losses, shared=model.trunk)
                    assert all(map(torch.equal, before, copy_gradients(model)))
                total = losses["ctr"] + losses["cvr"]
                losses_seen.append(total.item())
                optimizer.zero_grad()
                torch.autograd.backward(total)
                optimizer.step()
        results.append((losses_seen, model.state_dict(), torch.get_rng_state()))
    (plain, state, chance), (seen, same, chance_too) = results
    assert plain == seen
    assert all(torch.equal(state[name], same[name]) for name in state)
    assert torch.equal(chance, chance_too)
    assert len(fitdiag.read(log).tasks()["ctr"]) > 20


def test_captured_losses_are_those_of_the_training(tmp_path: Path) -> None:
    """A measurement's own backward passes are no training: the sum of both losses is recorded."""
    model, log = Net(), tmp_path / "logs.csv"
    with fitdiag.record(model, log=log, every=1) as run:
        history = train(model, 8, run=run, criterion=run.loss(F.mse_loss))
    batch = fitdiag.read(log).curves["batch_loss"]
    np.testing.assert_allclose(batch.values, [sum(one.values()) for one in history], rtol=1e-6)


def forgetful(x: Tensor) -> Tensor:
    """Pass a tensor on, and fail in the backward pass."""

    def fail(_: Tensor) -> Tensor:
        raise RuntimeError("no way back")

    y = x * 1
    hang: Any = y.register_hook
    hang(fail)
    return y


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ({"ctr": torch.ones(())}, "two tasks or more"),
        ([torch.ones(()), torch.ones(())], "two tasks or more"),
        ({"ctr": torch.ones(()), "cvr": 3.0}, "no tensor"),
        ({"ctr": torch.ones(()), "c,v": torch.ones(())}, "cannot name a task"),
        ({"ctr": forgetful(torch.ones(1, requires_grad=True)[0]), "cvr": torch.ones(())}, "norms"),
    ],
)
def test_nothing_is_raised(tmp_path: Path, losses: Any, said: str) -> None:
    """What makes no sense, or cannot be measured, is said once and passed over."""
    model = Net()
    recorder = fitdiag.record(model, log=tmp_path / "logs.csv")
    recorder.__enter__()
    with pytest.warns(RecordingWarning, match=said):
        recorder.tasks(losses, shared=model.trunk)
    for _ in range(3):
        recorder.tasks(losses, shared=model.trunk)
    recorder.log(train_loss=1.0)
    recorder.close()
    recorder.tasks(losses)


def test_losses_of_tasks_are_logged_by_name(tmp_path: Path) -> None:
    """A logged ``loss_ctr`` is the training loss of task ctr, ``val_loss_ctr`` its validation."""
    log = tmp_path / "logs.csv"
    with fitdiag.record(Net(), log=log) as run:
        for step in range(1, 6):
            run.log(loss=3.0 / step, loss_ctr=1.0 / step, loss_cvr=2.0 / step, val_loss_ctr=2.0)
            run.log(loss_val=0.5, train_loss_epoch=0.1)
    read = fitdiag.read(log)
    assert set(read.tasks("train_loss/")) == {"ctr", "cvr"}
    assert set(read.tasks("val_loss/")) == {"ctr"}
    assert {"loss_val", "train_loss_epoch", "train_loss"} <= set(read.curves)


def test_sharded_and_frozen_parameters_are_refused() -> None:
    """A shared part without a trainable parameter is refused by name, and so is a word."""
    with pytest.raises(UsageError, match="no trainable parameter"):
        fitdiag.GradNorm(["a", "b"], shared=nn.Linear(2, 2).requires_grad_(False))
    with pytest.raises(UsageError, match="str"):
        fitdiag.GradNorm(["a", "b"], shared="trunk")  # type: ignore[arg-type]


def test_a_task_that_is_not_reached_has_no_gradient() -> None:
    """The norm of a loss that does not reach the shared parameters is zero; of all, an error."""
    model = Net()
    away = model.heads["ctr"](torch.ones(2, 8)).sum()
    near = model(torch.ones(2, 6))["cvr"].sum()
    parameters = list(model.trunk.parameters())
    assert [bool(norm) for norm in measure_task_norms([away, near], parameters)] == [False, True]
    with pytest.raises(UsageError, match="no loss reaches"):
        measure_task_norms([away, away], parameters)


def excess(history: list[dict[str, float]], name: str, size: float) -> float:
    """Return the late mean loss of a task over its noise, in units of its own scale."""
    return float(np.mean([one[name] for one in history[-100:]]) / size - 0.25)


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the histories of the toy, unweighted and balanced, and the logs of both."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("toy")
    histories = {}
    for name in ("unweighted", "balanced"):
        torch.manual_seed(0)
        model = Net()
        balance = None
        if name == "balanced":
            balance = fitdiag.GradNorm(["ctr", "cvr"], shared=model.trunk, alpha=0.5)
        with fitdiag.record(model, log=folder / f"{name}.csv") as run:
            criterion = run.loss(F.mse_loss)
            histories[name] = train(model, 400, run=run, balance=balance, criterion=criterion)
    return folder, histories, balance


def test_gradnorm_balances_and_both_tasks_learn_better(balanced: Any) -> None:
    """On losses 100 times apart, norms come within a factor of 2, and no task learns worse."""
    folder, histories, balance = balanced
    for name, size in (("ctr", 1.0), ("cvr", 100.0)):
        plain, better = (excess(histories[kind], name, size) for kind in histories)
        assert better < plain, name
    weights = {name: float(weight) for name, weight in balance.weights.items()}
    assert sum(weights.values()) == pytest.approx(2, rel=1e-5)
    assert weights["ctr"] > 10 * weights["cvr"]
    apart = {}
    for kind in histories:
        norms = fitdiag.read(folder / f"{kind}.csv").tasks()
        apart[kind] = np.median((norms["cvr"].values / norms["ctr"].values)[-15:])
    assert apart["unweighted"] > 10
    assert 0.5 < apart["balanced"] < 2


def test_imbalance_is_found_and_drawn(balanced: Any) -> None:
    """The unweighted toy shows its norms in a panel of their own, one line a task."""
    folder, *_ = balanced
    diagnosis = fitdiag.diagnose(folder / "unweighted.csv")
    panels = {panel.key: panel for panel in draw_up(diagnosis).panels}
    assert [series.label for series in panels["tasks"].series] == ["ctr", "cvr"]
    assert len({series.role for series in panels["tasks"].series}) == 2
    page = folder / "report.html"
    fitdiag.write_report(diagnosis, page)
    assert "Norm of each task" in page.read_text(encoding="utf-8")


def test_gradnorm_follows_the_paper() -> None:
    """One step moves each weight down the paper's objective, which a numerical slope confirms."""
    trunk = nn.Linear(3, 2)
    x = torch.randn(4, 3)
    balance = fitdiag.GradNorm(["a", "b"], shared=trunk, alpha=1.5, initial={"a": 1.0, "b": 1.0})
    losses = {"a": trunk(x).square().mean(), "b": 5 * (trunk(x) - 1).square().mean()}
    g = torch.stack(measure_task_norms(list(losses.values()), list(trunk.parameters())))
    values = torch.stack([loss.detach() for loss in losses.values()])
    target = g.mean() * (values / values.mean()) ** 1.5

    def objective(log_weights: Tensor) -> Tensor:
        return (log_weights.exp() * g - target).abs().sum()

    log_weights = torch.zeros(2, requires_grad=True)
    (slope,) = torch.autograd.grad(objective(log_weights), log_weights)
    torch.testing.assert_close(balance._slope(values, g) * g.mean(), slope)
    balance(losses).backward()
    moved = torch.stack(list(balance.weights.values())).log()
    assert torch.equal(torch.sign(moved[0] - moved[1]), torch.sign(slope[1] - slope[0]))


def test_gradnorm_goes_on_where_it_was() -> None:
    """With its state restored, a training goes on bit for bit, and a new device is followed."""

    def go_on(model: Net, balance: Any) -> list[dict[str, float]]:
        return train(model, 10, balance=balance)

    model = Net()
    balance = fitdiag.GradNorm(["ctr", "cvr"], shared=model.trunk)
    go_on(model, balance)
    twin = Net()
    again = fitdiag.GradNorm(["ctr", "cvr"], shared=twin.trunk)
    twin.load_state_dict(copy.deepcopy(model.state_dict()))
    again.load_state_dict(copy.deepcopy(balance.state_dict()))
    assert go_on(model, balance) == go_on(twin, again)
    assert all(torch.equal(balance.weights[n], again.weights[n]) for n in balance.tasks)
    assert set(balance.state_dict()) == {name for name, _ in balance.named_buffers()}


def test_gradnorm_keeps_its_weights_in_evaluation_and_through_nan() -> None:
    """Neither evaluation, nor no_grad, nor a batch that is not finite moves a weight."""
    model = Net()
    balance = fitdiag.GradNorm(["ctr", "cvr"], shared=model.trunk)
    train(model, 3, balance=balance)
    before = balance.log_weights.clone()
    (x, y), *_ = batches(1)

    def weigh(factor: float = 1.0) -> Any:
        answers = model(x)
        return balance([factor * F.mse_loss(answers[name], y[name]) for name in y])

    with torch.no_grad():
        total = weigh()
    balance.eval()
    assert weigh() == total
    assert torch.equal(balance.log_weights, before)
    balance.train()
    weigh(float("nan"))
    assert balance.log_weights.isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"tasks": ["a"]}, "two or more"),
        ({"tasks": ["a", "a"]}, "two or more"),
        ({"alpha": -1.0}, "alpha is -1.0"),
        ({"lr": 0.0}, "lr 0.0"),
        ({"initial": {"c": 1.0}}, "names 'c'"),
    ],
)
def test_gradnorm_refuses_what_makes_no_sense(arguments: dict[str, Any], said: str) -> None:
    """Wrong arguments and losses of other tasks are refused in a sentence."""
    keywords: dict[str, Any] = {"tasks": ["a", "b"], "shared": nn.Linear(2, 2), **arguments}
    with pytest.raises(UsageError, match=said):
        fitdiag.GradNorm(**keywords)
    balance = fitdiag.GradNorm(["a", "b"], shared=nn.Linear(2, 2))
    with pytest.raises(UsageError, match="the tasks are"):
        balance({"a": torch.ones(()), "c": torch.ones(())})
    with pytest.raises(UsageError, match="one loss of shape"):
        balance([torch.ones(())])
