"""Facts hang on classes: a yaml under another name gives the same run, another class under the same name does not."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from command import ROOT
from litconv.config import checks
from litconv.config import composed as config
from litconv.errors import ConfigError
from litconv.prepare.checks import parts
from litconv.run.asked import Asked
from litconv.run.naming import arm_hash, config_hash

OPERATOR = "from litconv.conv.standard import Standard\nclass Op(Standard): ...\n"


@pytest.fixture
def copied(tmp_path):
    """copied(group, name) puts conf/group/name.yaml beside conf/ as `mine`, and gives the overrides that choose it."""

    def copy(group: str, name: str) -> list[str]:
        (tmp_path / group).mkdir(parents=True, exist_ok=True)
        shutil.copy(config.CONF / group / f"{name}.yaml", tmp_path / group / "mine.yaml")
        return [f"hydra.searchpath=[file://{tmp_path}]", f"{group}=mine"]

    return copy


@pytest.mark.parametrize(
    ("group", "name", "more"),
    [
        ("conv", "standard", []),
        ("conv", "grouped", ["groups=4"]),
        ("task", "segmentation", []),
        ("head", "fcn", ["task=segmentation"]),
        ("optim", "adamw", []),
        ("trainer", "cpu", []),
        ("data", "shapes", []),
        ("match", "macs", []),
    ],
)
def test_a_copied_yaml_is_judged_as_the_original(copied, group, name, more):
    copy, original = config.compose([*more, *copied(group, name)]), config.compose([*more, f"{group}={name}"])
    for composed in (copy, original):
        checks.check(composed)
        checks.check_libraries(composed)
    assert config.is_standard(copy) == config.is_standard(original)
    assert config.plain(copy) == config.plain(original)
    assert config_hash(config.plain(copy)) == config_hash(config.plain(original))
    parts(Asked.of(copy))


def test_a_copied_head_or_task_that_does_not_fit_is_refused(copied):
    with pytest.raises(ConfigError, match="head=mine is not for task=classification; heads that are: linear"):
        checks.check(config.compose(copied("head", "unet")))
    with pytest.raises(ConfigError, match=r"head=linear is not for task=mine; heads that are: deeplab, fcn, unet"):
        checks.check(config.compose([*copied("task", "segmentation"), "head=linear"]))


@pytest.mark.parametrize(
    ("overrides", "is_standard"),
    [
        ([], True),
        (["kernel_size=5"], True),  # the reference follows the short name
        (["conv@conv_stage3=standard"], True),
        (["conv@conv_stage3=dilated"], False),
        (["conv.kernel_size=5"], False),
        (["conv=grouped"], False),
        (["conv=grouped", "conv@conv_stage1=standard", "conv@conv_stage2=standard"], False),
        (["match=macs"], False),
        (["~conv.kernel_size"], True),  # 3 is the default of the class
    ],
)
def test_standard_is_what_ratios_refer_to(overrides, is_standard):
    assert config.is_standard(config.compose(overrides)) is is_standard


def test_a_class_of_ones_own_under_the_yaml_of_the_standard_convolution_is_not_standard(tmp_path, monkeypatch):
    (tmp_path / "own_operator.py").write_text(OPERATOR)
    monkeypatch.syspath_prepend(tmp_path)
    composed = config.compose(["allowed_packages=[own_operator]", "conv._target_=own_operator.Op"])
    checks.check(composed)
    assert config.choices(composed)["conv"] == "standard"
    assert not config.is_standard(composed)


def test_a_launcher_that_reads_the_key_takes_it_whatever_its_name(copied):
    swept = ["n_jobs=2", "hydra.mode=MULTIRUN"]
    checks.check(config.compose([*swept, "hydra/launcher=local"]))
    checks.check(config.compose([*swept, *copied("hydra/launcher", "local")]))
    with pytest.raises(ConfigError, match="n_jobs=2 has no effect: the chosen hydra/launcher has options of its own"):
        checks.check(config.compose([*swept, "hydra/launcher=basic"]))


SAVED = sorted((ROOT / "tests" / "saved_runs").iterdir())


@pytest.mark.parametrize("run", SAVED, ids=lambda run: run.name)
def test_a_run_that_was_saved_before_keeps_its_hashes(run: Path):
    settings = yaml.safe_load((run / "config.yaml").read_text())
    del settings["choices"]  # as_yaml adds them
    summary = json.loads((run / "summary.json").read_text())
    assert config_hash(settings) == summary["config_hash"]
    assert arm_hash(settings) == summary["arm_hash"]
