"""Runs that were trained on a folder which is gone since: what their test loop said of each image, and its images elsewhere."""

import shutil
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import ExifTags, Image

from command import command
from data_helpers import make_image_folder, make_mask_folder, noise
from litconv import build
from litconv.run.checkpoints import load_into, read
from litconv.run.finished import config_of

QUICK = ("data.batch_size=4", "width=0.25", "epochs=1", "trainer=cpu", "cost.latency.enabled=false", "logger=csv")


class Gone(NamedTuple):
    run: Path
    logits: torch.Tensor  # of the test split, by the task and its loader
    new: Path  # the folder in which its images lie now


def make_odd_photos(root: Path) -> Path:
    """An image folder whose photos have every form that files have: turned by EXIF, palette, RGBA, CMYK, grey."""
    make_image_folder(root, {"train": 4, "val": 2, "test": 2}, size=(40, 56), extension="jpg")
    Image.fromarray(noise(99, 60, 70)).save(root / "train" / "cat" / "larger.jpg")
    for number, name in enumerate(("cat", "dog", "emu")):
        folder = root / "test" / name
        tag = Image.Exif()
        tag[ExifTags.Base.Orientation] = 6 + number % 3
        Image.fromarray(noise(100 + number, 33, 50)).save(folder / "turned.jpg", exif=tag)
        Image.fromarray(noise(200 + number, 50, 37)).quantize(16).save(folder / "palette.png")
        Image.fromarray(noise(300 + number, 48, 48, 4)).save(folder / "alpha.png")
        Image.fromarray(noise(400 + number, 44, 61)).convert("CMYK").save(folder / "ink.jpg")
        Image.fromarray(noise(500 + number, 30, 30, 1)).save(folder / "grey.png")
    return root


def labels_gone(root: Path) -> Gone:
    data = make_odd_photos(root / "data")
    own = ("data=image_folder", f"data.root={data}", "data.image_size=32", "data.fit=letterbox")
    return gone(root, data, data / "test", *own)


def masks_gone(root: Path) -> Gone:
    data = make_mask_folder(root / "data", {"train": 4, "val": 2, "test": 3}, size=(32, 48))
    return gone(root, data, data / "test" / "images", "task=segmentation", "data=mask_folder", f"data.root={data}")


def gone(root: Path, data: Path, images: Path, *overrides: str) -> Gone:
    assert command(*overrides, *QUICK, f"output_dir={root / 'outputs'}") == 0
    (run,) = (root / "outputs" / "runs").glob("*seed0*")
    logits = logits_of_test_loop(run)
    shutil.move(images, root / "new")
    shutil.rmtree(data)
    return Gone(run, logits, root / "new")


def logits_of_test_loop(run: Path) -> torch.Tensor:
    config = config_of(run, [])
    data = build.data(config)
    data.setup("test")
    task = build.task(config, data)
    load_into(task, read(run / "checkpoints" / "best.ckpt"), run)
    with torch.inference_mode():
        return torch.cat([task.eval()(x) for x, _ in data.test_dataloader()])
