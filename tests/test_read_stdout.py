"""Reading what training loops print."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pytest

import fitdiag
from fitdiag.errors import ReadError
from fitdiag.readers import sniff
from fitdiag.readers.files import read_head
from fitdiag.readers.stdout import STDOUT
from fitdiag.readers.stdout.numerals import to_number

if TYPE_CHECKING:
    from pathlib import Path

TRAIN = [2.5, 1.25, 0.625, 0.5]
VAL = [2.75, 1.5, 1.0, 1.125]
EPOCHS = [1, 2, 3, 4]


def lines(pattern: str, first: int = 1) -> str:
    """Fill a pattern with each epoch's losses."""
    return "".join(
        textwrap.dedent(pattern).format(e=first + at, s=(first + at) * 250, t=train, v=val)
        for at, (train, val) in enumerate(zip(TRAIN, VAL, strict=True))
    )


def read(
    folder: Path, text: str | bytes, name: str = "train.log", **options: object
) -> fitdiag.Run:
    """Write a log and read it as anyone would."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return fitdiag.read(path, **options)  # type: ignore[arg-type]


#: loops that print both losses once an epoch, in many ways
BOTH = {
    "brackets": "Epoch [{e}/4], Loss: {t}, Val Loss: {v}\n",
    "no colon": "Epoch {e}, Training loss {t}, Validation loss {v}\n",
    "chinese": "第{e}轮 训练损失: {t} | 验证损失: {v} | 梯度范数: 0.0024\n",
    "chinese epoch": "轮次: {e}/4 训练损失\uff1a{t}\uff0c验证损失\uff1a{v}\n",
    "full width": "[EPOCH {e}] 平均训练损失\uff1a{t} | 扩散损失\uff1a0.7 | 验证损失\uff1a{v}\n",
    "header, dash": "Epoch {e}/30:\nTrain - Loss: {t} | Acc: 0.5\nVal - Loss: {v} | Acc: 0.25\n",
    "header, phases": "Epoch {e}/24\n----------\n"
    "train Loss: {t} Acc: 0.7\nval Loss: {v} Acc: 0.6\n\n",
    "lr between": "Epoch: {e}/80  Learning Rate: 0.001 Train Loss: {t} Val Loss: {v}\n",
    "equal signs": "train_loss == {t} val_loss == {v}   epoch == {e}\n",
    "key=value": "[2026-02-24 18:57:15] Epoch {e}: train_loss={t}, val_loss={v}, best_val=0.1\n",
    "groups": "2026-03-25 17:33:27,123 | INFO | app | Epoch {e}/15 | Train: loss={t} acc=0.5 | "
    "Val: loss={v} acc=0.6\n",
    "phases in caps": "12:00:01 INFO 🚀 EPOCH {e} VAL   - Loss: {v}, Acc: 0.00%\n"
    "12:00:02 INFO 🚀 EPOCH {e} TRAIN - Loss: {t}, Acc: 0.00%\n",
    "summary": "Epoch {e} Training Summary --- Loss: {t}\n"
    "--- Epoch {e} Validation Summary --- Loss: {v}\n",
    "sections": "Epoch {e}\nTraining:\n  Loss: {t}\n  Accuracy: 0.5\nValidation:\n  Loss: {v}\n",
    "markdown": "| {e} | {t} | {v} | 12.5% |\n",
    "bentrevett": "Epoch: {e:02d} | Time: 1m 5s\n\tTrain Loss: {t:.3f} | Train PPL: 22.1\n"
    "\t Val. Loss: {v:.3f} |  Val. PPL: 24.5\n",
    "keras": "Epoch {e}/4\n313/313 [==============================] - 338s 1s/step - loss: {t} "
    "- acc: 0.5 - val_loss: {v} - val_acc: 0.4\n",
    "keras, verbose 2": "Epoch {e}/4\n313/313 - 3s - loss: {t} - val_loss: {v} - 3s/epoch\n",
    "arrows": "Epoch {e}: Train Loss --> {t}, Val Loss --> {v}\n",
    "tensors": "epoch {e} train loss: tensor({t}, device='cuda:0') val loss: tensor({v})\n",
    "colours": "\x1b[32mEpoch {e}\x1b[0m train_loss: \x1b[1m{t}\x1b[0m val_loss: {v}\n",
    "units": "Epoch {e} finished in 12.3s. Train loss: {t}. Val loss: {v}\n",
    "saved": "Epoch {e} | train loss {t} | val loss {v} | saved best model with loss 0.1\n",
    "improved": "Epoch {e} train loss: {t} val loss: {v}\n"
    "Validation loss decreased (inf --> 9.5).  Saving model ...\n"
    "Epoch 0000{e}: val_loss improved from 3.0 to 0.1, saving model to m{e}.h5\n",
    "json-like": "{{'epoch': {e}, 'train_loss': {t}, 'val_loss': {v}}}\n",
    "dash epoch": "Epoch-{e} | avg train loss : {t} | avg val loss : {v} | gate loss: 0.1\n",
    "glued names": "epoch={e} tr_loss={t} vl_loss={v}\n",
    "one word for two": "Epoch {e} | Loss train {t} val {v} | Acc train 0.5 val 0.4\n",
    "set": "====> Epoch: {e} Average loss: {t}\n====> Test set loss: {v}\n",
    "validation first": "Validation: loss {v}\nEpoch {e} loss {t}\n",
    "german": "Epoche {e}: Trainingsverlust: {t}, Validierungsverlust: {v}\n",
    "lightning": "Epoch {e}: 100%|███| 100/100 [00:10<00:00, 9.87it/s, loss=0.9, v_num=0, "
    "train_loss={t}, val_loss={v}]\n",
    "fairseq": "2020-01-01 00:00:00 | INFO | train | epoch 00{e} | loss {t} | nll_loss 7 | wps 9\n"
    "2020-01-01 00:00:00 | INFO | valid | epoch 00{e} | valid on 'valid' subset | loss {v} | "
    "best_loss 3.3\n",
    "summary at the end": "Epoch {e} train_loss: {t} val_loss: {v}\nBest: epoch 1, val loss 0\n",
    "test": "Epoch {e}: train loss {t}, test loss {v}, test acc 55.5%\n",
}


@pytest.mark.parametrize("pattern", BOTH.values(), ids=BOTH.keys())
def test_both_losses_once_an_epoch(tmp_path: Path, pattern: str) -> None:
    """Both losses and the epochs come back, however the loop prints them."""
    head = (
        "| Epoch | Train Loss | Val Loss | Acc |\n|---|---|---|---|\n"
        if "| {e} |" in pattern
        else ""
    )
    run = read(tmp_path, "Using device: cuda\nlr: 0.1\n" + head + lines(pattern))
    assert run.curves["train_loss"].values.tolist() == TRAIN
    assert run.curves["val_loss"].values.tolist() == VAL
    assert run.curves["train_loss"].steps.tolist() == EPOCHS
    assert run.curves["val_loss"].steps.tolist() == EPOCHS
    assert str(run.unit) == "epoch"


def test_the_summary_of_an_evaluation_is_no_training_loss(tmp_path: Path) -> None:
    """A line `* Acc@1 … loss …` is the evaluation's; a number of images is no accuracy."""
    text = "".join(
        f"Epoch: [{epoch}]  [  0/9]  lr: 0.001  loss: 9.0 (8.0)  time: 1.5  data: 1.1\n"
        f"Averaged stats: lr: 0.001  loss: 7.0 ({train})\n"
        f"Test:  [ 0/4]  loss: 6.0 (6.5)  acc1: 10.0 (11.0)  time: 2.3  data: 2.0\n"
        f"* Acc@1 {epoch}.5 Acc@5 {epoch}0.5 loss {val}\n"
        "Accuracy of the network on the 50000 test images: 2.0%\n"
        for epoch, train, val in zip(EPOCHS, TRAIN, VAL, strict=True)
    )
    run = read(tmp_path, text)
    assert run.curves["train_loss"].values.tolist() == TRAIN
    assert run.curves["val_loss"].values.tolist() != TRAIN
    assert run.curves["val_accuracy_1"].values.tolist() == [epoch + 0.5 for epoch in EPOCHS]
    assert not any(50000 in curve.values for curve in run.curves.values())


