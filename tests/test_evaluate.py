"""scripts/evaluate.py: a run's figures again, and one line for a folder that cannot be used."""

import json
import shutil
import sys

import pytest
import torch
from omegaconf import OmegaConf

from command import TINY, command
from data_helpers import make_image_folder
from litconv.run import own_runs


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert command(*TINY, "logger=csv", f"output_dir={folder}") == 0
    return next((folder / "runs").iterdir())


@pytest.fixture
def run(finished, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(finished, tmp_path / "run")


def evaluated(run, *arguments):
    return command(f"run={run}", "accelerator=cpu", *arguments, module="evaluate")


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_figures_are_those_that_the_run_reported(finished, capsys, split):
    summary = json.loads((finished / "summary.json").read_text())
    assert evaluated(finished, f"split={split}") == 0
    printed = dict(line.split() for line in capsys.readouterr().out.strip().splitlines()[1:])
    for key in (f"{split}/accuracy", f"{split}/loss"):
        assert float(printed[key]) == pytest.approx(summary[key], abs=5e-5)


def edit(run, **changes):
    config = OmegaConf.load(run / "config.yaml")
    for key, value in changes.items():
        OmegaConf.update(config, key.replace("__", "."), value, merge=False)
    OmegaConf.save(config, run / "config.yaml")


SPOILT = {
    "torn checkpoint": (
        lambda run: (run / "checkpoints" / "best.ckpt").write_bytes(b"torn"),
        "/checkpoints/best.ckpt cannot be read as a checkpoint (it is corrupt)",
    ),
    "checkpoint of another model": (
        lambda run: edit(run, width=1.0, backbone__width=1.0),
        "does not fit the model of config.yaml: model.backbone.stage1.0.conv1",
    ),
    "no yaml": (lambda run: (run / "config.yaml").write_text("a: [1"), "/config.yaml cannot be read ("),
    "another yaml": (
        lambda run: (run / "config.yaml").write_text("a: 1"),
        "is not the config.yaml of a run: it has no seed",
    ),
    "a list": (lambda run: (run / "config.yaml").write_text("- 1"), "is not the config.yaml of a run"),
    "code of somebody else": (
        lambda run: edit(run, data={"_target_": "os.system", "command": "true"}, allowed_packages=["os"]),
        "data._target_=os.system may not be built: ",
    ),
    "a data set that is gone": (
        lambda run: edit(run, data={"_target_": "litconv.data.image_folder.ImageFolder", "root": "/no/such/place"}),
        "data.root=/no/such/place is not a folder",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_run_that_cannot_be_evaluated_is_one_line(run, capsys, case):
    spoil, said = SPOILT[case]
    spoil(run)
    assert evaluated(run) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1, error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "run is missing: the folder of the run to evaluate, such as run="),
        ("run=/no/such/run", "run=/no/such/run is not a run's folder"),
        ("run=https://example.org/run", "run=https://example.org/run is a URL"),
    ],
)
def test_what_is_no_run_is_one_line(arguments, said, capsys):
    assert command(*arguments.split(), module="evaluate") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("split=train", "split=train must be val or test"),
        ("checkpoint=../../x", "checkpoint=../../x must be the name of one in the run's folder"),
        ("checkpoint=other", "; there: best, last"),
        ("accelerator=quantum", "accelerator=quantum: "),
        *([] if torch.cuda.is_available() else [("accelerator=gpu", "accelerator=gpu: ")]),
    ],
)
def test_arguments_that_cannot_be_met_are_one_line(finished, capsys, argument, said):
    assert command(f"run={finished}", argument, module="evaluate") == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1, error


OWN = """
from litconv.conv import Standard
class Op(Standard): ...
"""


