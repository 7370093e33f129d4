"""Where deformable convolutions sample: how far the offsets move the points, and the points of one unit over the image.

As the papers draw them (https://arxiv.org/abs/1703.06211, figure 6): a unit of the last layer samples K² points of the map
before it, each of them K² points of the layer below, through LEVELS layers; 729 points for three of 3×3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from litconv.conv.deformable import Deformable

LEVELS = 3
SHOWN = 4  # images, the first ones


@dataclass
class Offsets:
    """Of one layer: sums over all images, and the whole field for the first."""

    layer: Deformable
    height: int  # of the layer's input
    width: int
    points: int = 0
    length: float = 0.0  # sum of |Δ| in pixels of the layer's input
    first: Tensor | None = None  # (SHOWN, K², 2, Ho, Wo), as y and x, of the first group of channels

    def add(self, guide: Tensor) -> None:
        """What the layer's own convolution puts out: (N, 2·K²·G and maybe masks, Ho, Wo)"""
        count = 2 * self.layer.samples
        moved = guide[:, :count].unflatten(1, (self.layer.samples, 2))  # (N, G·K², 2, Ho, Wo)
        lengths = torch.hypot(*moved.unbind(2))
        self.points += lengths.numel()
        self.length += float(lengths.sum(dtype=torch.float64))
        taps = self.layer.samples // self.layer.offset_groups
        seen = 0 if self.first is None else len(self.first)
        if seen < SHOWN:
            more = moved[: SHOWN - seen, :taps].float().cpu()
            self.first = more if self.first is None else torch.cat([self.first, more])

    @property
    def mean_length(self) -> float:
        return self.length / self.points

    def sampled(self, image: int, at: Tensor) -> Tensor:
        """Rows and columns of the output, (P, 2) → the points of the input that they sample, (P·K², 2)"""
        rows, columns = self.layer.weight.shape[2:]
        left, _, top, _ = self.layer.extra_padding or (0, 0, 0, 0)
        taps = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)) * torch.tensor(self.layer.dilation)
        start = at * torch.tensor(self.layer.stride) - torch.tensor(self.layer.padding) - torch.tensor([top, left])
        offset = self.first[image][:, :, at[:, 0], at[:, 1]].permute(2, 0, 1)  # (P, K², 2)
        return (start[:, None] + taps + offset).flatten(0, 1)


class OffsetsWatched:
    """`layers` in the order of the forward, by name."""

    def __init__(self, model: nn.Module) -> None:
        self.layers: dict[str, Offsets] = {}
        for name, module in model.named_modules():
            if isinstance(module, Deformable):
                module.offset.register_forward_hook(
                    lambda own, inputs, guide, name=name, layer=module: self.note(name, layer, inputs[0], guide)
                )

    def note(self, name: str, layer: Deformable, x: Tensor, guide: Tensor) -> None:
        if name not in self.layers:
            self.layers[name] = Offsets(layer, *x.shape[-2:])
        self.layers[name].add(guide)


def points_over_image(layers: list[Offsets], image: int, height: int, width: int) -> Tensor:
    """(K²ᴸ, 2): the rows and columns of the image that the central unit of the last layer samples through the last L =
    LEVELS layers. Between two layers a point is taken to the nearest value of the map below."""
    sizes = torch.tensor(layers[-1].first.shape[-2:])
    at = (sizes // 2)[None]  # (1, 2)
    points = at.float()
    for upper in reversed(layers[-LEVELS:]):
        size = torch.tensor(upper.first.shape[-2:])
        nearest = scaled(points, sizes, size).round().long()
        at = torch.minimum(nearest.clamp(min=0), size - 1)
        points = upper.sampled(image, at)
        sizes = torch.tensor([upper.height, upper.width])
    return scaled(points, sizes, torch.tensor([height, width]))


def scaled(points: Tensor, sizes: Tensor, others: Tensor) -> Tensor:
    """From a map of one size to the same places of another; pixels have their middles at whole numbers."""
    return (points + 0.5) * others / sizes - 0.5
