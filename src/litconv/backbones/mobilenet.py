"""MobileNet, https://arxiv.org/abs/1704.04861: a 3×3 stem, then thirteen blocks [slot, BN, ReLU] in five stages.

`conv=depthwise_separable` with `norm_between` and stem_stride=2 is the published network, `conv=standard` its dense
twin.
"""

from collections.abc import Mapping, Sequence

from litconv.backbones.backbone import Backbone
from litconv.backbones.blocks import ConvNormReLU, plain_block
from litconv.backbones.stages import build_stage, choose_channels, plan_strides, stage_factories
from litconv.conv import ConvFactory, SameConv2d

BLOCKS_PER_STAGE = (1, 2, 2, 6, 2)


class MobileNet(Backbone):
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
        stem_stride: int = 1,
    ) -> None:
        if stem_stride not in (1, 2):
            raise ValueError(f"stem_stride={stem_stride} must be 1 (small images) or 2 (ImageNet)")

        base = choose_channels((32, 64, 128, 256, 512, 1024), width, channel_multiple, base_channels)
        stem_channels, *channels = base
        convs = stage_factories(conv, stage_convs, 5)
        plan = plan_strides(stem_stride, (1, 2, 2, 2, 2), output_stride)
        super().__init__(
            ConvNormReLU(SameConv2d(in_channels, stem_channels, stride=stem_stride), stem_channels),
            [
                build_stage(i + 1, plain_block, convs[i], (base[i], c), BLOCKS_PER_STAGE[i], plan[i])
                for i, c in enumerate(channels)
            ],
            channels,
            plan,
            base_channels=base,
        )
