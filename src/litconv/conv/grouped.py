"""Grouped convolution: g independent convolutions over Cin/g channels each.

params = K²·Cin·Cout/g, MACs = params·Ho·Wo. g = 1 is the standard convolution, g = Cin = Cout the depthwise one.
AlexNet, https://papers.nips.cc/paper/4824; ResNeXt, https://arxiv.org/abs/1611.05431; the shuffle that lets groups
talk to each other: ShuffleNet, https://arxiv.org/abs/1707.01083
"""

import torch

from litconv.conv.same import SameConv2d
from litconv.conv.slot import Likeness, require_divisors


class Grouped(SameConv2d):
    """K×K convolution in `groups` groups; `shuffle` interleaves their output channels (no params, no MACs)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        groups: int = 2,
        shuffle: bool = False,
    ) -> None:
        require_divisors("groups", groups, in_channels, out_channels)
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups=groups)
        self.shuffle = shuffle

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        if self.shuffle:
            n, c, h, w = y.shape
            y = y.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)
        return y

    @torch.no_grad()
    def take_dense(self, weight: torch.Tensor) -> Likeness:
        """Where the shuffle will put each output, there it is taken from."""
        if self.shuffle:
            weight = weight.unflatten(0, (-1, self.groups)).transpose(0, 1).flatten(0, 1)
        return super().take_dense(weight)