#: loops that count steps
STEPPED = {
    "nanogpt": "step {s}: train loss {t}, val loss {v}\n"
    "iter {s}: loss 9.0, time 79104.90ms, mfu 1.11%\n",
    "llm.c": "s:{s} tel:{v}\ns:{s} trl:{t} lr:0.000100 norm:1.2\n",
    "build-nanogpt": "{s} val {v}\n{s} hella 0.24\n{s} train {t}\n",
    "valbin": "{s} train {t}\n{s} valbin_ppl 19.3 valbin_loss {v}\n",
    "modded-nanogpt": "step:{s}/1875 val_loss:{v} train_time:5ms step_avg:nanms\n"
    "step:{s}/1875 train_loss:{t} train_time:5ms step_avg:nanms\n",
    "megatron": " iteration {s:8d}/    1000 | consumed samples:    40 | "
    "elapsed time per iteration (ms): 5837.9 | learning rate: 1.500E-04 | "
    "global batch size:     4 | lm loss: {t:E} | loss scale: 16384.0 | "
    "grad norm: 9.804 | number of skipped iterations:   1 | number of nan iterations:   0 |\n"
    " validation loss at iteration {s} | lm loss value: {v:E} | lm loss PPL: 1.0E+01 | \n",
    "torchtune": "Step {s} | loss:{t} lr:0.0003 tokens_per_second_per_gpu:512.5\n"
    "Step {s} | val_loss:{v}\n",
    "karpathy": "validation loss: {v}\n"
    "step {s:5d} | loss: {t} | lr 3e-04 | norm: 0.5 | dt: 1.0ms\n",
}


