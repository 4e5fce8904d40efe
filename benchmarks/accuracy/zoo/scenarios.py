"""The scenarios of the zoo: what each run is meant to go through.

Every problem goes through each of `ALWAYS` and some of `SOMETIMES`, with details drawn from the
run's own generator. A scenario gives the fields of a setup that it changes from the usual ones;
what then did happen is measured, never assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.accuracy.zoo.problems import Problem

    Scenario = Callable[[Problem, np.random.Generator], dict[str, Any]]

__all__ = ["ALWAYS", "SOMETIMES", "draw_usual"]

LOSSES = {
    "classes": ("ce", "ce", "ce", "margin"),
    "binary": ("bce", "ce", "bce", "hinge"),
    "values": ("mse", "mse", "l1", "nll"),
    "text": ("ce",),
}
RATES = {"adam": 3e-3, "adamw": 3e-3, "rmsprop": 1e-3, "sgd": 0.1, "momentum": 0.02}
SLOW = ("gru", "lstm", "rnn", "transformer")


def draw_usual(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Draw a sensible setup.

    Parameters
    ----------
    problem : Problem
        What is to be learned.
    rng : numpy.random.Generator
        The run's own.

    Returns
    -------
    dict of str to Any
        Fields of a setup, by name.
    """
    arch = str(rng.choice(problem.archs))
    slow = arch in SLOW
    optimizer = str(rng.choice(["adam", "adamw", "rmsprop"] if slow else list(RATES)))
    loss = str(rng.choice(LOSSES[problem.kind]))
    return {
        "arch": arch,
        "width": 32 if slow else int(rng.choice([24, 48, 96])),
        "depth": 0 if arch == "linear" else int(rng.choice([1, 2])),
        "activation": str(rng.choice(["relu", "relu", "tanh", "gelu"])),
        "loss": loss,
        "optimizer": optimizer,
        "lr": RATES[optimizer] * float(np.exp(rng.uniform(-0.6, 0.6))) * (1.5 if slow else 1),
        "momentum": 0.9 if optimizer == "momentum" else 0.0,
        "train": problem.many,
        "val": problem.val,
        "batch": 32 if slow else int(rng.choice([16, 32, 64])),
        "epochs": int(problem.epochs * rng.uniform(0.6, 1.2)),
        "digits": int(rng.choice([0, 0, 4])),
        "summed": bool(rng.random() < 0.08) and loss != "nll",
    }


