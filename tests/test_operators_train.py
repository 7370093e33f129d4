"""Operators beyond the core set are trained, not only stepped: in two backbones, on labels and on masks, to tell textures."""

import json

import numpy as np
import pytest
from PIL import Image

from command import command
from yamls import CORE, names

pytestmark = pytest.mark.slow

SIZE, PATCH = 24, 12
BUDGET = ("data.batch_size=16", "optim.lr=0.05", "logger=csv", "cost.latency.enabled=false", "trainer.accelerator=cpu")
BACKBONES = {
    "resnet": ["width=1", "epochs=10"],
    "mobilenet": ["width=0.25", "epochs=14"],
    "wide_resnet": ["backbone.depth=10", "backbone.widen=1", "epochs=10"],
}
SECOND = {"involution": "wide_resnet"}  # a dozen of them in a row without shortcuts start too slowly for this budget
OPERATORS = sorted(set(names("conv")) - set(CORE))
PLACES = [(operator, backbone) for operator in OPERATORS for backbone in ("resnet", SECOND.get(operator, "mobilenet"))]
TASKS = {"labels": ["data=image_folder"], "masks": ["data=mask_folder", "task=segmentation", "head=unet"]}


def texture(kind: int, draw: np.random.Generator) -> np.ndarray:
    """Bars across, down or diagonal, of random phase: equal in every histogram, so that a network must look at neighbours."""
    rows, columns = np.mgrid[:PATCH, :PATCH] + draw.integers(0, 4)
    bars = (rows, columns, rows + columns)[kind] % 4 < 2
    return np.clip(90 * bars + draw.normal(80, 30, bars.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    """Folders of labels and of masks."""
    root, draw = tmp_path_factory.mktemp("textures"), np.random.default_rng(0)
    for split, count in {"train": 192, "val": 48}.items():
        for number in range(count):
            whole, kinds = number % 3, draw.integers(0, 3, (2, 2))
            for task, of in {"labels": np.full((2, 2), whole), "masks": kinds}.items():
                image = np.block([[texture(kind, draw) for kind in row] for row in of])
                name = f"images/{number}.png" if task == "masks" else f"{whole}/{number}.png"
                place = root / task / split / name
                place.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(place)
            mask = root / "masks" / split / f"masks/{number}.png"
            mask.parent.mkdir(exist_ok=True)
            Image.fromarray(np.kron(kinds, np.ones((PATCH, PATCH))).astype(np.uint8)).save(mask)
    (root / "masks" / "classes.txt").write_text("across\ndown\ndiagonal\n")
    return root


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("operator", "backbone"), PLACES)
def test_an_operator_learns_to_tell_textures_in_two_backbones_and_both_tasks(
    textures, tmp_path, operator, backbone, task
):
    run = (f"conv={operator}", f"backbone={backbone}", f"data.root={textures / task}", f"output_dir={tmp_path}")
    assert command(*run, *BACKBONES[backbone], *TASKS[task], *BUDGET) == 0
    (written,) = tmp_path.glob("runs/*/summary.json")
    summary = json.loads(written.read_text())
    assert summary["cost/second_opinion"].startswith("agrees")
    score = summary["test/accuracy" if task == "labels" else "test/miou"]  # by chance a third, and a fifth
    assert score > (0.8 if task == "labels" else 0.5)
