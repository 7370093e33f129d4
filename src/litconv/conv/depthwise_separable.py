"""Depthwise-separable convolution: depthwise K×K, then pointwise.

params = K²·Cin + Cin·Cout, MACs = params·Ho·Wo: 1/Cout + 1/K² of the standard convolution. With `groups=g` the first
half is grouped instead: K²·Cin²/g + Cin·Cout.
MobileNet, https://arxiv.org/abs/1704.04861
"""

from typing import ClassVar, Literal

import torch
from torch import nn

from litconv.conv.low_rank import factors
from litconv.conv.same import SameConv2d
from litconv.conv.slot import LINEAR_GAIN, RELU_GAIN, Formula, Likeness, likeness, out_size, require_divisors


class DepthwiseSeparable(nn.Module):
    """Depthwise (or grouped) K×K, then 1×1.

    `norm_between` puts BatchNorm and ReLU between the halves, as MobileNet does: 2·Cin parameters and a nonlinearity
    more than the other operators have, so a confound in a comparison.
    """

    confounds: ClassVar[dict[str, str]] = {
        "norm_between=false": "neither norm nor ReLU between its two layers, which MobileNet has: they are learned as a product",
        "norm_between=true": "a batch norm and a ReLU between its two layers, which the standard convolution does not have",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        groups: int | Literal["depthwise"] = "depthwise",
        norm_between: bool = False,
    ) -> None:
        super().__init__()
        spatial_groups = in_channels if groups == "depthwise" else groups
        require_divisors("groups", spatial_groups, in_channels, in_channels)
        self.depthwise = SameConv2d(
            in_channels,
            in_channels,
            kernel_size,
            stride,
            dilation,
            groups=spatial_groups,
            gain=RELU_GAIN if norm_between else LINEAR_GAIN,
        )
        self.between = (
            nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU(inplace=True)) if norm_between else nn.Identity()
        )
        self.pointwise = SameConv2d(in_channels, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pointwise(self.between(self.depthwise(x)))

    def formula(self, height: int, width: int) -> Formula:
        first = self.depthwise.formula(height, width)
        stride = self.depthwise.stride[0]
        second = self.pointwise.formula(out_size(height, stride), out_size(width, stride))
        norm = 0 if isinstance(self.between, nn.Identity) else 2 * self.depthwise.out_channels
        return first + second + Formula(norm, 0)

    @torch.no_grad()
    def take_dense(self, weight: torch.Tensor) -> Likeness:
        """Of each group of n inputs the kernel (Cout × n·K²) is the nearest product of rank n; with a norm between, that norm
        is not undone."""
        own = self.depthwise.in_channels // self.depthwise.groups
        by_group = weight.unflatten(1, (-1, own)).transpose(0, 1).flatten(2)  # (groups, Cout, n·K²)
        pointwise, depthwise = factors(by_group, own)
        self.depthwise.weight.copy_(depthwise.flatten(0, 1).view_as(self.depthwise.weight))
        self.pointwise.weight.copy_(pointwise.transpose(0, 1).flatten(1)[..., None, None])
        nearest = (pointwise @ depthwise).transpose(0, 1).reshape_as(weight)
        rest = "" if isinstance(self.between, nn.Identity) else ", its norm apart"
        return likeness(f"SVD, rank {own} for each {'input' if own == 1 else 'group'}{rest}", weight, nearest)
