"""Involution: a kernel for every place, made of the values there, and the same for all channels of a group.

y[c](p) = Σ_k H[g(c), k](p) · x[c](s·p + d·k), H = W₁·ReLU(N(W₀·x)): the convolution turned round, which has one kernel for
all places and another for every channel. Groups of at most 16 channels, G of them.
N is a norm over each image, where the paper has a batch norm. With the statistics of a batch norm a kernel grows with its
image's contrast, so that every layer squares it: a dozen in a row (VGG, MobileNet) overflow on validation images.
It keeps the channels; its adapters: where Cin ≠ Cout a pointwise convolution after it, and where there is a stride an average
pool before the kernels are made, as in the paper. params = C²/r + 2·C/r (the norm) + C·K²·G/r, and Cin·Cout where they
differ, with C = Cin; MACs = (C²/r + C·K²·G/r + K²·C)·Ho·Wo, and the pointwise convolution's.
Li et al., https://arxiv.org/abs/2103.06255
"""

import math
from collections.abc import Sequence
from functools import reduce
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litconv.conv.same import SameConv2d, same_padding
from litconv.conv.slot import (
    DECLARED_COSTS,
    LINEAR_GAIN,
    PLAIN_FORMS,
    RELU_GAIN,
    DeclaredCost,
    Formula,
    Window,
    at_least_one,
    out_size,
)


def _taps(x: Tensor, kernels: Tensor, stride: int, dilation: int) -> list[Tensor]:
    """For each tap what it reads, (N, G, C/G, Ho, Wo): views of x (N, C, H, W), which is padded already."""
    kernel_size = math.isqrt(kernels.shape[2])
    rows, columns = (stride * (size - 1) + 1 for size in kernels.shape[3:])
    by_group = x.unflatten(1, (kernels.shape[1], -1))
    return [
        by_group[..., i * dilation : i * dilation + rows : stride, j * dilation : j * dilation + columns : stride]
        for i in range(kernel_size)
        for j in range(kernel_size)
    ]


def _wide(*tensors: Tensor) -> list[Tensor]:
    """In float32 where they are of a half precision: a sum of K² products is to be rounded once."""
    dtype = torch.float64 if tensors[0].dtype == torch.float64 else torch.float32
    return [t.to(dtype) for t in tensors]


def _empty_output(x: Tensor, kernels: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:2], *kernels.shape[3:])


@torch.library.custom_op("litconv::involution", mutates_args=())
def involution(x: Tensor, kernels: Tensor, stride: int, dilation: int) -> Tensor:
    """x (N, C, H, W), padded; kernels (N, G, K², Ho, Wo) → (N, C, Ho, Wo): one operation to counters and autograd."""
    wide, weights = _wide(x, kernels)
    y = _empty_output(wide, kernels).zero_()
    by_group = y.unflatten(1, (kernels.shape[1], -1))
    for k, tap in enumerate(_taps(wide, kernels, stride, dilation)):
        by_group.addcmul_(tap, weights[:, :, k, None])
    return y.to(x.dtype)


@involution.register_fake
def _(x, kernels, stride, dilation):
    return _empty_output(x, kernels)


@torch.library.custom_op("litconv::involution_backward", mutates_args=())
def _backward(grad: Tensor, x: Tensor, kernels: Tensor, stride: int, dilation: int) -> tuple[Tensor, Tensor]:
    wide, weights, upstream = _wide(x, kernels, grad)
    upstream = upstream.unflatten(1, (kernels.shape[1], -1))
    of_x, of_kernels = torch.zeros(wide.shape, dtype=wide.dtype, device=x.device), torch.empty_like(weights)
    slices = (_taps(t, kernels, stride, dilation) for t in (wide, of_x))
    for k, (tap, of_tap) in enumerate(zip(*slices, strict=True)):
        of_kernels[:, :, k] = (tap * upstream).sum(2)
        of_tap.addcmul_(upstream, weights[:, :, k, None])
    return of_x.to(x.dtype), of_kernels.to(kernels.dtype)


