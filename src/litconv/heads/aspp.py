"""Atrous spatial pyramid pooling, https://arxiv.org/abs/1706.05587: one map seen at several dilations at once, by a 1×1
convolution and by the mean of the whole image; concatenated and projected.

The image branch has a bias in place of BN: it is one pixel per image, which BN cannot normalise in a batch of one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from litconv.backbones.blocks import ConvNormReLU
from litconv.backbones.stages import at
from litconv.conv import ConvFactory, SameConv2d


class ASPP(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, rates: Sequence[int], conv: ConvFactory) -> None:
        super().__init__()
        self.pointwise = ConvNormReLU(SameConv2d(in_channels, out_channels, 1), out_channels)
        self.atrous = nn.ModuleList()
        for index, rate in enumerate(rates):
            with at(f"atrous.{index}"):
                self.atrous.append(ConvNormReLU(conv(in_channels, out_channels, dilation=rate), out_channels))
        self.image = SameConv2d(in_channels, out_channels, 1, bias=True)
        self.project = ConvNormReLU(SameConv2d((len(rates) + 2) * out_channels, out_channels, 1), out_channels)

    def forward(self, x: Tensor) -> Tensor:
        image = self.image(x.mean(dim=(2, 3), keepdim=True)).relu().expand(-1, -1, *x.shape[-2:])
        branches = [self.pointwise(x), *(branch(x) for branch in self.atrous), image]
        return self.project(torch.cat(branches, dim=1))  # (N, out_channels, H, W)
