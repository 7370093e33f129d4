"""Backbones: published costs, torchvision's outputs, strides, dilation, widths, one operator per stage."""

from functools import partial
from pathlib import Path

import pytest
import torch
import torchvision
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from litconv.backbones import VGG, Backbone, MobileNet, ResNet, WideResNet
from litconv.build.network import Model
from litconv.conv import Depthwise, DepthwiseSeparable, SameConv2d, Standard
from litconv.heads import Linear
from yamls import own_backbones

CONF = Path(__file__).parents[1] / "conf" / "backbone"
IMAGENET = {"stem": "imagenet"}
# small, but with every kind of block, stem and pooling
SMALL = {
    "resnet8": partial(ResNet, depth=8, width=0.5),
    "resnet18_imagenet": partial(ResNet, depth=18, width=0.125, **IMAGENET),
    "resnet50_cifar": partial(ResNet, depth=50, width=0.125),
    "wide_resnet": partial(WideResNet, depth=10, widen=1, width=0.5),
    "vgg": partial(VGG, depth=13, width=0.125),
    "mobilenet": partial(MobileNet, width=0.125),
    "mobilenet_stem2": partial(MobileNet, width=0.125, stem_stride=2),
}


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def classifier(backbone: Backbone, classes: int) -> Model:
    return Model(backbone, Linear(backbone.channels, backbone.strides, classes))