@_backward.register_fake
def _(grad, x, kernels, stride, dilation):
    return x.new_empty(x.shape), torch.empty_like(kernels)


def _setup_context(ctx, inputs, output) -> None:
    x, kernels, *ctx.geometry = inputs
    ctx.save_for_backward(x, kernels)


def _differentiate(ctx, grad: Tensor) -> tuple:
    return (*_backward(grad, *ctx.saved_tensors, *ctx.geometry), None, None)


involution.register_autograd(_differentiate, setup_context=_setup_context)


def _macs(inputs: Sequence[Sequence[int] | None], output: Sequence[int]) -> int:
    """Each output value is a sum of K² products."""
    return math.prod(output) * inputs[1][2]


def _window(x, kernels, stride, dilation) -> Window:
    return Window([math.isqrt(kernels.shape[2])], [stride], [dilation], [0])


DECLARED_COSTS["litconv::involution"] = DeclaredCost(_macs, lambda inputs, output: 0, _window)


def _of_products(x: Tensor, kernels: Tensor, stride: int, dilation: int) -> Tensor:
    """A product and a sum for each tap."""
    taps = zip(_taps(x, kernels, stride, dilation), kernels.split(1, dim=2), strict=True)
    return reduce(torch.add, (tap * weights for tap, weights in taps)).flatten(1, 2)


PLAIN_FORMS["litconv::involution"] = _of_products


class Involution(nn.Module):
    """K×K kernels of each place for groups of `group_channels` channels, made through C/`reduction` channels."""

    confounds: ClassVar[dict[str, str]] = {
        "": "a norm over each image (published: a batch norm) and a ReLU where its kernels are made, which are part of it; its "
        "output is a product of two things that are learned of the input",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        group_channels: int = 16,
        reduction: int = 4,
    ) -> None:
        super().__init__()
        at_least_one(
            in_channels=in_channels,
            kernel_size=kernel_size,
            stride=stride,
            dilation=dilation,
            group_channels=group_channels,
            reduction=reduction,
        )
        # Of the largest size that is at most `group_channels` and divides the channels.
        size = next(size for size in range(min(group_channels, in_channels), 0, -1) if in_channels % size == 0)
        self.groups, self.kernel_size, self.stride, self.dilation = in_channels // size, kernel_size, stride, dilation
        hidden = max(1, in_channels // reduction)
        self.reduce = SameConv2d(in_channels, hidden, 1)
        self.between = nn.Sequential(nn.GroupNorm(1, hidden), nn.ReLU(inplace=True))
        ends = in_channels == out_channels
        # After norm and ReLU the mean square is ½, and K² products are added up.
        gain = 2**0.5 * (RELU_GAIN if ends else LINEAR_GAIN) / kernel_size
        self.span = SameConv2d(hidden, self.groups * kernel_size**2, 1, gain=gain)
        self.pointwise = nn.Identity() if ends else SameConv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.avg_pool2d(x, self.stride, ceil_mode=True) if self.stride > 1 else x
        kernels = self.span(self.between(self.reduce(pooled))).unflatten(1, (self.groups, self.kernel_size**2))
        before, after = same_padding(self.kernel_size, self.dilation)
        padded = F.pad(x, (before, after, before, after))
        return self.pointwise(involution(padded, kernels, self.stride, self.dilation))

    def formula(self, height: int, width: int) -> Formula:
        height, width = out_size(height, self.stride), out_size(width, self.stride)
        channels = self.reduce.in_channels
        cost = self.reduce.formula(height, width) + self.span.formula(height, width)
        cost += Formula(2 * self.reduce.out_channels, self.kernel_size**2 * channels * height * width)
        return cost + self.pointwise.formula(height, width) if isinstance(self.pointwise, SameConv2d) else cost
