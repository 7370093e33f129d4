"""Where labels go so that none lies on another, on a point, on the front or outside the axes."""

from collections.abc import Sequence
from itertools import pairwise
from math import cos, pi, sin

Box = tuple[float, float, float, float]  # left, bottom, right, top
RADII = (0, 8, 16, 26, 38, 52, 68, 86)
ANGLES = [k * pi / 8 for k in (0, 8, 4, 12, 2, 6, 14, 10, 1, 7, 15, 9, 3, 5, 11, 13)]  # beside, then above and below


def places(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    axes: Box,
    line: Sequence[tuple[float, float]] = (),
    radius: float = 7,
) -> list[Box | None]:
    """A box for each label of a point (width, height), all in pixels; None where there is no room for it. The labels keep
    clear of `line` too, a polyline of horizontal and vertical pieces."""
    taken = [(x - radius, y - radius, x + radius, y + radius) for x, y in points]
    taken += [(min(a, c), min(b, d), max(a, c) + 1, max(b, d) + 1) for (a, b), (c, d) in pairwise(line)]
    boxes: list[Box | None] = []
    for (x, y), size in zip(points, sizes, strict=True):
        free = (
            box for box in _around(x, y, size, radius) if _inside(box, axes) and not any(_meet(box, t) for t in taken)
        )
        box = next(free, None)
        boxes.append(box)
        if box is not None:
            taken.append(box)
    return boxes


def _around(x: float, y: float, size: tuple[float, float], radius: float) -> list[Box]:
    width, height = size
    boxes = []
    for distance in RADII:
        for angle in ANGLES:
            cx = x + cos(angle) * (radius + distance + 1 + width / 2)
            cy = y + sin(angle) * (radius + distance + 1 + height / 2)
            boxes.append((cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2))
    return boxes


def _inside(box: Box, axes: Box) -> bool:
    return box[0] >= axes[0] and box[1] >= axes[1] and box[2] <= axes[2] and box[3] <= axes[3]


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