@pytest.mark.parametrize("name", STEPPED)
def test_both_losses_by_step(tmp_path: Path, name: str) -> None:
    """Losses that are printed with the optimizer step keep it."""
    run = read(tmp_path, lines(STEPPED[name]))
    assert run.train_loss is not None
    assert run.curves["train_loss"].values.tolist() == TRAIN
    assert run.curves["train_loss"].steps.tolist() == [250, 500, 750, 1000]
    assert run.curves["val_loss"].values.tolist() == VAL
    assert run.curves["val_loss"].steps.tolist() == [250, 500, 750, 1000]
    assert str(run.unit) == "step"


def test_batches_and_norms_beside_the_estimate(tmp_path: Path) -> None:
    """Where a loop prints an estimate and single batches, the estimate is the training loss."""
    run = read(tmp_path, lines(STEPPED["nanogpt"]))
    assert run.curves["batch_loss"].values.tolist() == [9.0] * 4
    run = read(tmp_path, lines(STEPPED["megatron"]))
    assert run.curves["grad_norm"].values.tolist() == [9.804] * 4
    assert run.curves["lr"].values.tolist() == [1.5e-4] * 4


def test_norms_that_nothing_computed(tmp_path: Path) -> None:
    """A gradient norm that is 0.000 throughout was not measured."""
    run = read(tmp_path, lines("iteration {s}/ 1000 | lm loss: {t} | grad norm: 0.000 |\n"))
    assert "grad_norm" not in run.curves


def test_pytorch_tutorial(tmp_path: Path) -> None:
    """Losses of single batches are batch losses; the test error belongs to its epoch."""
    text = lines(
        "Epoch {e}\n-------------------------------\nloss: {t}  [   64/60000]\n"
        "loss: 9.0  [32064/60000]\nTest Error: \n Accuracy: 37.8%, Avg loss: {v} \n\n"
    )
    run = read(tmp_path, text + "Done!\n")
    assert run.curves["val_loss"].values.tolist() == VAL
    assert run.curves["val_loss"].steps.tolist() == EPOCHS
    assert "train_loss" not in run.curves
    assert run.curves["batch_loss"].values[::2].tolist() == TRAIN
    assert run.curves["batch_loss"].steps[1] == pytest.approx(32064 / 60000)
    assert run.curves["val_accuracy"].values[0] == pytest.approx(0.378)


