"""Whether averaging checkpoints around the pick gives a better model than the pick alone.

Small nets on data that scikit-learn ships, with and without batch normalisation, with a constant
rate and with one that falls to zero. The pick is made by validation loss, what comes of it is told
by a test set that nothing saw. Where the region around the pick is flat, so that averaging could
be proposed, is told by the validation loss: that of the neighbours lies within 5 % of the fall.

Run: ``python benchmarks/checkpoints/bench_average.py`` (two minutes).
"""

from __future__ import annotations

import argparse
import itertools
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits, make_moons
from torch import nn
from torch.optim.swa_utils import update_bn

from fitdiag import Run, diagnose

EPOCHS = 40
#: checkpoints that are averaged: the pick with as many before and after, or those up to it
WIDTHS = {"pick ± 2": (2, 2), "pick and 4 before": (4, 0), "pick ± 5": (5, 5)}
FLAT = 0.05


def data(name: str, seed: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return training, validation and test set, standardised."""
    makers: dict[str, Any] = {
        "digits": lambda: load_digits(return_X_y=True),
        "breast_cancer": lambda: load_breast_cancer(return_X_y=True),
        "moons": lambda: make_moons(900, noise=0.3, random_state=seed),
    }
    inputs, targets = makers[name]()
    order = np.random.default_rng(seed).permutation(len(inputs))
    inputs = (inputs - inputs.mean(0)) / (inputs.std(0) + 1e-6)
    x = torch.tensor(inputs[order], dtype=torch.float32)
    y = torch.tensor(targets[order])
    third = len(x) // 3
    cuts = (slice(0, third), slice(third, third + third // 2), slice(third + third // 2, None))
    return [(x[cut], y[cut]) for cut in cuts]


def train(name: str, seed: int, *, lr: float, falls: bool, norm: bool) -> tuple[Any, ...]:
    """Train, and return the net, its states, the losses of each epoch and the three sets."""
    sets = data(name, seed)
    torch.manual_seed(seed)
    width, classes = sets[0][0].shape[1], int(sets[0][1].max()) + 1
    model = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, classes))
    if norm:
        model.insert(1, nn.BatchNorm1d(64))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS) if falls else None
    (x, y), held = sets[0], sets[1:]
    states, losses = [], []
    for _ in range(EPOCHS):
        model.train()
        seen = []
        for batch in torch.split(torch.randperm(len(x)), 16):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            torch.autograd.backward(loss)
            optimizer.step()
            seen.append(loss.item())
        if rate is not None:
            rate.step()
        states.append({key: value.clone() for key, value in model.state_dict().items()})
        losses.append((float(np.mean(seen)), *(evaluate(model, one) for one in held)))
    return model, states, np.array(losses), sets


def evaluate(model: nn.Module, pair: tuple[torch.Tensor, torch.Tensor]) -> float:
    model.eval()
    with torch.no_grad():
        return float(nn.functional.cross_entropy(model(pair[0]), pair[1]))


def mean_state(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    kept = {key: torch.stack([s[key].double() for s in states]).mean(0) for key in states[0]}
    return {key: value.to(states[-1][key].dtype) for key, value in kept.items()}


def compare(model: nn.Module, states: Any, losses: Any, sets: Any) -> dict[str, float] | None:  # noqa: ANN401 what train gave
    """Return the test loss of each average over that of the pick; None where it is not flat."""
    run = Run.from_arrays(train_loss=losses[:, 0], val_loss=losses[:, 1], unit="epoch")
    pick = diagnose(run).checkpoint
    assert pick is not None
    at = int(pick.step) - 1
    near = losses[max(0, at - 2) : at + 3, 1]
    if near.max() - near.min() > FLAT * (losses[0, 1] - losses[:, 1].min()):
        return None
    found = {}
    for name, (before, after) in WIDTHS.items():
        model.load_state_dict(mean_state(states[max(0, at - before) : at + after + 1]))
        batches = list(sets[0][0].split(64))
        update_bn(batches, model)
        found[name] = evaluate(model, sets[2]) / losses[at, 2] - 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'setting':44}{'flat':>8}" + "".join(f"{name:>28}" for name in WIDTHS))
    together: dict[str, list[float]] = {name: [] for name in WIDTHS}
    for falls, norm, name in itertools.product(
        (False, True), (False, True), ("digits", "breast_cancer", "moons")
    ):
        rows = []
        for lr, seed in itertools.product((0.02, 0.1), range(options.seeds)):
            found = compare(*train(name, seed, lr=lr, falls=falls, norm=norm))
            rows += [found] if found else []
        words = (
            name,
            "rate falls" if falls else "constant rate",
            "batch norm" if norm else "plain",
        )
        print(f"{', '.join(words):44}{len(rows):>5}/{2 * options.seeds}", end="")
        for way in WIDTHS:
            ratios = [row[way] for row in rows]
            together[way] += ratios
            better = sum(ratio < 0 for ratio in ratios)
            shown = f"{np.median(ratios):+.1%}, {better} better" if ratios else "-"
            print(f"{shown:>28}", end="", flush=True)
        print()
    for way, ratios in together.items():
        share = np.mean(np.array(ratios) < 0)
        spread = np.percentile(ratios, [10, 50, 90])
        print(
            f"{way}: test loss {spread[1]:+.2%} (median; 10 to 90 %: {spread[0]:+.1%} to "
            f"{spread[2]:+.1%}), mean {np.mean(ratios):+.2%}, better in {share:.0%} of "
            f"{len(ratios)}"
        )


if __name__ == "__main__":
    main()
