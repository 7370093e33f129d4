"""Whole runs, in this process, on a few images."""

import csv
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from command import TINY, command
from litconv.run import state
from wandb_reader import read_run

# Of every summary.json, whatever is swept; a run that measures latency has the last line's too.
CONTRACT = {
    *(
        "status",
        "name",
        "config_hash",
        "arm_hash",
        "git_commit",
        "git_dirty",
        "versions",
        "seed",
        "task",
        "data",
        "conv",
    ),
    *("backbone", "head", "width", "precision", "memory_format", "cost/params", "cost/macs", "cost/flops"),
    *("cost/activations", "cost/elementwise_ops", "cost/uncounted_ops", "cost/second_opinion", "train/epochs"),
    *("train/seconds", "train/images_per_second", "val/accuracy", "test/accuracy", "test/split"),
    *("cost/latency_ms", "cost/latency_ratio", "cost/latency_batch", "cost/peak_memory_mb", "cost/device"),
}
FIGURES = ("val/accuracy", "val/loss", "test/accuracy", "test/loss", "cost/params", "cost/macs")


def run(folder, *arguments):
    return command(*TINY, f"output_dir={folder}", *arguments)


def summaries(folder: Path) -> dict[str, dict]:
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.rglob("summary.json"))}


@pytest.fixture(scope="module")
def completed(tmp_path_factory) -> Path:
    """The folder of outputs of a run of the default seed."""
    folder = tmp_path_factory.mktemp("completed")
    assert run(folder, "logger=csv") == 0
    return folder


