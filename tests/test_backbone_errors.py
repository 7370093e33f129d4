"""What a backbone refuses: one line with the values and the remedy."""

import re
from functools import partial

import pytest
import torch

from litconv.backbones import VGG, MobileNet, ResNet, WideResNet
from litconv.backbones.stages import at
from litconv.conv import Grouped, Standard


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: ResNet(Standard, depth=21),
            "depth=21 must be 18, 34, 50 (ImageNet) or 6n+2 (CIFAR: 8, 14, 20, 26, 32, 44, 56, 110)",
        ),
        (
            lambda: ResNet(Standard, depth="abc"),
            "depth=abc must be 18, 34, 50 (ImageNet) or 6n+2 (CIFAR: 8, 14, 20, 26, 32, 44, 56, 110)",
        ),
        (
            lambda: ResNet(Standard, stem="none"),
            "stem=none must be cifar (3×3, stride 1) or imagenet (7×7, stride 2, then max-pooling)",
        ),
        (
            lambda: ResNet(Standard, depth=20, stem="imagenet"),
            "stem=imagenet needs depth 18, 34 or 50, not depth=20; try stem=cifar",
        ),
        (lambda: WideResNet(Standard, depth=20), "depth=20 must be 6n+4: 10, 16, 22, 28, 34, 40, …"),
        (
            lambda: WideResNet(Standard, widen=0),
            "widen=0 must be a positive whole number; try 1, 2, 4, 10 (width scales it further)",
        ),
        (lambda: VGG(Standard, depth=12), "depth=12 must be 11, 13, 16 or 19"),
        (
            lambda: VGG(Standard, depth=11, stage_convs={1: Standard}),
            "conv_stage1 has no effect with depth=11: stage 1 is the stem alone; try conv_stage2 or depth=13",
        ),
        (lambda: MobileNet(Standard, stem_stride=3), "stem_stride=3 must be 1 (small images) or 2 (ImageNet)"),
        (lambda: ResNet(Standard, width=0), "width=0 must be greater than 0"),
        (lambda: VGG(Standard, width=float("nan")), "width=nan must be greater than 0"),
        (lambda: ResNet(Standard, channel_multiple=0), "channel_multiple=0 must be a positive whole number"),
        (
            lambda: WideResNet(Standard, base_channels=[16, 32, 64]),
            "base_channels=[16, 32, 64] must be 4 positive whole numbers, such as [16, 32, 64, 128]",
        ),
        (
            lambda: ResNet(Standard, base_channels=8),
            "base_channels=8 must be 3 positive whole numbers, such as [16, 32, 64]",
        ),
        (
            lambda: ResNet(Standard, base_channels=[8, 16, 0]),
            "base_channels=[8, 16, 0] must be 3 positive whole numbers, such as [16, 32, 64]",
        ),
        (
            lambda: ResNet(Standard, width=0.5, base_channels=[8, 16, 32]),
            "width=0.5 has no effect: base_channels=[8, 16, 32] is given; remove one of them",
        ),
        (
            lambda: ResNet(Standard, stage_convs={4: Standard}),
            "conv_stage4: this backbone has 3 stages (1, 2, 3)",
        ),
        (
            lambda: ResNet(Standard, output_stride=8),
            "output_stride=8 is not possible with this backbone's own stride of 4; "
            "try 1, 2 or 32 (which leaves it as it is)",
        ),
        (
            lambda: ResNet(Standard, depth=18, stem="imagenet", output_stride=2),
            "output_stride=2 is not possible with this backbone's own stride of 32; "
            "try 4, 8, 16 or 32 (which leaves it as it is)",
        ),
        (
            lambda: ResNet(Standard, stage_convs={2: partial(Grouped, groups=3)}),
            "groups=3 must divide in_channels=16 and out_channels=32; try 1, 2, 4, 8, 16 (in backbone.stage2.0)",
        ),
        (
            lambda: VGG(partial(Grouped, groups=128)),
            "groups=128 must divide in_channels=64; try 1, 2, 4, 8, 16, 32, 64 (in backbone.stage1.0)",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_with_values_and_remedy(build, message):
    with torch.device("meta"), pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build()


def test_nested_places_of_an_error_are_joined():
    with pytest.raises(ValueError, match=r"^groups=3 \(in head\.aspp\.atrous\.0\)$"), at("head.aspp"), at("atrous.0"):
        raise ValueError("groups=3")
