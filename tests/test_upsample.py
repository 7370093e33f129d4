"""Upsamplers: exactly ×2, their formulas, and what each of them computes."""

from functools import partial
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from litconv.conv import SameConv2d
from litconv.conv.initial import initialise
from litconv.upsample import Bilinear, Nearest, PixelShuffle, Transposed

CONF = Path(__file__).parents[1] / "conf" / "upsample"
TABLE = {  # operators.md: params of Cin → Cout; how often each is used for an input pixel
    "bilinear": (Bilinear, lambda c, d: 9 * c * d, 4),
    "nearest": (Nearest, lambda c, d: 9 * c * d, 4),
    "pixel_shuffle": (PixelShuffle, lambda c, d: 36 * c * d, 1),
    "transposed_2": (Transposed, lambda c, d: 4 * c * d, 1),
    "transposed_3": (partial(Transposed, kernel_size=3), lambda c, d: 9 * c * d, 1),
    "transposed_4": (partial(Transposed, kernel_size=4), lambda c, d: 16 * c * d, 1),
}


@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 7), (1, 2)])
@pytest.mark.parametrize("name", TABLE)
def test_the_formula_is_what_is_counted(name, height, width):
    factory, params, uses = TABLE[name]
    with torch.device("meta"):
        module = factory(6, 10)
        with FlopCounterMode(display=False) as counter:
            y = module(torch.empty(1, 6, height, width))
    assert y.shape == (1, 10, 2 * height, 2 * width)
    counted = sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2
    assert module.formula(height, width) == counted == (params(6, 10), params(6, 10) * uses * height * width)


@pytest.mark.parametrize("odd", [0, 1])
@pytest.mark.parametrize("kernel_size", [2, 3, 4])
def test_transposed_is_the_adjoint_of_the_stride_2_convolution(kernel_size, odd):
    """⟨conv(x), y⟩ = ⟨x, convᵀ(y)⟩; for an odd x, the transposed output cropped as decoders crop it."""
    torch.manual_seed(0)
    conv = SameConv2d(5, 3, kernel_size, stride=2).double()
    transposed = Transposed(3, 5, kernel_size=kernel_size).double()
    transposed.conv.weight = conv.weight
    x = torch.randn(2, 5, 12 - odd, 10 - odd, dtype=torch.double)
    y = torch.randn(2, 3, 6, 5, dtype=torch.double)
    left = (conv(x) * y).sum()
    right = (x * transposed(y)[..., : 12 - odd, : 10 - odd]).sum()
    torch.testing.assert_close(left, right)
    assert abs(left) > 0.1


def test_nearest_repeats_every_pixel_before_its_convolution():
    module, x = Nearest(3, 4), torch.randn(1, 3, 5, 6)
    repeated = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(module(x), F.conv2d(repeated, module.conv.weight, padding=1))


def test_bilinear_samples_half_a_pixel_apart_before_its_convolution():
    module = Bilinear(1, 1)
    with torch.no_grad():
        module.conv.weight.zero_()[0, 0, 1, 1] = 1.0
        y = module(torch.arange(6.0).expand(1, 1, 6, 6))
    ramp = ((torch.arange(12) + 0.5) / 2 - 0.5).clamp(0, 5)
    torch.testing.assert_close(y, ramp.expand(1, 1, 12, 12))


def test_pixel_shuffle_lays_four_channels_out_as_a_square():
    module, x = PixelShuffle(3, 2), torch.randn(1, 3, 4, 5)
    y, channels = module(x), F.conv2d(x, module.conv.weight, padding=1)
    for channel, row, column in ((0, 0, 0), (0, 1, 0), (1, 0, 1), (1, 1, 1)):
        torch.testing.assert_close(y[:, channel, row::2, column::2], channels[:, 4 * channel + 2 * row + column])


@pytest.mark.parametrize("name", TABLE)
def test_the_initial_output_has_neither_exploded_nor_vanished(name):
    module = TABLE[name][0](32, 32)
    initialise(module, seed=0)
    variance = module(torch.randn(4, 32, 16, 16, generator=torch.Generator().manual_seed(0))).var().item()
    # the mean of two independent pixels, weighted 1/4 and 3/4, has 5/8 of their variance; at borders a little is lost
    expected = (5 / 8) ** 2 if name == "bilinear" else 1.0
    assert variance == pytest.approx(expected, rel=0.1)


def test_another_kernel_size_of_transposed_is_refused():
    with pytest.raises(ValueError, match=r"^transposed: kernel_size=5 must be 2, 3 or 4$"):
        Transposed(4, 4, kernel_size=5)


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_upsample_yaml_is_a_factory_that_doubles(path):
    upsample = instantiate(OmegaConf.load(path))
    assert upsample(4, 6)(torch.randn(2, 4, 3, 5)).shape == (2, 6, 6, 10)
