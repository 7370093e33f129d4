"""What a run leaves with each logger, read back by that logger's own library; a logger that fails costs no run."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import yaml

from command import TINY, command
from litconv.fit import training
from litconv.loggers import csv_only, make_wandb
from litconv.loggers.csv import Csv
from litconv.loggers.mlflow import Mlflow
from litconv.loggers.run_logger import RunLogger
from litconv.loggers.tensorboard import TensorBoard
from litconv.loggers.together import Loggers
from litconv.loggers.wandb import Wandb
from logger_readers import column, events, only_run, stored
from wandb_reader import read_run

RUN = {"name": "run", "group": "sweep", "job_type": "train", "tags": ["grouped"], "config": {"seed": 0}}
LOCAL = "logger=[wandb,tensorboard,mlflow]"
OWN = """
from pathlib import Path

class Lines:
    def __init__(self, folder, *, name, group, job_type, tags, config, ending="."):
        self.file, self.ending = Path(folder, "lines.txt"), ending
    def say(self, text):
        with self.file.open("a") as file:
            print(text + self.ending, file=file)
    def metrics(self, values, step): self.say(f"metrics {step}")
    def table(self, key, columns, rows): self.say(f"table {key} {len(rows)}")
    def image(self, key, image, caption): self.say(f"image {key}")
    def finish(self, exit_code, summary): self.say(f"finish {exit_code} {summary['status']}")
