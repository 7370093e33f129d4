"""The blocks of the backbones, each with its slot (`conv`) and its paper.

A block is `block(conv, in_channels, out_channels, geometry)`: (N, in, H, W) → (N, out, ⌈H/stride⌉, ⌈W/stride⌉).
"""

from collections import OrderedDict
from math import inf

from torch import Tensor, nn
from torch.nn import functional as F

from litconv.backbones.stages import Geometry
from litconv.conv import ConvFactory, SameConv2d


class ConvNormReLU(nn.Sequential):
    """Convolution, BatchNorm, ReLU: the unit of stems, VGG, MobileNet and decoders."""

    def __init__(self, conv: nn.Module, out_channels: int) -> None:
        norm, relu = nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)
        super().__init__(OrderedDict(conv=conv, norm=norm, relu=relu))


def plain_block(conv: ConvFactory, in_channels: int, out_channels: int, geometry: Geometry) -> ConvNormReLU:
    slot = conv(in_channels, out_channels, stride=geometry.stride, dilation=geometry.first_dilation)
    return ConvNormReLU(slot, out_channels)


class MaxPool(nn.Module):
    """2×2 max-pooling by the ceil rule: out = ⌈H/stride⌉, the last window cut off where the size is odd.

    At stride 1 (`output_stride` has taken the stride away) the window is dilated and the size stays.
    """

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.stride, self.dilation = geometry.stride, geometry.first_dilation

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2 and self.dilation == 1:
            return F.max_pool2d(x, 2, ceil_mode=True)
        x = F.pad(x, (0, self.dilation, 0, self.dilation), value=-inf)
        return F.max_pool2d(x, 2, stride=1, dilation=self.dilation)


def shortcut(in_channels: int, out_channels: int, geometry: Geometry) -> nn.Module:
    """The path around a residual block: identity, or a 1×1 convolution with BN where the shape changes."""
    if in_channels == out_channels and not geometry.downsamples:
        return nn.Identity()
    return nn.Sequential(
        SameConv2d(in_channels, out_channels, 1, stride=geometry.stride, gain=1.0), nn.BatchNorm2d(out_channels)
    )


class BasicBlock(nn.Module):
    """The two-convolution residual block: y = ReLU(F(x) + shortcut(x)), F = conv, BN, ReLU, conv, BN.

    https://arxiv.org/abs/1512.03385; a shortcut that changes shape is a 1×1 convolution with BN (option B).
    """

    expansion = 1

    def __init__(self, conv: ConvFactory, in_channels: int, out_channels: int, geometry: Geometry) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, out_channels, stride=geometry.stride, dilation=geometry.first_dilation)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv(out_channels, out_channels, dilation=geometry.dilation)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut = shortcut(in_channels, out_channels, geometry)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return self.relu(y + self.shortcut(x))


class BottleneckBlock(nn.Module):
    """The bottleneck residual block: 1×1 to a quarter of the channels, the slot, 1×1 back; each with BN.

    https://arxiv.org/abs/1512.03385, with the stride in the K×K convolution ("v1.5", as torchvision has it).
    """

    expansion = 4

    def __init__(self, conv: ConvFactory, in_channels: int, out_channels: int, geometry: Geometry) -> None:
        super().__init__()
        inner = out_channels // self.expansion
        self.conv1 = SameConv2d(in_channels, inner, 1)
        self.norm1 = nn.BatchNorm2d(inner)
        self.conv2 = conv(inner, inner, stride=geometry.stride, dilation=geometry.first_dilation)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv3 = SameConv2d(inner, out_channels, 1)
        self.norm3 = nn.BatchNorm2d(out_channels)
        self.shortcut = shortcut(in_channels, out_channels, geometry)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.relu(self.norm2(self.conv2(y)))
        y = self.norm3(self.conv3(y))
        return self.relu(y + self.shortcut(x))


class PreactivationBlock(nn.Module):
    """The pre-activation residual block: y = F(a) + x, a = ReLU(BN(x)), F = conv, BN, ReLU, conv.

    https://arxiv.org/abs/1603.05027; where the shape changes, the 1×1 shortcut reads the activated input: y = F(a) + W·a.
    """

    def __init__(self, conv: ConvFactory, in_channels: int, out_channels: int, geometry: Geometry) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv(in_channels, out_channels, stride=geometry.stride, dilation=geometry.first_dilation)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv(out_channels, out_channels, dilation=geometry.dilation)
        self.relu = nn.ReLU(inplace=True)
        self.changes_shape = geometry.downsamples or in_channels != out_channels
        if self.changes_shape:
            self.shortcut = SameConv2d(in_channels, out_channels, 1, stride=geometry.stride, gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.relu(self.norm1(x))
        around = self.shortcut(activated) if self.changes_shape else x
        y = self.relu(self.norm2(self.conv1(activated)))
        return self.conv2(y) + around
