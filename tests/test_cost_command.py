"""python scripts/cost.py: one table, its files, and what it refuses."""

import csv
import json

import pytest

from command import ROOT, command
from litconv.cost import Layer


def cost(*arguments: str) -> int:
    return command(*arguments, module="cost")


def test_a_sweep_is_one_table_with_ratios_and_a_file_of_flat_keys(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cost("-m", "conv=glob(*d)", "backbone=resnet,mobilenet", "sort=-macs", "out=costs.json") == 0
    header, *lines, written = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["conv", "backbone", "params"]
    assert len(lines) == 2 * len(list((ROOT / "conf" / "conv").glob("*d.yaml")))  # standard, grouped and the like
    assert written == "costs.json"
    assert [path.name for path in tmp_path.iterdir()] == ["costs.json"]
    rows = json.loads((tmp_path / "costs.json").read_text())
    macs = [row["cost/macs"] for row in rows]
    assert macs == sorted(macs, reverse=True)
    ledger = json.loads((ROOT / "tests" / "golden" / "cost.json").read_text())
    assert len(rows) == len(lines)
    for row in rows:
        golden = ledger[f"{row['backbone']} {row['conv']}"]
        assert {key: row[f"cost/{key}"] for key in golden} == golden
        assert row["cost/second_opinion"].startswith("agrees")
        assert row["cost/macs_ratio"] == pytest.approx(row["cost/macs"] / ledger[f"{row['backbone']} standard"]["macs"])
        assert row["cost/flops"] == 2 * row["cost/macs"]
        assert row["arm_hash"]


def test_what_varies_is_a_column_and_standard_need_not_be_among_the_points(tmp_path, capsys):
    out = tmp_path / "costs.csv"
    assert cost("-m", "conv=grouped", "groups=1,2", f"out={out}") == 0
    header, *_ = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["conv", "backbone", "groups"]
    with out.open() as file:
        one, two = csv.DictReader(file)
    assert float(one["cost/macs_ratio"]) == 1
    golden = json.loads((ROOT / "tests" / "golden" / "cost.json").read_text())
    grouped, standard = (golden[f"resnet {conv}"]["macs"] for conv in ("grouped", "standard"))  # groups=2 by default
    assert float(two["cost/macs_ratio"]) == pytest.approx(grouped / standard)


def test_layers_add_up_to_the_model(tmp_path, capsys):
    out = tmp_path / "layers.json"
    assert cost("conv=deformable", "task=segmentation", "per_layer=true", f"out={out}") == 0
    header, stem, *_ = capsys.readouterr().out.splitlines()
    assert header.split() == Layer.columns()
    *named, share = stem.split()
    assert named == ["backbone.stem.conv", "SameConv2d", "3×32×32", "16×32×32", "432", "442,368"]
    layers = json.loads(out.read_text())
    assert cost("conv=deformable", "task=segmentation", f"out={out}") == 0
    (row,) = json.loads(out.read_text())
    assert sum(layer["macs"] for layer in layers) == row["cost/macs"]
    assert sum(layer["params"] for layer in layers) == row["cost/params"]
    assert [layer["share"] for layer in layers] == pytest.approx([m["macs"] / row["cost/macs"] for m in layers])
    assert float(share) == pytest.approx(442_368 / row["cost/macs"], abs=5e-4)  # three digits are shown


def test_markdown_is_the_printed_table(tmp_path):
    out = tmp_path / "costs.md"
    assert cost(f"out={out}") == 0
    header, rule, row = out.read_text().splitlines()
    assert header.startswith("| conv | backbone | params | params_ratio | macs |")
    assert set(rule) == set("| -")
    assert row.startswith("| standard | resnet | 78,042 | 1.000 | 12,501,632 |")


KNOWN = {  # channels, height, width, classes; "…": what the command line says of it
    "data=shapes": (3, 32, 32, 10),
    "data=probe data.kind=geometry": (3, 32, 32, 6),
    "data=probe task=segmentation data.kind=texture": (3, 32, 32, 4),
    "data=cifar10": (3, 32, 32, 10),
    "data=cifar100": (3, 32, 32, 100),
    "data=fashion_mnist": (1, 28, 28, 10),
    "data=oxford_pet": (3, 128, 128, 37),
    "data=oxford_pet task=segmentation": (3, 128, 128, 3),
    "data=camvid task=segmentation": (3, 360, 480, 11),
    "data=voc task=segmentation": (3, 256, 256, 21),
    "data=image_folder data.image_size=[40,48] num_classes=7": (3, 40, 48, 7),
    "data=mask_folder task=segmentation data.image_size=40 num_classes=7": (3, 40, 40, 7),
    "data=cifar10 +data.image_size=64": (3, 64, 64, 10),
    "data=cifar10 num_classes=2": (3, 32, 32, 2),
}


@pytest.mark.parametrize("root_exists", [False, True])
@pytest.mark.parametrize("arguments", KNOWN)
def test_costs_need_no_data_where_channels_size_and_classes_are_known(arguments, root_exists, tmp_path):
    root = tmp_path / "data"
    if root_exists:
        root.mkdir()
    channels, height, width, classes = KNOWN[arguments]
    is_made = arguments.startswith(("data=shapes", "data=probe"))
    where = [] if is_made else [f"data.root={root}"]
    layers, whole = tmp_path / "layers.json", tmp_path / "whole.json"
    assert cost(*arguments.split(), *where, "per_layer=true", f"out={layers}") == 0
    stem, *_, last = json.loads(layers.read_text())
    assert stem["shape_in"] == f"{channels}×{height}×{width}"
    assert last["shape_out"].split("×")[0] == str(classes)
    assert cost(*arguments.split(), *where, f"out={whole}") == 0
    (row,) = json.loads(whole.read_text())
    assert row["cost/params"] == sum(layer["params"] for layer in json.loads(layers.read_text()))


def test_the_table_of_known_sets_has_every_choice_of_data():
    chosen = {arguments.split()[0].removeprefix("data=") for arguments in KNOWN}
    assert chosen == {path.stem for path in (ROOT / "conf" / "data").glob("*.yaml")}


REFUSED = {
    "data=image_folder data.root=/no/such/place": (
        "data.root=/no/such/place is not a folder; set data.root to the folder that holds train/<class>/*, or <class>/*; "
        "costs need no data where its facts are given, as in data.image_size=224 num_classes=10"
    ),
    "data.image_size=8 backbone=mobilenet": (
        "data.image_size=8x8 is smaller than the backbone's stride of 16, which leaves less than one value of it; "
        "use at least 16, or backbone.output_stride=8"
    ),
    "sort=speed": "sort=speed is no column; choose from conv, backbone, params, ",
    "-m conv=standard,grouped sort=speed": "sort=speed is no column; choose from conv, backbone, params, ",
    "out=costs.txt": "out=costs.txt must end in .json, .csv or .md",
    "out=nowhere/costs.csv": "out=nowhere/costs.csv: there is no folder nowhere; make it, or give another place",
    "conv=grouped groups=3": "groups=3 must divide in_channels=16; try 1, 2, 4, 8, 16 (in backbone.stage1.0)",
    "cost.allow_uncounted=maybe": "cost.allow_uncounted=maybe must be true or false",
    "per_layers=true": "per_layers: unknown key (did you mean 'per_layer'?); accepted here: ",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_cannot_be_counted_is_refused_in_one_line(arguments, capsys):
    assert cost(*arguments.split()) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {REFUSED[arguments]}")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_point_that_cannot_be_built_does_not_stop_the_others(capsys):
    assert cost("-m", "conv=grouped", "groups=2,3,4") == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3
    assert "groups=3 must divide in_channels=16" in captured.err
    assert "1 runs of this sweep failed" in captured.err


def test_a_recipe_is_tabulated_without_its_seeds_and_the_command_line_wins(tmp_path):
    out = tmp_path / "costs.json"
    assert cost("-m", "experiment=groups", "groups=1,4", f"out={out}") == 0
    assert [row["groups"] for row in json.loads(out.read_text())] == [1, 4]
    assert cost("-m", "experiment=dilation", f"out={out}") == 0
    rows = json.loads(out.read_text())
    assert [row["dilation"] for row in rows] == [1, 2, 4, 8]


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("sort=mcas", "sort=mcas is no column (did you mean 'macs'?); choose from conv, backbone, params, "),
        ("per_layer=maybe", "per_layer=maybe must be true or false"),
        ("num_classes=0", "num_classes=0 must be a whole number from 1 to 1000000"),
        ("num_classes=ten", "num_classes=ten must be a whole number from 1 to 1000000"),
        ("num_classes=2.5", "num_classes=2.5 must be a whole number from 1 to 1000000"),
    ],
)
def test_a_wrong_value_of_a_key_of_its_own_is_one_line(argument, said, capsys):
    assert cost(argument) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {said}")
    assert printed.err.count("\n") == 1
    assert not printed.out


def test_a_fault_of_all_points_is_said_once(capsys):
    assert cost("-m", "conv=standard,dilated,separable", "optim.lr=abc", "deploy=openvino") == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: conv=standard: optim.lr=abc must be a number",
        "error: 2 other points fail as conv=standard does",
        "error: 3 runs of this sweep failed",
    ]
