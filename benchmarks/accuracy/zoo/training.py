"""Train one run of the zoo, and note both what its user sees and what stays hidden."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from benchmarks.accuracy.zoo.losses import (
    accuracy,
    attainable_loss,
    best_constant,
    make_loss,
    outputs_of,
)
from benchmarks.accuracy.zoo.models import build_model, end_layers
from benchmarks.accuracy.zoo.problems import PROBLEMS, Sample, draw_sample, seed_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from benchmarks.accuracy.zoo.setups import Setup

    Part = tuple[Tensor, Tensor]

__all__ = ["SEEN", "train_run"]

SEEN = (
    "step",
    "epoch",
    "train_loss",
    "val_loss",
    "batch_loss",
    "grad_norm",
    "grad_norm_max",
    "lr",
    "train_accuracy",
    "val_accuracy",
)
"""columns of what a user sees"""
EVAL_SIZE = 1000
"""training examples on which the hidden training loss is measured, at most"""
BLANK = -1e308
"""stands for "not measured" in a row"""


@dataclass
class _Means:
    """Running means since the last row, as an ordinary loop keeps them."""

    loss: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    norm: list[float] = field(default_factory=list)


@dataclass
class _Notes:
    seen: list[list[float]] = field(default_factory=list)
    hidden: list[list[float]] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


def _rate(setup: Setup, done: float) -> float:
    """Give the learning rate after a share of the training."""
    warm = min(1.0, done / 0.1 + 0.01)
    shape = {
        "constant": 1.0,
        "plateau": 1.0,
        "cosine": 0.5 * (1 + math.cos(math.pi * done)),
        "warm_up": warm,
        "warm_cosine": warm * 0.5 * (1 + math.cos(math.pi * done)),
        "step": 0.1 ** ((done >= 0.5) + (done >= 0.8)),
        "ramp": 10 ** (4.5 * max(0.0, done - 0.25) / 0.75),
        "jump": 300.0 if done >= 0.6 else 1.0,
    }
    return setup.lr * shape[setup.schedule]


def _optimizer(setup: Setup, model: nn.Module) -> torch.optim.Optimizer:
    options: dict[str, Any] = {"lr": setup.lr, "weight_decay": setup.weight_decay}
    if setup.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), **options)
    if setup.optimizer == "adamw":
        return torch.optim.AdamW(model.parameters(), **options)
    if setup.optimizer == "rmsprop":
        return torch.optim.RMSprop(model.parameters(), **options)
    return torch.optim.SGD(model.parameters(), momentum=setup.momentum, **options)


class _Trainer:
    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.problem = PROBLEMS[setup.problem]
        seed = seed_of(setup.run_id)
        torch.manual_seed(seed)
        self.order = torch.Generator().manual_seed(seed)
        sample = draw_sample(
            self.problem,
            (setup.train, setup.val),
            noise=setup.noise,
            noisy_val=setup.noisy_val,
            seed=seed,
        )
        self.train, self.val, self.test = self._tensors(sample)
        x, y = self.train
        self.classes = 1 if y.is_floating_point() else int(max(y.max(), self.test[1].max())) + 1
        tokens = 0 if x.is_floating_point() else int(max(x.max(), self.test[0].max())) + 1
        text = self.problem.kind == "text"
        if text:
            self.classes = tokens = max(self.classes, tokens, int(self.val[1].max()) + 1)
        self.outputs = outputs_of(setup.loss, self.classes)
        self.model = build_model(setup, tuple(x.shape[1:]), tokens, self.outputs, text)
        self.plain_loss = make_loss(setup.loss, setup.smoothing)
        self.factor = min(setup.batch, setup.train) if setup.summed else 1
        self.optimizer = _optimizer(setup, self.model)
        self.per_epoch = math.ceil(len(x) / setup.batch)
        self.notes, self.means, self.row = _Notes(), _Means(), _Means()
        self.steps, self.cut, self.best_val, self.waited = 0, 1.0, math.inf, 0

    @staticmethod
    def _tensors(sample: Sample) -> tuple[Part, Part, Part]:
        def pair(part: tuple[NDArray[Any], NDArray[Any]]) -> Part:
            return torch.from_numpy(part[0].copy()), torch.from_numpy(part[1].copy())

        return pair(sample.train), pair(sample.val), pair(sample.test)

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        return self.plain_loss(out, y) * self.factor

    def measure(self, part: Part) -> tuple[float, float]:
        self.model.eval()
        with torch.no_grad():
            out = self.model(part[0])
            result = float(self.loss(out, part[1])), accuracy(self.setup.loss, out, part[1])
        self.model.train()
        return result

    def step(self, picked: Tensor) -> None:
        """Take one optimizer step, and note its loss and its norm before clipping."""
        setup = self.setup
        x, y = self.train[0][picked], self.train[1][picked]
        done = self.steps / (self.per_epoch * setup.epochs)
        if setup.poison and done >= setup.poison and x.is_floating_point():
            x = x * math.inf
        for group in self.optimizer.param_groups:
            group["lr"] = _rate(setup, done) * self.cut
        self.optimizer.zero_grad()
        out = self.model(x)
        value = self.loss(out, y)
        value.backward()  # type: ignore[no-untyped-call]
        parameters = list(self.model.parameters())
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
        if setup.clip:
            clip_grads_with_norm_(parameters, setup.clip, norm)
        self.optimizer.step()
        self.steps += 1
        self.notes.norms.append(float(norm))
        self.notes.losses.append(float(value.detach()))
        for means in (self.means, self.row):
            means.loss.append(float(value.detach()))
            means.norm.append(float(norm))
            means.right.append(accuracy(setup.loss, out.detach(), y))

    def hide(self) -> None:
        """Note what the user does not see."""
        x, y = self.train
        ends = [0.0 if p.grad is None else float(p.grad.norm()) for p in end_layers(self.model)]
        self.notes.hidden.append(
            [
                self.steps,
                self.steps / self.per_epoch,
                self.measure((x[:EVAL_SIZE], y[:EVAL_SIZE]))[0],
                self.measure(self.test)[0],
                *ends,
            ]
        )

    def show(self, **values: float) -> None:
        """Write a row of the log; what is not given was not measured."""
        row = {"step": self.steps, "epoch": self.steps / self.per_epoch, **values}
        row["lr"] = self.optimizer.param_groups[0]["lr"]
        self.notes.seen.append([self._logged(name, row.get(name, BLANK)) for name in SEEN])

    def _logged(self, name: str, value: float) -> float:
        if value == BLANK or not math.isfinite(value):
            return value
        if "loss" in name and self.setup.digits:
            return round(value, self.setup.digits)
        return float(np.float32(value)) if name not in ("step", "epoch") else value

    def validate(self) -> dict[str, float]:
        if self.setup.blind:
            return {}
        value, right = self.measure(self.val)
        self.waited = 0 if value < self.best_val else self.waited + 1
        self.best_val = min(self.best_val, value)
        if self.setup.schedule == "plateau" and self.waited >= 5:
            self.cut, self.waited = self.cut * 0.3, 0
        return {"val_loss": value} | ({} if math.isnan(right) else {"val_accuracy": right})

    def end_epoch(self, epoch: int) -> None:
        means, self.means = self.means, _Means()
        values: dict[str, float] = {
            "train_loss": float(np.mean(means.loss)),
            "grad_norm": float(np.mean(means.norm)),
            "grad_norm_max": float(np.max(means.norm)),
        }
        if self.problem.kind != "values":
            values["train_accuracy"] = float(np.mean(means.right))
        if self.setup.log_every:
            self.show(**values)
            return
        if (epoch + 1) % self.setup.val_every == 0:
            values |= self.validate()
        self.show(**values)
        self.hide()

    def mid_epoch(self) -> None:
        """Log by steps: a row of batch loss each few steps, validation each few more."""
        setup = self.setup
        values: dict[str, float] = {}
        if self.steps % setup.log_every == 0:
            row, self.row = self.row, _Means()
            values = {"batch_loss": float(np.mean(row.loss)), "grad_norm": row.norm[-1]}
            values["grad_norm_max"] = float(np.max(row.norm))
        if self.steps % setup.val_steps == 0:
            values |= self.validate()
            self.hide()
        if values:
            self.show(**values)

    def run(self) -> None:
        setup = self.setup
        self.hide()
        left = setup.nan_epochs
        for epoch in range(setup.epochs):
            shuffled = torch.randperm(len(self.train[0]), generator=self.order)
            for picked in torch.split(shuffled, setup.batch):
                if picked.numel() < 2:
                    continue
                self.step(picked)
                if setup.log_every:
                    self.mid_epoch()
            if setup.epoch_rows or not setup.log_every:
                self.end_epoch(epoch)
            if not math.isfinite(self.notes.losses[-1]):
                left -= 1
            if left <= 0:
                break


def _constants(trainer: _Trainer) -> dict[str, float]:
    """Measure what needs no training: the best constant, and what is attainable."""
    setup, factor = trainer.setup, trainer.factor
    loss: Callable[[Tensor, Tensor], Tensor] = trainer.plain_loss
    values = {
        f"constant_{name}": best_constant(loss, part[1], trainer.outputs)
        for name, part in (("train", trainer.train), ("val", trainer.val), ("test", trainer.test))
    }
    noise = 1 - (1 - setup.noise * setup.noisy_val) * (1 - setup.smoothing)
    rest = trainer.problem.unexplained
    classes = trainer.classes
    name = "l1" if trainer.problem.kind == "text" else setup.loss  # letters are replaced by letters
    floor = attainable_loss(name, values["constant_test"], noise, classes, rest)
    values["attainable"] = min(floor, values["constant_test"])
    clean = attainable_loss(setup.loss, values["constant_train"], setup.smoothing, classes, 0)
    values["perfect"] = min(clean, values["attainable"])
    return {name: value * factor for name, value in values.items()}


def train_run(setup: Setup) -> dict[str, NDArray[np.float64]]:
    """Train one run.

    Parameters
    ----------
    setup : Setup
        What to train; its name is the seed.

    Returns
    -------
    dict of str to ndarray
        ``seen`` (rows, columns of `SEEN`; `BLANK` where not measured), ``hidden`` (step, epoch,
        training loss in eval mode, clean test loss, gradient norm of the first and the last
        layer; the first row is before training), ``norms`` and ``losses`` of every step, and the
        scalars of the data.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    trainer = _Trainer(setup)
    constants = _constants(trainer)
    constants["start_val"] = trainer.measure(trainer.val)[0]
    trainer.run()
    notes = trainer.notes
    arrays = {name: np.array(getattr(notes, name), float) for name in vars(notes)}
    arrays["test_size"] = np.array(float(len(trainer.test[0])))
    arrays["per_epoch"] = np.array(float(trainer.per_epoch))
    arrays["classes"] = np.array(float(trainer.classes))
    return arrays | {name: np.array(value) for name, value in constants.items()}
