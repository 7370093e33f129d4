"""A run that is taken up again is the same run with each logger, and each row is there once, whatever a kill kept from it."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from command import ROOT, TINY, command
from litconv.fit import training
from logger_readers import events, only_run, stored
from wandb_reader import records_of

KILL = """
import os, signal, subprocess, sys, time
from pathlib import Path
import pytorch_lightning as pl

class Kill(pl.Callback):
    "SIGKILL to this process and to wandb's, as a node that goes down, once: after a row was written."
    def __init__(self, armed, epoch, batch):
        self.armed, self.when = Path(armed), (epoch, batch)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == self.when and self.armed.exists():
            time.sleep(float(self.armed.read_text()))
            self.armed.unlink()
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = path.read_bytes().split(b"\\0")
                except OSError:
                    continue
                if line[0].endswith(b"wandb-core") and str(os.getpid()).encode() in line:
                    os.kill(int(path.parent.name), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")


def killed(folder: Path, epoch: int, batch: int, seconds: float, *arguments: str) -> tuple[Path, tuple[str, ...]]:
    """The folder of the killed run, and the arguments of the command that goes on with it."""
    (folder / "killing.py").write_text(KILL)
    (folder / "armed").write_text(str(seconds))
    kill = f"{{_target_: killing.Kill, armed: {folder / 'armed'}, epoch: {epoch}, batch: {batch}}}"
    arguments = (*arguments, "allowed_packages=[killing]", f"+callbacks.extra.kill={kill}")
    arguments = (*TINY, f"output_dir={folder}", *arguments)
    path = os.pathsep.join([str(ROOT / "src"), str(folder)])
    train = [sys.executable, ROOT / "train.py", *arguments]
    done = subprocess.run(train, env={**os.environ, "PYTHONPATH": path}, cwd=folder, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return only_run(folder), arguments


def wandb_rows(run: Path) -> list[dict]:
    found = [records_of(file) for file in sorted((run / "wandb").glob("offline-run-*/*.wandb"))]
    return [r["history"]["item"] for part in found for r in part if r["type"] == "history"]


def wandb_ids(run: Path) -> list[str]:
    return [
        r["run"]["run_id"]
        for file in sorted((run / "wandb").glob("offline-run-*/*.wandb"))
        for r in records_of(file)
        if r["type"] == "run"
    ]


def curves(run: Path, key: str) -> dict[str, list[tuple[int, float]]]:
    """By logger: (step, value) in the order in which they stand there."""
    client, kept = stored(run)
    return {
        "wandb": [(row["trainer/global_step"], row[key]) for row in wandb_rows(run) if key in row],
        "tensorboard": [(event.step, event.value) for event in events(run).Scalars(key)],
        "mlflow": [(point.step, point.value) for point in client.get_metric_history(kept.info.run_id, key)],
    }


@pytest.mark.parametrize(
    ("batch", "seconds"),
    [
        (0, 0),  # as soon as the row of the first epoch was told: wandb and TensorBoard still have it in memory
        pytest.param(3, 1, marks=pytest.mark.slow),  # a second after a row that will be repeated: wandb has written it
    ],
)
def test_a_killed_run_goes_on_in_the_same_run_of_each_logger_and_has_each_row_once(
    tmp_path, monkeypatch, batch, seconds
):
    loggers = ("epochs=3", "logger=[wandb,tensorboard,mlflow]", "+trainer.val_check_interval=2")  # of 4 steps
    run, arguments = killed(tmp_path, 1, batch, seconds, *loggers)
    monkeypatch.syspath_prepend(tmp_path)
    assert command(*arguments) == 0
    assert json.loads((run / "summary.json").read_text())["status"] == "completed"
    with (run / "metrics.csv").open(newline="") as file:
        rows = [(int(row["step"]) - 1, float(row["train/loss"])) for row in csv.DictReader(file)]
    assert len(rows) == 3
    for logger, points in curves(run, "train/loss").items():
        assert points == [(step, pytest.approx(loss)) for step, loss in rows], logger
    # The validation inside the first epoch stands in no metrics.csv: a kill so soon after it may keep it from a logger.
    in_time = [step for step in (1, 3, 5, 7, 9, 11) if step > 1 or seconds]
    for logger, points in curves(run, "val/loss").items():
        assert [step for step, _ in points if step > 1 or seconds] == in_time, logger
    assert len(set(wandb_ids(run))) == 1


def test_a_run_that_starts_anew_is_another_run_of_each_logger(tmp_path, monkeypatch):
    arguments = (*TINY, "epochs=1", "logger=[wandb,tensorboard,mlflow]", f"output_dir={tmp_path}")
    fit = training.fit

    def broken_off(trainer, *unused: object) -> None:
        trainer.logger.log_metrics({"train/loss": 9.0, "epoch": 0}, 3)
        raise KeyboardInterrupt  # before there is a checkpoint

    monkeypatch.setattr(training, "fit", broken_off)
    assert command(*arguments) == 130
    run = only_run(tmp_path)
    first = {logger: [value for _, value in points] for logger, points in curves(run, "train/loss").items()}
    assert first == {logger: [9.0] for logger in ("wandb", "tensorboard", "mlflow")}
    monkeypatch.setattr(training, "fit", fit)
    assert command(*arguments) == 0
    assert len(set(wandb_ids(run))) == 2
    assert 9.0 not in [event.value for event in events(run).Scalars("train/loss")]
    store = MlflowClient(f"sqlite:///{run / 'mlflow' / 'mlflow.db'}")
    runs = store.search_runs([experiment.experiment_id for experiment in store.search_experiments()])
    assert sorted(kept.info.status for kept in runs) == ["FINISHED", "KILLED"]
