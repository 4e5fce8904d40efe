"""Loops in which nothing is wrong, as tutorials and real projects have them: not a word is said."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 its usual name
from torch import Tensor, nn
from torch.optim import lr_scheduler, swa_utils

import fitdiag
from fitdiag.recording import RecordingWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EPOCHS, BATCHES, SIZE = 4, 26, 16

Batch = tuple[Tensor, Tensor]
Loop = "Callable[[Path], None]"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def make_batches(count: int = BATCHES, size: int = SIZE, classes: int = 3) -> list[Batch]:
    """Return batches, the last of which is smaller."""
    sizes = [size] * (count - 1) + [size // 2]
    return [(torch.randn(n, 8), torch.randint(0, classes, (n,))) for n in sizes]


def make_net(*, norm: bool = True, out: int = 3) -> nn.Sequential:
    """Return a network with dropout, and with batch-norm if wanted."""
    middle = nn.BatchNorm1d(12) if norm else nn.Identity()
    return nn.Sequential(nn.Linear(8, 12), middle, nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, out))


class Run:
    """Batches, a network, and what everyone does with them."""

    def __init__(self, *, norm: bool = True) -> None:
        self.train, self.val = make_batches(), make_batches(4)
        self.net: Any = make_net(norm=norm)
        self.loss_fn = nn.CrossEntropyLoss()
        self.optimizer: Any = torch.optim.SGD(self.net.parameters(), lr=0.05)

    def record(self, log: Path, **options: Any) -> fitdiag.Recorder:
        """Record it."""
        return fitdiag.record(
            self.net, self.optimizer, self.loss_fn, log=log, checks="data", **options
        )

    def step(self, batch: Batch) -> None:
        """Make one step."""
        self.optimizer.zero_grad()
        self.loss_fn(self.net(batch[0]), batch[1]).backward()
        self.optimizer.step()

    def evaluate(self) -> float:
        """Return the mean validation loss."""
        self.net.eval()
        with torch.no_grad():
            losses = [self.loss_fn(self.net(x), y) for x, y in self.val]
        return float(torch.stack(losses).mean())

    def epoch(self) -> None:
        """Train on every batch, and evaluate."""
        self.net.train()
        for batch in self.train:
            self.step(batch)
        self.evaluate()


def quickstart(log: Path) -> None:
    """The loop of the first tutorial: gradients are zeroed after the step."""
    run = Run()
    with run.record(log):
        for _ in range(EPOCHS):
            run.net.train()
            for x, y in run.train:
                run.loss_fn(run.net(x), y).backward()
                run.optimizer.step()
                run.optimizer.zero_grad()
            run.evaluate()


def zeroed_in_place(log: Path) -> None:
    """Gradients that become zeros instead of None, also by hand."""
    run = Run()
    with run.record(log):
        for epoch in range(EPOCHS):
            run.net.train()
            for x, y in run.train:
                if epoch % 2:
                    run.optimizer.zero_grad(set_to_none=False)
                else:
                    for p in run.net.parameters():
                        if p.grad is not None:
                            p.grad.data.zero_()
                run.loss_fn(run.net(x), y).backward()
                run.optimizer.step()
            run.evaluate()


def transfer_frozen(log: Path) -> None:
    """Feature extraction: all but the head is frozen, and the schedule steps once an epoch."""
    run = Run()
    for p in run.net.parameters():
        p.requires_grad = False
    run.net[4] = nn.Linear(12, 3)
    run.optimizer = torch.optim.SGD(run.net[4].parameters(), lr=0.05, momentum=0.9)
    schedule = lr_scheduler.StepLR(run.optimizer, step_size=2)
    with run.record(log):
        for _ in range(EPOCHS):
            for phase in ("train", "val"):
                run.net.train(phase == "train")
                for x, y in run.train if phase == "train" else run.val:
                    run.optimizer.zero_grad()
                    with torch.set_grad_enabled(phase == "train"):
                        loss = run.loss_fn(run.net(x), y)
                        if phase == "train":
                            loss.backward()
                            run.optimizer.step()
            schedule.step()


def unfreezing(log: Path) -> None:
    """Fine-tuning: the body is unfrozen midway, and the optimizer is given its parameters."""
    run = Run()
    body = [p for layer in run.net[:4] for p in layer.parameters()]
    for p in body:
        p.requires_grad = False
    run.optimizer = torch.optim.Adam(run.net[4].parameters(), lr=0.01)
    with run.record(log):
        for epoch in range(EPOCHS):
            if epoch == 2:
                for p in body:
                    p.requires_grad = True
                run.optimizer.add_param_group({"params": body, "lr": 1e-3})
            run.epoch()


def frozen_norms(log: Path) -> None:
    """Fine-tuning whose batch-norm layers stay in evaluation mode, in batches of two."""
    run = Run()
    run.train = make_batches(size=2)
    with run.record(log):
        for _ in range(EPOCHS):
            run.net.train()
            for module in run.net.modules():
                if isinstance(module, nn.BatchNorm1d):
                    module.eval()
            for batch in run.train:
                run.step(batch)
            run.evaluate()


def eval_mode_throughout(log: Path) -> None:
    """Fine-tuning all in evaluation mode, on purpose."""
    run = Run()
    with run.record(log):
        for _ in range(EPOCHS):
            run.net.eval()
            for batch in run.train:
                run.step(batch)
            run.evaluate()


def dcgan(log: Path) -> None:
    """The two networks of the tutorial, with its order of zeroing."""
    body = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 8))
    critic = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), nn.Sigmoid())
    first = torch.optim.Adam(critic.parameters(), lr=2e-3)
    second = torch.optim.Adam(body.parameters(), lr=2e-3)
    loss_fn = nn.BCELoss()
    ones, zeros = torch.ones(SIZE), torch.zeros(SIZE)
    with fitdiag.record([body, critic], [first, second], loss_fn, log=log, checks="data"):
        for step in range(EPOCHS * BATCHES):
            critic.zero_grad()
            loss_fn(critic(torch.randn(SIZE, 8) + 2).view(-1), ones).backward()
            fake = body(torch.randn(SIZE, 4))
            loss_fn(critic(fake.detach()).view(-1), zeros).backward()
            first.step()
            body.zero_grad()
            loss_fn(critic(fake).view(-1), ones).backward()
            second.step()
            if step % BATCHES == 0:
                with torch.no_grad():
                    body(torch.randn(4, 4))


def wgan(log: Path) -> None:
    """A critic whose own loss is not watched, several of its steps for one of the generator."""
    body, critic = nn.Linear(4, 8), nn.Linear(8, 1)
    first = torch.optim.RMSprop(critic.parameters(), lr=1e-3)
    second = torch.optim.RMSprop(body.parameters(), lr=1e-3)
    with fitdiag.record([body, critic], [first, second], log=log, checks="data") as run:
        watched = run.loss(torch.neg)
        for _ in range(EPOCHS * BATCHES // 3):
            for _ in range(3):
                first.zero_grad()
                fake = body(torch.randn(SIZE, 4)).detach()
                torch.autograd.backward(critic(fake).mean() - critic(torch.randn(SIZE, 8)).mean())
                first.step()
            second.zero_grad()
            torch.autograd.backward(watched(critic(body(torch.randn(SIZE, 4))).mean()))
            second.step()


def char_rnn(log: Path) -> None:
    """Truncated backpropagation through time: the state is detached, several steps a sequence."""
    cell, head = nn.GRU(5, 12, batch_first=True), nn.Linear(12, 5)
    model = nn.ModuleList([cell, head])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loss_fn = nn.CrossEntropyLoss()
    text = F.one_hot(torch.randint(0, 5, (SIZE, 130)), 5).float()
    with fitdiag.record([cell, head], optimizer, loss_fn, log=log, checks="data"):
        for _ in range(EPOCHS):
            state = torch.zeros(1, SIZE, 12)
            for start in range(0, 125, 5):
                state = state.detach()
                out, state = cell(text[:, start : start + 5], state)
                target = text[:, start + 1 : start + 6].argmax(-1)
                loss = loss_fn(head(out).reshape(-1, 5), target.reshape(-1))
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()


def name_classifier(log: Path) -> None:
    """One name at a time, the sum of a small batch's losses, and parameters updated together."""
    cell, head = nn.RNNCell(5, 12), nn.Linear(12, 3)
    model = nn.ModuleList([cell, head])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    loss_fn = nn.NLLLoss()
    with fitdiag.record([cell, head], optimizer, loss_fn, log=log, checks="data"):
        for step in range(EPOCHS * BATCHES):
            loss: Any = torch.zeros(())
            for _ in range(4):
                state = torch.zeros(1, 12)
                for _ in range(2 + step % 3):
                    state = cell(torch.randn(1, 5), state)
                out = F.log_softmax(head(state), -1)
                loss = loss + loss_fn(out, torch.randint(0, 3, (1,)))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()


