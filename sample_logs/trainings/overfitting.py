"""Runs that overfit: validation turns while the training loss falls on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from sklearn import datasets
from torch import nn
from torch.utils.data import DataLoader

import fitdiag
from sample_logs.trainings.loops import evaluate, evaluate_classes, train_epoch
from sample_logs.trainings.networks import Transformer, build_convolutional, build_layers
from sample_logs.trainings.problems import load_digits, load_table, load_text

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TRAININGS"]


def overfitting_digits(log: Path) -> None:
    """Classify blurred digits by a wide network that has only 300 of them to learn from."""
    train, val = load_digits(train=300, noise=0.45)
    train_loader = DataLoader(train, batch_size=20, shuffle=True)
    val_loader = DataLoader(val, batch_size=256)
    model = build_layers(64, 256, 256, 10)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.004, momentum=0.9)

    with fitdiag.record(model, optimizer, loss_fn, log=log, every=0) as run:
        for _ in range(100):
            train_epoch(model, train_loader, loss_fn, optimizer)
            accuracy = evaluate_classes(model, val_loader, loss_fn)
            run.log(val_accuracy=accuracy)


def overfitting_diabetes(log: Path) -> None:
    """Predict the course of diabetes by a network far too large for 200 patients."""
    train, val = load_table(datasets.load_diabetes, train=200)
    train_loader = DataLoader(train, batch_size=32, shuffle=True)
    val_loader = DataLoader(val, batch_size=256)
    model = build_layers(10, 128, 128, 1, activation=nn.Tanh)
    loss_fn = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)

    with fitdiag.record(model, optimizer, loss_fn, log=log) as run:
        for _ in run.epochs(150):
            train_epoch(model, train_loader, loss_fn, optimizer)
            evaluate(model, val_loader, loss_fn)


def overfitting_text(log: Path) -> None:
    """Predict the next character by a transformer that reads a few pages again and again."""
    (train, val), tokens = load_text(train=256, val=128, length=32)
    train_loader = DataLoader(train, batch_size=32, shuffle=True)
    val_loader = DataLoader(val, batch_size=128)
    model = Transformer(tokens, tokens, 32, causal=True)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

    with fitdiag.record(model, optimizer, loss_fn, log=log) as run:
        for _ in run.epochs(60):
            train_epoch(model, train_loader, loss_fn, optimizer)
            evaluate(model, val_loader, loss_fn)


def memorising_random_labels(log: Path) -> None:
    """Classify digits whose labels are shuffled: nothing to learn, much to memorise."""
    train, val = load_digits(train=500, random_labels=True)
    train_loader = DataLoader(train, batch_size=50, shuffle=True)
    val_loader = DataLoader(val, batch_size=256)
    model = build_convolutional(32)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    with fitdiag.record(model, optimizer, loss_fn, log=log) as run:
        for _ in range(60):
            train_epoch(model, train_loader, loss_fn, optimizer)
            accuracy = evaluate_classes(model, val_loader, loss_fn)
            run.log(val_accuracy=accuracy)


TRAININGS = (
    overfitting_digits,
    overfitting_diabetes,
    overfitting_text,
    memorising_random_labels,
)