@pytest.fixture
def again(completed, tmp_path) -> Path:
    """A copy of it."""
    shutil.copytree(completed, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_one_command_leaves_a_folder_with_everything(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert run(tmp_path, "conv=grouped", "groups=4", "cost.latency.enabled=true", "cost.latency.seconds=0.001") == 0
    (folder,) = (tmp_path / "runs").iterdir()
    for name in (
        "config.yaml",
        "train.log",
        "metrics.csv",
        "summary.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    ):
        assert (folder / name).is_file(), name
    summary = json.loads((folder / "summary.json").read_text())
    expected = {
        "status": "completed",
        "conv": "grouped",
        "groups": 4,
        "backbone": "resnet",
        "seed": 0,
        "test/split": "test",
    }
    assert expected.items() <= summary.items()
    assert summary.keys() >= CONTRACT
    assert summary["cost/flops"] == 2 * summary["cost/macs"]
    assert summary["cost/uncounted_ops"] == []
    assert summary["cost/latency_ms"] > 0
    assert 0 <= summary["test/accuracy"] <= 1
    assert summary["train/epochs"] == 1
    assert {"python", "torch", "pytorch-lightning", "hydra-core", "wandb"} <= summary["versions"].keys()
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == str(folder)  # with the summary the last that is printed
    assert f"{summary['cost/macs']:,}" in printed.out
    assert "wandb sync" in printed.err  # no key here: offline, and it says how to upload
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1
    assert float(rows[0]["val/accuracy"]) == pytest.approx(summary["val/accuracy"], abs=1e-6)

    kept = read_run(folder)
    assert kept["config"]["conv"]["groups"] == 4
    assert kept["exit_code"] == 0
    for key, value in summary.items():
        if isinstance(value, int | float):
            assert kept["summary"][key] == pytest.approx(value), key
        else:
            assert key in kept["summary"]
    history = [float(row["val/accuracy"]) for row in kept["history"] if "val/accuracy" in row]
    assert history == [pytest.approx(float(rows[0]["val/accuracy"]), abs=1e-6)]


def test_segmentation_runs_the_same_way(tmp_path):
    head = ("task=segmentation", "head=deeplab", "upsample=transposed")
    assert run(tmp_path, *head, "conv@conv_stage3=dilated", "logger=csv") == 0
    (summary,) = summaries(tmp_path).values()
    assert (summary["conv"], summary["conv_stage3"]) == ("standard", "dilated")
    assert summary["head"] == "deeplab"
    assert summary["upsample"] == "transposed"
    assert 0 <= summary["test/miou"] <= 1
    assert {"test/pixel_accuracy", "val/miou"} <= summary.keys()


def test_the_same_seed_gives_the_same_figures_and_another_does_not(completed, tmp_path):
    for seed in (0, 4):
        assert run(tmp_path / str(seed), "logger=csv", f"seed={seed}") == 0
    first, second, other = (next(iter(summaries(f).values())) for f in (completed, tmp_path / "0", tmp_path / "4"))
    assert [first[k] for k in FIGURES] == [second[k] for k in FIGURES]
    assert first["val/loss"] != other["val/loss"]


def test_a_completed_run_is_kept_aside_when_it_is_run_again(again):
    assert run(again, "logger=csv") == 0
    assert len(list((again / "runs" / "aside").iterdir())) == 1
    assert len(list(again.rglob("summary.json"))) == 2


def test_a_folder_that_another_process_writes_is_left_alone_in_one_line(again, capsys):
    (folder,) = (again / "runs").iterdir()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with state.lock(folder):
        assert run(again, "logger=csv") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == f"error: {folder} is being written by another process; wait for it, or change the seed"
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_the_checkpoint_that_validation_chose_is_the_one_that_is_tested(tmp_path, capsys):
    assert run(tmp_path, "logger=csv", "epochs=3", "schedule=constant") == 0
    (folder,) = (tmp_path / "runs").iterdir()
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    best = max(rows, key=lambda row: float(row["val/accuracy"]))
    assert best != rows[-1], "the last epoch is the best one: this proves nothing"
    (summary,) = summaries(tmp_path).values()
    for key in ("val/accuracy", "val/loss"):
        assert summary[key] == pytest.approx(float(best[key]), rel=1e-6)
    capsys.readouterr()
    losses = []
    for name in ("best", "last"):
        assert command(f"run={folder}", f"checkpoint={name}", "accelerator=cpu", module="evaluate") == 0
        losses += [float(line.split()[1]) for line in capsys.readouterr().out.splitlines() if "test/loss" in line]
    assert summary["test/loss"] == pytest.approx(losses[0], abs=5e-5) != losses[1]


def test_an_interrupted_run_says_so_and_goes_on_from_its_last_epoch(tmp_path, monkeypatch, capsys):
    from litconv.callbacks import MetricsCsv

    original = MetricsCsv.on_train_epoch_start

    def interrupt(self, trainer, module):
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt
        original(self, trainer, module)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsCsv, "on_train_epoch_start", interrupt)
        assert run(tmp_path, "logger=csv", "epochs=2") == 130
    assert next(iter(summaries(tmp_path).values()))["status"] == "interrupted"
    assert run(tmp_path, "logger=csv", "epochs=2") == 0
    (resumed,) = summaries(tmp_path).values()
    assert run(tmp_path / "straight", "logger=csv", "epochs=2") == 0
    (straight,) = summaries(tmp_path / "straight").values()
    assert [resumed[k] for k in FIGURES] == [straight[k] for k in FIGURES]
    rows = next((tmp_path / "runs").rglob("metrics.csv")).read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "0", "1"]


def test_a_checkpoint_that_cannot_be_read_is_left_and_training_starts_anew(again, caplog):
    (folder,) = (again / "runs").iterdir()
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"torn")
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "status": "interrupted"}))
    assert run(again, "logger=csv") == 0
    assert "last.ckpt cannot be read" in caplog.text
    assert json.loads((folder / "summary.json").read_text())["test/loss"] == summary["test/loss"]


def test_sigterm_ends_a_run_as_interrupted_with_status_143(tmp_path, monkeypatch):
    from litconv.callbacks import MetricsCsv

    original = MetricsCsv.on_train_epoch_start

    def terminate(self, trainer, module):
        original(self, trainer, module)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(MetricsCsv, "on_train_epoch_start", terminate)
    assert run(tmp_path, "logger=csv") == 143
    assert next(iter(summaries(tmp_path).values()))["status"] == "interrupted"


def test_a_loss_that_is_not_finite_fails_the_run_with_epoch_and_step(tmp_path, capsys):
    assert run(tmp_path, "logger=csv", "optim.lr=1e30", "schedule=constant") == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: train/loss is nan in epoch 1/1, step ")
    (summary,) = summaries(tmp_path).values()
    assert summary["status"] == "failed"
    assert "train/loss is nan" in summary["error"]


def test_checkpoints_hold_plain_types_only(completed):
    checkpoints = list(completed.rglob("*.ckpt"))
    assert len(checkpoints) == 2
    for checkpoint in checkpoints:
        assert "state_dict" in torch.load(checkpoint, weights_only=True)
