"""Runs whose log has a shape of its own: no validation, each step, a schedule, few samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from sklearn import datasets
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

import fitdiag
from sample_logs.trainings.loops import evaluate, evaluate_classes, train_epoch
from sample_logs.trainings.networks import Transformer, build_convolutional, build_layers
from sample_logs.trainings.problems import load_digits, load_language, load_table, load_teacher

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TRAININGS"]


def inconclusive_iris(log: Path) -> None:
    """Classify irises, and stop after three epochs: too short to tell."""
    train, val = load_table(datasets.load_iris, train=100)
    train_loader = DataLoader(train, batch_size=20, shuffle=True)
    val_loader = DataLoader(val, batch_size=50)
    model = build_layers(4, 16, 3)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    with fitdiag.record(model, optimizer, loss_fn, log=log) as run:
        for _ in run.epochs(3):
            train_epoch(model, train_loader, loss_fn, optimizer)
            evaluate(model, val_loader, loss_fn)


def no_validation_waves(log: Path) -> None:
    """Fit a smooth function of two numbers, and never look at other points."""
    train, _ = load_teacher(train=1000, val=100, noise=0.05)
    train_loader = DataLoader(train, batch_size=50, shuffle=True)
    model = build_layers(2, 32, 32, 1, activation=nn.Tanh)
    loss_fn = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    with fitdiag.record(model, optimizer, loss_fn, log=log) as run:
        for _ in run.epochs(50):
            train_epoch(model, train_loader, loss_fn, optimizer)


def sparse_validation_digits(log: Path) -> None:
    """Classify digits by a convolutional network, validated at every fifth epoch."""
    train, val = load_digits(train=1000)
    train_loader = DataLoader(train, batch_size=50, shuffle=True)
    val_loader = DataLoader(val, batch_size=256)
    model = build_convolutional(8, dropout=0.1)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    with fitdiag.record(model, optimizer, loss_fn, log=log) as run:
        for epoch in run.epochs(60):
            train_epoch(model, train_loader, loss_fn, optimizer)
            if epoch % 5 == 4:
                accuracy = evaluate_classes(model, val_loader, loss_fn)
                run.log(val_accuracy=accuracy)


def each_step_language(log: Path) -> None:
    """Predict a made-up language by a transformer: each step logged, no sentence seen twice."""
    train, val = load_language(train=16_000, val=256, length=24, tokens=12)
    train_loader = DataLoader(train, batch_size=32)
    model = Transformer(12, 12, 24, causal=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    held, expected = val[:]

    with fitdiag.record(model, optimizer, log=log, every=1) as run:
        loss_fn = run.loss(cross_entropy)
        for step, (sentences, shifted) in enumerate(train_loader, start=1):
            optimizer.zero_grad()
            loss = loss_fn(model(sentences), shifted)
            loss.backward()  # type: ignore[no-untyped-call] # torch has no types here
            optimizer.step()
            if step % 20 == 0:
                with torch.no_grad():
                    loss_fn(model(held), expected)


def warmup_digits(log: Path) -> None:
    """Classify digits at a rate that warms up, then decays: the norm peaks early and settles."""
    train, val = load_digits(train=1400, noise=0.1)
    train_loader = DataLoader(train, batch_size=50, shuffle=True)
    val_loader = DataLoader(val, batch_size=256)
    model = build_convolutional(12, dropout=0.2)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.05, total_steps=840, pct_start=0.15
    )

    with fitdiag.record(model, optimizer, loss_fn, log=log) as run:
        for _ in run.epochs(30):
            model.train()
            for inputs, targets in train_loader:
                loss = loss_fn(model(inputs), targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
            accuracy = evaluate_classes(model, val_loader, loss_fn)
            run.log(val_accuracy=accuracy)


def noisy_validation_waves(log: Path) -> None:
    """Fit a noisy function, validated on eight points, others each epoch."""
    train, val = load_teacher(train=600, val=200, noise=0.2)
    train_loader = DataLoader(train, batch_size=50, shuffle=True)
    val_loader = DataLoader(val, batch_size=8, shuffle=True)
    model = build_layers(2, 24, 24, 1, activation=nn.Tanh)
    loss_fn = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    with fitdiag.record(model, optimizer, loss_fn, log=log):
        for _ in range(80):
            train_epoch(model, train_loader, loss_fn, optimizer)
            points, heights = next(iter(val_loader))
            model.eval()
            with torch.no_grad():
                loss_fn(model(points), heights)


TRAININGS = (
    inconclusive_iris,
    no_validation_waves,
    sparse_validation_digits,
    each_step_language,
    warmup_digits,
    noisy_validation_waves,
)
