"""The callback for PyTorch Lightning: what it records, and that it changes nothing."""

from __future__ import annotations

import copy
import logging
import pickle
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import fitdiag
from fitdiag.integrations.lightning import FitdiagCallback

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES, BATCH = 22, 4
BATCHES = 6


@pytest.fixture
def lightning(request: pytest.FixtureRequest) -> Any:
    """Return Lightning, by the older of its names unless another one is asked for."""
    return import_module(getattr(request, "param", "pytorch_lightning"))


by_both_names = pytest.mark.parametrize(
    "lightning", ["pytorch_lightning", "lightning.pytorch"], indirect=True
)


class Truth:
    """What a module saw itself while it was trained."""

    def __init__(self) -> None:
        self.losses: list[tuple[float, int]] = []
        self.norms: list[float] = []
        self.val: list[float] = []


def make(lightning: Any, *, returns: bool = False, optimizer: str = "SGD", nan_at: int = -1) -> Any:
    """Return a module that remembers its losses and norms in ``truth``."""

    class Line(lightning.LightningModule):  # type: ignore[misc]  # untyped where it is absent
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh())
            self.head = torch.nn.Linear(4, 1)
            self.truth = Truth()

        def training_step(self, batch: Any, index: int) -> Any:
            loss = ((self.head(self.net(batch[0])) - batch[1]) ** 2).mean()
            if index == nan_at:
                loss = loss * float("nan")
            self.truth.losses.append((loss.item(), len(batch[0])))
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: Any, _: int) -> Any:
            loss = ((self.head(self.net(batch[0])) - batch[1]) ** 2).mean()
            if returns:
                return loss
            self.log("val/loss", loss)
            self.log("val/acc", (loss < 1).float())
            return None

        def on_validation_epoch_end(self) -> None:
            if not self.trainer.sanity_checking and not returns:
                self.truth.val.append(self.trainer.callback_metrics["val/loss"].item())

        def on_before_optimizer_step(self, _: Any) -> None:
            parts = [p.grad.double().flatten() for p in self.parameters() if p.grad is not None]
            self.truth.norms.append(torch.cat(parts).norm().item())

        def configure_optimizers(self) -> Any:
            made = getattr(torch.optim, optimizer)(self.parameters(), lr=0.05)
            rate = torch.optim.lr_scheduler.ExponentialLR(made, 0.9)
            return [made], [{"scheduler": rate, "interval": "step"}]

    torch.manual_seed(0)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    return Line()


def fit(lightning: Any, module: Any, folder: Path, *callbacks: Any, **options: Any) -> Any:
    """Fit a module; ``resume`` is a checkpoint to continue from."""
    torch.set_num_threads(1)
    x = torch.randn(SAMPLES, 3, generator=torch.Generator().manual_seed(1))
    data = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=BATCH)
    resume = options.pop("resume", None)
    trainer = lightning.Trainer(
        **{
            "max_epochs": 3,
            "accelerator": "cpu",
            "logger": False,
            "default_root_dir": folder,
            "enable_checkpointing": False,
            "enable_model_summary": False,
            "enable_progress_bar": False,
            **options,
        },
        callbacks=list(callbacks),
    )
    trainer.fit(module, data, data, ckpt_path=resume)
    return trainer


def values(path: Path, name: str) -> list[float]:
    """Return the values of a curve of a log."""
    return list(fitdiag.read(path).curves[name].values)


