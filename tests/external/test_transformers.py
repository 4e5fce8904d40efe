"""Logs that the Hugging Face Trainer writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.external.conftest import Truth


@pytest.fixture
def trained(tmp_path: Path, truth: Truth, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Train a tiny model with random weights, and remember all that the Trainer logged."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "runs"))
    import torch
    import transformers

    class Listen(transformers.TrainerCallback):  # type: ignore[misc]  # untyped where it is absent
        def on_log(self, _: Any, state: Any, __: Any, logs: dict[str, float], **___: Any) -> None:
            truth.add(
                state.global_step,
                logs["epoch"],
                train_loss=logs.get("loss"),
                grad_norm=logs.get("grad_norm"),
                lr=logs.get("learning_rate"),
                val_loss=logs.get("eval_loss"),
            )

    torch.manual_seed(0)
    config = transformers.GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=16, n_positions=8)
    tokens = [torch.randint(0, 16, (8,)) for _ in range(32)]
    data = [{"input_ids": one, "labels": one} for one in tokens]
    trainer = transformers.Trainer(
        model=transformers.GPT2LMHeadModel(config),
        args=transformers.TrainingArguments(
            output_dir=str(tmp_path / "out"),
            num_train_epochs=4,
            per_device_train_batch_size=4,
            learning_rate=3e-3,
            logging_steps=2,
            eval_strategy="steps",
            eval_steps=8,
            save_strategy="steps",
            save_steps=16,
            report_to=["tensorboard"],
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=data[:24],
        eval_dataset=data[24:],
        callbacks=[Listen()],
    )
    trainer.train()
    trainer.save_state()
    return tmp_path


def test_trainer(trained: Path, truth: Truth) -> None:
    """State file, output folder, event file and the folder of a checkpoint read back."""
    assert len(truth.curves["train_loss"]) == 12
    assert len(truth.curves["val_loss"]) == 3
    for inside in ("out/trainer_state.json", "out", "runs"):
        truth.check_log(trained / inside)
    truth.keep_until(16)
    truth.check_log(trained / "out" / "checkpoint-16")
