"""Images of one of ten shapes each.

Made to tell operators apart: what a 3×3 window or the whole image's average shows says next to nothing about the class.
Colours, brightness, polarity, noise, area, position and rotation are drawn without regard to it; strokes of the shape's own
colour lie about and against it. What is left is how the outline runs over some ten to twenty pixels. The smallest shapes
are too small to be told apart by anybody, which keeps good networks below 100 %.
"""

from collections.abc import Callable
from math import cos, hypot, pi, sin

import torch
from torch import Tensor

BLOCK = 500  # images drawn from one generator: a smaller split is the beginning of a larger one

# Signed distances, negative inside, at (u, v), v downwards, in units of the shape's half size; t: half thickness.


def disc(u: Tensor, v: Tensor, t: Tensor) -> Tensor:
    return torch.hypot(u, v) - 1


def ring(u: Tensor, v: Tensor, t: Tensor) -> Tensor:
    return disc(u, v, t).abs() - t


def horseshoe(u: Tensor, v: Tensor, t: Tensor) -> Tensor:
    return torch.maximum(ring(u, v, t), 0.86 * v - 0.51 * u.abs())


def crescent(u: Tensor, v: Tensor, t: Tensor) -> Tensor:
    return torch.maximum(disc(u, v, t), 0.85 - torch.hypot(u - 0.3 - 0.8 * t, v))


def box(u: Tensor, v: Tensor, width: Tensor | float, height: Tensor | float) -> Tensor:
    return torch.maximum(u.abs() - width, v.abs() - height)


def square(u: Tensor, v: Tensor, t: Tensor) -> Tensor:
    return box(u, v, 1, 1)


def hourglass(u: Tensor, v: Tensor, t: Tensor) -> Tensor:
    return torch.maximum(v.abs() - 1, 0.707 * (u.abs() - v.abs() - 0.08))


def bars(u: Tensor, v: Tensor, t: Tensor) -> Tensor:
    return box(u.abs() - 0.65, v, 0.1 + t, 1)


def plus(u: Tensor, v: Tensor, t: Tensor) -> Tensor:
    return torch.minimum(box(u, v, 0.05 + t, 1), box(u, v, 1, 0.05 + t))


def triangle(u: Tensor, v: Tensor, t: Tensor) -> Tensor:
    return torch.maximum(v - 0.5, 0.866 * u.abs() - 0.5 * v - 0.5)


def star(u: Tensor, v: Tensor, t: Tensor) -> Tensor:
    angle, sector = torch.atan2(u, -v), 2 * pi / 5
    angle = (angle - sector * (angle / sector).round()).abs()  # folded: from the tip (0) to the notch (sector / 2)
    radius = torch.hypot(u, v)
    notch = 0.45 * cos(sector / 2), 0.45 * sin(sector / 2)
    edge = hypot(1 - notch[0], notch[1])
    return ((radius * angle.cos() - 1) * notch[1] + radius * angle.sin() * (1 - notch[0])) / edge


SHAPES: tuple[Callable[[Tensor, Tensor, Tensor], Tensor], ...] = (
    disc,
    ring,
    horseshoe,
    crescent,
    square,
    hourglass,
    bars,
    plus,
    triangle,
    star,
)
AREA = (0.06, 0.28)  # of the image
THICKNESS = (0.2, 0.34)  # t
CONTRAST = (0.4, 0.55)  # of shape and background, of a range of 1


def draw(
    generator: torch.Generator, size: tuple[int, int], noise: float, clutter: int
) -> tuple[Tensor, Tensor, Tensor]:
    """A block of images uint8 (N, 3, H, W), labels (N,) and masks uint8 (N, H, W), its classes taking turns."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        """(N, *shape, 1, 1)"""
        return low + (high - low) * torch.rand(BLOCK, *shape, 1, 1, generator=generator)

    height, width = size
    rows, columns = torch.arange(height)[:, None] + 0.5, torch.arange(width) + 0.5  # pixel centres
    side = min(size)

    # The shape: scaled to its area, wholly inside where it can be.
    thickness, angle = uniform(*THICKNESS), uniform(0, 2 * pi)
    scale = (uniform(*AREA) / unit_area(thickness)).sqrt() * side  # pixels of a unit
    margin = scale.mul(1.05).clamp(max=side / 2)
    v = (rows - margin - (height - 2 * margin) * uniform(0, 1)) / scale  # (N, H, 1)
    u = (columns - margin - (width - 2 * margin) * uniform(0, 1)) / scale  # (N, 1, W)
    u, v = angle.cos() * u + angle.sin() * v, angle.cos() * v - angle.sin() * u  # (N, H, W)
    distance = distances(u, v, thickness) * scale
    labels = torch.arange(BLOCK) % len(SHAPES)
    masks = ((distance < 0) * (labels + 1)[:, None, None]).byte()

    # Strokes, their number different in every image, beside the shape and touching it.
    share = uniform(0, 1)
    for _ in range(clutter):
        x, y = columns - uniform(0, width), rows - uniform(0, height)
        angle, length, radius = uniform(0, pi), uniform(0, 0.14) * side, uniform(0.03, 0.055) * side
        along, across = angle.cos() * x + angle.sin() * y, angle.cos() * y - angle.sin() * x
        stroke = torch.hypot(along - along.clamp(-length, length), across) - radius
        distance = torch.where(uniform(0, 1) < share, torch.minimum(distance, stroke), distance)

    # Colours, lighting, noise.
    coverage = (0.5 - distance).clamp(0, 1)[:, None]  # antialiased: a pixel's edge is half a pixel from its centre
    polarity = torch.where(uniform(0, 1, 1) < 0.5, -1.0, 1.0)
    contrast = polarity * uniform(*CONTRAST, 1) * uniform(0.4, 1.6, 3)  # (N, 3, 1, 1)
    light = uniform(-0.2, 0.2, 3) * (columns / width - 0.5) + uniform(-0.2, 0.2, 3) * (rows / height - 0.5)
    grain = torch.rand(2, BLOCK, 3, height, width, generator=generator).sum(0) - 1  # variance 1/6
    images = uniform(0.25, 0.75, 3) + light + contrast * coverage + uniform(0.5, 1.5, 1) * noise * 6**0.5 * grain
    return images.mul(255).round().clamp(0, 255).byte(), labels, masks


def distances(u: Tensor, v: Tensor, thickness: Tensor) -> Tensor:
    """Each image's own shape: (N, H, W)."""
    out = torch.empty_like(u)
    for label, shape in enumerate(SHAPES):
        mine = slice(label, None, len(SHAPES))
        out[mine] = shape(u[mine], v[mine], thickness[mine])
    return out


def unit_area(thickness: Tensor) -> Tensor:
    """Of each image's shape at scale 1, counted on a grid: (N, 1, 1)."""
    line = torch.linspace(-1.5, 1.5, 64)
    u, v = (x.expand(BLOCK, -1, -1) for x in torch.meshgrid(line, line, indexing="xy"))
    return (distances(u, v, thickness) < 0).float().mean((1, 2), keepdim=True) * (line[-1] - line[0] + 3 / 63) ** 2
