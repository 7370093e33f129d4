"""Runs' folders with a real configuration and a checkpoint of a network as it was initialised: for what rebuilds networks."""

import json
from pathlib import Path

import torch

from command import TINY
from litconv import build
from litconv.config.composed import compose
from litconv.run.asked import Asked


def untrained_run(root: Path, *overrides: str, shapes: bool = True) -> Path:
    """One completed run below root/sweeps/made; its score is made up."""
    asked = Asked.of(compose([*(TINY if shapes else ()), "width=0.5", "logger=csv", *overrides]))
    folder = root / "sweeps" / "made" / asked.name
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text(asked.config_yaml(asked.config))
    data = build.data(asked.config)
    data.setup("test")
    task = build.task(asked.config, data)
    for module in task.modules():  # else an initialised network says the same of every image
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        task.train()(next(iter(data.test_dataloader()))[0])
    torch.save({"state_dict": task.state_dict()}, folder / "checkpoints" / "best.ckpt")
    metric = "accuracy" if asked.choices["task"] == "classification" else "miou"
    written = {"status": "completed", "name": asked.name, "seed": asked.settings["seed"], "arm_hash": asked.arm_hash}
    written |= {"task": asked.choices["task"], "data": asked.choices["data"], f"test/{metric}": 0.5}
    (folder / "summary.json").write_text(json.dumps(written))
    return folder
