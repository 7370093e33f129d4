"""Bottleneck: 1×1 down to Cout/r, K×K, 1×1 up to Cout, all linear: cost bought with lost information.

params = Cin·Cout/r + K²·(Cout/r)² + Cout²/r; the first 1×1 runs at H·W, the rest at Ho·Wo.
The 1×1 reduction of GoogLeNet, https://arxiv.org/abs/1409.4842, and ResNet, https://arxiv.org/abs/1512.03385
"""

from typing import ClassVar

import torch
from torch import nn

from litconv.conv.same import SameConv2d
from litconv.conv.slot import LINEAR_GAIN, Formula, Likeness, at_least_one, likeness, out_size


class Bottleneck(nn.Module):
    """K×K convolution between two 1×1s, at 1/`reduction` of the output channels."""

    confounds: ClassVar[dict[str, str]] = {
        "": "neither norm nor ReLU between its three layers, which ResNet has: they are learned as a product",
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
        if out_channels % reduction:
            works = [r for r in range(2, out_channels + 1) if out_channels % r == 0]
            raise ValueError(
                f"reduction={reduction} must divide out_channels={out_channels}; try {', '.join(map(str, works[:6]))}"
            )
        channels = out_channels // reduction
        self.reduce = SameConv2d(in_channels, channels, 1, gain=LINEAR_GAIN)
        self.spatial = SameConv2d(channels, channels, kernel_size, stride, dilation, gain=LINEAR_GAIN)
        self.expand = SameConv2d(channels, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.expand(self.spatial(self.reduce(x)))

    def formula(self, height: int, width: int) -> Formula:
        stride = self.spatial.stride[0]
        small = out_size(height, stride), out_size(width, stride)
        return self.reduce.formula(height, width) + self.spatial.formula(height, width) + self.expand.formula(*small)

    @torch.no_grad()
    def take_dense(self, weight: torch.Tensor) -> Likeness:
        """The leading channels of both sides, and what the kernel is between them: the Tucker decomposition of Kim et al.,
        https://arxiv.org/abs/1511.06530"""
        channels = self.spatial.out_channels
        outs, ins = (leading(weight.transpose(0, axis).flatten(1).float(), channels) for axis in (0, 1))
        core = torch.einsum("oikl,om,in->mnkl", weight.float(), outs, ins)
        self.spatial.weight.zero_()  # of what there are fewer directions than channels for, the other layers stay as drawn
        self.spatial.weight[: outs.shape[1], : ins.shape[1]] = core.to(weight.dtype)
        self.reduce.weight[: ins.shape[1]] = ins.T[..., None, None].to(weight.dtype)
        self.expand.weight[:, : outs.shape[1]] = outs[..., None, None].to(weight.dtype)
        return likeness(f"Tucker, {channels} channels", weight, torch.einsum("mnkl,om,in->oikl", core, outs, ins))


def leading(matrix: torch.Tensor, count: int) -> torch.Tensor:
    """Directions of the rows that hold most: (rows, at most count)."""
    return torch.linalg.svd(matrix, full_matrices=False)[0][:, :count]
