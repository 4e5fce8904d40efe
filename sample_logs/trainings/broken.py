"""Runs that broke: diverged, or thrown out by an exploding gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from sklearn import datasets
from torch import nn
from torch.utils.data import DataLoader

import fitdiag
from sample_logs.trainings.loops import evaluate, evaluate_classes, train_epoch
from sample_logs.trainings.networks import Recurrent, build_convolutional
from sample_logs.trainings.problems import load_digits, load_table

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TRAININGS"]


def diverged_diabetes(log: Path) -> None:
    """Predict the course of diabetes at too high a rate: each step overshoots, up to NaN."""
    train, val = load_table(datasets.load_diabetes, train=342)
    train_loader = DataLoader(train, batch_size=342)
    val_loader = DataLoader(val, batch_size=100)
    model = nn.Linear(10, 1)
    loss_fn = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.6)

    with fitdiag.record(model, optimizer, loss_fn, log=log):
        for _ in range(120):
            train_epoch(model, train_loader, loss_fn, optimizer)
            evaluate(model, val_loader, loss_fn)


def diverged_digits(log: Path) -> None:
    """Classify digits at a rate that climbs: the network learns, breaks, and stays broken."""
    train, val = load_digits(train=1400)
    train_loader = DataLoader(train, batch_size=64, shuffle=True)
    val_loader = DataLoader(val, batch_size=256)
    model = build_convolutional(12)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=1.15)

    with fitdiag.record(model, optimizer, loss_fn, log=log) as run:
        for _ in run.epochs(40):
            train_epoch(model, train_loader, loss_fn, optimizer)
            accuracy = evaluate_classes(model, val_loader, loss_fn)
            run.log(val_accuracy=accuracy)
            scheduler.step()


def exploding_digits(log: Path) -> None:
    """Read digits two pixels at a time by a recurrent ReLU network, without clipping."""
    train, val = load_digits(train=1400)
    train_loader = DataLoader(train, batch_size=50, shuffle=True)
    val_loader = DataLoader(val, batch_size=397)
    model = nn.Sequential(
        nn.Flatten(),
        nn.Unflatten(1, (32, 2)),
        Recurrent(nn.RNN(2, 64, nonlinearity="relu", batch_first=True), outputs=10),
    )
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    with fitdiag.record(model, optimizer, loss_fn, log=log):
        for _ in range(22):
            train_epoch(model, train_loader, loss_fn, optimizer)
            evaluate(model, val_loader, loss_fn)


TRAININGS = (diverged_diabetes, diverged_digits, exploding_digits)
