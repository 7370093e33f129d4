"""Texture: local statistics alone; what lies where says nothing."""

from collections.abc import Mapping
from math import sqrt
from typing import ClassVar

import numpy as np

from litconv.data.probe.kind import Block, Drawn, Kind

DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows and columns to the pixel that is alike
CONTRAST = 0.28  # standard deviation of a pixel


class Texture(Kind):
    """Noise in which a pixel is like its neighbour in one of four directions, and like no other.

    Difficulty t: standard deviation of white noise in it, of a whole of 1. Every pixel alone is Gaussian with the same mean
    and variance in all classes (chance 1/4), a window of 3×3 has all there is to know, and blocks of the image may be
    shuffled. Ceiling 0.99: the correlation of neighbours, over the image, in the four directions. The largest t keeps it at
    five standard errors.
    Segmentation: three regions (nearest of three points), each of another texture. Chance 1/7: guesses of equal
    frequency. Ceiling 0.86 at the default: Gaussian averages of 3 pixels of the products of neighbours; borders belong to two.
    """

    classes = ("horizontal", "vertical", "falling", "rising")
    mask_classes = classes
    chance: ClassVar[Mapping[str, float]] = {"classification": 1 / 4, "segmentation": 1 / 7}
    ceiling: ClassVar[Mapping[str, float]] = {"classification": 0.99, "segmentation": 0.86}
    meaning = "standard deviation of the white noise, of a whole of 1"
    default = 0.3
    may_be_flipped = False

    @classmethod
    def most(cls, size: tuple[int, int]) -> float:
        correlation = 5 / sqrt(size[0] * size[1])  # which is (1 − t²) / 2
        return sqrt(1 - 2 * correlation) if correlation < 0.5 else -1

    def labelled(self, block: Block) -> np.ndarray:
        return self._noisy(block, textures(block.normal(block.count, *block.size), block.labels))

    def masked(self, block: Block) -> Drawn:
        rows, columns = block.pixels()
        points = block.rng.random((2, 3, block.count, 1, 1), dtype=np.float32)
        down, right = rows - points[0] * block.size[0], columns - points[1] * block.size[1]
        region = np.argmin(down**2 + right**2, axis=0)  # (N, H, W)
        order = np.argsort(block.rng.random((block.count, len(DIRECTIONS))), axis=1)
        masks = np.take_along_axis(order, region.reshape(block.count, -1), axis=1).reshape(region.shape)
        white = block.normal(block.count, *block.size)
        images = np.zeros_like(white)
        for label in range(len(DIRECTIONS)):
            images += (masks == label) * textures(white, np.full(block.count, label))
        return self._noisy(block, images), masks.astype(np.uint8)

    def _noisy(self, block: Block, images: np.ndarray) -> np.ndarray:
        noise = block.normal(*images.shape)
        mixed = sqrt(1 - block.difficulty**2) * images + block.difficulty * noise
        return CONTRAST * mixed[:, None]


def textures(white: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each pixel of white noise averaged with its neighbour, around the edges: (N, H, W) of variance 1."""
    out = np.empty_like(white)
    for label, move in enumerate(DIRECTIONS):
        mine = labels == label
        out[mine] = (white[mine] + np.roll(white[mine], move, axis=(1, 2))) / np.float32(sqrt(2))
    return out
