"""VGG with batch normalisation, https://arxiv.org/abs/1409.1556: 3×3 convolutions, max-pooling between five stages.

The first convolution is the stem; a stage's feature is taken before the pooling that follows it.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from torch import nn

from litconv.backbones.backbone import Backbone
from litconv.backbones.blocks import ConvNormReLU, MaxPool, plain_block
from litconv.backbones.stages import build_stage, choose_channels, plan_strides, stage_factories
from litconv.conv import ConvFactory, SameConv2d

CONVS_PER_STAGE = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(Backbone):
    def __init__(
        self,
        conv: ConvFactory,
        in_channels: int = 3,
        width: float = 1.0,
        output_stride: int = 32,
        *,
        stage_convs: Mapping[int, ConvFactory] = {},
        channel_multiple: int = 8,
        base_channels: Sequence[int] = (),
        depth: int = 16,
    ) -> None:
        if depth not in CONVS_PER_STAGE:
            raise ValueError(f"depth={depth} must be 11, 13, 16 or 19")
        if depth == 11 and 1 in stage_convs:
            raise ValueError(
                "conv_stage1 has no effect with depth=11: stage 1 is the stem alone; try conv_stage2 or depth=13"
            )

        channels = choose_channels((64, 128, 256, 512, 512), width, channel_multiple, base_channels)
        convs = stage_factories(conv, stage_convs, 5)
        plan = plan_strides(1, (1, 2, 2, 2, 2), output_stride)
        ins, (first, *others) = [channels[0], *channels], CONVS_PER_STAGE[depth]
        repeats = [first - 1, *others]  # the stem is the first convolution
        stages = [
            build_stage(i + 1, plain_block, convs[i], (ins[i], c), repeats[i], plan[i].after)
            for i, c in enumerate(channels)
        ]
        pooled = [
            nn.Sequential(OrderedDict([("pool", MaxPool(geometry)), *stage.named_children()]))
            for stage, geometry in zip(stages[1:], plan[1:], strict=True)
        ]
        stem = ConvNormReLU(SameConv2d(in_channels, channels[0]), channels[0])
        super().__init__(stem, [stages[0], *pooled], channels, plan, base_channels=channels)