def lbfgs(log: Path) -> None:
    """A closure that zeroes, computes and returns the loss, several times a step."""
    run = Run(norm=False)
    run.optimizer = torch.optim.LBFGS(run.net.parameters(), lr=0.1, max_iter=4)
    x, y = run.train[0]

    def closure() -> float:
        run.optimizer.zero_grad()
        loss: Any = run.loss_fn(run.net(x), y)
        loss.backward()
        return float(loss)

    with run.record(log):
        for _ in range(20):
            run.net.train()
            run.optimizer.step(closure)
            run.evaluate()


def accumulation(log: Path) -> None:
    """Gradients of four batches make one step, and a look at accuracy in between."""
    run = Run()
    run.train = make_batches(4 * BATCHES, size=16)
    with run.record(log):
        for _ in range(EPOCHS):
            run.net.train()
            for i, (x, y) in enumerate(run.train, 1):
                out = run.net(x)
                (run.loss_fn(out, y) / 4).backward()
                with torch.no_grad():
                    run.loss_fn(out, y)
                if not i % 4:
                    run.optimizer.step()
                    run.optimizer.zero_grad()
            run.evaluate()


def monitoring(log: Path) -> None:
    """Numbers for a display are computed from the outputs of training, without gradients."""
    run = Run()
    mean = nn.L1Loss()
    with fitdiag.record(run.net, run.optimizer, [run.loss_fn, mean], log=log, checks="data"):
        for _ in range(EPOCHS):
            run.net.train()
            for x, y in run.train:
                out = run.net(x)
                run.optimizer.zero_grad()
                run.loss_fn(out, y).backward()
                mean(out, F.one_hot(y, 3).float())
                run.optimizer.step()
                with torch.no_grad():
                    run.loss_fn(out, y)
                run.loss_fn(out.detach(), y)
            run.evaluate()