def _plain(_problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    return {"schedule": str(rng.choice(["constant", "cosine", "warm_up"]))}


def _plenty(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Train a modest net on all the data, with another schedule."""
    return {
        "width": 24,
        "weight_decay": float(rng.choice([0, 1e-4, 1e-3])),
        "schedule": str(rng.choice(["cosine", "step", "plateau", "warm_cosine"])),
        "clip": float(rng.choice([0, 1])),
        "epochs": int(problem.epochs * 0.6),
    }


def _scant(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Train a wide net, few examples, long: overfits."""
    slow = problem.family in ("text", "sequence")
    return {
        "train": problem.few,
        "width": 48 if slow else 128,
        "epochs": int(problem.epochs * rng.uniform(2, 5)),
        "batch": int(rng.choice([8, 16])),
    }


def _scant_regularised(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Take few examples, but hold the net: a gap that stays."""
    return {
        "train": int(problem.few * rng.uniform(1, 2)),
        "dropout": float(rng.choice([0, 0.2, 0.4])),
        "weight_decay": float(rng.choice([1e-3, 1e-2])),
        "optimizer": "adamw",
        "lr": 2e-3,
        "momentum": 0.0,
        "width": 32,
        "schedule": str(rng.choice(["cosine", "step", "constant"])),
        "epochs": int(problem.epochs * rng.uniform(0.8, 1.6)),
    }


def _middle(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Take a fair number of examples, annealed to the end."""
    return {
        "train": int(np.sqrt(problem.few * problem.many)),
        "schedule": str(rng.choice(["cosine", "warm_cosine", "step"])),
        "epochs": int(problem.epochs * rng.uniform(0.8, 1.5)),
        "smoothing": float(rng.choice([0, 0.1])),
    }


def _noisy(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Spoil part of the labels, with a net wide enough to learn them by heart."""
    slow = problem.family in ("text", "sequence")
    return {
        "noise": float(rng.choice([0.2, 0.3, 0.5])),
        "noisy_val": bool(rng.random() < 0.7),
        "train": int(np.sqrt(problem.few * problem.many)),
        "width": 48 if slow else 128,
        "epochs": int(problem.epochs * rng.uniform(1, 2.5)),
    }


def _random_labels(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Leave nothing to learn, and everything to memorise."""
    return _scant(problem, rng) | {
        "noise": 1.0,
        "train": int(problem.few * rng.uniform(0.8, 1.6)),
        "noisy_val": bool(rng.random() < 0.7),
    }


def _nothing_there(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Leave nothing to learn, and too much to memorise."""
    return {
        "noise": 1.0,
        "width": 12,
        "depth": int(problem.archs[-1] != "linear"),
        "weight_decay": 1e-3,
        "batch": 64,
        "lr": 1e-3,
        "optimizer": "adam",
        "momentum": 0.0,
        "epochs": int(rng.integers(10, 30)),
    }


def _frozen(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Set the learning rate to zero or next to it."""
    return {
        "lr": float(rng.choice([0, 1e-9, 1e-7])),
        "dropout": float(rng.choice([0, 0.3])),
        "epochs": int(problem.epochs * rng.uniform(0.3, 1)),
    }


def _dead(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Begin with hidden units that never fire."""
    return {
        "init": "dead",
        "activation": "relu",
        "depth": int(rng.integers(1, 4)),
        "arch": next(arch for arch in problem.archs if arch != "linear"),
        "epochs": int(problem.epochs * rng.uniform(0.4, 1)),
    }


def _vanishing(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Build a deep stack of saturating units."""
    sigmoid = rng.random() < 0.75
    return {
        "activation": "sigmoid" if sigmoid else "tanh",
        "init": "usual" if sigmoid else "huge",
        "depth": int(rng.integers(7, 11)),
        "arch": next(arch for arch in problem.archs if arch != "linear"),
        "optimizer": str(rng.choice(["sgd", "momentum", "adam"])),
        "lr": 1e-3 if rng.random() < 0.5 else 0.02,
        "width": 24,
        "epochs": int(problem.epochs * rng.uniform(0.3, 0.8)),
    }


def _hot(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Set the learning rate far too high from the start."""
    optimizer = str(rng.choice(["sgd", "momentum", "sgd", "momentum", "adam", "rmsprop"]))
    return {
        "optimizer": optimizer,
        "lr": RATES[optimizer] * float(10 ** rng.uniform(1.3, 3.3)),
        "momentum": 0.9 if optimizer == "momentum" else 0.0,
        "epochs": int(problem.epochs * rng.uniform(0.4, 1)),
        "nan_epochs": int(rng.choice([1, 3, 1000])),
    }


def _hot_late(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Learn, and then raise the learning rate until it breaks."""
    return {
        "schedule": str(rng.choice(["ramp", "jump", "jump"])),
        "epochs": int(problem.epochs * rng.uniform(0.8, 1.4)),
        "nan_epochs": int(rng.choice([1, 3, 1000])),
        "clip": float(rng.choice([0, 0, 1])),
    }


def _explode(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Gradient descent without clipping that breaks part of the way, or at once."""
    poisoned = problem.archs[-1] != "gru" and rng.random() < 0.35
    kind = str(rng.choice(["ramp", "jump"]))
    return {
        "optimizer": "momentum" if poisoned else str(rng.choice(["sgd", "momentum"])),
        "lr": 0.02 * float(np.exp(rng.uniform(-0.5, 1.5))),
        "momentum": 0.9,
        "schedule": "constant" if poisoned else kind,
        "loss": "mse" if problem.kind == "values" else LOSSES[problem.kind][0],
        "poison": float(rng.uniform(0.2, 0.8)) if poisoned else 0.0,
        "epochs": int(problem.epochs * rng.uniform(0.5, 1.2)),
        "nan_epochs": int(rng.choice([1, 2, 1000])),
    }


def _restless(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Set a learning rate at the edge: curves that jump about."""
    optimizer = str(rng.choice(["sgd", "momentum", "adam"]))
    return {
        "optimizer": optimizer,
        "lr": RATES[optimizer] * float(10 ** rng.uniform(0.5, 1.1)),
        "momentum": 0.9 if optimizer == "momentum" else 0.0,
        "batch": 8 if problem.family not in ("text", "sequence") else 16,
        "init": "exploding" if problem.family == "sequence" else "usual",
        "clip": float(rng.choice([0, 1])),
        "epochs": int(problem.epochs * 0.7),
    }


def _short(_problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    return {"epochs": int(rng.integers(2, 9))}


def _unfinished(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Set a low learning rate, and stop while it still improves."""
    optimizer = str(rng.choice(["adam", "sgd"]))
    return {
        "optimizer": optimizer,
        "lr": RATES[optimizer] * float(10 ** rng.uniform(-1.5, -0.7)),
        "momentum": 0.0,
        "epochs": int(problem.epochs * rng.uniform(0.4, 0.8)),
    }


def _tiny_val(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Take a validation set too small to be trusted."""
    share = rng.uniform(0.2, 1)
    return {
        "val": int(rng.integers(10, 31)),
        "train": int(problem.few ** (1 - share) * problem.many**share),
        "epochs": int(problem.epochs * rng.uniform(0.8, 2)),
    }


def _per_step(_problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Log by steps, as loops over large data write it."""
    return {
        "log_every": int(rng.choice([1, 2, 5])),
        "val_steps": int(rng.choice([10, 20, 25, 50])),
        "schedule": str(rng.choice(["warm_cosine", "warm_up", "cosine"])),
        "batch": 16,
        "epoch_rows": bool(rng.random() < 0.5),
    }


def _per_step_scant(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    return _scant(problem, rng) | {"log_every": 2, "val_steps": int(rng.choice([10, 20]))}


def _coarse(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Validate every few epochs."""
    share = rng.uniform(0, 1)
    return {
        "val_every": int(rng.choice([2, 3, 5])),
        "train": int(problem.few ** (1 - share) * problem.many**share),
        "epochs": int(problem.epochs * rng.uniform(1, 2)),
    }


def _late(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Take a low rate and fair data: overfits late, mildly or not at all."""
    return {
        "train": int(problem.few * rng.uniform(1.5, 3)),
        "optimizer": "adam",
        "lr": 1e-3,
        "momentum": 0.0,
        "width": 64 if problem.family not in ("text", "sequence") else 32,
        "epochs": int(problem.epochs * rng.uniform(2, 4)),
    }


def _long(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Full batches of little data, many epochs; grokking where there is any."""
    slow = problem.family in ("text", "sequence")
    return {
        "train": problem.few if problem.name != "modular_addition" else problem.many,
        "batch": 4096,
        "epochs": 250 if slow else int(rng.choice([500, 800, 1000])),
        "optimizer": str(rng.choice(["adamw", "momentum"])),
        "lr": 0.01,
        "momentum": 0.9,
        "weight_decay": float(rng.choice([0, 1e-2, 0.3])),
        "val_every": int(rng.choice([1, 1, 10])),
        "width": 32 if slow else 96,
    }


def _stepped(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    """Stay on a plateau at a high rate, then a drop with the schedule."""
    optimizer = str(rng.choice(["sgd", "adam"]))
    return {
        "schedule": "step",
        "optimizer": optimizer,
        "lr": RATES[optimizer] * 5,
        "momentum": 0.0,
        "batch_norm": problem.kind != "text",
        "epochs": int(problem.epochs * rng.uniform(0.8, 1.5)),
    }


def _blind(problem: Problem, rng: np.random.Generator) -> dict[str, Any]:
    return {"blind": True, "epochs": int(problem.epochs * rng.uniform(0.3, 1))}


ALWAYS: dict[str, Scenario] = {
    "plain": _plain,
    "plenty": _plenty,
    "scant": _scant,
    "scant_regularised": _scant_regularised,
    "middle": _middle,
    "noisy": _noisy,
    "random_labels": _random_labels,
    "frozen": _frozen,
    "vanishing": _vanishing,
    "hot": _hot,
    "hot_late": _hot_late,
    "explode": _explode,
    "unfinished": _unfinished,
}
SOMETIMES: dict[str, Scenario] = {
    "nothing_there": _nothing_there,
    "dead": _dead,
    "restless": _restless,
    "short": _short,
    "tiny_val": _tiny_val,
    "per_step": _per_step,
    "per_step_scant": _per_step_scant,
    "coarse": _coarse,
    "late": _late,
    "long": _long,
    "stepped": _stepped,
    "blind": _blind,
}
