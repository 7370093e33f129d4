"""Mixed depthwise convolution (MixConv): kernels of several sizes, each on its share of the channels; then pointwise.

Kernels K, K + 2, K + 4, …: params = Σ kᵢ²·Cᵢ + Cin·Cout, MACs = params·Ho·Wo. Where the channels do not divide, the first
share is the larger; of fewer channels than kernels the largest kernels are left out.
Tan & Le, https://arxiv.org/abs/1907.09595
"""

from typing import ClassVar

import torch
from torch import nn

from litconv.conv.same import SameConv2d
from litconv.conv.slot import LINEAR_GAIN, Formula, at_least_one, out_size


class Mixed(nn.Module):
    """`kernels` sizes of depthwise kernels side by side, then 1×1."""

    confounds: ClassVar[dict[str, str]] = {
        "": "neither norm nor ReLU between its two layers, which MixNet has: they are learned as a product",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        kernels: int = 3,
    ) -> None:
        super().__init__()
        at_least_one(kernels=kernels, in_channels=in_channels)
        shares = min(kernels, in_channels)
        self.sizes = [in_channels // shares + in_channels % shares] + [in_channels // shares] * (shares - 1)
        self.depthwise = nn.ModuleList(
            SameConv2d(size, size, kernel_size + 2 * i, stride, dilation, groups=size, gain=LINEAR_GAIN)
            for i, size in enumerate(self.sizes)
        )
        self.pointwise = SameConv2d(in_channels, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = zip(self.depthwise, x.split(self.sizes, dim=1), strict=True)
        return self.pointwise(torch.cat([conv(part) for conv, part in parts], dim=1))

    def formula(self, height: int, width: int) -> Formula:
        stride = self.depthwise[0].stride[0]
        cost = self.pointwise.formula(out_size(height, stride), out_size(width, stride))
        for conv in self.depthwise:
            cost += conv.formula(height, width)
        return cost
