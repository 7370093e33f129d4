"""The recipes in conf/experiment: every point of every grid is accepted and builds, and has the published cost."""

import json
from itertools import product
from pathlib import Path

import pytest
import torch
import yaml

from command import TINY, command
from litconv import build
from litconv.config import checks
from litconv.config import command_line as cli
from litconv.config import composed as config
from litconv.cost import count
from litconv.prepare.checks import parts
from litconv.run.asked import Asked

EXPERIMENTS = sorted(path.stem for path in (config.CONF / "experiment").glob("*.yaml"))
TEXTS = {name: (config.CONF / "experiment" / f"{name}.yaml").read_text() for name in EXPERIMENTS}


def grid(name: str) -> list[list[str]]:
    """The overrides of each run but for the seed."""
    params = yaml.safe_load(TEXTS[name]).get("hydra", {}).get("sweeper", {}).get("params", {})
    choices = [
        [f"{key}={value}" for value in str(values).split(",")] for key, values in params.items() if key != "seed"
    ]
    return [[f"experiment={name}", *point] for point in product(*choices)]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_point_of_a_recipe_is_accepted_and_builds(name):
    points = grid(name)
    hashes = set()
    for overrides in points:
        composed = config.compose(overrides)
        checks.check(composed)
        parts(Asked.of(composed))
        hashes.add(hash_of(composed))
    assert len(hashes) == len(points)


def hash_of(composed) -> str:
    from litconv.run.naming import config_hash

    return config_hash(config.plain(composed))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_recipe_says_its_own_command(name):
    assert TEXTS[name].startswith("# @package _global_\n# ")
    assert f"experiment={name}" in TEXTS[name]


@pytest.mark.parametrize(
    ("overrides", "params"),
    [
        ([], 2_243_546),
        (["conv=depthwise_separable", "conv.norm_between=true"], 293_514),
        (["conv=depthwise_separable", "conv.norm_between=true", "groups=2"], 1_358_970),
        (["conv=depthwise_separable", "conv.norm_between=true", "groups=16"], 406_410),
    ],
)
def test_wrn_40_2_has_the_params_of_the_published_logs(overrides, params):
    assert cost_of("experiment=wrn_40_2", *overrides).params == params


@pytest.mark.parametrize(
    "overrides",
    [["backbone.depth=16", "conv=standard"], ["backbone.depth=40", "backbone.widen=3", "conv=bsconv_u"]],
)
def test_both_networks_of_the_102_mmac_row_have_that_budget(overrides):
    assert cost_of("experiment=wrn_102_mmacs", *overrides).macs == pytest.approx(102e6, rel=0.02)


def cost_of(*overrides: str):
    with torch.device("meta"):
        return count(build.assemble(config.compose([*overrides]), 3, 10), 3, (32, 32))


def test_a_recipe_names_its_sweep_and_what_is_added_to_it_makes_another():
    def name(*arguments: str) -> str:
        argv = ["train.py", "-m", *arguments]
        cli.name_the_sweep(argv)
        return argv[-1].removeprefix("sweep=")

    assert name("experiment=groups") == name("experiment=groups", "n_jobs=2", "logger=csv") == "groups"
    assert name("experiment=groups", "epochs=3").startswith("groups-")
    assert name("conv=standard", "seed=0,1") == name("seed=0,1", "conv=standard", "rerun=all")
    assert name("conv=standard", "seed=0,1") != name("conv=standard", "seed=0,2")
    assert name("experiment=groups", "sweep=mine") == "mine"
    assert name("seed=0,1", "optim.lr=1,2", "best_of=optim.lr") != name("seed=0,1", "optim.lr=1,2")
    assert (
        name("experiment=operators_tuned", "tuning_seeds=5") == "operators_tuned"
    )  # more of them go on with the same sweep


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in EXPERIMENTS if "cifar10" not in TEXTS[name] and not name.startswith(("wrn", "camvid"))]
)
def test_every_recipe_of_shapes_trains(name, tmp_path):
    """One run of each point, cut short."""
    tiny = [override for override in TINY if not override.startswith("width") or "groups" not in name]
    recipe = yaml.safe_load(TEXTS[name])
    tuned = recipe.get("best_of")
    if tuned:
        tiny.append("tuning_seeds=1")
    assert command("-m", f"experiment={name}", "seed=0", f"output_dir={tmp_path}", "logger=csv", *tiny) == 0
    summaries = list(Path(tmp_path).rglob("summary.json"))
    values = recipe["hydra"]["sweeper"]["params"][tuned].split(",") if tuned else []
    assert len(summaries) == len(grid(name)) + (len(grid(name)) // len(values) if tuned else 0)  # and what is chosen
    assert {json.loads(path.read_text())["status"] for path in summaries} == {"completed"}
