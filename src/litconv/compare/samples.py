"""Sample segmentations: the first test images, their masks, and what each arm's best checkpoint makes of them."""

import base64
import colorsys
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from litconv.compare.arms import Arm
from litconv.compare.rebuild import CANNOT_BUILD, data_of, reason, task_of
from litconv.compare.result import Result

COLUMNS = 10  # arms shown


@dataclass(frozen=True)
class Samples:
    headings: list[str]
    rows: list[list[str | None]]  # a data: URI for each image and heading
    legend: list[tuple[str, str]]  # class, colour
    split: str
    seed: int


def sample_segmentations(result: Result, count: int, allowed: Sequence[str] = ()) -> tuple[Samples | None, list[str]]:
    """None where there is nothing to show, and why. `allowed`: packages whose classes the runs may be built of."""
    arms = [arm for arm in result.arms if arm.asked.get("choices.task") == "segmentation"][:COLUMNS]
    seed = next((s for s in result.seeds if any(best(arm, s) for arm in arms)), None)
    if not count or not arms:
        return None, []
    if seed is None:
        return None, ["no sample segmentations: no run has its checkpoints/best.ckpt"]
    shown = [arm for arm in arms if best(arm, seed)]
    notes = [f"no sample segmentations of {arm.name}: seed {seed} has no best.ckpt" for arm in arms if arm not in shown]
    try:
        data = data_of(best(shown[0], seed).parents[1], allowed)
        x, y = next(iter(data.test_dataloader()))
    except CANNOT_BUILD as error:
        return None, [*notes, f"no sample segmentations: the data cannot be read ({reason(error)})"]
    x, y = x[:count], y[:count].numpy()  # (count, 3, H, W), (count, H, W)
    palette = colours(data.num_classes)
    columns = [images(x.numpy(), data.mean, data.std), masks(y, palette, data.ignore_index)]
    headings = ["image", "truth"]
    for arm in shown:
        try:
            predicted = predict(task_of(best(arm, seed), data, allowed), x)
        except CANNOT_BUILD as error:
            notes.append(f"no sample segmentations of {arm.name}: {reason(error)}")
            continue
        headings.append(arm.name)
        columns.append(masks(predicted, palette, None))
    legend = [(name, f"rgb{tuple(palette[i].tolist())}") for i, name in enumerate(data.class_names)]
    return Samples(headings, [list(row) for row in zip(*columns, strict=True)], legend, data.test_split, seed), notes


def best(arm: Arm, seed: int) -> Path | None:
    """The best checkpoint of the arm's run with this seed, where there is one."""
    folders = arm.runs.loc[arm.runs["seed"] == seed, "folder"]
    path = Path(folders.iloc[0]) / "checkpoints" / "best.ckpt" if len(folders) else None
    return path if path is not None and path.exists() else None


def predict(task: Any, x: Any) -> np.ndarray:
    """(N, H, W)"""
    import torch

    with torch.inference_mode():
        return task(x).argmax(1).numpy()


def images(x: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> list[str]:
    pixels = x.transpose(0, 2, 3, 1) * np.array(std) + np.array(mean)  # (N, H, W, 3)
    pixels = np.broadcast_to(pixels, (*pixels.shape[:3], 3))  # grey ones, too
    return [png((one.clip(0, 1) * 255).round().astype(np.uint8)) for one in pixels]


def masks(classes: np.ndarray, palette: np.ndarray, ignored: int | None) -> list[str]:
    painted = []
    for one in classes:
        pixels = palette[one.clip(0, len(palette) - 1)]  # (H, W, 3)
        pixels[one == ignored] = 255
        painted.append(png(pixels))
    return painted


def colours(classes: int) -> np.ndarray:
    """(classes, 3): the first dark, as most sets' background; the others around the circle, in three tones."""
    tones = ((0.75, 0.95), (0.55, 0.7), (0.4, 1.0))
    bright = [colorsys.hsv_to_rgb((i * 0.618) % 1, *tones[i % 3]) for i in range(classes - 1)]
    return (np.array([(0.13, 0.15, 0.18), *bright]) * 255).round().astype(np.uint8)


def png(pixels: np.ndarray) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
