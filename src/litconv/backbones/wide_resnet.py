"""Wide residual networks, https://arxiv.org/abs/1605.07146: WRN-depth-widen, for 32×32 images.

Three stages of (depth−4)/6 pre-activation blocks with 16, 32 and 64 times `widen` channels; BN and ReLU end the last.
"""

from collections.abc import Mapping, Sequence

from torch import nn

from litconv.backbones.backbone import Backbone
from litconv.backbones.blocks import PreactivationBlock
from litconv.backbones.stages import build_stage, choose_channels, plan_strides, stage_factories
from litconv.conv import ConvFactory, SameConv2d

DEPTHS = range(10, 1205, 6)


class WideResNet(Backbone):
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
        depth: int = 40,
        widen: int = 2,
    ) -> None:
        if depth not in DEPTHS:
            raise ValueError(f"depth={depth} must be 6n+4: 10, 16, 22, 28, 34, 40, …")
        if not (isinstance(widen, int) and widen > 0):
            raise ValueError(
                f"widen={widen} must be a positive whole number; try 1, 2, 4, 10 (width scales it further)"
            )

        published = (16, 16 * widen, 32 * widen, 64 * widen)
        base = choose_channels(published, width, channel_multiple, base_channels)
        stem_channels, *channels = base
        convs = stage_factories(conv, stage_convs, 3)
        plan = plan_strides(1, (1, 2, 2), output_stride)
        repeats = (depth - 4) // 6
        stages = [
            build_stage(i + 1, PreactivationBlock, convs[i], (base[i], c), repeats, plan[i])
            for i, c in enumerate(channels)
        ]
        stages[-1].add_module("norm", nn.BatchNorm2d(channels[-1]))
        stages[-1].add_module("relu", nn.ReLU(inplace=True))
        super().__init__(SameConv2d(in_channels, stem_channels), stages, channels, plan, base_channels=base)