def test_mnist_example(tmp_path: Path) -> None:
    """The test set's average loss is the validation loss; counts of right answers a fraction."""
    text = lines(
        "Train Epoch: {e} [0/60000 (0%)]\tLoss: {t}\nTrain Epoch: {e} [640/60000 (1%)]\tLoss: 2\n\n"
        "Test set: Average loss: {v}, Accuracy: 9000/10000 (90%)\n\n"
    )
    run = read(tmp_path, text)
    assert run.curves["val_loss"].values.tolist() == VAL
    assert run.curves["val_accuracy"].values.tolist() == [0.9] * 4
    assert len(run.curves["batch_loss"]) == 8


def test_value_and_running_mean(tmp_path: Path) -> None:
    """Of a value with its mean in parentheses, the last mean is the epoch's training loss."""
    text = lines(
        "Epoch: [{e}][ 0/100]\tTime 0.5 (0.6)\tLoss 7.0 (7.0)\n"
        "Epoch: [{e}][50/100]\tTime 0.5 (0.6)\tLoss 3.1472 ({t})\n"
        "Test: [ 0/10]\tLoss 6.0 (6.0)\nTest: [10/10]\tLoss 6.0 ({v})\n * Acc@1 70.1 Acc@5 90.1\n"
    )
    run = read(tmp_path, text)
    assert run.curves["train_loss"].values.tolist() == TRAIN
    assert run.curves["val_loss"].values.tolist() == VAL
    assert run.curves["batch_loss"].values[1] == 3.1472


def test_progress_bars(tmp_path: Path) -> None:
    r"""Of the frames of a bar, drawn over each other with ``\r`` or backspaces, the last counts."""
    bars = (
        "Epoch {e}/4\n\r 1/313 [>.....] - ETA: 9s - loss: 9.0\b\b\b\b\r313/313 [=====] - 338s - "
        "loss: {t} - val_loss: {v}\n"
    )
    run = read(tmp_path, lines(bars))
    assert run.curves["train_loss"].values.tolist() == TRAIN
    assert run.curves["val_loss"].values.tolist() == VAL
    tqdm = (
        "\rEpoch {e}:   0%|          | 0/9 [00:00<?, ?it/s]\rEpoch {e}:  50%|#####     | 5/9 "
        "[00:01<00:01,  4.9it/s, loss=9.5]\rEpoch {e}: 100%|##########| 9/9 [00:02<00:00, 4.9it/s, "
        "loss=8.5]\ntrain_loss: {t} val_loss: {v}\n"
    )
    run = read(tmp_path, lines(tqdm))
    assert run.curves["train_loss"].values.tolist() == TRAIN
    assert run.curves["train_loss"].steps.tolist() == EPOCHS


def test_hugging_face_lines(tmp_path: Path) -> None:
    """Dict lines between bars are read; the summary at the end, a mean over the run, is not."""
    text = lines(
        "  5%|5         | {e}/80 [00:01<00:30,  2.5it/s]\r                      \r{{'loss': {t}, "
        "'grad_norm': '1.5', 'learning_rate': 2e-05, 'epoch': {e}.5}}\n"
        "{{'eval_loss': {v}, 'eval_runtime': 1.5, 'eval_steps_per_second': 9.5, 'epoch': {e}.5}}\n"
    )
    text += (
        "{'train_runtime': 99.5, 'train_steps_per_second': 3.5, 'train_loss': 0.1, 'epoch': 4.5}\n"
    )
    run = read(tmp_path, text)
    assert run.curves["train_loss"].values.tolist() == TRAIN
    assert run.curves["val_loss"].values.tolist() == VAL
    assert run.curves["val_loss"].steps.tolist() == [1.5, 2.5, 3.5, 4.5]
    assert run.curves["grad_norm"].values.tolist() == [1.5] * 4


