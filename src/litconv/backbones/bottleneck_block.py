"""The bottleneck residual block: 1×1 to a quarter of the channels, the slot, 1×1 back; each with BN.

https://arxiv.org/abs/1512.03385, with the stride in the K×K convolution ("v1.5", as torchvision has it).
"""

from torch import Tensor, nn

from litconv.backbones.shortcut import shortcut
from litconv.backbones.stages import Geometry
from litconv.conv import ConvFactory, SameConv2d


class BottleneckBlock(nn.Module):
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
