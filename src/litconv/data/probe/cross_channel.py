"""Cross-channel: the label lies in the relation between colour channels."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from litconv.data.probe.kind import Block, Kind

PAIRS = ((0, 1), (1, 2), (2, 0))  # the second repeats the first


class CrossChannel(Kind):
    """Each channel is white noise of two values, in equal numbers. One channel repeats another: which pair?

    Difficulty d: it is repeated d pixels further right (around the edge). Each channel alone, and its mean, has the same
    distribution in all classes, so that whatever treats channels apart and adds up what it finds is at chance (1/3): a
    depthwise first layer does not see the label. At d = 0 the relation is within a pixel, at d ≤ 2 within a window of 3×3:
    an ordinary stem sees it, and leaves nothing to the operator. Ceiling 1: the correlation of each pair at d.
    """

    classes = ("green_repeats_red", "blue_repeats_green", "red_repeats_blue")
    chance: ClassVar[Mapping[str, float]] = {"classification": 1 / 3}
    ceiling: ClassVar[Mapping[str, float]] = {"classification": 1.0}
    meaning = "pixels from a value to where it is repeated"
    default = 8
    whole = True
    may_be_flipped = False

    @classmethod
    def most(cls, size: tuple[int, int]) -> float:
        return size[1] // 2

    def labelled(self, block: Block) -> np.ndarray:
        shape = (block.count, 3, *block.size)
        values = block.normal(*shape)
        signs = np.where(values > np.median(values, axis=(2, 3), keepdims=True), np.float32(1), np.float32(-1))
        for label, (source, target) in enumerate(PAIRS):
            mine = np.flatnonzero(block.labels == label)
            signs[mine, target] = np.roll(signs[mine, source], int(block.difficulty), axis=2)
        return 0.5 * signs