def test_openmmlab_text(tmp_path: Path) -> None:
    """Text logs of mmcv and mmengine: epoch and iteration in two brackets."""
    mmcv = (
        "2021-06-01 12:00:00,123 - mmdet - INFO - Epoch [{e}][50/100]\tlr: 3.7e-05, eta: 1:02:03, "
        "time: 0.5, memory: 5000, loss_cls: 0.5, loss: {t}, grad_norm: 10.5\n"
        "2021-06-01 12:00:00,123 - mmdet - INFO - Epoch(val) [{e}][9]\tbbox_mAP: 0.5\n"
    )
    run = read(tmp_path, lines(mmcv))
    assert run.train_loss is not None
    assert run.train_loss.values.tolist() == TRAIN
    assert run.train_loss.steps.tolist() == [0.5, 1.5, 2.5, 3.5]
    assert run.curves["grad_norm"].values.tolist() == [10.5] * 4
    mmengine = (
        "2023/01/01 12:00:00 - mmengine - INFO - Epoch(train)   [{e}][ 50/100]  lr: 1.0e-02  eta: "
        "0:01:00  time: 0.1  loss: {t}\n"
        "2023/01/01 12:00:00 - mmengine - INFO - Epoch(val) [{e}][10/10]    accuracy/top1: 50.5\n"
    )
    run = read(tmp_path, lines(mmengine))
    assert run.train_loss is not None
    assert run.train_loss.values.tolist() == TRAIN
    run = read(
        tmp_path, lines("x - mmengine - INFO - Iter(train) [ {s}/2000]  lr: 1e-2  loss: {t}\n")
    )
    assert run.train_loss is not None
    assert run.train_loss.steps.tolist() == [250, 500, 750, 1000]


def test_sanity_check_before_training(tmp_path: Path) -> None:
    """A validation that is printed again at the same epoch replaces the one before."""
    sanity = "EPOCH 1 VAL   - Loss: 9.0\nEPOCH 1 VAL   - Loss: 9.5\n"
    run = read(tmp_path, sanity + lines("EPOCH {e} VAL - Loss: {v}\nEPOCH {e} TRAIN - Loss: {t}\n"))
    assert run.curves["val_loss"].values.tolist() == VAL
    assert any("came again" in note for note in run.source.notes)


def test_batches_under_a_header(tmp_path: Path) -> None:
    """Batch losses with a step in the epoch stand beside the epoch's own mean."""
    text = lines(
        "Epoch [{e}/4], Step [100/200], Loss: 9.25, Perplexity: 5.5\n"
        "Epoch [{e}/4], Step [200/200], Loss: 9.0, Perplexity: 5.5\n"
        "Epoch [{e}/4] Average Loss: {t} Val Loss: {v}\n"
    )
    run = read(tmp_path, text)
    assert run.curves["train_loss"].values.tolist() == TRAIN
    assert run.curves["batch_loss"].steps.tolist() == [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]


def test_several_runs(tmp_path: Path) -> None:
    """Where the epochs go back to the start, another run begins; the last one is read."""
    again = lines("Epoch {e} train loss: {t} val loss: {v}\n")
    text = again.replace("2.5", "7.5") + "Fold 2/2\n" + again
    run = read(tmp_path, text)
    assert run.curves["train_loss"].values.tolist() == TRAIN
    assert any("2 runs" in note for note in run.source.notes)
    first = read(tmp_path, text, run=1)
    assert first.curves["train_loss"].values[0] == 7.5


def test_resumed_run(tmp_path: Path) -> None:
    """Where the epochs go back a little, the run was resumed and the later values count."""
    text = "".join(f"Epoch {e} train loss: 9.0 val loss: 9.0\n" for e in (1, 2, 3))
    text += "Epoch 2 train loss: 5.0 val loss: 6.0\nEpoch 4 train loss: 4.0 val loss: 5.0\n"
    run = read(tmp_path, text)
    assert run.curves["train_loss"].steps.tolist() == [1, 2, 4]
    assert run.curves["train_loss"].values.tolist() == [9.0, 5.0, 4.0]
    assert any("resumed" in note for note in run.source.notes)


