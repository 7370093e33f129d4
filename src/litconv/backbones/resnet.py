"""Residual networks, https://arxiv.org/abs/1512.03385.

Depth 18, 34 and 50 are the ImageNet family (four stages), any other 6n+2 (8, 14, 20, …) the CIFAR family (three stages
of n basic blocks with 16, 32 and 64 channels).
"""

from collections.abc import Mapping, Sequence

from torch import nn

from litconv.backbones.backbone import Backbone
from litconv.backbones.blocks import BasicBlock, BottleneckBlock, ConvNormReLU
from litconv.backbones.stages import build_stage, choose_channels, plan_strides, stage_factories
from litconv.conv import ConvFactory, SameConv2d

IMAGENET_DEPTHS = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (BottleneckBlock, (3, 4, 6, 3)),
}
CIFAR_DEPTHS = range(8, 1203, 6)


class ResNet(Backbone):
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
        depth: int = 20,
        stem: str = "cifar",
    ) -> None:
        if depth in IMAGENET_DEPTHS:
            block, repeats = IMAGENET_DEPTHS[depth]
            published = (64, 128, 256, 512)
        elif depth in CIFAR_DEPTHS:
            block, repeats = BasicBlock, ((depth - 2) // 6,) * 3
            published = (16, 32, 64)
        else:
            raise ValueError(
                f"depth={depth} must be 18, 34, 50 (ImageNet) or 6n+2 (CIFAR: 8, 14, 20, 26, 32, 44, 56, 110)"
            )
        if stem not in ("cifar", "imagenet"):
            raise ValueError(f"stem={stem} must be cifar (3×3, stride 1) or imagenet (7×7, stride 2, then max-pooling)")
        if stem == "imagenet" and depth not in IMAGENET_DEPTHS:
            raise ValueError(f"stem=imagenet needs depth 18, 34 or 50, not depth={depth}; try stem=cifar")

        planes = choose_channels(published, width, channel_multiple, base_channels)
        channels = [c * block.expansion for c in planes]
        convs = stage_factories(conv, stage_convs, len(channels))
        strides = (1,) + (2,) * (len(channels) - 1)
        plan = plan_strides(4 if stem == "imagenet" else 1, strides, output_stride)
        ins = [planes[0], *channels]
        super().__init__(
            imagenet_stem(in_channels, planes[0]) if stem == "imagenet" else cifar_stem(in_channels, planes[0]),
            [build_stage(i + 1, block, convs[i], (ins[i], c), repeats[i], plan[i]) for i, c in enumerate(channels)],
            channels,
            plan,
            base_channels=planes,
        )


def cifar_stem(in_channels: int, out_channels: int) -> nn.Module:
    return ConvNormReLU(SameConv2d(in_channels, out_channels), out_channels)


def imagenet_stem(in_channels: int, out_channels: int) -> nn.Module:
    conv = SameConv2d(in_channels, out_channels, kernel_size=7, stride=2)
    return nn.Sequential(ConvNormReLU(conv, out_channels), nn.MaxPool2d(3, stride=2, padding=1))
