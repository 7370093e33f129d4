"""The effective receptive field: how much of the image a feature really listens to.

The gradient of the central value of the backbone's last feature by the image, its absolute value averaged over random
images and summed over channels. Its size in pixels is the square root of the area where it exceeds 1 − 95.45 % (two
standard deviations of a Gaussian) of its maximum. It depends on the weights: before training, on the initial ones.
Luo et al., https://arxiv.org/abs/1701.04128
"""

import torch
from torch import Tensor, nn

from litconv.cost.replica import replica
from litconv.cost.witness import tensors

THRESHOLD = 1 - 0.9545
IMAGES = 16


def effective_receptive_field(model: nn.Module, in_channels: int, image_size: tuple[int, int]) -> float:
    cpu = torch.device("cpu")
    return effective_size(sensitivity(replica(getattr(model, "backbone", model), cpu), in_channels, image_size, cpu))


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
