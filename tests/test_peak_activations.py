"""cost/peak_activation_bytes against nets whose live activations are counted by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from litconv.cost import count
from litconv.cost.live import Peak

KB = 1024  # one channel of a map of 16×16 in float32


def peak(model: nn.Module, channels: int) -> Peak | None:
    cost = count(model, channels, (16, 16))
    assert cost.summary().get("cost/peak_activation_bytes") == (cost.peak and cost.peak.float32)
    return cost.peak


def conv(read: int, written: int, kernel_size: int = 3, **options: int) -> nn.Conv2d:
    return nn.Conv2d(read, written, kernel_size, padding=kernel_size // 2, **options)


def test_a_chain_holds_the_input_and_the_output_of_its_widest_layer():
    chain = nn.Sequential(conv(3, 8), conv(8, 20), conv(20, 4), conv(4, 4))
    assert peak(chain, 3) == Peak((8 + 20) * KB, (8 + 20) * KB // 4)


def test_norms_and_activations_lie_where_their_input_did():
    chain = [layer for width in (8, 8) for layer in (conv(8, width), nn.BatchNorm2d(8), nn.ReLU(), nn.Hardswish())]
    assert peak(nn.Sequential(*chain), 8).float32 == 16 * KB


def test_pooling_writes_into_memory_of_its_own_and_its_indices_are_not_held():
    assert peak(nn.Sequential(nn.MaxPool2d(2), conv(8, 8)), 8).float32 == (8 + 2) * KB


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return F.relu(self.inner(x) + x)


def test_a_shortcut_stays_alive_beside_its_branch():
    block = Residual(nn.Sequential(conv(8, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8)))
    assert peak(nn.Sequential(conv(3, 8), block), 3).float32 == (8 + 8 + 8) * KB


def test_an_activation_before_a_shortcut_ends_needs_memory_of_its_own():
    block = Residual(nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8)))  # the shortcut takes x as it came
    assert peak(block, 8).float32 == (8 + 8 + 8) * KB


@pytest.mark.parametrize(("stride", "residual"), [(1, True), (1, False), (2, False)])
def test_an_inverted_bottleneck_is_what_mcunet_counts(stride, residual):
    """Lin et al., https://arxiv.org/abs/2007.10319, §3: the depthwise convolution's input and output, and the residual."""
    narrow, wide = 4, 24
    layers = nn.Sequential(
        *(conv(narrow, wide, 1), nn.BatchNorm2d(wide), nn.ReLU6()),
        *(conv(wide, wide, 3, groups=wide, stride=stride), nn.BatchNorm2d(wide), nn.ReLU6()),
        *(conv(wide, narrow, 1), nn.BatchNorm2d(narrow)),
    )
    block = nn.Sequential(conv(3, narrow), Residual(layers) if residual else layers)
    expected = wide + wide // stride**2 + (narrow if residual else 0)
    assert peak(block, 3).float32 == expected * KB


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = conv(8, 4), conv(8, 6)

    def forward(self, x):
        return torch.cat([self.left(x), self.right(x)], 1)


def test_a_concatenation_holds_its_parts_and_the_whole():
    assert peak(Dense(), 8).float32 == (4 + 6 + 10) * KB  # more than x and both branches: 18


class Halves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(4, 12)

    def forward(self, x):
        kept, used = x.chunk(2, 1)
        return torch.cat([kept, self.conv(used)[:, :4]], 1)


def test_a_view_holds_the_whole_of_what_it_views():
    assert peak(Halves(), 8).float32 == (8 + 12 + 8) * KB


class Standardised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8, 64, 3, 3))

    def forward(self, x):
        return F.conv2d(x, self.weight - self.weight.mean((1, 2, 3), keepdim=True), padding=1)


def test_what_is_computed_of_parameters_alone_is_no_activation():
    assert peak(Standardised(), 64).float32 == (64 + 8) * KB


class Late(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = conv(8, 8), conv(8, 2)

    def forward(self, x):
        early = self.first(x)
        return self.second(early), early


def test_what_is_put_out_lives_until_the_end():
    assert peak(nn.Sequential(Late()), 8).float32 == (8 + 8) * KB
    assert peak(nn.Sequential(conv(8, 8), Late()), 8).float32 == (8 + 8) * KB


class Masked(nn.Module):
    def forward(self, x):
        return x * (x > 0).roll(1, 2)


def test_values_that_are_not_floats_keep_their_size_in_int8():
    """x, the mask of one byte a value and its rolled copy."""
    values = 8 * 16 * 16
    assert peak(Masked(), 8) == Peak((4 + 1 + 1) * values, (1 + 1 + 1) * values)


class Reading(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(8, 8)

    def forward(self, x):
        y = self.conv(x)
        return y if y.sum().item() > 0 else y + x


def test_of_a_model_that_reads_its_values_it_is_absent():
    assert peak(Reading(), 8) is None
