"""Recipes to published figures, as far as a CPU can try them: cost, schedule, first epochs; and how published.py judges."""

import csv
import json
import shlex
import sys

import numpy as np
import pytest
import torch
from benchmarks import published
from PIL import Image

from command import command
from litconv import build
from litconv.config import composed
from litconv.cost import count
from litconv.run.asked import Asked

ROWS = {row.name: row for row in published.rows()}
RECIPES = ("cifar10_resnet20", "cifar10_fast", "camvid_unet")
SIZES = {"cifar10": (10, (32, 32)), "camvid": (11, (360, 480))}


def config_of(row: published.Row):
    return composed.compose(shlex.split(row.overrides))


def learning_rates(config, steps: int) -> list[float]:
    """Of each step."""
    optimizer = build.part(config.optim)([torch.nn.Parameter(torch.zeros(2, 2))])
    schedule, rates = build.part(config.schedule)(optimizer, steps), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_the_params_and_macs_that_the_table_says(name):
    row = ROWS[name]
    classes, size = SIZES[row.set]
    with torch.device("meta"):
        found = count(build.assemble(config_of(row), 3, classes), 3, size)
    assert found.params == row.params
    assert found.macs == pytest.approx(row.macs, rel=0.02)


def test_the_wide_network_has_the_macs_that_others_count():
    """BSConv's README says 330 M and 102 M."""
    assert ROWS["WRN-40-2"].macs == pytest.approx(330e6, rel=0.01)
    assert {row.macs for row in ROWS.values() if "wrn_102_mmacs" in row.overrides} == {102e6}


def test_resnet_20_has_the_layers_of_the_paper():
    """Three stages of six 3×3 convolutions, a 3×3 before them, two 1×1 shortcuts, a norm behind each, one linear layer."""
    convs = [(3, 16, 9)] + [(c, c, 9) for c in (16, 32, 64) for _ in range(6 if c == 16 else 5)]
    convs += [(16, 32, 9), (32, 64, 9), (16, 32, 1), (32, 64, 1)]
    assert ROWS["ResNet-20"].params == sum(a * b * k + 2 * b for a, b, k in convs) + 64 * 10 + 10


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_says_what_it_must_reach(recipe):
    (row,) = published.rows([recipe])
    text = (composed.CONF / "experiment" / f"{recipe}.yaml").read_text()
    assert f"It must reach {row.figure.replace('test/accuracy', 'test top-1').replace('val/miou', 'val mIoU')}" in text
    assert f" {row.least:g}" in text
    assert "benchmarks/published.py" in text


def test_published_accuracies_of_the_wide_networks_are_those_of_their_recipes():
    for row in ROWS.values():
        if "wrn" in row.overrides:
            recipe = shlex.split(row.overrides)[0].removeprefix("experiment=")
            assert f"{row.published:.4f}" in (composed.CONF / "experiment" / f"{recipe}.yaml").read_text()
            assert row.published - 0.013 < row.least < row.published


