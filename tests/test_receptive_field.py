"""The receptive field against where a NaN in the image comes out, and against published figures."""

from bisect import bisect_left

import pytest
import torch
from torch import nn
from torchvision import models

from golden import regenerate
from litconv.conv import Standard
from litconv.cost import count
from litconv.upsample import Bilinear, Nearest, PixelShuffle, Transposed
from yamls import CORE


def rows_that_matter(module: nn.Module, in_channels: int, size: int) -> int:
    """Rows of the image from the first to the last whose NaN reaches the central value of the last feature."""
    module, rows = module.double().eval(), range(size)
    for norm in (inner for inner in module.modules() if isinstance(inner, nn.GroupNorm)):
        norm.forward = lambda x: x  # its statistics are of the whole map, and those of norms are not followed
    first = bisect_left(rows, True, key=lambda row: reaches(module, in_channels, size, slice(0, row + 1)))
    last = bisect_left(rows, True, key=lambda row: not reaches(module, in_channels, size, slice(row, size))) - 1
    assert 0 < first <= last < size - 1, "the image is too small for this test"
    return last - first + 1


def reaches(module: nn.Module, in_channels: int, size: int, rows: slice) -> bool:
    """Whether NaNs in these rows of an image reach the central value of the last feature."""
    image = torch.zeros(1, in_channels, size, 8, dtype=torch.double)
    image[:, :, rows] = float("nan")
    with torch.no_grad():
        out = module(image)
    feature = out[-1] if isinstance(out, list) else out
    return bool(feature[:, :, feature.shape[2] // 2].isnan().any())


PLACES = [
    pytest.param(operator, stride, marks=[] if operator in CORE or stride == 32 else pytest.mark.slow)
    for operator in sorted(set(regenerate.OPERATORS) - {"deformable"})
    for stride in (1, 32)
]


@pytest.mark.parametrize(("operator", "output_stride"), PLACES)
def test_the_receptive_field_is_what_a_nan_reaches(arm, operator, output_stride):
    whole = arm(operator, "backbone=resnet", "width=0.5", f"backbone.output_stride={output_stride}")
    expected = count(whole, 3, (32, 32)).receptive_field
    if expected == "global":
        backbone = whole.backbone.double().eval()
        assert all(reaches(backbone, 3, 128, slice(row, row + 1)) for row in (0, 127))
        return
    found = rows_that_matter(whole.backbone, 3, expected + expected // 4 + 20)
    # Where there are two resolutions inside, neighbours differ in what they see: the union is more than the central one's.
    assert found <= expected <= (1.4 * found if operator in ("octave", "wavelet") else found)


def test_a_deformable_convolution_sees_what_its_regular_grid_sees(arm):
    whole, standard = arm("deformable", "width=0.5"), arm("standard", "width=0.5")
    assert count(whole, 3, (32, 32)).receptive_field == count(standard, 3, (32, 32)).receptive_field


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_two_convolutions_in_a_row_see_what_a_nan_reaches(kernel_size, stride, dilation):
    module = nn.Sequential(Standard(2, 3, kernel_size, stride, dilation), Standard(3, 2, kernel_size, 1, dilation))
    module.append(nn.AvgPool2d(3, stride=1, padding=1))
    assert count(module, 2, (32, 32)).receptive_field == rows_that_matter(module, 2, 90)


@pytest.mark.parametrize("upsample", [Nearest, Bilinear, PixelShuffle, Transposed])
def test_a_stride_and_an_upsampler_see_at_least_what_a_nan_reaches(upsample):
    module = nn.Sequential(Standard(2, 4, stride=2), upsample(4, 2))
    found, reached = count(module, 2, (32, 32)).receptive_field, rows_that_matter(module, 2, 64)
    assert reached <= found <= reached + 2  # neighbours in the output differ in what they see: the union


@pytest.mark.parametrize(("build", "pixels"), [(models.alexnet, 195), (models.vgg16, 212)])
def test_published_receptive_fields(build, pixels):
    """https://distill.pub/2019/computing-receptive-fields/, table of AlexNet and VGG-16."""
    with torch.device("meta"):
        assert count(build().features, 3, (224, 224)).receptive_field == pixels


class Squeezed(nn.Module):
    def forward(self, x):
        return x * x.mean(dim=(2, 3), keepdim=True)


class Mirrored(nn.Module):
    def forward(self, x):
        return x.flip(3)


def test_what_has_seen_the_whole_image_is_global_and_what_nobody_knows_is_absent():
    assert count(nn.Sequential(Standard(3, 4), Squeezed()), 3, (8, 8)).receptive_field == "global"
    cost = count(nn.Sequential(Standard(3, 4), Mirrored()), 3, (8, 8))
    assert cost.receptive_field is None
    assert "cost/receptive_field" not in cost.summary()


def test_the_effective_field_of_the_initial_weights_lies_within_the_theoretical_one(arm):
    whole = arm("standard", "width=0.5")
    cost = count(whole, 3, (32, 32), effective_field=True)
    assert 3 < cost.effective_receptive_field < cost.receptive_field == 25
    assert cost.summary()["cost/effective_receptive_field"] == cost.effective_receptive_field
    assert count(whole, 3, (32, 32), effective_field=True) == cost
    assert "cost/effective_receptive_field" not in count(whole, 3, (32, 32)).summary()


def test_the_effective_field_of_one_convolution_is_its_kernel():
    module = Standard(1, 1, kernel_size=5)
    nn.init.ones_(module.weight)
    assert count(module, 1, (16, 16), effective_field=True).effective_receptive_field == 5


def test_the_effective_field_of_a_whole_network_is_that_of_its_last_map():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, padding=1)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)]
    whole, features = nn.Sequential(*layers, *head), nn.Sequential(*layers)
    for size in ((16, 16), (4, 4)):  # 4×4 and one place
        expected = count(features, 3, size, effective_field=True).effective_receptive_field
        assert count(whole, 3, size, effective_field=True).effective_receptive_field == expected > 0


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.mix, self.head = nn.Conv2d(3, 8, 4, stride=4), nn.Linear(8, 8), nn.Linear(8, 10)

    def forward(self, x):
        return self.head(self.mix(self.patches(x).flatten(2).mT).mean(1))


def test_what_ends_in_tokens_has_no_effective_field():
    cost = count(Tokens(), 3, (16, 16), effective_field=True)
    assert cost.effective_receptive_field is None
    assert "cost/effective_receptive_field" not in cost.summary()
