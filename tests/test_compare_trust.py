"""Folders of runs that somebody else made, compared: what is built is what the one who compares allows."""

import shutil
import sys

import pytest
import torch
from omegaconf import OmegaConf

from command import TINY, command
from litconv.compare.predictions.rebuild import data_of, reason, task_of
from litconv.errors import ConfigError

EVIL = """
from pathlib import Path
Path(__file__).with_name("was_here").touch()
class Op: ...
"""
IMAGE = '<img src="data:image/png;base64,'
OWN = "from litconv.conv import Standard\nclass Op(Standard): ...\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with an operator of its maker's own, and the maker's state folder."""
    root = tmp_path_factory.mktemp("made")
    (root / "own_op.py").write_text(OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root)
        patch.setenv("XDG_STATE_HOME", str(root / "state"))
        mine = ("conv._target_=own_op.Op", "allowed_packages=[own_op]", "task=segmentation", "logger=csv")
        assert command(*TINY, *mine, f"output_dir={root}") == 0
        (run,) = (root / "runs").glob("*seed*")
        yield run, root
        sys.modules.pop("own_op", None)


@pytest.fixture
def maker(made, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(made[1] / "state"))


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "nothing"))


def rebuilt(run, allowed):
    return task_of(run / "checkpoints" / "best.ckpt", data_of(run, allowed), allowed)


def test_ones_own_run_is_rebuilt_without_naming_its_packages_again(made, maker):
    task = rebuilt(made[0], [])
    saved = torch.load(made[0] / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, saved[key]) for key, value in task.state_dict().items())
    assert not task.training


def test_a_run_of_somebody_else_is_rebuilt_of_the_packages_that_one_names_oneself(made, stranger):
    with pytest.raises(ConfigError, match=r"^conv._target_=own_op.Op may not be built: .*allowed_packages=\[own_op\]"):
        rebuilt(made[0], [])
    rebuilt(made[0], ["own_op"])


@pytest.mark.parametrize("place", ["conv", "data", "task", "optim"])
def test_a_class_that_the_file_allows_itself_is_not_even_imported_and_one_note_says_what_to_give(
    made, stranger, tmp_path, monkeypatch, capsys, place
):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil.py").write_text(EVIL)
    run = shutil.copytree(made[0], tmp_path / "runs" / "theirs")
    config = OmegaConf.load(run / "config.yaml")
    config.conv._target_ = "litconv.conv.standard.Standard"
    config[place]._target_ = "evil.Op"
    config.allowed_packages = ["evil", "own_op", "os"]
    OmegaConf.save(config, run / "config.yaml")
    out = tmp_path / "out"
    assert command(f"folders=[{run}]", f"out={out}", "wandb=false", "samples=1", module="compare") == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if "evil" in line]
    assert len(notes) == 1
    assert f"{place}._target_=evil.Op may not be built" in notes[0]
    assert notes[0].rstrip(")").endswith("add allowed_packages=[evil]")
    assert not (tmp_path / "was_here").exists()
    assert (out / "index.html").read_text().count(IMAGE) == 0  # without a network there is nothing to choose images by


def test_what_the_user_allows_is_shown(made, stranger, tmp_path):
    arguments = (f"folders=[{made[0]}]", "wandb=false", "samples=1")
    assert command(*arguments, f"out={tmp_path}", "allowed_packages=[own_op]", module="compare") == 0
    assert (tmp_path / "index.html").read_text().count(IMAGE) == 2  # the masks of the truth and of the arm


def test_allowed_packages_that_are_no_list_are_one_line(made, capsys):
    assert command(f"folders=[{made[0]}]", "allowed_packages=5", module="compare") == 1
    assert (
        capsys.readouterr().err == "error: allowed_packages=5 must be a list of package names, such as [my_package]\n"
    )


def test_what_a_library_says_is_cut_and_what_litconv_says_is_not():
    assert len(reason(RuntimeError("x" * 500))) == 160
    assert len(reason(ConfigError("x" * 500))) == 500
