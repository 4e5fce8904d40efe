"""Loops with Accelerate: what is recorded of them, and that nothing changes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812 its usual name
from torch.utils.data import DataLoader, TensorDataset

import fitdiag
from fitdiag.integrations.accelerate import record

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES, BATCH, EPOCHS = 24, 4, 2
BATCHES = SAMPLES // BATCH


class Loop:
    """A loop as Accelerate's documentation has it, which remembers its own numbers."""

    def __init__(self, accumulate: int = 1, optimizer: str = "Adam") -> None:
        from accelerate import Accelerator

        torch.set_num_threads(1)
        torch.manual_seed(0)
        x = torch.randn(SAMPLES, 3)
        data = TensorDataset(x, x.sum(1, keepdim=True))
        model = torch.nn.Linear(3, 1)
        made = getattr(torch.optim, optimizer)(model.parameters(), lr=0.05)
        rate = torch.optim.lr_scheduler.ExponentialLR(made, 0.9)
        self.accelerator = Accelerator(cpu=True, gradient_accumulation_steps=accumulate)
        self.model, self.optimizer, self.rate, self.loader = self.accelerator.prepare(
            model, made, rate, DataLoader(data, batch_size=BATCH)
        )
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.val: list[float] = []

    def run(self, loss_fn: Any = F.mse_loss, limit: float = 0.5, log: Any = None) -> None:
        """Train for some epochs, and evaluate after each."""
        for _ in range(EPOCHS):
            self.model.train()
            for inputs, targets in self.loader:
                with self.accelerator.accumulate(self.model):
                    loss = loss_fn(self.model(inputs), targets)
                    self.losses.append(loss.item())
                    self.accelerator.backward(loss)
                    if self.accelerator.sync_gradients:
                        grads = [p.grad.double().flatten() for p in self.model.parameters()]
                        self.norms.append(torch.cat(grads).norm().item())
                        self.accelerator.clip_grad_norm_(self.model.parameters(), limit)
                    self.optimizer.step()
                    self.rate.step()
                    self.optimizer.zero_grad()
            self.model.eval()
            with torch.no_grad():
                found = [loss_fn(self.model(x), y) for x, y in self.loader]
            self.val.append(torch.stack(found).mean().item())
            if log is not None:
                log(val_loss=self.val[-1])


@pytest.mark.parametrize("accumulate", [1, 3])
def test_losses_and_norms_are_those_of_the_loop(tmp_path: Path, accumulate: int) -> None:
    """With a criterion: undivided losses, pre-clip norms of real steps, rates and validation."""
    loop = Loop(accumulate)
    log, loss_fn = tmp_path / "logs.csv", torch.nn.MSELoss()
    with record(loop.accelerator, loss_fn=loss_fn, log=log, every=1):
        loop.run(loss_fn)
    run = fitdiag.read(log)
    steps = np.array(loop.losses).reshape(-1, accumulate).mean(1)
    batch = run.curves["batch_loss"]
    np.testing.assert_allclose(batch.values, steps[batch.steps.astype(int) - 1], rtol=1e-6)
    np.testing.assert_allclose(run.curves["grad_norm"].values, loop.norms, rtol=1e-6)
    coef = np.minimum(1, 0.5 / (np.array(loop.norms) + 1e-6))
    np.testing.assert_allclose(run.curves["clip_coef"].values, coef, rtol=1e-5)
    means = np.array(loop.losses).reshape(EPOCHS, -1).mean(1)
    np.testing.assert_allclose(run.curves["train_loss"].values, means, rtol=1e-6)
    np.testing.assert_allclose(run.curves["val_loss"].values, loop.val, rtol=1e-6)
    assert run.epoch_at(run.span[1]) == EPOCHS
    assert not run.observations


def test_a_loss_that_nothing_else_tells_is_taken_from_backward(tmp_path: Path) -> None:
    """Without a criterion, the loss that is handed to accelerator.backward is recorded."""
    loop = Loop(accumulate=2)
    log = tmp_path / "logs.csv"
    with record(loop.accelerator, log=log, every=1) as run:
        loop.run(log=run.log)
    assert "backward" not in vars(loop.accelerator)
    done = fitdiag.read(log)
    means = np.array(loop.losses).reshape(EPOCHS, -1).mean(1)
    np.testing.assert_allclose(done.curves["train_loss"].values, means, rtol=1e-6)
    np.testing.assert_allclose(done.curves["val_loss"].values, loop.val, rtol=1e-6)


def test_a_watched_loss_is_not_counted_twice(tmp_path: Path) -> None:
    """A loss function that is watched gives its losses once, with backward listened to."""
    loop = Loop()
    log = tmp_path / "logs.csv"
    with record(loop.accelerator, loop.model, loop.optimizer, log=log, every=1) as run:
        loop.run(run.loss(F.mse_loss))
    batch = fitdiag.read(log).curves["batch_loss"]
    losses = np.array(loop.losses)[batch.steps.astype(int) - 1]
    np.testing.assert_allclose(batch.values, losses, rtol=1e-6)


def test_skipped_steps_are_counted(tmp_path: Path) -> None:
    """Steps that a gradient scaler skips are counted, and give no norm that is not finite."""
    loop = Loop()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120, growth_interval=1000)
    loop.accelerator.scaler = loop.optimizer.scaler = scaler
    patch = __import__("accelerate.optimizer", fromlist=["patch_optimizer_step"])
    loop.optimizer._accelerate_step_called = False
    loop.optimizer._optimizer_original_step_method = loop.optimizer.optimizer.step
    loop.optimizer._optimizer_patched_step_method = patch.patch_optimizer_step(
        loop.optimizer, loop.optimizer.optimizer.step
    )
    scaler._backoff_factor = 2.0**-60
    skipped: list[bool] = []
    loss_fn = torch.nn.MSELoss()
    step = loop.optimizer.step

    def counted_step() -> None:
        step()
        skipped.append(loop.optimizer.step_was_skipped)

    loop.optimizer.step = counted_step
    log = tmp_path / "logs.csv"
    with record(loop.accelerator, loss_fn=loss_fn, log=log, every=1):
        loop.run(lambda x, y: loss_fn(x * 1e10, y * 1e10))
    run = fitdiag.read(log)
    assert 0 < sum(skipped) < len(skipped)
    assert run.curves["skipped_steps"].values[-1] == sum(skipped)


@pytest.mark.parametrize("optimizer", ["Adam", "SGD"])
def test_training_is_the_same_with_and_without(tmp_path: Path, optimizer: str) -> None:
    """Parameters and random state are bit-identical with and without the recording."""
    states = []
    for is_recorded in (False, True):
        loop = Loop(2, optimizer)
        with record(loop.accelerator, log=tmp_path / "x.csv") if is_recorded else nullcontext():
            loop.run()
        states.append([*loop.model.state_dict().values(), torch.get_rng_state()])
    assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))
