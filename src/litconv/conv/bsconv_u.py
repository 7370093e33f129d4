"""Blueprint separable convolution, unconstrained (BSConv-U): pointwise, then depthwise K×K.

The halves of the depthwise-separable convolution in the other order: every output channel is one K×K blueprint of a
linear mix of the input channels. The pointwise half comes first, at the input's resolution:
params = Cin·Cout + K²·Cout, MACs = Cin·Cout·H·W + K²·Cout·Ho·Wo.
Haase & Amthor, https://arxiv.org/abs/2003.13549
"""

from typing import ClassVar

import torch
from torch import nn

from litconv.conv.low_rank import factors
from litconv.conv.same import SameConv2d
from litconv.conv.slot import LINEAR_GAIN, Formula, Likeness, likeness


class BSConvU(nn.Module):
    """1×1, then depthwise K×K with the stride; nothing between them, as in the paper."""

    confounds: ClassVar[dict[str, str]] = {
        "": "neither norm nor ReLU between its two layers, as published: they are learned as a product",
    }

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.pointwise = SameConv2d(in_channels, out_channels, 1, gain=LINEAR_GAIN)
        self.depthwise = SameConv2d(out_channels, out_channels, kernel_size, stride, dilation, groups=out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.depthwise(self.pointwise(x))

    def formula(self, height: int, width: int) -> Formula:
        return self.pointwise.formula(height, width) + self.depthwise.formula(height, width)

    @torch.no_grad()
    def take_dense(self, weight: torch.Tensor) -> Likeness:
        """Of each output the kernel (Cin × K²) is the nearest product of rank 1."""
        pointwise, depthwise = factors(weight.flatten(2), 1)
        self.pointwise.weight.copy_(pointwise.view_as(self.pointwise.weight))
        self.depthwise.weight.copy_(depthwise.view_as(self.depthwise.weight))
        return likeness("SVD, rank 1 for each output", weight, (pointwise @ depthwise).view_as(weight))
