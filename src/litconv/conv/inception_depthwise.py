"""Inception depthwise convolution: an eighth of the channels K×K, an eighth 1×B, an eighth B×1, 5/8 as they are; then
pointwise (InceptionNeXt).

A large depthwise kernel taken apart. With B = 11 and Cb = ⌊Cin/8⌋, at least 1: params = (K² + 2·B)·Cb + Cin·Cout,
MACs = params·Ho·Wo. A stride is taken by all four parts; the untouched one is read at every stride-th value.
Yu et al., https://arxiv.org/abs/2303.16900
"""

from typing import ClassVar

import torch
from torch import nn

from litconv.conv.same import SameConv2d
from litconv.conv.slot import LINEAR_GAIN, Formula, at_least_one, out_size


class InceptionDepthwise(nn.Module):
    """Four parts side by side along the channels, then 1×1. `band` is the length of the two bands."""

    confounds: ClassVar[dict[str, str]] = {
        "": "no norm between its depthwise and its pointwise part, which InceptionNeXt has: they are learned as a product",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        band: int = 11,
    ) -> None:
        super().__init__()
        at_least_one(band=band)
        if in_channels < 3:
            raise ValueError(
                f"inception_depthwise has three kinds of kernels: in_channels={in_channels} must be at least 3"
            )
        part = max(1, in_channels // 8)
        kernels = {"square": kernel_size, "across": (1, band), "down": (band, 1)}
        self.bands = nn.ModuleDict(
            {
                name: SameConv2d(part, part, kernel, stride, dilation, groups=part, gain=LINEAR_GAIN)
                for name, kernel in kernels.items()
            }
        )
        self.sizes = [in_channels - 3 * part, part, part, part]
        self.stride = stride
        self.pointwise = SameConv2d(in_channels, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rest, *parts = x.split(self.sizes, dim=1)
        rest = rest[..., :: self.stride, :: self.stride]
        moved = [conv(part) for conv, part in zip(self.bands.values(), parts, strict=True)]
        return self.pointwise(torch.cat([rest, *moved], dim=1))

    def formula(self, height: int, width: int) -> Formula:
        cost = self.pointwise.formula(out_size(height, self.stride), out_size(width, self.stride))
        for conv in self.bands.values():
            cost += conv.formula(height, width)
        return cost
