"""Runs in which validation follows training: ideal, or at a controlled distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from sklearn import datasets
from torch import nn
from torch.utils.data import DataLoader

import fitdiag
from sample_logs.trainings.loops import evaluate, evaluate_classes, train_epoch
from sample_logs.trainings.networks import Recurrent, Transformer, build_convolutional, build_layers
from sample_logs.trainings.problems import (
    load_adding,
    load_digits,
    load_table,
    load_teacher,
    load_text,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TRAININGS"]


def ideal_digits(log: Path) -> None:
    """Classify digits by a small convolutional network with enough samples, some dropout."""
    train, val = load_digits(train=1400)
    train_loader = DataLoader(train, batch_size=64, shuffle=True)
    val_loader = DataLoader(val, batch_size=256)
    model = build_convolutional(12, dropout=0.2)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    with fitdiag.record(model, optimizer, loss_fn, log=log) as run:
        for _ in run.epochs(40):
            train_epoch(model, train_loader, loss_fn, optimizer)
            accuracy = evaluate_classes(model, val_loader, loss_fn)
            run.log(val_accuracy=accuracy)


def ideal_waves(log: Path) -> None:
    """Fit a smooth function of two numbers by a two-layer network, from 2,000 points."""
    train, val = load_teacher(train=2000, val=500, noise=0.05)
    train_loader = DataLoader(train, batch_size=100, shuffle=True)
    val_loader = DataLoader(val, batch_size=500)
    model = build_layers(2, 32, 32, 1, activation=nn.Tanh)
    loss_fn = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    with fitdiag.record(model, optimizer, loss_fn, log=log):
        for _ in range(60):
            train_epoch(model, train_loader, loss_fn, optimizer)
            evaluate(model, val_loader, loss_fn)


def ideal_adding(log: Path) -> None:
    """Add up two marked numbers of a sequence by a GRU, with gradients clipped at norm 1."""
    train, val = load_adding(train=3000, val=500, length=12)
    train_loader = DataLoader(train, batch_size=100, shuffle=True)
    val_loader = DataLoader(val, batch_size=500)
    model = Recurrent(nn.GRU(2, 24, batch_first=True), outputs=1)
    loss_fn = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    with fitdiag.record(model, optimizer, loss_fn, log=log):
        for _ in range(30):
            model.train()
            for sequences, sums in train_loader:
                loss = loss_fn(model(sequences), sums)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
                optimizer.step()
            evaluate(model, val_loader, loss_fn)


def controlled_gap_digits(log: Path) -> None:
    """Classify few blurred digits by a network held back by weight decay."""
    train, val = load_digits(train=300, noise=0.35)
    train_loader = DataLoader(train, batch_size=30, shuffle=True)
    val_loader = DataLoader(val, batch_size=256)
    model = build_layers(64, 64, 10)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.03)

    with fitdiag.record(model, optimizer, loss_fn, log=log) as run:
        for _ in run.epochs(80):
            train_epoch(model, train_loader, loss_fn, optimizer)
            accuracy = evaluate_classes(model, val_loader, loss_fn)
            run.log(val_accuracy=accuracy)


def controlled_gap_diabetes(log: Path) -> None:
    """Predict the course of diabetes by a linear model with weight decay, from 40 patients."""
    torch.manual_seed(3)
    train, val = load_table(datasets.load_diabetes, train=40)
    train_loader = DataLoader(train, batch_size=40)
    val_loader = DataLoader(val, batch_size=402)
    model = nn.Linear(10, 1)
    loss_fn = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, weight_decay=0.1)

    with fitdiag.record(model, optimizer, loss_fn, log=log):
        for _ in range(200):
            train_epoch(model, train_loader, loss_fn, optimizer)
            evaluate(model, val_loader, loss_fn)


def controlled_gap_text(log: Path) -> None:
    """Predict the next character by a transformer with dropout, weight decay, falling rate."""
    (train, val), tokens = load_text(train=512, val=128, length=32)
    train_loader = DataLoader(train, batch_size=32, shuffle=True)
    val_loader = DataLoader(val, batch_size=128)
    model = Transformer(tokens, tokens, 32, causal=True, width=32, layers=1, dropout=0.1)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.5)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.88)

    with fitdiag.record(model, optimizer, loss_fn, log=log) as run:
        for _ in run.epochs(30):
            train_epoch(model, train_loader, loss_fn, optimizer)
            evaluate(model, val_loader, loss_fn)
            scheduler.step()


TRAININGS = (
    ideal_digits,
    ideal_waves,
    ideal_adding,
    controlled_gap_digits,
    controlled_gap_diabetes,
    controlled_gap_text,
)
