"""wandb: what a run leaves in its file, read back by wandb itself; however wandb fails, the run goes on."""

import csv
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from command import TINY, command
from litconv.loggers.together import Loggers
from litconv.loggers.wandb import Wandb, sync_command
from wandb_reader import read_run, records_of

RUN = {"name": "resnet-grouped", "group": "sweep1", "job_type": "train", "tags": ["grouped", "shapes"]}
CONFIG = {"conv": {"_target_": "litconv.conv.Grouped", "groups": 4}, "seed": 0, "widths": [1, 2]}


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    for key in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_DIR", "WANDB_PROJECT"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")


def start(folder: Path, *, name: str = "resnet-grouped", **options) -> Loggers:
    folder.mkdir(exist_ok=True)
    logger = Loggers({"wandb": partial(Wandb, **options)})
    logger.start(folder, **{**RUN, "name": name}, config=CONFIG)
    return logger


def test_a_run_without_a_key_is_offline_and_its_file_holds_config_history_summary_and_exit_code(tmp_path, caplog):
    logger = start(tmp_path)
    offline = [path for path in (tmp_path / "wandb").iterdir() if path.name.startswith("offline-run-")]
    assert len(offline) == 1
    assert sync_command(tmp_path) == f"wandb sync {tmp_path}/wandb"
    said = [record.getMessage() for record in caplog.records if record.name.startswith("litconv")]
    assert said == [f"wandb: offline (no API key: `wandb login`). To upload the run later: wandb sync {tmp_path}/wandb"]
    for step, loss in enumerate([3.0, 2.0, 1.5]):
        logger.log_metrics({"train/loss": loss, "epoch": step}, step)
        logger.log_metrics({"val/accuracy": 1 - loss / 4}, step)
    logger.finish(3, {"status": "failed", "cost/params": 1234, "test/accuracy": 0.75})

    found = read_run(tmp_path)
    assert {key: found["run"][key] for key in ("display_name", "run_group", "job_type", "tags", "project")} == {
        **{"display_name": "resnet-grouped", "run_group": "sweep1", "job_type": "train"},
        **{"tags": ["grouped", "shapes"], "project": "litconv"},
    }
    assert {key: found["config"][key] for key in CONFIG} == CONFIG
    train = [3.0, 2.0, 1.5]
    rows = [(row["trainer/global_step"], row["train/loss"], row["val/accuracy"]) for row in found["history"]]
    assert rows == [(step, loss, 1 - loss / 4) for step, loss in enumerate(train)]  # what has one step is one row
    assert found["summary"]["cost/params"] == 1234
    assert found["summary"]["test/accuracy"] == 0.75
    assert found["summary"]["status"] == "failed"
    assert found["summary"]["train/loss"] == train[-1]
    assert found["exit_code"] == 3


def test_a_second_run_of_the_process_is_a_run_of_its_own_even_if_the_first_was_left_open(tmp_path):
    ids = []
    for k in range(2):  # the first is never finished
        logger = start(tmp_path / str(k), name=f"run{k}")
        ids.append(logger.running["wandb"].run.id)
        logger.log_metrics({"k": k}, step=k)
        logger.end_row()
    logger.finish(143, {})
    assert len(set(ids)) == 2
    for k in range(2):
        found = read_run(tmp_path / str(k))
        assert found["run"]["display_name"] == f"run{k}"
        assert [row["k"] for row in found["history"]] == [k]
        assert found["exit_code"] == (0, 143)[k]


