"""Context: the answer needs marks to be related that are r pixels apart."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from litconv.data.probe.kind import Block, Drawn, Kind

MARK = 3  # side in pixels
NOISE = 0.1  # standard deviation


class Context(Kind):
    """Two white and two black marks of 3×3 pixels at the corners of a square, anywhere: are equal ones in a row or in a column?

    Difficulty r: there are r − 1 pixels between neighbouring marks. A window of r×r pixels touches one mark at most, and
    what single marks show is the same in both classes, however it is summed: two white ones, two black ones. So a network
    with a receptive field of r or less, averaged over the image, is at chance (0.5), whatever it computes. From r + 1 on a
    window touches two. Padding tells a network the place of a mark near an edge; that lowers no loss either, but where few
    places are left (r close to the largest) its guesses may come to more than half, at most 3/4. Ceiling 1: whoever sees
    two marks and which side is shared is right.
    Segmentation: the marks' pixels are to be labelled rows or columns. A pixel looks to both sides, so that a receptive
    field of 2r − 1 or less sees no neighbour. Chance is at most 5/9: the background is found, the marks are guessed.
    """

    classes = ("rows", "columns")
    mask_classes = ("background", "rows", "columns")
    chance: ClassVar[Mapping[str, float]] = {"classification": 1 / 2, "segmentation": 5 / 9}
    ceiling: ClassVar[Mapping[str, float]] = {"classification": 1.0, "segmentation": 1.0}
    meaning = "pixels from one mark to the next"
    default = 8
    least = 1
    whole = True

    @classmethod
    def most(cls, size: tuple[int, int]) -> float:
        return min(size) + 1 - 2 * MARK

    def labelled(self, block: Block) -> np.ndarray:
        return self.masked(block)[0]

    def masked(self, block: Block) -> Drawn:
        step = int(block.difficulty) + MARK - 1  # from corner to corner
        rows, columns = block.pixels()
        room = [side - step - MARK + 1 for side in block.size]
        top, left = (block.rng.integers(0, free, (block.count, 1, 1)) for free in room)
        first = [(rows > top) & (rows < top + MARK), (columns > left) & (columns < left + MARK)]  # (N, H, 1), (N, 1, W)
        second = [
            (rows > top + step) & (rows < top + step + MARK),
            (columns > left + step) & (columns < left + step + MARK),
        ]
        sign = np.where(block.rng.random((block.count, 1, 1)) < 0.5, -1, 1)
        in_row = (first[0] | second[0]) * (first[1] ^ second[1])  # (N, H, W): the marks
        by_row, by_column = first[0].astype(int) - second[0], first[1].astype(int) - second[1]
        colour = sign * np.where(block.labels[:, None, None] == 0, by_row, by_column)
        images = in_row * colour * 0.8 + NOISE * block.normal(block.count, *block.size)
        masks = in_row * (block.labels + 1)[:, None, None]
        return images[:, None], masks.astype(np.uint8)
