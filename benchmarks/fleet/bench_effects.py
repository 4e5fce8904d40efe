"""How often settings are found that do not matter, and how often those that do.

Run from anywhere: ``python benchmarks/fleet/bench_effects.py`` (``--fleets 500``). Every fleet is a
simulated sweep of six settings. In the first table nothing matters: a fleet that shows anything
counts. In the second, weight decay, learning rate and width matter: the share of false ones among
all that are found must stay at or below the stated 5 %, and the planted ones should be found.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from fitdiag.fleet.effects import FALSE_SHARE, find_effects
from fitdiag.fleet.rows import Row

#: what is planted, and what follows from it: a run that diverged is not called overfitting
PLANTED = {("weight_decay", "overfitting"), ("lr", "divergence"), ("width", "best loss")}
FOLLOWS = {("lr", "overfitting")}


def simulate(rng: np.random.Generator, runs: int, strength: float, rare: float) -> list[Row]:
    """Return a sweep: ``strength`` is how much the planted settings matter, from 0 to 1."""
    rows = []
    for at in range(runs):
        config: dict[str, Any] = {
            "weight_decay": float(rng.choice([0.0, 0.1])),
            "lr": float(10 ** rng.uniform(-4, -1)),
            "width": int(rng.choice([32, 64, 128])),
            "optimizer": str(rng.choice(["adam", "sgd", "lion"], p=[0.6, 0.3, 0.1])),
            "dropout": float(rng.choice([0.0, 0.1, 0.3, 0.5])),
            "amp": bool(rng.integers(2)),
            "seed": at,
        }
        overfits = 0.4 + strength * (0.4 if config["weight_decay"] == 0 else -0.3)
        diverges = rare + strength * (0.6 if config["lr"] > 0.02 else 0.0)
        loss = float(rng.lognormal()) * (64.0 / config["width"]) ** strength
        end = "overfitting" if rng.random() < overfits else "ideal"
        end = "diverged" if rng.random() < diverges else end
        rows.append(Row(path=f"{at}.csv", verdict=end, val_best=loss, config=config))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleets", type=int, default=500)
    options = parser.parse_args()
    print(f"nothing matters, {options.fleets} fleets each: share that show any setting")
    for runs in (20, 60, 300, 1000):
        for rare in (0.02, 0.2):
            rng = np.random.default_rng(runs)
            shown = sum(
                bool(len(find_effects(simulate(rng, runs, 0.0, rare))))
                for _ in range(options.fleets)
            )
            share = shown / options.fleets
            spread = (FALSE_SHARE * (1 - FALSE_SHARE) / options.fleets) ** 0.5
            print(f"  {runs:5} runs, {rare:4.0%} diverge: {share:6.1%}")
            assert share <= FALSE_SHARE + 3 * spread
    print("three settings matter: share found, and mean share of false ones")
    for runs in (20, 60, 300):
        for strength in (0.5, 1.0):
            rng = np.random.default_rng(runs)
            hits, wrong = 0, 0.0
            for _ in range(options.fleets // 2):
                effects = find_effects(simulate(rng, runs, strength, 0.05))
                found = {(effect.setting, effect.outcome) for effect in effects}
                hits += len(found & PLANTED)
                wrong += len(found - PLANTED - FOLLOWS) / max(len(found), 1)
            fleets = options.fleets // 2
            print(
                f"  {runs:5} runs, strength {strength}: {hits / (3 * fleets):6.1%} found, "
                f"{wrong / fleets:6.1%} false"
            )


if __name__ == "__main__":
    main()
