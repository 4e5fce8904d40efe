"""The mistakes of a training loop that are told while they happen: their limits, and what to do.

Both rooms that speak of them know only these words: the recorder, which sees them, and the rules,
which report them.
"""

from __future__ import annotations

__all__ = [
    "ADVICE",
    "DATA_CHECK",
    "FEW_TESTS",
    "MEAN_DIFFERENCE",
    "SHARED_SAMPLES",
    "SMALL_BATCH",
]

#: samples of a batch from which on its statistics are good enough for batch normalisation
SMALL_BATCH = 16
#: evaluations of a test set that are no habit yet
FEW_TESTS = 3
#: relative difference of two means of the same losses from which on it is told
MEAN_DIFFERENCE = 1e-3
#: share of validation samples in the training data from which on it is told
SHARED_SAMPLES = 0.01
#: the one check that has to be asked for: it reads the inputs themselves
DATA_CHECK = "LOP010"

#: what to do, most useful first, by code
ADVICE: dict[str, tuple[str, ...]] = {
    "LOP001": (
        "Compute the validation loss under model.eval() and torch.no_grad(), and call neither "
        "backward() nor step() there.",
        "Train again from the start: what has seen its validation data cannot be judged by it.",
    ),
    "LOP002": (
        "Call optimizer.zero_grad() before each backward(), or after each step().",
        "To accumulate on purpose, call step() and zero_grad() together, once every few batches.",
    ),
    "LOP003": (
        "Call model.eval() before the validation loop, and model.train() after it.",
        "For Monte Carlo dropout, switch on the dropout layers only, after model.eval().",
    ),
    "LOP004": ("Put the validation loop under `with torch.no_grad():` or inference_mode().",),
    "LOP005": (
        "Call model.train() at the start of each training epoch, or after each evaluation.",
    ),
    "LOP006": (
        "Use GroupNorm or LayerNorm, which do not depend on the batch, or larger batches.",
        "In a network that was trained before, keep the batch-norm layers in eval().",
        "Over several processes use SyncBatchNorm; gradient accumulation does not help here.",
    ),
    "LOP007": (
        "Give the optimizer all of them: optimizer.add_param_group({'params': ...}), or make it "
        "after the last layer is added or unfrozen.",
        "If they are not to be trained, say requires_grad_(False): their gradients cost time.",
    ),
    "LOP008": (
        "Look for detach(), no_grad() or a part of forward() that is never used.",
        "If they are not to be trained, say requires_grad_(False), or take them away.",
    ),
    "LOP009": ("Call scheduler.step() after optimizer.step(): the first learning rate is lost.",),
    "LOP010": (
        "Split before anything else, by the source of the samples rather than at random, and "
        "take copies away first.",
        "Judge the model on data that it has not seen: this validation loss is too good.",
    ),
    "LOP011": (
        "Weight each batch by its size: total += loss.item() * len(inputs), then divide by the "
        "number of samples.",
        "Or leave val_loss out of run.log(): the recorder weights by batch size.",
    ),
    "LOP012": (
        "Use validation data for every choice, and the test data once, at the end.",
        "If it is used for choices all the same, call it validation: run.phase('val').",
    ),
}
