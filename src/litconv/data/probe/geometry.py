"""Geometry: at test figures are turned, scaled and warped further than in training."""

from collections.abc import Mapping
from math import pi
from typing import ClassVar

import numpy as np

from litconv.data.probe.kind import Block, Kind

Stroke = tuple[float, float, float, float]  # from (u, v) to (u, v), v downwards, in units of the figure's half size
FIGURES: dict[str, tuple[Stroke, ...]] = {
    "t": ((-1, -1, 1, -1), (0, -1, 0, 1)),
    "l": ((-0.8, -1, -0.8, 1), (-0.8, 1, 0.8, 1)),
    "z": ((-1, -1, 1, -1), (1, -1, -1, 1), (-1, 1, 1, 1)),
    "x": ((-1, -1, 1, 1), (-1, 1, 1, -1)),
    "box": ((-0.9, -0.9, 0.9, -0.9), (0.9, -0.9, 0.9, 0.9), (0.9, 0.9, -0.9, 0.9), (-0.9, 0.9, -0.9, -0.9)),
    "h": ((-0.8, -1, -0.8, 1), (0.8, -1, 0.8, 1), (-0.8, 0, 0.8, 0)),
}
TRAINED = 10  # degrees
HALF_SIZE = 0.24  # of the image's shorter side
NOISE = 0.08  # standard deviation


class Geometry(Kind):
    """One of six figures of strokes, near the centre, light or dark: which? Chance 1/6.

    Difficulty d, in degrees: training and validation turn a figure by up to 10°, test by up to d; the scale is up to
    2^(±d / 180), and a smooth warp moves strokes by up to 0.3·d / 90 of the figure's half size, 10 for d in training. So
    test goes beyond training, except at d = 10. Ceiling 0.95: the nearest of many figures drawn as those of test.
    """

    classes = tuple(FIGURES)
    chance: ClassVar[Mapping[str, float]] = {"classification": 1 / 6}
    ceiling: ClassVar[Mapping[str, float]] = {"classification": 0.95}
    meaning = "degrees of the test's turns; scale and warp grow with it"
    default = 20
    least = TRAINED
    may_be_flipped = False

    @classmethod
    def most(cls, size: tuple[int, int]) -> float:
        return 90 if min(size) >= 16 else 0

    def labelled(self, block: Block) -> np.ndarray:
        reach = block.difficulty if block.is_test else TRAINED
        u, v = warped(block, *placed(block, reach), 0.3 * reach / 90)
        distance = distances(u, v, block.labels)
        pixel = 1 / (HALF_SIZE * min(block.size))
        ink = np.clip(0.5 + (block.uniform(0.1, 0.22) - distance) / pixel, 0, 1)  # (N, H, W), antialiased
        polarity = np.where(block.uniform(0, 1) < 0.5, -1, 1)
        contrast = polarity * block.uniform(0.6, 1)
        return (contrast * (ink - 0.25) + NOISE * block.normal(*ink.shape))[:, None]


def placed(block: Block, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (u, v) of all pixels in the figure's frame, turned and scaled: (N, H, W) each."""
    rows, columns = block.pixels()
    side = min(block.size)
    angle = block.uniform(-reach, reach) * np.float32(pi / 180)
    scale = HALF_SIZE * side * np.float32(2) ** block.uniform(-reach / 180, reach / 180)
    down, right = (0.5 * length + 0.05 * side * block.uniform(-1, 1) for length in block.size)
    u, v = (columns - right) / scale, (rows - down) / scale
    return np.cos(angle) * u + np.sin(angle) * v, np.cos(angle) * v - np.sin(angle) * u


def warped(block: Block, u: np.ndarray, v: np.ndarray, amplitude: float) -> tuple[np.ndarray, np.ndarray]:
    """Moved along either axis by a wave along the other."""
    by_v, by_u = (amplitude * block.uniform(-1, 1), amplitude * block.uniform(-1, 1))
    phases = block.uniform(0, 2 * pi), block.uniform(0, 2 * pi)
    return u + by_v * np.sin(2.5 * v + phases[0]), v + by_u * np.sin(2.5 * u + phases[1])


def distances(u: np.ndarray, v: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """From every pixel to the nearest stroke of its image's figure: (N, H, W)."""
    out = np.full_like(u, np.inf)
    for label, strokes in enumerate(FIGURES.values()):
        mine = labels == label
        x, y = u[mine], v[mine]
        nearest = np.full_like(x, np.inf)
        for u0, v0, u1, v1 in strokes:
            du, dv = u1 - u0, v1 - v0
            share = np.clip(((x - u0) * du + (y - v0) * dv) / (du**2 + dv**2), 0, 1)
            nearest = np.minimum(nearest, np.hypot(x - u0 - share * du, y - v0 - share * dv))
        out[mine] = nearest
    return out
