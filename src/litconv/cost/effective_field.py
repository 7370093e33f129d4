"""The effective receptive field: how much of the image a feature really listens to.

The gradient of the central value of the backbone's last feature by the image, its absolute value averaged over random
images and summed over channels. Its size in pixels is the square root of the area where it exceeds 1 − 95.45 % (two
standard deviations of a Gaussian) of its maximum. Of a network that ends in logits it is
that of its last map of several places. It depends on the weights: before training, on the initial ones.
Luo et al., https://arxiv.org/abs/1701.04128
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from litconv.cost.replica import replica
from litconv.cost.witness import tensors

THRESHOLD = 1 - 0.9545
IMAGES = 16
LARGER = 8  # an image of so many times the sides tells the last map from what is pooled to one value


def effective_receptive_field(model: nn.Module, in_channels: int, image_size: tuple[int, int]) -> float | None:
    """None where the model's last values have no place in the image, as a transformer's tokens."""
    cpu, backbone = torch.device("cpu"), getattr(model, "backbone", model)
    features = replica(backbone, cpu)
    x = torch.zeros(1, in_channels, *image_size)
    if tensors(features(x))[-1].ndim != 4:  # a whole network
        name = last_map(backbone, in_channels, image_size)
        if name is None:
            return None
        features = MapOf(features, name, image_size)
    return effective_size(sensitivity(features, in_channels, image_size, cpu))


def last_map(model: nn.Module, in_channels: int, image_size: tuple[int, int]) -> str | None:
    """The name of the module that puts out the last map of more than one place; None where what comes last and has places is
    no map."""
    for sides in ([side * LARGER for side in image_size], list(image_size)):
        copied = replica(model, "meta")
        places: list[tuple[str, bool]] = []
        for name, module in copied.named_modules():
            module.register_forward_hook(
                lambda _m, _i, out, name=name, sides=sides, places=places: places.extend(noted(name, out, sides))
            )
        try:
            copied(torch.zeros(1, in_channels, *sides, device="meta"))
        except Exception:  # it takes images of one size alone; or reads values, and then its map is not known
            continue
        return places[-1][0] if places and places[-1][1] else None
    return None


def noted(name: str, out: Any, sides: Sequence[int]) -> list[tuple[str, bool]]:
    """Whether it is a map, of what has several places."""
    several = [value for value in tensors(out) if value.ndim in (3, 4)]
    values = [value for value in several if math.prod(value.shape[1:]) > max(value.shape[1:])]
    return [(name, value.ndim == 4 and channels_first(value, sides) is not None) for value in values[-1:]]


def channels_first(value: Tensor, sides: Sequence[int]) -> Tensor | None:
    """(N, C, H, W) of itself or of (N, H, W, C), whichever has the proportions of the image."""
    for axes in ((2, 3), (1, 2)):
        height, width = (value.shape[axis] for axis in axes)
        if 2 / 3 < height * sides[1] / (width * sides[0]) < 3 / 2:
            return value if axes == (2, 3) else value.permute(0, 3, 1, 2)
    return None


class MapOf(nn.Module):
    """What one module of a network puts out."""

    def __init__(self, network: nn.Module, name: str, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.image_size = network, image_size
        self.seen: list[Tensor] = []
        network.get_submodule(name).register_forward_hook(lambda _m, _i, out: self.seen.append(tensors(out)[-1]))

    def forward(self, x: Tensor) -> Tensor:
        self.seen.clear()
        self.network(x)
        return channels_first(self.seen[-1], self.image_size)


def effective_size(heat: Tensor) -> float:
    """In pixels."""
    return float((heat > THRESHOLD * heat.max()).sum()) ** 0.5


def sensitivity(backbone: nn.Module, in_channels: int, image_size: tuple[int, int], device: torch.device) -> Tensor:
    """(H, W)"""
    generator = torch.Generator().manual_seed(0)
    heat = torch.zeros(image_size, device=device)
    for _ in range(IMAGES):
        x = torch.randn(1, in_channels, *image_size, generator=generator).to(device)
        with torch.enable_grad():
            feature = tensors(backbone(x.requires_grad_()))[-1]
            feature[0, :, feature.shape[2] // 2, feature.shape[3] // 2].sum().backward()
        heat += x.grad.abs().sum(dim=(0, 1))
    return heat
