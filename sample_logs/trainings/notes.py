"""The examples of the study notes: a thermometer, irises, and the tutorial's image classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from sklearn import datasets
from torch import nn
from torch.utils.data import DataLoader

import fitdiag
from sample_logs.trainings.problems import load_images, load_table

if TYPE_CHECKING:
    from pathlib import Path

    from torch.optim import Optimizer

__all__ = ["TRAININGS"]


def thermometer(log: Path) -> None:
    """Tell Celsius from an unknown unit: a line through 9 points, 2 validate, 3,000 epochs."""
    t_c = torch.tensor([0.5, 14, 15, 28, 11, 8, 3, -4, 6, 13, 21]).unsqueeze(1)
    t_u = torch.tensor([35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4])
    t_un = 0.1 * t_u.unsqueeze(1)
    shuffled = torch.randperm(11)
    train, val = shuffled[:-2], shuffled[-2:]
    model = nn.Linear(1, 1)
    nn.init.ones_(model.weight)
    nn.init.zeros_(model.bias)
    loss_fn = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    with fitdiag.record(model, optimizer, loss_fn, log=log):
        for _ in range(3_000):
            loss_train = loss_fn(model(t_un[train]), t_c[train])
            loss_fn(model(t_un[val]), t_c[val])
            optimizer.zero_grad()
            loss_train.backward()
            optimizer.step()


def iris(log: Path) -> None:
    """Classify irises by a 4-10-3 network: 20,000 full-batch epochs, evaluated every 200."""
    train, val = load_table(datasets.load_iris, train=120)
    x_train, y_train = train[:]
    x_val, y_val = val[:]
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3))
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    with fitdiag.record(model, optimizer, loss_fn, log=log, every=0) as run:
        for epoch in range(1, 20_001):
            loss = loss_fn(model(x_train), y_train)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if epoch % 200 == 0:
                with torch.no_grad():
                    output = model(x_val)
                    loss_fn(output, y_val)
                accuracy = (output.argmax(1) == y_val).float().mean()
                run.log(val_accuracy=accuracy, epoch=epoch)


class NeuralNetwork(nn.Module):
    """The network of the tutorial: 784 pixels, twice 512 units, ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(28 * 28, 512),
            nn.ReLU(),
            nn.Linear(512, 512),
            nn.ReLU(),
            nn.Linear(512, 10),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ten logits for each image."""
        logits: torch.Tensor = self.linear_relu_stack(self.flatten(x))
        return logits


def train_loop(
    dataloader: DataLoader[Any], model: nn.Module, loss_fn: nn.Module, optimizer: Optimizer
) -> None:
    """Train for one epoch, in the order of the tutorial: backward, step, zero_grad."""
    model.train()
    for x, y in dataloader:
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def test_loop(
    dataloader: DataLoader[Any], model: nn.Module, loss_fn: nn.Module
) -> tuple[float, float]:
    """Return the mean loss and the accuracy on the test data, which the tutorial prints."""
    model.eval()
    test_loss, correct, size = 0.0, 0.0, 0
    with torch.no_grad():
        for x, y in dataloader:
            pred = model(x)
            test_loss += loss_fn(pred, y).item()
            correct += (pred.argmax(1) == y).float().sum().item()
            size += len(y)
    return test_loss / len(dataloader), correct / size


def tutorial_network(log: Path) -> None:
    """Classify 28 x 28 images by the 784-512-512-10 network of PyTorch's tutorial, SGD at 0.001."""
    train, test = load_images()
    train_dataloader = DataLoader(train, batch_size=64)
    test_dataloader = DataLoader(test, batch_size=64)
    model = NeuralNetwork()
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    with fitdiag.record(model, optimizer, loss_fn, log=log):
        for _ in range(120):
            train_loop(train_dataloader, model, loss_fn, optimizer)
            test_loop(test_dataloader, model, loss_fn)


TRAININGS = (thermometer, iris, tutorial_network)
