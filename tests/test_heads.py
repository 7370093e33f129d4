"""Heads: logits of the image's size on every backbone, gradients, `upsample` changing nothing but itself, errors."""

import re
from functools import partial
from itertools import product
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from litconv.backbones import VGG, Backbone, MobileNet, ResNet, WideResNet
from litconv.build.network import Model
from litconv.conv import Depthwise, Grouped, Standard
from litconv.heads import FCN, DeepLab, Linear, UNet
from litconv.heads.decoding import enlarge
from litconv.upsample import Bilinear, Nearest, PixelShuffle, Transposed

CONF = Path(__file__).parents[1] / "conf" / "head"
BACKBONES = {
    "resnet8": partial(ResNet, depth=8, width=0.5),
    "resnet18_imagenet": partial(ResNet, depth=18, stem="imagenet", width=0.125),
    "resnet50_os8": partial(ResNet, depth=50, stem="imagenet", width=0.125, output_stride=8),
    "wide_resnet": partial(WideResNet, depth=10, widen=1, width=0.5),
    "vgg": partial(VGG, depth=11, width=0.125),
    "mobilenet": partial(MobileNet, width=0.125),
}
DECODERS = {"fcn": partial(FCN, hidden=16), "unet": UNet, "deeplab": partial(DeepLab, hidden=16)}
UPSAMPLERS = (Bilinear, Nearest, PixelShuffle, Transposed)
SEGMENT = [1, 2, 4]  # the strides of a CIFAR backbone


def decoder(backbone: Backbone, head: str, conv=Standard, upsample=Bilinear, classes: int = 5) -> nn.Module:
    return DECODERS[head](backbone.channels, backbone.strides, classes, conv, upsample)


def build(backbone: str, head: str) -> Model:
    features = BACKBONES[backbone](Standard)
    if head == "linear":
        return Model(features, Linear(features.channels, features.strides, 5))
    return Model(features, decoder(features, head))


@pytest.mark.parametrize(("backbone", "head"), list(product(BACKBONES, ["linear", *DECODERS])))
@torch.no_grad()
def test_logits_fit_odd_images(backbone, head):
    model = build(backbone, head)
    for size in ((31, 33), (32, 32), (45, 61)):
        expected = (2, 5) if head == "linear" else (2, 5, *size)
        assert model(torch.zeros(2, 3, *size)).shape == expected


@pytest.mark.parametrize(("backbone", "head"), list(product(BACKBONES, ["linear", *DECODERS])))
def test_every_parameter_gets_a_gradient(backbone, head):
    torch.manual_seed(0)
    model = build(backbone, head)
    logits = model(torch.randn(4, 3, 32, 32))
    nn.functional.cross_entropy(logits, torch.randint(5, (4, *logits.shape[2:]))).backward()
    dead = [
        name for name, p in model.named_parameters() if p.grad is None or not (p.grad.isfinite().all() and p.grad.any())
    ]
    assert dead == []


@pytest.mark.parametrize(("head", "upsample"), list(product(DECODERS, UPSAMPLERS)))
def test_upsample_changes_the_upsampler_alone(head, upsample):
    def rest(factory):
        calls = []

        def recorded(in_channels, out_channels):
            calls.append((in_channels, out_channels))
            return factory(in_channels, out_channels)

        module = decoder(backbone, head, upsample=recorded)
        ups = [f"{name}." for name, m in module.named_modules() if type(m) is factory]
        shapes = {key: p.shape for key, p in module.state_dict().items() if not key.startswith(tuple(ups))}
        return calls, ups, shapes

    with torch.device("meta"):
        backbone = BACKBONES["vgg"](Standard)
        calls, ups, shapes = rest(upsample)
        assert len(calls) == len(ups) > 0
        assert len(shapes) > 0
        assert (calls, ups, shapes) == rest(Bilinear)


@pytest.mark.parametrize(("head", "upsample"), list(product(DECODERS, UPSAMPLERS)))
@torch.no_grad()
def test_every_upsampler_fits_every_decoder_on_odd_images(head, upsample):
    backbone = BACKBONES["vgg"](Standard)
    model = Model(backbone, decoder(backbone, head, upsample=upsample))
    assert model(torch.zeros(2, 3, 31, 33)).shape == (2, 5, 31, 33)


@pytest.mark.parametrize(("head", "slots"), [("fcn", 1), ("unet", 4), ("deeplab", 5)])
def test_every_kxk_convolution_of_a_decoder_is_the_slot(head, slots):
    with torch.device("meta"):
        module = decoder(BACKBONES["resnet8"](Standard), head, conv=Standard, upsample=Transposed)
    convs = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    assert sum(isinstance(m, Standard) for m in convs) == slots
    assert all(isinstance(m, Standard) or m.kernel_size == (1, 1) for m in convs)


@pytest.mark.parametrize("backbone", [ResNet, partial(ResNet, depth=50), WideResNet, VGG, MobileNet])
@pytest.mark.parametrize("head", [FCN, UNet, DeepLab])
def test_depthwise_fits_every_published_backbone(backbone, head):
    with torch.device("meta"):
        features = backbone(Depthwise)
        head(features.channels, features.strides, 5, Depthwise, Bilinear)


