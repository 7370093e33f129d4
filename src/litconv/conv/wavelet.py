"""Wavelet convolution (WTConv): depthwise K×K, and the same again in the bands of a Haar transform; then pointwise.

Each level halves the map into four bands (mean, and differences across, down and diagonal), convolves each band of each
channel K×K, hands the mean band to the next level, and goes back: K×K there reaches 2ˡ·K pixels, for log-many parameters.
y = P(D(x) + T⁻¹(W₁ ∗ T(x) + …)). The transform is sums and differences: element-wise operations, no MACs. The paper's
learned scale of every branch is part of its weights here.
It is depthwise and keeps the size; its adapters: the pointwise convolution, a stride that takes every s-th value of the way
back, and a row or column of zeros for odd sizes. params = K²·Cin·(1 + 4·levels) + Cin·Cout,
MACs = K²·Cin·(Ho·Wo + Σₗ 4·⌈H/2ˡ⌉·⌈W/2ˡ⌉) + Cin·Cout·Ho·Wo. Finder et al., https://arxiv.org/abs/2407.05848
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litconv.conv.same import SameConv2d
from litconv.conv.slot import (
    DECLARED_COSTS,
    LINEAR_GAIN,
    PLAIN_FORMS,
    DeclaredCost,
    Formula,
    Window,
    at_least_one,
    out_size,
)

SHARE = 0.1  # what the bands start with beside the ordinary kernel, as published


@torch.library.custom_op("litconv::butterfly", mutates_args=())
def butterfly(quarters: Tensor) -> Tensor:
    """(N, 4·C, H, W) → the same of sums and differences of each channel's four; orthonormal, symmetric, its own inverse.

    Of the values of a 2×2 block, row by row, it makes the bands: mean, differences across, down and diagonal.
    """
    top, bottom = (quarters / 2).unflatten(1, (-1, 2, 2)).unbind(2)
    bands = torch.empty_like(quarters)
    split = bands.unflatten(1, (-1, 2, 2))
    for row, values in enumerate((top + bottom, top - bottom)):
        left, right = values.unbind(2)
        torch.add(left, right, out=split[:, :, row, 0])
        torch.sub(left, right, out=split[:, :, row, 1])
    return bands


@butterfly.register_fake
def _(quarters):
    return torch.empty_like(quarters)


butterfly.register_autograd(lambda ctx, gradient: butterfly(gradient))
# Four halves, eight sums for four values.
DECLARED_COSTS["litconv::butterfly"] = DeclaredCost(
    macs=lambda inputs, output: 0,
    elementwise_ops=lambda inputs, output: 3 * math.prod(output),
    window=lambda quarters: Window([1], [1], [1], [0]),
)


def _of_sums(quarters: Tensor) -> Tensor:
    values = (quarters / 2).unflatten(1, (-1, 2, 2))
    for axis in (2, 3):
        one, other = values.split(1, dim=axis)
        values = torch.cat([one + other, one - other], dim=axis)
    return values.flatten(1, 3)


PLAIN_FORMS["litconv::butterfly"] = _of_sums


def haar(x: Tensor) -> Tensor:
    """(N, C, H, W) → (N, 4·C, ⌈H/2⌉, ⌈W/2⌉), the four bands of a channel side by side."""
    return butterfly(F.pixel_unshuffle(F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2)), 2))


def back(bands: Tensor) -> Tensor:
    """(N, 4·C, H, W) → (N, C, 2·H, 2·W)"""
    return F.pixel_shuffle(butterfly(bands), 2)


class Wavelet(nn.Module):
    """Depthwise K×K of the map and of its Haar bands on `levels` levels, then 1×1."""

    confounds: ClassVar[dict[str, str]] = {
        "": "no norm between its depthwise and its pointwise part, which WTConvNeXt has: they are learned as a product",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        levels: int = 2,
    ) -> None:
        super().__init__()
        at_least_one(levels=levels)
        share = SHARE**2 * sum(4.0**-level for level in range(levels))  # of the variance
        gain = LINEAR_GAIN / (1 + share) ** 0.5
        self.spatial = SameConv2d(
            in_channels, in_channels, kernel_size, stride, dilation, groups=in_channels, gain=gain
        )
        bands = 4 * in_channels
        self.bands = nn.ModuleList(
            SameConv2d(bands, bands, kernel_size, 1, dilation, groups=bands, gain=SHARE * gain) for _ in range(levels)
        )
        self.pointwise = SameConv2d(in_channels, out_channels, 1)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        by_bands = self.through_bands(x, 0)[..., :: self.stride, :: self.stride]
        return self.pointwise(self.spatial(x) + by_bands)

    def through_bands(self, x: Tensor, level: int) -> Tensor:
        """What the bands of this level and of those below add to a map."""
        bands = haar(x)
        moved = self.bands[level](bands)
        if level + 1 < len(self.bands):
            below = self.through_bands(bands[:, ::4], level + 1)
            moved = (moved.unflatten(1, (-1, 4)) + F.pad(below.unsqueeze(2), (0, 0, 0, 0, 0, 3))).flatten(1, 2)
        return back(moved)[..., : x.shape[2], : x.shape[3]]

    def formula(self, height: int, width: int) -> Formula:
        small = out_size(height, self.stride), out_size(width, self.stride)
        cost = self.spatial.formula(height, width) + self.pointwise.formula(*small)
        for conv in self.bands:
            height, width = out_size(height, 2), out_size(width, 2)
            cost += conv.formula(height, width)
        return cost
