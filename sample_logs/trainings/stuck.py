"""Runs that learn nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from sklearn import datasets
from torch import nn
from torch.utils.data import DataLoader

import fitdiag
from sample_logs.trainings.loops import evaluate, evaluate_classes, train_epoch
from sample_logs.trainings.networks import Transformer, build_layers
from sample_logs.trainings.problems import load_digits, load_parity, load_table

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TRAININGS"]


def no_learning_digits(log: Path) -> None:
    """Classify digits with a learning rate that is a thousandth of what it should be."""
    train, val = load_digits(train=1400)
    train_loader = DataLoader(train, batch_size=64, shuffle=True)
    val_loader = DataLoader(val, batch_size=256)
    model = build_layers(64, 128, 10)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)

    with fitdiag.record(model, optimizer, loss_fn, log=log) as run:
        for _ in run.epochs(40):
            train_epoch(model, train_loader, loss_fn, optimizer)
            accuracy = evaluate_classes(model, val_loader, loss_fn)
            run.log(val_accuracy=accuracy)


def no_learning_parity(log: Path) -> None:
    """Tell whether a number of ones is odd, which a small transformer does not find out."""
    train, val = load_parity(train=4000, val=1000, length=24)
    train_loader = DataLoader(train, batch_size=100, shuffle=True)
    val_loader = DataLoader(val, batch_size=500)
    model = Transformer(2, 2, 24, causal=False, width=16, layers=1)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    with fitdiag.record(model, optimizer, loss_fn, log=log) as run:
        for _ in run.epochs(25):
            train_epoch(model, train_loader, loss_fn, optimizer)
            accuracy = evaluate_classes(model, val_loader, loss_fn)
            run.log(val_accuracy=accuracy)


def no_learning_wine(log: Path) -> None:
    """Classify wines with zero_grad() between backward() and step(): no gradient is left."""
    train, val = load_table(datasets.load_wine, train=130)
    train_loader = DataLoader(train, batch_size=26, shuffle=True)
    val_loader = DataLoader(val, batch_size=48)
    model = build_layers(13, 32, 3)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    with fitdiag.record(model, optimizer, loss_fn, log=log):
        for _ in range(50):
            model.train()
            for chemistry, cultivar in train_loader:
                loss = loss_fn(model(chemistry), cultivar)
                loss.backward()
                optimizer.zero_grad()
                optimizer.step()
            evaluate(model, val_loader, loss_fn)


def vanishing_digits(log: Path) -> None:
    """Classify digits by ten sigmoid layers: the gradient dies on its way to the front."""
    train, val = load_digits(train=1400)
    train_loader = DataLoader(train, batch_size=1400)
    val_loader = DataLoader(val, batch_size=397)
    model = build_layers(64, *[32] * 10, 10, activation=nn.Sigmoid)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    with fitdiag.record(model, optimizer, loss_fn, log=log) as run:
        for _ in run.epochs(200):
            train_epoch(model, train_loader, loss_fn, optimizer)
            evaluate(model, val_loader, loss_fn)


TRAININGS = (no_learning_digits, no_learning_parity, no_learning_wine, vanishing_digits)