class Translator(nn.Module):
    """A small encoder and decoder with teacher forcing."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.GRU(6, 12, batch_first=True)
        self.decoder = nn.GRUCell(6, 12)
        self.head = nn.Linear(12, 6)
        self.drop = nn.Dropout(0.1)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Return a guess for each word."""
        state = self.encoder(source)[1][0]
        outs = []
        for t in range(target.shape[1]):
            state = self.decoder(self.drop(target[:, t]), state)
            outs.append(self.head(state))
        return torch.stack(outs, 1)


def seq2seq(log: Path) -> None:
    """An encoder and a decoder, each with an optimizer of its own."""
    model = Translator()
    parts = [*model.decoder.parameters(), *model.head.parameters()]
    both = [torch.optim.Adam(model.encoder.parameters()), torch.optim.Adam(parts)]
    loss_fn = nn.CrossEntropyLoss()
    with fitdiag.record(model, both, loss_fn, log=log, checks="data"):
        for _ in range(EPOCHS):
            for step in range(BATCHES + 3):
                model.train(step < BATCHES)
                words = F.one_hot(torch.randint(0, 6, (SIZE, 4)), 6).float()
                words = words + 0.01 * torch.randn_like(words)
                with torch.set_grad_enabled(model.training):
                    out = model(words, words.roll(1, 1))
                    loss = loss_fn(out.reshape(-1, 6), words.argmax(-1).reshape(-1))
                if model.training:
                    for one in both:
                        one.zero_grad()
                    loss.backward()
                    for one in both:
                        one.step()


