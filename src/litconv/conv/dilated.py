"""Dilated (atrous) convolution: K×K with gaps of `rate`, an effective kernel of rate·(K−1) + 1.

y[o](p) = Σ_c Σ_k w[o, c, k] · x[c](p + rate·k);  params and MACs are those of the standard convolution.
Yu & Koltun, https://arxiv.org/abs/1511.07122; DeepLab, https://arxiv.org/abs/1606.00915
"""

from typing import ClassVar

import torch

from litconv.conv.same import SameConv2d
from litconv.conv.slot import Likeness, at_least_one


class Dilated(SameConv2d):
    """K×K convolution at dilation `rate`, times the dilation that the backbone asks for."""

    confounds: ClassVar[dict[str, str]] = {
        "": "on maps hardly larger than the reach of its kernel most of what it reads is padding, so that its outputs are small",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        rate: int = 2,
    ) -> None:
        at_least_one(dilation=rate)
        super().__init__(in_channels, out_channels, kernel_size, stride, widened(dilation, rate))
        self.rate = rate

    def take_dense(self, weight: torch.Tensor) -> Likeness:
        how = super().take_dense(weight)
        return how if self.rate == 1 else Likeness(f"copied, {self.rate} times as far apart", how.error)


def widened(dilation: int | tuple[int, int], rate: int) -> int | tuple[int, int]:
    return dilation * rate if isinstance(dilation, int) else (dilation[0] * rate, dilation[1] * rate)