"""


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path_factory):
    for key in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path_factory.getbasetemp() / "no-netrc"))


@pytest.fixture(scope="module")
def run_of_three(tmp_path_factory) -> tuple[Path, dict]:
    """A run with three loggers at once and an operator of its own in a stage, and its summary."""
    folder = tmp_path_factory.mktemp("three")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        assert command(*TINY, "epochs=2", "conv@conv_stage2=depthwise", LOCAL, f"output_dir={folder}") == 0
    run = only_run(folder)
    return run, json.loads((run / "summary.json").read_text())


@pytest.mark.parametrize("key", ["train/loss", "val/accuracy", "val/loss"])
def test_every_logger_of_several_has_the_curves_of_metrics_csv(run_of_three, key):
    run, _ = run_of_three
    expected = pytest.approx(column(run, key))
    client, kept = stored(run)
    assert [row[key] for row in read_run(run)["history"] if key in row] == expected
    assert [event.value for event in events(run).Scalars(key)] == expected
    assert [point.value for point in client.get_metric_history(kept.info.run_id, key)] == expected
    steps = [event.step for event in events(run).Scalars(key)]
    assert steps == [point.step for point in client.get_metric_history(kept.info.run_id, key)]
    assert steps[0] < steps[1]


def test_tensorboard_has_the_configuration_and_the_summary_as_hparams(run_of_three):
    from tensorboard.plugins.hparams import plugin_data_pb2

    run, summary = run_of_three
    reader = events(run)
    data = reader.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = plugin_data_pb2.HParamsPluginData.FromString(data).session_start_info.hparams
    assert hparams["seed"].number_value == 0
    assert hparams["choices/conv@conv_stage2"].string_value == "depthwise"
    assert hparams["status"].string_value == "completed"
    assert hparams["exit_code"].number_value == 0
    for key in ("cost/macs", "test/accuracy"):
        assert [event.value for event in reader.Scalars(key)] == pytest.approx([summary[key]])
    (tested,) = reader.Scalars("summary/val/accuracy")
    assert tested.value == pytest.approx(summary["val/accuracy"])


def test_mlflow_has_parameters_metrics_tags_and_status(run_of_three):
    run, summary = run_of_three
    _, kept = stored(run)
    assert (kept.info.run_name, kept.info.status) == (summary["name"], "FINISHED")
    assert kept.data.params["conv/_target_"] == "litconv.conv.standard.Standard"
    assert kept.data.params["choices/conv_conv_stage2"] == "depthwise"
    for key in ("cost/macs", "test/accuracy"):
        assert kept.data.metrics[key] == pytest.approx(summary[key])
    assert kept.data.metrics["summary/val/accuracy"] == pytest.approx(summary["val/accuracy"])
    assert kept.data.tags["config_hash"] == summary["config_hash"]
    assert kept.data.tags["exit_code"] == "0"


def test_the_table_of_costs_is_with_every_logger(run_of_three):
    run, summary = run_of_three
    client, kept = stored(run)
    path = client.download_artifacts(kept.info.run_id, "cost/layers.json")
    table = json.loads(Path(path).read_text())
    macs = table["columns"].index("macs")
    assert sum(row[macs] for row in table["data"]) == summary["cost/macs"]
    (text,) = events(run).Tensors("cost/layers/text_summary")
    lines = text.tensor_proto.string_val[0].decode().splitlines()
    assert len(lines) == 2 + len(table["data"])
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == table["columns"]
    assert any(row.get("cost/layers.nrows") == len(table["data"]) for row in read_run(run)["history"])


def test_the_choice_of_several_is_recorded_and_changes_no_hash(run_of_three):
    run, summary = run_of_three
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["choices"]["logger"] == "wandb,tensorboard,mlflow"
    assert list(config["logger"]) == ["wandb", "tensorboard", "mlflow"]
    assert (
        command(*TINY, "epochs=2", "conv@conv_stage2=depthwise", "logger=csv", f"output_dir={run.parents[1]}/again")
        == 0
    )
    assert only_run(run.parents[1] / "again").name == summary["name"]


def test_an_image_is_with_tensorboard_and_mlflow(tmp_path):
    from PIL import Image

    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    loggers = Loggers({"tensorboard": TensorBoard, "mlflow": Mlflow})
    loggers.start(tmp_path, **RUN)
    loggers.log_metrics({"val/loss": 1.0}, 7)
    loggers.image("samples/first", image, "a caption")
    loggers.finish(0, {})
    (event,) = events(tmp_path).Images("samples/first")
    assert (event.step, event.height, event.width) == (7, 4, 6)
    client, kept = stored(tmp_path)
    path = client.download_artifacts(kept.info.run_id, "samples/first_step7.png")
    assert np.array_equal(np.asarray(Image.open(path)), image)


def test_a_resumed_run_goes_on_in_the_same_folder_and_the_same_mlflow_run(tmp_path, monkeypatch):
    arguments = (*TINY, "epochs=2", "logger=[tensorboard,mlflow]", f"output_dir={tmp_path}")
    fit = training.fit

    def interrupted(*arguments):
        fit(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "fit", interrupted)
    assert command(*arguments) == 130
    run = only_run(tmp_path)
    _, first = stored(run)
    assert (first.info.status, first.data.tags["status"]) == ("KILLED", "interrupted")
    monkeypatch.setattr(training, "fit", fit)
    assert command(*arguments, "cost.effective_field=true") == 0  # a parameter that may change
    client, kept = stored(run)
    assert kept.info.run_id == first.info.run_id
    assert (kept.info.status, kept.data.tags["status"]) == ("FINISHED", "completed")
    assert len(list((run / "tensorboard").glob("events.*"))) == 2
    expected = pytest.approx(column(run, "val/accuracy"))
    assert [point.value for point in client.get_metric_history(kept.info.run_id, "val/accuracy")] == expected
    assert [event.value for event in events(run).Scalars("val/accuracy")] == expected


def test_a_failed_run_is_failed_in_mlflow(tmp_path):
    assert command(*TINY, "logger=mlflow", "optim.lr=1e30", "schedule=constant", f"output_dir={tmp_path}") == 1
    _, kept = stored(only_run(tmp_path))
    assert (kept.info.status, kept.data.tags["exit_code"]) == ("FAILED", "1")
    assert "train/loss is nan" in kept.data.tags["error"]


class Broken:
    def __init__(self, folder: Path, **unused: object) -> None:
        self.calls: list[str] = []

    def metrics(self, *unused: object) -> None:
        self.fail("metrics")

    def table(self, *unused: object) -> None:
        self.fail("table")

    def image(self, *unused: object) -> None:
        self.fail("image")

    def finish(self, *unused: object) -> None:
        self.fail("finish")

    def fail(self, method: str) -> None:
        self.calls.append(method)
        raise RuntimeError(f"{method}\nis broken")


def warnings_of(caplog) -> list[str]:
    return [
        r.getMessage() for r in caplog.records if r.name.startswith("litconv.loggers") and r.levelno >= logging.WARNING
    ]


def test_a_logger_that_fails_is_one_warning_each_method_is_called_once_and_other_loggers_are_left_alone(
    tmp_path, caplog
):
    caplog.set_level(logging.DEBUG, "litconv")
    loggers = Loggers({"broken": Broken, "tensorboard": TensorBoard})
    loggers.start(tmp_path, **RUN)
    for step in range(3):
        loggers.log_metrics({"loss": 1.0 + step}, step)
        loggers.image("image", np.zeros((2, 2, 3), np.uint8), "")
    loggers.table("table", ["a"], [[1]])
    loggers.finish(0, {"status": "completed"})
    assert loggers.running["broken"].calls == ["metrics", "image", "table", "finish"]
    assert warnings_of(caplog) == [
        "broken: metrics failed and is left out from now on (RuntimeError: metrics is broken); the run, metrics.csv and "
        "summary.json go on without; what else fails of it stands in train.log"
    ]
    told = [record.getMessage() for record in caplog.records if record.name == "litconv.loggers.together"]
    assert [line.partition(" failed")[0] for line in told] == [
        f"broken: {method}" for method in ("metrics", "image", "table", "finish")
    ]
    assert [event.value for event in events(tmp_path).Scalars("loss")] == [1.0, 2.0, 3.0]


def test_a_logger_that_raises_in_each_of_its_methods_does_not_fail_the_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "broken_logger.py").write_text(
        "from litconv.loggers.csv import Csv\n"
        "class Broken(Csv):\n"
        "    def metrics(self, *unused): raise OSError('full')\n"
        "    table = image = finish = metrics\n"
        "class Unborn(Csv):\n"
        "    def __init__(self, *unused, **more): raise OSError('token of a kind')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MY_TOKEN", "token of a kind")
    own = ("+logger.a._target_=broken_logger.Broken", "+logger.b._target_=broken_logger.Unborn")
    arguments = (*TINY, "logger=csv", *own, "allowed_packages=[broken_logger]", f"output_dir={tmp_path}")
    assert command(*arguments) == 0
    printed = capsys.readouterr()
    assert "token of a kind" not in printed.err
    said = [line for line in printed.err.splitlines() if line.startswith(("a:", "b:"))]
    assert [line.partition(" (")[0] for line in said] == [
        "b: off for this run",
        "a: table failed and is left out from now on",
    ]


def test_a_signal_while_one_logger_closes_leaves_the_others_closed(tmp_path):
    class Waits(Csv):
        def finish(self, *unused: object) -> None:
            raise KeyboardInterrupt

    loggers = Loggers({"waits": Waits, "mlflow": Mlflow})
    loggers.start(tmp_path, **RUN)
    with pytest.raises(KeyboardInterrupt):
        loggers.finish(0, {})
    assert stored(tmp_path)[1].info.status == "FINISHED"


def test_a_signal_between_validation_and_the_end_of_its_epoch_leaves_no_half_row_that_a_resumed_run_would_not_complete(
    tmp_path,
):
    first, second = (Loggers({"tensorboard": TensorBoard, "mlflow": Mlflow}) for _ in range(2))
    first.start(tmp_path, **RUN)
    first.log_metrics({"val/loss": 1.0, "epoch": 0}, 3)
    first.finish(143, {})
    second.start(tmp_path, **RUN)
    second.log_metrics({"val/loss": 1.0, "epoch": 0}, 3)
    second.log_metrics({"train/loss": 2.0, "epoch": 0}, 3)
    second.finish(0, {})
    client, kept = stored(tmp_path)
    for key, value in {"val/loss": 1.0, "train/loss": 2.0}.items():
        assert [(point.step, point.value) for point in client.get_metric_history(kept.info.run_id, key)] == [(3, value)]
        assert [(event.step, event.value) for event in events(tmp_path).Scalars(key)] == [(3, value)]


def test_a_logger_is_added_by_one_class_and_one_yaml(tmp_path, monkeypatch):
    from litconv.config.composed import CONF

    (tmp_path / "own_logger.py").write_text(OWN)
    (tmp_path / "conf" / "logger").mkdir(parents=True)
    (tmp_path / "conf" / "logger" / "lines.yaml").write_text(
        "# @package logger.lines\n_target_: own_logger.Lines\nending: '!'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = f"hydra.searchpath=[file://{tmp_path / 'conf'}]"
    assert not (CONF / "logger" / "lines.yaml").exists()
    arguments = (*TINY, path, "logger=[csv,lines]", "allowed_packages=[own_logger]", f"output_dir={tmp_path}")
    assert command(*arguments) == 0
    lines = (only_run(tmp_path) / "lines.txt").read_text().splitlines()
    assert lines[0].startswith("table cost/layers ")
    assert lines[-1] == "finish 0 completed!"
    assert "metrics 3!" in lines


def test_csv_alone_leaves_metrics_csv_and_no_folder(tmp_path):
    assert command(*TINY, "logger=csv", f"output_dir={tmp_path}") == 0
    left = {path.name for path in only_run(tmp_path).iterdir()}
    assert left == {
        "card.json",
        "checkpoints",
        "config.yaml",
        "confusion.csv",
        "metrics.csv",
        "summary.json",
        "train.log",
    }


@pytest.mark.parametrize("logger", [Csv, Mlflow, TensorBoard, Wandb])
def test_every_logger_has_what_a_logger_must_have(logger):
    assert issubclass(logger, RunLogger)


def test_the_names_in_configurations_of_before_are_the_classes_of_today():
    assert (csv_only, make_wandb) == (Csv, Wandb)
