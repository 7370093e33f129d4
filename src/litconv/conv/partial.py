"""Partial convolution: K×K on a part of the channels, the others as they are, then pointwise over all (FasterNet).

With Cp = ⌊Cin/r⌋ (r = 4): params = K²·Cp² + Cin·Cout, MACs = params·Ho·Wo. The paper's keeps the size; a stride is taken as
if the 1×1 after it took it, so that nothing is computed that the 1×1 does not read.
Chen et al., https://arxiv.org/abs/2303.03667
"""

from typing import ClassVar

import torch
from torch import nn

from litconv.conv.same import SameConv2d
from litconv.conv.slot import LINEAR_GAIN, Formula, at_least_one, out_size


class Partial(nn.Module):
    """K×K of the first 1/`ratio` of the channels, then 1×1."""

    confounds: ClassVar[dict[str, str]] = {
        "": "neither norm nor ReLU between its two layers, as published: they are learned as a product",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        ratio: int = 4,
    ) -> None:
        super().__init__()
        at_least_one(ratio=ratio)
        if ratio > in_channels:
            raise ValueError(f"ratio={ratio} leaves none of in_channels={in_channels}; use {in_channels} or less")
        channels = in_channels // ratio
        self.spatial = SameConv2d(channels, channels, kernel_size, stride, dilation, gain=LINEAR_GAIN)
        self.pointwise = SameConv2d(in_channels, out_channels, 1)
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        channels = self.spatial.in_channels
        rest = x[:, channels:, :: self.stride, :: self.stride]
        return self.pointwise(torch.cat([self.spatial(x[:, :channels]), rest], dim=1))

    def formula(self, height: int, width: int) -> Formula:
        small = out_size(height, self.stride), out_size(width, self.stride)
        return self.spatial.formula(height, width) + self.pointwise.formula(*small)