def shake(model: nn.Module, seed: int = 0) -> nn.Module:
    """Random norms (affine part and statistics), so that an equality sees every one of them; eval mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.5 + 0.5)
    return model.eval()


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_resnet_has_as_many_params_as_torchvisions(depth):
    with torch.device("meta"):
        ours = classifier(ResNet(Standard, depth=depth, **IMAGENET), 1000)
        theirs = getattr(torchvision.models, f"resnet{depth}")()
    assert count(ours) == count(theirs)
    assert [p.shape for p in ours.state_dict().values()] == [p.shape for p in theirs.state_dict().values()]


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_vgg_has_as_many_params_as_torchvisions_without_conv_biases(depth):
    with torch.device("meta"):
        ours = VGG(Standard, depth=depth)
        theirs = getattr(torchvision.models, f"vgg{depth}_bn")().features
    assert count(ours) == count(theirs) - sum(m.bias.numel() for m in theirs if isinstance(m, nn.Conv2d))


@pytest.mark.parametrize(
    ("build", "classes", "params"),
    [
        (partial(ResNet, Standard, depth=20), 10, 272_474),
        (partial(WideResNet, Standard, depth=40, widen=2), 10, 2_243_546),
        (partial(WideResNet, Standard, depth=16, widen=2), 10, 691_674),
        (partial(WideResNet, Standard, depth=40, widen=1), 10, 563_930),
        (partial(WideResNet, partial(DepthwiseSeparable, norm_between=True)), 10, 293_514),
        (partial(WideResNet, partial(DepthwiseSeparable, norm_between=True, groups=2)), 10, 1_358_970),
        (partial(WideResNet, partial(DepthwiseSeparable, norm_between=True, groups=16)), 10, 406_410),
        (partial(MobileNet, partial(DepthwiseSeparable, norm_between=True), stem_stride=2), 1000, 4_231_976),
    ],
)
def test_params_are_the_published_ones(build, classes, params):
    with torch.device("meta"):
        assert count(classifier(build(), classes)) == params


@pytest.mark.parametrize(
    ("conv", "million_macs"), [(partial(DepthwiseSeparable, norm_between=True), 569), (Standard, 4866)]
)
def test_mobilenet_macs_are_the_published_ones(conv, million_macs):
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        classifier(MobileNet(conv, stem_stride=2), 1000)(torch.empty(1, 3, 224, 224))
    # the paper's own rounding: its dense figure leaves out the classifier's one million, the separable one has it
    assert counter.get_total_flops() / 2e6 == pytest.approx(million_macs, abs=1.5)


@pytest.mark.parametrize(
    ("depth", "output_stride", "dilate"),
    [(18, 32, [False, False, False]), (50, 32, [False, False, False]), (50, 8, [False, True, True])],
)
def test_resnet_with_torchvisions_weights_gives_torchvisions_logits(depth, output_stride, dilate):
    torch.manual_seed(0)
    theirs = shake(getattr(torchvision.models, f"resnet{depth}")(replace_stride_with_dilation=dilate))
    with torch.device("meta"):
        ours = classifier(ResNet(Standard, depth=depth, output_stride=output_stride, **IMAGENET), 1000)
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)), assign=True)
    x = torch.randn(2, 3, 65, 62)
    with torch.no_grad():
        expected = theirs(x)
        assert expected.std() > 0.01
        torch.testing.assert_close(ours.eval()(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (31, 33), (65, 62)])
@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_features_have_the_channels_and_strides_that_are_claimed(name, size):
    backbone = SMALL[name](Standard)
    features = backbone(torch.zeros(2, 3, *size))
    claimed = [
        (c, -(-size[0] // s), -(-size[1] // s)) for c, s in zip(backbone.channels, backbone.strides, strict=True)
    ]
    assert [tuple(f.shape[1:]) for f in features] == claimed
    assert len({f.shape[-1] for f in features}) > 1


@pytest.mark.parametrize(
    ("name", "output_stride", "strides"),
    [
        ("resnet8", 2, [1, 2, 2]),
        ("resnet8", 1, [1, 1, 1]),
        ("resnet18_imagenet", 16, [4, 8, 16, 16]),
        ("resnet18_imagenet", 8, [4, 8, 8, 8]),
        ("resnet50_cifar", 4, [1, 2, 4, 4]),
        ("wide_resnet", 2, [1, 2, 2]),
        ("wide_resnet", 1, [1, 1, 1]),
        ("vgg", 8, [1, 2, 4, 8, 8]),
        ("vgg", 2, [1, 2, 2, 2, 2]),
        ("mobilenet", 4, [1, 2, 4, 4, 4]),
        ("mobilenet_stem2", 16, [2, 4, 8, 16, 16]),
        ("mobilenet_stem2", 8, [2, 4, 8, 8, 8]),
    ],
)
def test_a_smaller_output_stride_computes_the_same_network_on_a_finer_grid(name, output_stride, strides):
    """À trous: with equal weights, every n-th pixel of the dilated network is a pixel of the strided one."""
    torch.manual_seed(0)
    natural, dilated = SMALL[name](Standard), SMALL[name](Standard, output_stride=output_stride)
    dilated.load_state_dict(natural.state_dict())
    shake(natural), shake(dilated)
    x = torch.randn(1, 3, 45, 66)
    with torch.no_grad():
        coarse, fine = natural(x), dilated(x)
    assert dilated.strides == strides
    for c, f, coarse_stride, stride in zip(coarse, fine, natural.strides, strides, strict=True):
        assert f.shape[-2:] == (-(-45 // stride), -(-66 // stride))
        step = coarse_stride // stride
        torch.testing.assert_close(f[..., ::step, ::step], c, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("build", "slots"),
    [
        (partial(ResNet, depth=20), 18),
        (partial(ResNet, depth=18), 16),
        (partial(ResNet, depth=50), 16),
        (partial(WideResNet, depth=40), 36),
        (partial(VGG, depth=16), 12),
        (MobileNet, 13),
    ],
)
def test_the_slot_is_every_kxk_convolution_of_the_blocks_and_no_other(build, slots):
    calls = []

    def conv(*args, **kwargs):
        calls.append((args, kwargs))
        return Standard(*args, **kwargs)

    with torch.device("meta"):
        backbone = build(conv)
    assert len(calls) == slots
    assert all(len(args) == 2 and 3 not in args and kwargs.keys() <= {"stride", "dilation"} for args, kwargs in calls)
    ordinary = [m for m in backbone.modules() if isinstance(m, nn.Conv2d) and not isinstance(m, Standard)]
    assert all(type(m) is SameConv2d and (m.kernel_size == (1, 1) or m.in_channels == 3) for m in ordinary)
    assert sum(isinstance(m, Standard) for m in backbone.modules()) == slots


@pytest.mark.parametrize("name", SMALL)
def test_one_stage_can_have_an_operator_of_its_own(name):
    with torch.device("meta"):
        backbone = SMALL[name](Standard, stage_convs={2: Depthwise})
    for stage, slot in (("stage1", Standard), ("stage2", Depthwise), ("stage3", Standard)):
        slots = {type(m) for m in getattr(backbone, stage).modules() if isinstance(m, Standard | Depthwise)}
        assert slots == {slot}


@pytest.mark.parametrize(
    ("width", "multiple", "channels"),
    [(1, 8, [16, 32, 64]), (1, 24, [16, 32, 64]), (0.1, 8, [8, 8, 8]), (1.3, 8, [24, 40, 80]), (0.75, 4, [12, 24, 48])],
)
def test_width_rounds_every_stage_to_the_channel_multiple_except_at_1(width, multiple, channels):
    with torch.device("meta"):
        backbone = ResNet(Standard, width=width, channel_multiple=multiple)
    assert backbone.channels == channels
    assert backbone.stem.conv.out_channels == channels[0]


def test_a_stage_that_keeps_its_channels_has_equal_params_at_every_output_stride():
    with torch.device("meta"):
        counts = {count(ResNet(Standard, width=0.1, depth=8, output_stride=s)) for s in (1, 2, 32)}
    assert len(counts) == 1


@pytest.mark.parametrize("path", [CONF / f"{name}.yaml" for name in own_backbones()], ids=lambda path: path.stem)
def test_every_backbone_yaml_builds_and_follows_the_width(path):
    def build(width):
        config = OmegaConf.create({"width": width, "backbone": OmegaConf.load(path)})
        with torch.device("meta"):
            return instantiate(config.backbone, Standard)

    half, full = build(0.5), build(1.0)
    assert half.channels == [c // 2 for c in full.channels]
    assert len(full(torch.empty(1, 3, 31, 33, device="meta"))) == len(full.channels)


def test_a_place_named_in_an_error_is_a_module():
    backbone = SMALL["vgg"](Standard)
    assert isinstance(backbone.get_submodule("stage2.0").conv, Standard)


@pytest.mark.parametrize("name", SMALL)
def test_base_channels_build_what_a_width_builds(name):
    with torch.device("meta"):
        by_width = SMALL[name](Standard)
        by_channels = SMALL[name](Standard, width=1, base_channels=by_width.base_channels)
    shapes = [[(key, value.shape) for key, value in b.state_dict().items()] for b in (by_width, by_channels)]
    assert shapes[0] == shapes[1]
    assert by_channels.channels == by_width.channels


def test_base_channels_are_the_stems_where_it_has_its_own_then_the_stages_before_expansion():
    with torch.device("meta"):
        assert MobileNet(Standard).base_channels == [32, 64, 128, 256, 512, 1024]
        assert WideResNet(Standard).base_channels == [16, 32, 64, 128]
        assert VGG(Standard).base_channels == [64, 128, 256, 512, 512]
        deep = ResNet(Standard, depth=50, base_channels=[8, 16, 24, 40])
    assert deep.channels == [32, 64, 96, 160]
    assert deep.stem.conv.out_channels == 8
