"""The callback for the Hugging Face Trainer: what it records, and that it changes nothing."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fitdiag
from fitdiag.integrations.transformers import FitdiagCallback

if TYPE_CHECKING:
    from pathlib import Path

#: samples of training and of evaluation, and of each batch
TRAIN, EVAL, BATCH = 20, 8, 4
STEPS = 5


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the library off the network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def make(
    folder: Path, *callbacks: Any, nan_at: int = -1, break_at: int = -1, **options: Any
) -> Any:
    """Return a Trainer of a tiny model that notes its own losses and norms in ``seen``."""
    import torch
    import transformers

    class Noting(transformers.Trainer):  # type: ignore[misc]  # untyped where it is absent
        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            if len(self.seen["loss"]) == break_at:
                raise MemoryError
            loss = super().training_step(*args, **kwargs)
            self.seen["loss"].append(loss.item())
            return loss

        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().compute_loss(*args, **kwargs)
            is_bad = self.model.training and len(self.seen["loss"]) == nan_at
            return loss * float("nan") if is_bad else loss

        def _clip_grad_norm(self, model: Any) -> Any:
            parts = [p.grad.double().flatten() for p in model.parameters() if p.grad is not None]
            self.seen["norm"].append(torch.cat(parts).norm().item())
            return super()._clip_grad_norm(model)

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=16, n_positions=8)
    tokens = [torch.randint(0, 16, (8,)) for _ in range(TRAIN + EVAL)]
    data = [{"input_ids": one, "labels": one} for one in tokens]
    settings = {
        "output_dir": str(folder / "out"),
        "num_train_epochs": 3,
        "per_device_train_batch_size": BATCH,
        "learning_rate": 3e-3,
        "logging_steps": 1,
        "eval_strategy": "epoch",
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
        **options,
    }
    trainer = Noting(
        model=transformers.GPT2LMHeadModel(config),
        args=transformers.TrainingArguments(**settings),
        train_dataset=data[:TRAIN],
        eval_dataset=data[TRAIN:],
        callbacks=list(callbacks),
    )
    trainer.seen = {"loss": [], "norm": []}
    return trainer


def logged(trainer: Any, name: str) -> list[float]:
    """Return what the Trainer itself logged by a name."""
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def test_losses_norms_and_evaluations_are_those_of_the_training(tmp_path: Path) -> None:
    """Losses, pre-clip norms, evaluations, rates and epochs equal those computed by hand."""
    log = tmp_path / "logs.csv"
    trainer = make(tmp_path, FitdiagCallback(log, every=1), max_grad_norm=0.5)
    trainer.train()
    run, seen = fitdiag.read(log), trainer.seen
    batch = run.curves["batch_loss"]  # the row that ends an epoch holds its mean instead
    assert len(batch) == 3 * (STEPS - 1)
    losses = np.array(seen["loss"])
    np.testing.assert_allclose(batch.values, losses[batch.steps.astype(int) - 1], rtol=1e-6)
    means = losses.reshape(3, STEPS).mean(1)
    np.testing.assert_allclose(run.curves["train_loss"].values, means, rtol=1e-6)
    np.testing.assert_allclose(run.curves["grad_norm"].values, seen["norm"], rtol=1e-6)
    coef = np.minimum(1, 0.5 / (np.array(seen["norm"]) + 1e-6))
    np.testing.assert_allclose(run.curves["clip_coef"].values, coef, rtol=1e-5)
    np.testing.assert_allclose(run.curves["val_loss"].values, logged(trainer, "eval_loss"))
    np.testing.assert_allclose(run.curves["lr"].values[0], 3e-3)
    assert [run.epoch_at(step) for step in (STEPS, 3 * STEPS)] == [1, 3]
    assert not [curve.name for curve in run.metrics()]
    assert not run.observations


def test_a_nan_that_the_trainer_filters_is_in_the_log(tmp_path: Path) -> None:
    """With logging_nan_inf_filter on, the Trainer's log has no NaN, and ours has it at its step."""
    log = tmp_path / "logs.csv"
    trainer = make(tmp_path, FitdiagCallback(log, every=1), nan_at=7, num_train_epochs=2)
    assert trainer.args.logging_nan_inf_filter
    trainer.train()
    assert np.isfinite(logged(trainer, "loss")[7])
    batch = fitdiag.read(log).curves["batch_loss"]
    assert np.isnan(batch.values[batch.steps == 8]).all()
    assert np.isfinite(batch.values[batch.steps < 8]).all()