def test_rates_are_asked_of_the_slot_as_dilation():
    with torch.device("meta"):
        head = DeepLab([16, 32, 64], SEGMENT, 5, Standard, Bilinear, rates=(3, 7))
    assert [branch.conv.dilation for branch in head.aspp.atrous] == [(3, 3), (7, 7)]


@pytest.mark.parametrize(
    ("strides", "low", "doublings"),
    [([4, 8, 16, 16], 0, 2), ([4, 8, 16, 32], 1, 2), ([4, 8, 8, 8], 0, 1), ([1, 2, 4], 0, 2), ([1, 2, 4, 8, 16], 2, 2)],
)
def test_deeplab_reads_the_low_level_feature_of_a_quarter_of_the_stride(strides, low, doublings):
    with torch.device("meta"):
        head = DeepLab([8] * len(strides), strides, 5, Standard, Bilinear)
    assert (head.low, len(head.ups)) == (low, doublings)


@pytest.mark.parametrize("head", DECODERS)
def test_cutting_rows_off_below_changes_no_logits_far_above(head):
    """Odd sizes are cropped where the ceil rule has padded: every scale keeps its place on the image."""
    torch.manual_seed(0)
    backbone = ResNet(Standard, depth=8, width=0.5)
    model = Model(backbone, decoder(backbone, head, upsample=Transposed)).eval()
    if head == "deeplab":
        model.head.aspp.image.weight.data.zero_()  # the mean of the whole image does change
    x = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        whole, cut = (model(image)[..., :24, :24] for image in (x, x[..., :125, :127]))
    assert whole.std() > 0.01
    torch.testing.assert_close(cut, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [24, 23, 21])
def test_the_last_interpolation_samples_at_pixel_centres_whatever_the_size(size):
    x = torch.arange(6.0).expand(1, 1, 6, 6)
    centres = ((torch.arange(size) + 0.5) / 4 - 0.5).clamp(0, 5)
    torch.testing.assert_close(enlarge(x, 4, (24, size)), centres.expand(1, 1, 24, size))


def test_linear_is_the_mean_over_pixels_and_one_matrix():
    head = Linear([4, 6], [1, 2], 3)
    features = [torch.randn(2, 4, 8, 8), torch.randn(2, 6, 4, 5)]
    expected = features[1].flatten(2).mean(2) @ head.classifier.weight.T + head.classifier.bias
    torch.testing.assert_close(head(features, (8, 8)), expected)


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_head_yaml_builds(path):
    slots = {} if path.stem == "linear" else {"conv": Standard, "upsample": Bilinear}
    with torch.device("meta"):
        backbone = BACKBONES["resnet8"](Standard)
        config = OmegaConf.load(path)
        head = instantiate(config, backbone.channels, backbone.strides, 5, **slots, _convert_="all")
        assert head(backbone(torch.empty(2, 3, 31, 33)), (31, 33)).shape[:2] == (2, 5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: UNet([16, 32, 64], SEGMENT, 5, partial(Grouped, groups=3), Bilinear),
            "groups=3 must divide in_channels=64 and out_channels=32; try 1, 2, 4, 8, 16, 32 (in head.steps.0)",
        ),
        (
            lambda: FCN([16, 32, 64], SEGMENT, 5, partial(Grouped, groups=3), Bilinear),
            "groups=3 must divide in_channels=64; try 1, 2, 4, 8, 16, 32, 64 (in head.conv)",
        ),
        (
            lambda: DeepLab([16, 32, 64], SEGMENT, 5, partial(Grouped, groups=3), Bilinear),
            "groups=3 must divide in_channels=64; try 1, 2, 4, 8, 16, 32, 64 (in head.aspp.atrous.0)",
        ),
        (
            lambda: DeepLab([16, 32, 64], SEGMENT, 5, Standard, partial(Transposed, kernel_size=7)),
            "transposed: kernel_size=7 must be 2, 3 or 4 (in head.ups)",
        ),
        (
            lambda: DeepLab([16, 32, 64], SEGMENT, 5, Standard, Bilinear, rates=[2, 0]),
            "rates=[2, 0] must be a list of positive whole numbers; try [2,4,6]",
        ),
        (
            lambda: DeepLab([16, 32, 64], SEGMENT, 5, Standard, Bilinear, rates=6),
            "rates=6 must be a list of positive whole numbers; try [2,4,6]",
        ),
        (
            lambda: FCN([16, 32, 64], SEGMENT, 5, Standard, Bilinear, hidden=0),
            "hidden=0 must be a positive number of channels",
        ),
        (
            lambda: UNet([16, 32, 64], SEGMENT, 5, Standard, Bilinear, convs_per_level=0),
            "convs_per_level=0 must be 1 or more; the published U-Net has 2",
        ),
        (lambda: Linear([16], [1], 5, dropout=1.5), "dropout=1.5 must be at least 0 and less than 1"),
    ],
)
def test_what_cannot_be_built_is_refused_with_values_and_remedy(make, message):
    with torch.device("meta"), pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()