@by_both_names
def test_losses_norms_and_epochs_are_those_of_the_training(lightning: Any, tmp_path: Path) -> None:
    """Losses, pre-clip norms, rates, epochs and validation equal those computed by hand."""
    module = make(lightning)
    log = tmp_path / "logs.csv"
    fit(lightning, module, tmp_path, FitdiagCallback(log, every=1), gradient_clip_val=0.3)
    run, truth = fitdiag.read(log), module.truth
    losses = np.array([loss for loss, _ in truth.losses])
    sizes = np.array([size for _, size in truth.losses])
    batch = run.curves["batch_loss"]  # the row that ends an epoch holds its mean instead
    assert len(batch) == 3 * (BATCHES - 1)
    np.testing.assert_allclose(batch.values, losses[batch.steps.astype(int) - 1], rtol=1e-6)
    np.testing.assert_allclose(run.curves["grad_norm"].values, truth.norms, rtol=1e-6)
    assert max(truth.norms) > 0.3
    coef = np.minimum(1, 0.3 / (np.array(truth.norms) + 1e-6))
    np.testing.assert_allclose(run.curves["clip_coef"].values, coef, rtol=1e-5)
    rates = 0.05 * 0.9 ** np.arange(3 * BATCHES)
    np.testing.assert_allclose(run.curves["lr"].values, rates, rtol=1e-6)
    means = (losses * sizes).reshape(3, -1).sum(1) / SAMPLES
    np.testing.assert_allclose(run.curves["train_loss"].values, means, rtol=1e-6)
    assert list(run.curves["train_loss"].steps) == [BATCHES, 2 * BATCHES, 3 * BATCHES]
    np.testing.assert_allclose(run.curves["val_loss"].values, truth.val, rtol=1e-6)
    assert len(run.curves["val_accuracy"]) == 3
    assert run.epoch_at(3 * BATCHES) == 3
    assert not run.observations


@pytest.mark.parametrize("optimizer", ["Adam", "LBFGS"])
def test_training_is_the_same_with_and_without(
    lightning: Any, tmp_path: Path, optimizer: str
) -> None:
    """Parameters and random state are bit-identical with and without the callback."""
    states = []
    for callbacks in ([], [FitdiagCallback(tmp_path / "logs.csv")]):
        module = make(lightning, optimizer=optimizer)
        fit(lightning, module, tmp_path, *callbacks, max_epochs=2)
        states.append((copy.deepcopy(module.state_dict()), torch.get_rng_state()))
    (plain, chance), (watched, same) = states
    assert all(torch.equal(plain[name], watched[name]) for name in plain)
    assert torch.equal(chance, same)
    assert len(values(tmp_path / "logs.csv", "train_loss")) == 2


def test_accumulation_gives_one_norm_a_step_and_undivided_losses(
    lightning: Any, tmp_path: Path
) -> None:
    """With three batches a step, each step has the norm of their mean and their mean loss."""
    module = make(lightning)
    log = tmp_path / "logs.csv"
    callback = FitdiagCallback(log, every=1)
    fit(lightning, module, tmp_path, callback, accumulate_grad_batches=3, max_epochs=2)
    losses = [loss for loss, _ in module.truth.losses]
    sizes = [size for _, size in module.truth.losses]
    means = [np.average(losses[i : i + 3], weights=sizes[i : i + 3]) for i in (0, 3, 6, 9)]
    np.testing.assert_allclose(values(log, "batch_loss"), means[::2], rtol=1e-6)
    wholes = [np.average(losses[i : i + 6], weights=sizes[i : i + 6]) for i in (0, 6)]
    np.testing.assert_allclose(values(log, "train_loss"), wholes, rtol=1e-6)
    np.testing.assert_allclose(values(log, "grad_norm"), module.truth.norms, rtol=1e-6)


def test_validation_within_an_epoch_gets_rows_of_its_own(lightning: Any, tmp_path: Path) -> None:
    """Validation every second batch gives a row each, and epochs stay what they are."""
    module = make(lightning)
    log = tmp_path / "logs.csv"
    fit(lightning, module, tmp_path, FitdiagCallback(log), val_check_interval=2)
    run = fitdiag.read(log)
    assert list(run.curves["val_loss"].steps) == list(range(2, 3 * BATCHES + 1, 2))
    np.testing.assert_allclose(run.curves["val_loss"].values, module.truth.val, rtol=1e-6)
    assert [run.epoch_at(step) for step in (2, 6, 8, 18)] == [0, 1, 1, 3]


