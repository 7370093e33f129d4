"""Ghost module: half of the output by a K×K convolution, the other half by a cheap depthwise d×d of the first.

y = [p, w ∗ p], p = K×K of x with ⌈Cout/2⌉ channels; of an odd Cout the last ghost is cut off.
params = K²·Cin·⌈Cout/2⌉ + d²·⌈Cout/2⌉, MACs = params·Ho·Wo.
Han et al., https://arxiv.org/abs/1911.11907; its networks take K = 1, the slot's own here
"""

from typing import ClassVar

import torch
from torch import nn

from litconv.conv.same import SameConv2d
from litconv.conv.slot import LINEAR_GAIN, RELU_GAIN, Formula, out_size


class Ghost(nn.Module):
    """K×K to half of the channels, and `cheap_kernel`² of each for the other half.

    `norm_between` puts BatchNorm and ReLU before the cheap half, as GhostNet does (which has them after both halves too, where
    they are the backbone's): 2·⌈Cout/2⌉ parameters and a nonlinearity more than the standard convolution.
    """

    confounds: ClassVar[dict[str, str]] = {
        "norm_between=false": "neither norm nor ReLU before its cheap half, which GhostNet has: it is learned as a product",
        "norm_between=true": "a batch norm and a ReLU before its cheap half, which the standard convolution does not have",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        cheap_kernel: int = 3,
        norm_between: bool = False,
    ) -> None:
        super().__init__()
        half = -(-out_channels // 2)
        self.primary = SameConv2d(in_channels, half, kernel_size, stride, dilation)
        self.between = nn.Sequential(nn.BatchNorm2d(half), nn.ReLU()) if norm_between else nn.Identity()
        # Its input has twice the variance of white noise; after norm and ReLU half of it.
        gain = 2**0.5 * RELU_GAIN if norm_between else LINEAR_GAIN
        self.cheap = SameConv2d(half, half, cheap_kernel, 1, dilation, groups=half, gain=gain)
        self.out_channels = out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        primary = self.primary(x)
        return torch.cat([primary, self.cheap(self.between(primary))], dim=1)[:, : self.out_channels]

    def formula(self, height: int, width: int) -> Formula:
        stride = self.primary.stride[0]
        cheap = self.cheap.formula(out_size(height, stride), out_size(width, stride))
        norm = 0 if isinstance(self.between, nn.Identity) else 2 * self.primary.out_channels
        return self.primary.formula(height, width) + cheap + Formula(norm, 0)
