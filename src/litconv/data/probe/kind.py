"""What every kind of probe is: the property that it isolates, what its difficulty means, and how it draws a block."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

Drawn = tuple[np.ndarray, np.ndarray]  # images, and what is to be said of them


@dataclass(frozen=True)
class Block:
    """What is drawn at once. `labels` (N,) are given, so that classes take turns over a whole split."""

    rng: np.random.Generator
    labels: np.ndarray
    size: tuple[int, int]  # (H, W) in pixels
    difficulty: float
    is_test: bool  # for kinds whose test goes beyond their training

    @property
    def count(self) -> int:
        return len(self.labels)

    def normal(self, *shape: int) -> np.ndarray:
        return self.rng.standard_normal(shape, dtype=np.float32)

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        """(N, *shape, 1, 1), which spreads over the pixels."""
        drawn = self.rng.random((self.count, *shape, 1, 1), dtype=np.float32)
        return np.float32(low) + np.float32(high - low) * drawn

    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows (H, 1) and columns (W,) of the pixels' centres."""
        height, width = self.size
        return np.arange(height, dtype=np.float32)[:, None] + 0.5, np.arange(width, dtype=np.float32) + 0.5


class Kind:
    """Images are float (N, C, H, W), C = 1 (grey) or 3, of which 0 becomes mid-grey, −1 black and 1 white.

    Scores are accuracy (classification) and mIoU (segmentation), at every difficulty between `least` and `most`.
    An image and its negative are equally likely in every class, so that no linear function of the pixels lowers a loss.
    """

    classes: ClassVar[tuple[str, ...]]
    mask_classes: ClassVar[tuple[str, ...]] = ()  # where the kind has masks
    chance: ClassVar[Mapping[str, float]]  # task → the score without the property
    ceiling: ClassVar[Mapping[str, float]]  # task → the score that an oracle reaches, at least
    meaning: ClassVar[str]  # of the difficulty, with its unit
    default: ClassVar[float]  # difficulty
    least: ClassVar[float] = 0
    whole: ClassVar[bool] = False  # the difficulty is a whole number
    may_be_flipped: ClassVar[bool] = True  # False: a mirror image is of another class

    @classmethod
    def most(cls, size: tuple[int, int]) -> float:
        """The greatest difficulty in images of this size; below `least`: they are too small for any."""
        raise NotImplementedError

    def labelled(self, block: Block) -> np.ndarray:
        """The images of `block.labels`."""
        raise NotImplementedError

    def masked(self, block: Block) -> Drawn:
        """Images and masks uint8 (N, H, W), of a kind with `mask_classes`."""
        raise NotImplementedError
