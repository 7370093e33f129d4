"""The fully convolutional network, https://arxiv.org/abs/1411.4038: class scores of the coarse feature go up by ×2
again and again, and the scores of each finer feature are added on the way (FCN-8s, continued to the finest stride).
The coarse feature first passes one K×K convolution to `hidden` channels.
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from litconv.backbones.blocks import ConvNormReLU
from litconv.backbones.stages import at
from litconv.conv import ConvFactory
from litconv.heads.decoding import classifier, crop, doublings, enlarge, levels, require_hidden
from litconv.upsample import UpsampleFactory


class FCN(nn.Module):
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
    ) -> None:
        super().__init__()
        require_hidden(hidden)
        self.levels = levels(strides)
        coarse, *skips = self.levels
        with at("head.conv"):
            self.conv = ConvNormReLU(conv(channels[coarse], hidden), hidden)
        self.scores = nn.ModuleList(classifier(c, num_classes) for c in [hidden, *(channels[skip] for skip in skips)])
        self.ups = nn.ModuleList()
        for index, (deep, skip) in enumerate(zip(self.levels, skips, strict=False)):
            with at(f"head.ups.{index}"):
                ups = doublings(strides[deep], strides[skip])
                self.ups.append(nn.Sequential(*(upsample(num_classes, num_classes) for _ in range(ups))))
        self.factor = strides[self.levels[-1]]

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        coarse, *skips = (features[level] for level in self.levels)
        coarse_score, *skip_scores = self.scores
        x = coarse_score(self.conv(coarse))
        for up, score, skip in zip(self.ups, skip_scores, skips, strict=True):
            x = crop(up(x), skip.shape[-2:]) + score(skip)
        return enlarge(x, self.factor, size)  # (N, classes, *size)