def distillation(log: Path) -> None:
    """A teacher in evaluation mode, a student that learns from both it and the labels."""
    run = Run()
    teacher = make_net().eval()
    with run.record(log):
        for _ in range(EPOCHS):
            run.net.train()
            for x, y in run.train:
                run.optimizer.zero_grad()
                with torch.no_grad():
                    soft = F.softmax(teacher(x) / 2, -1)
                out = run.net(x)
                soft_loss = (soft * (soft.log() - F.log_softmax(out / 2, -1))).sum() / len(x)
                (0.25 * soft_loss + 0.75 * run.loss_fn(out, y)).backward()
                run.optimizer.step()
            run.evaluate()


def meta_steps(log: Path) -> None:
    """Inner steps by hand on a support set, an outer step through them on a query set."""
    run = Run(norm=False)
    net = nn.Linear(8, 3)
    run.net, run.optimizer = net, torch.optim.Adam(net.parameters(), lr=0.01)
    with run.record(log):
        for _ in range(EPOCHS * BATCHES):
            (x, y), (query, labels) = make_batches(3, size=32)[:2]
            loss = run.loss_fn(net(x), y)
            steps = torch.autograd.grad(loss, list(net.parameters()), create_graph=True)
            fast = [p - 0.1 * g for p, g in zip(net.parameters(), steps, strict=True)]
            run.optimizer.zero_grad()
            run.loss_fn(F.linear(query, *fast), labels).backward()
            run.optimizer.step()


def averaged_model(log: Path) -> None:
    """An averaged copy that follows, is evaluated, and has its batch-norm updated at the end."""
    run = Run()
    averaged = swa_utils.AveragedModel(run.net)
    with fitdiag.record([run.net, averaged], run.optimizer, run.loss_fn, log=log, checks="data"):
        for _ in range(EPOCHS):
            run.net.train()
            for batch in run.train:
                run.step(batch)
                averaged.update_parameters(run.net)
            run.net.eval()
            averaged.eval()
            with torch.no_grad():
                for x, y in run.val:
                    run.loss_fn(averaged(x), y)
        swa_utils.update_bn([x for x, _ in run.train], averaged)


def gradient_scaler(log: Path) -> None:
    """Mixed precision on a CPU; the first step is skipped since its gradients overflow."""
    run = Run()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    schedule = lr_scheduler.CosineAnnealingLR(run.optimizer, T_max=200)
    with run.record(log), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected call of")
        for _ in range(EPOCHS):
            run.net.train()
            for x, y in run.train:
                run.optimizer.zero_grad()
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    loss = run.loss_fn(run.net(x), y)
                scaler.scale(loss).backward()
                scaler.unscale_(run.optimizer)
                nn.utils.clip_grad_norm_(run.net.parameters(), 1.0)
                scaler.step(run.optimizer)
                scaler.update()
                schedule.step()
            run.evaluate()


def step_in_backward(log: Path) -> None:
    """An optimizer for each parameter, which steps and zeroes within the backward pass."""
    run = Run()
    each = {p: torch.optim.SGD([p], lr=0.05) for p in run.net.parameters()}

    def hook(parameter: Tensor) -> None:
        each[parameter].step()
        each[parameter].zero_grad()

    for p in run.net.parameters():
        p.register_post_accumulate_grad_hook(hook)
    with fitdiag.record(run.net, None, run.loss_fn, log=log, checks="data"):
        for _ in range(EPOCHS):
            run.net.train()
            for x, y in run.train:
                run.loss_fn(run.net(x), y).backward()
            run.evaluate()


def one_cycle(log: Path) -> None:
    """A schedule that steps with each batch, and one by another that follows it."""
    run = Run()
    size = EPOCHS * BATCHES
    schedule = lr_scheduler.OneCycleLR(run.optimizer, max_lr=0.1, total_steps=size + 1)
    with run.record(log):
        for _ in range(EPOCHS):
            run.net.train()
            for batch in run.train:
                run.step(batch)
                schedule.step()
            run.evaluate()


