"""Blueprint separable convolution, subspace (BSConv-S): 1×1 to Cin/r, 1×1 to Cout, depthwise K×K, all linear.

BSConv-U with a pointwise half of low rank. With Cm = ⌈Cin/r⌉: params = Cm·(Cin + Cout) + K²·Cout; both 1×1s run at the
input's resolution, H·W, the depthwise half at Ho·Wo. The paper trains it with a loss of its own that keeps the first 1×1
orthonormal; an operator has no loss, so it is left out here and stands among the confounds.
Haase & Amthor, https://arxiv.org/abs/2003.13549
"""

from typing import ClassVar

import torch
from torch import nn

from litconv.conv.same import SameConv2d
from litconv.conv.slot import LINEAR_GAIN, Formula, at_least_one


class BSConvS(nn.Module):
    """Two 1×1s through ⌈Cin/`reduction`⌉ channels, then depthwise K×K with the stride."""

    confounds: ClassVar[dict[str, str]] = {
        "": "neither norm nor ReLU between its three layers, as published: they are learned as a product; and without the "
        "orthonormal regulariser that the paper trains it with",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        reduction: int = 4,
    ) -> None:
        super().__init__()
        at_least_one(reduction=reduction)
        channels = -(-in_channels // reduction)
        self.reduce = SameConv2d(in_channels, channels, 1, gain=LINEAR_GAIN)
        self.expand = SameConv2d(channels, out_channels, 1, gain=LINEAR_GAIN)
        self.depthwise = SameConv2d(out_channels, out_channels, kernel_size, stride, dilation, groups=out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.depthwise(self.expand(self.reduce(x)))

    def formula(self, height: int, width: int) -> Formula:
        size = height, width
        return self.reduce.formula(*size) + self.expand.formula(*size) + self.depthwise.formula(*size)
