"""2-D convolution with "same" padding that does not depend on the stride.

With d(K−1) rows of padding in all, ⌊d(K−1)/2⌋ before and the rest after, the output is ⌈H/S⌉ × ⌈W/S⌉ for odd and even
K alike. For odd K this is the textbook P = d(K−1)/2 of Dumoulin & Visin, https://arxiv.org/abs/1603.07285.
"""

import torch
import torch.nn.functional as F
from torch import nn

from litconv.conv.slot import RELU_GAIN, Formula, Likeness, at_least_one, out_size

Size2d = int | tuple[int, int]
ONEDNN_BLOCK = 16  # channels


def pair(value: Size2d) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def same_padding(kernel_size: int, dilation: int) -> tuple[int, int]:
    """Rows before and after one axis."""
    total = dilation * (kernel_size - 1)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """`nn.Conv2d` whose output is ⌈H/stride⌉ × ⌈W/stride⌉; the brick that the other operators are made of.

    `gain` scales the initial weights: √2 where a ReLU follows, 1 where another linear layer does.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size2d = 3,
        stride: Size2d = 1,
        dilation: Size2d = 1,
        *,
        groups: int = 1,
        bias: bool = False,
        gain: float = RELU_GAIN,
    ) -> None:
        kernel, strides, rates = pair(kernel_size), pair(stride), pair(dilation)
        at_least_one(
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=min(kernel),
            stride=min(strides),
            dilation=min(rates),
        )
        (top, bottom), (left, right) = (same_padding(k, d) for k, d in zip(kernel, rates, strict=True))
        symmetric = top == bottom and left == right
        super().__init__(
            in_channels,
            out_channels,
            kernel,
            strides,
            padding=(top, left) if symmetric else 0,
            dilation=rates,
            groups=groups,
            bias=bias,
        )
        self.gain = gain
        self.extra_padding = None if symmetric else (left, right, top, bottom)
        # oneDNN's backward of a strided 1×1 convolution of 8 channels-last channels writes out of bounds (AVX-512, torch
        # 2.13). What it strides over, it does not look at: the same convolution of every second value.
        self.picks_first = kernel == (1, 1) and strides != (1, 1) and in_channels // groups < ONEDNN_BLOCK

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.convolved(x, self.weight, self.groups)

    def convolved(self, x: torch.Tensor, weight: torch.Tensor, groups: int) -> torch.Tensor:
        """With this layer's geometry and another weight, of which its operator makes one anew in every forward."""
        if self.picks_first and x.device.type == "cpu":
            (down, across), unit = self.stride, (1, 1)
            return F.conv2d(x[..., ::down, ::across], weight, self.bias, unit, (0, 0), unit, groups)
        if self.extra_padding is not None:
            x = F.pad(x, self.extra_padding)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, groups)

    def formula(self, height: int, width: int) -> Formula:
        """Params and MACs of one (height, width) image: (Kh·Kw·Cin/g + bias)·Cout, and the weights times Ho·Wo."""
        weights = self.kernel_size[0] * self.kernel_size[1] * self.in_channels // self.groups * self.out_channels
        macs = weights * out_size(height, self.stride[0]) * out_size(width, self.stride[1])
        return Formula(weights + (self.out_channels if self.bias is not None else 0), macs)

    @torch.no_grad()
    def take_dense(self, weight: torch.Tensor) -> Likeness:
        """Every output keeps the inputs of its own group: the nearest in least squares."""
        own = self.in_channels // self.groups
        rows = weight.chunk(self.groups)
        self.weight.copy_(torch.cat([row[:, i * own : (i + 1) * own] for i, row in enumerate(rows)]))
        if self.groups == 1:
            return Likeness("copied", 0.0)
        kept = self.weight.square().sum() / weight.square().sum().clamp_min(torch.finfo(weight.dtype).tiny)
        return Likeness("diagonal" if own == 1 else "block diagonal", float((1 - kept).clamp_min(0).sqrt()))
