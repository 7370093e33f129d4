"""The name of an arm for a person, from its own configuration."""

import json

import pytest

from command import TINY, command
from litconv.config.composed import compose
from litconv.run.arm_name import arm_name
from litconv.run.asked import Asked
from litconv.run.naming import arm_hash
from wandb_reader import read_run

NAMES = {
    "": "standard",
    "seed=3 epochs=2 data.batch_size=8 trainer=cpu logger=csv width=1": "standard",
    "conv=grouped": "grouped",
    "conv=grouped groups=2": "grouped",
    "conv=grouped groups=4": "grouped groups=4",
    "conv=grouped conv.groups=4 conv.shuffle=true": "grouped groups=4 shuffle=true",
    "conv=dilated dilation=4": "dilated rate=4",
    "kernel_size=5": "standard kernel_size=5",
    "conv=deformable conv.implementation=gather": "deformable",
    "conv@conv_stage3=deformable": "deformable in stage 3",
    "conv@conv_stage3=deformable conv_stage3.modulated=true": "deformable in stage 3 modulated=true in stage 3",
    "width=0.5": "standard ×0.5 wide",
    "backbone=vgg backbone.depth=11": "standard backbone=vgg backbone.depth=11",
    "task=segmentation": "standard",
    "task=segmentation head=unet upsample=nearest": "standard upsample=nearest head=unet",
    "head=linear head.dropout=0.1": "standard head.dropout=0.1",
    "optim.lr=0.05": "standard optim.lr=0.05",
    "+optim.dampening=0.1": "standard optim.dampening=0.1",
    "task.mixup=0.2 ema=0.999": "standard task.mixup=0.2 ema=0.999",
    "compile.enabled=true memory_format=contiguous": "standard memory_format=contiguous compile=default",
    "experiment=operators conv=grouped": "grouped",
}


def named(text, width=None):
    return Asked.of(compose(text.split())).arm(width)


@pytest.mark.parametrize("text", NAMES)
def test_an_arm_is_called_by_its_operator_and_what_is_not_as_usual(text):
    assert named(text) == NAMES[text]


def test_a_width_that_was_searched_for_is_said_as_a_factor():
    assert named("conv=grouped groups=4 match=macs", 1.3437) == "grouped groups=4 ×1.34 wide"
    assert named("conv=standard match=macs", 1.0) == "standard"


def test_arms_that_differ_have_different_names():
    arms = [text.split() for text in NAMES if "seed" not in text and "experiment" not in text]
    hashes = {arm_hash(Asked.of(compose(arm)).settings): named(" ".join(arm)) for arm in arms}
    by_data = {"task=segmentation"}  # another question, not another arm
    assert len(set(hashes.values())) == len(hashes) - len(by_data)


def test_an_operator_of_ones_own_is_called_by_its_class_and_nothing_is_imported_for_it():
    settings = {"width": 1.0, "conv": {"_target_": "no_such_package.Op", "_partial_": True, "k": 2}}
    assert arm_name(settings, {"conv": "Op", "task": "classification"}) == "Op k=2"


def test_a_run_says_its_arm_in_its_summary_and_to_wandb(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    arguments = ("conv=grouped", "groups=4", "match=macs", "logger=wandb", f"output_dir={tmp_path}")
    assert command(*TINY, *arguments) == 0
    (run,) = (tmp_path / "runs").glob("*seed*")
    summary = json.loads((run / "summary.json").read_text())
    assert summary["arm"] == f"grouped groups=4 ×{summary['match/width']:.3g} wide"
    kept = read_run(run)
    assert kept["config"]["arm"] == kept["summary"]["arm"] == summary["arm"]
    assert len([row for row in kept["history"] if "epoch" in row]) == 1
