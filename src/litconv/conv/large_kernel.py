"""Large depthwise kernel (7×7 to 31×31), then pointwise; a small kernel beside the large one while it is trained.

The small kernel's weights are added to the middle of the large ones, which is what its branch computes, so that nothing
of it is left when it is deployed: params = K²·Cin + Cin·Cout, MACs = params·Ho·Wo, as `depthwise_separable` of that size.
Ding et al. (RepLKNet), https://arxiv.org/abs/2203.06717
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from litconv.conv.depthwise_separable import DepthwiseSeparable
from litconv.conv.same import SameConv2d
from litconv.conv.slot import LINEAR_GAIN, Formula, at_least_one, out_size


class LargeKernel(nn.Module):
    """Depthwise K×K with the weights of a `small_kernel` (at most K) added in the middle, then 1×1."""

    confounds: ClassVar[dict[str, str]] = {
        "": "neither norm nor ReLU between its two layers, nor the norms that RepLKNet has in both branches of the first; and "
        "the small kernel's weights, which its costs, those of the fused form, do not have",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        small_kernel: int = 5,
    ) -> None:
        super().__init__()
        at_least_one(small_kernel=small_kernel)
        if small_kernel > max(kernel_size, 5):
            raise ValueError(f"small_kernel={small_kernel} must not exceed kernel_size={kernel_size}")
        gain = LINEAR_GAIN / 2**0.5  # two kernels in one: the variances add up
        slot = (in_channels, in_channels)
        self.large = SameConv2d(*slot, kernel_size, stride, dilation, groups=in_channels, gain=gain)
        self.small = SameConv2d(*slot, min(small_kernel, kernel_size), groups=in_channels, gain=gain)
        self.pointwise = SameConv2d(in_channels, out_channels, 1)

    def weight(self) -> torch.Tensor:
        """Of the depthwise convolution, (Cin, 1, K, K)."""
        around = self.large.kernel_size[0] - self.small.kernel_size[0]
        before, after = around // 2, around - around // 2
        return self.large.weight + F.pad(self.small.weight, (before, after, before, after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pointwise(self.large.convolved(x, self.weight(), self.large.groups))

    @torch.no_grad()
    def deployed(self) -> nn.Module:
        large, like = self.large, self.large.weight
        slot = (
            large.in_channels,
            self.pointwise.out_channels,
            large.kernel_size[0],
            large.stride[0],
            large.dilation[0],
        )
        fused = DepthwiseSeparable(*slot).to(like.device, like.dtype)
        fused.depthwise.weight.copy_(self.weight())
        fused.pointwise.weight.copy_(self.pointwise.weight)
        return fused

    def formula(self, height: int, width: int) -> Formula:
        stride = self.large.stride[0]
        pointwise = self.pointwise.formula(out_size(height, stride), out_size(width, stride))
        return self.large.formula(height, width) + pointwise
