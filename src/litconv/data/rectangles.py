"""Random rectangles in images, drawn for a whole epoch at once: those that RandomResizedCrop enlarges and RandomErasing blanks.

Both as torchvision draws them: area and ratio of the sides, ten tries, and what then does not fit is the middle of the
image (a crop) or nothing (an erasure).
"""

from collections.abc import Callable
from math import log

import torch
from torch import Tensor

TRIES = 10
ERASED_AREA, ERASED_RATIO = (0.02, 0.33), (0.3, 3.3)  # torchvision's defaults

Uniform = Callable[[str, int], Tensor]  # (name of the draw, values an image) → (count, values) in 0..1, float64


def crops(
    size: tuple[int, int], area: tuple[float, float], ratio: tuple[float, float], uniform: Uniform
) -> list[Tensor]:
    """Top, left, height and width of each image's crop, in pixels: int64 (N,). `ratio`: width ÷ height."""
    height, width = size
    heights, widths = sides(height * width, area, ratio, uniform, "crop")
    fits = (heights > 0) & (heights <= height) & (widths > 0) & (widths <= width)
    heights, widths = first_that_fits(fits, heights, widths, middle(size, ratio))
    top, left = corners(size, heights, widths, uniform, "crop")
    none = ~fits.any(1)
    top[none], left[none] = (height - heights[none]) // 2, (width - widths[none]) // 2
    return [top, left, heights, widths]


def erasures(size: tuple[int, int], probability: float, uniform: Uniform) -> list[Tensor]:
    """The same of what is erased; of no height where nothing is."""
    height, width = size
    widths, heights = sides(height * width, ERASED_AREA, ERASED_RATIO, uniform, "erase")  # height ÷ width there
    fits = (heights < height) & (widths < width)
    heights, widths = first_that_fits(fits, heights, widths, (0, 0))
    heights[uniform("erase", 1)[:, 0] >= probability] = 0
    return [*corners(size, heights, widths, uniform, "erase"), heights, widths]


def sides(
    pixels: int, area: tuple[float, float], ratio: tuple[float, float], uniform: Uniform, name: str
) -> tuple[Tensor, Tensor]:
    """Of all tries: (N, TRIES), the second `ratio` times the first."""
    areas = pixels * (area[0] + (area[1] - area[0]) * uniform(f"{name}_area", TRIES))
    ratios = (log(ratio[0]) + (log(ratio[1]) - log(ratio[0])) * uniform(f"{name}_ratio", TRIES)).exp()
    return (areas / ratios).sqrt().round().long(), (areas * ratios).sqrt().round().long()


def first_that_fits(fits: Tensor, heights: Tensor, widths: Tensor, otherwise: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(N,)"""
    first = fits.int().argmax(1, keepdim=True)
    chosen = (part.gather(1, first)[:, 0] for part in (heights, widths))
    return tuple(torch.where(fits.any(1), part, other) for part, other in zip(chosen, otherwise, strict=True))


def middle(size: tuple[int, int], ratio: tuple[float, float]) -> tuple[int, int]:
    """(height, width) of the largest part of the image with such a ratio."""
    height, width = size
    if width / height < ratio[0]:
        return round(width / ratio[0]), width
    if width / height > ratio[1]:
        return height, round(height * ratio[1])
    return height, width


def corners(size: tuple[int, int], heights: Tensor, widths: Tensor, uniform: Uniform, name: str) -> list[Tensor]:
    """Top and left, any that leaves the rectangle inside."""
    room = zip(("top", "left"), size, (heights, widths), strict=True)
    return [(uniform(f"{name}_{edge}", 1)[:, 0] * (length - side + 1)).long() for edge, length, side in room]


def inside(start: Tensor, extent: Tensor, length: int) -> Tensor:
    """Which of `length` pixels lie in it: bool (N, length)."""
    pixel = torch.arange(length, device=start.device)
    return (pixel >= start[:, None]) & (pixel < (start + extent)[:, None])