def test_without_a_network_a_run_with_a_key_goes_offline(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens
    logger = start(tmp_path, timeout_seconds=1.0)
    assert "To upload the run later: wandb sync" in caplog.messages[-1]
    assert "0123456789" not in caplog.text
    logger.finish(0, {"a": 1})
    offline = next((tmp_path / "wandb").glob("offline-run-*"))
    assert read_run(offline)["summary"]["a"] == 1


@pytest.mark.parametrize(
    ("netrc", "mode"),
    [
        ("machine api.wandb.ai login user password secret", "online"),
        ("machine api.forge.coreweave.com login user password secret", "online"),
        ("machine example.org login user password secret", "offline"),
        ("not a netrc", "offline"),
    ],
)
def test_a_key_in_netrc_is_found(tmp_path, monkeypatch, netrc, mode):
    tried = []

    def init(**options):
        tried.append(options["mode"])
        raise OSError("no")

    (tmp_path / "netrc").write_text(netrc)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr("wandb.init", init)
    assert not start(tmp_path).running
    assert tried[0] == mode


def test_wandb_mode_decides_where_it_is_set(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert not start(tmp_path).running
    assert not (tmp_path / "wandb").exists()
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]  # whoever switched it off knows


def one_warning(caplog) -> str:
    (record,) = [record for record in caplog.records if record.name.startswith("litconv.loggers")]
    assert record.levelno == logging.WARNING
    assert "\n" not in record.getMessage()
    return record.getMessage()


def test_an_error_of_wandb_leaves_the_run_without_it(tmp_path, monkeypatch, caplog):
    def init(**options):
        raise RuntimeError("broken\n  in two lines")

    monkeypatch.setattr("wandb.init", init)
    logger = start(tmp_path)
    assert one_warning(caplog) == "wandb: off for this run (RuntimeError: broken in two lines)"
    logger.log_metrics({"a": 1}, 0)
    logger.finish(0, {"a": 1})


def test_a_wandb_that_cannot_be_imported_leaves_the_run_without_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert not start(tmp_path).running
    assert "wandb: off for this run (ModuleNotFoundError" in one_warning(caplog)


def test_a_folder_that_cannot_be_written_leaves_the_run_without_wandb(tmp_path, caplog):
    (tmp_path / "wandb").write_text("a file is in the way")
    assert not start(tmp_path).running
    assert "wandb: off for this run (FileExistsError" in one_warning(caplog)


def test_errors_while_logging_and_closing_are_one_warning(tmp_path, caplog):
    logger = start(tmp_path)
    logger.running["wandb"].run.finish()  # a closed run refuses everything
    caplog.clear()
    for step in range(3):
        logger.log_metrics({"a": step}, step)
    assert "wandb: metrics failed and is left out from now on (" in one_warning(caplog)
    caplog.clear()
    logger.finish(1, {"a": 1})
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def core_of_this_process() -> int:
    """The process id of wandb-core."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_bytes().split(b"\0")
            if line[0].endswith(b"wandb-core") and str(os.getpid()).encode() in line:
                return int(path.parent.name)
    raise AssertionError("wandb-core does not run")


def test_a_wandb_process_that_dies_costs_a_warning_and_the_end_is_told_to_a_new_one(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    logger = start(tmp_path / "first")
    os.kill(core_of_this_process(), signal.SIGKILL)
    caplog.clear()
    logger.table("cost/layers", ["name"], [["stem"]])
    for step in range(3):
        logger.log_metrics({"a": step}, step)
    logger.finish(0, {"a": 1})
    said = [record.getMessage() for record in caplog.records if record.name.startswith("litconv.loggers")]
    assert [line.partition(" failed")[0] for line in said] == ["wandb: table", "wandb: metrics"]
    parts = [list(map(json.dumps, records_of(file))) for file in (tmp_path / "first").rglob("*.wandb")]
    assert [any('"exit"' in record for record in part) for part in parts].count(True) == 1
    assert len({file.name for file in (tmp_path / "first").rglob("*.wandb")}) == 1  # of one id
    second = start(tmp_path / "second")
    second.finish(0, {"a": 2})
    assert read_run(tmp_path / "second")["summary"]["a"] == 2


def test_a_wandb_folder_that_vanishes_costs_one_warning(tmp_path, caplog):
    logger = start(tmp_path)
    shutil.rmtree(tmp_path / "wandb")
    caplog.clear()
    logger.log_metrics({"a": 1}, step=0)
    logger.log_metrics({"a": 2}, step=1)
    assert "is gone); the run, metrics.csv and summary.json go on without" in one_warning(caplog)
    logger.finish(0, {})


def test_wandb_alone_gives_a_second_run_of_a_process_the_first_and_wants_a_key_where_there_is_no_terminal(tmp_path):
    script = (
        "import wandb\n"
        "first = wandb.init(mode='offline', settings={'silent': True})\n"
        "print(first is wandb.init(mode='offline'))\n"
        "first.finish()\n"
        "try: wandb.init(mode='online', settings={'silent': True, 'init_timeout': 5})\n"
        "except wandb.errors.UsageError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    same, error = done.stdout.strip().split("\n", 1)
    assert same == "True"
    assert "No API key configured" in error  # Wandb goes offline instead: see the first test


def test_a_table_and_an_image_are_kept_with_the_run(tmp_path):
    logger = start(tmp_path)
    logger.table("cost/layers", ["name", "macs"], [["stem", 1], ["head", 2]])
    logger.image("sample", np.zeros((4, 6, 3), np.uint8), "a black image")
    logger.finish(0, {})
    history = read_run(tmp_path)["history"]
    (row,) = [row for row in history if "cost/layers._type" in row]
    assert row["cost/layers._type"] == "table-file"
    assert (row["cost/layers.nrows"], row["cost/layers.ncols"]) == (2, 2)
    (row,) = [row for row in history if "sample._type" in row]
    assert (row["sample.height"], row["sample.width"], row["sample.caption"]) == (4, 6, "a black image")


def test_a_run_of_the_command_line_is_one_wandb_run_with_its_curves_and_its_summary(tmp_path):
    assert command(*TINY, f"output_dir={tmp_path}", "logger.wandb.project=mine") == 0
    (folder,) = (tmp_path / "runs").iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    kept = read_run(folder)
    assert kept["run"]["project"] == "mine"
    assert kept["run"]["display_name"] == summary["name"]
    assert kept["exit_code"] == 0
    curve = [row["val/accuracy"] for row in kept["history"] if "val/accuracy" in row]
    assert curve == pytest.approx([float(row["val/accuracy"]) for row in rows])
    for key in ("status", "config_hash", "cost/macs", "test/accuracy"):
        assert kept["summary"][key] == summary[key]
    assert any(row.get("cost/layers._type") == "table-file" for row in kept["history"])


def test_an_epoch_is_one_row_and_so_is_a_validation_inside_one(tmp_path):
    arguments = ("epochs=2", "+trainer.val_check_interval=2", f"output_dir={tmp_path}")  # of 4 steps
    monitor = "{_target_: pytorch_lightning.callbacks.LearningRateMonitor, logging_interval: epoch}"
    assert command(*TINY, *arguments, f"+callbacks.extra.rate={monitor}") == 0
    (folder,) = (tmp_path / "runs").iterdir()
    validation = {"val/accuracy", "val/loss", "val/top5"}
    epoch = validation | {"train/accuracy", "train/loss", "lr"}
    rate = {"lr-SGD/pg1", "lr-SGD/pg2"}  # of the epoch that begins: not of the row of the one that ended
    rows = [row.keys() & (epoch | rate) for row in read_run(folder)["history"]]
    assert [row for row in rows if row] == 2 * [rate, validation, epoch]
