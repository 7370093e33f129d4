"""The U-Net decoder, https://arxiv.org/abs/1505.04597: from each feature to the next finer one by ×2, concatenation
with it and K×K convolutions. Unlike the paper's, every convolution is padded and BN follows it and the upsampler.
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from litconv.backbones.stages import at
from litconv.conv import ConvFactory
from litconv.heads.decoding import classifier, doublings, enlarge, levels
from litconv.heads.unet_step import UNetStep
from litconv.upsample import UpsampleFactory


class UNet(nn.Module):
    tasks: ClassVar[frozenset[str]] = frozenset({"segmentation"})

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        num_classes: int,
        conv: ConvFactory,
        upsample: UpsampleFactory,
        *,
        convs_per_level: int = 2,
    ) -> None:
        super().__init__()
        if not (isinstance(convs_per_level, int) and convs_per_level > 0):
            raise ValueError(f"convs_per_level={convs_per_level} must be 1 or more; the published U-Net has 2")
        self.levels = levels(strides)
        self.steps = nn.ModuleList()
        for index, (deep, skip) in enumerate(zip(self.levels, self.levels[1:], strict=False)):
            ups = doublings(strides[deep], strides[skip])
            with at(f"head.steps.{index}"):
                self.steps.append(UNetStep(channels[deep], channels[skip], ups, conv, upsample, convs_per_level))
        finest = self.levels[-1]
        self.factor = strides[finest]
        self.classifier = classifier(channels[finest], num_classes)

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        deepest, *skips = (features[level] for level in self.levels)
        x = deepest
        for step, skip in zip(self.steps, skips, strict=True):
            x = step(x, skip)
        return enlarge(self.classifier(x), self.factor, size)  # (N, classes, *size)
