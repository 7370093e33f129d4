"""Strip convolution: depthwise K×K, and strips 1×L then L×1 of what it gives added to it; then pointwise (SegNeXt).

y = P(s + V(H(s))), s = D(x): long thin things at the cost of their length. D takes the stride, so the strips run at its
output's size: params = (K² + 2·L)·Cin + Cin·Cout, MACs = params·Ho·Wo.
Guo et al., https://arxiv.org/abs/2209.08575, of whose attention this is one pair of strips without the product with the
input, which needs Cin = Cout; Yuan et al., https://arxiv.org/abs/2501.03775
"""

from typing import ClassVar

import torch
from torch import nn

from litconv.conv.same import SameConv2d
from litconv.conv.slot import LINEAR_GAIN, Formula, at_least_one, out_size


class Strip(nn.Module):
    """Depthwise K×K, plus strips of `length` of it, then 1×1."""

    confounds: ClassVar[dict[str, str]] = {
        "": "neither norm nor ReLU between its layers, as published: they are learned as a product",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        length: int = 11,
    ) -> None:
        super().__init__()
        at_least_one(length=length)
        slot, groups = (in_channels, in_channels), in_channels
        gain = LINEAR_GAIN / 2**0.5  # two equal parts are added up
        self.square = SameConv2d(*slot, kernel_size, stride, dilation, groups=groups, gain=gain)
        self.across = SameConv2d(*slot, (1, length), 1, dilation, groups=groups, gain=LINEAR_GAIN)
        self.down = SameConv2d(*slot, (length, 1), 1, dilation, groups=groups, gain=LINEAR_GAIN)
        self.pointwise = SameConv2d(in_channels, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        square = self.square(x)
        return self.pointwise(square + self.down(self.across(square)))

    def formula(self, height: int, width: int) -> Formula:
        stride = self.square.stride[0]
        cost = self.square.formula(height, width)
        for conv in (self.across, self.down, self.pointwise):
            cost += conv.formula(out_size(height, stride), out_size(width, stride))
        return cost