@pytest.mark.parametrize("callback", [False, True])
def test_training_is_the_same_with_and_without(
    tmp_path: Path, callback: bool, request: pytest.FixtureRequest
) -> None:
    """Parameters and random state are bit-identical with and without the callback."""
    import torch

    callbacks = [FitdiagCallback(tmp_path / "logs.csv")] if callback else []
    trainer = make(tmp_path, *callbacks)
    trainer.train()
    result = [*trainer.model.state_dict().values(), torch.get_rng_state()]
    before = request.config.stash.setdefault(KEY, result)
    assert all(torch.equal(one, other) for one, other in zip(before, result, strict=True))


KEY = pytest.StashKey[list[Any]]()


def test_accumulation_gives_the_loss_and_norm_of_a_step(tmp_path: Path) -> None:
    """With two batches a step, a step has the loss over both; a short last step counts as one."""
    log = tmp_path / "logs.csv"
    callback = FitdiagCallback(log, every=1)
    trainer = make(tmp_path, callback, gradient_accumulation_steps=2, num_train_epochs=2)
    trainer.train()
    loss, norm = trainer.seen["loss"], trainer.seen["norm"]
    steps = [loss[0] + loss[1], loss[2] + loss[3], loss[4]]
    run = fitdiag.read(log)
    assert len(norm) == 6
    np.testing.assert_allclose(run.curves["grad_norm"].values, norm, rtol=1e-6)
    np.testing.assert_allclose(run.curves["batch_loss"].values[:2], steps[:2], rtol=1e-6)
    assert run.curves["train_loss"].values[0] == pytest.approx(np.mean(steps), rel=1e-6)
    ours = np.append(run.curves["batch_loss"].values[:2], steps[2])
    np.testing.assert_allclose(ours, logged(trainer, "loss")[:3], rtol=1e-4)


def test_evaluation_within_an_epoch_gets_rows_of_its_own(tmp_path: Path) -> None:
    """Evaluation every two steps gives a row each, and epochs stay what they are."""
    log = tmp_path / "logs.csv"
    trainer = make(tmp_path, FitdiagCallback(log), eval_strategy="steps", eval_steps=2)
    trainer.train()
    run = fitdiag.read(log)
    steps = [entry["step"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert steps[:7] == list(range(2, 3 * STEPS, 2))
    assert list(run.curves["val_loss"].steps) == steps
    np.testing.assert_allclose(run.curves["val_loss"].values, logged(trainer, "eval_loss"))
    assert [run.epoch_at(step) for step in (2, 5, 8, 15)] == [0, 1, 1, 3]


def test_several_trainings_and_evaluations_between(tmp_path: Path) -> None:
    """A second training writes a second log, and what is evaluated outside is not recorded."""
    callback = FitdiagCallback(tmp_path / "logs.csv")
    trainer = make(tmp_path, callback, num_train_epochs=1)
    trainer.train()
    trainer.evaluate()
    trainer.train()
    assert "training_step" not in vars(trainer)
    for name in ("logs.csv", "logs-2.csv"):
        assert len(fitdiag.read(tmp_path / name).curves["val_loss"]) == 1


def test_a_resumed_training_continues_the_log(tmp_path: Path) -> None:
    """A training stopped after a checkpoint and resumed gives the log of one in one go."""
    whole, parts = tmp_path / "whole.csv", tmp_path / "parts.csv"
    options: dict[str, Any] = {
        "save_strategy": "epoch",
        "lr_scheduler_type": "constant",
        "num_train_epochs": 2,
    }
    make(tmp_path, FitdiagCallback(whole), **options).train()
    make(tmp_path, FitdiagCallback(parts), **(options | {"num_train_epochs": 1})).train()
    last = str(tmp_path / "out" / f"checkpoint-{STEPS}")
    make(tmp_path, FitdiagCallback(parts), **options).train(resume_from_checkpoint=last)
    for name in ("train_loss", "val_loss", "lr"):
        one, two = (fitdiag.read(path).curves[name] for path in (whole, parts))
        assert list(one.steps) == list(two.steps), name
        np.testing.assert_allclose(one.values, two.values, rtol=1e-6, err_msg=name)


def test_a_training_that_breaks_off_leaves_its_log(tmp_path: Path) -> None:
    """An error in a step goes on to the user, and the log holds what came before."""
    log = tmp_path / "logs.csv"
    trainer = make(tmp_path, FitdiagCallback(log, every=1), break_at=3)
    with pytest.raises(MemoryError):
        trainer.train()
    assert len(fitdiag.read(log).curves["batch_loss"]) == 3
    assert "training_step" not in vars(trainer)


def test_copies_begin_anew(tmp_path: Path) -> None:
    """A copied or pickled callback keeps its settings and nothing of a training."""
    import transformers

    callback = FitdiagCallback(tmp_path / "logs.csv", every=1)
    for twin in (copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):  # noqa: S301 our own
        assert isinstance(twin, transformers.TrainerCallback)
        assert (twin._log, twin._options) == (callback._log, callback._options)
