"""Octave convolution: a share α of the channels lives at half the resolution.

Inside there are two maps, high and low, and four convolutions between them; outside is one tensor:
y_high = W_hh ∗ x_high + up(W_lh ∗ x_low), y_low = W_ll ∗ x_low + W_hl ∗ pool(x_high), y = [y_high, up(y_low)].
Its adapters have no weights: the low channels are average-pooled on their way in and repeated on their way out, and a
stride is an average pool before it all, as in the paper. A last row or column of an odd size is pooled by itself.
params = K²·Cin·Cout; MACs = K²·(Cin_h·Cout_h·Ho·Wo + (Cin·Cout − Cin_h·Cout_h)·⌈Ho/2⌉·⌈Wo/2⌉): at α = ½ and even sizes
0.4375 of the standard convolution's. Chen et al., https://arxiv.org/abs/1904.05049
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from litconv.conv.same import SameConv2d
from litconv.conv.slot import LINEAR_GAIN, Formula, at_least_one, out_size


class Octave(nn.Module):
    """K×K between two resolutions, with `alpha` of the channels at the lower one: the last ones."""

    confounds: ClassVar[dict[str, str]] = {
        "": "a stride is an average pool before the convolution, where the standard convolution takes every second value",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        alpha: float = 0.5,
    ) -> None:
        super().__init__()
        at_least_one(stride=stride)
        low_in, low_out = round(alpha * in_channels), round(alpha * out_channels)
        if not (0 < low_in < in_channels and 0 < low_out < out_channels):
            raise ValueError(
                f"alpha={alpha} must leave channels at both resolutions, of in_channels={in_channels} and "
                f"out_channels={out_channels}; use a number between 0 and 1, such as 0.5"
            )
        high_in, high_out = in_channels - low_in, out_channels - low_out

        def part(channels_in: int, channels_out: int, pooled: int) -> SameConv2d:
            """Of white noise `pooled`² values' mean has that much less variance; two parts are added up."""
            return SameConv2d(channels_in, channels_out, kernel_size, 1, dilation, gain=LINEAR_GAIN * pooled)

        self.high_to_high = part(high_in, high_out, stride)
        self.low_to_high = part(low_in, high_out, 2 * stride)
        self.low_to_low = part(low_in, low_out, 2 * stride)
        self.high_to_low = part(high_in, low_out, 2 * stride)
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride > 1:
            x = F.avg_pool2d(x, self.stride, ceil_mode=True)
        high = x[:, : self.high_to_high.in_channels]
        below = F.avg_pool2d(x, 2, ceil_mode=True)
        high_below, low = below.split((self.high_to_low.in_channels, self.low_to_low.in_channels), dim=1)
        coarse = torch.cat([self.low_to_high(low), self.low_to_low(low) + self.high_to_low(high_below)], dim=1)
        fine = F.interpolate(coarse, scale_factor=2, mode="nearest")[..., : x.shape[2], : x.shape[3]]
        from_low, low = fine.split((self.high_to_high.out_channels, self.low_to_low.out_channels), dim=1)
        return torch.cat([self.high_to_high(high) + from_low, low], dim=1)

    def formula(self, height: int, width: int) -> Formula:
        height, width = out_size(height, self.stride), out_size(width, self.stride)
        cost = self.high_to_high.formula(height, width)
        for conv in (self.low_to_high, self.low_to_low, self.high_to_low):
            cost += conv.formula(out_size(height, 2), out_size(width, 2))
        return cost
