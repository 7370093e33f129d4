"""DeepLab v3+, https://arxiv.org/abs/1802.02611: ASPP on the coarse feature, at most two doublings (the paper's stride
16 → 4), a low-level feature projected by 1×1, concatenation, two K×K convolutions.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from litconv.backbones.blocks import ConvNormReLU
from litconv.backbones.stages import at
from litconv.conv import ConvFactory, SameConv2d
from litconv.heads.aspp import ASPP
from litconv.heads.decoding import classifier, crop, doublings, enlarge, levels, require_hidden
from litconv.upsample import UpsampleFactory


class DeepLab(nn.Module):
    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        num_classes: int,
        conv: ConvFactory,
        upsample: UpsampleFactory,
        *,
        hidden: int = 64,
        rates: Sequence[int] = (2, 4, 6),
    ) -> None:
        super().__init__()
        require_hidden(hidden)
        if not (isinstance(rates, Sequence) and rates and all(isinstance(rate, int) and rate > 0 for rate in rates)):
            raise ValueError(f"rates={rates} must be a list of positive whole numbers; try [2,4,6]")
        coarse, *finer = levels(strides)
        self.low = ([coarse] + [level for level in finer if 4 * strides[level] >= strides[coarse]])[-1]
        with at("head.aspp"):
            self.aspp = ASPP(channels[coarse], hidden, rates, conv)
        with at("head.ups"):
            ups = doublings(strides[coarse], strides[self.low])
            self.ups = nn.Sequential(*(ConvNormReLU(upsample(hidden, hidden), hidden) for _ in range(ups)))
        self.project = ConvNormReLU(SameConv2d(channels[self.low], hidden, 1), hidden)
        with at("head.fuse"):
            self.fuse = nn.Sequential(*(ConvNormReLU(conv(c, hidden), hidden) for c in (2 * hidden, hidden)))
        self.factor = strides[self.low]
        self.classifier = classifier(hidden, num_classes)

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        low = self.project(features[self.low])
        x = crop(self.ups(self.aspp(features[-1])), low.shape[-2:])
        x = self.fuse(torch.cat((x, low), dim=1))
        return enlarge(self.classifier(x), self.factor, size)  # (N, classes, *size)