def warm_up_resumed(log: Path) -> None:
    """Schedules in a row, wound forward to where an earlier training was interrupted."""
    run = Run()
    warm = lr_scheduler.LinearLR(run.optimizer, total_iters=3)
    main = lr_scheduler.ExponentialLR(run.optimizer, 0.9)
    schedule = lr_scheduler.SequentialLR(run.optimizer, [warm, main], milestones=[3])
    with run.record(log), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(Detected call of|The epoch parameter)")
        for _ in range(3):
            schedule.step()
        for _ in range(EPOCHS):
            run.epoch()
            schedule.step()


def plateau(log: Path) -> None:
    """A schedule that follows the validation loss, which is measured once before training too."""
    run = Run()
    schedule = lr_scheduler.ReduceLROnPlateau(run.optimizer, patience=1)
    with run.record(log):
        schedule.step(run.evaluate())
        for _ in range(EPOCHS):
            run.epoch()
            schedule.step(run.evaluate())


def dqn(log: Path) -> None:
    """A target network that is copied now and then, and actions chosen without gradients."""
    policy = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 2))
    target = copy.deepcopy(policy)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-3, amsgrad=True)
    loss_fn = nn.SmoothL1Loss()
    with fitdiag.record(policy, optimizer, loss_fn, log=log, checks="data"):
        for step in range(EPOCHS * BATCHES):
            with torch.no_grad():
                policy(torch.randn(1, 4)).argmax()
            states, after = torch.randn(SIZE, 4), torch.randn(SIZE, 4)
            values = policy(states).gather(1, torch.randint(0, 2, (SIZE, 1)))
            with torch.no_grad():
                best = target(after).max(1, keepdim=True).values
            loss = loss_fn(values, torch.rand(SIZE, 1) + 0.9 * best)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_value_(policy.parameters(), 100)
            optimizer.step()
            if not step % 10:
                target.load_state_dict(policy.state_dict())


class Autoencoder(nn.Module):
    """A variational autoencoder."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(8, 8), nn.Linear(4, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the reconstruction, means and logarithms of variances."""
        mean, spread = self.into(x).chunk(2, -1)
        return self.out(mean + torch.randn_like(mean) * (spread / 2).exp()), mean, spread


def vae(log: Path) -> None:
    """A loss of two parts, one of them a plain function, summed over the batch."""
    model = Autoencoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with fitdiag.record(model, optimizer, log=log, checks="data") as run:
        rebuild = run.loss(F.mse_loss)
        for _ in range(EPOCHS):
            for step in range(BATCHES + 3):
                model.train(step < BATCHES)
                x = torch.randn(SIZE, 8)
                with torch.set_grad_enabled(model.training):
                    out, mean, spread = model(x)
                    prior = -0.5 * (1 + spread - mean**2 - spread.exp()).sum()
                    loss = rebuild(out, x, reduction="sum") + prior
                if model.training:
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()


def mid_epoch_validation(log: Path) -> None:
    """A few batches of validation in the middle of an epoch, all of them at its end."""
    run = Run()
    with run.record(log) as recorder:
        for _ in recorder.epochs(EPOCHS):
            run.net.train()
            for i, batch in enumerate(run.train):
                run.step(batch)
                if i % 10 == 5:
                    run.net.eval()
                    with torch.inference_mode():
                        for x, y in run.val[:2]:
                            run.loss_fn(run.net(x), y)
                    run.net.train()
            run.evaluate()


def adversarial_training(log: Path) -> None:
    """Attacks that are computed in evaluation mode, with the gradient of the inputs."""
    run = Run()
    with run.record(log):
        for _ in range(EPOCHS):
            for x, y in run.train:
                run.net.eval()
                attack = x.clone().requires_grad_()
                run.loss_fn(run.net(attack), y).backward()
                assert attack.grad is not None
                run.net.train()
                run.step((x + 0.1 * attack.grad.sign(), y))
            run.evaluate()


