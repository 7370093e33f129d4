"""Procedural images, made in memory from `data_seed`: one of ten shapes each, with its label and its mask (`drawn_shapes`)."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from litconv.data import drawn_shapes
from litconv.data.cache import Allocate, in_memory, key_of
from litconv.data.drawn_shapes import BLOCK, SHAPES, draw
from litconv.data.draws import private_generator
from litconv.data.loader import Arrays
from litconv.data.module import DataModule
from litconv.data.options import require_whole
from litconv.data.sizes import Size
from litconv.errors import ConfigError


@dataclass(kw_only=True, eq=False, repr=False)
class Shapes(DataModule):
    """Both tasks, the same images: uint8 (N, 3, H, W); targets shapes (N,), or masks (N, H, W) with background 0."""

    task: str = "classification"
    image_size: Size | None = (32, 32)
    n_train: int = 4000
    n_val: int = 1000
    n_test: int = 1000
    data_seed: int = 0  # of the images
    noise: float = 0.06  # mean standard deviation of a pixel, of a range of 1
    clutter: int = 4  # strokes in the background, at most
    batch_size: int = 32
    flip: bool = True
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)

    tasks = frozenset({"classification", "segmentation"})
    reads_files = False

    def __post_init__(self) -> None:
        if self.task not in self.tasks:
            raise ConfigError(f"data.task={self.task} must be one of {', '.join(sorted(self.tasks))}")
        require_whole(self, {"n_train": 1, "n_val": 1, "n_test": 1, "clutter": 0})
        if not self.noise >= 0:
            raise ConfigError(f"data.noise={self.noise} must be at least 0")
        super().__post_init__()

    def count_classes(self) -> int:
        return len(self._names())

    def _names(self) -> tuple[str, ...]:
        names = tuple(shape.__name__ for shape in SHAPES)
        return ("background", *names) if self.task == "segmentation" else names

    def load(self) -> dict[str, Arrays]:
        self.class_names = self._names()
        counts = {"train": self.n_train, "val": self.n_val, "test": self.n_test}
        return {name: self._split(name, count) for name, count in counts.items()}

    def _split(self, name: str, count: int) -> Arrays:
        make = partial(self._draw, name, count)
        sources = [
            Path(file).read_bytes() for file in (__file__, drawn_shapes.__file__)
        ]  # others may draw other images
        key = key_of(*sources, torch.__version__, self.data_seed, count, self.image_size, self.noise, self.clutter)
        made = self.cached(name, key, make) or make(in_memory)
        images, labels, masks = (torch.from_numpy(made[part]) for part in ("images", "labels", "masks"))
        return Arrays(images, masks if self.task == "segmentation" else labels)

    def _draw(self, name: str, count: int, allocate: Allocate) -> dict[str, np.ndarray]:
        made = {
            "images": allocate("images", (count, 3, *self.image_size), np.uint8),
            "labels": allocate("labels", (count,), np.int64),
            "masks": allocate("masks", (count, *self.image_size), np.uint8),
        }
        for start in range(0, count, BLOCK):
            generator = private_generator(self.data_seed, "shapes", name, start // BLOCK)
            block = draw(generator, self.image_size, self.noise, self.clutter)
            for array, drawn in zip(made.values(), block, strict=True):
                array[start : start + BLOCK] = drawn[: count - start]
        return made
