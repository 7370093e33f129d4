"""scripts/wandb_sweep.yaml: each command that an agent runs for it, built by wandb itself, is one that train.py accepts."""

import itertools

from omegaconf import OmegaConf
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from command import ROOT
from litconv.config import checks
from litconv.config.composed import compose


def test_every_point_of_the_wandb_sweep_is_accepted():
    sweep = OmegaConf.to_container(OmegaConf.load(ROOT / "scripts" / "wandb_sweep.yaml"), resolve=False)
    assert (ROOT / sweep["program"]).exists()
    command = create_sweep_command(list(sweep["command"]))
    assert command[:3] == ["${env}", "python", "${program}"]
    assert command[-1] == "${args_no_hyphens}"
    axes = [[(key, {"value": value}) for value in axis["values"]] for key, axis in sweep["parameters"].items()]
    points = [create_sweep_command_args({"args": dict(p)})["args_no_hyphens"] for p in itertools.product(*axes)]
    assert len(points) == len(set(map(tuple, points))) == 15
    for point in points:
        checks.check(compose([*command[3:-1], *point]))
