"""diagnostics=true in a run, and scripts/diagnose.py afterwards."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from command import TINY, command
from litconv.config.composed import compose
from litconv.run import state
from litconv.run.asked import Asked
from logger_readers import events
from wandb_reader import read_run

QUICK = (*TINY, "logger=csv")


@pytest.fixture(scope="module")
def diagnosed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("diagnosed")
    arguments = ("conv=deformable", "diagnostics=true", "logger=tensorboard", f"output_dir={folder}")
    assert command(*QUICK, *arguments) == 0
    return next((folder / "runs").iterdir())


@pytest.fixture
def run(diagnosed, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(diagnosed, tmp_path / "runs" / diagnosed.name)


def figures(run) -> dict:
    summary = json.loads((run / "summary.json").read_text())
    return {k: v for k, v in summary.items() if k.startswith("diagnostics/")}


def test_a_run_leaves_figures_a_table_and_pictures(diagnosed):
    found = figures(diagnosed)
    assert found["diagnostics/images"] == 32  # the validation set
    expected = "dead_channels nearly_dead_channels correlation effective_rank separability offset effective_field"
    assert {f"diagnostics/{key}" for key in expected.split()} < found.keys()
    assert (
        found["diagnostics/receptive_field"]
        == json.loads((diagnosed / "summary.json").read_text())["cost/receptive_field"]
    )
    with (diagnosed / "diagnostics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["kind"] for row in rows} == {"activation", "kernels", "offsets"}
    ranks = [float(row["effective_rank"]) / int(row["channels"]) for row in rows if row["kind"] == "activation"]
    assert sum(ranks) / len(ranks) == pytest.approx(found["diagnostics/effective_rank"])
    for name in ("receptive_field", "first_kernels", "sampling_points"):
        assert Image.open(diagnosed / "diagnostics" / f"{name}.png").mode == "RGB"


def test_the_logger_has_the_pictures_and_the_table(diagnosed):
    read = events(diagnosed)
    for name in ("receptive_field", "first_kernels", "sampling_points"):
        (logged,) = read.Images(f"diagnostics/{name}")
        picture = Image.open(io.BytesIO(logged.encoded_image_string))
        assert np.array_equal(picture, Image.open(diagnosed / "diagnostics" / f"{name}.png"))
    (table,) = read.Tensors("diagnostics/layers/text_summary")
    text = table.tensor_proto.string_val[0].decode()
    lines = (diagnosed / "diagnostics.csv").read_text().splitlines()
    assert len(text.splitlines()) == len(lines) + 1  # and the rule below the heading


def kernels_of(run) -> list[np.ndarray]:
    weights = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    return [
        value.numpy().reshape(-1, *value.shape[2:])
        for key, value in weights.items()
        if key.endswith("weight") and value.ndim == 4 and min(value.shape[2:]) > 1 and ".offset." not in key
    ]


def test_the_kernels_are_those_of_the_best_checkpoint(diagnosed):
    kernels = kernels_of(diagnosed)
    energies = np.concatenate([np.linalg.svd(one, compute_uv=False) ** 2 for one in kernels])
    expected = (energies[:, 0] / energies.sum(1)).mean()
    assert figures(diagnosed)["diagnostics/separability"] == pytest.approx(expected, rel=1e-4)


def test_afterwards_the_best_checkpoint_is_read(run):
    path = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    for value in checkpoint["state_dict"].values():
        if value.ndim == 4:
            value.fill_(0.01)
    torch.save(checkpoint, path)
    assert command(f"run={run}", module="diagnose") == 0
    assert figures(run)["diagnostics/separability"] == pytest.approx(1)


def test_a_run_is_the_same_run_with_and_without():
    plain, diagnosing = (Asked.of(compose([*QUICK, f"diagnostics={on}"])) for on in ("false", "true"))
    assert plain.config_hash == diagnosing.config_hash
    assert plain.folder == diagnosing.folder


def test_afterwards_the_figures_are_the_same(run, capsys):
    before = figures(run)
    assert command(f"run={run}", module="diagnose") == 0
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines()[1:])
    after = figures(run)
    assert printed.keys() == after.keys() == before.keys()
    for key in before.keys() - {"diagnostics/seconds"}:
        assert after[key] == pytest.approx(before[key], rel=1e-4)


def test_of_a_run_that_was_logged_to_wandb_the_diagnosis_is_a_run_beside_it(run, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    (run / "wandb").mkdir()
    assert command(f"run={run}", module="diagnose") == 0
    assert "wandb sync " in capsys.readouterr().err
    logged = read_run(run)
    summary = json.loads((run / "summary.json").read_text())
    assert logged["exit_code"] == 0
    assert (logged["run"]["run_group"], logged["run"]["job_type"]) == ("runs", "diagnose")
    assert logged["run"]["display_name"] == f"diagnose {run.name}"
    (table,) = run.glob("wandb/offline-run-*/files/media/table/diagnostics/layers*.table.json")
    rows = json.loads(table.read_text())["data"]
    assert len(rows) == len((run / "diagnostics.csv").read_text().splitlines()) - 1
    assert {k: v for k, v in logged["summary"].items() if k.startswith("diagnostics/")}.keys() >= figures(run).keys()
    assert logged["summary"]["diagnostics/correlation"] == pytest.approx(summary["diagnostics/correlation"])
    keys = {key.partition(".")[0] for row in logged["history"] for key in row}
    pictures = {f"diagnostics/{name}" for name in ("receptive_field", "first_kernels", "sampling_points")}
    assert {"diagnostics/layers", *pictures} <= keys


def test_a_run_that_was_not_logged_to_wandb_is_not_afterwards(run):
    assert command(f"run={run}", module="diagnose") == 0
    assert not (run / "wandb").exists()


def test_the_other_figures_of_the_summary_stay(run):
    before = json.loads((run / "summary.json").read_text())
    spoilt = {**before, "diagnostics/of_another_version": 1}
    (run / "summary.json").write_text(json.dumps(spoilt))
    assert command(f"run={run}", module="diagnose") == 0
    after = json.loads((run / "summary.json").read_text())
    others = {k: v for k, v in before.items() if not k.startswith("diagnostics/")}
    assert {k: v for k, v in after.items() if not k.startswith("diagnostics/")} == others
    assert "diagnostics/of_another_version" not in after


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "run is missing: the folder of the run to diagnose, such as run="),
        (("run=/no/such/run",), "run=/no/such/run is not a run's folder"),
        (("device=quantum",), "device=quantum is not there; this machine has cpu"),
        (("data_root=/data",), "data.root=/data has no effect: data=shapes reads no files"),
    ],
)
def test_what_cannot_be_diagnosed_is_one_line(run, arguments, said, capsys):
    given = arguments if not arguments or arguments[0].startswith("run=") else (f"run={run}", *arguments)
    assert command(*given, module="diagnose") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {said}")


def test_a_run_without_a_checkpoint_is_one_line(run, capsys):
    shutil.rmtree(run / "checkpoints")
    assert command(f"run={run}", module="diagnose") == 1
    said = f"error: checkpoint=best is not in {run}; there: none; train it again, or give another run\n"
    assert capsys.readouterr().err == said


def test_a_class_that_is_not_allowed_is_refused(run, capsys):
    written = run / "config.yaml"
    written.write_text(written.read_text().replace("litconv.conv.deformable.Deformable", "os.system"))
    assert command(f"run={run}", module="diagnose") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "os.system" in line


def test_a_run_that_is_being_written_is_left_alone(run, capsys):
    with state.lock(run):
        assert command(f"run={run}", module="diagnose") == 1
    assert "is being written by another process" in capsys.readouterr().err


def test_several_processes_are_refused_before_training(tmp_path, capsys):
    arguments = ("trainer.devices=2", "diagnostics=true", f"output_dir={tmp_path}")
    assert command(*QUICK, *arguments) == 1
    assert "diagnostics=true with trainer.devices=2" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
