"""Pointwise convolution: 1×1, channels only; a linear layer at every pixel.

y[o](p) = Σ_c w[o, c] · x[c](p);  params = Cin·Cout, MACs = params·Ho·Wo.
Network in Network, https://arxiv.org/abs/1312.4400
"""

import torch

from litconv.conv.same import SameConv2d
from litconv.conv.slot import Likeness, likeness


class Pointwise(SameConv2d):
    """1×1 convolution. It has no extent: the slot's `kernel_size` and `dilation` are ignored."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, 1, stride)

    @torch.no_grad()
    def take_dense(self, weight: torch.Tensor) -> Likeness:
        rows, columns = ((k - 1) // 2 for k in weight.shape[2:])
        nearest = torch.zeros_like(weight)
        nearest[:, :, rows, columns] = weight[:, :, rows, columns]
        self.weight.copy_(weight[:, :, rows : rows + 1, columns : columns + 1])
        return likeness("the middle of the kernel", weight, nearest)
