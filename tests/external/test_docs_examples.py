"""The examples of the page on frameworks are run with the real libraries."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import fitdiag

PAGE = Path(__file__).resolve().parents[2] / "docs" / "integrations.md"
EXAMPLES = re.findall(
    r"^```py\n(.*?)^```$", PAGE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
)


def make_loader() -> DataLoader[Any]:
    """Return some batches of a line."""
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=4)


def names_for_lightning(folder: Path) -> dict[str, Any]:
    """Return what the example for Lightning takes for granted."""
    import lightning

    class Line(lightning.LightningModule):  # type: ignore[misc]  # untyped where it is absent
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(3, 1)

        def training_step(self, batch: Any, _: int) -> Any:
            return ((self.line(batch[0]) - batch[1]) ** 2).mean()

        def validation_step(self, batch: Any, _: int) -> None:
            self.log("val_loss", self.training_step(batch, 0))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    assert folder.exists()
    return {"module": Line(), "train_loader": make_loader(), "val_loader": make_loader()}


def names_for_transformers(folder: Path) -> dict[str, Any]:
    """Return what the example for the Trainer takes for granted."""
    import transformers

    config = transformers.GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=16, n_positions=8)
    tokens = [torch.randint(0, 16, (8,)) for _ in range(20)]
    data = [{"input_ids": one, "labels": one} for one in tokens]
    args = transformers.TrainingArguments(
        output_dir=str(folder / "out"),
        num_train_epochs=5,
        eval_strategy="epoch",
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    model = transformers.GPT2LMHeadModel(config)
    return {"model": model, "args": args, "train_set": data[:16], "val_set": data[16:]}


def names_for_accelerate(folder: Path) -> dict[str, Any]:
    """Return what the example for Accelerate takes for granted."""
    from accelerate import Accelerator

    assert folder.exists()
    accelerator, line, loss_fn = Accelerator(cpu=True), nn.Linear(3, 1), nn.MSELoss()
    model, optimizer, loader = accelerator.prepare(
        line, torch.optim.SGD(line.parameters(), lr=0.01), make_loader()
    )

    def train(accelerator: Any, model: Any, optimizer: Any, loader: Any) -> None:
        model.train()
        for inputs, targets in loader:
            optimizer.zero_grad()
            accelerator.backward(loss_fn(model(inputs), targets))
            optimizer.step()

    def evaluate(model: Any, loader: Any) -> None:
        model.eval()
        with torch.no_grad():
            for inputs, targets in loader:
                loss_fn(model(inputs), targets)

    shared = {
        "accelerator": accelerator,
        "model": model,
        "optimizer": optimizer,
        "loss_fn": loss_fn,
    }
    loaders = {"train_loader": loader, "val_loader": loader}
    return {**shared, **loaders, "train": train, "evaluate": evaluate}


MAKERS = {
    "lightning": names_for_lightning,
    "transformers": names_for_transformers,
    "accelerate": names_for_accelerate,
}


@pytest.mark.parametrize("library", MAKERS)
def test_the_example_records_a_run(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each example has five lines at most after its imports, and gives a log of five epochs."""
    (code,) = [one for one in EXAMPLES if f"fitdiag.integrations.{library}" in one]
    lines = [line for line in code.splitlines() if line and "import" not in line]
    assert len(lines) <= 5
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    torch.set_num_threads(1)
    exec(compile(code, f"{library} example", "exec"), MAKERS[library](tmp_path))  # noqa: S102
    run = fitdiag.read(tmp_path / "logs.csv")
    assert len(run.curves["train_loss"]) == len(run.curves["val_loss"]) == 5
    assert len(run.curves["grad_norm"]) >= 5
    assert run.epoch_at(run.span[1]) == 5