@pytest.fixture
def own_run(tmp_path, monkeypatch):
    """A run with an operator of the user's own, in a home of its own."""
    (tmp_path / "own_op.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    mine = ("conv._target_=own_op.Op", "allowed_packages=[own_op]")
    assert command(*TINY, *mine, "logger=csv", f"output_dir={tmp_path / 'out'}") == 0
    yield next((tmp_path / "out" / "runs").iterdir())
    sys.modules.pop("own_op", None)


REFUSED = "conv._target_=own_op.Op may not be built: "


def test_a_run_of_ones_own_is_evaluated_without_naming_its_packages_again_wherever_it_lies(own_run, tmp_path, capsys):
    assert evaluated(own_run) == 0
    assert evaluated(own_run.rename(tmp_path / "moved")) == 0
    assert REFUSED not in capsys.readouterr().err


def test_a_run_that_somebody_else_made_or_changed_names_its_packages_on_the_command_line(
    own_run, monkeypatch, tmp_path, capsys
):
    with monkeypatch.context() as patch:  # another user's machine
        patch.setenv("XDG_STATE_HOME", str(tmp_path / "nothing"))
        assert evaluated(own_run) == 1
        assert REFUSED in capsys.readouterr().err
        assert evaluated(own_run, "allowed_packages=[own_op]") == 0
    edit(own_run, seed=1)  # one's own run, with one word changed by whoever it was
    assert evaluated(own_run) == 1
    assert REFUSED in capsys.readouterr().err


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_what_others_could_have_written_is_no_proof_of_an_own_run(own_run, mode, capsys):
    own_runs.place().chmod(mode)
    assert evaluated(own_run) == 1
    assert REFUSED in capsys.readouterr().err
    own_runs.place().chmod(0o700)
    assert evaluated(own_run) == 0


def test_a_user_without_a_home_has_no_own_runs_and_trains_all_the_same(monkeypatch):
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # as of a user whom the system does not know
    config_yaml = "allowed_packages: [own_op]\n"
    own_runs.remember(config_yaml)
    assert not own_runs.is_own(config_yaml)


def test_a_run_without_packages_of_its_own_leaves_no_trace_outside_its_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert command(*TINY, "logger=csv", f"output_dir={tmp_path / 'out'}") == 0
    assert not (tmp_path / "state").exists()


QUICK = ("data.batch_size=4", "width=0.25", "trainer=cpu", "cost.latency.enabled=false", "logger=csv")


def test_data_that_were_moved_since_the_run_are_named_anew(tmp_path, capsys):
    data = make_image_folder(tmp_path / "data", {"train": 4, "val": 4}, size=(16, 16))
    assert command("data=image_folder", f"data.root={data}", "epochs=1", *QUICK, f"output_dir={tmp_path}") == 0
    (run,) = (tmp_path / "runs").glob("*seed0*")
    data.rename(tmp_path / "moved")
    capsys.readouterr()
    arguments = (f"run={run}", "split=val", "accelerator=cpu")
    assert command(*arguments, module="evaluate") == 1
    assert capsys.readouterr().err.endswith("; if the data were moved since the run, add data.root=… to this command\n")
    for key in ("data.root", "data_root"):
        assert command(*arguments, f"{key}={tmp_path}/moved", module="evaluate") == 0
        printed = dict(line.split() for line in capsys.readouterr().out.splitlines()[1:])
        accuracy = json.loads((run / "summary.json").read_text())["val/accuracy"]
        assert float(printed["val/accuracy"]) == pytest.approx(accuracy, abs=1e-4)
    assert command(*arguments, "data.root=a", "data_root=b", module="evaluate") == 1
    assert capsys.readouterr().err == "error: data.root=a and data_root=b say the same; give one\n"
    assert command(*arguments, f"data.root={tmp_path}/nowhere", module="evaluate") == 1
    assert capsys.readouterr().err.endswith(f"; data.root={tmp_path}/nowhere is where it was looked for\n")


def test_a_place_of_data_is_refused_for_a_run_that_reads_none(run, capsys):
    assert command(f"run={run}", "data_root=/data", module="evaluate") == 1
    assert capsys.readouterr().err == "error: data.root=/data has no effect: data=shapes reads no files\n"
