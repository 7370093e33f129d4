"""What a run is hangs on the classes that it is built of, never on the file names of yamls."""

import json
import shutil

import pytest

from command import ROOT, TINY, command
from litconv.config.composed import load
from litconv.conv import Standard

CONF = ROOT / "conf"
QUICK = (*TINY, "logger=csv")


class Op(Standard):
    """A user's own operator, in the place of the standard one."""


def run(folder, *overrides):
    assert command(*QUICK, *overrides, f"output_dir={folder}") == 0
    (written,) = folder.glob("*/**/summary.json")
    return json.loads(written.read_text()), load(written.with_name("config.yaml"))


@pytest.fixture
def own_yamls(tmp_path):
    """A folder of the user's with copies of litconv's yamls under other names; the override that adds it."""
    for group, name in {"task": "segmentation", "conv": "grouped", "head": "unet", "data": "shapes"}.items():
        (tmp_path / "conf" / group).mkdir(parents=True)
        shutil.copy(CONF / group / f"{name}.yaml", tmp_path / "conf" / group / f"own_{name}.yaml")
    return f"hydra.searchpath=[file://{tmp_path / 'conf'}]"


def what_it_was(summary):
    timed = ("train/seconds", "train/images_per_second", "versions", "overrides")
    return {key: value for key, value in summary.items() if not key.startswith(timed)}


@pytest.mark.parametrize(
    ("copies", "originals"),
    [
        (["task=own_segmentation", "head=own_unet"], ["task=segmentation", "head=unet"]),
        (["conv=own_grouped", "groups=4", "data=own_shapes"], ["conv=grouped", "groups=4", "data=shapes"]),
        (["conv@conv_stage2=own_grouped"], ["conv@conv_stage2=grouped"]),
    ],
    ids=" ".join,
)
def test_a_yaml_under_another_name_gives_the_same_run(own_yamls, copies, originals, tmp_path):
    own, own_config = run(tmp_path / "own", own_yamls, *copies)
    original, config = run(tmp_path / "original", *originals)
    assert what_it_was(own) == what_it_was(original)
    assert own_config.choices == config.choices


def test_a_sweep_of_a_task_under_another_name_ends_with_a_value_for_a_search(own_yamls, tmp_path, capsys):
    assert command("-m", *QUICK, own_yamls, "task=own_segmentation", "seed=0,1", f"output_dir={tmp_path / 'o'}") == 0
    statuses = [json.loads(path.read_text())["status"] for path in (tmp_path / "o").rglob("summary.json")]
    assert statuses == ["completed"] * 2
    assert "val/miou" in capsys.readouterr().out


MINE = ("conv._target_=test_facts_on_classes.Op", "allowed_packages=[test_facts_on_classes]")


def test_a_class_in_the_place_of_the_standard_one_is_not_called_standard(tmp_path):
    summary, config = run(tmp_path, *MINE)
    assert summary["conv"] == config.choices.conv == "Op"
    assert "_Op_" in summary["name"]


def test_its_latency_is_measured_beside_the_standard_convolution_and_its_cost_is_its_own(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("litconv.prepare.costs.measure", lambda model, standard, *rest, **more: seen.append(standard))
    run(tmp_path, *MINE, "cost.latency.enabled=true")
    assert [type(standard.backbone.stage1[0].conv1) for standard in seen] == [Standard]


def test_it_is_no_reference_of_a_comparison(tmp_path, capsys):
    for number, overrides in enumerate([("conv=grouped",), MINE, ("conv=standard",)]):
        run(tmp_path / str(number), *overrides)
    folders = f"folders=[{','.join(str(tmp_path / str(number)) for number in range(3))}]"
    assert command(folders, f"out={tmp_path / 'page'}", "wandb=false", module="compare") == 0
    table = (tmp_path / "page" / "table.csv").read_text().splitlines()
    verdicts = dict(line.split(",")[:2] for line in table[1:])
    assert verdicts.pop("standard") == "reference"
    assert verdicts.keys() == {"grouped", "Op"}
    assert "reference" not in verdicts.values()