def test_a_returned_validation_loss_counts(lightning: Any, tmp_path: Path) -> None:
    """Where no validation loss is logged, that of validation_step is taken, by batch size."""
    module = make(lightning, returns=True)
    log = tmp_path / "logs.csv"
    fit(lightning, module, tmp_path, FitdiagCallback(log), max_epochs=2)
    x = torch.randn(SAMPLES, 3, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole = ((module.head(module.net(x)) - x.sum(1, keepdim=True)) ** 2).mean().item()
    measured = values(log, "val_loss")
    assert len(measured) == 2
    assert measured[-1] == pytest.approx(whole, rel=1e-6)


def test_a_loss_that_is_nan_is_in_the_log(lightning: Any, tmp_path: Path) -> None:
    """A NaN loss stands in the row of its step."""
    module = make(lightning, nan_at=3)
    log = tmp_path / "logs.csv"
    fit(lightning, module, tmp_path, FitdiagCallback(log, every=1), max_epochs=1)
    assert np.isnan(values(log, "batch_loss")).tolist() == [False] * 3 + [True] * 2
    assert np.isnan(values(log, "train_loss")).all()


def test_a_fit_that_breaks_off_leaves_its_log(lightning: Any, tmp_path: Path) -> None:
    """An error in a step goes on to the user, the log holds what came before, and no hook stays."""
    module, log = make(lightning), tmp_path / "logs.csv"
    step = module.training_step

    def breaking_step(batch: Any, batch_idx: int) -> Any:
        if batch_idx == 4:
            raise MemoryError
        return step(batch, batch_idx)

    module.training_step = breaking_step
    with pytest.raises(MemoryError):
        fit(lightning, module, tmp_path, FitdiagCallback(log, every=1))
    assert len(values(log, "grad_norm")) == 4
    assert not module._forward_hooks


def test_a_scaled_loss_is_recorded_unscaled(lightning: Any, tmp_path: Path) -> None:
    """What a gradient scaler multiplied before the backward pass is divided again."""
    module, log = make(lightning), tmp_path / "logs.csv"
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    mixed = import_module(f"{lightning.__name__}.plugins").MixedPrecision("16-mixed", "cpu", scaler)
    fit(lightning, module, tmp_path, FitdiagCallback(log, every=1), max_epochs=1, plugins=[mixed])
    losses = [loss for loss, _ in module.truth.losses][: BATCHES - 1]
    np.testing.assert_allclose(values(log, "batch_loss"), losses, rtol=1e-3)
    np.testing.assert_allclose(values(log, "grad_norm"), module.truth.norms, rtol=1e-3)


def test_each_fit_from_the_beginning_has_a_log(lightning: Any, tmp_path: Path) -> None:
    """One callback in two trainers writes two logs; one trainer that goes on continues its own."""
    callback = FitdiagCallback(tmp_path / "logs.csv")
    for _ in range(2):
        fit(lightning, make(lightning), tmp_path, callback, max_epochs=2)
    assert values(tmp_path / "logs.csv", "train_loss") == values(
        tmp_path / "logs-2.csv", "train_loss"
    )
    assert callback.recorder.path == tmp_path / "logs-2.csv"


def test_a_fit_from_a_checkpoint_continues_the_log(lightning: Any, tmp_path: Path) -> None:
    """Two epochs, a checkpoint, and two more give the log of four epochs in one go."""
    whole, parts = tmp_path / "whole.csv", tmp_path / "parts.csv"
    fit(lightning, make(lightning), tmp_path, FitdiagCallback(whole), max_epochs=4)
    trainer = fit(lightning, make(lightning), tmp_path, FitdiagCallback(parts), max_epochs=2)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    again = FitdiagCallback(parts)
    options = {"max_epochs": 4, "resume": tmp_path / "half.ckpt"}
    fit(lightning, make(lightning), tmp_path, again, **options)
    for name in ("train_loss", "val_loss", "lr"):
        one, two = (fitdiag.read(path).curves[name] for path in (whole, parts))
        assert list(one.steps) == list(two.steps), name
        np.testing.assert_allclose(one.values, two.values, rtol=1e-6, err_msg=name)
    assert fitdiag.read(parts).epoch_at(4 * BATCHES) == 4


@by_both_names
def test_copies_begin_anew(lightning: Any, tmp_path: Path) -> None:
    """A copied or pickled callback keeps its settings and nothing of a training."""
    callback = FitdiagCallback(tmp_path / "logs.csv", every=1)
    fit(lightning, make(lightning), tmp_path, callback, max_epochs=1)
    for twin in (copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):  # noqa: S301 our own
        assert isinstance(twin, lightning.Callback)
        assert twin.recorder is None
        assert (twin._log, twin._options) == (callback._log, callback._options)
