"""Separable and inseparable: the same task upright, where patterns have rank 1, and turned by 45°, where they have rank 2."""

from collections.abc import Mapping
from math import sqrt
from typing import ClassVar

import numpy as np

from litconv.data.probe.kind import Block, Kind

REACH = 4  # pixels along an axis: further than a stem's 3×3 window
CONTRAST = 0.28  # standard deviation of a pixel


class Oriented(Kind):
    """White noise filtered by a pattern of two points: in which of two directions at right angles do they lie?

    The points are 4 pixels apart along an axis, or 4 along both, so that a window of 4×4 pixels sees white noise and no
    more. Difficulty: standard deviation of further white noise, of a whole of 1. Every pixel alone is Gaussian with the
    same mean and variance (chance 1/2). Ceiling 0.99: the correlation of pixels so far apart; the largest difficulty keeps
    it at five standard errors.
    """

    chance: ClassVar[Mapping[str, float]] = {"classification": 1 / 2}
    ceiling: ClassVar[Mapping[str, float]] = {"classification": 0.99}
    meaning = "standard deviation of the further noise, of a whole of 1"
    default = 0.75
    moves: ClassVar[tuple[tuple[int, int], tuple[int, int]]]  # of each class: from point to point, rows and columns

    @classmethod
    def most(cls, size: tuple[int, int]) -> float:
        correlation = 5 / sqrt(size[0] * size[1])  # which is (1 − difficulty²) / 2
        return sqrt(1 - 2 * correlation) if correlation < 0.5 and min(size) > 2 * REACH else -1

    def labelled(self, block: Block) -> np.ndarray:
        white = block.normal(block.count, *block.size)
        patterned = np.empty_like(white)
        for label, move in enumerate(self.moves):
            mine = block.labels == label
            patterned[mine] = (white[mine] + np.roll(white[mine], move, axis=(1, 2))) / np.float32(sqrt(2))
        noise = block.normal(*white.shape)
        mixed = sqrt(1 - block.difficulty**2) * patterned + block.difficulty * noise
        return CONTRAST * mixed[:, None]


class Separable(Oriented):
    """Beside or above one another: as matrices the patterns have rank 1, and so have the kernels that find them."""

    __doc__ = f"{__doc__}\n\n{Oriented.__doc__}"
    classes = ("beside", "above")
    moves = ((0, REACH), (REACH, 0))


class Inseparable(Oriented):
    """Falling or rising diagonals: rank 2. A kernel of rank 1 that has both ends of one has both of the other."""

    __doc__ = f"{__doc__}\n\n{Oriented.__doc__}"
    classes = ("falling", "rising")
    moves = ((REACH, REACH), (REACH, -REACH))
    may_be_flipped = False
