"""`seeds=`: how many seeds a sweep plans, and plan.json, which holds what was planned first."""

import json

import pytest
from omegaconf import OmegaConf

from command import TINY, command
from litconv.config.spelling import planned_seeds
from litconv.run.planned import read_plan, write_plan
from litconv.sweep.plan_file import PlanFile, seeds_swept


def launch(tmp_path, *overrides, params=None, seeds=None):
    hydra = {"overrides": {"task": list(overrides)}, "sweeper": {"params": params}}
    return OmegaConf.create({"output_dir": str(tmp_path), "sweep": "made", "seeds": seeds, "hydra": hydra})


@pytest.mark.parametrize(
    ("overrides", "params", "count"),
    [
        (["conv=a,b", "seed=0,1,2"], None, 3),
        (["seed=range(5)"], None, 5),
        (["seed=range(2,8,2)"], {"seed": "0,1"}, 3),  # the command line wins
        (["conv=a,b"], {"conv": "a,b", "seed": "range(4)"}, 4),
        (["conv=a,b"], {"conv": "a,b"}, None),
        (["conv=a,b", "seed=7"], None, None),  # one seed is no plan
        (["seed=interval(0,9)"], None, None),
    ],
)
def test_the_seeds_of_a_launch_are_counted(tmp_path, overrides, params, count):
    assert seeds_swept(launch(tmp_path, *overrides, params=params)) == count


def test_what_was_planned_first_stands(tmp_path):
    PlanFile().on_multirun_start(launch(tmp_path, "seed=0,1", seeds=8))
    assert read_plan(tmp_path / "sweeps" / "made") == 8
    PlanFile().on_multirun_start(launch(tmp_path, "seed=range(20)"))
    assert read_plan(tmp_path / "sweeps" / "made") == 8


@pytest.mark.parametrize("text", ["", "{", "[]", '{"seeds": "3"}', '{"seeds": 0}', '{"seeds": true}'])
def test_a_plan_that_cannot_be_read_is_none(tmp_path, text):
    assert read_plan(tmp_path) is None
    (tmp_path / "plan.json").write_text(text)
    assert read_plan(tmp_path) is None
    write_plan(tmp_path, 3)
    assert (tmp_path / "plan.json").read_text() == text  # nobody's file is written over


def test_seeds_mean_the_first_ones_unless_it_is_said_which():
    assert planned_seeds(["-m", "conv=a,b", "seeds=4"]) == ["seed=range(4)"]
    assert planned_seeds(["-m", "seeds=4", "seed=0,1"]) == []
    assert planned_seeds(["-m", "conv=a,b"]) == []
    for odd in ("x", "0", "-1", "2.5", "1001"):  # refused by the check of the configuration
        assert planned_seeds(["-m", f"seeds={odd}"]) == []


def test_a_sweep_plans_its_seeds_and_trains_them(tmp_path):
    assert command("-m", *TINY, f"output_dir={tmp_path}", "seeds=2", "sweep=planned") == 0
    folders = sorted((tmp_path / "sweeps" / "planned").glob("*/summary.json"))
    assert sorted(json.loads(path.read_text())["seed"] for path in folders) == [0, 1]
    assert read_plan(tmp_path / "sweeps" / "planned") == 2


@pytest.mark.parametrize("seeds", ["0", "1001"])
def test_a_number_of_seeds_that_is_none_is_refused_and_leaves_no_plan(tmp_path, capsys, seeds):
    assert command("-m", *TINY, f"output_dir={tmp_path}", f"seeds={seeds}", "sweep=odd") == 1
    assert f"seeds={seeds} must be more than 0 and at most 1000" in capsys.readouterr().err
    assert read_plan(tmp_path / "sweeps" / "odd") is None


def test_seeds_are_for_sweeps(tmp_path, capsys):
    assert command(*TINY, f"output_dir={tmp_path}", "seeds=2") == 1
    assert "seeds=2 has no effect: it is for the jobs of a sweep; remove it, or add -m" in capsys.readouterr().err