@pytest.mark.parametrize("encoding", ["utf-16", "gb18030", "utf-8-sig"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    """What PowerShell and Chinese Windows write is read."""
    text = "开始训练模型 数据集已经加载\n" + lines(BOTH["chinese epoch"]).replace("\n", "\r\n")
    run = read(tmp_path, text.encode(encoding))
    assert run.curves["train_loss"].values.tolist() == TRAIN
    assert run.curves["val_loss"].values.tolist() == VAL


def test_source_code_and_tracebacks_are_no_values(tmp_path: Path) -> None:
    """The word loss in code, configurations and error messages gives no value."""
    noise = textwrap.dedent(
        """
        import torch
        def train(model):
            loss = 0.0
            total_loss += 5
            for epoch in range(10):
                train_loss = criterion(output, target) * 3
                print(f"Epoch {epoch}: train loss {loss:.4f} 7")
            return loss
        Namespace(lr=0.5, epochs=200, loss_weight=3.0)
        Traceback (most recent call last):
          File "train.py", line 12, in loss
        ValueError: loss 17
        """
    )
    run = read(tmp_path, noise + lines(BOTH["brackets"]) + noise)
    assert run.curves["train_loss"].values.tolist() == TRAIN


def test_nan_and_infinity_stay(tmp_path: Path) -> None:
    """A loss that becomes NaN or infinite is evidence."""
    run = read(
        tmp_path,
        "".join(f"Epoch {e} loss: {v} lr: 1\n" for e, v in enumerate(["5", "inf", "nan", "nan"])),
    )
    np.testing.assert_array_equal(run.curves["train_loss"].values, [5, np.inf, np.nan, np.nan])


def test_decimal_commas(tmp_path: Path) -> None:
    """Decimal commas are told from thousands by the log's other numbers."""
    run = read(tmp_path, "Epoch 1 loss: 1,234\nEpoch 2 loss: 0,95\nEpoch 3 loss: 0,5\n")
    assert run.curves["train_loss"].values.tolist() == [1.234, 0.95, 0.5]
    assert to_number("1,234.5") == 1234.5
    with pytest.raises(ReadError, match="decimal"):
        read(tmp_path, "Epoch 1 loss: 1,234\nEpoch 2 loss: 1,111\n")


def test_error_as_loss(tmp_path: Path) -> None:
    """Where nothing is called a loss, the error that is minimised is read as it, and said."""
    run = read(tmp_path, lines("Epoch {e:02d} | Train MSE: {t} | Gate Loss: 0.3 | Val MSE: {v}\n"))
    assert run.curves["train_loss"].values.tolist() == TRAIN
    assert run.curves["val_loss"].values.tolist() == VAL
    assert any("No value is called a loss" in note for note in run.source.notes)


def test_lines_without_a_clock(tmp_path: Path) -> None:
    """Lines that tell neither epoch nor step are counted, and the notes say so."""
    run = read(tmp_path, lines("train loss: {t}\nval loss: {v}\n"))
    assert str(run.unit) == "row"
    assert run.curves["val_loss"].steps.tolist() == EPOCHS


REFUSED = {
    "one name twice": lines("Epoch {e}: Loss: {t}, Loss: {v}\n"),
    "after the validation accuracy": lines("Epoch {e}: Val Acc: 0.5, Loss: {t}\n"),
    "final values": "".join(
        f"Model {n}\nIter 5000: Train Loss: 1.{n}, Val Loss: 2.{n}\n" for n in range(5)
    ),
    "two losses, no total": lines("[Epoch {e}/4] [D loss: {t}] [G loss: {v}]\n"),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_refusals(tmp_path: Path, text: str) -> None:
    """What cannot be told is refused with a sentence that names the file."""
    with pytest.raises(ReadError, match=r"train\.log.*(--map|no curve)"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        '{"loss": 0.5, "epoch": 1}\n{"loss": 0.4, "epoch": 2}\n',
        '[{"loss": 0.5}]',
        "[0.5, 0.4, 0.3]",
        "epoch,train_loss,val_loss\n1,0.5,0.6\n2,0.4,0.5\n",
        "loss = 5\n",
        "Just some words about the loss of 3 keys.\n",
        "a = b\n",
    ],
)
def test_other_files_are_not_claimed(tmp_path: Path, text: str) -> None:
    """JSON, CSV, code and prose are no printed output."""
    path = tmp_path / "x.log"
    path.write_text(text)
    assert not STDOUT.matches(path, read_head(path)) or sniff(path, read_head(path)) is not STDOUT


def test_mapping(tmp_path: Path) -> None:
    """The user's word goes over the reader's."""
    run = read(tmp_path, lines(BOTH["brackets"]), columns={"train_loss": "Val Loss"})
    assert run.curves["train_loss"].values.tolist() == VAL