@pytest.mark.parametrize(
    ("recipe", "images", "peak_at", "peak"),
    [
        ("cifar10_resnet20", 45_000, 0.025, 0.1),
        ("cifar10_fast", 45_000, 0.2, 0.4),
        ("camvid_unet", 367, 0.05, 0.001),
    ],
)
def test_a_recipes_learning_rate_rises_to_its_peak_and_falls_to_nothing(recipe, images, peak_at, peak):
    config = composed.compose([f"experiment={recipe}"])
    steps = config.trainer.max_epochs * (images // config.data.batch_size)
    rates = learning_rates(config, steps)
    highest = int(np.argmax(rates))
    assert highest / steps == pytest.approx(peak_at, abs=0.01)
    assert rates[highest] == pytest.approx(peak, rel=1e-3)
    assert rates[: highest + 1] == sorted(rates[: highest + 1])
    assert rates[highest:] == sorted(rates[highest:], reverse=True)
    assert rates[-1] < 1e-3 * peak
    assert rates[0] < 0.1 * peak


@pytest.mark.parametrize("recipe", ["wrn_40_2", "wrn_102_mmacs"])
def test_the_learning_rate_of_the_wide_networks_falls_to_a_fifth_at_60_120_and_160_of_200_epochs(recipe):
    config = composed.compose([f"experiment={recipe}"])
    rates = learning_rates(config, config.trainer.max_epochs)  # as if an epoch had one step
    assert rates == pytest.approx([0.1] * 60 + [0.02] * 60 + [0.004] * 40 + [0.0008] * 40)


@pytest.fixture
def packed(benchmark):
    return benchmark("gpu_parts.packed")


def losses(folder, *arguments: str) -> list[float]:
    """Of each epoch of a run on a CPU."""
    small = [
        "width=0.25",
        "epochs=3",
        "logger=csv",
        "trainer.accelerator=cpu",
        "cost.latency.enabled=false",
        "threads=1",
    ]
    assert command(*arguments, *small, f"output_dir={folder}") == 0
    (path,) = folder.glob("runs/*/metrics.csv")
    with path.open(newline="") as file:
        return [float(row["train/loss"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("recipe", "own"),
    [
        ("cifar10_resnet20", ()),
        ("cifar10_fast", ()),
        ("wrn_40_2", ("backbone.depth=16",)),
        ("wrn_102_mmacs", ("backbone.depth=16", "conv=bsconv_u")),
    ],
)
def test_the_first_epochs_of_a_recipe_for_cifar10_learn(tmp_path, packed, recipe, own):
    path = tmp_path / "drawn.npz"
    packed.pack({"train": packed.drawn(320, 10, 0), "test": packed.drawn(40, 10, 1)}, list("abcdefghij"), path)
    images = ["data._target_=gpu_parts.packed.Packed", "allowed_packages=[gpu_parts]", "data.cache_dir=null"]
    found = losses(tmp_path, f"experiment={recipe}", *own, *images, f"data.root={path}", "data.batch_size=32")
    assert found[-1] < found[0]


def test_the_first_epochs_of_the_recipe_for_camvid_learn(tmp_path):
    root, generator = tmp_path / "camvid", np.random.default_rng(0)
    for split, number in {"train": 16, "val": 4}.items():
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
        for index in range(number):
            ids = np.repeat(np.repeat(generator.integers(0, 11, (4, 4), dtype=np.uint8), 12, 0), 16, 1)
            image = (20 * ids[..., None] + generator.integers(0, 20, (*ids.shape, 3))).astype(np.uint8)
            Image.fromarray(image).save(root / split / "images" / f"{index}.png")
            Image.fromarray(ids).save(root / split / "masks" / f"{index}.png")
    small = [f"data.root={root}", "data.image_size=[48,64]", "data.batch_size=4", "data.cache_dir=null"]
    found = losses(tmp_path, "experiment=camvid_unet", *small)
    assert found[-1] < found[0]


def run_published(monkeypatch, *arguments: str, gpus: tuple[str, ...] = ()) -> tuple[int, list]:
    """The exit status, and what was given to the sweep."""
    swept = []
    monkeypatch.setattr(published, "visible_gpus", lambda: list(gpus))
    monkeypatch.setattr(published, "sweep", lambda *given: swept.append(given) or 0)
    monkeypatch.setattr(sys, "argv", ["published.py", *arguments])
    return published.main(), swept


def test_without_a_gpu_it_says_what_it_would_train(monkeypatch, capsys, tmp_path):
    code, swept = run_published(monkeypatch, "--cifar10", str(tmp_path), "--out", str(tmp_path))
    printed = capsys.readouterr().out
    assert (code, swept) == (0, [])
    assert f"python train.py experiment=cifar10_fast data.root={tmp_path}" in printed
    assert "| U-Net on ResNet-18 | `experiment=camvid_unet` |" in printed
    assert "not run: --camvid FOLDER was not given" in printed


def test_with_a_gpu_it_trains_the_rows_whose_data_are_there_as_one_sweep(monkeypatch, tmp_path):
    (tmp_path / "train").mkdir()
    arguments = [
        "--cifar10",
        str(tmp_path),
        "--only",
        "cifar10_fast,camvid_unet",
        "--seeds",
        "3",
        "--out",
        str(tmp_path),
    ]
    code, ((points, _, launch),) = run_published(monkeypatch, *arguments, gpus=("0",))
    assert code == 0
    (point,) = points
    assert point.startswith("experiment=cifar10_fast data=image_folder ")
    assert Asked.of(composed.compose(shlex.split(point))).settings["data"]["cutout"] == 8  # the recipe's
    assert {"sweep=published", "seeds=3"} <= set(launch)


@pytest.mark.parametrize(("accuracies", "word", "code"), [([0.92, 0.915], "reached", 0), ([0.91, 0.915], "BELOW", 1)])
def test_a_row_is_judged_by_the_mean_of_its_completed_runs(monkeypatch, capsys, tmp_path, accuracies, word, code):
    arguments = ["--cifar10", str(tmp_path), "--only", "cifar10_resnet20", "--out", str(tmp_path)]
    point = f"experiment=cifar10_resnet20 data.root={tmp_path} {' '.join(published.COMMON)}"
    arm = Asked.of(composed.compose(shlex.split(point))).arm_hash
    for seed, accuracy in enumerate([*accuracies, 0.1]):
        folder = tmp_path / "sweeps" / "published" / f"run{seed}"
        folder.mkdir(parents=True)
        status = "completed" if seed < len(accuracies) else "failed"
        facts = {"status": status, "seed": seed, "arm_hash": arm, "test/accuracy": accuracy, "train/seconds": 60.0}
        (folder / "summary.json").write_text(json.dumps(facts))
    found, _ = run_published(monkeypatch, *arguments, gpus=("0",))
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ResNet-20 ")]
    assert found == code
    assert f"| {np.mean(accuracies):.4f} ± {np.std(accuracies, ddof=1):.4f} | 2 | 60 | {word} |" in row
