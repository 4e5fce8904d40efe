"""A small valid log of every format, for trying readers on: text, JSON, binary and folders."""

from __future__ import annotations

import json
import pickle
import sqlite3
import struct
from functools import partial
from typing import TYPE_CHECKING

from databases import fill_mlflow, fill_trackio
from encoders import encode_bytes, encode_events, encode_int, encode_records, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

__all__ = ["write_samples"]


class Curves:
    """The curves that every sample holds, of so many points."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.train = [2.0 * 0.9**k + 0.1 for k in range(count)]
        self.val = [2.1 * 0.9**k + 0.2 for k in range(count)]
        self.norm = [1.5 * 0.95**k for k in range(count)]
        self.rate = [1e-3 * (1 - k / (count + 4)) for k in range(count)]


def write_samples(folder: Path, points: int = 16) -> dict[str, Path]:
    """Write one log a format below a folder, and return where each lies: a file or a folder."""
    curves = Curves(points)
    files: dict[str, bytes] = {}
    for name, text in {**_tables(curves), **_json(curves), **_texts(curves)}.items():
        files[name] = text.encode()
    files |= _binaries(curves)
    found: dict[str, Path] = {}
    for name, data in files.items():
        top, _, rest = name.partition(":")  # what follows a colon is the path inside a folder
        path = folder / top / rest if rest else folder / top
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        found[top] = folder / top
    for name, make in {"mlflow.db": fill_mlflow, "trackio.db": fill_trackio}.items():
        with sqlite3.connect(folder / name) as database:
            make(database, curves.train, curves.val)
        database.close()
        found[name] = folder / name
    return found


def _table(count: int, header: str, row: Callable[[int], Sequence[object]], sep: str = ",") -> str:
    lines = [header, *(sep.join(str(cell) for cell in row(k)) for k in range(count))]
    return "\n".join(lines) + "\n"


def _tables(curves: Curves) -> dict[str, str]:
    yolo = "epoch,train/box_loss,train/cls_loss,val/box_loss,val/cls_loss,lr/pg0"
    long_rows = [
        f"{k},{split},{values[k]}"
        for k in range(curves.count)
        for split, values in (("train", curves.train), ("val", curves.val))
    ]
    sparse = [
        row
        for k in range(curves.count)
        for row in (
            f",{curves.rate[k]},{k},,",
            f"{k // 4},,{k},{curves.train[k]},",
            *([f"{k // 4},,{k},,{curves.val[k]}"] if k % 4 == 3 else []),
        )
    ]
    return {
        "logs.csv": _table(
            curves.count,
            "step,epoch,train_loss,val_loss,batch_loss,grad_norm,lr",
            lambda k: (
                k,
                k,
                curves.train[k],
                curves.val[k],
                curves.train[k],
                curves.norm[k],
                curves.rate[k],
            ),
        ),
        "keras.log": _table(
            curves.count,
            "epoch,accuracy,loss,val_accuracy,val_loss",
            lambda k: (
                k,
                0.5,
                curves.train[k],
                "NA" if k < 2 else 0.5,
                "NA" if k < 2 else curves.val[k],
            ),
        ),
        "metrics.csv": "\n".join(["epoch,lr-SGD,step,train_loss,val_loss", *sparse]),
        "results.csv": _table(
            curves.count, yolo, lambda k: (k, curves.train[k], 1, curves.val[k], 1, curves.rate[k])
        ),
        "results.txt": "\n".join(
            f"  {k}/99  4.5G  0.1 0.1 0.1 {train:.4g} 7 640 .1 .1 .1 .1 1 1 {val:.4g}"
            for k, (train, val) in enumerate(zip(curves.train, curves.val, strict=True))
        ),
        "long.tsv": "\n".join(["epoch\tphase\tloss", *(r.replace(",", "\t") for r in long_rows)]),
        "decimal.csv": _table(
            curves.count,
            "Epoche;Trainingsverlust;Validierungsverlust",
            lambda k: (
                k,
                f"{curves.train[k]:.4f}".replace(".", ","),
                f"{curves.val[k]:.4f}".replace(".", ","),
            ),
            ";",
        ),
        "history.csv": _table(
            curves.count,
            "epoch,train_loss,valid_loss,accuracy,time",
            lambda k: (k, curves.train[k], curves.val[k], 0.5, f"01:{k:02d}"),
        ),
        "wandb_export.csv": _table(
            curves.count,
            '"Step","one - train/loss","one - val/loss"',
            lambda k: (k, curves.train[k], curves.val[k]),
        ),
        "run-one-tag-train_loss.csv": _table(
            curves.count, "Wall time,Step,Value", lambda k: (1.6e9 + k, k, curves.train[k])
        ),
        "train_loss.txt": "\n".join(map(str, curves.train)),
        "train_loss_list.txt": str(curves.train),
        **{
            f"dvclive:plots/metrics/{split}/loss.tsv": _table(
                curves.count, "step\tloss", partial(_row, values), "\t"
            )
            for split, values in (("train", curves.train), ("eval", curves.val))
        },
        **{
            f"mlruns:1/{'ab' * 16}/metrics/{name}": "\n".join(
                f"{1600000000000 + k} {values[k]} {k}" for k in range(curves.count)
            )
            for name, values in (
                ("train/loss", curves.train),
                ("val_loss", curves.val),
                ("lr", curves.rate),
            )
        },
        f"mlruns:1/{'ab' * 16}/meta.yaml": "lifecycle_stage: active\nrun_id: abab\nstatus: 3\n",
        "mlruns:1/meta.yaml": "experiment_id: '1'\nname: e\n",
    }


def _row(values: Sequence[float], k: int) -> tuple[int, float]:
    return k, values[k]


def _lines(rows: Iterable[object]) -> str:
    return "\n".join(json.dumps(row) for row in rows) + "\n"


def _json(curves: Curves) -> dict[str, str]:
    steps = range(curves.count)
    history = [
        {"loss": curves.train[k], "grad_norm": curves.norm[k], "learning_rate": curves.rate[k]}
        for k in steps
    ]
    state = [{**row, "epoch": k / 4, "step": k} for k, row in enumerate(history)]
    state += [
        {"eval_loss": curves.val[k], "epoch": k / 4, "step": k} for k in range(0, curves.count, 4)
    ]
    clear: list[list[dict[str, object]]] = [
        [{"type": "training_stats_scalar", "metric": "loss", "variant": split, "iter": k}]
        for k in steps
        for split in ("train", "val")
    ]
    for at, row in enumerate(clear):
        row[0]["value"] = (curves.train, curves.val)[at % 2][at // 2]
    offline = [
        {
            "obj": {
                "type": "LogFloats",
                "path": [split, "loss"],
                "values": [{"value": values[k], "step": k, "ts": 1.6e9}],
            },
            "version": 1,
        }
        for k in steps
        for split, values in (("train", curves.train), ("val", curves.val))
    ]
    sacred = {
        name: {"steps": list(steps), "values": values, "timestamps": [""] * curves.count}
        for name, values in (("training.loss", curves.train), ("validation.loss", curves.val))
    }
    return {
        "trainer_state.json": json.dumps(
            {"best_metric": None, "global_step": curves.count, "log_history": state}, indent=1
        ),
        "scalars.json": _lines(
            {"loss": curves.train[k], "lr": curves.rate[k], "step": k} for k in steps
        ),
        "mmcv.log.json": _lines(
            [
                {"env_info": "x", "seed": None},
                *(
                    {"mode": "train", "epoch": 1 + k // 4, "iter": k % 4 + 1, **history[k]}
                    for k in steps
                ),
            ]
        ),
        "metrics.json": _lines(
            {
                "iteration": 20 * k,
                "total_loss": curves.train[k],
                "loss_cls": 0.1,
                "lr": curves.rate[k],
            }
            for k in steps
        ),
        "log.txt": _lines(
            {
                "train_lr": curves.rate[k],
                "train_loss": curves.train[k],
                "test_loss": curves.val[k],
                "epoch": k,
            }
            for k in steps
        ),
        "trainer_log.jsonl": _lines(
            {"current_steps": k, "loss": curves.train[k], "lr": curves.rate[k], "epoch": k / 4}
            for k in steps
        ),
        "history.json": json.dumps({"loss": curves.train, "val_loss": curves.val}),
        "columns.json": json.dumps(
            {"loss": dict(enumerate(curves.train)), "val_loss": dict(enumerate(curves.val))}
        ),
        "clearml:metrics.jsonl": _lines(clear),
        "clearml:task.json": "{}",
        "sacred:metrics.json": json.dumps(sacred),
        "sacred:run.json": '{"status": "COMPLETED"}',
        "sacred:config.json": "{}",
        "neptune:offline/run__1/data-1.log": _lines(offline),
        "data-1.log": _lines(offline),
    }


def _texts(curves: Curves) -> dict[str, str]:
    shapes = {
        "loop.log": "Epoch [{k}/20], Loss: {t:.4f}, Val Loss: {v:.4f}",
        "chinese.log": "第 {k} 轮 训练损失: {t:.4f} | 验证损失: {v:.4f} | 梯度范数: {n:.4f}",
        "keras.txt": (
            "Epoch {k}/20\n\r 1/9 [>...] - ETA: 3s - loss: 9.1\r"
            "9/9 [====] - 2s 1s/step - loss: {t:.4f} - val_loss: {v:.4f}"
        ),
        "dicts.log": "{{'loss': {t:.4f}, 'grad_norm': {n}, 'learning_rate': {r}, 'epoch': {k}}}",
        "nanogpt.log": (
            "step {k}: train loss {t:.4f}, val loss {v:.4f}\n"
            "iter {k}: loss {t:.4f}, time 79.90ms, mfu 1.11%"
        ),
        "main.log": "s:{k} tel:{v:.4f}\ns:{k} trl:{t:.4f} lr:{r:.6f} norm:{n:.2f}",
        "modded.log": (
            "step:{k}/20 val_loss:{v:.4f} train_time:{k}ms step_avg:nanms\n"
            "step:{k}/20 train_loss:{t:.4f} train_time:{k}ms step_avg:nanms"
        ),
        "megatron.log": (
            " iteration {k}/ 20 | learning rate: {r:.3E} | lm loss: {t:.6E} | loss scale: 1.0 |"
            " grad norm: {n:.3f} |\n validation loss at iteration {k} | lm loss value: {v:.6E} |"
        ),
        "torchtune.txt": "Step {k} | loss:{t} lr:{r} tokens_per_second_per_gpu:12.5",
        "mmcv.log": (
            "2024-01-01 00:00:0{d} - mmdet - INFO - Epoch [{k}][50/50]\tlr: {r:.3e}, eta: 0:10:00,"
            " loss_cls: 0.5, loss: {t:.4f}, grad_norm: {n:.4f}"
        ),
        "bars.log": "Epoch {k}: 100%|##| 9/9 [00:01<00:00, 7it/s, loss={t:.4f}, val_loss={v:.4f}]",
    }
    return {
        name: "\n".join(
            shape.format(
                k=k,
                t=curves.train[k],
                v=curves.val[k],
                n=curves.norm[k],
                r=curves.rate[k],
                d=k % 10,
            )
            for k in range(curves.count)
        )
        for name, shape in shapes.items()
    }


def _wandb_row(curves: Curves, k: int) -> bytes:
    items = {
        "train/loss": curves.train[k],
        "val/loss": curves.val[k],
        "lr": curves.rate[k],
        "_step": k,
    }
    fields = [
        encode_bytes(
            1, encode_bytes(1, key.encode()) + encode_bytes(16, json.dumps(value).encode())
        )
        for key, value in items.items()
    ]
    row: bytes = encode_bytes(2, b"".join(fields) + encode_bytes(2, encode_int(1, k)))
    return row


def _swan_row(k: int, key: str, value: float) -> bytes:
    number = encode_bytes(5, b"\x09" + struct.pack("<d", value))
    row: bytes = encode_bytes(13, encode_bytes(1, key.encode()) + encode_int(2, k) + number)
    return row


def _binaries(curves: Curves) -> dict[str, bytes]:
    pairs = (("train", curves.train), ("val", curves.val))
    comet = _lines(
        {
            "type": "metric_msg",
            "payload": {
                "context": "train" if name == "train" else "validate",
                "metric": {"metricName": "loss", "metricValue": values[k], "step": k},
            },
        }
        for k in range(curves.count)
        for name, values in pairs
    )
    swan = [
        {
            "model_type": "Scalar",
            "data": {
                "key": f"{name}/loss",
                "step": k,
                "epoch": k + 1,
                "metric": {"data": values[k]},
            },
        }
        for k in range(curves.count)
        for name, values in pairs
    ]
    rows = [
        _swan_row(k, f"{name}/loss", values[k])
        for k in range(curves.count)
        for name, values in pairs
    ]
    scalars = {"train/loss": curves.train, "val/loss": curves.val, "lr": curves.rate}
    name = "events.out.tfevents.1600000000.host.1.0"
    return {
        name: encode_events(scalars),
        "keras_tb:train/" + name + ".v2": encode_events({"epoch_loss": curves.train}, tensors=True),
        "keras_tb:validation/" + name + ".v2": encode_events(
            {"epoch_loss": curves.val}, tensors=True
        ),
        "guild:runs/1/.guild/" + name: encode_events(scalars),
        "run-one.wandb": encode_records(
            b":W&B\xe1\xbe\x00", map(partial(_wandb_row, curves), range(curves.count))
        ),
        "backup.swanlab": encode_records(
            b":SWL\xd6\xe1\x01", (json.dumps(row).encode() for row in swan)
        ),
        "run-two.swanlab": encode_records(b":SWL\xd6\xe1\x02", rows),
        "comet.zip": pack({"messages.json": comet, "experiment.json": "{}"}),
        "clearml.zip": pack(
            {
                name.partition(":")[2]: text
                for name, text in _json(curves).items()
                if "clearml:" in name
            }
        ),
        "history.pkl": pickle.dumps({"loss": curves.train, "val_loss": curves.val}, protocol=4),
        "gbk.log": "训练损失: 0.5 | 验证损失: 0.6\n".encode("gbk") * 9,
        "utf16.csv": _tables(curves)["keras.log"].encode("utf-16"),
    }
