"""Logs that experiment trackers write on this machine, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.external.conftest import Row, Training


def name_values(row: Row) -> dict[str, float]:
    """Return what a row logs, under the names that most loops use."""
    values = {"train/loss": row.train_loss, "train/grad_norm": row.grad_norm, "lr": row.lr}
    return values if row.val_loss is None else {**values, "val/loss": row.val_loss}


@pytest.mark.parametrize("store", ["mlruns", "mlflow.db"])
def test_mlflow(
    tmp_path: Path, training: Training, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    """A run in MLflow's file store or its database reads back."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    import mlflow

    scheme = "sqlite:///" if store.endswith("db") else "file:"
    mlflow.set_tracking_uri(f"{scheme}{tmp_path / store}")
    mlflow.set_experiment("lines")
    with mlflow.start_run():
        for row in training.rows():
            mlflow.log_metrics(name_values(row), step=row.step)
    training.truth.check_log(tmp_path / store)


@pytest.mark.parametrize("axis", ["step", "train/global_step"])
def test_wandb(tmp_path: Path, training: Training, axis: str) -> None:
    """An offline Weights & Biases run reads back, by its own steps or by a logged step."""
    import wandb

    settings = wandb.Settings(silent=True, x_disable_meta=True, x_disable_stats=True)
    run = wandb.init(project="lines", mode="offline", dir=str(tmp_path), settings=settings)
    for row in training.rows():
        if axis == "step":
            run.log(name_values(row), step=row.step)
        else:
            run.log({**name_values(row), axis: row.step})
    run.finish()
    wandb.teardown()  # its service writes the file, and may be behind
    (log,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    training.truth.check_log(log)
    training.truth.check_log(log.parent)


def test_aim(tmp_path: Path, training: Training) -> None:
    """An Aim repository reads back, contexts as splits, and nothing in it is touched."""
    import aim

    run = aim.Run(repo=str(tmp_path), system_tracking_interval=None, log_system_params=False)
    for row in training.rows():
        for name, value in name_values(row).items():
            split, _, word = name.rpartition("/")
            run.track(value, name=word, step=row.step, context={"subset": split} if split else {})
    run.close()
    before = {each: each.stat().st_mtime_ns for each in (tmp_path / ".aim").rglob("*")}
    training.truth.check_log(tmp_path)
    training.truth.check_log(tmp_path / ".aim")
    assert {each: each.stat().st_mtime_ns for each in (tmp_path / ".aim").rglob("*")} == before


def test_dvclive(tmp_path: Path, training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of one table a metric that DVCLive writes is one run."""
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    from dvclive import Live

    with Live(str(tmp_path / "dvclive"), save_dvc_exp=False, report=None, dvcyaml=None) as live:
        for row in training.rows():
            live.step = row.step
            for name, value in name_values(row).items():
                live.log_metric(name, value)
            live.make_summary()
    training.truth.check_log(tmp_path / "dvclive")


def test_swanlab(tmp_path: Path, training: Training) -> None:
    """An offline SwanLab run reads back by its file and by its folder."""
    import swanlab

    swanlab.init(project="lines", mode="offline", logdir=str(tmp_path))
    for row in training.rows():
        swanlab.log(name_values(row), step=row.step)
    swanlab.finish()
    (log,) = tmp_path.glob("run-*/*.swanlab")
    training.truth.check_log(log)
    training.truth.check_log(log.parent)


@pytest.fixture(scope="session")
def trackio_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that trackio, which looks once, keeps its projects in."""
    folder = tmp_path_factory.mktemp("trackio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKIO_DIR", str(folder))
        import trackio.utils
    assert folder.samefile(trackio.utils.TRACKIO_DIR)
    return folder


def test_trackio(trackio_folder: Path, training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trackio project reads back from its database."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import trackio

    project = "diverging" if training.diverges else "falling"
    trackio.init(project=project, name="one", auto_log_gpu=False)
    for row in training.rows():
        trackio.log(name_values(row), step=row.step)
    trackio.finish()
    training.truth.check_log(trackio_folder / f"{project}.db")
