"""One epoch of training and one evaluation, as most scripts have them: nothing of fitdiag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer
    from torch.utils.data import DataLoader

__all__ = ["evaluate", "evaluate_classes", "train_epoch"]


def train_epoch(
    model: nn.Module, loader: DataLoader[Any], loss_fn: nn.Module, optimizer: Optimizer
) -> None:
    """Train on each batch once."""
    model.train()
    for inputs, targets in loader:
        loss = loss_fn(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def evaluate(model: nn.Module, loader: DataLoader[Any], loss_fn: nn.Module) -> None:
    """Compute the loss on each batch once."""
    model.eval()
    with torch.no_grad():
        for inputs, targets in loader:
            loss_fn(model(inputs), targets)


def evaluate_classes(model: nn.Module, loader: DataLoader[Any], loss_fn: nn.Module) -> float:
    """Compute the loss on each batch once, and return the accuracy over all, 0 to 1."""
    model.eval()
    right = count = 0
    with torch.no_grad():
        for inputs, targets in loader:
            outputs = model(inputs)
            loss_fn(outputs, targets)
            right += int((outputs.argmax(1) == targets).sum())
            count += targets.numel()
    return right / count