def physics_informed(log: Path) -> None:
    """A loss of derivatives by the inputs, in validation too, where gradients have to be on."""
    model = nn.Sequential(nn.Linear(1, 12), nn.Tanh(), nn.Linear(12, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    loss_fn = nn.MSELoss()

    def residual() -> Tensor:
        x = torch.rand(SIZE, 1, requires_grad=True)
        u = model(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        loss: Tensor = loss_fn(slope, -u)
        return loss

    with fitdiag.record(model, optimizer, loss_fn, log=log, checks="data"):
        for _ in range(EPOCHS):
            model.train()
            for _ in range(BATCHES):
                optimizer.zero_grad()
                torch.autograd.backward(residual())
                optimizer.step()
            model.eval()
            for _ in range(3):
                residual()


def sam(log: Path) -> None:
    """Two backward passes a step: one to climb, one for the step itself."""
    run = Run()
    with run.record(log):
        for _ in range(EPOCHS):
            run.net.train()
            for x, y in run.train:
                run.optimizer.zero_grad()
                run.loss_fn(run.net(x), y).backward()
                climbs = [0.01 * p.grad for p in run.net.parameters() if p.grad is not None]
                for sign in (1, -1):
                    with torch.no_grad():
                        for p, climb in zip(run.net.parameters(), climbs, strict=True):
                            p.add_(climb, alpha=sign)
                    if sign > 0:
                        run.optimizer.zero_grad()
                        run.loss_fn(run.net(x), y).backward()
                run.optimizer.step()
            run.evaluate()


def two_heads(log: Path) -> None:
    """Tasks that take turns, so that each head has a gradient in every other step only."""
    body, heads = nn.Linear(8, 12), nn.ModuleList([nn.Linear(12, 3), nn.Linear(12, 3)])
    model = nn.ModuleList([body, heads])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    loss_fn = nn.CrossEntropyLoss()
    with fitdiag.record([body, *heads], optimizer, loss_fn, log=log, checks="data"):
        for _ in range(EPOCHS):
            for i, (x, y) in enumerate(make_batches()):
                optimizer.zero_grad()
                loss_fn(heads[int(i % 7 == 6)](F.relu(body(x))), y).backward()
                optimizer.step()


def evaluated_at_the_end(log: Path) -> None:
    """A test set that is used once, at the end, and means that the user logs by sample."""
    run = Run()
    with run.record(log) as recorder:
        for _ in range(EPOCHS):
            run.net.train()
            for batch in run.train:
                run.step(batch)
            run.net.eval()
            total = 0.0
            with torch.no_grad():
                for x, y in run.val:
                    total += float(run.loss_fn(run.net(x), y)) * len(x)
            recorder.log(val_loss=total / sum(len(x) for x, _ in run.val))
        with recorder.phase("test"):
            run.evaluate()


LOOPS: tuple[Any, ...] = (
    quickstart,
    zeroed_in_place,
    transfer_frozen,
    unfreezing,
    frozen_norms,
    eval_mode_throughout,
    dcgan,
    wgan,
    char_rnn,
    name_classifier,
    lbfgs,
    accumulation,
    monitoring,
    seq2seq,
    distillation,
    meta_steps,
    averaged_model,
    gradient_scaler,
    step_in_backward,
    one_cycle,
    warm_up_resumed,
    plateau,
    dqn,
    vae,
    mid_epoch_validation,
    adversarial_training,
    physics_informed,
    sam,
    two_heads,
    evaluated_at_the_end,
)


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
def test_a_correct_loop_is_left_in_peace(loop: Callable[[Path], None], tmp_path: Path) -> None:
    """A loop without a mistake brings about no warning and no finding of its hygiene."""
    log = tmp_path / "logs.csv"
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        loop(log)
    said = [str(one.message) for one in heard if issubclass(one.category, RecordingWarning)]
    assert not said
    run = fitdiag.read(log)
    assert not run.observations
    assert run.source.checks
    assert not [f for f in fitdiag.diagnose(run).findings if f.code.startswith("LOP")]
